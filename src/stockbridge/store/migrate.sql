-- name: create_journal
-- Makes the journal of applied migrations; it is there before the first of them.
CREATE TABLE IF NOT EXISTS schema_migration (
    number bigint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    seconds numeric(12, 3) NOT NULL
);

-- name: comment_journal
-- Names the owner of the journal.
COMMENT ON TABLE schema_migration IS 'store: applied migrations with the checksum of their file';

-- name: find_journal
-- True when the journal exists.
SELECT to_regclass('schema_migration') IS NOT NULL AS found;

-- name: lock_schema
-- Waits for the schema lock of this database and takes it until the session ends.
SELECT pg_advisory_lock(7305804402566164273);

-- name: limit_waits
-- Bounds, for the current transaction, the wait for a lock and the time of one statement.
SELECT set_config('lock_timeout', %(lock)s::text, true),
       set_config('statement_timeout', %(statement)s::text, true);

-- name: read_journal
-- The applied migrations in the order of their numbers.
SELECT number, name, sha256 FROM schema_migration ORDER BY number;

-- name: write_journal
-- Records one applied migration.
INSERT INTO schema_migration (number, name, sha256, seconds)
VALUES (%(number)s::bigint, %(name)s::text, %(sha256)s::text, %(seconds)s::numeric);

-- name: missing_partitions
-- The months a partitioned table has no partition for: partition's name, first instant, end.
SELECT wanted.name, wanted.starts_at, wanted.ends_at
FROM (
    SELECT %(table)s::text || to_char(month, '_YYYY_MM') AS name,
           month AT TIME ZONE 'UTC' AS starts_at,
           (month + interval '1 month') AT TIME ZONE 'UTC' AS ends_at
    FROM generate_series(
        date_trunc('month', %(first)s::timestamptz AT TIME ZONE 'UTC'),
        date_trunc('month', %(last)s::timestamptz AT TIME ZONE 'UTC'),
        interval '1 month'
    ) AS month
) AS wanted
WHERE to_regclass(wanted.name) IS NULL
ORDER BY wanted.starts_at;

-- name: partition_ddl
-- The text that makes one partition beside its table and then attaches it (a lighter lock).
SELECT format(
    'CREATE TABLE %%1$I (LIKE %%2$I INCLUDING ALL);'
    'ALTER TABLE %%2$I ATTACH PARTITION %%1$I FOR VALUES FROM (%%3$L) TO (%%4$L)',
    %(name)s::text, %(table)s::text, %(starts_at)s::timestamptz, %(ends_at)s::timestamptz
) AS ddl;
