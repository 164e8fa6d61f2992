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

-- name: outbox_health
-- Deliveries and listings that are due at partners believed to be there (10,000 of each at most),
-- since when, how many processes see to them, and who is believed to be away.
WITH away AS (
    SELECT b.system FROM breaker b WHERE b.state <> 'closed'
), there AS (
    SELECT s.code FROM system s
    WHERE s.connector IS NOT NULL AND s.code NOT IN (SELECT a.system FROM away a)
      AND (s.lifecycle IN ('certified', 'live')
           OR (s.lifecycle = 'testing' AND s.environment = 'sandbox'))
), delivery_due AS (
    SELECT due.due_at FROM there t CROSS JOIN LATERAL (
        SELECT d.due_at FROM delivery d
        WHERE d.system = t.code AND d.state IN ('waiting', 'accepted')
          AND d.due_at <= clock_timestamp()
        ORDER BY d.due_at LIMIT 10000) AS due
), listing_due AS (
    SELECT due.due_at FROM there t CROSS JOIN generate_series(0, 3) AS c (risk)
    CROSS JOIN LATERAL (
        SELECT l.due_at FROM listing l
        WHERE l.system = t.code AND l.risk = c.risk::smallint AND l.due_at <= clock_timestamp()
        ORDER BY l.due_at LIMIT 10000) AS due
)
SELECT (SELECT count(*) FROM delivery_due) AS deliveries,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - min(d.due_at))
                 FROM delivery_due d), 0)::float8 AS deliveries_seconds,
       (SELECT count(*) FROM listing_due) AS listings,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - min(l.due_at))
                 FROM listing_due l), 0)::float8 AS listings_seconds,
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datname = current_database()
          AND a.application_name = 'stockbridge deliveries listener') AS senders,
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datname = current_database()
          AND a.application_name = 'stockbridge publisher') AS publishers,
       ARRAY(SELECT a.system FROM away a ORDER BY a.system) AS away;
