-- name: try_lock_chain
-- Takes the chain of seals for this transaction, if nobody else has it.
SELECT pg_try_advisory_xact_lock(7305808868);

-- name: read_unsealed
-- Reads committed batches that no seal covers yet, lowest id first.
SELECT b.batch_id, b.digest
FROM unsealed u
JOIN batch b USING (batch_id)
ORDER BY b.batch_id
LIMIT %(limit)s::bigint;

-- name: last_seal
-- Reads the end of the chain.
SELECT s.seal_id, s.hash FROM seal s ORDER BY s.seal_id DESC LIMIT 1;

-- name: add_seal
-- Appends a seal and takes its batches off the queue.
WITH made AS (
    INSERT INTO seal (seal_id, batch_ids, previous_hash, hash)
    VALUES (%(seal_id)s::bigint, %(batches)s::bigint[], %(previous)s::bytea, %(hash)s::bytea)
    RETURNING batch_ids
)
DELETE FROM unsealed u USING made WHERE u.batch_id = ANY (made.batch_ids);
