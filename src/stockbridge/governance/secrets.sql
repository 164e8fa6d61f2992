-- name: known_system
-- Tells whether there is such a system.
SELECT EXISTS (SELECT FROM system WHERE code = %(system)s::text);

-- name: lock_system_secrets
-- Lets one transaction at a time change the secrets of a system.
SELECT pg_advisory_xact_lock(hashtextextended('secret:' || %(system)s::text, 0));

-- name: active_secrets
-- The secrets of a system that have not ended, newest first, encrypted.
SELECT secret_id, ciphertext
FROM system_secret
WHERE system = %(system)s::text AND name = %(name)s::text
  AND (expires_at IS NULL OR expires_at > now())
ORDER BY secret_id DESC;

-- name: sealed_secrets
-- All secrets of a system that have not ended, newest first, encrypted.
SELECT secret_id, name, ciphertext
FROM system_secret
WHERE system = %(system)s::text AND (expires_at IS NULL OR expires_at > now())
ORDER BY secret_id DESC;

-- name: end_secrets
-- Ends all secrets of a system but one, after a while.
UPDATE system_secret
SET expires_at = least(expires_at, now() + %(keep_seconds)s::bigint * interval '1 second')
WHERE system = %(system)s::text AND name = %(name)s::text
  AND secret_id <> %(secret_id)s::bigint;

-- name: delete_ended_secrets
-- Forgets secrets that ended.
DELETE FROM system_secret
WHERE system = %(system)s::text AND name = %(name)s::text AND expires_at <= now();

-- name: add_secret
-- Adds an encrypted secret.
INSERT INTO system_secret (system, name, ciphertext)
VALUES (%(system)s::text, %(name)s::text, %(ciphertext)s::bytea)
RETURNING secret_id;
