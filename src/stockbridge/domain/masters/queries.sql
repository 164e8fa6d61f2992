-- Statements of the masters: what the cache reads, what the handlers check and write.

-- name: masters_epoch
-- The epoch that caches compare.
SELECT epoch FROM masters_epoch;

-- name: lock_masters
-- Lets one change of masters at a time decide; taken before any item's lock.
SELECT epoch FROM masters_epoch ORDER BY only_row FOR UPDATE;

-- name: bump_epoch
-- Tells every cache, at commit, that masters changed.
WITH bumped AS (UPDATE masters_epoch SET epoch = epoch + 1 RETURNING epoch)
SELECT epoch, pg_notify('stockbridge_masters', epoch::text) FROM bumped;

-- name: all_locations
-- Every location.
SELECT location_id, code, kind, authority, time_zone, feed_silence_seconds, name, gln
FROM location ORDER BY location_id;

-- name: all_channels
-- Every channel with its location ids, first priority first.
SELECT c.channel_id, c.code, c.sourcing,
    ARRAY(
        SELECT s.location_id FROM channel_source s
        WHERE s.channel_id = c.channel_id ORDER BY s.priority, s.location_id
    ) AS sources,
    c.freshness_seconds_max, c.system, c.name
FROM channel c ORDER BY c.channel_id;

-- name: all_policies
-- Every policy version, oldest effective first.
SELECT channel_id, item_id, version, effective_from, author, body
FROM policy ORDER BY channel_id, item_id, effective_from, version;

-- name: all_order_flows
-- The newest version of the way each channel's orders take.
SELECT DISTINCT ON (channel_id)
       channel_id, version, erp, release, needs_payment, asks_building
FROM order_flow ORDER BY channel_id, version DESC;

-- name: all_reason_codes
-- The governed list of reasons.
SELECT code, description, sign, account, active FROM reason_code ORDER BY code;

-- name: all_systems
-- Every partner's endpoint.
SELECT system_id, code, kind, name, criticality, owner_team, lifecycle, operations
FROM system ORDER BY system_id;

-- name: any_fences
-- Whether anything is set aside for a channel.
SELECT EXISTS (SELECT FROM fence WHERE quantity > 0);

-- name: fetch_items
-- Items by SKU, alias or id, and the components of the kits among them.
WITH wanted AS (
    SELECT item_id FROM item WHERE sku = ANY(%(skus)s::text[])
    UNION
    SELECT a.item_id
    FROM unnest(%(namespaces)s::text[], %(aliases)s::text[]) AS w (namespace, alias)
    JOIN item_alias a USING (namespace, alias)
    UNION
    SELECT i.item_id
    FROM unnest(%(namespaces)s::text[], %(aliases)s::text[]) AS w (namespace, alias)
    JOIN item i ON lpad(i.gtin, 14, '0') = w.alias
    WHERE w.namespace = 'gtin' AND i.gtin IS NOT NULL
    UNION
    SELECT unnest(%(item_ids)s::bigint[])
), needed AS (
    SELECT item_id FROM wanted
    UNION
    SELECT k.component_item_id FROM kit_component k JOIN wanted USING (item_id)
)
SELECT i.item_id, i.sku, i.base_uom, i.status, i.tracking, i.standard_cost::text,
    (
        SELECT json_object_agg(u.uom, json_build_array(u.numerator, u.denominator))
        FROM item_uom u WHERE u.item_id = i.item_id
    ) AS uoms,
    (
        SELECT json_agg(json_build_array(k.component_item_id, k.quantity)
            ORDER BY k.component_item_id)
        FROM kit_component k WHERE k.item_id = i.item_id
    ) AS components
FROM needed JOIN item i USING (item_id);

-- name: fetch_aliases
-- The items that systems' names stand for; an item's own GTIN where no alias says otherwise.
SELECT w.namespace, w.alias, coalesce(a.item_id, i.item_id)
FROM unnest(%(namespaces)s::text[], %(aliases)s::text[]) AS w (namespace, alias)
LEFT JOIN item_alias a USING (namespace, alias)
LEFT JOIN LATERAL (
    SELECT min(item_id) AS item_id FROM item
    WHERE w.namespace = 'gtin' AND gtin IS NOT NULL AND lpad(gtin, 14, '0') = w.alias
) AS i ON true
WHERE a.item_id IS NOT NULL OR i.item_id IS NOT NULL;

