-- name: any_user
-- Tells whether anybody can sign in.
SELECT EXISTS (SELECT FROM user_account WHERE revoked_at IS NULL);

-- name: put_user
-- Adds an account, or gives one a new password and roles; a revoked one lives again.
INSERT INTO user_account (name, password_hash, roles)
VALUES (%(name)s::text, %(password_hash)s::text, %(roles)s::text[])
ON CONFLICT (name) DO UPDATE
SET password_hash = excluded.password_hash, roles = excluded.roles, failures = 0,
    failed_at = NULL, revoked_at = NULL;

-- name: users_list
-- Every account, and how often it is signed in now.
SELECT u.name, u.roles, u.created_at, u.revoked_at,
       (SELECT count(*) FROM user_session s WHERE s.name = u.name AND s.expires_at > now())
FROM user_account u
ORDER BY u.name;

-- name: revoke_user
-- Ends an account; the first end counts.
UPDATE user_account SET revoked_at = coalesce(revoked_at, now())
WHERE name = %(name)s::text
RETURNING name;

-- name: end_sessions
-- Signs somebody out everywhere.
DELETE FROM user_session WHERE name = %(name)s::text;

-- name: password_of
-- The hash to compare a password with, and how many seconds the account still waits.
SELECT u.password_hash,
       CASE WHEN u.failures >= %(failures_max)s::bigint THEN
           greatest(0, extract(epoch FROM u.failed_at - now())::float8 + %(wait_seconds)s::float8)
       ELSE 0 END
FROM user_account u
WHERE u.name = %(name)s::text AND u.revoked_at IS NULL;

-- name: count_failure
-- Counts a wrong password.
UPDATE user_account SET failures = failures + 1, failed_at = now() WHERE name = %(name)s::text;

-- name: forget_failures
-- Begins to count anew after the right password; no row when the account ended meanwhile.
UPDATE user_account SET failures = 0, failed_at = NULL
WHERE name = %(name)s::text AND revoked_at IS NULL
RETURNING name;

-- name: insert_session
-- Signs somebody in for some seconds.
INSERT INTO user_session (token_hash, name, expires_at)
VALUES (%(token_hash)s::bytea, %(name)s::text,
        now() + %(seconds)s::bigint * interval '1 second');

-- name: delete_expired_sessions
-- Forgets sessions that are over.
DELETE FROM user_session WHERE expires_at <= now();

-- name: find_session
-- Who is signed in with a cookie, with what roles.
SELECT u.name, u.roles
FROM user_session s
JOIN user_account u USING (name)
WHERE s.token_hash = %(token_hash)s::bytea AND s.expires_at > now() AND u.revoked_at IS NULL;

-- name: delete_session
-- Signs out; whose session it was.
DELETE FROM user_session WHERE token_hash = %(token_hash)s::bytea RETURNING name;
