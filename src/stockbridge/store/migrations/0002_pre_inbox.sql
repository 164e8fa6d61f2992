-- Facts from anywhere: the inbox, parking, sequences, contracts, snapshots, lots and serials.

-- Inbox (engine/inbox) -------------------------------------------------------------------------
CREATE SEQUENCE inbox_batch_seq;

CREATE TABLE message (
    message_id bigint NOT NULL,
    received_at timestamptz NOT NULL,
    system text NOT NULL,
    source_message_id text NOT NULL,
    content_hash bytea NOT NULL,
    flow text NOT NULL DEFAULT '',
    sequence bigint,
    correlation_id text NOT NULL,
    causation_id text,
    principal text NOT NULL,
    door text NOT NULL,
    contract text NOT NULL,
    content_type text NOT NULL,
    body bytea NOT NULL,
    status text NOT NULL DEFAULT 'received' CHECK (status IN
        ('received', 'applied', 'duplicate', 'parked', 'rejected', 'dead')),
    reason_code text,
    reason text,
    attempts bigint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (message_id, received_at)
) PARTITION BY RANGE (received_at);
COMMENT ON TABLE message IS 'engine/inbox: raw bytes and envelope of everything that came in, kept before anything else';
COMMENT ON COLUMN message.message_id IS 'inbox batch * 4096 + number in the batch';
COMMENT ON COLUMN message.due_at IS
    'while received: when any node may take it up; before that it belongs to the node that has it';
CREATE TABLE message_default PARTITION OF message DEFAULT;
CREATE INDEX message_waiting ON message (message_id) WHERE status = 'received';
CREATE INDEX message_unsettled ON message (status, message_id)
    WHERE status IN ('parked', 'rejected', 'dead');
CREATE INDEX message_correlation ON message (correlation_id);
CREATE INDEX message_system ON message (system, message_id);

CREATE TABLE message_identity (
    identity uuid PRIMARY KEY,
    message_id bigint NOT NULL,
    content_hash bytea NOT NULL,
    times_seen bigint NOT NULL DEFAULT 1,
    seen_at timestamptz NOT NULL
);
COMMENT ON TABLE message_identity IS
    'engine/inbox: (system, source message id) as a 128-bit hash: the first message, and how often it came';

CREATE TABLE parked (
    wait_key text NOT NULL,
    message_id bigint NOT NULL,
    received_at timestamptz NOT NULL,
    deadline timestamptz NOT NULL,
    joins_from timestamptz NOT NULL,
    is_overdue boolean NOT NULL DEFAULT false,
    PRIMARY KEY (wait_key, message_id)
);
COMMENT ON TABLE parked IS
    'engine/inbox: what a parked message waits for: sku:X, alias:NS:X, location:X, order:X, contract:X, sequence:SYSTEM:FLOW:N';
COMMENT ON COLUMN parked.joins_from IS 'one that joined in vain a few times is tried less and less often';
CREATE INDEX parked_message ON parked (message_id);
CREATE INDEX parked_deadline ON parked (deadline) WHERE NOT is_overdue;

CREATE TABLE flow (
    system text NOT NULL,
    flow text NOT NULL,
    is_strict boolean NOT NULL DEFAULT false,
    wait_seconds_max bigint NOT NULL DEFAULT 300 CHECK (wait_seconds_max > 0),
    park_seconds_max bigint NOT NULL DEFAULT 86400 CHECK (park_seconds_max > 0),
    owner_team text NOT NULL DEFAULT 'operations',
    PRIMARY KEY (system, flow)
);
COMMENT ON TABLE flow IS 'engine/inbox: how patient a source''s flow is; flows without a row have the defaults';

CREATE TABLE source_sequence (
    system text NOT NULL,
    flow text NOT NULL,
    received int8multirange NOT NULL,
    newest_at timestamptz NOT NULL,
    late bigint NOT NULL DEFAULT 0,
    repeated bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (system, flow)
);
COMMENT ON TABLE source_sequence IS
    'engine/inbox: numbers received from each source; gaps are what its span lacks';

-- Contracts (governance) -----------------------------------------------------------------------
CREATE TABLE message_contract (
    name text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    status text NOT NULL DEFAULT 'draft'
        CHECK (status IN ('draft', 'active', 'deprecated', 'retired')),
    direction text NOT NULL DEFAULT 'reported' CHECK (direction IN ('reported', 'told')),
    owner_team text NOT NULL,
    schema json NOT NULL,
    description text NOT NULL DEFAULT '',
    published_at timestamptz,
    deprecated_at timestamptz,
    sunset_on date,
    correlation_id text NOT NULL DEFAULT '',
    PRIMARY KEY (name, version)
);
COMMENT ON TABLE message_contract IS 'governance: versioned message contracts and where they are in life';

CREATE TABLE mapping (
    system text NOT NULL,
    name text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'active', 'retired')),
    body json NOT NULL,
    author text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    correlation_id text NOT NULL DEFAULT '',
    PRIMARY KEY (system, name, version)
);
COMMENT ON TABLE mapping IS 'governance: declarative mappings of partners that need no code';

