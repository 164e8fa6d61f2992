-- name: lock_contract
-- Reads one version of a contract and holds it until the transaction ends.
SELECT name, version, status, schema::text, deprecated_at, sunset_on, owner_team, direction
FROM message_contract
WHERE name = %(name)s::text AND version = %(version)s::bigint
ORDER BY name, version
FOR UPDATE;

-- name: newest_version
-- Reads the highest version number of a contract; 0 when there is none.
SELECT coalesce(max(version), 0) FROM message_contract WHERE name = %(name)s::text;

-- name: put_contract
-- Makes a contract's version, or replaces what it says.
INSERT INTO message_contract
    (name, version, status, owner_team, schema, description, published_at, correlation_id)
VALUES
    (%(name)s::text, %(version)s::bigint, %(status)s::text, %(owner_team)s::text,
     %(schema)s::json, %(description)s::text,
     CASE WHEN %(status)s::text = 'active' THEN now() END, %(correlation_id)s::text)
ON CONFLICT (name, version) DO UPDATE
SET status = excluded.status, owner_team = excluded.owner_team, schema = excluded.schema,
    description = excluded.description,
    published_at = coalesce(message_contract.published_at, excluded.published_at),
    correlation_id = excluded.correlation_id;

-- name: set_contract_status
-- Moves a contract's version on in its life.
UPDATE message_contract
SET status = %(status)s::text,
    published_at = CASE WHEN %(status)s::text = 'active' THEN now() ELSE published_at END,
    deprecated_at = CASE WHEN %(status)s::text = 'deprecated'
                         THEN coalesce(deprecated_at, now()) ELSE deprecated_at END,
    sunset_on = coalesce(%(sunset_on)s::date, sunset_on),
    correlation_id = %(correlation_id)s::text
WHERE name = %(name)s::text AND version = %(version)s::bigint;

-- name: sync_contracts
-- Makes the built-in contracts say what this release says; their status stays where it is.
INSERT INTO message_contract
    (name, version, status, direction, owner_team, schema, description, published_at)
SELECT n.name, n.version, 'active', n.direction, %(owner_team)s::text, n.schema, n.description,
       now()
FROM unnest(%(names)s::text[], %(versions)s::bigint[], %(directions)s::text[],
            %(schemas)s::json[], %(descriptions)s::text[])
     AS n (name, version, direction, schema, description)
ORDER BY n.name, n.version
ON CONFLICT (name, version) DO UPDATE
SET schema = excluded.schema, description = excluded.description,
    direction = excluded.direction
WHERE message_contract.schema::text <> excluded.schema::text
   OR message_contract.description <> excluded.description
   OR message_contract.direction <> excluded.direction
RETURNING name;

-- name: notify_contracts
-- Tells every process that contracts or mappings changed.
SELECT pg_notify('stockbridge_contracts', %(payload)s::text);

-- name: listen_contracts
-- Asks for notices of changed contracts and mappings.
LISTEN stockbridge_contracts;

-- name: catalog_contracts
-- Reads what decoding needs of every contract.
SELECT name, version, status, schema::text, deprecated_at, sunset_on
FROM message_contract
WHERE name NOT LIKE 'mapping:%%'
ORDER BY name, version;

-- name: contracts_page
-- Lists contracts by name and version, without their schemas.
SELECT key,
       json_build_object(
           'name', name, 'version', version, 'status', status, 'direction', direction,
           'owner_team', owner_team, 'description', description, 'published_at', published_at,
           'deprecated_at', deprecated_at, 'sunset_on', sunset_on)::text
FROM (SELECT name COLLATE "C" || ' ' || lpad(version::text, 12, '0') AS key, *
      FROM message_contract) AS keyed
WHERE (%(after)s::text IS NULL OR key > %(after)s::text)
  AND (%(status)s::text IS NULL OR status = %(status)s::text)
ORDER BY key
LIMIT %(limit)s::bigint;

-- name: contract_document
-- One version of a contract with its schema.
SELECT json_build_object(
           'name', name, 'version', version, 'status', status, 'direction', direction,
           'owner_team', owner_team, 'description', description, 'published_at', published_at,
           'deprecated_at', deprecated_at, 'sunset_on', sunset_on, 'schema', schema)::text,
       schema::text
FROM message_contract
WHERE name = %(name)s::text AND version = %(version)s::bigint;

-- name: published_contracts
-- Everything that may be used now, for the AsyncAPI document; partners' own formats left out.
SELECT name, version, status, direction, description, schema::text
FROM message_contract
WHERE status IN ('active', 'deprecated') AND name NOT LIKE 'mapping:%%'
ORDER BY name, version;

-- name: connector_systems
-- Systems with a connector, their configuration and its version: microseconds, so that it grows.
SELECT code, connector, config::text, (extract(epoch FROM updated_at) * 1000000)::bigint
FROM system WHERE connector IS NOT NULL
ORDER BY code;
