-- Reports: taking them in, booking what is accepted, telling about them.

-- name: open_snapshot
-- Begins to receive a report.
INSERT INTO snapshot
    (system, number, cutoff_at, sequence, meaning, is_authoritative, format, principal,
     correlation_id)
VALUES (%(system)s::text, %(number)s::text, %(cutoff_at)s::timestamptz, %(sequence)s::bigint,
        %(meaning)s::text, %(is_authoritative)s::boolean, %(format)s::text, %(principal)s::text,
        %(correlation_id)s::text)
RETURNING snapshot_id;

-- name: add_chunk
-- Keeps a piece of a report's bytes.
INSERT INTO snapshot_chunk (snapshot_id, chunk_number, body)
VALUES (%(snapshot_id)s::bigint, %(chunk_number)s::bigint, %(body)s::bytea);

-- name: close_snapshot
-- A report is here with all of its bytes; fails when its number is taken.
UPDATE snapshot SET state = 'loading', content_hash = %(content_hash)s::bytea,
    bytes = %(bytes)s::bigint, received_at = clock_timestamp()
WHERE snapshot_id = %(snapshot_id)s::bigint;

-- name: drop_snapshot
-- Forgets a report that did not arrive whole, its bytes included.
DELETE FROM snapshot WHERE snapshot_id = %(snapshot_id)s::bigint AND state = 'receiving';

-- name: drop_abandoned
-- Forgets reports whose sender or receiver went away.
DELETE FROM snapshot WHERE state = 'receiving' AND received_at < now() - interval '1 day';

-- name: find_number
-- The report that has a number.
SELECT snapshot_id, content_hash FROM snapshot
WHERE system = %(system)s::text AND number = %(number)s::text
  AND state NOT IN ('receiving', 'failed');

-- name: lock_system
-- Waits until no other report of the system is worked on, on any machine.
SELECT pg_advisory_lock(hashtext('stockbridge snapshots'), hashtext(%(system)s::text));

-- name: unfinished
-- Reports with work left, oldest first.
SELECT snapshot_id FROM snapshot WHERE state IN ('loading', 'booking') ORDER BY snapshot_id;

-- name: head
-- What there is to know before work on a report.
SELECT system, number, cutoff_at, format, state, correlation_id, principal, meaning
FROM snapshot WHERE snapshot_id = %(snapshot_id)s::bigint;

-- name: chunk
-- A piece of a report's bytes.
SELECT body FROM snapshot_chunk
WHERE snapshot_id = %(snapshot_id)s::bigint AND chunk_number = %(chunk_number)s::bigint;

-- name: set_compared
-- A report is compared; what is left is booking and telling.
UPDATE snapshot SET state = 'booking', compared_at = clock_timestamp(),
    rows_total = %(total)s::bigint, rows_unchanged = %(unchanged)s::bigint,
    rows_different = %(different)s::bigint, rows_bad = %(bad)s::bigint
WHERE snapshot_id = %(snapshot_id)s::bigint;

-- name: set_failed
-- A report cannot be read.
UPDATE snapshot SET state = 'failed', detail = %(detail)s::text
WHERE snapshot_id = %(snapshot_id)s::bigint;

-- name: heard_places
-- The locations whose own authority reported, with our clock.
SELECT array_agg(p.location_id)::text, array_agg(clock_timestamp())::text
FROM snapshot_place p
JOIN snapshot n USING (snapshot_id)
JOIN location l USING (location_id)
WHERE p.snapshot_id = %(snapshot_id)s::bigint AND l.authority = n.system;

-- name: notify_feeds
-- Tells the views, at commit, that the locations were heard from.
SELECT pg_notify('stockbridge_stock', string_agg(line, E'\n'))
FROM (
    SELECT (row_number() OVER ()) / 100 AS notice,
           format('feed %%s %%s', u.location_id, (extract(epoch FROM u.at) * 1000000)::bigint) AS line
    FROM unnest(%(locations)s::bigint[], %(moments)s::timestamptz[]) AS u (location_id, at)
) AS lines
GROUP BY notice;

-- name: unchanged_rows
-- The next rows of authoritative locations that agree with the ledger: last row number, items.
SELECT max(n.row_number), array_agg(n.item_id)::text
FROM (
    SELECT r.row_number, r.item_id
    FROM snapshot_row r
    JOIN snapshot_place p USING (snapshot_id, location_id)
    WHERE r.snapshot_id = %(snapshot_id)s::bigint AND r.row_number > %(after)s::bigint
      AND r.outcome = 'unchanged' AND p.is_authoritative AND p.state = 'booking'
    ORDER BY r.row_number LIMIT %(limit)s::bigint
) AS n;

