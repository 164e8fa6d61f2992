-- name: ledger_size
-- Counts the movements that batches say they have, for the progress bar.
SELECT coalesce(sum(movements), 0)::bigint, count(*) FROM batch;

-- name: next_range
-- The last batch of the next stretch: so many movements, so many batches at most.
SELECT max(b.batch_id), sum(b.movements)::bigint
FROM (
    SELECT n.batch_id, n.movements,
           sum(n.movements) OVER (ORDER BY n.batch_id) - n.movements AS before
    FROM (
        SELECT batch_id, movements FROM batch
        WHERE batch_id > %(after)s::bigint
        ORDER BY batch_id
        LIMIT 5000
    ) n
) b
WHERE b.before < %(movements)s::bigint;

-- name: wrong_batches
-- Batches of a stretch whose movements are not those of their digest (canonical form: digest.py).
SELECT coalesce(b.batch_id, m.batch_id), b.batch_id IS NOT NULL, b.movements,
       coalesce(m.movements, 0)
FROM (
    SELECT batch_id, recorded_at, movements, digest
    FROM batch
    WHERE batch_id > %(after)s::bigint AND batch_id <= %(upto)s::bigint
) b
FULL JOIN (
    SELECT batch_id, count(*) AS movements, min(recorded_at) AS first_at, max(recorded_at) AS last_at,
           concat_ws(E'\n',
               string_agg(movement_id::text, ',' ORDER BY movement_id),
               string_agg(kind::text, ',' ORDER BY movement_id),
               string_agg(item_id::text, ',' ORDER BY movement_id),
               string_agg(location_id::text, ',' ORDER BY movement_id),
               string_agg(from_account::text, ',' ORDER BY movement_id),
               string_agg(to_account::text, ',' ORDER BY movement_id),
               string_agg(quantity::text, ',' ORDER BY movement_id),
               string_agg(((extract(epoch FROM occurred_at) * 1000000)::bigint)::text, ','
                          ORDER BY movement_id),
               string_agg(document_type, chr(31) ORDER BY movement_id),
               string_agg(document_number, chr(31) ORDER BY movement_id),
               string_agg(document_line, chr(31) ORDER BY movement_id),
               string_agg(coalesce(reason, chr(30)), chr(31) ORDER BY movement_id),
               string_agg(coalesce(unit_cost::text, chr(30)), chr(31) ORDER BY movement_id),
               string_agg(coalesce(message_id, chr(30)), chr(31) ORDER BY movement_id),
               string_agg(correlation_id, chr(31) ORDER BY movement_id),
               string_agg(coalesce(reverses::text, chr(30)), chr(31) ORDER BY movement_id),
               string_agg(CASE WHEN lot IS NULL AND serials IS NULL THEN chr(30)
                          ELSE concat(lot, chr(29), array_to_string(serials, chr(29))) END,
                          chr(31) ORDER BY movement_id)
           ) AS content
    FROM movement
    WHERE movement_id >= (%(after)s::bigint + 1) << 20
      AND movement_id < (%(upto)s::bigint + 1) << 20
    GROUP BY batch_id
) m USING (batch_id)
WHERE (b.movements = m.movements AND b.recorded_at = m.first_at AND b.recorded_at = m.last_at
       AND b.digest = sha256(convert_to(
           format(E'%%s,%%s\n%%s', b.batch_id,
                  (extract(epoch FROM b.recorded_at) * 1000000)::bigint, m.content), 'UTF8')))
      IS NOT TRUE
LIMIT %(limit)s::bigint;

-- name: next_seals
-- The next seals of the chain with the digests of their batches, in the order sealed.
SELECT s.seal_id, s.previous_hash, s.hash, s.batch_ids, d.digests
FROM seal s
CROSS JOIN LATERAL (
    SELECT array_agg(b.digest ORDER BY u.n) AS digests
    FROM unnest(s.batch_ids) WITH ORDINALITY AS u (batch_id, n)
    LEFT JOIN batch b USING (batch_id)
) d
WHERE s.seal_id > %(after)s::bigint
ORDER BY s.seal_id
LIMIT 50;

-- name: wrongly_sealed
-- Batches that are not exactly once under a seal or waiting for one.
SELECT coalesce(b.batch_id, c.batch_id), b.batch_id IS NOT NULL, coalesce(c.seals, 0),
       coalesce(c.waits, 0)
FROM batch b
FULL JOIN (
    SELECT batch_id, sum(seals)::bigint AS seals, sum(waits)::bigint AS waits
    FROM (
        SELECT unnest(s.batch_ids) AS batch_id, 1 AS seals, 0 AS waits FROM seal s
        UNION ALL
        SELECT u.batch_id, 0, 1 FROM unsealed u
    ) each_one
    GROUP BY batch_id
) c USING (batch_id)
WHERE b.batch_id IS NULL OR coalesce(c.seals + c.waits, 0) <> 1
LIMIT %(limit)s::bigint;

-- name: count_unsealed
-- Counts batches that wait for a seal.
SELECT count(*) FROM unsealed;
