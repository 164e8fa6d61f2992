-- Import jobs and the rows they refused.

-- name: add_job
-- Opens a job.
INSERT INTO import_job (kind, actor, correlation_id, detail)
VALUES (%(kind)s::text, %(actor)s::text, %(correlation_id)s::text, %(detail)s::text)
RETURNING job_id;

-- name: hold_job
-- Shows, while this session lives, that somebody works on the job.
SELECT pg_advisory_lock(hashtextextended('stockbridge import', %(job_id)s::bigint));

-- name: fail_dead_jobs
-- Closes the running jobs nobody holds; one that was opened just now may still be on its way.
WITH running AS MATERIALIZED (
    SELECT job_id FROM import_job
    WHERE state = 'running' AND started_at < now() - %(grace_seconds)s::bigint * interval '1 second'
)
UPDATE import_job j SET state = 'failed', ended_at = now(),
    detail = 'the importing process died; the rows counted here are in: import the file again'
FROM running r
WHERE j.job_id = r.job_id AND j.state = 'running'
AND pg_try_advisory_xact_lock(hashtextextended('stockbridge import', r.job_id))
RETURNING j.job_id;

-- name: count_job
-- Adds a chunk's rows to the job.
UPDATE import_job SET rows_good = rows_good + %(good)s::bigint, rows_bad = rows_bad + %(bad)s::bigint
WHERE job_id = %(job_id)s::bigint;

-- name: end_job
-- Closes a job.
UPDATE import_job SET state = %(state)s::text, detail = %(detail)s::text, ended_at = now()
WHERE job_id = %(job_id)s::bigint
RETURNING rows_good, rows_bad;

-- name: add_errors
-- Keeps refused rows with the reason.
INSERT INTO import_error (job_id, row_number, raw, reason)
SELECT %(job_id)s::bigint, e.row_number, e.raw, e.reason
FROM unnest(%(numbers)s::bigint[], %(raws)s::text[], %(reasons)s::text[])
    AS e (row_number, raw, reason)
ON CONFLICT (job_id, row_number) DO UPDATE SET reason = excluded.reason;

-- name: job
-- One job as the API shows it.
SELECT json_build_object(
    'job_id', job_id, 'kind', kind, 'state', state, 'rows_good', rows_good, 'rows_bad', rows_bad,
    'detail', detail, 'actor', actor, 'started_at', started_at, 'ended_at', ended_at,
    'correlation_id', correlation_id
) AS document
FROM import_job WHERE job_id = %(job_id)s::bigint;

-- name: job_errors
-- Refused rows after a row number.
SELECT row_number, reason, raw FROM import_error
WHERE job_id = %(job_id)s::bigint AND row_number > %(after)s::bigint
ORDER BY row_number LIMIT %(limit)s::bigint;