-- name: still_unchanged
-- Which of them, under their items' locks, nothing moved since: columns by account.
SELECT r.account, array_agg(r.item_id)::text, array_agg(r.location_id)::text,
       array_agg(r.account)::text, array_agg(%(cutoff_at)s::timestamptz)::text
FROM snapshot_row r
JOIN snapshot_place p USING (snapshot_id, location_id)
JOIN balance b
    ON b.item_id = r.item_id AND b.location_id = r.location_id AND b.batch_id = r.version
LEFT JOIN count_anchor c
    ON c.item_id = r.item_id AND c.location_id = r.location_id AND c.account = r.account
WHERE r.snapshot_id = %(snapshot_id)s::bigint
  AND r.row_number BETWEEN %(first)s::bigint AND %(last)s::bigint
  AND r.outcome = 'unchanged' AND p.is_authoritative AND p.state = 'booking'
  AND coalesce(CASE r.account WHEN 1 THEN b.counted_at ELSE c.counted_at END, '-infinity')
      < %(cutoff_at)s::timestamptz
GROUP BY r.account;

-- name: mark_moved
-- The others are counted like those that differ: the engine decides on what there is then.
UPDATE snapshot_row r SET outcome = 'drift'
FROM snapshot_place p
WHERE r.snapshot_id = %(snapshot_id)s::bigint
  AND r.row_number BETWEEN %(first)s::bigint AND %(last)s::bigint
  AND r.outcome = 'unchanged' AND p.is_authoritative AND p.state = 'booking'
  AND p.snapshot_id = r.snapshot_id AND p.location_id = r.location_id
  AND NOT EXISTS (
      SELECT FROM balance b WHERE b.item_id = r.item_id AND b.location_id = r.location_id
        AND b.batch_id = r.version);

-- name: places_to_book
-- The locations whose differences become counts.
SELECT l.location_id, l.code
FROM snapshot_place p JOIN location l USING (location_id)
WHERE p.snapshot_id = %(snapshot_id)s::bigint AND p.state = 'booking'
ORDER BY l.code;

-- name: rows_to_book
-- The next differences at a location; those in flight too where the report is authoritative.
SELECT r.row_number, i.sku, r.account, r.stated
FROM snapshot_row r
JOIN snapshot_place p USING (snapshot_id, location_id)
JOIN item i USING (item_id)
WHERE r.snapshot_id = %(snapshot_id)s::bigint AND r.location_id = %(location_id)s::bigint
  AND (r.outcome = 'drift' OR (r.outcome = 'in_flight' AND p.is_authoritative))
  AND r.reason IS NULL AND r.row_number > %(after)s::bigint
ORDER BY r.row_number LIMIT %(limit)s::bigint;

-- name: mark_counted
-- Rows that became counts.
UPDATE snapshot_row SET outcome = 'counted'
WHERE snapshot_id = %(snapshot_id)s::bigint AND row_number = ANY (%(rows)s::bigint[]);

-- name: mark_refused
-- Rows that could not be counted, with the reason; they stay open.
UPDATE snapshot_row r SET outcome = 'drift', reason = n.reason
FROM unnest(%(rows)s::bigint[], %(reasons)s::text[]) AS n (row_number, reason)
WHERE r.snapshot_id = %(snapshot_id)s::bigint AND r.row_number = n.row_number;

-- name: settle_places
-- Sums up what is left open at each location; answers all that are not superseded.
UPDATE snapshot_place p SET rows_drift = d.rows, units_drift = d.units,
    state = CASE WHEN d.rows > 0 THEN 'drift' ELSE 'settled' END
FROM (
    SELECT q.location_id, count(r.row_number) AS rows,
           coalesce(sum(abs(r.rebased - r.booked)), 0)::bigint AS units
    FROM snapshot_place q
    LEFT JOIN snapshot_row r
        ON r.snapshot_id = q.snapshot_id AND r.location_id = q.location_id AND r.outcome = 'drift'
    WHERE q.snapshot_id = %(snapshot_id)s::bigint
    GROUP BY q.location_id
) AS d, location l
WHERE p.snapshot_id = %(snapshot_id)s::bigint AND p.location_id = d.location_id
  AND l.location_id = p.location_id AND p.state <> 'superseded'
RETURNING l.code, p.rows_drift, p.units_drift;

-- name: settle_snapshot
-- Work on a report is done.
UPDATE snapshot n SET settled_at = clock_timestamp(),
    state = CASE WHEN EXISTS (SELECT FROM snapshot_place p WHERE p.snapshot_id = n.snapshot_id)
                  AND NOT EXISTS (SELECT FROM snapshot_place p
                                  WHERE p.snapshot_id = n.snapshot_id AND p.state <> 'superseded')
                 THEN 'superseded' ELSE 'compared' END
