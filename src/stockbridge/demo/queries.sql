-- name: read_totals
-- Units by state and the size of the books.
SELECT coalesce(sum(available), 0) AS units_available,
       coalesce(sum(reserved), 0) AS units_in_open_promises,
       coalesce(sum(on_order), 0) AS units_on_order,
       count(*) FILTER (WHERE available < 0) AS balances_below_zero,
       (SELECT count(*) FROM movement) AS movements
FROM balance;
