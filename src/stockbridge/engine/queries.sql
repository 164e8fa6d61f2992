-- name: lock_items
-- Locks everything of the items, lowest id first: the one lock order.
SELECT item_id FROM item_lock WHERE item_id = ANY (%(items)s::bigint[])
ORDER BY item_id
FOR UPDATE;

-- name: read_requests
-- Reads the answers already given to idempotency keys, once the items are locked.
SELECT replace(request_key::text, '-', ''), body_hash, status, answer
FROM request
WHERE request_key = ANY (%(keys)s::uuid[]);

-- name: add_requests
-- Keeps the answers of a batch under their idempotency keys.
INSERT INTO request (request_key, body_hash, status, answer, recorded_at, correlation_id)
SELECT n.request_key, n.body_hash, n.status, n.answer, %(now)s::timestamptz, n.correlation_id
FROM unnest(%(keys)s::uuid[], %(hashes)s::bytea[], %(statuses)s::smallint[],
            %(answers)s::bytea[], %(correlation_ids)s::text[])
     AS n (request_key, body_hash, status, answer, correlation_id);

-- name: clock
-- Reads our clock.
SELECT clock_timestamp();

-- name: lock_request_key
-- Makes two processes that run one idempotency key of a master command take turns.
SELECT pg_advisory_xact_lock(('x' || left(%(key)s::text, 16))::bit(64)::bigint);
