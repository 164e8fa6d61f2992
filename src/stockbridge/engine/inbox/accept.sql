-- name: next_inbox_batch
-- Numbers inbox batches ahead of time: the first ids of their messages.
SELECT nextval('inbox_batch_seq') * 4096 FROM generate_series(1, %(count)s::bigint);

-- name: accept_messages
-- Keeps new messages with their bytes, counts repeats, and tells of each what it is and when.
WITH arrived AS (
    SELECT a.position, %(first_id)s::bigint + a.position - 1 AS message_id, a.identity, a.times,
           substring(%(hashes)s::bytea FROM ((a.position - 1) * 32 + 1)::int FOR 32)
               AS content_hash,
           a.source_message_id, a.sequence, a.correlation_id, a.causation_id, a.lane,
           a.body_at, a.body_bytes
    FROM unnest(%(identities)s::uuid[], %(times)s::bigint[], %(source_message_ids)s::text[],
                %(sequences)s::bigint[], %(correlation_ids)s::text[], %(causation_ids)s::text[],
                %(lanes)s::bigint[], %(body_ats)s::int[], %(body_sizes)s::int[]) WITH ORDINALITY
         AS a (identity, times, source_message_id, sequence, correlation_id, causation_id, lane,
               body_at, body_bytes, position)
), lane AS (
    SELECT l.*
    FROM unnest(%(systems)s::text[], %(flows)s::text[], %(principals)s::text[], %(doors)s::text[],
                %(contracts)s::text[], %(content_types)s::text[]) WITH ORDINALITY
         AS l (system, flow, principal, door, contract, content_type, lane)
), seen AS (
    INSERT INTO message_identity AS i (identity, message_id, content_hash, times_seen, seen_at)
    SELECT DISTINCT ON (a.identity) a.identity, a.message_id, a.content_hash, a.times, now()
    FROM arrived a
    ORDER BY a.identity, a.position
    ON CONFLICT (identity) DO UPDATE
    SET seen_at = excluded.seen_at,
        times_seen = i.times_seen
            + CASE WHEN i.content_hash = excluded.content_hash THEN excluded.times_seen ELSE 0 END
    RETURNING identity, message_id, content_hash
), kept AS (
    INSERT INTO message
        (message_id, received_at, due_at, system, source_message_id, content_hash, flow, sequence,
         correlation_id, causation_id, principal, door, contract, content_type, body, status,
         reason_code, reason, settled_at)
    SELECT a.message_id, now(), now() + %(grace_seconds)s::bigint * interval '1 second', l.system,
           a.source_message_id, a.content_hash, l.flow, a.sequence, a.correlation_id,
           a.causation_id, l.principal, l.door, l.contract, l.content_type,
           substring(%(bodies)s::bytea FROM a.body_at FOR a.body_bytes), %(status)s::text,
           %(reason_code)s::text, %(reason)s::text,
           CASE WHEN %(status)s::text <> 'received' THEN now() END
    FROM arrived a
    JOIN seen s USING (identity)
    JOIN lane l USING (lane)
    WHERE s.message_id = a.message_id
    ORDER BY a.position
)
SELECT s.message_id,
       CASE WHEN s.message_id = a.message_id THEN 'received'
            WHEN s.content_hash = a.content_hash THEN 'duplicate'
            ELSE 'conflict' END,
       now()
FROM arrived a
JOIN seen s USING (identity)
ORDER BY a.position;

-- name: count_repeats
-- Counts repeats of messages that came in one batch with others of the same source id.
UPDATE message_identity i SET times_seen = i.times_seen + n.times
FROM unnest(%(identities)s::uuid[], %(positions)s::bigint[], %(times)s::bigint[])
     AS n (identity, position, times)
WHERE i.identity = n.identity
  AND i.content_hash
      = substring(%(hashes)s::bytea FROM ((n.position - 1) * 32 + 1)::int FOR 32);

-- name: count_identity_blocks
-- How many blocks the identities take in store.
SELECT pg_relation_size('message_identity') / current_setting('block_size')::bigint;

-- name: forget_identities
-- Deletes the identities in a stretch of blocks that were last seen before a moment.
WITH old AS (
    SELECT i.identity
    FROM message_identity i
    WHERE i.ctid >= ('(' || %(first)s::bigint || ',0)')::tid
      AND i.ctid < ('(' || %(end)s::bigint || ',0)')::tid
      AND i.seen_at < %(before)s::timestamptz
    ORDER BY i.identity
    FOR UPDATE OF i SKIP LOCKED
)
DELETE FROM message_identity i USING old o WHERE i.identity = o.identity;

-- name: open_sequences
-- Begins the records of sources that number their messages and are new.
INSERT INTO source_sequence (system, flow, received, newest_at)
SELECT n.system, n.flow, '{}', now()
FROM unnest(%(systems)s::text[], %(flows)s::text[]) AS n (system, flow)
ORDER BY n.system, n.flow
ON CONFLICT (system, flow) DO NOTHING;

-- name: lock_sequences
-- Locks the records of the sources in a batch.
SELECT s.system, s.flow
FROM source_sequence s
JOIN unnest(%(systems)s::text[], %(flows)s::text[]) AS n (system, flow) USING (system, flow)
ORDER BY s.system, s.flow
FOR UPDATE OF s;

-- name: note_sequences
-- Adds the numbers of a batch, in order of arrival, and counts late and repeated ones.
WITH arrived AS (
    SELECT a.system, a.flow, a.sequence, s.received,
           s.received @> a.sequence OR row_number() OVER (
               PARTITION BY a.system, a.flow, a.sequence ORDER BY a.position) > 1 AS is_repeated,
           greatest(upper(s.received) - 1, max(a.sequence) OVER (
               PARTITION BY a.system, a.flow ORDER BY a.position
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS newest
    FROM unnest(%(systems)s::text[], %(flows)s::text[], %(numbers)s::bigint[]) WITH ORDINALITY
         AS a (system, flow, sequence, position)
    JOIN source_sequence s USING (system, flow)
), summed AS (
    SELECT system, flow, range_agg(int8range(sequence, sequence, '[]')) AS received,
           count(*) FILTER (WHERE is_repeated) AS repeated,
           count(*) FILTER (WHERE sequence < newest AND NOT is_repeated) AS late,
           bool_or(newest IS NULL OR sequence > newest) AS is_newer
    FROM arrived
    GROUP BY system, flow
)
UPDATE source_sequence s
SET received = s.received + n.received, repeated = s.repeated + n.repeated,
    late = s.late + n.late,
    newest_at = CASE WHEN n.is_newer THEN now() ELSE s.newest_at END
FROM summed n
WHERE s.system = n.system AND s.flow = n.flow;
