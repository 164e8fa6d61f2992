-- The publisher's statements: claim, send, settle, look after.

-- name: listen_listings
-- Hear which systems have listings to work on.
LISTEN stockbridge_listings;

-- name: notify_listings
-- Tells the publishers that a system has listings to work on.
SELECT pg_notify('stockbridge_listings', s.system)
FROM unnest(%(systems)s::text[]) AS s (system);

-- name: publishing_systems
-- Systems that take figures, may be called, and have listings.
SELECT s.code FROM system s
WHERE s.connector IS NOT NULL AND 'publish' = ANY (s.operations)
  AND (s.lifecycle IN ('certified', 'live')
       OR (s.lifecycle = 'testing' AND s.environment = 'sandbox'))
  AND EXISTS (SELECT FROM listing l WHERE l.system = s.code)
ORDER BY s.code;

-- name: wake_listings
-- Makes due in so many seconds what waits after attempts that failed.
WITH paused AS (
    SELECT listing_id FROM listing
    WHERE system = %(system)s::text AND due_at > clock_timestamp()
      AND state IN ('dirty', 'unknown') AND attempts > 0
    ORDER BY listing_id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE listing l
SET due_at = least(due_at, clock_timestamp() + %(seconds)s::float8 * interval '1 second')
FROM paused p WHERE l.listing_id = p.listing_id;

-- name: peek
-- Which classes have work that is due, and in how many seconds the next one is.
SELECT c.risk,
       (SELECT extract(epoch FROM min(l.due_at) - clock_timestamp())::float8 FROM listing l
        WHERE l.system = %(system)s::text AND l.risk = c.risk AND l.due_at IS NOT NULL)
FROM unnest(%(risks)s::smallint[]) AS c (risk);

-- name: many_due
-- Whether so many listings of a class are due.
SELECT count(*) >= %(least)s::bigint FROM (
    SELECT FROM listing l
    WHERE l.system = %(system)s::text AND l.risk = %(risk)s::smallint
      AND l.due_at <= clock_timestamp()
    LIMIT %(least)s::bigint
) AS few;

-- name: claim
-- Leases the listings of a class that have waited longest, and says what they were.
WITH picked AS (
    SELECT l.listing_id, l.state, l.sent
    FROM listing l
    WHERE l.system = %(system)s::text AND l.risk = %(risk)s::smallint
      AND l.due_at <= clock_timestamp()
    ORDER BY l.due_at
    LIMIT %(limit)s::bigint
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE listing l
SET state = 'sending',
    due_at = clock_timestamp() + %(lease_seconds)s::float8 * interval '1 second',
    sent = coalesce(l.sent, greatest(0, l.desired - l.unheard)),
    sent_version = l.sent_version + CASE WHEN l.sent IS NULL THEN 1 ELSE 0 END,
    attempts = l.attempts + 1
FROM picked p, item i
WHERE l.listing_id = p.listing_id AND i.item_id = l.item_id
RETURNING l.listing_id, i.sku, l.channel_id, l.item_id, l.location_id, l.item, l.location,
    l.attributes, p.state, l.due_at, clock_timestamp(), l.desired, l.desired_version, p.sent,
    l.sent_version, l.published, l.heard_from, l.unheard, l.unheard_at, l.reckoned_at,
    l.attempts - 1, l.misses, l.is_ending;

-- name: begin_sending
-- Keeps what is about to be sent, and what was learnt before: a killed worker's end can be found.
-- What it shall show may have become less since it was claimed: then less is sent, as a new call.
WITH held AS (
    SELECT l.listing_id, n.*, least(n.asked, l.desired) AS desired
    FROM listing l
    JOIN unnest(%(ids)s::bigint[], %(leases)s::timestamptz[], %(desired)s::bigint[],
                %(sent_versions)s::bigint[], %(published)s::bigint[], %(heard_from)s::timestamptz[],
                %(unheard)s::bigint[], %(unheard_at)s::timestamptz[],
                %(reckoned_at)s::timestamptz[])
         AS n (id, lease, asked, sent_version, published, heard_from, unheard, unheard_at,
               reckoned_at)
      ON n.id = l.listing_id AND n.lease = l.due_at
    ORDER BY l.listing_id
    FOR NO KEY UPDATE OF l
)
UPDATE listing l
SET sent = greatest(0, h.desired - h.unheard),
    sent_version = h.sent_version + (h.desired < h.asked)::int, published = h.published,
    heard_from = h.heard_from, unheard = h.unheard, unheard_at = h.unheard_at,
    reckoned_at = h.reckoned_at
FROM held h WHERE l.listing_id = h.listing_id
RETURNING l.listing_id, h.desired, l.desired_version, l.sent_version;

-- name: settle
-- Ends the work on listings; those whose lease ran out are another's. Tells which are due again.
WITH held AS (
    SELECT l.listing_id, n.*
    FROM listing l
    JOIN unnest(%(ids)s::bigint[], %(leases)s::timestamptz[], %(ends)s::text[],
                %(sents)s::bigint[], %(sent_versions)s::bigint[], %(versions)s::bigint[],
                %(published)s::bigint[], %(heard_from)s::timestamptz[], %(unheard)s::bigint[],
                %(unheard_at)s::timestamptz[], %(reckoned_at)s::timestamptz[],
                %(seconds)s::float8[], %(verified)s::boolean[], %(corrected)s::boolean[],
                %(misses)s::bigint[], %(references)s::text[], %(codes)s::text[],
                %(details)s::text[])
         AS n (id, lease, ending, sent, sent_version, version, published, heard_from, unheard,
               unheard_at, reckoned_at, seconds, is_verified, is_corrected, misses, reference,
               code, detail)
      ON n.id = l.listing_id AND n.lease = l.due_at
    ORDER BY l.listing_id
    FOR NO KEY UPDATE OF l
), judged AS (
    SELECT h.*, greatest(0, l.desired - h.unheard) AS target,
           (h.ending = 'ok' OR (h.ending = 'later' AND h.sent IS NULL))
           AND greatest(0, l.desired - h.unheard) IS NOT DISTINCT FROM h.published AS is_done,
           h.ending = 'accepted' AND greatest(0, l.desired - h.unheard) <> h.sent AS is_outdated
    FROM held h JOIN listing l ON l.listing_id = h.listing_id
), settled AS (
    UPDATE listing l
    SET state = CASE
            WHEN j.is_done THEN CASE WHEN l.is_ending THEN 'suspended' ELSE 'ok' END
            WHEN j.is_outdated OR j.ending IN ('ok', 'later') THEN 'dirty'
            ELSE j.ending END,
        risk = CASE
            WHEN j.ending = 'accepted' AND NOT j.is_outdated THEN 2
            ELSE listing_risk(j.target, greatest(j.published, j.sent)) END,
        due_at = CASE
            WHEN j.is_done THEN NULL
            WHEN j.is_outdated OR j.ending = 'ok' THEN clock_timestamp()
            ELSE clock_timestamp() + j.seconds * interval '1 second' END,
        waiting_since = CASE
            WHEN NOT j.is_done THEN coalesce(l.waiting_since, clock_timestamp()) END,
        sent = j.sent, sent_version = j.sent_version,
        published = j.published,
        published_version = CASE WHEN j.ending = 'ok' THEN j.version ELSE l.published_version END,
        published_at = CASE WHEN j.ending = 'ok' THEN clock_timestamp() ELSE l.published_at END,
        accepted_at = CASE WHEN j.ending = 'accepted' THEN clock_timestamp()
                           ELSE l.accepted_at END,
        verified = CASE WHEN j.is_verified THEN j.published ELSE l.verified END,
        verified_version = CASE WHEN j.is_verified THEN j.version ELSE l.verified_version END,
        verified_at = CASE WHEN j.is_verified THEN clock_timestamp() ELSE l.verified_at END,
        heard_from = j.heard_from, unheard = j.unheard, unheard_at = j.unheard_at,
        reckoned_at = j.reckoned_at,
        attempts = CASE WHEN j.ending IN ('ok', 'accepted') THEN 0 ELSE l.attempts END,
        misses = j.misses,
        corrections = l.corrections + j.is_corrected::int,
        reference = j.reference, code = j.code, detail = j.detail
    FROM judged j WHERE l.listing_id = j.listing_id
    RETURNING l.listing_id, l.system, l.due_at <= clock_timestamp() AS is_due
), told AS (
    SELECT pg_notify('stockbridge_listings', s.system)
    FROM settled s WHERE s.is_due GROUP BY s.system
)
SELECT count(*), (SELECT count(*) FROM told) FROM settled;

-- name: own_orders
-- Units of the channel's own orders recorded for items after a moment each, and the moment now.
SELECT n.id,
       (SELECT coalesce(sum(m.quantity), 0)::bigint
        FROM movement m
        JOIN reservation r
          ON r.reservation_id
             = ('x' || lpad(substr(m.document_number, 5), 16, '0'))::bit(64)::bigint
        WHERE m.item_id = n.item_id AND m.recorded_at > n.since
          AND (n.location_id = 0 OR m.location_id = n.location_id)
          AND m.kind IN (17, 19) AND m.document_type = 'reservation'
          AND r.channel_id = n.channel_id AND r.state IN ('confirmed', 'fulfilled')),
       clock_timestamp()
FROM unnest(%(ids)s::bigint[], %(channels)s::bigint[], %(items)s::bigint[],
            %(locations)s::bigint[], %(sinces)s::timestamptz[])
     AS n (id, channel_id, item_id, location_id, since);

-- name: unheard_systems
-- Systems with sales that no order is here of.
SELECT DISTINCT system FROM listing WHERE unheard > 0 ORDER BY system;

-- name: read_heard
-- Has listings read again whose sales must have been heard of by a moment.
WITH heard AS (
    SELECT listing_id FROM listing
    WHERE system = %(system)s::text AND unheard > 0
      AND unheard_at < %(heard_at)s::timestamptz AND due_at IS NULL
    ORDER BY listing_id LIMIT 10000 FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE listing l SET due_at = clock_timestamp(), risk = 2
FROM heard h WHERE l.listing_id = h.listing_id;

-- name: read_told
-- Has listings read whose partner was told since a moment of units that left or will not come:
-- many change their own figure then. Gives the moment to ask from next, a little before now.
WITH told AS (
    SELECT DISTINCT d.system, t.line->>'sku' AS sku
    FROM delivery d CROSS JOIN LATERAL json_array_elements(d.payload->'lines') AS t (line)
    WHERE d.state = 'confirmed'
      AND d.operation IN ('confirm_shipment', 'cancel_order', 'confirm_return')
      AND d.settled_at > coalesce(%(since)s::timestamptz, clock_timestamp() - interval '1 minute')
), chosen AS (
    SELECT l.listing_id
    FROM told t JOIN item i ON i.sku = t.sku
    JOIN listing l ON l.item_id = i.item_id AND l.system = t.system
    WHERE l.state = 'ok' AND l.due_at IS NULL
    ORDER BY l.listing_id LIMIT 10000 FOR NO KEY UPDATE OF l SKIP LOCKED
), marked AS (
    UPDATE listing l SET due_at = clock_timestamp(), risk = 2
    FROM chosen c WHERE l.listing_id = c.listing_id
    RETURNING l.system
), woken AS (
    SELECT pg_notify('stockbridge_listings', m.system) FROM marked m GROUP BY m.system
)
SELECT clock_timestamp() - interval '2 seconds', (SELECT count(*) FROM woken);

-- name: read_sample
-- Has the next listings of a system read that show, as far as we know, what they shall.
WITH sample AS (
    SELECT listing_id, state, due_at FROM listing
    WHERE system = %(system)s::text AND listing_id > %(after)s::bigint
    ORDER BY listing_id LIMIT %(limit)s::bigint FOR NO KEY UPDATE SKIP LOCKED
), marked AS (
    UPDATE listing l SET due_at = clock_timestamp(), risk = 2
    FROM sample s
    WHERE l.listing_id = s.listing_id AND s.state = 'ok' AND s.due_at IS NULL
    RETURNING l.listing_id
)
SELECT (SELECT count(*) FROM marked), (SELECT max(listing_id) FROM sample);

-- name: watch
-- Tries to be the one process that makes the rounds; holds while the session lives.
SELECT pg_try_advisory_lock(hashtextextended('stockbridge:listings:watch', 0));

-- name: late_listings
-- Listings, by system, that show another figure for longer than their channel allows (100,000 at most).
SELECT s.code, late.listings, late.seconds
FROM system s
CROSS JOIN LATERAL (
    SELECT count(*) AS listings,
           extract(epoch FROM clock_timestamp() - min(few.waiting_since))::float8 AS seconds
    FROM (
        SELECT l.waiting_since FROM listing l JOIN channel c USING (channel_id)
        WHERE l.system = s.code AND l.due_at IS NOT NULL
          AND l.waiting_since
              < clock_timestamp() - c.freshness_seconds_max * interval '1 second'
        LIMIT 100000
    ) AS few
) AS late
WHERE s.connector IS NOT NULL
ORDER BY s.code;

-- name: failed_listings
-- Listings that partners do not take, by system and reason, with one of them.
SELECT l.system, l.code, count(*), min(i.sku),
       (array_agg(l.detail ORDER BY i.sku))[1]
FROM listing l JOIN item i USING (item_id)
WHERE l.state = 'failed'
GROUP BY l.system, l.code;

-- name: open_subjects
-- What open exceptions of a kind are about.
SELECT subject FROM exception WHERE kind = %(kind)s::text AND resolved_at IS NULL;

-- name: listing_counts
-- Listings to work on by system, class and state, for metrics.
SELECT system, risk, state, count(*),
       extract(epoch FROM clock_timestamp() - min(waiting_since))::float8
FROM listing WHERE due_at IS NOT NULL
GROUP BY system, risk, state;
