-- name: put_feed
-- Makes or replaces a feed; a new place to read from is read from its beginning.
INSERT INTO poll_feed AS f (system, feed, source, is_paused)
SELECT s.code, %(feed)s::text, %(source)s::json, %(is_paused)s::boolean
FROM system s WHERE s.code = %(system)s::text
ON CONFLICT (system, feed) DO UPDATE
SET source = excluded.source, is_paused = excluded.is_paused, due_at = now(), failures = 0,
    mark = CASE WHEN f.source->>'url' = excluded.source->>'url' THEN f.mark END
WHERE NOT f.is_connectors
RETURNING system;

-- name: pause_feed
-- Pauses a feed of a connector, or lets it go on.
UPDATE poll_feed SET is_paused = %(is_paused)s::boolean
WHERE system = %(system)s::text AND feed = %(feed)s::text AND is_connectors
RETURNING system;

-- name: system_exists
-- Tells whether a system exists.
SELECT EXISTS (SELECT FROM system WHERE code = %(system)s::text);

-- name: sync_feeds
-- Gives a system the feeds of its connector; what stays keeps its mark.
INSERT INTO poll_feed AS f (system, feed, is_connectors, source)
SELECT %(system)s::text, n.feed, true, n.source
FROM unnest(%(feeds)s::text[], %(sources)s::json[]) AS n (feed, source)
ORDER BY n.feed
ON CONFLICT (system, feed) DO UPDATE
SET source = excluded.source, is_connectors = true,
    mark = CASE WHEN f.is_connectors THEN f.mark END
WHERE NOT f.is_connectors OR f.source::text <> excluded.source::text;

-- name: drop_feeds
-- Takes away the feeds that the system's connector no longer has.
DELETE FROM poll_feed
WHERE system = %(system)s::text AND is_connectors AND NOT feed = ANY (%(feeds)s::text[]);

-- name: systems_with_connectors
-- Systems that a connector reads feeds of.
SELECT code, connector FROM system WHERE connector IS NOT NULL ORDER BY code;

-- name: feed_document
-- A feed as the API shows it.
SELECT json_build_object(
           'system', system, 'feed', feed, 'paused', is_paused, 'mark', mark,
           'due_at', due_at, 'polled_at', polled_at, 'began_at', began_at,
           'items_read', items_read, 'items_missed', items_missed, 'failures', failures,
           'detail', detail,
           'source', CASE WHEN NOT is_connectors THEN source END,
           'connector', CASE WHEN is_connectors THEN source END)::text
FROM poll_feed WHERE system = %(system)s::text AND feed = %(feed)s::text;

-- name: feeds_page
-- The feeds of a system by name.
SELECT feed,
       json_build_object(
           'system', system, 'feed', feed, 'paused', is_paused, 'mark', mark,
           'due_at', due_at, 'polled_at', polled_at, 'began_at', began_at,
           'items_read', items_read, 'items_missed', items_missed, 'failures', failures,
           'detail', detail,
           'source', CASE WHEN NOT is_connectors THEN source END,
           'connector', CASE WHEN is_connectors THEN source END)::text
FROM poll_feed
WHERE system = %(system)s::text AND (%(after)s::text IS NULL OR feed > %(after)s::text)
ORDER BY feed
LIMIT %(limit)s::bigint;

-- name: claim_feeds
-- Takes up feeds that are due and nobody reads, longest due first; connectors call only who may be.
WITH due AS (
    SELECT f.system, f.feed FROM poll_feed f
    JOIN system s ON s.code = f.system
    WHERE f.due_at <= now() AND NOT f.is_paused
      AND (NOT f.is_connectors OR s.lifecycle IN ('certified', 'live')
           OR (s.lifecycle = 'testing' AND s.environment = 'sandbox'))
    ORDER BY f.due_at, f.system, f.feed
    LIMIT %(limit)s::bigint
    FOR UPDATE OF f SKIP LOCKED
)
UPDATE poll_feed f
SET due_at = now() + %(lease_seconds)s::bigint * interval '1 second',
    leased_until = now() + %(lease_seconds)s::bigint * interval '1 second'
