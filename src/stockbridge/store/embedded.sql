-- name: find_database
-- One row when the application's database exists.
SELECT 1 AS found FROM pg_database WHERE datname = 'stockbridge';

-- name: create_database
-- Makes the application's database; refused inside a transaction.
CREATE DATABASE stockbridge;
