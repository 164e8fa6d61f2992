-- name: put_feed
-- Makes or replaces a feed; a new place to read from is read from its beginning.
INSERT INTO poll_feed AS f (system, feed, source, is_paused)
SELECT s.code, %(feed)s::text, %(source)s::json, %(is_paused)s::boolean
FROM system s WHERE s.code = %(system)s::text
ON CONFLICT (system, feed) DO UPDATE
SET source = excluded.source, is_paused = excluded.is_paused, due_at = now(), failures = 0,
    mark = CASE WHEN f.source->>'url' = excluded.source->>'url' THEN f.mark END
RETURNING system;

-- name: feed_document
-- A feed as the API shows it.
SELECT json_build_object(
           'system', system, 'feed', feed, 'paused', is_paused, 'mark', mark,
           'due_at', due_at, 'polled_at', polled_at, 'items_read', items_read,
           'items_missed', items_missed, 'failures', failures, 'detail', detail,
           'source', source)::text
FROM poll_feed WHERE system = %(system)s::text AND feed = %(feed)s::text;

-- name: claim_feeds
-- Takes up feeds that are due and that nobody else reads, longest due first.
WITH due AS (
    SELECT system, feed FROM poll_feed
    WHERE due_at <= now() AND NOT is_paused
    ORDER BY due_at, system, feed
    LIMIT %(limit)s::bigint
    FOR UPDATE SKIP LOCKED
)
UPDATE poll_feed f SET due_at = now() + %(lease_seconds)s::bigint * interval '1 second'
FROM due d
WHERE f.system = d.system AND f.feed = d.feed
RETURNING f.system, f.feed, f.source::text, f.mark, f.failures;

-- name: call_feed
-- Makes a feed due now.
UPDATE poll_feed SET due_at = now()
WHERE system = %(system)s::text AND feed = %(feed)s::text
RETURNING feed;

-- name: end_poll
-- Notes how a poll went; the mark never goes back.
UPDATE poll_feed
SET mark = greatest(mark, %(mark)s::timestamptz), polled_at = now(),
    due_at = now() + %(seconds)s::bigint * interval '1 second',
    items_read = items_read + %(items_read)s::bigint,
    items_missed = items_missed + %(items_missed)s::bigint,
    failures = %(failures)s::bigint, detail = %(detail)s::text
WHERE system = %(system)s::text AND feed = %(feed)s::text;

-- name: brought_otherwise
-- Which of the messages another door than polling brought.
SELECT m.source_message_id
FROM message_identity i
JOIN message m USING (message_id)
WHERE i.identity = ANY (%(identities)s::uuid[]) AND m.door <> 'poll';

-- name: missed_page
-- What polling a feed brought and nothing else had, newest first.
SELECT message_id,
       json_build_object(
           'message', message_id, 'source_message_id', source_message_id,
           'received_at', received_at, 'status', status)::text
FROM message
WHERE system = %(system)s::text AND door = 'poll' AND flow = %(feed)s::text
  AND (%(after)s::bigint IS NULL OR message_id < %(after)s::bigint)
ORDER BY message_id DESC
LIMIT %(limit)s::bigint;
