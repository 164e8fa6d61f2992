-- name: open_throttles
-- Begins the rows of budgets that were never asked.
INSERT INTO throttle (system, name, object)
SELECT %(system)s::text, n.name, n.object
FROM unnest(%(names)s::text[], %(objects)s::text[]) AS n (name, object)
ORDER BY n.name, n.object
ON CONFLICT (system, name, object) DO NOTHING;

-- name: take
-- Takes up to so many calls from all budgets they are under: how many, when more, rows found.
WITH budget AS (
    SELECT b.*
    FROM unnest(%(names)s::text[], %(objects)s::text[], %(tallies)s::boolean[],
                %(capacities)s::float8[], %(rates)s::float8[], %(costs)s::float8[],
                %(slots)s::float8[], %(keeps)s::float8[])
         AS b (name, object, is_tally, capacity, per_second, cost, slot_seconds, keep_seconds)
), locked AS MATERIALIZED (
    SELECT t.name, t.object, b.is_tally, b.cost, b.slot_seconds, b.keep_seconds,
           t.level, t.at, t.keys, t.counts, t.ends, t.blocked_until,
           coalesce(t.capacity_seen, b.capacity) AS capacity,
           coalesce(t.per_second_seen, b.per_second) AS per_second
    FROM throttle t
    JOIN budget b ON b.name = t.name AND b.object = t.object
    WHERE t.system = %(system)s::text
    ORDER BY t.name, t.object
    FOR UPDATE OF t
), clock AS MATERIALIZED (
    SELECT count(*) AS found,
           extract(epoch FROM coalesce(%(at)s::timestamptz, clock_timestamp()))::float8 AS now
    FROM locked
), measured AS MATERIALIZED (
    SELECT l.*, c.now,
           floor(%(share)s::float8 * l.capacity / l.cost) * l.cost AS held_back,
           least(l.capacity, coalesce(l.level, l.capacity)
                             + greatest(0, c.now - l.at) * l.per_second) AS level_now,
           coalesce((SELECT sum(e.count) FROM unnest(l.counts, l.ends) AS e (count, ends)
                     WHERE e.ends > c.now), 0)::float8 AS used
    FROM locked l CROSS JOIN clock c
), room AS MATERIALIZED (
    SELECT m.*,
           CASE WHEN m.now < m.blocked_until THEN 0
                WHEN m.is_tally THEN floor(m.capacity - m.used - m.held_back)
                ELSE floor((m.level_now - m.held_back) / m.cost + 1e-9) END AS calls
    FROM measured m
), granted AS MATERIALIZED (
    SELECT CASE WHEN count(*) = (SELECT count(*) FROM budget)
                THEN greatest(0, least(%(wanted)s::bigint, min(calls))) ELSE 0 END::bigint AS calls
    FROM room
), after AS MATERIALIZED (
    SELECT r.name, r.object, r.is_tally, r.now, r.at, r.calls - g.calls AS calls_left,
           r.blocked_until, r.per_second, r.held_back, r.cost,
           r.level_now - g.calls * r.cost AS level, e.keys, e.counts, e.ends
    FROM room r
    CROSS JOIN granted g
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(k.key ORDER BY k.ends, k.key), '{}') AS keys,
               coalesce(array_agg(k.count ORDER BY k.ends, k.key), '{}') AS counts,
               coalesce(array_agg(k.ends ORDER BY k.ends, k.key), '{}') AS ends
        FROM (
            SELECT n.key, sum(n.count)::bigint AS count, max(n.ends) AS ends
            FROM (
                SELECT o.key, o.count, o.ends
                FROM unnest(r.keys, r.counts, r.ends) AS o (key, count, ends)
                WHERE o.ends > r.now
                UNION ALL
                SELECT CASE WHEN r.slot_seconds = 0 THEN %(lease_key)s::bigint
                            ELSE floor(r.now / r.slot_seconds)::bigint END,
                       g.calls,
                       CASE WHEN r.slot_seconds = 0 THEN r.now + %(lease_seconds)s::float8
                            ELSE (floor(r.now / r.slot_seconds) + 1) * r.slot_seconds
                                 + r.keep_seconds END
                WHERE r.is_tally AND g.calls > 0
            ) AS n
            GROUP BY n.key
        ) AS k
    ) AS e
), kept AS (
    UPDATE throttle t
    SET level = CASE WHEN a.is_tally THEN t.level ELSE a.level END,
        at = CASE WHEN a.is_tally THEN t.at ELSE greatest(t.at, a.now) END,
        keys = a.keys, counts = a.counts, ends = a.ends
    FROM after a
    WHERE t.system = %(system)s::text AND t.name = a.name AND t.object = a.object
      AND (SELECT g.calls FROM granted g) > 0
)
SELECT (SELECT g.calls FROM granted g), c.found,
       CASE WHEN (SELECT g.calls FROM granted g) < %(wanted)s::bigint THEN
           coalesce((SELECT max(
               CASE WHEN a.calls_left >= 1 THEN 0
                    WHEN a.now < a.blocked_until THEN a.blocked_until - a.now
                    WHEN a.is_tally THEN coalesce(a.ends[1] - a.now, 60)
                    WHEN a.per_second > 0
                        THEN (a.held_back + a.cost - a.level) / a.per_second
                    ELSE 60 END) FROM after a), 0)
       ELSE 0 END::float8
