-- Reads of the overview; nothing here writes.

-- name: figures
-- How much of everything there is.
SELECT (SELECT count(*) FROM item),
       (SELECT count(*) FROM location),
       (SELECT count(*) FROM channel),
       (SELECT count(*) FROM reservation WHERE state IN ('held', 'confirmed')),
       (SELECT count(*) FROM exception WHERE resolved_at IS NULL);

-- name: units_by_state
-- Units in each state over all items and locations, in the order of the states.
SELECT state, units
FROM (
    SELECT sum(available) AS available, sum(allocated) AS allocated, sum(picked) AS picked,
           sum(quarantined) AS quarantined, sum(in_transit) AS in_transit,
           sum(on_order) AS on_order, sum(reserved) AS reserved, sum(backordered) AS backordered
    FROM balance
) AS total,
LATERAL (VALUES
    (1, 'available', available), (2, 'allocated', allocated), (3, 'picked', picked),
    (4, 'quarantined', quarantined), (5, 'in_transit', in_transit), (6, 'on_order', on_order),
    (7, 'reserved', reserved), (8, 'backordered', backordered)
) AS by_state (position, state, units)
ORDER BY position;

-- name: newest_movements
-- The newest ledger entries.
SELECT m.recorded_at, m.kind, i.sku, l.code, m.from_account, m.to_account, m.quantity,
       m.document_type || ' ' || m.document_number
FROM movement m
JOIN item i USING (item_id)
JOIN location l USING (location_id)
WHERE m.recorded_at > now() - interval '7 days'
ORDER BY m.movement_id DESC
LIMIT %(limit)s::bigint;

-- name: open_exceptions
-- The gravest open exceptions.
SELECT severity, kind, subject, owner_team, cause, opened_at
FROM exception
WHERE resolved_at IS NULL
ORDER BY severity, exception_id DESC
LIMIT %(limit)s::bigint;

-- Lists: each is bounded by its LIMIT and read along an index; figures are counted to a bound.

-- name: unsettled_messages
-- How many messages wait or failed, by status, each counted to a bound.
SELECT s.status, (SELECT count(*) FROM (
    SELECT FROM message m WHERE m.status = s.status
      AND m.status IN ('parked', 'rejected', 'dead') LIMIT 1001) AS counted)
FROM unnest(ARRAY['parked', 'rejected', 'dead']) WITH ORDINALITY AS s (status, position)
ORDER BY s.position;

-- name: unsettled_deliveries
-- How many deliveries wait or failed, by state, each counted to a bound.
SELECT s.state, (SELECT count(*) FROM (
    SELECT FROM delivery d WHERE d.state = s.state AND d.state <> 'confirmed' LIMIT 1001) AS counted)
FROM unnest(ARRAY['waiting', 'sending', 'accepted', 'rejected', 'dead'])
     WITH ORDINALITY AS s (state, position)
ORDER BY s.position;

-- name: waiting_listings
-- Listings that show something else than they shall, the longest wrong first.
SELECT (extract(epoch FROM l.waiting_since) * 1000000)::bigint || '_' || l.listing_id,
       json_build_object(
    'id', l.listing_id::text, 'system', l.system, 'channel', c.code, 'sku', i.sku,
    'location', p.code, 'state', l.state, 'desired', l.desired, 'published', l.published,
    'published_at', l.published_at, 'verified', l.verified, 'verified_at', l.verified_at,
    'waiting_since', l.waiting_since, 'due_at', l.due_at, 'code', l.code, 'detail', l.detail,
    'stale', coalesce(l.waiting_since < clock_timestamp()
                      - c.freshness_seconds_max * interval '1 second', false))::text
FROM listing l
JOIN channel c USING (channel_id)
JOIN item i USING (item_id)
LEFT JOIN location p ON p.location_id = l.location_id
WHERE l.waiting_since IS NOT NULL
  AND (%(since)s::bigint IS NULL OR (l.waiting_since, l.listing_id)
       > (timestamptz 'epoch' + %(since)s::bigint * interval '1 microsecond', %(after)s::bigint))
  AND (%(system)s::text IS NULL OR l.system = %(system)s::text)
  AND (%(channel)s::text IS NULL OR l.channel_id
       = (SELECT x.channel_id FROM channel x WHERE x.code = %(channel)s::text))
  AND (%(sku)s::text IS NULL OR l.item_id
       = (SELECT x.item_id FROM item x WHERE x.sku = %(sku)s::text))
  AND (%(state)s::text IS NULL OR l.state = %(state)s::text)
ORDER BY l.waiting_since, l.listing_id
LIMIT %(limit)s::bigint;

