-- name: server_facts
-- What the doctor judges a server by; the time is taken at this very moment.
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::bigint AS version_number,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('data_checksums') AS data_checksums,
       clock_timestamp() AS answered_at;

-- name: inbox_health
-- Messages that are due and nobody took up, since when, and how many processes apply them.
SELECT count(*) AS waiting,
       coalesce(extract(epoch FROM clock_timestamp() - min(w.due_at)), 0)::float8 AS oldest_seconds,
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.application_name = 'stockbridge applier')
           AS appliers
FROM (
    SELECT due_at FROM message WHERE status = 'received' AND due_at <= clock_timestamp()
    ORDER BY message_id LIMIT 10000
) w;
