-- name: find_reservations
-- Finds reservations by id or reference, without locks, to learn which items to lock.
SELECT reservation_id, lines::text
FROM reservation
WHERE reservation_id = ANY (%(ids)s::bigint[])
UNION
SELECT reservation_id, lines::text
FROM reservation
WHERE reference = ANY (%(refs)s::text[]);

-- name: lock_reservations
-- Locks reservations, lowest id first, after their items are locked.
SELECT reservation_id, channel_id, reference, state, mode, expires_at, lines::text, created_at,
       ended_at, principal, correlation_id, promised::text
FROM reservation
WHERE reservation_id = ANY (%(ids)s::bigint[])
ORDER BY reservation_id
FOR UPDATE;

-- name: read_holds
-- Reads the open holds of reservations.
SELECT reservation_id, line_no, item_id, location_id, account, quantity, fenced
FROM hold
WHERE reservation_id = ANY (%(ids)s::bigint[])
ORDER BY reservation_id, line_no, location_id, item_id;

-- name: due_reservations
-- Finds held reservations past their time, oldest first; of the items, when some are given.
SELECT r.reservation_id
FROM reservation r
WHERE r.state = 'held' AND r.expires_at <= %(now)s::timestamptz
  AND (%(items)s::bigint[] IS NULL OR EXISTS (
      SELECT FROM hold h
      WHERE h.reservation_id = r.reservation_id AND h.item_id = ANY (%(items)s::bigint[])))
ORDER BY r.expires_at
LIMIT %(limit)s::bigint;

-- name: read_fences
-- Reads what is set aside of the items.
SELECT item_id, location_id, channel_id, quantity
FROM fence
WHERE item_id = ANY (%(items)s::bigint[]);

-- name: set_fences
-- Writes what is set aside.
INSERT INTO fence (item_id, location_id, channel_id, quantity)
SELECT * FROM unnest(%(items)s::bigint[], %(locations)s::bigint[], %(channels)s::bigint[],
                     %(quantities)s::bigint[])
ON CONFLICT (item_id, location_id, channel_id) DO UPDATE SET quantity = excluded.quantity;

-- name: add_reservations
-- Writes new reservations.
INSERT INTO reservation
    (reservation_id, channel_id, reference, state, mode, expires_at, lines, created_at, ended_at,
     principal, correlation_id, promised)
SELECT * FROM unnest(
    %(ids)s::bigint[], %(channels)s::bigint[], %(refs)s::text[], %(states)s::text[],
    %(modes)s::text[], %(expires)s::timestamptz[], %(lines)s::json[], %(created)s::timestamptz[],
    %(ended)s::timestamptz[], %(principals)s::text[], %(correlation_ids)s::text[],
    %(promised)s::json[]);

-- name: add_holds
-- Writes the holds of new reservations.
INSERT INTO hold (reservation_id, line_no, item_id, location_id, account, quantity, fenced)
SELECT * FROM unnest(%(ids)s::bigint[], %(line_nos)s::bigint[], %(items)s::bigint[],
                     %(locations)s::bigint[], %(accounts)s::smallint[], %(quantities)s::bigint[],
                     %(fenced)s::bigint[]);

-- name: put_reservations
-- Writes changed reservations.
INSERT INTO reservation
    (reservation_id, channel_id, reference, state, mode, expires_at, lines, created_at, ended_at,
     principal, correlation_id, promised)
SELECT * FROM unnest(
    %(ids)s::bigint[], %(channels)s::bigint[], %(refs)s::text[], %(states)s::text[],
    %(modes)s::text[], %(expires)s::timestamptz[], %(lines)s::json[], %(created)s::timestamptz[],
    %(ended)s::timestamptz[], %(principals)s::text[], %(correlation_ids)s::text[],
    %(promised)s::json[])
ON CONFLICT (reservation_id) DO UPDATE
SET state = excluded.state, expires_at = excluded.expires_at, lines = excluded.lines,
    ended_at = excluded.ended_at, promised = excluded.promised;

-- name: put_holds
-- Writes changed holds of reservations made before, and holds added to them.
INSERT INTO hold (reservation_id, line_no, item_id, location_id, account, quantity, fenced)
SELECT * FROM unnest(%(ids)s::bigint[], %(line_nos)s::bigint[], %(items)s::bigint[],
                     %(locations)s::bigint[], %(accounts)s::smallint[], %(quantities)s::bigint[],
                     %(fenced)s::bigint[])
ON CONFLICT (reservation_id, line_no, item_id, location_id, account) DO UPDATE
SET quantity = excluded.quantity, fenced = excluded.fenced;

-- name: end_holds
-- Deletes holds that are used up or given back; the ledger keeps what they were.
DELETE FROM hold h
USING unnest(%(ids)s::bigint[], %(line_nos)s::bigint[], %(items)s::bigint[],
             %(locations)s::bigint[], %(accounts)s::smallint[])
      AS gone (reservation_id, line_no, item_id, location_id, account)
WHERE (h.reservation_id, h.line_no, h.item_id, h.location_id, h.account)
    = (gone.reservation_id, gone.line_no, gone.item_id, gone.location_id, gone.account);
