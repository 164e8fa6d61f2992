-- Set-based changes of masters for bulk imports. `rows` is a JSON array of objects, `n` each row's
-- place in it; a field that is null or absent is not stated and keeps what is there.

-- name: lock_items
-- Locks items, lowest id first, before anything of them is read or written.
SELECT count(*) FROM (
    SELECT item_id FROM item_lock WHERE item_id = ANY(%(items)s::bigint[])
    ORDER BY item_id FOR UPDATE
) AS locked;

-- name: resolve_skus
-- The ids and costs of SKUs, given as lines of one text.
SELECT sku, item_id, standard_cost::text
FROM item WHERE sku = ANY(string_to_array(%(skus)s::text, E'\n'));

-- name: kits_among
-- The kits among items.
SELECT DISTINCT item_id FROM kit_component WHERE item_id = ANY(%(items)s::bigint[]);

-- name: location_ids
-- Every location's id by its code.
SELECT code, location_id FROM location;

-- name: base_unit_changes
-- Rows that change an item's base unit.
SELECT r.n, i.item_id, i.base_uom
FROM json_to_recordset(%(rows)s::json) AS r (n bigint, sku text, base_uom text)
JOIN item i USING (sku)
WHERE r.base_uom <> i.base_uom;

-- name: items_in_use
-- The items among these that hold stock or ever moved.
SELECT u.item_id FROM unnest(%(items)s::bigint[]) AS u (item_id)
WHERE EXISTS (SELECT FROM movement m WHERE m.item_id = u.item_id)
OR EXISTS (
    SELECT FROM balance b WHERE b.item_id = u.item_id
    AND (b.available, b.allocated, b.picked, b.quarantined, b.in_transit, b.on_order,
        b.reserved, b.backordered) <> (0, 0, 0, 0, 0, 0, 0, 0)
);

-- name: update_items
-- Changes the items that exist and differ.
UPDATE item i SET
    gtin = coalesce(r.gtin, i.gtin), description = coalesce(r.description, i.description),
    base_uom = coalesce(r.base_uom, i.base_uom), status = coalesce(r.status, i.status),
    tracking = coalesce(r.tracking, i.tracking),
    standard_cost = coalesce(r.standard_cost, i.standard_cost),
    attributes = coalesce(r.attributes, i.attributes),
    updated_at = %(now)s::timestamptz, correlation_id = %(correlation_id)s::text
FROM json_to_recordset(%(rows)s::json) AS r (
    sku text, gtin text, description text, base_uom text, status text, tracking text,
    standard_cost numeric(18, 6), attributes json
)
WHERE i.sku = r.sku
AND (r.gtin, r.description, r.base_uom, r.status, r.tracking, r.standard_cost, r.attributes::text)
    IS DISTINCT FROM (NULL, NULL, NULL, NULL, NULL, NULL, NULL)
AND (
    coalesce(r.gtin, i.gtin), coalesce(r.description, i.description),
    coalesce(r.base_uom, i.base_uom), coalesce(r.status, i.status),
    coalesce(r.tracking, i.tracking), coalesce(r.standard_cost, i.standard_cost),
    coalesce(r.attributes::text, i.attributes::text)
) IS DISTINCT FROM (
    i.gtin, i.description, i.base_uom, i.status, i.tracking, i.standard_cost, i.attributes::text
);

-- name: insert_items
-- Makes items, each with its lock row.
WITH made AS (
    INSERT INTO item (
        sku, gtin, description, base_uom, status, tracking, standard_cost, attributes,
        updated_at, correlation_id
    )
    SELECT r.sku, r.gtin, coalesce(r.description, ''), coalesce(r.base_uom, 'EA'),
        coalesce(r.status, 'active'), coalesce(r.tracking, 'none'), r.standard_cost,
        coalesce(r.attributes, '{}'), %(now)s::timestamptz, %(correlation_id)s::text
    FROM json_to_recordset(%(rows)s::json) AS r (
        sku text, gtin text, description text, base_uom text, status text, tracking text,
        standard_cost numeric(18, 6), attributes json
    )
    RETURNING item_id
)
INSERT INTO item_lock (item_id) SELECT item_id FROM made;

-- name: uom_problems
-- Rows whose item is unknown, or whose unit is the item's base unit.
SELECT r.n, i.base_uom
FROM json_to_recordset(%(rows)s::json) AS r (
    n bigint, sku text, uom text, numerator bigint, denominator bigint
)
LEFT JOIN item i USING (sku)
WHERE i.item_id IS NULL OR (i.base_uom = r.uom AND r.numerator <> coalesce(r.denominator, 1));