WHERE n.snapshot_id = %(snapshot_id)s::bigint;

-- name: accept_places
-- The owner accepts what is open at these locations, at all when none is named.
UPDATE snapshot_place p SET state = 'booking'
FROM location l
WHERE p.snapshot_id = %(snapshot_id)s::bigint AND p.state = 'drift'
  AND l.location_id = p.location_id
  AND (%(codes)s::text[] = '{}' OR l.code = ANY (%(codes)s::text[]))
RETURNING l.code;

-- name: reopen_snapshot
-- There is something to book again.
UPDATE snapshot SET state = 'booking' WHERE snapshot_id = %(snapshot_id)s::bigint;

-- name: open_drift
-- The open exceptions about these.
SELECT exception_id FROM exception
WHERE kind = 'stock_drift' AND subject = ANY (%(subjects)s::text[]) AND resolved_at IS NULL;

-- name: snapshot_document
-- One report as the API shows it.
SELECT json_build_object(
    'snapshot', n.snapshot_id, 'system', n.system, 'number', n.number, 'cutoff_at', n.cutoff_at,
    'sequence', n.sequence, 'meaning', n.meaning, 'authoritative', n.is_authoritative,
    'state', n.state, 'format', n.format, 'bytes', n.bytes, 'rows', n.rows_total,
    'rows_unchanged', n.rows_unchanged, 'rows_different', n.rows_different,
    'rows_bad', n.rows_bad, 'detail', n.detail, 'received_at', n.received_at,
    'compared_at', n.compared_at, 'settled_at', n.settled_at, 'principal', n.principal,
    'correlation_id', n.correlation_id,
    'outcomes', (SELECT coalesce(json_object_agg(o.outcome, o.rows), '{}') FROM (
        SELECT r.outcome, count(*) AS rows FROM snapshot_row r
        WHERE r.snapshot_id = n.snapshot_id AND r.outcome <> 'unchanged' GROUP BY r.outcome) AS o),
    'locations', (SELECT coalesce(json_agg(json_build_object(
        'location', l.code, 'authoritative', p.is_authoritative, 'state', p.state,
        'rows_drift', p.rows_drift, 'units_drift', p.units_drift) ORDER BY l.code), '[]')
        FROM snapshot_place p JOIN location l USING (location_id)
        WHERE p.snapshot_id = n.snapshot_id)) AS document
FROM snapshot n WHERE n.snapshot_id = %(snapshot_id)s::bigint AND n.state <> 'receiving';

-- name: snapshots_page
-- Lists reports, newest first; those of a system, in a state.
SELECT n.snapshot_id::text, json_build_object(
    'snapshot', n.snapshot_id, 'system', n.system, 'number', n.number, 'cutoff_at', n.cutoff_at,
    'sequence', n.sequence, 'meaning', n.meaning, 'authoritative', n.is_authoritative,
    'state', n.state, 'rows', n.rows_total, 'rows_unchanged', n.rows_unchanged,
    'rows_different', n.rows_different, 'rows_bad', n.rows_bad, 'received_at', n.received_at,
    'settled_at', n.settled_at, 'correlation_id', n.correlation_id)::text
FROM snapshot n
WHERE (%(after)s::bigint IS NULL OR n.snapshot_id < %(after)s::bigint)
  AND n.state <> 'receiving'
  AND (%(system)s::text IS NULL OR n.system = %(system)s::text)
  AND (%(state)s::text IS NULL OR n.state = %(state)s::text)
ORDER BY n.snapshot_id DESC LIMIT %(limit)s::bigint;

-- name: rows_page
-- Lists a report's rows in its order, those with an outcome.
SELECT r.row_number::text, json_build_object(
    'row', r.row_number, 'item', coalesce(r.name, i.sku), 'sku', i.sku,
    'location', coalesce(r.location, l.code),
    'state', CASE r.account WHEN 1 THEN 'available' WHEN 2 THEN 'allocated'
                            WHEN 3 THEN 'picked' WHEN 4 THEN 'quarantined' END,
    'quantity', r.quantity, 'stated', r.stated, 'rebased', r.rebased, 'booked', r.booked,
    'outcome', r.outcome, 'reason', r.reason)::text
FROM snapshot_row r LEFT JOIN item i USING (item_id) LEFT JOIN location l USING (location_id)
WHERE r.snapshot_id = %(snapshot_id)s::bigint
  AND r.row_number > coalesce(%(after)s::bigint, 0)
  AND (%(outcome)s::text IS NULL OR r.outcome = %(outcome)s::text)
ORDER BY r.row_number LIMIT %(limit)s::bigint;

-- name: system_exists
-- Whether a system is known.
SELECT 1 FROM system WHERE code = %(system)s::text;
