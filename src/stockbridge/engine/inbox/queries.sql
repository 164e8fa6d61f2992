-- name: listen_masters
-- Asks for notices of changed masters: parked messages may wait for them.
LISTEN stockbridge_masters;

-- name: listen_inbox
-- Asks for notices of messages that are due at once.
LISTEN stockbridge_inbox;

-- name: notify_inbox
-- Tells every node that messages are due at once.
NOTIFY stockbridge_inbox;

-- name: claim_messages
-- Takes up due messages nobody else holds, oldest first, up to a number and a sum of bytes.
WITH due AS (
    SELECT message_id, received_at, octet_length(body) AS bytes
    FROM message
    WHERE status = 'received' AND due_at <= now()
    ORDER BY message_id
    LIMIT %(limit)s::bigint
    FOR UPDATE SKIP LOCKED
), bounded AS (
    SELECT message_id, received_at, bytes, sum(bytes) OVER (ORDER BY message_id) AS bytes_total
    FROM due
)
UPDATE message m SET due_at = now() + %(lease_seconds)s::bigint * interval '1 second'
FROM bounded b
WHERE m.message_id = b.message_id AND m.received_at = b.received_at
  AND (b.bytes_total <= %(bytes_max)s::bigint OR b.bytes_total = b.bytes)
RETURNING m.message_id, m.received_at, m.system, m.flow, m.sequence, m.correlation_id,
          m.principal, m.contract, m.content_type, m.body, m.attempts;

-- name: settle_messages
-- Writes what became of messages; one that somebody settled meanwhile keeps its status.
UPDATE message m
SET status = n.status, reason_code = n.reason_code, reason = n.reason,
    attempts = m.attempts + 1, due_at = now() + n.again_seconds * interval '1 second',
    settled_at = CASE WHEN n.status = 'received' THEN NULL ELSE now() END
FROM unnest(%(ids)s::bigint[], %(received)s::timestamptz[], %(statuses)s::text[],
            %(reason_codes)s::text[], %(reasons)s::text[], %(agains)s::bigint[])
     AS n (message_id, received_at, status, reason_code, reason, again_seconds)
WHERE m.message_id = n.message_id AND m.received_at = n.received_at AND m.status = 'received';

-- name: read_flows
-- How patient the flows are that have a row.
SELECT system, flow, is_strict, wait_seconds_max, park_seconds_max, owner_team FROM flow;

-- name: put_flow
-- Makes or replaces how patient a flow is.
INSERT INTO flow (system, flow, is_strict, wait_seconds_max, park_seconds_max, owner_team)
VALUES (%(system)s::text, %(flow)s::text, %(is_strict)s::boolean, %(wait_seconds_max)s::bigint,
        %(park_seconds_max)s::bigint, %(owner_team)s::text)
ON CONFLICT (system, flow) DO UPDATE
SET is_strict = excluded.is_strict, wait_seconds_max = excluded.wait_seconds_max,
    park_seconds_max = excluded.park_seconds_max, owner_team = excluded.owner_team;

-- name: first_gap
-- The first number that a source has not sent yet, counted from the lowest it sent.
SELECT upper(unnest(s.received))
FROM source_sequence s
WHERE s.system = %(system)s::text AND s.flow = %(flow)s::text
LIMIT 1;

-- name: count_backlog
-- How many messages wait to be applied, up to a limit, and for how many seconds the oldest does.
SELECT count(*),
       coalesce(extract(epoch FROM clock_timestamp() - min(w.received_at)), 0)::float8
FROM (
    SELECT received_at FROM message WHERE status = 'received'
    ORDER BY message_id LIMIT %(limit)s::bigint
) w;