-- name: gravest_exceptions
-- Open exceptions, the gravest first, of them the newest first.
SELECT e.severity || '_' || e.exception_id,
       json_build_object(
           'id', e.exception_id, 'kind', e.kind, 'subject', e.subject, 'severity', e.severity,
           'owner_team', e.owner_team, 'cause', e.cause, 'opened_at', e.opened_at,
           'seen_at', e.seen_at, 'occurrences', e.occurrences, 'resolved_at', e.resolved_at,
           'correlation_id', e.correlation_id)::text
FROM exception e
WHERE e.resolved_at IS NULL
  AND (%(severity)s::bigint IS NULL OR e.severity >= %(severity)s::bigint)
  AND (%(severity)s::bigint IS NULL OR e.severity > %(severity)s::bigint
       OR e.exception_id < %(after)s::bigint)
  AND (%(kind)s::text IS NULL OR e.kind = %(kind)s::text)
  AND (%(owner_team)s::text IS NULL OR e.owner_team = %(owner_team)s::text)
ORDER BY e.severity, e.exception_id DESC
LIMIT %(limit)s::bigint;

-- name: exception_kinds
-- The kinds of open exceptions, each counted to a bound; one look-up a kind.
WITH RECURSIVE kinds AS (
    (SELECT kind FROM exception WHERE resolved_at IS NULL ORDER BY kind LIMIT 1)
    UNION ALL
    SELECT (SELECT e.kind FROM exception e WHERE e.resolved_at IS NULL AND e.kind > k.kind
            ORDER BY e.kind LIMIT 1)
    FROM kinds k WHERE k.kind IS NOT NULL
)
SELECT k.kind, (SELECT count(*) FROM (
    SELECT FROM exception e WHERE e.resolved_at IS NULL AND e.kind = k.kind LIMIT 1001) AS counted)
FROM kinds k WHERE k.kind IS NOT NULL
ORDER BY k.kind;

-- name: systems_health
-- Every system with its breaker, backlog, feeds, failed listings and newest test.
SELECT json_build_object(
    'code', s.code, 'name', s.name, 'kind', s.kind, 'connector', s.connector,
    'lifecycle', s.lifecycle, 'environment', s.environment, 'criticality', s.criticality,
    'owner_team', s.owner_team, 'breaker', coalesce(b.state, 'closed'),
    'breaker_detail', coalesce(b.detail, ''), 'breaker_at', b.changed_at,
    'backlog', (SELECT count(*) FROM (
        SELECT FROM delivery d WHERE d.system = s.code
          AND d.state IN ('waiting', 'sending', 'accepted') LIMIT 1001) AS counted),
    'failed_listings', (SELECT count(*) FROM (
        SELECT FROM listing l WHERE l.system = s.code AND l.state = 'failed' LIMIT 1001) AS counted),
    'feeds', f.feeds, 'feeds_failing', f.failing, 'polled_at', f.polled_at,
    'tested_at', t.tested_at, 'test_good', t.is_good)::text
FROM system s
LEFT JOIN breaker b ON b.system = s.code
LEFT JOIN system_test t ON t.system = s.code
CROSS JOIN LATERAL (
    SELECT count(*) AS feeds, count(*) FILTER (WHERE p.failures > 0) AS failing,
           max(p.polled_at) AS polled_at
    FROM poll_feed p WHERE p.system = s.code) AS f
WHERE %(code)s::text IS NULL OR s.code = %(code)s::text
ORDER BY s.criticality, s.code
LIMIT 500;

-- name: system_feeds
-- The feeds that are read from a system.
SELECT json_build_object(
    'feed', feed, 'paused', is_paused, 'mark', mark, 'due_at', due_at, 'polled_at', polled_at,
    'items_read', items_read, 'items_missed', items_missed, 'failures', failures,
    'detail', detail)::text
FROM poll_feed WHERE system = %(code)s::text
ORDER BY feed;

-- name: system_checks
-- What the newest test of a system found.
SELECT checks::text, actor FROM system_test WHERE system = %(code)s::text;

-- name: orders_list
-- Orders, newest first, of a channel, a state and a number when given; open or ended ones if asked.
SELECT o.order_id::text,
       json_build_object(
           'id', 'ord_' || to_hex(o.order_id), 'channel', c.code, 'number', o.number,
           'state', o.state, 'created_at', o.created_at, 'updated_at', o.updated_at,
           'ended_at', o.ended_at, 'correlation_id', o.correlation_id)::text
FROM sales_order o
JOIN channel c USING (channel_id)
WHERE (%(after)s::bigint IS NULL OR o.order_id < %(after)s::bigint)
  AND (%(channel)s::text IS NULL OR o.channel_id
       = (SELECT x.channel_id FROM channel x WHERE x.code = %(channel)s::text))
  AND (%(state)s::text IS NULL OR o.state = %(state)s::text)
  AND (%(number)s::text IS NULL OR o.number = %(number)s::text)
  AND (%(open)s::boolean IS NULL OR (o.ended_at IS NULL) = %(open)s::boolean)
