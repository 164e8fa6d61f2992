-- name: read_breaker
-- A partner's breaker, and the time.
SELECT b.state, b.failures, b.trips, b.retry_at,
       extract(epoch FROM clock_timestamp())::float8
FROM breaker b WHERE b.system = %(system)s::text;

-- name: lock_breaker
-- The same, so that one process at a time changes it.
SELECT b.state, b.failures, b.trips, b.retry_at,
       extract(epoch FROM clock_timestamp())::float8
FROM breaker b WHERE b.system = %(system)s::text
ORDER BY b.system
FOR UPDATE;

-- name: open_breaker_row
-- Begins the row of a partner that never failed.
INSERT INTO breaker (system) VALUES (%(system)s::text) ON CONFLICT (system) DO NOTHING;

-- name: put_breaker
-- Writes a partner's breaker; the caller holds its lock.
UPDATE breaker
SET state = %(state)s::text, failures = %(failures)s::bigint, trips = %(trips)s::bigint,
    retry_at = %(retry_at)s::float8, detail = %(detail)s::text, changed_at = clock_timestamp()
WHERE system = %(system)s::text;

-- name: try_breaker
-- Lets a call try soon whether the partner can be reached, as if it had just failed.
UPDATE breaker
SET trips = 0, changed_at = clock_timestamp(),
    retry_at = least(retry_at,
                     extract(epoch FROM clock_timestamp())::float8 + %(seconds)s::float8)
WHERE system = %(system)s::text AND state = 'open';

-- name: wake_deliveries
-- Makes due in so many seconds what waits only because the partner could not be reached.
UPDATE delivery
SET due_at = least(due_at, clock_timestamp() + %(seconds)s::float8 * interval '1 second')
WHERE system = %(system)s::text AND state IN ('waiting', 'accepted')
  AND due_at > statement_timestamp() AND attempts > 0 AND NOT is_hinted;
