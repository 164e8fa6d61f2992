-- Journal (outbox/journal): control numbers of what partners were sent, and their acknowledgements
CREATE TABLE control_counter (
    system text NOT NULL,
    counter text NOT NULL,
    next bigint NOT NULL DEFAULT 1 CHECK (next > 0),
    PRIMARY KEY (system, counter)
);
COMMENT ON TABLE control_counter IS 'outbox/journal: the number that comes next, by system and counter';

CREATE TABLE control_number (
    system text NOT NULL,
    counter text NOT NULL,
    key text NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    warn_at timestamptz,
    breach_at timestamptz,
    is_warned boolean NOT NULL DEFAULT false,
    is_breached boolean NOT NULL DEFAULT false,
    answer text NOT NULL DEFAULT ''
        CHECK (answer IN ('', 'accepted', 'noted', 'partial', 'rejected')),
    answered_at timestamptz,
    detail text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (system, counter, key)
);
COMMENT ON TABLE control_number IS
    'outbox/journal: what each number was taken for, and what the partner answered to it';
COMMENT ON COLUMN control_number.key IS 'what was sent under it; the same key has the same number for ever';
COMMENT ON COLUMN control_number.warn_at IS 'when a missing answer is told, and at breach_at that it is a breach; null: none is expected';
COMMENT ON COLUMN control_number.detail IS 'what its taker said of it; reason is the partner''s, of its answer';
CREATE INDEX control_number_number ON control_number (system, counter, number);
CREATE INDEX control_number_waiting ON control_number (warn_at)
    WHERE answer = '' AND warn_at IS NOT NULL AND NOT is_breached;