FROM due d
WHERE f.system = d.system AND f.feed = d.feed
RETURNING f.system, f.feed, f.source::text, f.mark, f.failures, f.is_connectors, now();

-- name: renew_feed
-- Keeps a feed for who reads it.
UPDATE poll_feed
SET due_at = now() + %(lease_seconds)s::bigint * interval '1 second',
    leased_until = now() + %(lease_seconds)s::bigint * interval '1 second'
WHERE system = %(system)s::text AND feed = %(feed)s::text AND leased_until IS NOT NULL;

-- name: call_feeds
-- Makes feeds due now; one that is being read is read once more after that.
UPDATE poll_feed
SET called_at = now(), due_at = CASE WHEN leased_until > now() THEN due_at ELSE now() END
WHERE system = %(system)s::text AND feed = ANY (%(feeds)s::text[])
RETURNING feed;

-- name: try_feeds
-- Has feeds soon polled that failed, or are being read with what was put right meanwhile.
UPDATE poll_feed
SET called_at = now() + %(seconds)s::float8 * interval '1 second',
    due_at = CASE WHEN leased_until > now() THEN due_at
                  ELSE least(due_at, now() + %(seconds)s::float8 * interval '1 second') END
WHERE system = %(system)s::text AND (failures > 0 OR leased_until > now());

-- name: end_poll
-- Notes how a poll went; the mark never goes back.
UPDATE poll_feed
SET mark = greatest(mark, %(mark)s::timestamptz), polled_at = now(), leased_until = NULL,
    due_at = CASE WHEN called_at > %(began_at)s::timestamptz THEN greatest(called_at, now())
                  ELSE now() + %(seconds)s::bigint * interval '1 second' END,
    began_at = CASE WHEN %(failures)s::bigint = 0 THEN %(began_at)s::timestamptz
                    ELSE began_at END,
    contracts = ARRAY(SELECT unnest(contracts || %(contracts)s::text[]) AS c GROUP BY c ORDER BY c),
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

-- name: known_messages
-- Which of the messages came already.
SELECT identity::text FROM message_identity WHERE identity = ANY (%(identities)s::uuid[]);

-- name: missed_page
-- What polling a feed brought and nothing else had, newest first.
SELECT message_id::text,
       json_build_object(
           'message', message_id, 'source_message_id', source_message_id,
           'contract', contract, 'received_at', received_at, 'status', status,
           'poll', substr(causation_id, length('poll:' || %(feed)s::text || '@') + 1))::text
FROM message
WHERE system = %(system)s::text AND door = 'poll'
  AND starts_with(causation_id, 'poll:' || %(feed)s::text || '@')
  AND (%(after)s::bigint IS NULL OR message_id < %(after)s::bigint)
ORDER BY message.message_id DESC
LIMIT %(limit)s::bigint;

-- name: note_heard
-- Notes that all that the newest finished poll told has been applied; when it had begun, less what
-- the feed lags behind.
WITH feed AS (
    SELECT f.system, f.feed, f.heard_at,
           f.began_at - coalesce((f.source ->> 'lag_seconds')::bigint, 0) * interval '1 second'
               AS began_at,
           NOT EXISTS (
               SELECT FROM message m
               WHERE m.system = f.system AND m.contract = ANY (f.contracts)
                 AND m.received_at <= f.polled_at AND m.status = 'received')
           AND NOT EXISTS (
               SELECT FROM message m
               WHERE m.system = f.system AND m.contract = ANY (f.contracts)
                 AND m.received_at <= f.polled_at AND m.status IN ('parked', 'dead'))
           AS is_applied
    FROM poll_feed f
    WHERE f.system = %(system)s::text AND f.feed = %(feed)s::text
), noted AS (
    UPDATE poll_feed f SET heard_at = n.began_at
    FROM feed n
    WHERE f.system = n.system AND f.feed = n.feed
      AND n.is_applied AND n.heard_at IS DISTINCT FROM n.began_at
)
SELECT CASE WHEN is_applied THEN began_at ELSE heard_at END FROM feed;
