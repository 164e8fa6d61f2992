-- Reads of the stock view and of the store in its place; nothing here writes.

-- name: listen_stock
-- Hear every change of stock.
LISTEN stockbridge_stock;

-- name: listen_masters
-- Hear every change of masters.
LISTEN stockbridge_masters;

-- name: listen_beat
-- Hear the views' heartbeats.
LISTEN stockbridge_beat;

-- name: beat
-- A view's heartbeat: when it comes back, every change committed before it has come too.
SELECT pg_notify('stockbridge_beat', %(beat)s::text);

-- name: stream_items
-- Every item, for a server-side cursor.
SELECT item_id, sku FROM item;

-- name: stream_balances
-- Every item's balances packed as big-endian (location, available, reserved, safety, backordered).
SELECT item_id, string_agg(
    int8send(location_id) || int8send(available) || int8send(reserved)
    || int8send(safety_stock) || int8send(backordered), ''::bytea
) AS packed
FROM balance GROUP BY item_id;

-- name: pack_balances
-- The same of some items.
SELECT item_id, string_agg(
    int8send(location_id) || int8send(available) || int8send(reserved)
    || int8send(safety_stock) || int8send(backordered), ''::bytea
) AS packed
FROM balance WHERE item_id = ANY(%(items)s::bigint[]) GROUP BY item_id;

-- name: pack_fences
-- Fences packed as (location, channel, quantity); of every item if none is named.
SELECT item_id, string_agg(
    int8send(location_id) || int8send(channel_id) || int8send(quantity), ''::bytea
) AS packed
FROM fence
WHERE quantity > 0 AND (%(items)s::bigint[] IS NULL OR item_id = ANY(%(items)s::bigint[]))
GROUP BY item_id;

-- name: pack_supply
-- Dated pipeline packed as (location, quantity, expected in us); of every item if none is named.
SELECT item_id, string_agg(
    int8send(location_id) || int8send(quantity)
    || int8send((extract(epoch FROM expected_at) * 1000000)::bigint), ''::bytea
) AS packed
FROM supply
WHERE quantity > 0 AND expected_at IS NOT NULL
AND (%(items)s::bigint[] IS NULL OR item_id = ANY(%(items)s::bigint[]))
GROUP BY item_id;

-- name: kits
-- Kits and their components; every kit if no item is named.
SELECT item_id, component_item_id, quantity FROM kit_component
WHERE %(items)s::bigint[] IS NULL OR item_id = ANY(%(items)s::bigint[])
ORDER BY item_id, component_item_id;

-- name: feeds
-- When each location last told us anything, in microseconds.
SELECT location_id, (extract(epoch FROM seen_at) * 1000000)::bigint FROM location_feed;

-- name: newer_items
-- Items the view does not know yet.
SELECT item_id, sku FROM item WHERE item_id > %(known)s::bigint;

-- name: items_by_sku
-- Items by SKU.
SELECT item_id, sku FROM item WHERE sku = ANY(%(skus)s::text[]);

-- name: items_by_id
-- Items by id.
SELECT item_id, sku FROM item WHERE item_id = ANY(%(items)s::bigint[]);

-- name: told
-- What the partner of a channel shall show of an item, was told, and has confirmed.
SELECT json_build_object(
    'id', l.listing_id::text, 'system', l.system, 'location', p.code, 'item', l.item,
    'state', l.state, 'desired', l.desired, 'desired_at', l.desired_at, 'unheard', l.unheard,
    'published', l.published, 'published_at', l.published_at, 'accepted_at', l.accepted_at,
    'verified', l.verified, 'verified_at', l.verified_at)
FROM listing l JOIN channel c USING (channel_id) LEFT JOIN location p USING (location_id)
WHERE c.code = %(channel)s::text AND l.item_id = %(item)s::bigint
ORDER BY l.listing_id;

