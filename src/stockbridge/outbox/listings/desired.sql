-- What listings shall show.

-- name: lead
-- Tries to become the one process that says what listings shall show.
SELECT pg_try_advisory_lock(hashtextextended('stockbridge:listings', 0));

-- name: listen_listed
-- Hear that there are new listings, whose figures nobody said yet.
LISTEN stockbridge_listed;

-- name: stock_systems
-- The connector of each system that has listings.
SELECT s.code, s.connector FROM system s
WHERE s.connector IS NOT NULL AND EXISTS (SELECT FROM listing l WHERE l.system = s.code);

-- name: items_after
-- The next items that are listed anywhere.
SELECT DISTINCT item_id FROM listing WHERE item_id > %(after)s::bigint
ORDER BY item_id LIMIT %(limit)s::bigint;

-- name: listings_of
-- The listings of items, with what they shall show.
SELECT listing_id, system, channel_id, item_id, location_id, desired
FROM listing
WHERE item_id = ANY (%(items)s::bigint[]) AND state <> 'suspended' AND NOT is_ending;

-- name: want
-- Sets what listings shall show, where it differs; tells the publishers what became due.
WITH held AS (
    SELECT l.listing_id, n.desired, l.state, l.risk, l.due_at, l.sent, l.published,
           greatest(0, n.desired - l.unheard) AS target
    FROM listing l
    JOIN unnest(%(ids)s::bigint[], %(desired)s::bigint[]) AS n (id, desired)
      ON n.id = l.listing_id
    WHERE l.desired IS DISTINCT FROM n.desired AND l.state <> 'suspended' AND NOT l.is_ending
    ORDER BY l.listing_id
    FOR NO KEY UPDATE OF l
), judged AS (
    SELECT h.*, listing_risk(h.target, greatest(h.published, h.sent)) AS new_risk,
           CASE
               WHEN h.state IN ('sending', 'unknown', 'failed') THEN h.state
               WHEN h.state = 'accepted' AND h.target = h.sent THEN 'accepted'
               WHEN h.state IN ('ok', 'dirty') AND h.sent IS NULL AND h.target = h.published
                    THEN 'ok'
               ELSE 'dirty' END AS new_state
    FROM held h
), wanted AS (
    UPDATE listing l
    SET desired = j.desired, desired_version = l.desired_version + 1,
        desired_at = clock_timestamp(), state = j.new_state,
        risk = CASE WHEN j.new_state IN ('dirty', 'unknown') THEN j.new_risk ELSE l.risk END,
        due_at = CASE
            WHEN j.new_state = 'dirty' AND (j.state <> 'dirty' OR l.due_at IS NULL
                                            OR (j.new_risk = 0 AND j.risk > 0))
                 THEN least(l.due_at, clock_timestamp())
            WHEN j.new_state = 'ok' AND j.state = 'dirty' THEN NULL
            ELSE l.due_at END,
        waiting_since = CASE WHEN j.new_state = 'ok' THEN NULL
                             ELSE coalesce(l.waiting_since, clock_timestamp()) END
    FROM judged j WHERE l.listing_id = j.listing_id
    RETURNING l.system, l.state = 'dirty' AS is_due
), told AS (
    SELECT pg_notify('stockbridge_listings', w.system)
    FROM wanted w WHERE w.is_due GROUP BY w.system
)
SELECT count(*), (SELECT count(*) FROM told) FROM wanted;

-- name: alive
-- Proves that the connection, and with it the lock, is still there.
SELECT 1;