-- Snapshots (domain/snapshots) -----------------------------------------------------------------
CREATE TABLE snapshot (
    snapshot_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    system text NOT NULL,
    number text NOT NULL,
    cutoff_at timestamptz NOT NULL,
    sequence bigint,
    meaning text NOT NULL DEFAULT 'available'
        CHECK (meaning IN ('available', 'on_hand', 'available_net_of_promises')),
    is_authoritative boolean NOT NULL DEFAULT false,
    format text NOT NULL CHECK (format IN ('csv', 'ndjson', 'json')),
    content_hash bytea,
    bytes bigint NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    compared_at timestamptz,
    settled_at timestamptz,
    state text NOT NULL DEFAULT 'receiving' CHECK (state IN
        ('receiving', 'loading', 'booking', 'compared', 'superseded', 'failed')),
    rows_total bigint NOT NULL DEFAULT 0,
    rows_unchanged bigint NOT NULL DEFAULT 0,
    rows_different bigint NOT NULL DEFAULT 0,
    rows_bad bigint NOT NULL DEFAULT 0,
    detail text NOT NULL DEFAULT '',
    principal text NOT NULL,
    correlation_id text NOT NULL
);
COMMENT ON TABLE snapshot IS 'domain/snapshots: a partner''s stock report: stored, rebased, compared';
CREATE UNIQUE INDEX snapshot_number ON snapshot (system, number)
    WHERE state NOT IN ('receiving', 'failed');
CREATE INDEX snapshot_unfinished ON snapshot (snapshot_id)
    WHERE state IN ('receiving', 'loading', 'booking');

CREATE TABLE snapshot_chunk (
    snapshot_id bigint NOT NULL REFERENCES snapshot ON DELETE CASCADE,
    chunk_number bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (snapshot_id, chunk_number)
);
COMMENT ON TABLE snapshot_chunk IS 'domain/snapshots: the bytes of a report as they came, piece by piece';

CREATE UNLOGGED TABLE snapshot_stage (
    snapshot_id bigint NOT NULL,
    row_number bigint NOT NULL,
    sku text,
    namespace text,
    alias text,
    location text,
    account smallint,
    quantity bigint,
    reason text
);
COMMENT ON TABLE snapshot_stage IS
    'domain/snapshots: rows as read, for the time of the transaction that compares them';

CREATE TABLE snapshot_place (
    snapshot_id bigint NOT NULL REFERENCES snapshot ON DELETE CASCADE,
    location_id bigint NOT NULL REFERENCES location,
    is_authoritative boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('booking', 'drift', 'settled', 'superseded')),
    rows_drift bigint NOT NULL DEFAULT 0,
    units_drift bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (snapshot_id, location_id)
);
COMMENT ON TABLE snapshot_place IS
    'domain/snapshots: what a report says of one location, and whether its differences are open';
CREATE INDEX snapshot_place_location ON snapshot_place (location_id, snapshot_id);

CREATE TABLE snapshot_row (
    snapshot_id bigint NOT NULL,
    row_number bigint NOT NULL,
    item_id bigint,
    location_id bigint,
    version bigint,
    quantity bigint,
    stated bigint,
    rebased bigint,
    booked bigint,
    account smallint,
    name text,
    location text,
    outcome text NOT NULL,
    reason text,
    PRIMARY KEY (snapshot_id, row_number)
);
COMMENT ON TABLE snapshot_row IS
    'domain/snapshots: a reported figure, what it comes to after later movements, what we had, what became of it';
COMMENT ON COLUMN snapshot_row.stated IS
    'the reported quantity in terms of the state at the cut-off; rebased: with our later movements';
COMMENT ON COLUMN snapshot_row.name IS 'the item as reported where that is not its SKU; of an unreadable row its text';
COMMENT ON COLUMN snapshot_row.version IS 'batch_id of the balance it was compared with';
CREATE INDEX snapshot_row_different ON snapshot_row (snapshot_id, outcome, row_number)
    WHERE outcome <> 'unchanged';

-- Finds what moved after a cut-off without reading the history before it.
CREATE INDEX movement_occurred ON movement USING brin (occurred_at);

-- Lots and serials (domain/ledger) -------------------------------------------------------------
ALTER TABLE movement ADD COLUMN lot text, ADD COLUMN serials text[];
CREATE TABLE lot_balance (
    item_id bigint NOT NULL,
    location_id bigint NOT NULL,
    lot text NOT NULL,
    available bigint NOT NULL DEFAULT 0,
    allocated bigint NOT NULL DEFAULT 0,
    picked bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (item_id, location_id, lot)
);
COMMENT ON TABLE lot_balance IS 'domain/ledger: the physical states by lot, where movements name one';

CREATE TABLE serial_unit (
    item_id bigint NOT NULL,
    serial text NOT NULL,
    location_id bigint NOT NULL,
    account smallint NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (item_id, serial)
);
COMMENT ON TABLE serial_unit IS 'domain/ledger: where each serial number was last, by the source''s clock';

