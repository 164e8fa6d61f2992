-- Listings are made, ended, and told to try again; all set-based.

-- name: channel_listed
-- A channel with the system, connector and configuration its listings go by, and its sources.
SELECT c.channel_id, c.system, s.connector, s.config,
       ARRAY(SELECT l.code FROM channel_source cs JOIN location l USING (location_id)
             WHERE cs.channel_id = c.channel_id)
FROM channel c LEFT JOIN system s ON s.code = c.system
WHERE c.code = %(channel)s::text;

-- name: add_by_name
-- Lists items under the partner's names: aliases of the system, or our SKUs; all if none is named.
WITH named AS (
    SELECT a.item_id, a.alias AS item FROM item_alias a
    WHERE NOT %(by_sku)s::boolean AND a.namespace = %(system)s::text
    UNION ALL
    SELECT i.item_id, i.sku FROM item i WHERE %(by_sku)s::boolean
), place AS (
    SELECT 0::bigint AS location_id, '' AS location WHERE NOT %(by_location)s::boolean
    UNION ALL
    SELECT l.location_id, p.theirs
    FROM unnest(%(ours)s::text[], %(theirs)s::text[]) AS p (ours, theirs)
    JOIN location l ON l.code = p.ours
    JOIN channel_source cs ON cs.location_id = l.location_id
     AND cs.channel_id = %(channel_id)s::bigint
    WHERE %(by_location)s::boolean
), added AS (
    INSERT INTO listing (system, channel_id, item_id, location_id, item, location)
    SELECT %(system)s::text, %(channel_id)s::bigint, n.item_id, p.location_id, n.item, p.location
    FROM named n JOIN item i USING (item_id) CROSS JOIN place p
    WHERE i.status <> 'draft'
      AND (%(skus)s::text[] IS NULL OR i.sku = ANY (%(skus)s::text[]))
    ON CONFLICT (system, item, location) DO UPDATE
    SET state = 'new', is_ending = false, desired = NULL, due_at = NULL,
        channel_id = excluded.channel_id, item_id = excluded.item_id,
        location_id = excluded.location_id
    WHERE listing.state = 'suspended' OR listing.is_ending
    RETURNING listing_id
), told AS (
    SELECT pg_notify('stockbridge_listed', %(system)s::text)
)
SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM told);

-- name: add_rows
-- Lists items as they are named there, with what updates of them need.
WITH given AS (
    SELECT g.*, i.item_id, coalesce(l.location_id, 0) AS location_id
    FROM unnest(%(skus)s::text[], %(items)s::text[], %(locations)s::text[], %(theirs)s::text[],
                %(attributes)s::json[]) AS g (sku, item, ours, location, attributes)
    JOIN item i ON i.sku = g.sku
    LEFT JOIN location l ON l.code = g.ours
    WHERE g.ours = '' OR l.location_id IS NOT NULL
), added AS (
    INSERT INTO listing (system, channel_id, item_id, location_id, item, location, attributes)
    SELECT DISTINCT ON (g.item, g.location) %(system)s::text, %(channel_id)s::bigint, g.item_id,
           g.location_id, g.item, g.location, g.attributes
    FROM given g ORDER BY g.item, g.location
    ON CONFLICT (system, item, location) DO UPDATE
    SET attributes = excluded.attributes, item_id = excluded.item_id,
        location_id = excluded.location_id, channel_id = excluded.channel_id,
        is_ending = false,
        state = CASE WHEN listing.state = 'suspended' OR listing.is_ending
                          OR listing.item_id <> excluded.item_id
                     THEN 'new' ELSE listing.state END,
        desired = CASE WHEN listing.state = 'suspended' OR listing.is_ending
                            OR listing.item_id <> excluded.item_id
                       THEN NULL ELSE listing.desired END,
        due_at = CASE WHEN listing.state = 'suspended' OR listing.is_ending
                           OR listing.item_id <> excluded.item_id
                      THEN NULL ELSE listing.due_at END
    RETURNING listing_id
), told AS (
    SELECT pg_notify('stockbridge_listed', %(system)s::text)
)
SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM told);

-- name: unlisted
-- Of the SKUs those that the channel does not list: unknown, or without a name there.
SELECT s.sku FROM unnest(%(skus)s::text[]) AS s (sku)
WHERE NOT EXISTS (
    SELECT FROM listing l JOIN item i USING (item_id)
    WHERE i.sku = s.sku AND l.channel_id = %(channel_id)s::bigint
)
ORDER BY s.sku;

-- name: choose_listings
-- Locks the listings that are meant, lowest id first; `waits`: the failed, and those due later.
SELECT l.listing_id FROM listing l
WHERE l.state = ANY (%(states)s::text[])
  AND (NOT %(waits)s::boolean OR l.state = 'failed' OR l.due_at > clock_timestamp())
  AND (%(id)s::bigint IS NULL OR l.listing_id = %(id)s::bigint)
  AND (%(system)s::text IS NULL OR l.system = %(system)s::text)
  AND (%(state)s::text IS NULL OR l.state = %(state)s::text)
  AND (%(channel)s::text IS NULL OR l.channel_id
       = (SELECT c.channel_id FROM channel c WHERE c.code = %(channel)s::text))
  AND (%(sku)s::text IS NULL OR l.item_id
       = (SELECT i.item_id FROM item i WHERE i.sku = %(sku)s::text))
