-- Reads of the overview; nothing here writes.

-- name: figures
-- How much of everything there is.
SELECT (SELECT count(*) FROM item),
       (SELECT count(*) FROM location),
       (SELECT count(*) FROM channel),
       (SELECT count(*) FROM reservation WHERE state IN ('held', 'confirmed')),
       (SELECT count(*) FROM exception WHERE resolved_at IS NULL);

-- name: units_by_state
-- Units in each state over all items and locations, in the order of the states.
SELECT state, units
FROM (
    SELECT sum(available) AS available, sum(allocated) AS allocated, sum(picked) AS picked,
           sum(quarantined) AS quarantined, sum(in_transit) AS in_transit,
           sum(on_order) AS on_order, sum(reserved) AS reserved, sum(backordered) AS backordered
    FROM balance
) AS total,
LATERAL (VALUES
    (1, 'available', available), (2, 'allocated', allocated), (3, 'picked', picked),
    (4, 'quarantined', quarantined), (5, 'in_transit', in_transit), (6, 'on_order', on_order),
    (7, 'reserved', reserved), (8, 'backordered', backordered)
) AS by_state (position, state, units)
ORDER BY position;

-- name: newest_movements
-- The newest ledger entries.
SELECT m.recorded_at, m.kind, i.sku, l.code, m.from_account, m.to_account, m.quantity,
       m.document_type || ' ' || m.document_number
FROM movement m
JOIN item i USING (item_id)
JOIN location l USING (location_id)
WHERE m.recorded_at > now() - interval '7 days'
ORDER BY m.movement_id DESC
LIMIT %(limit)s::bigint;

-- name: open_exceptions
-- The gravest open exceptions.
SELECT severity, kind, subject, owner_team, cause, opened_at
FROM exception
WHERE resolved_at IS NULL
ORDER BY severity, exception_id DESC
LIMIT %(limit)s::bigint;
