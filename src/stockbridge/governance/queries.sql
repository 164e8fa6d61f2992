-- name: insert_key
-- Adds an API key; only the hash of its secret is kept.
INSERT INTO api_key
    (key_id, name, secret_hash, scopes, channel, system, requests_per_minute, expires_at)
VALUES
    (%(key_id)s::text, %(name)s::text, %(secret_hash)s::bytea, %(scopes)s::text[],
     %(channel)s::text, %(system)s::text, %(requests_per_minute)s::bigint,
     %(expires_at)s::timestamptz);

-- name: find_binding
-- Tells whether the channel and the system a key shall be bound to exist.
SELECT EXISTS (SELECT FROM channel WHERE code = %(channel)s::text),
       EXISTS (SELECT FROM system WHERE code = %(system)s::text);

-- name: revoke_key
-- Ends a key; the first end counts.
UPDATE api_key SET revoked_at = coalesce(revoked_at, now())
WHERE key_id = %(key_id)s::text
RETURNING key_id;

-- name: any_key
-- Tells whether a key was ever made.
SELECT EXISTS (SELECT FROM api_key);

-- name: live_keys
-- Reads every key that works now, with the channels and locations that a bound one may name.
SELECT k.key_id, k.name, k.secret_hash, k.scopes, k.channel, k.system, k.requests_per_minute,
       k.expires_at,
       ARRAY(
           SELECT c.code FROM channel c
           WHERE c.code = k.channel OR (k.channel IS NULL AND c.system = k.system)
       ),
       ARRAY(
           SELECT unnest(ARRAY[l.code, 'gln:' || l.gln]) FROM location l
           WHERE l.authority = k.system
       )
FROM api_key k
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %(now)s::timestamptz);

-- name: listen_keys
-- Asks for notices of changed keys.
LISTEN stockbridge_keys;

-- name: listen_masters
-- Asks for notices of changed masters: what a bound key's own is depends on them.
LISTEN stockbridge_masters;

-- name: notify_keys
-- Tells every process that a key changed.
SELECT pg_notify('stockbridge_keys', %(payload)s::text);

-- name: keys_page
-- Lists keys without their secrets, by id.
SELECT key_id,
       json_build_object(
           'id', key_id, 'name', name, 'scopes', scopes, 'channel', channel, 'system', system,
           'requests_per_minute', requests_per_minute, 'created_at', created_at,
           'expires_at', expires_at, 'revoked_at', revoked_at)::text
FROM api_key
WHERE (%(after)s::text IS NULL OR key_id > %(after)s::text)
ORDER BY key_id
LIMIT %(limit)s::bigint;

-- name: insert_audit
-- Adds one administrative act.
INSERT INTO audit (actor, act, subject, detail, correlation_id)
VALUES (%(actor)s::text, %(act)s::text, %(subject)s::text, %(detail)s::json,
        %(correlation_id)s::text);

-- name: audit_page
-- Lists administrative acts, newest first, of one subject or actor when given.
SELECT audit_id::text,
       json_build_object(
           'id', audit_id, 'recorded_at', recorded_at, 'actor', actor, 'act', act,
           'subject', subject, 'detail', detail, 'correlation_id', correlation_id)::text
FROM audit AS a
WHERE (%(after)s::bigint IS NULL OR audit_id < %(after)s::bigint)
  AND (%(subject)s::text IS NULL OR subject = %(subject)s::text)
  AND (%(actor)s::text IS NULL OR actor = %(actor)s::text)
ORDER BY a.audit_id DESC
LIMIT %(limit)s::bigint;

-- name: exceptions_page
-- Lists exceptions, newest first; open ones, resolved ones or all.
SELECT exception_id::text,
       json_build_object(
           'id', exception_id, 'kind', kind, 'subject', subject, 'severity', severity,
           'owner_team', owner_team, 'cause', cause, 'action', action, 'opened_at', opened_at,
           'seen_at', seen_at, 'occurrences', occurrences, 'resolved_at', resolved_at,
           'resolution', resolution, 'correlation_id', correlation_id)::text
FROM exception AS e
WHERE (%(after)s::bigint IS NULL OR exception_id < %(after)s::bigint)
  AND (%(id)s::bigint IS NULL OR exception_id = %(id)s::bigint)
  AND (%(open)s::boolean IS NULL OR (resolved_at IS NULL) = %(open)s::boolean)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
  AND (%(owner_team)s::text IS NULL OR owner_team = %(owner_team)s::text)
ORDER BY e.exception_id DESC
LIMIT %(limit)s::bigint;

-- name: find_exception
-- Tells whether an exception exists.
SELECT exception_id FROM exception WHERE exception_id = %(exception_id)s::bigint;

-- name: assign_exception
-- Gives an open exception to a team.
UPDATE exception SET owner_team = %(owner_team)s::text
WHERE exception_id = %(exception_id)s::bigint AND resolved_at IS NULL
RETURNING exception_id;

-- name: resolve_exception
-- Closes an open exception.
UPDATE exception SET resolved_at = now(), resolution = %(resolution)s::text
WHERE exception_id = %(exception_id)s::bigint AND resolved_at IS NULL
RETURNING exception_id;