ORDER BY o.order_id DESC
LIMIT %(limit)s::bigint;

-- name: messages_behind
-- Messages by their numbers or correlation ids, oldest first.
SELECT DISTINCT m.message_id, m.received_at, m.system, m.contract, m.status, m.door,
       m.correlation_id
FROM (
    (SELECT * FROM message WHERE message_id = ANY (%(ids)s::bigint[]) LIMIT 200)
    UNION ALL
    (SELECT * FROM message WHERE correlation_id = ANY (%(correlations)s::text[]) LIMIT 200)
) AS m
ORDER BY m.received_at, m.message_id;

-- name: deliveries_behind
-- Deliveries by their correlation ids, oldest first.
SELECT d.delivery_id, d.created_at, d.settled_at, d.system, d.operation, d.object_key, d.state,
       d.attempts, d.detail, d.correlation_id
FROM delivery d
WHERE d.correlation_id = ANY (%(correlations)s::text[])
ORDER BY d.created_at, d.delivery_id
LIMIT 200;

-- name: events_behind
-- Changes of orders by their correlation id, oldest first.
SELECT e.recorded_at, 'ord_' || to_hex(e.order_id), c.code, o.number, e.what, e.state,
       e.system, e.principal, e.detail
FROM order_event e
JOIN sales_order o USING (order_id)
JOIN channel c USING (channel_id)
WHERE e.correlation_id = %(correlation)s::text
ORDER BY e.recorded_at, e.order_id, e.event_no
LIMIT 200;

-- name: items_list
-- Items from a SKU on, those that begin with a text when given.
SELECT i.sku,
       json_build_object(
           'sku', i.sku, 'description', i.description, 'gtin', i.gtin, 'status', i.status,
           'on_hand', b.on_hand, 'available', b.available, 'reserved', b.reserved,
           'places', b.places)::text
FROM (
    SELECT * FROM item x
    WHERE (%(after)s::text IS NULL OR x.sku ~>~ %(after)s::text)
      AND (%(prefix)s::text IS NULL OR (x.sku ~>=~ %(prefix)s::text
           AND x.sku ~<~ (%(prefix)s::text || U&'\+10FFFF')))
    ORDER BY x.sku USING ~<~
    LIMIT %(limit)s::bigint
) AS i
CROSS JOIN LATERAL (
    SELECT sum(available + allocated + picked + quarantined) AS on_hand,
           sum(available) AS available, sum(reserved) AS reserved, count(*) AS places
    FROM balance WHERE balance.item_id = i.item_id) AS b
ORDER BY i.sku USING ~<~;

-- name: item_document
-- One item with the channels it may be explained for.
SELECT i.item_id,
       json_build_object(
           'sku', i.sku, 'description', i.description, 'gtin', i.gtin, 'base_uom', i.base_uom,
           'status', i.status, 'tracking', i.tracking, 'standard_cost', i.standard_cost::text,
           'updated_at', i.updated_at)::text,
       ARRAY(SELECT code FROM channel ORDER BY code LIMIT 200)
FROM item i WHERE i.sku = %(sku)s::text;

-- name: item_balances
-- The states of an item by location.
SELECT l.code, b.available, b.allocated, b.picked, b.quarantined, b.in_transit, b.on_order,
       b.reserved, b.backordered, b.safety_stock, f.seen_at
FROM balance b
JOIN location l USING (location_id)
LEFT JOIN location_feed f USING (location_id)
WHERE b.item_id = %(item)s::bigint
ORDER BY l.code
LIMIT 500;

-- name: item_movements
-- The ledger of an item, newest first, below an entry when given.
SELECT m.movement_id::text,
       json_build_object(
           'kind', m.kind, 'location', l.code, 'from', m.from_account, 'to', m.to_account,
           'quantity', m.quantity, 'occurred_at', m.occurred_at, 'recorded_at', m.recorded_at,
           'document', m.document_type || ' ' || m.document_number, 'reason', m.reason,
           'message_id', m.message_id, 'correlation_id', m.correlation_id)::text
FROM balance b
JOIN location l USING (location_id)
CROSS JOIN LATERAL (
    SELECT * FROM movement x
    WHERE x.item_id = b.item_id AND x.location_id = b.location_id
      AND (%(after)s::bigint IS NULL OR x.movement_id < %(after)s::bigint)
    ORDER BY x.recorded_at DESC, x.movement_id DESC
    LIMIT %(limit)s::bigint
) AS m
WHERE b.item_id = %(item)s::bigint
ORDER BY m.recorded_at DESC, m.movement_id DESC
LIMIT %(limit)s::bigint;

