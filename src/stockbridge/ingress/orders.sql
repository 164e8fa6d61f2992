-- name: orders_page
-- Lists orders, newest first, of channels, a state and a number when given; open ones only if asked.
SELECT o.order_id::text,
       json_build_object(
           'id', 'ord_' || to_hex(o.order_id), 'channel', c.code, 'number', o.number,
           'state', o.state, 'created_at', o.created_at, 'updated_at', o.updated_at,
           'ended_at', o.ended_at, 'correlation_id', o.correlation_id)::text
FROM sales_order o
JOIN channel c USING (channel_id)
WHERE (%(after)s::bigint IS NULL OR o.order_id < %(after)s::bigint)
  AND (%(own)s::text[] IS NULL OR c.code = ANY (%(own)s::text[]))
  AND (%(channel)s::text IS NULL OR c.code = %(channel)s::text)
  AND (%(state)s::text IS NULL OR o.state = %(state)s::text)
  AND (%(number_is)s::text IS NULL OR o.number = %(number_is)s::text)
  AND (%(open)s::boolean IS NULL OR (o.ended_at IS NULL) = %(open)s::boolean)
ORDER BY o.order_id DESC
LIMIT %(limit)s::bigint;

-- name: orders_awaiting_erp
-- Orders that wait for their ERP's word, oldest first, and what became of telling it.
SELECT o.order_id::text,
       json_build_object(
           'id', 'ord_' || to_hex(o.order_id), 'channel', c.code, 'number', o.number,
           'erp', o.content->'flow'->>'erp', 'created_at', o.created_at,
           'waiting_seconds', floor(extract(
               epoch FROM clock_timestamp() - coalesce(d.created_at, o.created_at)))::bigint,
           'delivery', d.delivery_id::text, 'delivery_state', d.state, 'attempts', d.attempts,
           'due_at', CASE WHEN d.state IN ('waiting', 'accepted') THEN d.due_at END,
           'code', d.code, 'detail', d.detail, 'correlation_id', o.correlation_id)::text
FROM sales_order o
JOIN channel c USING (channel_id)
LEFT JOIN LATERAL (
    SELECT b.* FROM delivery b
    WHERE b.system = o.content->'flow'->>'erp' AND b.operation = 'book_order'
      AND b.object_key = 'order:' || c.code || '/' || o.number
    ORDER BY b.delivery_id DESC
    LIMIT 1) d ON true
WHERE o.ended_at IS NULL AND o.state = 'erp_pending'
  AND (%(after)s::bigint IS NULL OR o.order_id > %(after)s::bigint)
  AND (%(own)s::text[] IS NULL OR c.code = ANY (%(own)s::text[]))
  AND (%(channel)s::text IS NULL OR c.code = %(channel)s::text)
  AND (%(system)s::text IS NULL OR o.content->'flow'->>'erp' = %(system)s::text)
ORDER BY o.order_id
LIMIT %(limit)s::bigint;

-- name: order_channel
-- The channel of an order.
SELECT c.code
FROM sales_order o JOIN channel c USING (channel_id)
WHERE o.order_id = %(order_id)s::bigint;

-- name: order_flow_document
-- The way a channel's orders take, its newest version.
SELECT json_build_object(
           'channel', c.code, 'version', f.version, 'erp', f.erp, 'release', f.release,
           'needs_payment', f.needs_payment, 'asks_building', f.asks_building,
           'author', f.author, 'recorded_at', f.recorded_at,
           'correlation_id', f.correlation_id)::text
FROM order_flow f
JOIN channel c USING (channel_id)
WHERE c.code = %(channel)s::text
ORDER BY f.version DESC
LIMIT 1;

-- name: fillable_orders
-- Orders, oldest first, that wait for items of which something is free where they may have it from.
WITH RECURSIVE waiting AS (
    (SELECT item_id FROM hold WHERE account = 8 ORDER BY item_id LIMIT 1)
    UNION ALL
    SELECT (SELECT h.item_id FROM hold h
            WHERE h.account = 8 AND h.item_id > w.item_id
            ORDER BY h.item_id LIMIT 1)
    FROM waiting w
    WHERE w.item_id IS NOT NULL
)
SELECT DISTINCT o.order_id
FROM waiting w
JOIN balance b ON b.item_id = w.item_id AND b.available - b.reserved > b.safety_stock
JOIN hold h ON h.item_id = w.item_id AND h.account = 8
JOIN sales_order o ON o.reservation_id = h.reservation_id
WHERE o.order_id > %(after)s::bigint
  AND (h.location_id = b.location_id OR EXISTS (
      SELECT FROM channel_source s
      WHERE s.channel_id = o.channel_id AND s.location_id = b.location_id))
ORDER BY o.order_id
LIMIT %(limit)s::bigint;
