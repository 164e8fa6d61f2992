-- What leaves: deliveries to partners, their limits, their circuit breakers.

-- Limits (outbox/limits) -------------------------------------------------------------------------
CREATE TABLE throttle (
    system text NOT NULL,
    name text NOT NULL,
    object text NOT NULL DEFAULT '',
    level double precision,
    at double precision NOT NULL DEFAULT 0,
    keys bigint[] NOT NULL DEFAULT '{}',
    counts bigint[] NOT NULL DEFAULT '{}',
    ends double precision[] NOT NULL DEFAULT '{}',
    blocked_until double precision NOT NULL DEFAULT 0,
    capacity_seen double precision,
    per_second_seen double precision,
    PRIMARY KEY (system, name, object)
) WITH (fillfactor = 50);
COMMENT ON TABLE throttle IS
    'outbox/limits: what is left of each limit of a partner; times are seconds since 1970';
COMMENT ON COLUMN throttle.level IS 'points in a bucket at the moment `at`; null: full';
COMMENT ON COLUMN throttle.ends IS
    'calls of a tally: keys (slot or lease), counts, and when they are forgotten';
COMMENT ON COLUMN throttle.capacity_seen IS 'what the partner itself said; null: it did not';
