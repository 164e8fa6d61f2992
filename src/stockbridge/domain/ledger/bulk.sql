-- Bulk booking of absolute figures: the items are locked by the caller.

-- name: next_batch
-- A batch's id and its moment, taken under the locks.
SELECT nextval('batch_id_seq'), clock_timestamp();

-- name: balances_before
-- What the items hold now at the locations. The range keeps the plan on the index while the table
-- grows faster than its statistics.
SELECT b.item_id, b.location_id, b.available, b.allocated, b.picked, b.quarantined,
    b.in_transit, b.on_order, b.safety_stock
FROM balance b
WHERE b.item_id BETWEEN %(first)s::bigint AND %(last)s::bigint
AND b.item_id = ANY(%(items)s::bigint[]) AND b.location_id = ANY(%(locations)s::bigint[]);

-- name: copy_movements
-- Streams movements in; a reversal or a reason is never part of an import.
COPY movement (
    movement_id, batch_id, kind, item_id, location_id, from_account, to_account, quantity,
    occurred_at, recorded_at, document_type, document_number, document_line, unit_cost,
    correlation_id
) FROM STDIN (FORMAT binary);

-- name: copy_balances
-- Streams the balances of new pairs in.
COPY balance (
    item_id, location_id, available, allocated, picked, quarantined, in_transit, on_order,
    safety_stock, batch_id, counted_at
) FROM STDIN (FORMAT binary);

-- name: set_balances
-- Sets the figures of pairs that have a balance, and when available was counted if it was.
UPDATE balance b SET
    available = a.available, allocated = a.allocated, picked = a.picked,
    quarantined = a.quarantined, in_transit = a.in_transit, on_order = a.on_order,
    safety_stock = a.safety_stock, batch_id = %(batch_id)s::bigint,
    counted_at = coalesce(%(counted_at)s::timestamptz, b.counted_at)
FROM unnest(
    %(items)s::bigint[], %(locations)s::bigint[], %(available)s::bigint[],
    %(allocated)s::bigint[], %(picked)s::bigint[], %(quarantined)s::bigint[],
    %(in_transit)s::bigint[], %(on_order)s::bigint[], %(safety_stock)s::bigint[]
) AS a (
    item_id, location_id, available, allocated, picked, quarantined, in_transit, on_order,
    safety_stock
)
WHERE b.item_id = a.item_id AND b.location_id = a.location_id;

-- name: anchor_available
-- Notes that available was counted.
UPDATE balance b SET counted_at = %(counted_at)s::timestamptz
FROM unnest(%(items)s::bigint[], %(locations)s::bigint[]) AS a (item_id, location_id)
WHERE b.item_id = a.item_id AND b.location_id = a.location_id;

-- name: anchor_state
-- Notes that another state was counted.
INSERT INTO count_anchor (item_id, location_id, account, counted_at)
SELECT a.item_id, a.location_id, %(account)s::smallint, %(counted_at)s::timestamptz
FROM unnest(%(items)s::bigint[], %(locations)s::bigint[]) AS a (item_id, location_id)
ON CONFLICT (item_id, location_id, account) DO UPDATE SET counted_at = excluded.counted_at;

-- name: add_batch
-- Records a batch and leaves it for the sealer.
WITH added AS (
    INSERT INTO batch (batch_id, recorded_at, movements, digest) VALUES (
        %(batch_id)s::bigint, %(recorded_at)s::timestamptz, %(movements)s::bigint,
        %(digest)s::bytea
    ) RETURNING batch_id
)
INSERT INTO unsealed (batch_id) SELECT batch_id FROM added;

-- name: touch_feeds
-- Notes that the locations told us something, lowest id first.
INSERT INTO location_feed AS f (location_id, seen_at)
SELECT u.location_id, clock_timestamp()
FROM unnest(%(locations)s::bigint[]) AS u (location_id) ORDER BY u.location_id
ON CONFLICT (location_id) DO UPDATE SET seen_at = greatest(f.seen_at, excluded.seen_at);

-- name: notify_reload
-- Tells every view, at commit, to load the balances again.
SELECT pg_notify('stockbridge_stock', 'reload');
