-- name: add_capture
-- Records a captured document.
INSERT INTO epcis_capture
    (capture_id, system, principal, correlation_id, error_behaviour, message_ids, errors)
VALUES (%(capture_id)s::uuid, %(system)s::text, %(principal)s::text, %(correlation_id)s::text,
        %(error_behaviour)s::text, %(message_ids)s::bigint[], %(errors)s::json);

-- name: find_capture
-- A captured document: its errors, and what became of its messages.
SELECT c.received_at, c.error_behaviour, c.errors::text, count(m.message_id),
       count(*) FILTER (WHERE m.status = 'received'), max(m.settled_at),
       coalesce(json_agg(json_build_object(
           'eventID', m.source_message_id, 'status', m.status, 'code', m.reason_code,
           'detail', m.reason) ORDER BY m.message_id)
           FILTER (WHERE m.status IN ('rejected', 'dead', 'parked')), '[]')::text
FROM epcis_capture c
LEFT JOIN message m ON m.message_id = ANY (c.message_ids)
WHERE c.capture_id = %(capture_id)s::uuid
  AND (%(system)s::text IS NULL OR c.system = %(system)s::text)
GROUP BY c.capture_id;

-- name: find_event
-- The newest message of an EPCIS event; of a bound key's own system only.
SELECT m.body
FROM message m
WHERE m.door = 'epcis' AND m.source_message_id = ANY (%(ids)s::text[])
  AND (%(system)s::text IS NULL OR m.system = %(system)s::text)
  AND m.reason_code IS DISTINCT FROM 'content_conflict'
ORDER BY m.message_id DESC
LIMIT 1;
