-- Orders: the way a channel's orders take, the orders, what became of them.

CREATE TABLE order_flow (
    channel_id bigint NOT NULL REFERENCES channel,
    version bigint NOT NULL,
    author text NOT NULL,
    erp text REFERENCES system (code),
    release text NOT NULL CHECK (release IN ('auto', 'complete', 'manual')),
    needs_payment boolean NOT NULL,
    asks_building boolean NOT NULL,
    recorded_at timestamptz NOT NULL,
    correlation_id text NOT NULL,
    PRIMARY KEY (channel_id, version)
);
COMMENT ON TABLE order_flow IS 'domain/masters: versions of the way a channel''s orders take; never edited';

CREATE TABLE sales_order (
    order_id bigint PRIMARY KEY,
    channel_id bigint NOT NULL REFERENCES channel,
    number text NOT NULL,
    state text NOT NULL,
    reservation_id bigint,
    content json NOT NULL,
    events bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    ended_at timestamptz,
    correlation_id text NOT NULL,
    told json NOT NULL DEFAULT '{}',
    UNIQUE (channel_id, number)
) WITH (fillfactor = 85);
COMMENT ON TABLE sales_order IS 'domain/orders: an order of a channel and everything stated of it; reservation null: not placed yet';
COMMENT ON COLUMN sales_order.told IS 'what deliveries owed to the channel''s system say of it';
CREATE INDEX sales_order_reservation ON sales_order (reservation_id);
CREATE INDEX sales_order_number ON sales_order (number);
CREATE INDEX sales_order_open ON sales_order (state, order_id) WHERE ended_at IS NULL;

CREATE TABLE order_event (
    order_id bigint NOT NULL,
    event_no bigint NOT NULL,
    what text NOT NULL,
    state text NOT NULL,
    recorded_at timestamptz NOT NULL,
    principal text NOT NULL,
    system text,
    message_id text,
    correlation_id text NOT NULL,
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (order_id, event_no)
);
COMMENT ON TABLE order_event IS 'domain/orders: the timeline: each change of an order, append-only';
CREATE INDEX order_event_correlation ON order_event (correlation_id);

-- What waits for stock, for the filler.
CREATE INDEX hold_backordered ON hold (item_id, reservation_id) WHERE account = 8;

-- What was reported of an order's reservation.
CREATE INDEX fulfilment_line_reservation ON fulfilment_line (reservation_id)
WHERE reservation_id IS NOT NULL;
