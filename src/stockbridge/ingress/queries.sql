-- What the API lists, and what its timers look for. Rows are (key, JSON document) in page order;
-- the order names the table's column, because the key of the same name is text.

-- name: items_page
-- Lists items by SKU, those that start with `prefix` and have `status` when given.
SELECT sku,
       json_build_object(
           'sku', sku, 'description', description, 'gtin', gtin, 'base_uom', base_uom,
           'status', status, 'tracking', tracking, 'standard_cost', standard_cost::text,
           'attributes', attributes, 'updated_at', updated_at,
           'correlation_id', correlation_id)::text
FROM item
WHERE (%(after)s::text IS NULL OR sku > %(after)s::text)
  AND (%(prefix)s::text IS NULL OR starts_with(sku, %(prefix)s::text))
  AND (%(status)s::text IS NULL OR status = %(status)s::text)
ORDER BY sku
LIMIT %(limit)s::bigint;

-- name: locations_page
-- Lists locations by code.
SELECT code,
       json_build_object(
           'code', code, 'name', name, 'kind', kind, 'authority', authority,
           'time_zone', time_zone, 'feed_silence_seconds', feed_silence_seconds, 'gln', gln,
           'updated_at', updated_at, 'correlation_id', correlation_id)::text
FROM location
WHERE (%(after)s::text IS NULL OR code > %(after)s::text)
ORDER BY code
LIMIT %(limit)s::bigint;

-- name: channels_page
-- Lists channels by code; only `own` ones when given.
SELECT c.code,
       json_build_object(
           'code', c.code, 'name', c.name, 'system', c.system, 'sourcing', c.sourcing,
           'sources', ARRAY(
               SELECT l.code FROM channel_source s JOIN location l USING (location_id)
               WHERE s.channel_id = c.channel_id ORDER BY s.priority, l.code),
           'freshness_seconds_max', c.freshness_seconds_max, 'updated_at', c.updated_at,
           'correlation_id', c.correlation_id)::text
FROM channel c
WHERE (%(after)s::text IS NULL OR c.code > %(after)s::text)
  AND (%(own)s::text[] IS NULL OR c.code = ANY(%(own)s::text[]))
ORDER BY c.code
LIMIT %(limit)s::bigint;

-- name: systems_page
-- Lists partners' endpoints by code.
SELECT code,
       json_build_object(
           'code', code, 'name', name, 'kind', kind, 'criticality', criticality,
           'owner_team', owner_team, 'lifecycle', lifecycle, 'connector', connector,
           'config', config, 'environment', environment, 'operations', operations,
           'updated_at', updated_at,
           'correlation_id', correlation_id)::text
FROM system
WHERE (%(after)s::text IS NULL OR code > %(after)s::text)
ORDER BY code
LIMIT %(limit)s::bigint;

-- name: reason_codes_page
-- Lists reason codes.
SELECT code,
       json_build_object(
           'code', code, 'description', description, 'sign', sign, 'account', account,
           'active', active, 'updated_at', updated_at, 'correlation_id', correlation_id)::text
FROM reason_code
WHERE (%(after)s::text IS NULL OR code > %(after)s::text)
ORDER BY code
LIMIT %(limit)s::bigint;

-- name: policies_page
-- Lists policy versions, newest first, of one channel and item when given.
SELECT p.policy_id::text,
       json_build_object(
           'channel', c.code, 'sku', i.sku, 'version', p.version,
           'effective_from', p.effective_from, 'author', p.author,
           'kind', p.body ->> 'kind', 'percent', p.body -> 'percent',
           'buffer_units', p.body -> 'buffer_units',
           'buffer_percent', p.body -> 'buffer_percent', 'cap', p.body -> 'cap',
           'floor', p.body -> 'floor', 'horizon_days', p.body -> 'horizon_days',
           'safety_stock', p.body -> 'safety_stock', 'on_stale', p.body ->> 'on_stale',
           'stale_buffer_units', p.body -> 'stale_buffer_units',
           'correlation_id', p.correlation_id)::text