FROM clock c;

-- name: release_calls
-- Gives places of calls that ended back to the limits of concurrency they were under.
WITH locked AS MATERIALIZED (
    SELECT t.name, t.keys, t.counts, t.ends
    FROM throttle t
    WHERE t.system = %(system)s::text AND t.object = '' AND t.keys && %(lease_keys)s::bigint[]
    ORDER BY t.name
    FOR UPDATE OF t
), still AS (
    SELECT l.name, o.key, o.ends, o.count - coalesce(r.calls, 0) AS count
    FROM locked l
    CROSS JOIN unnest(l.keys, l.counts, l.ends) AS o (key, count, ends)
    LEFT JOIN unnest(%(lease_keys)s::bigint[], %(calls)s::bigint[]) AS r (key, calls)
        ON r.key = o.key
)
UPDATE throttle t
SET keys = ARRAY(SELECT s.key FROM still s WHERE s.name = t.name AND s.count > 0
                 ORDER BY s.ends, s.key),
    counts = ARRAY(SELECT s.count FROM still s WHERE s.name = t.name AND s.count > 0
                   ORDER BY s.ends, s.key),
    ends = ARRAY(SELECT s.ends FROM still s WHERE s.name = t.name AND s.count > 0
                 ORDER BY s.ends, s.key)
FROM locked l
WHERE t.system = %(system)s::text AND t.object = '' AND t.name = l.name;

-- name: renew_leases
-- Keeps places of calls that take long.
WITH locked AS MATERIALIZED (
    SELECT t.system, t.name, t.keys, t.ends
    FROM throttle t
    WHERE t.keys && %(lease_keys)s::bigint[] AND t.object = ''
    ORDER BY t.system, t.name
    FOR UPDATE OF t
)
UPDATE throttle t
SET ends = ARRAY(
    SELECT CASE WHEN e.key = ANY (%(lease_keys)s::bigint[])
                THEN extract(epoch FROM clock_timestamp())::float8 + %(lease_seconds)s::float8
                ELSE e.ends END
    FROM unnest(l.keys, l.ends) WITH ORDINALITY AS e (key, ends, place)
    ORDER BY e.place)
FROM locked l
WHERE t.system = l.system AND t.name = l.name AND t.object = '';

-- name: correct
-- Believes what a partner told of its limits; what is left is never raised by it.
WITH told AS (
    SELECT n.*,
           extract(epoch FROM coalesce(%(at)s::timestamptz, clock_timestamp()))::float8 AS now
    FROM unnest(%(names)s::text[], %(capacities)s::float8[], %(rates)s::float8[],
                %(remaining)s::float8[], %(seen_capacities)s::float8[], %(seen_rates)s::float8[],
                %(waits)s::float8[])
         AS n (name, capacity, per_second, remaining, capacity_seen, per_second_seen,
               wait_seconds)
), locked AS MATERIALIZED (
    SELECT t.name, t.level, t.at, t.blocked_until, n.remaining, n.wait_seconds, n.now,
           coalesce(n.capacity_seen, t.capacity_seen) AS capacity_seen,
           coalesce(n.per_second_seen, t.per_second_seen) AS per_second_seen,
           coalesce(n.capacity_seen, t.capacity_seen, n.capacity) AS capacity,
           coalesce(n.per_second_seen, t.per_second_seen, n.per_second) AS per_second
    FROM throttle t
    JOIN told n ON n.name = t.name
    WHERE t.system = %(system)s::text AND t.object = ''
    ORDER BY t.name
    FOR UPDATE OF t
)
UPDATE throttle t
SET capacity_seen = l.capacity_seen, per_second_seen = l.per_second_seen,
    blocked_until = greatest(l.blocked_until, l.now + l.wait_seconds),
    level = CASE WHEN l.remaining IS NULL THEN l.level
                 ELSE least(l.capacity, l.remaining,
                            coalesce(l.level, l.capacity)
                            + greatest(0, l.now - l.at) * l.per_second) END,
    at = CASE WHEN l.remaining IS NULL THEN l.at ELSE greatest(l.at, l.now) END
FROM locked l
WHERE t.system = %(system)s::text AND t.object = '' AND t.name = l.name;

-- name: forget_throttles
-- Deletes the rows of objects whose calls are all forgotten.
DELETE FROM throttle t
WHERE t.object <> '' AND NOT EXISTS (
    SELECT FROM unnest(t.ends) AS e (ends) WHERE e.ends > extract(epoch FROM now()));
