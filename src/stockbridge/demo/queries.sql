-- name: count_balances_unlike_movements
-- (item, location, account) whose kept balance is not the sum of its movements.
WITH moved AS (
    SELECT item_id, location_id, account, sum(quantity) AS quantity
    FROM (
        SELECT item_id, location_id, to_account AS account, quantity FROM movement
        UNION ALL
        SELECT item_id, location_id, from_account, -quantity FROM movement
    ) AS entry
    WHERE account BETWEEN 1 AND 8
    GROUP BY item_id, location_id, account
),
kept AS (
    SELECT b.item_id, b.location_id, s.account, s.quantity
    FROM balance AS b
    CROSS JOIN LATERAL (
        VALUES (1, b.available), (2, b.allocated), (3, b.picked), (4, b.quarantined),
               (5, b.in_transit), (6, b.on_order), (7, b.reserved), (8, b.backordered)
    ) AS s (account, quantity)
)
SELECT count(*)
FROM moved FULL JOIN kept USING (item_id, location_id, account)
WHERE coalesce(moved.quantity, 0) <> coalesce(kept.quantity, 0);

-- name: count_items_out_of_balance
-- Items whose kept balances and outside accounts together are not zero.
WITH outside AS (
    SELECT item_id, sum(quantity) AS quantity
    FROM (
        SELECT item_id, to_account AS account, quantity FROM movement
        UNION ALL
        SELECT item_id, from_account, -quantity FROM movement
    ) AS entry
    WHERE account NOT BETWEEN 1 AND 8
    GROUP BY item_id
),
inside AS (
    SELECT item_id,
           sum(available + allocated + picked + quarantined + in_transit + on_order + reserved
               + backordered) AS quantity
    FROM balance
    GROUP BY item_id
)
SELECT count(*)
FROM outside FULL JOIN inside USING (item_id)
WHERE coalesce(outside.quantity, 0) + coalesce(inside.quantity, 0) <> 0;

-- name: count_promises_unlike_holds
-- (item, location) whose promised quantities are not those of its open holds.
WITH held AS (
    SELECT item_id, location_id,
           coalesce(sum(quantity) FILTER (WHERE account = 7), 0) AS reserved,
           coalesce(sum(quantity) FILTER (WHERE account = 8), 0) AS backordered
    FROM hold
    GROUP BY item_id, location_id
)
SELECT count(*)
FROM held FULL JOIN balance USING (item_id, location_id)
WHERE coalesce(held.reserved, 0) <> coalesce(balance.reserved, 0)
   OR coalesce(held.backordered, 0) <> coalesce(balance.backordered, 0);

-- name: count_oversold_promises
-- Reserve movements (kind 17) that left less available than promised, walking the ledger in order.
SELECT count(*)
FROM (
    SELECT kind,
           sum(CASE WHEN to_account = 1 THEN quantity WHEN from_account = 1 THEN -quantity
                    WHEN to_account = 7 THEN -quantity WHEN from_account = 7 THEN quantity
                    ELSE 0 END)
               OVER (PARTITION BY item_id, location_id ORDER BY recorded_at, movement_id) AS free
    FROM movement
    WHERE to_account IN (1, 7) OR from_account IN (1, 7)
) AS walk
WHERE kind = 17 AND free < 0;

-- name: count_reservations_unlike_holds
-- Reservations whose state and open holds contradict each other.
SELECT count(*)
FROM reservation AS r
WHERE (r.state IN ('held', 'confirmed'))
   <> EXISTS (SELECT FROM hold AS h WHERE h.reservation_id = r.reservation_id);

-- name: read_totals
-- Units by state and the size of the books.
SELECT coalesce(sum(available), 0) AS units_available,
       coalesce(sum(reserved), 0) AS units_in_open_promises,
       coalesce(sum(on_order), 0) AS units_on_order,
       count(*) FILTER (WHERE available < 0) AS balances_below_zero,
       (SELECT count(*) FROM movement) AS movements
FROM balance;
