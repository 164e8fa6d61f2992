-- name: open_batch
-- Numbers a batch and reads our clock and the masters' epoch, once its items are locked.
SELECT nextval('batch_id_seq'), clock_timestamp(),
       (SELECT epoch FROM masters_epoch);

-- name: read_balances
-- Reads the balances of the items at the locations; every location when none is given.
SELECT b.item_id, b.available, b.allocated, b.picked, b.quarantined, b.in_transit, b.on_order,
       b.reserved, b.backordered, b.safety_stock, b.location_id, b.counted_at, b.batch_id
FROM unnest(%(items)s::bigint[]) AS wanted (item_id)
JOIN balance b USING (item_id)
WHERE %(locations)s::bigint[] IS NULL OR b.location_id = ANY (%(locations)s::bigint[]);

-- name: read_anchors
-- Reads the newest counts of the states other than available.
SELECT a.item_id, a.location_id, a.account, a.counted_at
FROM count_anchor a
WHERE a.item_id = ANY (%(items)s::bigint[]);

-- name: read_supplies
-- Reads the open pipeline of the documents.
SELECT s.item_id, s.location_id, s.document_type, s.document_number, s.document_line, s.account,
       s.quantity, s.expected_at
FROM supply s
WHERE s.item_id = ANY (%(items)s::bigint[]) AND s.document_number = ANY (%(documents)s::text[]);

-- name: read_facts
-- Reads which business keys are booked.
SELECT replace(fact_key::text, '-', ''), kind, item_id, location_id, quantity, source,
       document_number, rank
FROM fact
WHERE fact_key = ANY (%(keys)s::uuid[]);

-- name: read_lines
-- Reads what is reported of document lines.
SELECT replace(line_key::text, '-', ''), reports::text
FROM fact_line
WHERE line_key = ANY (%(keys)s::uuid[]);

-- name: put_lines
-- Keeps what is reported of document lines.
INSERT INTO fact_line (line_key, reports)
SELECT * FROM unnest(%(keys)s::uuid[], %(reports)s::json[])
ON CONFLICT (line_key) DO UPDATE SET reports = excluded.reports;

-- name: move_lots
-- Adds what moved to the lots' balances.
INSERT INTO lot_balance AS b (item_id, location_id, lot, available, allocated, picked, quarantined)
SELECT * FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(lots)s::text[],
                     %(available)s::bigint[], %(allocated)s::bigint[], %(picked)s::bigint[],
                     %(quarantined)s::bigint[])
ON CONFLICT (item_id, location_id, lot) DO UPDATE
SET available = b.available + excluded.available, allocated = b.allocated + excluded.allocated,
    picked = b.picked + excluded.picked, quarantined = b.quarantined + excluded.quarantined;

-- name: keep_sightings
-- Keeps which facts named serial numbers, and where they left them.
INSERT INTO serial_sighting (item_id, serial, fact_key, location_id, account, occurred_at)
SELECT * FROM unnest(%(items)s::bigint[], %(serials)s::text[], %(keys)s::uuid[],
                     %(locations)s::bigint[], %(accounts)s::smallint[], %(moments)s::timestamptz[])
ON CONFLICT DO NOTHING;

-- name: withdraw_sightings
-- Forgets where facts that were taken back had left serial numbers; the newest other stands.
WITH gone AS (
    DELETE FROM serial_sighting
    WHERE fact_key = ANY (%(keys)s::uuid[])
    RETURNING item_id, serial
),
newest AS (
    SELECT DISTINCT ON (g.item_id, g.serial) g.item_id, g.serial, s.location_id, s.account,
           s.occurred_at
    FROM gone g
    LEFT JOIN serial_sighting s ON s.item_id = g.item_id AND s.serial = g.serial
        AND s.fact_key <> ALL (%(keys)s::uuid[])
    ORDER BY g.item_id, g.serial, s.occurred_at DESC, s.account DESC, s.location_id DESC
),
moved AS (
    UPDATE serial_unit u
    SET location_id = n.location_id, account = n.account, occurred_at = n.occurred_at
    FROM newest n
    WHERE u.item_id = n.item_id AND u.serial = n.serial AND n.occurred_at IS NOT NULL
)
DELETE FROM serial_unit u
USING newest n
WHERE u.item_id = n.item_id AND u.serial = n.serial AND n.occurred_at IS NULL;

-- name: place_serials
-- Keeps where serial numbers were last; an older report never replaces a newer one.
INSERT INTO serial_unit AS s (item_id, serial, location_id, account, occurred_at)
SELECT * FROM unnest(%(items)s::bigint[], %(serials)s::text[], %(locations)s::bigint[],
                     %(accounts)s::smallint[], %(moments)s::timestamptz[])
