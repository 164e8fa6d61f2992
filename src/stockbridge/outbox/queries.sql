-- name: notify_stock
-- Tells the views what changed; delivered in commit order.
SELECT pg_notify('stockbridge_stock', n.payload) FROM unnest(%(payloads)s::text[]) AS n (payload);