-- name: merge_uoms
-- Makes or changes units of items.
INSERT INTO item_uom AS u (item_id, uom, numerator, denominator)
SELECT i.item_id, r.uom, r.numerator, coalesce(r.denominator, 1)
FROM json_to_recordset(%(rows)s::json) AS r (
    sku text, uom text, numerator bigint, denominator bigint
)
JOIN item i USING (sku)
ON CONFLICT (item_id, uom) DO UPDATE SET
    numerator = excluded.numerator, denominator = excluded.denominator
WHERE (u.numerator, u.denominator) <> (excluded.numerator, excluded.denominator);

-- name: alias_problems
-- Rows whose item is unknown (no owner), or whose alias is another item's.
SELECT r.n, o.sku AS owner
FROM json_to_recordset(%(rows)s::json) AS r (n bigint, namespace text, alias text, sku text)
LEFT JOIN item i USING (sku)
LEFT JOIN item_alias a ON a.namespace = r.namespace AND a.alias = r.alias
LEFT JOIN item o ON o.item_id = a.item_id AND i.item_id IS NOT NULL
WHERE i.item_id IS NULL OR a.item_id <> i.item_id;

-- name: merge_aliases
-- Gives items their aliases.
INSERT INTO item_alias (namespace, alias, item_id)
SELECT r.namespace, r.alias, i.item_id
FROM json_to_recordset(%(rows)s::json) AS r (namespace text, alias text, sku text)
JOIN item i USING (sku)
ON CONFLICT DO NOTHING;

-- name: unknown_systems
-- The codes among these that no system has.
SELECT DISTINCT c.code FROM unnest(%(codes)s::text[]) AS c (code)
WHERE NOT EXISTS (SELECT FROM system s WHERE s.code = c.code);

-- name: merge_locations
-- Makes or changes locations.
INSERT INTO location AS l (
    code, name, kind, authority, time_zone, feed_silence_seconds, updated_at, correlation_id
)
SELECT r.code, coalesce(r.name, e.name, ''), coalesce(r.kind, e.kind, 'warehouse'),
    coalesce(r.authority, e.authority), coalesce(r.time_zone, e.time_zone, 'UTC'),
    coalesce(r.feed_silence_seconds, e.feed_silence_seconds),
    %(now)s::timestamptz, %(correlation_id)s::text
FROM json_to_recordset(%(rows)s::json) AS r (
    code text, name text, kind text, authority text, time_zone text, feed_silence_seconds bigint
)
LEFT JOIN location e USING (code)
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, authority = excluded.authority,
    time_zone = excluded.time_zone, feed_silence_seconds = excluded.feed_silence_seconds,
    updated_at = excluded.updated_at, correlation_id = excluded.correlation_id;

-- name: merge_channels
-- Makes or changes channels.
INSERT INTO channel AS c (
    code, name, system, sourcing, freshness_seconds_max, updated_at, correlation_id
)
SELECT r.code, coalesce(r.name, e.name, ''), coalesce(r.system, e.system),
    coalesce(r.sourcing, e.sourcing, 'priority'),
    coalesce(r.freshness_seconds_max, e.freshness_seconds_max),
    %(now)s::timestamptz, %(correlation_id)s::text
FROM json_to_recordset(%(rows)s::json) AS r (
    code text, name text, system text, sourcing text, freshness_seconds_max bigint
)
LEFT JOIN channel e USING (code)
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, system = excluded.system, sourcing = excluded.sourcing,
    freshness_seconds_max = excluded.freshness_seconds_max, updated_at = excluded.updated_at,
    correlation_id = excluded.correlation_id;

-- name: clear_channel_sources
-- Takes away the locations of channels that state new ones.
DELETE FROM channel_source s
USING json_to_recordset(%(rows)s::json) AS r (code text, sources json), channel c
WHERE r.sources IS NOT NULL AND c.code = r.code AND s.channel_id = c.channel_id;

-- name: add_channel_sources
-- Gives channels the locations they state, first priority first.
INSERT INTO channel_source (channel_id, location_id, priority)
SELECT c.channel_id, l.location_id, s.priority
FROM json_to_recordset(%(rows)s::json) AS r (code text, sources json)
CROSS JOIN LATERAL json_array_elements_text(r.sources) WITH ORDINALITY AS s (code, priority)
JOIN channel c ON c.code = r.code
JOIN location l ON l.code = s.code;

-- name: channel_codes
-- Every channel's code.
SELECT code FROM channel;
