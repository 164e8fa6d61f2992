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

-- name: epoch_and_moment
-- The masters' epoch and the store's clock in microseconds, as this snapshot sees them.
SELECT epoch, (extract(epoch FROM now()) * 1000000)::bigint FROM masters_epoch;
