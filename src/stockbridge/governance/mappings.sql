-- name: lock_mapping
-- Reads one version of a mapping and holds it until the transaction ends.
SELECT status, body::text
FROM mapping
WHERE system = %(system)s::text AND name = %(name)s::text AND version = %(version)s::bigint
ORDER BY system, name, version
FOR UPDATE;

-- name: lock_mappings
-- Lets one transaction at a time change which version of a mapping is active.
SELECT pg_advisory_xact_lock(hashtextextended('mapping:' || %(system)s::text, 0));

-- name: mapping_context
-- Tells whether the system exists, and the highest version of the mapping that was ever active.
SELECT EXISTS (SELECT FROM system WHERE code = %(system)s::text),
       coalesce((SELECT max(version) FROM mapping
                 WHERE system = %(system)s::text AND name = %(name)s::text
                   AND status <> 'draft'), 0);

-- name: put_mapping
-- Keeps a draft of a mapping's version; only drafts are ever replaced.
INSERT INTO mapping (system, name, version, body, author, correlation_id)
VALUES (%(system)s::text, %(name)s::text, %(version)s::bigint, %(body)s::json, %(author)s::text,
        %(correlation_id)s::text)
ON CONFLICT (system, name, version) DO UPDATE
SET body = excluded.body, author = excluded.author, recorded_at = now(),
    correlation_id = excluded.correlation_id
WHERE mapping.status = 'draft';

-- name: activate_mapping
-- Makes one version of a mapping the active one; the one before it is retired.
UPDATE mapping
SET status = CASE WHEN version = %(version)s::bigint THEN 'active' ELSE 'retired' END
WHERE system = %(system)s::text AND name = %(name)s::text
  AND (version = %(version)s::bigint OR status = 'active');

-- name: retire_contracts_before
-- Retires the contracts of a mapping's earlier versions: the active one reads their messages.
UPDATE message_contract SET status = 'retired'
WHERE name = %(name)s::text AND version < %(version)s::bigint AND status <> 'retired';

-- name: active_mappings
-- Reads every active mapping.
SELECT body::text FROM mapping WHERE status = 'active' ORDER BY system, name;

-- name: mappings_page
-- Lists mappings by system, name and version, without their manifests.
SELECT key,
       json_build_object(
           'system', system, 'name', name, 'version', version, 'status', status,
           'author', author, 'recorded_at', recorded_at)::text
FROM (SELECT system COLLATE "C" || ' ' || name || ' ' || lpad(version::text, 12, '0') AS key, *
      FROM mapping) AS keyed
WHERE (%(after)s::text IS NULL OR key > %(after)s::text)
ORDER BY key
LIMIT %(limit)s::bigint;

-- name: mapping_document
-- One version of a mapping with its manifest.
SELECT json_build_object(
           'system', system, 'name', name, 'version', version, 'status', status,
           'author', author, 'recorded_at', recorded_at, 'manifest', body)::text,
       body::text
FROM mapping
WHERE system = %(system)s::text AND name = %(name)s::text AND version = %(version)s::bigint;
