-- name: server_facts
-- What the doctor judges a server by; the time is taken at this very moment.
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::bigint AS version_number,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('data_checksums') AS data_checksums,
       clock_timestamp() AS answered_at;