-- name: find_item
-- One item by SKU.
SELECT item_id, base_uom FROM item WHERE sku = %(sku)s::text;

-- name: lock_item
-- Keeps the engine off the item until the change is committed.
SELECT item_id FROM item_lock WHERE item_id = %(item_id)s::bigint ORDER BY item_id FOR UPDATE;

-- name: item_use
-- Whether the item holds stock or promises, ever moved, and is a component of a kit.
SELECT
    EXISTS (
        SELECT FROM balance b WHERE b.item_id = %(item_id)s::bigint
        AND (b.available, b.allocated, b.picked, b.quarantined, b.in_transit, b.on_order,
            b.reserved, b.backordered) <> (0, 0, 0, 0, 0, 0, 0, 0)
    ) AS stocked,
    EXISTS (SELECT FROM movement m WHERE m.item_id = %(item_id)s::bigint) AS moved,
    EXISTS (
        SELECT FROM kit_component k WHERE k.component_item_id = %(item_id)s::bigint
    ) AS component;

-- name: find_components
-- Wanted components: their ids and whether they are kits themselves.
SELECT i.sku, i.item_id,
    EXISTS (SELECT FROM kit_component k WHERE k.item_id = i.item_id) AS kit
FROM item i WHERE i.sku = ANY(%(skus)s::text[]);

-- name: alias_owners
-- Who owns the wanted aliases today.
SELECT a.namespace, a.alias, i.sku
FROM unnest(%(namespaces)s::text[], %(aliases)s::text[]) AS w (namespace, alias)
JOIN item_alias a USING (namespace, alias)
JOIN item i USING (item_id);

-- name: put_item
-- Makes or replaces an item.
INSERT INTO item AS i (
    sku, gtin, description, base_uom, status, tracking, standard_cost, attributes, updated_at,
    correlation_id
) VALUES (
    %(sku)s::text, %(gtin)s::text, %(description)s::text, %(base_uom)s::text, %(status)s::text,
    %(tracking)s::text, %(standard_cost)s::numeric, %(attributes)s::json, %(now)s::timestamptz,
    %(correlation_id)s::text
)
ON CONFLICT (sku) DO UPDATE SET
    gtin = excluded.gtin, description = excluded.description, base_uom = excluded.base_uom,
    status = excluded.status, tracking = excluded.tracking,
    standard_cost = excluded.standard_cost, attributes = excluded.attributes,
    updated_at = excluded.updated_at, correlation_id = excluded.correlation_id
RETURNING i.item_id;

-- name: add_item_lock
-- Every item has its lock row.
INSERT INTO item_lock (item_id) VALUES (%(item_id)s::bigint) ON CONFLICT DO NOTHING;

-- name: clear_uoms
-- Takes the item's units away.
DELETE FROM item_uom WHERE item_id = %(item_id)s::bigint;

-- name: add_uoms
-- Gives the item its units.
INSERT INTO item_uom (item_id, uom, numerator, denominator)
SELECT %(item_id)s::bigint, u.*
FROM unnest(%(uoms)s::text[], %(numerators)s::bigint[], %(denominators)s::bigint[]) AS u;

-- name: clear_aliases
-- Takes the item's aliases away.
DELETE FROM item_alias WHERE item_id = %(item_id)s::bigint;

-- name: add_aliases
-- Gives the item its aliases.
INSERT INTO item_alias (namespace, alias, item_id)
SELECT a.namespace, a.alias, %(item_id)s::bigint
FROM unnest(%(namespaces)s::text[], %(aliases)s::text[]) AS a (namespace, alias);

-- name: clear_components
-- Takes the kit apart.
DELETE FROM kit_component WHERE item_id = %(item_id)s::bigint;

-- name: add_components
-- Makes the item a kit.
INSERT INTO kit_component (item_id, component_item_id, quantity)
SELECT %(item_id)s::bigint, c.*
FROM unnest(%(components)s::bigint[], %(quantities)s::bigint[]) AS c;