FROM policy p
JOIN channel c USING (channel_id)
LEFT JOIN item i USING (item_id)
WHERE (%(after)s::bigint IS NULL OR p.policy_id < %(after)s::bigint)
  AND (%(channel)s::text IS NULL OR c.code = %(channel)s::text)
  AND (%(sku)s::text IS NULL OR i.sku = %(sku)s::text)
ORDER BY p.policy_id DESC
LIMIT %(limit)s::bigint;

-- name: policy_document
-- The policy version of a channel, or of an item on it, that is in force now.
SELECT json_build_object(
           'channel', c.code, 'sku', i.sku, 'version', p.version,
           'effective_from', p.effective_from, 'author', p.author,
           'kind', p.body ->> 'kind', 'percent', p.body -> 'percent',
           'buffer_units', p.body -> 'buffer_units',
           'buffer_percent', p.body -> 'buffer_percent', 'cap', p.body -> 'cap',
           'floor', p.body -> 'floor', 'horizon_days', p.body -> 'horizon_days',
           'safety_stock', p.body -> 'safety_stock', 'on_stale', p.body ->> 'on_stale',
           'stale_buffer_units', p.body -> 'stale_buffer_units',
           'correlation_id', p.correlation_id)::text
FROM policy p
JOIN channel c USING (channel_id)
LEFT JOIN item i USING (item_id)
WHERE c.code = %(channel)s::text
  AND i.sku IS NOT DISTINCT FROM %(sku)s::text
  AND p.effective_from <= now()
ORDER BY p.effective_from DESC, p.version DESC
LIMIT 1;

-- name: fences_of
-- What is set aside for a channel.
SELECT i.sku, l.code, f.quantity
FROM fence f
JOIN channel c USING (channel_id)
JOIN item i USING (item_id)
JOIN location l USING (location_id)
WHERE c.code = %(channel)s::text AND f.quantity > 0
ORDER BY i.sku, l.code;

-- name: reservations_page
-- Lists promises, newest first, of channels, a state and a reference when given.
SELECT r.reservation_id::text,
       json_build_object(
           'id', 'rsv_' || to_hex(r.reservation_id),
           'state', CASE WHEN r.state = 'held' AND r.expires_at <= now() THEN 'expired'
                         ELSE r.state END,
           'channel', c.code, 'reference', r.reference, 'mode', r.mode,
           'expires_at', r.expires_at, 'created_at', r.created_at, 'ended_at', r.ended_at,
           'lines', json_array_length(r.lines), 'correlation_id', r.correlation_id)::text
FROM reservation r
JOIN channel c USING (channel_id)
WHERE (%(after)s::bigint IS NULL OR r.reservation_id < %(after)s::bigint)
  AND (%(own)s::text[] IS NULL OR c.code = ANY(%(own)s::text[]))
  AND (%(channel)s::text IS NULL OR c.code = %(channel)s::text)
  AND (%(state)s::text IS NULL OR r.state = %(state)s::text)
  AND (%(reference)s::text IS NULL OR r.reference = %(reference)s::text)
ORDER BY r.reservation_id DESC
LIMIT %(limit)s::bigint;

-- name: reservation_channel
-- The channel a promise was given to.
SELECT c.code
FROM reservation r JOIN channel c USING (channel_id)
WHERE r.reservation_id = %(reservation_id)s::bigint;

-- name: imports_page
-- Lists bulk imports, newest first.
SELECT job_id::text,
       json_build_object(
           'job_id', job_id, 'kind', kind, 'state', state, 'rows_good', rows_good,
           'rows_bad', rows_bad, 'detail', detail, 'actor', actor, 'started_at', started_at,
           'ended_at', ended_at, 'correlation_id', correlation_id)::text
FROM import_job AS j
WHERE (%(after)s::bigint IS NULL OR job_id < %(after)s::bigint)
ORDER BY j.job_id DESC
LIMIT %(limit)s::bigint;

-- name: due_reservations
-- Promises past their time that still hold something, longest due first.
SELECT reservation_id
FROM reservation
WHERE state = 'held' AND expires_at <= now()
ORDER BY expires_at, reservation_id
LIMIT %(limit)s::bigint;

-- name: ping
-- Tells that the database answers.
SELECT 1;

-- name: system_codes
-- The codes of all systems.
SELECT code FROM system;