-- name: item_listings
-- What each channel shall show of an item, was told, and confirmed.
SELECT json_build_object(
    'id', l.listing_id::text, 'channel', c.code, 'system', l.system, 'item', l.item,
    'location', p.code, 'state', l.state, 'desired', l.desired, 'published', l.published,
    'published_at', l.published_at, 'verified', l.verified, 'verified_at', l.verified_at,
    'waiting_since', l.waiting_since, 'unheard', l.unheard)::text
FROM listing l
JOIN channel c USING (channel_id)
LEFT JOIN location p ON p.location_id = l.location_id
WHERE l.item_id = %(item)s::bigint
ORDER BY c.code, l.listing_id
LIMIT 500;

-- name: search
-- Where a text leads: to an item, an order, a message, a delivery, or what carries a correlation id.
SELECT 'item', i.sku, i.description FROM (
    SELECT x.sku, x.description FROM item x
    WHERE x.sku ~>=~ %(text)s::text AND x.sku ~<~ (%(text)s::text || U&'\+10FFFF')
    ORDER BY x.sku USING ~<~ LIMIT 20) AS i
UNION ALL
SELECT 'order', o.place, o.state FROM (
    SELECT 'ord_' || to_hex(s.order_id) AS place, s.state || ', ' || c.code || ' ' || s.number AS state
    FROM sales_order s JOIN channel c USING (channel_id)
    WHERE s.number = %(text)s::text
       OR s.order_id = %(order)s::bigint LIMIT 20) AS o
UNION ALL
SELECT 'message', m.message_id::text, m.what FROM (
    SELECT message_id, system || ' ' || contract || ', ' || status AS what
    FROM message WHERE message_id = %(number)s::bigint LIMIT 1) AS m
UNION ALL
SELECT 'message', n.message_id::text, 'as its source calls it' FROM (
    SELECT message_id FROM message_identity
    WHERE identity = ANY (%(identities)s::uuid[]) LIMIT 20) AS n
UNION ALL
SELECT 'delivery', d.delivery_id::text, d.what FROM (
    SELECT delivery_id, system || ' ' || operation || ', ' || state AS what
    FROM delivery WHERE delivery_id = %(number)s::bigint LIMIT 1) AS d
UNION ALL
SELECT 'correlation', %(text)s::text, 'everything that carries this correlation id'
WHERE EXISTS (SELECT FROM message WHERE correlation_id = %(text)s::text)
   OR EXISTS (SELECT FROM delivery WHERE correlation_id = %(text)s::text)
   OR EXISTS (SELECT FROM order_event WHERE correlation_id = %(text)s::text);

-- name: known_systems
-- The codes of the systems, for names their sources give to messages.
SELECT code FROM system ORDER BY code LIMIT 500;

-- name: orders_at_erp
-- Orders that wait for the ERP's answer, the oldest first, and what became of telling it.
SELECT json_build_object(
    'id', 'ord_' || to_hex(o.order_id), 'channel', c.code, 'number', o.number,
    'updated_at', o.updated_at, 'erp', o.content->'flow'->>'erp',
    'delivery', d.delivery_id::text, 'delivery_state', d.state, 'detail', d.detail)::text
FROM sales_order o
JOIN channel c USING (channel_id)
LEFT JOIN LATERAL (
    SELECT * FROM delivery x
    WHERE x.system = o.content->'flow'->>'erp' AND x.operation = 'book_order'
      AND x.object_key = 'order:' || c.code || '/' || o.number
    ORDER BY x.delivery_id DESC
    LIMIT 1) AS d ON true
WHERE o.state = 'erp_pending' AND o.ended_at IS NULL
ORDER BY o.order_id
LIMIT %(limit)s::bigint;

-- name: unposted_movements
-- Shipments and movements that the ERP is owed or did not take, the oldest first.
SELECT json_build_object(
    'id', d.delivery_id::text, 'system', d.system, 'operation', d.operation,
    'object', d.object_key, 'state', d.state, 'created_at', d.created_at)::text
FROM unnest(ARRAY['waiting', 'sending', 'accepted', 'rejected', 'dead']) AS s (state)
CROSS JOIN LATERAL (
    SELECT * FROM delivery x
    WHERE x.state = s.state AND x.state <> 'confirmed'
      AND x.operation IN ('ship_order', 'post_movements')
    ORDER BY x.delivery_id
    LIMIT %(limit)s::bigint) AS d
ORDER BY d.created_at, d.delivery_id
LIMIT %(limit)s::bigint;
