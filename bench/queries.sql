-- Statements of the bench on databases of its own: it writes tables directly to prepare them.

-- name: stated_settings
-- The settings that bear on the figures, as people write them.
SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%(names)s::text[]);

-- name: vacuum
-- Leaves nothing for autovacuum to do.
VACUUM (ANALYZE);

-- name: checkpoint
-- Starts every measurement just after a checkpoint.
CHECKPOINT;

-- name: add_items
-- Items S1, S2, ...
INSERT INTO item (sku) SELECT 'S' || number FROM generate_series(1, %(items)s::bigint) AS number;

-- name: add_locks
-- The row that the engine locks for each item.
INSERT INTO item_lock (item_id) SELECT item_id FROM item;

-- name: add_balances
-- More of every item at every location than any run can sell.
INSERT INTO balance (item_id, location_id, available)
SELECT item_id, location_id, 1000000000 FROM item, location;

-- name: bump_epoch
-- Makes caches of masters read again.
UPDATE masters_epoch SET epoch = epoch + 1;

-- name: copy_of_movement
-- A table like the ledger: same columns, key and index, no partitions.
CREATE TABLE movement_copy (LIKE movement INCLUDING ALL);

-- name: fill_copy
-- The floor of every bulk load.
COPY movement_copy (movement_id, batch_id, kind, item_id, location_id, from_account, to_account,
                    quantity, occurred_at, recorded_at, document_type, document_number,
                    document_line, correlation_id) FROM STDIN;

-- name: set_batch_id
-- Past orders have used the batch numbers up to here.
SELECT setval('batch_id_seq', %(batches)s::bigint + 1);

-- name: past_batches
-- One batch for 256 past orders.
INSERT INTO batch (batch_id, recorded_at, movements, digest)
SELECT number, now(), 768, '\x00' FROM generate_series(1, %(batches)s::bigint) AS number;

-- name: past_reservations
-- Orders of one line, long since shipped.
INSERT INTO reservation (reservation_id, channel_id, reference, state, mode, lines, created_at,
                         ended_at, principal, correlation_id)
SELECT (1 + number / 256 << 20) + number %% 256, 1, 'past-' || number, 'fulfilled',
       'all_or_nothing',
       json_build_array(json_build_array(1, item, 'S' || item, 1, NULL, 1, NULL,
                                         json_build_array(json_build_array(item, 1)))),
       now(), now(), 'bench', 'past-' || number
FROM (SELECT number, 1 + number * 7919 %% %(items)s::bigint AS item
      FROM generate_series(0, %(orders)s::bigint - 1) AS number) AS past;

-- name: past_movements
-- What each of them moved: promised, promise kept, shipped.
INSERT INTO movement (movement_id, batch_id, kind, item_id, location_id, from_account, to_account,
                      quantity, occurred_at, recorded_at, document_type, document_number,
                      document_line, correlation_id)
SELECT (1 + number / 256 << 20) + 256 + number %% 256 * 3 + step.no, 1 + number / 256, step.kind,
       1 + number * 7919 %% %(items)s::bigint, 1, step.giver, step.taker, 1, now(), now(),
       step.document, 'past-' || number, '1', 'past-' || number
FROM generate_series(0, %(orders)s::bigint - 1) AS number,
     (VALUES (0, 17, 25, 7, 'reservation'), (1, 18, 7, 25, 'reservation'),
             (2, 8, 1, 21, 'shipment')) AS step (no, kind, giver, taker, document);

-- name: past_fulfilments
-- What the building reported of each.
INSERT INTO fulfilment_line (fulfilment, line, item_id, location_id, reservation_id, shipped)
SELECT 'past-' || number, '1', 1 + number * 7919 %% %(items)s::bigint, 1,
       (1 + number / 256 << 20) + number %% 256, 1
FROM generate_series(0, %(orders)s::bigint - 1) AS number;

-- name: past_facts
-- The business key of each shipment.
INSERT INTO fact (fact_key, kind, item_id, location_id, quantity, source, batch_id,
                  document_number, recorded_at)
SELECT gen_random_uuid(), 'ship', 1 + number * 7919 %% %(items)s::bigint, 1, 1, 'bench',
       1 + number / 256, 'past-' || number, now()
FROM generate_series(0, %(orders)s::bigint - 1) AS number;

-- name: past_requests
-- The idempotency keys of each: order and shipment.
INSERT INTO request (request_key, body_hash, status, answer, recorded_at, correlation_id)
SELECT gen_random_uuid(), '\x00', 201, convert_to(repeat('x', 300), 'UTF8'), now(),
       'past-' || number
FROM generate_series(0, 2 * %(orders)s::bigint - 1) AS number;

-- name: add_shop
-- The system that takes the channel's figures.
WITH made AS (
    INSERT INTO system (code, kind, connector, lifecycle, operations)
    VALUES (%(system)s::text, 'storefront', 'loopback', 'live', '{publish}')
)
UPDATE channel SET system = %(system)s::text WHERE code = %(channel)s::text;

-- name: add_listings
-- Every item listed under its SKU: due to go up by one, or showing what it shall.
INSERT INTO listing (system, channel_id, item_id, item, state, risk, due_at, waiting_since,
                     desired, desired_version, published, heard_from)
SELECT %(system)s::text, c.channel_id, i.item_id, i.sku,
       CASE WHEN %(due)s::boolean THEN 'dirty' ELSE 'ok' END, 3,
       CASE WHEN %(due)s::boolean THEN now() END, CASE WHEN %(due)s::boolean THEN now() END,
       f.figure, 1, f.figure - %(due)s::boolean::int, now()
FROM item i CROSS JOIN channel c
CROSS JOIN LATERAL (SELECT %(held)s::bigint AS figure) AS f
WHERE c.code = %(channel)s::text
ORDER BY i.item_id;

-- name: listings_due
-- Listings that are not told yet what they shall show.
SELECT count(*) FROM listing WHERE due_at IS NOT NULL;

-- name: hot_listing
-- The one item that everybody changes.
SELECT l.listing_id, l.desired FROM listing l JOIN item i USING (item_id) WHERE i.sku = 'S1';