-- name: item_document
-- An item as the API shows it.
SELECT json_build_object(
    'sku', i.sku, 'description', i.description, 'gtin', i.gtin, 'base_uom', i.base_uom,
    'status', i.status, 'tracking', i.tracking, 'standard_cost', i.standard_cost::text,
    'attributes', i.attributes,
    'uoms', (
        SELECT coalesce(json_agg(json_build_object('uom', u.uom, 'numerator', u.numerator,
            'denominator', u.denominator) ORDER BY u.uom), '[]')
        FROM item_uom u WHERE u.item_id = i.item_id
    ),
    'aliases', (
        SELECT coalesce(json_agg(json_build_object('namespace', a.namespace, 'alias', a.alias)
            ORDER BY a.namespace, a.alias), '[]')
        FROM item_alias a WHERE a.item_id = i.item_id
    ),
    'components', (
        SELECT coalesce(json_agg(json_build_object('sku', c.sku, 'quantity', k.quantity)
            ORDER BY c.sku), '[]')
        FROM kit_component k JOIN item c ON c.item_id = k.component_item_id
        WHERE k.item_id = i.item_id
    ),
    'updated_at', i.updated_at, 'correlation_id', i.correlation_id
) AS document
FROM item i WHERE i.sku = %(sku)s::text;

-- name: find_system
-- One system by code.
SELECT lifecycle, connector FROM system WHERE code = %(code)s::text;

-- name: put_location
-- Makes or replaces a location; `made` tells which.
INSERT INTO location (
    code, name, kind, authority, time_zone, feed_silence_seconds, gln, updated_at, correlation_id
) VALUES (
    %(code)s::text, %(name)s::text, %(kind)s::text, %(authority)s::text, %(time_zone)s::text,
    %(feed_silence_seconds)s::bigint, %(gln)s::text, %(now)s::timestamptz, %(correlation_id)s::text
)
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, authority = excluded.authority,
    time_zone = excluded.time_zone, feed_silence_seconds = excluded.feed_silence_seconds,
    gln = excluded.gln,
    updated_at = excluded.updated_at, correlation_id = excluded.correlation_id
RETURNING xmax = 0 AS made;

-- name: gln_owner
-- The other location that has the GLN.
SELECT code FROM location WHERE gln = %(gln)s::text AND code <> %(code)s::text;

-- name: location_document
-- A location as the API shows it.
SELECT json_build_object(
    'code', code, 'name', name, 'kind', kind, 'authority', authority, 'time_zone', time_zone,
    'feed_silence_seconds', feed_silence_seconds, 'gln', gln, 'updated_at', updated_at,
    'correlation_id', correlation_id
) AS document
FROM location WHERE code = %(code)s::text;

-- name: find_locations
-- The ids of location codes.
SELECT code, location_id FROM location WHERE code = ANY(%(codes)s::text[]);

-- name: put_channel
-- Makes or replaces a channel; `made` tells which.
INSERT INTO channel AS c (
    code, name, system, sourcing, freshness_seconds_max, updated_at, correlation_id
) VALUES (
    %(code)s::text, %(name)s::text, %(system)s::text, %(sourcing)s::text,
    %(freshness_seconds_max)s::bigint, %(now)s::timestamptz, %(correlation_id)s::text
)
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, system = excluded.system, sourcing = excluded.sourcing,
    freshness_seconds_max = excluded.freshness_seconds_max, updated_at = excluded.updated_at,
    correlation_id = excluded.correlation_id
RETURNING c.channel_id, xmax = 0 AS made;

-- name: clear_sources
-- Takes the channel's locations away.
DELETE FROM channel_source WHERE channel_id = %(channel_id)s::bigint;

-- name: add_sources
-- Gives the channel its locations, first priority first.
INSERT INTO channel_source (channel_id, location_id, priority)
SELECT %(channel_id)s::bigint, s.location_id, s.priority
FROM unnest(%(locations)s::bigint[]) WITH ORDINALITY AS s (location_id, priority);

-- name: channel_document
-- A channel as the API shows it.
SELECT json_build_object(
    'code', c.code, 'name', c.name, 'system', c.system, 'sourcing', c.sourcing,
    'sources', (
        SELECT coalesce(json_agg(l.code ORDER BY s.priority, l.code), '[]')
        FROM channel_source s JOIN location l USING (location_id)
        WHERE s.channel_id = c.channel_id
    ),
    'freshness_seconds_max', c.freshness_seconds_max, 'updated_at', c.updated_at,
    'correlation_id', c.correlation_id
) AS document
FROM channel c WHERE c.code = %(code)s::text;

