-- name: read_fulfilments
-- Reads how far fulfilments have come.
SELECT fulfilment, line, item_id, location_id, reservation_id, allocated, picked, packed, shipped,
       deallocated
FROM fulfilment_line
WHERE fulfilment = ANY (%(fulfilments)s::text[]);

-- name: put_fulfilments
-- Writes how far fulfilments have come.
INSERT INTO fulfilment_line
    (fulfilment, line, item_id, location_id, reservation_id, allocated, picked, packed, shipped,
     deallocated)
SELECT * FROM unnest(%(fulfilments)s::text[], %(lines)s::text[], %(items)s::bigint[],
                     %(locations)s::bigint[], %(reservations)s::bigint[], %(allocated)s::bigint[],
                     %(picked)s::bigint[], %(packed)s::bigint[], %(shipped)s::bigint[],
                     %(deallocated)s::bigint[])
ON CONFLICT (fulfilment, line, item_id, location_id) DO UPDATE
SET reservation_id = excluded.reservation_id, allocated = excluded.allocated,
    picked = excluded.picked, packed = excluded.packed, shipped = excluded.shipped,
    deallocated = excluded.deallocated;

-- name: read_fulfilments_of
-- Reads how far everything has come that was reported of reservations.
SELECT fulfilment, line, item_id, location_id, reservation_id, allocated, picked, packed, shipped,
       deallocated
FROM fulfilment_line
WHERE reservation_id = ANY (%(reservations)s::bigint[]);