ORDER BY l.listing_id LIMIT %(limit)s::bigint FOR NO KEY UPDATE;

-- name: retry
-- Has chosen listings tried at once.
WITH due AS (
    UPDATE listing l
    SET state = CASE WHEN l.state = 'failed' THEN 'dirty' ELSE l.state END,
        risk = listing_risk(greatest(0, l.desired - l.unheard), l.published),
        due_at = clock_timestamp(), attempts = 0, misses = 0
    WHERE l.listing_id = ANY (%(chosen)s::bigint[]) AND l.desired IS NOT NULL
    RETURNING l.system
), told AS (
    SELECT pg_notify('stockbridge_listings', d.system) FROM due d GROUP BY d.system
)
SELECT count(*), (SELECT count(*) FROM told) FROM due;

-- name: verify
-- Has chosen listings read back.
WITH due AS (
    UPDATE listing l SET due_at = clock_timestamp(), risk = 2
    WHERE l.listing_id = ANY (%(chosen)s::bigint[])
    RETURNING l.system
), told AS (
    SELECT pg_notify('stockbridge_listings', d.system) FROM due d GROUP BY d.system
)
SELECT count(*), (SELECT count(*) FROM told) FROM due;

-- name: end_listings
-- Ends chosen listings: as they are, or taken to zero first.
WITH ended AS (
    UPDATE listing l
    SET is_ending = %(to_zero)s::boolean AND l.published IS DISTINCT FROM 0,
        desired = 0, desired_version = l.desired_version + 1, desired_at = clock_timestamp(),
        state = CASE
            WHEN NOT %(to_zero)s::boolean OR l.published = 0 AND l.state = 'ok' THEN 'suspended'
            WHEN l.state IN ('sending', 'unknown') THEN l.state ELSE 'dirty' END,
        risk = 0,
        due_at = CASE
            WHEN NOT %(to_zero)s::boolean OR l.published = 0 AND l.state = 'ok' THEN NULL
            WHEN l.state = 'sending' THEN l.due_at ELSE clock_timestamp() END,
        waiting_since = CASE
            WHEN %(to_zero)s::boolean THEN coalesce(l.waiting_since, clock_timestamp()) END
    WHERE l.listing_id = ANY (%(chosen)s::bigint[])
    RETURNING l.system
), told AS (
    SELECT pg_notify('stockbridge_listings', e.system) FROM ended e GROUP BY e.system
)
SELECT count(*), (SELECT count(*) FROM told) FROM ended;

-- name: listings_page
-- Listings after an id: what they shall show, were told and show; `stale`: longer than allowed.
SELECT l.listing_id::text, json_build_object(
    'id', l.listing_id::text, 'system', l.system, 'channel', c.code, 'sku', i.sku,
    'location', p.code, 'item', l.item, 'partner_location', l.location, 'state', l.state,
    'is_ending', l.is_ending,
    'desired', l.desired, 'desired_version', l.desired_version, 'desired_at', l.desired_at,
    'sent', l.sent, 'published', l.published, 'published_version', l.published_version,
    'published_at', l.published_at, 'accepted_at', l.accepted_at,
    'verified', l.verified, 'verified_version', l.verified_version, 'verified_at', l.verified_at,
    'unheard', l.unheard, 'unheard_at', l.unheard_at, 'waiting_since', l.waiting_since,
    'due_at', l.due_at, 'attempts', l.attempts, 'corrections', l.corrections,
    'reference', l.reference, 'code', l.code, 'detail', l.detail,
    'stale', coalesce(l.waiting_since < clock_timestamp()
                      - c.freshness_seconds_max * interval '1 second', false)
)::text
FROM listing l
JOIN channel c USING (channel_id)
JOIN item i USING (item_id)
LEFT JOIN location p ON p.location_id = l.location_id
WHERE l.listing_id > coalesce(%(after)s::bigint, 0)
  AND (%(id)s::bigint IS NULL OR l.listing_id = %(id)s::bigint)
  AND (%(system)s::text IS NULL OR l.system = %(system)s::text)
  AND (%(channels)s::text[] IS NULL OR c.code = ANY (%(channels)s::text[]))
  AND (%(channel)s::text IS NULL OR l.channel_id
       = (SELECT x.channel_id FROM channel x WHERE x.code = %(channel)s::text))
  AND (%(sku)s::text IS NULL OR l.item_id
       = (SELECT x.item_id FROM item x WHERE x.sku = %(sku)s::text))
  AND (%(state)s::text IS NULL OR l.state = %(state)s::text)
  AND (%(stale)s::boolean IS NULL OR %(stale)s::boolean = coalesce(
       l.due_at IS NOT NULL AND l.waiting_since < clock_timestamp()
       - c.freshness_seconds_max * interval '1 second', false))
ORDER BY l.listing_id LIMIT %(limit)s::bigint;
