-- What an export streams: names, not ids. A filter that is null does not filter.

-- name: export_ledger
-- The movements, oldest first; kinds and accounts are numbers still.
SELECT m.movement_id, m.batch_id, m.recorded_at, m.occurred_at, m.kind, i.sku, l.code,
    m.from_account, m.to_account, m.quantity, m.unit_cost::text, m.reason, m.document_type,
    m.document_number, m.document_line, m.message_id, m.correlation_id, m.reverses
FROM movement m
JOIN item i USING (item_id)
JOIN location l USING (location_id)
WHERE (%(sku)s::text IS NULL OR i.sku = %(sku)s::text)
AND (%(location)s::text IS NULL OR l.code = %(location)s::text)
AND (%(since)s::timestamptz IS NULL OR m.recorded_at >= %(since)s::timestamptz)
AND (%(until)s::timestamptz IS NULL OR m.recorded_at < %(until)s::timestamptz)
ORDER BY m.movement_id;

-- name: export_balances
-- The balances by SKU and location.
SELECT i.sku, l.code, b.available + b.allocated + b.picked + b.quarantined, b.available,
    b.allocated, b.picked, b.quarantined, b.in_transit, b.on_order, b.reserved, b.backordered,
    b.safety_stock
FROM balance b
JOIN item i USING (item_id)
JOIN location l USING (location_id)
WHERE (%(sku)s::text IS NULL OR i.sku = %(sku)s::text)
AND (%(location)s::text IS NULL OR l.code = %(location)s::text)
ORDER BY i.sku, l.code;

-- name: export_skus
-- The SKUs whose availability is asked.
SELECT i.sku FROM item i
WHERE (%(sku)s::text IS NULL OR i.sku = %(sku)s::text)
AND i.status = 'active'
ORDER BY i.sku;
