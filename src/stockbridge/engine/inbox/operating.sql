-- name: messages_page
-- Lists messages, newest first, without their bytes.
SELECT message_id::text,
       json_build_object(
           'id', message_id::text, 'received_at', received_at, 'system', system,
           'source_message_id', source_message_id, 'flow', flow, 'sequence', sequence,
           'contract', contract, 'door', door, 'status', status, 'reason_code', reason_code,
           'reason', reason, 'attempts', attempts, 'settled_at', settled_at,
           'bytes', octet_length(body), 'correlation_id', correlation_id,
           'causation_id', causation_id)::text
FROM message
WHERE (%(after)s::bigint IS NULL OR message_id < %(after)s::bigint)
  AND (%(status)s::text IS NULL OR status = %(status)s::text)
  AND (%(system)s::text IS NULL OR system = %(system)s::text)
  AND (%(contract)s::text IS NULL OR contract = %(contract)s::text)
  AND (%(correlation_id)s::text IS NULL OR correlation_id = %(correlation_id)s::text)
  AND (%(from)s::timestamptz IS NULL OR received_at >= %(from)s::timestamptz)
  AND (%(to)s::timestamptz IS NULL OR received_at < %(to)s::timestamptz)
ORDER BY message_id DESC
LIMIT %(limit)s::bigint;

-- name: read_message
-- One message with its bytes, how often it came, and what it waits for.
SELECT m.message_id, m.received_at, m.system, m.flow, m.sequence, m.correlation_id, m.principal,
       m.contract, m.content_type, m.body, m.attempts, m.source_message_id, m.causation_id, m.door,
       encode(sha256(m.body), 'hex'), m.status, m.reason_code, m.reason, m.settled_at,
       coalesce((SELECT i.times_seen FROM message_identity i
                 WHERE i.identity = %(identity)s::uuid AND i.message_id = m.message_id), 1),
       ARRAY(SELECT p.wait_key FROM parked p WHERE p.message_id = m.message_id
             ORDER BY p.wait_key)
FROM message m
WHERE m.message_id = %(message_id)s::bigint;

-- name: find_source_id
-- Under which system and id a message came.
SELECT system, source_message_id FROM message WHERE message_id = %(message_id)s::bigint;

-- name: movements_of
-- What a message moved.
SELECT m.movement_id, m.kind, m.from_account, m.to_account, m.quantity, m.occurred_at,
       m.document_type, m.document_number, m.document_line, i.sku, l.code
FROM movement m
JOIN item i USING (item_id)
JOIN location l USING (location_id)
WHERE m.item_id = ANY (%(items)s::bigint[]) AND m.recorded_at >= %(since)s::timestamptz
  AND m.message_id = %(message_id)s::text
ORDER BY m.movement_id;

-- name: select_messages
-- Messages to replay, in the order they came; bytes included.
SELECT message_id, received_at, system, flow, sequence, correlation_id, principal, contract,
       content_type, body, attempts
FROM message
WHERE message_id > %(after)s::bigint
  AND status = ANY (%(statuses)s::text[])
  AND (%(ids)s::bigint[] IS NOT NULL
       OR reason_code IS NULL OR reason_code NOT IN ('content_conflict', 'discarded'))
  AND (%(ids)s::bigint[] IS NULL OR message_id = ANY (%(ids)s::bigint[]))
  AND (%(system)s::text IS NULL OR system = %(system)s::text)
  AND (%(contract)s::text IS NULL OR contract = %(contract)s::text)
  AND (%(correlation_id)s::text IS NULL OR correlation_id = %(correlation_id)s::text)
  AND (%(from)s::timestamptz IS NULL OR received_at >= %(from)s::timestamptz)
  AND (%(to)s::timestamptz IS NULL OR received_at < %(to)s::timestamptz)
ORDER BY message_id
LIMIT %(limit)s::bigint;

-- name: replay_messages
-- Makes some of the selected messages due again; their ids.
WITH chosen AS (
    SELECT message_id, received_at
    FROM message
    WHERE message_id > %(after)s::bigint
      AND status = ANY (%(statuses)s::text[])
      AND (%(ids)s::bigint[] IS NOT NULL
           OR reason_code IS NULL OR reason_code NOT IN ('content_conflict', 'discarded'))
      AND (%(ids)s::bigint[] IS NULL OR message_id = ANY (%(ids)s::bigint[]))
      AND (%(system)s::text IS NULL OR system = %(system)s::text)
      AND (%(contract)s::text IS NULL OR contract = %(contract)s::text)
      AND (%(correlation_id)s::text IS NULL OR correlation_id = %(correlation_id)s::text)
      AND (%(from)s::timestamptz IS NULL OR received_at >= %(from)s::timestamptz)
      AND (%(to)s::timestamptz IS NULL OR received_at < %(to)s::timestamptz)
    ORDER BY message_id
    LIMIT %(limit)s::bigint
    FOR UPDATE
)
UPDATE message m
SET status = 'received', due_at = now(), settled_at = NULL, reason_code = NULL, reason = NULL
FROM chosen c
WHERE m.message_id = c.message_id AND m.received_at = c.received_at
RETURNING m.message_id;

-- name: discard_message
-- Gives a message up that nobody is working on; its bytes stay.
UPDATE message
SET status = 'rejected', reason_code = 'discarded', reason = %(reason)s::text, settled_at = now()
WHERE message_id = %(message_id)s::bigint AND status IN ('parked', 'rejected', 'dead')
RETURNING message_id;

-- name: out_of_sequence
-- How the numbers of each source stand: span, gaps, late and repeated ones, who waits behind.
SELECT s.system, s.flow, lower(s.received), upper(s.received) - 1,
       (SELECT coalesce(array_agg(ARRAY[lower(g.gap), upper(g.gap) - 1]
                                  ORDER BY g.gap), '{}')
        FROM unnest(int8multirange(int8range(lower(s.received), upper(s.received)))
                    - s.received) AS g (gap)),
       s.late, s.repeated, s.newest_at,
       (SELECT count(DISTINCT p.message_id) FROM parked p
        WHERE starts_with(p.wait_key, 'sequence:' || s.system || ':' || s.flow || ':')),
       coalesce(f.is_strict, false)
FROM source_sequence s
LEFT JOIN flow f USING (system, flow)
WHERE NOT isempty(s.received)
  AND (%(system)s::text IS NULL OR s.system = %(system)s::text)
ORDER BY s.system, s.flow;

-- name: flows
-- How patient every flow is that has a row or numbers its messages.
SELECT coalesce(f.system, s.system), coalesce(f.flow, s.flow), coalesce(f.is_strict, false),
       coalesce(f.wait_seconds_max, 300), coalesce(f.park_seconds_max, 86400),
       coalesce(f.owner_team, 'operations')
FROM flow f
FULL JOIN source_sequence s USING (system, flow)
ORDER BY 1, 2;

-- name: find_system
-- Tells whether a system exists.
SELECT EXISTS (SELECT FROM system WHERE code = %(system)s::text);
