-- name: add_deliveries
-- Adds deliveries in their order, each idempotency key once, and wakes those who send them.
WITH added AS (
    INSERT INTO delivery
        (system, operation, object_key, idempotency_key, payload, correlation_id, cause)
    SELECT n.system, n.operation, n.object_key, n.idempotency_key, n.payload::json,
           n.correlation_id, n.cause
    FROM unnest(%(systems)s::text[], %(operations)s::text[], %(object_keys)s::text[],
                %(idempotency_keys)s::uuid[], %(payloads)s::text[], %(correlation_ids)s::text[],
                %(causes)s::text[]) WITH ORDINALITY
         AS n (system, operation, object_key, idempotency_key, payload, correlation_id, cause,
               place)
    ORDER BY n.place
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING system
)
SELECT pg_notify('stockbridge_deliveries', s.system)
FROM (SELECT DISTINCT a.system FROM added a) AS s;

-- name: due_deliveries
-- Locks due deliveries of a system that are the first of their object, longest due first.
SELECT d.delivery_id, d.operation, d.object_key, d.idempotency_key::text, d.correlation_id,
       d.attempts, d.payload::text, d.reference, d.state = 'accepted', d.started_at IS NOT NULL,
       extract(epoch FROM clock_timestamp() - d.tried_since)::float8
FROM delivery d
WHERE d.system = %(system)s::text AND d.state IN ('waiting', 'accepted')
  AND d.due_at <= statement_timestamp()
  AND CASE WHEN d.state = 'accepted' OR d.started_at IS NOT NULL THEN 'probe'
           ELSE d.operation END <> ALL (%(not_now)s::text[])
  AND NOT EXISTS (
      SELECT FROM delivery e
      WHERE e.system = d.system AND e.object_key = d.object_key
        AND e.delivery_id < d.delivery_id AND e.state IN ('waiting', 'sending', 'accepted'))
ORDER BY d.due_at, d.delivery_id
LIMIT %(limit)s::bigint
FOR UPDATE OF d SKIP LOCKED;

-- name: next_due
-- In how many seconds the next delivery of a system is due that is not due yet.
SELECT extract(epoch FROM min(d.due_at) - statement_timestamp())::float8
FROM delivery d
WHERE d.system = %(system)s::text AND d.state IN ('waiting', 'accepted')
  AND d.due_at > statement_timestamp();

-- name: start_deliveries
-- Notes, before the calls, that they are made: after a crash they may be done.
UPDATE delivery d
SET state = 'sending', attempts = d.attempts + 1, holder = %(holder)s::text,
    leased_until = clock_timestamp() + %(lease_seconds)s::float8 * interval '1 second',
    started_at = CASE WHEN n.is_send THEN clock_timestamp() ELSE d.started_at END
FROM unnest(%(ids)s::bigint[], %(sends)s::boolean[]) AS n (delivery_id, is_send)
WHERE d.delivery_id = n.delivery_id;

-- name: postpone_deliveries
-- Puts off deliveries whose object has nothing left of a limit.
UPDATE delivery d
SET due_at = clock_timestamp() + n.seconds * interval '1 second', is_hinted = true
FROM unnest(%(ids)s::bigint[], %(seconds)s::float8[]) AS n (delivery_id, seconds)
WHERE d.delivery_id = n.delivery_id AND d.state IN ('waiting', 'accepted');

-- name: settle_deliveries
-- Writes what became of calls; a delivery that somebody else took up meanwhile is left alone.
UPDATE delivery d
SET state = n.state, code = n.code, detail = n.detail,
    reference = CASE WHEN n.reference = '' THEN d.reference ELSE n.reference END,
    due_at = clock_timestamp() + n.pause_seconds * interval '1 second', is_hinted = n.is_hinted,
    started_at = CASE WHEN n.keeps_start THEN d.started_at END,
    holder = NULL, leased_until = NULL,
    history = d.history || jsonb_build_array(n.entry::jsonb),
    settled_at = CASE WHEN n.state NOT IN ('waiting', 'accepted') THEN clock_timestamp() END
FROM unnest(%(ids)s::bigint[], %(attempts)s::bigint[], %(states)s::text[], %(codes)s::text[],
            %(details)s::text[], %(references)s::text[], %(pauses)s::float8[],
            %(hinted)s::boolean[], %(starts)s::boolean[], %(entries)s::text[])
     AS n (delivery_id, attempt, state, code, detail, reference, pause_seconds, is_hinted,
           keeps_start, entry)
WHERE d.delivery_id = n.delivery_id AND d.state = 'sending' AND d.attempts = n.attempt
  AND d.holder = %(holder)s::text;

-- name: release_deliveries
-- Puts back deliveries that were taken up and not called.
UPDATE delivery d
SET state = 'waiting', attempts = d.attempts - 1, holder = NULL, leased_until = NULL,
    started_at = CASE WHEN n.is_send THEN NULL ELSE d.started_at END
FROM unnest(%(ids)s::bigint[], %(sends)s::boolean[]) AS n (delivery_id, is_send)
WHERE d.delivery_id = n.delivery_id AND d.state = 'sending' AND d.holder = %(holder)s::text;

-- name: renew_deliveries
-- Keeps deliveries whose calls take long.
UPDATE delivery d
SET leased_until = clock_timestamp() + %(lease_seconds)s::float8 * interval '1 second'
WHERE d.delivery_id = ANY (%(ids)s::bigint[]) AND d.state = 'sending'
  AND d.holder = %(holder)s::text;

-- name: take_back_deliveries
-- Makes deliveries due again whose holder is gone; they may be done.
WITH lost AS (
    SELECT d.delivery_id
    FROM delivery d
    WHERE d.state = 'sending' AND d.leased_until < statement_timestamp()
    ORDER BY d.delivery_id
    LIMIT 1000
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE delivery d
SET state = 'waiting', due_at = clock_timestamp(), holder = NULL, leased_until = NULL,
    history = d.history || jsonb_build_array(jsonb_build_object(
        'attempt', d.attempts, 'at', d.started_at, 'outcome', 'lost',
        'detail', 'its worker ' || d.holder || ' is gone'))
FROM lost l
WHERE d.delivery_id = l.delivery_id
RETURNING d.system;

-- name: waiting_systems
-- Systems that have due deliveries.
SELECT s.code
FROM system s
WHERE (SELECT min(d.due_at) FROM delivery d
       WHERE d.system = s.code AND d.state IN ('waiting', 'accepted')) <= clock_timestamp();

-- name: listen_deliveries
-- Asks for notices of deliveries to send.
LISTEN stockbridge_deliveries;

-- name: notify_deliveries
-- Wakes those who send a system's deliveries.
SELECT pg_notify('stockbridge_deliveries', %(system)s::text);

-- name: system_owners
-- Who owns systems, how critical they are, and whether they should work.
SELECT s.code, s.owner_team, s.criticality, s.lifecycle
FROM system s WHERE s.code = ANY (%(systems)s::text[]);
