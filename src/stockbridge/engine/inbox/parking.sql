-- name: park_messages
-- Keeps what parked messages wait for, until when quietly.
INSERT INTO parked (wait_key, message_id, received_at, deadline, joins_from)
SELECT n.wait_key, n.message_id, n.received_at, n.deadline,
       now() + n.pause_seconds * interval '1 second'
FROM unnest(%(keys)s::text[], %(ids)s::bigint[], %(received)s::timestamptz[],
            %(deadlines)s::timestamptz[], %(pauses)s::bigint[])
     AS n (wait_key, message_id, received_at, deadline, pause_seconds)
JOIN message m USING (message_id, received_at)
WHERE m.status = 'parked'
ORDER BY n.wait_key, n.message_id
ON CONFLICT (wait_key, message_id) DO NOTHING;

-- name: met_keys
-- The wait keys whose thing exists by now.
SELECT k.wait_key
FROM (SELECT DISTINCT wait_key FROM parked WHERE joins_from <= now()) AS k
CROSS JOIN LATERAL (
    SELECT split_part(k.wait_key, ':', 1) AS kind,
           substr(k.wait_key, strpos(k.wait_key, ':') + 1) AS name
) AS w
WHERE CASE w.kind
    WHEN 'sku' THEN EXISTS (SELECT FROM item WHERE sku = w.name)
    WHEN 'location' THEN EXISTS (
        SELECT FROM location WHERE code = w.name OR 'gln:' || gln = w.name)
    WHEN 'order' THEN EXISTS (SELECT FROM reservation WHERE reference = w.name)
        OR EXISTS (SELECT FROM sales_order WHERE number = w.name AND reservation_id IS NOT NULL)
    WHEN 'channel' THEN EXISTS (SELECT FROM channel WHERE code = w.name)
    WHEN 'alias' THEN EXISTS (
        SELECT FROM generate_series(1, length(w.name)) AS colon
        JOIN item_alias a ON a.namespace = left(w.name, colon - 1)
            AND a.alias = substr(w.name, colon + 1)
        WHERE substr(w.name, colon, 1) = ':'
    ) OR EXISTS (
        SELECT FROM item
        WHERE starts_with(w.name, 'gtin:') AND gtin IS NOT NULL AND lpad(gtin, 14, '0') = substr(w.name, 6))
    WHEN 'contract' THEN EXISTS (
        SELECT FROM message_contract c
        WHERE c.name || '.v' || c.version = w.name AND c.status IN ('active', 'deprecated')
    ) OR EXISTS (
        SELECT FROM mapping m
        WHERE 'mapping:' || m.name = regexp_replace(w.name, '\.v\d+$', '')
          AND m.version >= substring(w.name FROM '\.v(\d+)$')::bigint AND m.status = 'active')
    WHEN 'mapping' THEN
        (SELECT sum(m.version) FROM mapping m
         WHERE m.system = regexp_replace(w.name, ':\d+$', '') AND m.status = 'active')
        > substring(w.name FROM ':(\d+)$')::bigint
    WHEN 'system' THEN EXISTS (
        SELECT FROM system s
        WHERE s.code = regexp_replace(w.name, ':\d+$', '') AND s.connector IS NOT NULL
          AND (extract(epoch FROM s.updated_at) * 1000000)::bigint
              > substring(w.name FROM ':(\d+)$')::bigint)
    WHEN 'sequence' THEN EXISTS (
        SELECT FROM source_sequence s
        WHERE s.received @> (regexp_match(w.name, ':(\d+)$'))[1]::bigint
          AND s.system || ':' || s.flow || ':' || (regexp_match(w.name, ':(\d+)$'))[1] = w.name)
    ELSE false
END;

-- name: any_parked
-- Tells whether anything is parked.
SELECT EXISTS (SELECT FROM parked);

-- name: unpark_keys
-- Ends the waiting for what exists; the messages that waited for it.
DELETE FROM parked WHERE wait_key = ANY (%(keys)s::text[]) AND joins_from <= now()
RETURNING message_id, received_at;

-- name: unpark_messages
-- Ends all waiting of messages.
DELETE FROM parked WHERE message_id = ANY (%(ids)s::bigint[]);

-- name: join_messages
-- Makes parked messages due that wait for nothing any more; how many.
WITH ready AS (
    SELECT m.message_id, m.received_at
    FROM unnest(%(ids)s::bigint[], %(received)s::timestamptz[]) AS n (message_id, received_at)
    JOIN message m USING (message_id, received_at)
    WHERE m.status = 'parked'
      AND NOT EXISTS (SELECT FROM parked p WHERE p.message_id = n.message_id)
    ORDER BY m.message_id
    FOR UPDATE OF m
)
UPDATE message m SET status = 'received', due_at = now(), settled_at = NULL
FROM ready r
WHERE m.message_id = r.message_id AND m.received_at = r.received_at;

-- name: pass_gaps
-- Ends the waiting for numbers that did not come in time; what was waited for, and by whom.
DELETE FROM parked
WHERE deadline <= now() AND starts_with(wait_key, 'sequence:')
RETURNING wait_key, message_id, received_at;

-- name: overdue
-- Marks what waited past its deadline: by key, since when, how many, an example, whose it is.
WITH late AS (
    UPDATE parked SET is_overdue = true
    WHERE deadline <= now() AND NOT is_overdue AND NOT starts_with(wait_key, 'sequence:')
    RETURNING wait_key, message_id, received_at
)
SELECT l.wait_key, string_agg(DISTINCT m.system, ', '), min(l.received_at), count(*),
       min(l.message_id), min(m.correlation_id), coalesce(min(f.owner_team), 'operations')
FROM late l
JOIN message m USING (message_id, received_at)
LEFT JOIN flow f ON f.system = m.system AND f.flow = m.flow
GROUP BY l.wait_key
ORDER BY l.wait_key;

-- name: overdue_exceptions
-- Open exceptions about waiting for keys.
SELECT exception_id FROM exception
WHERE kind = 'parked_past_deadline' AND resolved_at IS NULL
  AND subject = ANY (%(keys)s::text[]);
