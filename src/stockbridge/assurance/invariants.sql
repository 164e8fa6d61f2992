-- name: broken_laws
-- Every record that breaks a law of the books: law, key, expected, found; at most so many.
WITH entry AS MATERIALIZED (
    SELECT m.item_id, m.location_id, e.account, sum(e.quantity)::bigint AS quantity
    FROM movement m
    CROSS JOIN LATERAL (
        VALUES (m.to_account, m.quantity), (m.from_account, -m.quantity)
    ) AS e (account, quantity)
    GROUP BY m.item_id, m.location_id, e.account
),
kept AS MATERIALIZED (
    SELECT b.item_id, b.location_id, s.account, s.quantity
    FROM balance b
    CROSS JOIN LATERAL (
        VALUES (1, b.available), (2, b.allocated), (3, b.picked), (4, b.quarantined),
               (5, b.in_transit), (6, b.on_order), (7, b.reserved), (8, b.backordered)
    ) AS s (account, quantity)
    WHERE s.quantity <> 0
),
held AS (
    SELECT h.item_id, h.location_id, h.account, sum(h.quantity)::bigint AS quantity
    FROM hold h
    GROUP BY h.item_id, h.location_id, h.account
),
walk AS (
    SELECT m.movement_id, m.item_id, m.location_id, m.kind,
           sum(CASE WHEN m.to_account = 1 THEN m.quantity WHEN m.from_account = 1 THEN -m.quantity
                    ELSE 0 END
             - CASE WHEN m.to_account = 7 THEN m.quantity WHEN m.from_account = 7 THEN -m.quantity
                    ELSE 0 END)
               OVER (PARTITION BY m.item_id, m.location_id ORDER BY m.batch_id, m.movement_id)
               AS free
    FROM movement m
    WHERE m.to_account IN (1, 7) OR m.from_account IN (1, 7)
)
SELECT 'balance_is_sum_of_movements',
       format('item %%s location %%s account %%s', item_id, location_id, account),
       coalesce(e.quantity, 0)::text, coalesce(k.quantity, 0)::text
FROM (SELECT * FROM entry WHERE account <= 8) e
FULL JOIN kept k USING (item_id, location_id, account)
WHERE coalesce(e.quantity, 0) <> coalesce(k.quantity, 0)
UNION ALL
SELECT 'accounts_sum_to_zero', format('item %%s', item_id), '0', sum(quantity)::text
FROM (SELECT item_id, quantity FROM kept
      UNION ALL SELECT item_id, quantity FROM entry WHERE account > 8) every
GROUP BY item_id HAVING sum(quantity) <> 0
UNION ALL
SELECT 'transfers_close', format('item %%s', item_id), '0', sum(quantity)::text
FROM entry WHERE account = 24 GROUP BY item_id HAVING sum(quantity) <> 0
UNION ALL
SELECT 'promises_are_holds',
       format('item %%s location %%s account %%s', item_id, location_id, account),
       coalesce(h.quantity, 0)::text, coalesce(k.quantity, 0)::text
FROM held h
FULL JOIN (SELECT * FROM kept WHERE account IN (7, 8)) k USING (item_id, location_id, account)
WHERE coalesce(h.quantity, 0) <> coalesce(k.quantity, 0)
UNION ALL
SELECT 'holds_are_of_open_reservations', format('reservation %%s line %%s', h.reservation_id,
       h.line_no), 'held or confirmed', coalesce(r.state, 'no reservation')
FROM hold h LEFT JOIN reservation r USING (reservation_id)
WHERE coalesce(r.state, '') NOT IN ('held', 'confirmed')
UNION ALL
SELECT 'open_reservations_hold', format('reservation %%s', r.reservation_id), 'open holds',
       'none in state ' || r.state
FROM reservation r
WHERE r.state IN ('held', 'confirmed')
  AND NOT EXISTS (SELECT FROM hold h WHERE h.reservation_id = r.reservation_id)
UNION ALL
SELECT 'fenced_within_hold', format('reservation %%s line %%s', h.reservation_id, h.line_no),
       format('0 to %%s', h.quantity), h.fenced::text
FROM hold h WHERE h.fenced NOT BETWEEN 0 AND h.quantity OR (h.account = 8 AND h.fenced <> 0)
UNION ALL
SELECT 'fences_not_negative', format('item %%s location %%s channel %%s', f.item_id,
       f.location_id, f.channel_id), '0 or more', f.quantity::text
FROM fence f WHERE f.quantity < 0
UNION ALL
SELECT 'never_oversold', format('movement %%s item %%s location %%s', movement_id, item_id,
       location_id), '0 or more free', free::text
FROM walk WHERE kind = 17 AND free < 0
LIMIT %(limit)s::bigint;
