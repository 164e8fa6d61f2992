-- name: unheard_answers
-- Locks settled bookings whose answer the order has not heard, oldest first.
SELECT d.delivery_id, d.system, d.state, d.reference, d.code, d.detail,
       d.correlation_id, d.settled_at, d.payload->>'channel', d.payload->>'number'
FROM delivery d
WHERE d.operation = 'book_order' AND d.state IN ('confirmed', 'rejected')
  AND d.heard_at IS DISTINCT FROM d.settled_at
ORDER BY d.delivery_id
LIMIT %(limit)s::bigint
FOR UPDATE OF d SKIP LOCKED;

-- name: heard_answers
-- Notes that the orders have heard these answers.
UPDATE delivery d
SET heard_at = d.settled_at
WHERE d.delivery_id = ANY (%(ids)s::bigint[]);