CREATE TABLE serial_sighting (
    item_id bigint NOT NULL,
    serial text NOT NULL,
    fact_key uuid NOT NULL,
    location_id bigint NOT NULL,
    account smallint NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (item_id, serial, fact_key, occurred_at, account, location_id)
);
COMMENT ON TABLE serial_sighting IS
    'domain/ledger: where each fact left the serial numbers it named; serial_unit is the newest that stands';
CREATE INDEX serial_sighting_fact ON serial_sighting (fact_key);

-- Facts gain what makes conflicts and running totals commute ------------------------------------
ALTER TABLE fact ADD COLUMN rank text NOT NULL DEFAULT '';
COMMENT ON COLUMN fact.rank IS 'of two reports that disagree the one with the lower rank stands';

CREATE TABLE fact_line (
    line_key uuid PRIMARY KEY,
    reports json NOT NULL
);
COMMENT ON TABLE fact_line IS
    'domain/ledger: everything reported of a document line, by business key; what is booked follows from it';

ALTER TABLE fulfilment_line
    ADD COLUMN deallocated bigint NOT NULL DEFAULT 0;

ALTER TABLE reservation ADD COLUMN promised json;
COMMENT ON COLUMN reservation.promised IS
    'what was promised by line and place, from the first report of a building on; the holds follow from it';

INSERT INTO reason_code (code, description, sign, account) VALUES
    ('TRANSFORMATION', 'Consumed or produced by making one thing of another', 0, 'adjustment');

-- GS1 keys (domain/masters) ---------------------------------------------------------------------
ALTER TABLE location ADD COLUMN gln text;
COMMENT ON COLUMN location.gln IS 'Global Location Number, 13 digits: what EPCIS and EDI call it';
CREATE UNIQUE INDEX location_gln ON location (gln) WHERE gln IS NOT NULL;
CREATE INDEX item_gtin ON item (lpad(gtin, 14, '0')) WHERE gtin IS NOT NULL;

-- Doors (ingress, governance) --------------------------------------------------------------------
CREATE TABLE system_secret (
    secret_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    system text NOT NULL,
    name text NOT NULL,
    ciphertext bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
COMMENT ON TABLE system_secret IS
    'governance: partners'' secrets, encrypted; two are active while one replaces the other';
CREATE INDEX system_secret_name ON system_secret (system, name, secret_id);

CREATE TABLE epcis_capture (
    capture_id uuid PRIMARY KEY,
    system text NOT NULL,
    principal text NOT NULL,
    correlation_id text NOT NULL,
    error_behaviour text NOT NULL CHECK (error_behaviour IN ('rollback', 'proceed')),
    received_at timestamptz NOT NULL DEFAULT now(),
    message_ids bigint[] NOT NULL,
    errors json NOT NULL
);
COMMENT ON TABLE epcis_capture IS
    'ingress: EPCIS documents that were captured: their events'' messages, and what was refused';
CREATE INDEX message_epcis ON message (source_message_id) WHERE door = 'epcis';

CREATE TABLE poll_feed (
    system text NOT NULL,
    feed text NOT NULL,
    is_connectors boolean NOT NULL DEFAULT false,
    source json NOT NULL,
    is_paused boolean NOT NULL DEFAULT false,
    mark timestamptz,
    due_at timestamptz NOT NULL DEFAULT now(),
    called_at timestamptz,
    leased_until timestamptz,
    polled_at timestamptz,
    began_at timestamptz,
    heard_at timestamptz,
    contracts text[] NOT NULL DEFAULT '{}',
    items_read bigint NOT NULL DEFAULT 0,
    items_missed bigint NOT NULL DEFAULT 0,
    failures bigint NOT NULL DEFAULT 0,
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (system, feed)
);
COMMENT ON TABLE poll_feed IS
    'ingress: feeds that are read from partners, how far each is and what only polling brought';
COMMENT ON COLUMN poll_feed.mark IS 'the newest timestamp of an item that was kept';
COMMENT ON COLUMN poll_feed.is_connectors IS
    'read through the system''s connector, as its manifest says; else over HTTP, as described in source';
COMMENT ON COLUMN poll_feed.called_at IS 'when somebody last asked for a poll out of turn';
COMMENT ON COLUMN poll_feed.began_at IS
    'when the newest poll that came to its end began; heard_at: of those whose messages are all applied';
COMMENT ON COLUMN poll_feed.contracts IS 'of the messages that polls told, also those other doors brought';
COMMENT ON COLUMN poll_feed.failures IS 'in a row; 0 once a poll came to its end';

CREATE TABLE system_test (
    system text PRIMARY KEY REFERENCES system (code),
    tested_at timestamptz NOT NULL,
    is_good boolean NOT NULL,
    fingerprint text NOT NULL,
    checks json NOT NULL,
    actor text NOT NULL
);
COMMENT ON TABLE system_test IS 'ingress: the newest test of each system; certifying asks for a good and fresh one';
COMMENT ON COLUMN system_test.fingerprint IS 'of the configuration and secrets that were tested';