-- name: put_system
-- Makes or replaces a partner's endpoint; `made` tells which.
INSERT INTO system (
    code, name, kind, criticality, owner_team, lifecycle, connector, config, environment,
    operations, updated_at, correlation_id
) VALUES (
    %(code)s::text, %(name)s::text, %(kind)s::text, %(criticality)s::smallint,
    %(owner_team)s::text, %(lifecycle)s::text, %(connector)s::text, %(config)s::json,
    %(environment)s::text, %(operations)s::text[], %(now)s::timestamptz, %(correlation_id)s::text
)
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, criticality = excluded.criticality,
    owner_team = excluded.owner_team, lifecycle = excluded.lifecycle,
    connector = excluded.connector, config = excluded.config,
    environment = excluded.environment, operations = excluded.operations,
    updated_at = excluded.updated_at, correlation_id = excluded.correlation_id
RETURNING xmax = 0 AS made;

-- name: set_lifecycle
-- Moves a system to another state of its life.
UPDATE system SET lifecycle = %(lifecycle)s::text, updated_at = %(now)s::timestamptz,
    correlation_id = %(correlation_id)s::text
WHERE code = %(code)s::text;

-- name: system_document
-- A system as the API shows it.
SELECT json_build_object(
    'code', code, 'name', name, 'kind', kind, 'criticality', criticality,
    'owner_team', owner_team, 'lifecycle', lifecycle, 'connector', connector, 'config', config,
    'environment', environment, 'operations', operations, 'updated_at', updated_at,
    'correlation_id', correlation_id
) AS document
FROM system WHERE code = %(code)s::text;

-- name: put_reason_code
-- Makes or replaces a reason code; `made` tells which.
INSERT INTO reason_code (code, description, sign, account, active, updated_at, correlation_id)
VALUES (
    %(code)s::text, %(description)s::text, %(sign)s::smallint, %(account)s::text,
    %(active)s::boolean, %(now)s::timestamptz, %(correlation_id)s::text
)
ON CONFLICT (code) DO UPDATE SET
    description = excluded.description, sign = excluded.sign, account = excluded.account,
    active = excluded.active, updated_at = excluded.updated_at,
    correlation_id = excluded.correlation_id
RETURNING xmax = 0 AS made;

-- name: reason_code_document
-- A reason code as the API shows it.
SELECT json_build_object(
    'code', code, 'description', description, 'sign', sign, 'account', account,
    'active', active, 'updated_at', updated_at, 'correlation_id', correlation_id
) AS document
FROM reason_code WHERE code = %(code)s::text;

-- name: find_channel
-- One channel by code.
SELECT channel_id FROM channel WHERE code = %(code)s::text;

-- name: add_policy
-- The next version of a channel's policy, or of one item's on it; never edited.
INSERT INTO policy (
    channel_id, item_id, version, effective_from, author, body, recorded_at, correlation_id
)
SELECT %(channel_id)s::bigint, %(item_id)s::bigint, coalesce(max(p.version), 0) + 1,
    %(effective_from)s::timestamptz, %(author)s::text, %(body)s::json, %(now)s::timestamptz,
    %(correlation_id)s::text
FROM policy p
WHERE p.channel_id = %(channel_id)s::bigint
AND p.item_id IS NOT DISTINCT FROM %(item_id)s::bigint
RETURNING version, effective_from;

-- name: add_order_flow
-- The next version of the way a channel's orders take; never edited.
INSERT INTO order_flow (
    channel_id, version, author, erp, release, needs_payment, asks_building, recorded_at,
    correlation_id
)
SELECT %(channel_id)s::bigint, coalesce(max(f.version), 0) + 1, %(author)s::text, %(erp)s::text,
    %(release)s::text, %(needs_payment)s::boolean, %(asks_building)s::boolean,
    %(now)s::timestamptz, %(correlation_id)s::text
FROM order_flow f WHERE f.channel_id = %(channel_id)s::bigint
RETURNING version;
