-- name: find_orders
-- Finds orders by id, by channel and number, or by number alone, without locks: what else to read.
SELECT o.order_id, o.reservation_id
FROM sales_order o
WHERE o.order_id = ANY (%(ids)s::bigint[])
UNION
SELECT o.order_id, o.reservation_id
FROM unnest(%(channels)s::text[], %(numbers)s::text[]) AS n (channel, number)
JOIN channel c ON c.code = n.channel
JOIN sales_order o ON o.channel_id = c.channel_id AND o.number = n.number
UNION
SELECT o.order_id, o.reservation_id
FROM sales_order o
WHERE o.number = ANY (%(refs)s::text[]);

-- name: lock_orders
-- Locks orders, lowest id first, after their items and reservations are locked.
SELECT order_id, channel_id, number, state, reservation_id, content::text, events, created_at,
       updated_at, ended_at, correlation_id, told::text
FROM sales_order
WHERE order_id IN (
    SELECT unnest(%(ids)s::bigint[])
    UNION
    SELECT o.order_id FROM sales_order o WHERE o.reservation_id = ANY (%(reservations)s::bigint[])
    UNION
    SELECT o.order_id
    FROM unnest(%(channels)s::text[], %(numbers)s::text[]) AS n (channel, number)
    JOIN channel c ON c.code = n.channel
    JOIN sales_order o ON o.channel_id = c.channel_id AND o.number = n.number
)
ORDER BY order_id
FOR UPDATE;

-- name: put_orders
-- Writes new and changed orders.
INSERT INTO sales_order
    (order_id, channel_id, number, state, reservation_id, content, events, created_at, updated_at,
     ended_at, correlation_id, told)
SELECT * FROM unnest(
    %(ids)s::bigint[], %(channels)s::bigint[], %(numbers)s::text[], %(states)s::text[],
    %(reservations)s::bigint[], %(contents)s::json[], %(events)s::bigint[],
    %(created)s::timestamptz[], %(updated)s::timestamptz[], %(ended)s::timestamptz[],
    %(correlation_ids)s::text[], %(told)s::json[])
ON CONFLICT (order_id) DO UPDATE
SET state = excluded.state, reservation_id = excluded.reservation_id, content = excluded.content,
    events = excluded.events, updated_at = excluded.updated_at, ended_at = excluded.ended_at,
    told = excluded.told;

-- name: add_order_events
-- Appends to the timelines of orders.
INSERT INTO order_event
    (order_id, event_no, what, state, recorded_at, principal, system, message_id, correlation_id,
     detail)
SELECT * FROM unnest(
    %(ids)s::bigint[], %(numbers)s::bigint[], %(whats)s::text[], %(states)s::text[],
    %(moments)s::timestamptz[], %(principals)s::text[], %(systems)s::text[],
    %(messages)s::text[], %(correlation_ids)s::text[], %(details)s::text[]);
