-- name: read_order
-- One order by id, or by its channel and the channel's number, with all that belongs to it.
SELECT o.order_id, o.channel_id, o.number, o.state, o.reservation_id, o.content::text, o.events,
       o.created_at, o.updated_at, o.ended_at, o.correlation_id, c.code,
       (SELECT coalesce(json_agg(json_build_array(
                   h.reservation_id, h.line_no, h.item_id, h.location_id, h.account, h.quantity,
                   h.fenced) ORDER BY h.line_no, h.location_id, h.item_id), '[]')
        FROM hold h WHERE h.reservation_id = o.reservation_id),
       (SELECT coalesce(json_agg(json_build_array(
                   f.fulfilment, f.line, f.item_id, f.location_id, f.reservation_id, f.allocated,
                   f.picked, f.packed, f.shipped, f.deallocated)
                   ORDER BY f.fulfilment, f.line, f.item_id, f.location_id), '[]')
        FROM fulfilment_line f WHERE f.reservation_id = o.reservation_id),
       (SELECT coalesce(json_agg(json_build_object(
                   'what', e.what, 'state', e.state, 'recorded_at', e.recorded_at,
                   'principal', e.principal, 'system', e.system, 'message_id', e.message_id,
                   'correlation_id', e.correlation_id, 'detail', e.detail)
                   ORDER BY e.event_no), '[]')
        FROM order_event e WHERE e.order_id = o.order_id)
FROM sales_order o
JOIN channel c USING (channel_id)
WHERE o.order_id = %(id)s::bigint
   OR (c.code = %(channel)s::text AND o.number = %(number)s::text);

-- name: read_places
-- The codes of all locations.
SELECT location_id, code FROM location;
