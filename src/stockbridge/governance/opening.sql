-- name: open_exceptions
-- Opens exceptions, or counts another occurrence of ones already open.
INSERT INTO exception
    (kind, subject, severity, owner_team, cause, action, correlation_id, opened_at, seen_at,
     occurrences)
SELECT n.*, %(now)s::timestamptz, %(now)s::timestamptz, 1
FROM unnest(%(kinds)s::text[], %(subjects)s::text[], %(severities)s::smallint[],
            %(owner_teams)s::text[], %(causes)s::text[], %(actions)s::text[],
            %(correlation_ids)s::text[]) AS n (kind, subject)
ORDER BY n.kind, n.subject
ON CONFLICT (kind, subject) WHERE resolved_at IS NULL DO UPDATE
SET seen_at = excluded.seen_at, occurrences = exception.occurrences + 1,
    cause = excluded.cause;

-- name: close_exceptions
-- Closes what is open of a kind about some subjects, since its cause is gone.
UPDATE exception SET resolved_at = now(), resolution = %(resolution)s::text
WHERE kind = %(kind)s::text AND subject = ANY (%(subjects)s::text[]) AND resolved_at IS NULL;