ON CONFLICT (item_id, serial) DO UPDATE
SET location_id = excluded.location_id, account = excluded.account,
    occurred_at = excluded.occurred_at
WHERE (excluded.occurred_at, excluded.account, excluded.location_id)
    > (s.occurred_at, s.account, s.location_id);

-- name: sum_moved_since
-- Sums what moved after a moment (NULL: now); no fact is dated over a day after its recording.
SELECT w.item_id, w.location_id, w.account, w.counted_at,
       coalesce(sum(CASE WHEN m.to_account = w.account THEN m.quantity ELSE -m.quantity END), 0)
           ::bigint
FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(accounts)s::bigint[],
            %(moments)s::timestamptz[]) AS w (item_id, location_id, account, counted_at)
LEFT JOIN movement m
    ON m.item_id = w.item_id AND m.location_id = w.location_id
   AND m.occurred_at > coalesce(w.counted_at, clock_timestamp())
   AND m.recorded_at > coalesce(w.counted_at, clock_timestamp()) - interval '2 days'
   AND (m.to_account = w.account OR m.from_account = w.account)
GROUP BY w.item_id, w.location_id, w.account, w.counted_at;

-- name: read_booked
-- Reads what was booked of items for documents, oldest first.
SELECT m.movement_id, m.item_id, m.location_id, m.from_account, m.to_account, m.quantity,
       m.document_number, m.document_line, m.reverses
FROM unnest(%(items)s::bigint[], %(documents)s::text[]) AS w (item_id, document_number)
JOIN movement m USING (item_id, document_number)
ORDER BY m.movement_id;

-- name: add_movements
-- Appends the movements of a batch; occurred_at in microseconds since 1970.
INSERT INTO movement
    (movement_id, batch_id, kind, item_id, location_id, from_account, to_account, quantity,
     occurred_at, recorded_at, document_type, document_number, document_line, reason, unit_cost,
     message_id, correlation_id, reverses, lot, serials)
SELECT m.movement_id, %(batch_id)s::bigint, m.kind, m.item_id, m.location_id, m.from_account,
       m.to_account, m.quantity,
       timestamptz 'epoch' + m.occurred_us * interval '1 microsecond', %(now)s::timestamptz,
       m.document_type, m.document_number, m.document_line, m.reason, m.unit_cost, m.message_id,
       m.correlation_id, m.reverses, m.lot, string_to_array(m.serials, chr(29))
FROM unnest(%(ids)s::bigint[], %(kinds)s::smallint[], %(items)s::bigint[],
            %(locations)s::bigint[], %(from_accounts)s::smallint[], %(to_accounts)s::smallint[],
            %(quantities)s::bigint[], %(occurred)s::bigint[], %(document_types)s::text[],
            %(document_numbers)s::text[], %(document_lines)s::text[], %(reasons)s::text[],
            %(unit_costs)s::numeric[], %(message_ids)s::text[], %(correlation_ids)s::text[],
            %(reverses)s::bigint[], %(lots)s::text[], %(serials)s::text[])
     AS m (movement_id, kind, item_id, location_id, from_account, to_account, quantity,
           occurred_us, document_type, document_number, document_line, reason, unit_cost,
           message_id, correlation_id, reverses, lot, serials);

-- name: keep_batch
-- Keeps the digest of a batch and queues it for sealing.
WITH made AS (
    INSERT INTO batch (batch_id, recorded_at, movements, digest)
    VALUES (%(batch_id)s::bigint, %(now)s::timestamptz, %(movements)s::bigint, %(digest)s::bytea)
    RETURNING batch_id
)
INSERT INTO unsealed (batch_id) SELECT batch_id FROM made;

-- name: write_balances
-- Writes balances that exist, as decided under their items' locks.
UPDATE balance b
SET available = n.available, allocated = n.allocated, picked = n.picked,
    quarantined = n.quarantined, in_transit = n.in_transit, on_order = n.on_order,
    reserved = n.reserved, backordered = n.backordered, safety_stock = n.safety_stock,
    batch_id = %(batch_id)s::bigint
FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(available)s::bigint[],
            %(allocated)s::bigint[], %(picked)s::bigint[], %(quarantined)s::bigint[],
            %(in_transit)s::bigint[], %(on_order)s::bigint[], %(reserved)s::bigint[],
            %(backordered)s::bigint[], %(safety_stock)s::bigint[])
     AS n (item_id, location_id, available, allocated, picked, quarantined, in_transit, on_order,
           reserved, backordered, safety_stock)
