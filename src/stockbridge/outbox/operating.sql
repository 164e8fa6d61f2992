-- name: deliveries_page
-- Lists deliveries, newest first, without their payloads.
SELECT d.delivery_id::text,
       json_build_object(
           'id', d.delivery_id::text, 'system', d.system, 'operation', d.operation,
           'object', d.object_key, 'state', d.state, 'attempts', d.attempts,
           'due_at', CASE WHEN d.state IN ('waiting', 'accepted') THEN d.due_at END,
           'reference', d.reference, 'code', d.code, 'detail', d.detail,
           'created_at', d.created_at, 'settled_at', d.settled_at,
           'correlation_id', d.correlation_id, 'cause', d.cause)::text
FROM delivery d
WHERE (%(after)s::bigint IS NULL OR d.delivery_id < %(after)s::bigint)
  AND (%(system)s::text IS NULL OR d.system = %(system)s::text)
  AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
  AND (%(operation)s::text IS NULL OR d.operation = %(operation)s::text)
  AND (%(object)s::text IS NULL OR d.object_key = %(object)s::text)
  AND (%(correlation_id)s::text IS NULL OR d.correlation_id = %(correlation_id)s::text)
  AND (%(from)s::timestamptz IS NULL OR d.created_at >= %(from)s::timestamptz)
  AND (%(to)s::timestamptz IS NULL OR d.created_at < %(to)s::timestamptz)
ORDER BY d.delivery_id DESC
LIMIT %(limit)s::bigint;

-- name: delivery_document
-- One delivery with its payload, its attempts and the one it waits for.
SELECT json_build_object(
           'id', d.delivery_id::text, 'system', d.system, 'operation', d.operation,
           'object', d.object_key, 'state', d.state, 'attempts', d.attempts,
           'due_at', CASE WHEN d.state IN ('waiting', 'accepted') THEN d.due_at END,
           'reference', d.reference, 'code', d.code, 'detail', d.detail,
           'created_at', d.created_at, 'settled_at', d.settled_at,
           'correlation_id', d.correlation_id, 'cause', d.cause,
           'idempotency_key', d.idempotency_key, 'payload', d.payload, 'history', d.history,
           'may_be_done', d.state IN ('waiting', 'sending', 'accepted', 'dead')
                          AND d.started_at IS NOT NULL,
           'waits_for', (
               SELECT min(e.delivery_id)::text FROM delivery e
               WHERE d.state = 'waiting' AND e.system = d.system
                 AND e.object_key = d.object_key AND e.delivery_id < d.delivery_id
                 AND e.state IN ('waiting', 'sending', 'accepted')))::text
FROM delivery d
WHERE d.delivery_id = %(delivery_id)s::bigint;

-- name: choose_deliveries
-- Locks the deliveries that are meant, lowest id first.
SELECT d.delivery_id
FROM delivery d
WHERE d.state = ANY (%(states)s::text[])
  AND (%(ids)s::bigint[] IS NULL OR d.delivery_id = ANY (%(ids)s::bigint[]))
  AND (%(system)s::text IS NULL OR d.system = %(system)s::text)
  AND (%(operation)s::text IS NULL OR d.operation = %(operation)s::text)
  AND (%(object)s::text IS NULL OR d.object_key = %(object)s::text)
  AND (%(correlation_id)s::text IS NULL OR d.correlation_id = %(correlation_id)s::text)
  AND (%(from)s::timestamptz IS NULL OR d.created_at >= %(from)s::timestamptz)
  AND (%(to)s::timestamptz IS NULL OR d.created_at < %(to)s::timestamptz)
ORDER BY d.delivery_id
LIMIT %(limit)s::bigint
FOR UPDATE OF d;

-- name: retry_deliveries
-- Makes chosen deliveries due at once; the systems concerned, one row a delivery.
UPDATE delivery d
SET state = CASE WHEN d.state = 'accepted' AND NOT %(resend)s::boolean THEN 'accepted'
                 ELSE 'waiting' END,
    due_at = clock_timestamp(), is_hinted = false, attempts = 0, settled_at = NULL,
    tried_since = clock_timestamp(),
    started_at = CASE WHEN d.state <> 'rejected' AND NOT %(resend)s::boolean
                      THEN d.started_at END
WHERE d.delivery_id = ANY (%(chosen)s::bigint[])
RETURNING d.system;

-- name: discard_deliveries
-- Gives chosen deliveries up that nobody is sending; the systems concerned, one row a delivery.
UPDATE delivery d
SET state = 'cancelled', code = 'discarded', detail = %(reason)s::text,
    settled_at = clock_timestamp()
WHERE d.delivery_id = ANY (%(chosen)s::bigint[])
RETURNING d.system;

-- name: state_of
-- The state of a delivery.
SELECT d.state FROM delivery d WHERE d.delivery_id = %(delivery_id)s::bigint;

-- name: count_deliveries
-- Unsettled deliveries of each system and state, and the age of the oldest in seconds.
SELECT d.system, d.state, count(*),
       extract(epoch FROM clock_timestamp() - min(d.created_at))::float8
FROM delivery d
WHERE d.state IN ('waiting', 'sending', 'accepted')
GROUP BY d.system, d.state
ORDER BY d.system, d.state;

-- name: breakers
-- Every partner's breaker.
SELECT b.system, b.state FROM breaker b ORDER BY b.system;

-- name: delete_deliveries
-- Deletes some deliveries that were settled before a moment.
WITH old AS (
    SELECT d.delivery_id
    FROM delivery d
    WHERE d.settled_at < %(before)s::timestamptz
      AND d.state IN ('confirmed', 'rejected', 'dead', 'cancelled')
    ORDER BY d.delivery_id
    LIMIT %(limit)s::bigint
    FOR UPDATE OF d
)
DELETE FROM delivery d USING old o WHERE d.delivery_id = o.delivery_id
RETURNING d.delivery_id;