-- name: own_unshipped
-- Units promised to the channel's own orders for items, at a location or anywhere, that have not left.
SELECT n.id, (
    SELECT coalesce(sum(h.quantity), 0)::bigint FROM hold h JOIN reservation r USING (reservation_id)
    WHERE h.item_id = n.item_id AND r.channel_id = n.channel_id AND h.account = 7
      AND (n.location_id = 0 OR h.location_id = n.location_id)
) + (
    SELECT coalesce(sum(greatest(
        greatest(f.allocated - f.deallocated, f.picked, f.packed) - f.shipped, 0)), 0)::bigint
    FROM fulfilment_line f JOIN reservation r USING (reservation_id)
    WHERE f.item_id = n.item_id AND r.channel_id = n.channel_id
      AND (n.location_id = 0 OR f.location_id = n.location_id)
)
FROM unnest(%(ids)s::bigint[], %(channels)s::bigint[], %(items)s::bigint[], %(locations)s::bigint[])
     AS n (id, channel_id, item_id, location_id);

-- name: epoch_and_moment
-- The masters' epoch and the store's clock in microseconds, as this snapshot sees them.
SELECT epoch, (extract(epoch FROM now()) * 1000000)::bigint FROM masters_epoch;

-- name: ledger_balances
-- What the movements of some items recorded by a moment sum to, by location and account.
SELECT m.item_id, m.location_id, e.account, sum(e.quantity)::bigint
FROM movement m
CROSS JOIN LATERAL (
    VALUES (m.to_account, m.quantity), (m.from_account, -m.quantity)
) AS e (account, quantity)
WHERE m.item_id = ANY(%(items)s::bigint[]) AND e.account <= 8
AND (%(at)s::timestamptz IS NULL OR m.recorded_at <= %(at)s::timestamptz)
GROUP BY m.item_id, m.location_id, e.account;

-- name: kept_balances
-- The balances kept of some items, accounts in their order.
SELECT item_id, location_id, safety_stock, available, allocated, picked, quarantined, in_transit,
    on_order, reserved, backordered
FROM balance WHERE item_id = ANY(%(items)s::bigint[]);

-- name: newest_movements
-- The newest movements of each (item, location) below an id.
SELECT w.item_id, w.location_id, m.movement_id, m.kind, m.from_account, m.to_account, m.quantity,
    m.occurred_at, m.recorded_at, m.document_type, m.document_number, m.document_line, m.reason,
    m.message_id, m.correlation_id, m.reverses
FROM unnest(%(items)s::bigint[], %(locations)s::bigint[]) AS w (item_id, location_id)
CROSS JOIN LATERAL (
    SELECT * FROM movement
    WHERE movement.item_id = w.item_id AND movement.location_id = w.location_id
    AND movement.movement_id < coalesce(%(before)s::bigint, 9223372036854775807)
    ORDER BY movement.movement_id DESC LIMIT %(limit)s::bigint
) AS m
ORDER BY w.item_id, w.location_id, m.movement_id DESC;

-- name: movements_page
-- Movements below an id, newest first, of an item, a location, a document, a correlation.
SELECT i.sku, l.code, m.movement_id, m.kind, m.from_account, m.to_account, m.quantity,
    m.occurred_at, m.recorded_at, m.document_type, m.document_number, m.document_line, m.reason,
    m.message_id, m.correlation_id, m.reverses
FROM movement m JOIN item i USING (item_id) JOIN location l USING (location_id)
WHERE m.movement_id < coalesce(%(before)s::bigint, 9223372036854775807)
AND (%(sku)s::text IS NULL
    OR m.item_id = (SELECT s.item_id FROM item s WHERE s.sku = %(sku)s::text))
AND (%(location)s::text IS NULL OR l.code = %(location)s::text)
AND (%(document)s::text IS NULL OR m.document_number = %(document)s::text)
AND (%(correlation_id)s::text IS NULL OR m.correlation_id = %(correlation_id)s::text)
ORDER BY m.movement_id DESC LIMIT %(limit)s::bigint;

-- name: read_reservation
-- A reservation; held past its time it has expired, whether or not that is booked yet.
SELECT c.code, r.reference, r.mode, r.expires_at, r.created_at, r.lines::text,
    CASE WHEN r.state = 'held' AND r.expires_at <= now() THEN 'expired' ELSE r.state END
FROM reservation r JOIN channel c USING (channel_id)
WHERE r.reservation_id = %(id)s::bigint;

-- name: read_holds_at
-- What is held for a reservation, and where.
SELECT h.line_no, h.item_id, l.code, h.account, h.quantity
FROM hold h JOIN location l USING (location_id)
WHERE h.reservation_id = %(id)s::bigint
ORDER BY h.line_no, h.location_id, h.item_id;