WHERE b.item_id = n.item_id AND b.location_id = n.location_id;

-- name: write_balances_unchanged
-- Writes balances decided before locking; fails as a whole if a row or the masters changed since.
WITH written AS (
    UPDATE balance b
    SET available = n.available, allocated = n.allocated, picked = n.picked,
        quarantined = n.quarantined, in_transit = n.in_transit, on_order = n.on_order,
        reserved = n.reserved, backordered = n.backordered, safety_stock = n.safety_stock,
        batch_id = %(batch_id)s::bigint
    FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(available)s::bigint[],
                %(allocated)s::bigint[], %(picked)s::bigint[], %(quarantined)s::bigint[],
                %(in_transit)s::bigint[], %(on_order)s::bigint[], %(reserved)s::bigint[],
                %(backordered)s::bigint[], %(safety_stock)s::bigint[], %(versions)s::bigint[])
         AS n (item_id, location_id, available, allocated, picked, quarantined, in_transit,
               on_order, reserved, backordered, safety_stock, version)
    WHERE b.item_id = n.item_id AND b.location_id = n.location_id AND b.batch_id = n.version
    RETURNING 1
)
SELECT require_unchanged(
    (SELECT count(*) FROM written) = %(expected)s::bigint
    AND (SELECT epoch FROM masters_epoch) = %(epoch)s::bigint);

-- name: next_batches
-- Numbers batches ahead of time.
SELECT nextval('batch_id_seq') FROM generate_series(1, %(count)s::bigint);

-- name: add_balances
-- Writes balances of pairs that had none.
INSERT INTO balance
    (item_id, location_id, available, allocated, picked, quarantined, in_transit, on_order,
     reserved, backordered, safety_stock, batch_id)
SELECT n.*, %(batch_id)s::bigint
FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(available)s::bigint[],
            %(allocated)s::bigint[], %(picked)s::bigint[], %(quarantined)s::bigint[],
            %(in_transit)s::bigint[], %(on_order)s::bigint[], %(reserved)s::bigint[],
            %(backordered)s::bigint[], %(safety_stock)s::bigint[]) AS n;

-- name: set_available_anchors
-- Keeps the newest count of available with its balance.
UPDATE balance b SET counted_at = n.counted_at
FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(moments)s::timestamptz[])
     AS n (item_id, location_id, counted_at)
WHERE b.item_id = n.item_id AND b.location_id = n.location_id;

-- name: set_anchors
-- Keeps the newest count of the other states.
INSERT INTO count_anchor (item_id, location_id, account, counted_at)
SELECT * FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(accounts)s::smallint[],
                     %(moments)s::timestamptz[])
ON CONFLICT (item_id, location_id, account) DO UPDATE SET counted_at = excluded.counted_at;

-- name: set_supplies
-- Keeps the open pipeline of document lines.
INSERT INTO supply
    (item_id, location_id, document_type, document_number, document_line, account, quantity,
     expected_at)
SELECT * FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(types)s::text[],
                     %(numbers)s::text[], %(lines)s::text[], %(accounts)s::smallint[],
                     %(quantities)s::bigint[], %(moments)s::timestamptz[])
ON CONFLICT (item_id, location_id, document_type, document_number, document_line, account)
DO UPDATE SET quantity = excluded.quantity, expected_at = excluded.expected_at;

-- name: put_facts
-- Remembers business keys as booked, with the report that stands.
INSERT INTO fact
    (fact_key, kind, item_id, location_id, quantity, source, document_number, rank, batch_id,
     recorded_at)
SELECT n.*, %(batch_id)s::bigint, %(now)s::timestamptz
FROM unnest(%(keys)s::uuid[], %(kinds)s::text[], %(items)s::bigint[], %(locations)s::bigint[],
            %(quantities)s::bigint[], %(sources)s::text[], %(numbers)s::text[],
            %(ranks)s::text[]) AS n
ON CONFLICT (fact_key) DO UPDATE
SET quantity = excluded.quantity, source = excluded.source, rank = excluded.rank,
    batch_id = excluded.batch_id, recorded_at = excluded.recorded_at;

-- name: note_feeds
-- Notes that locations were heard from; an older moment never replaces a newer one.
INSERT INTO location_feed (location_id, seen_at)
SELECT n.location_id, n.seen_at
FROM unnest(%(locations)s::bigint[], %(moments)s::timestamptz[]) AS n (location_id, seen_at)
ORDER BY n.location_id
ON CONFLICT (location_id) DO UPDATE
SET seen_at = greatest(location_feed.seen_at, excluded.seen_at);
