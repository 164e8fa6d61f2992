-- A report is compared by few statements over all of its rows; the ledger's history before the
-- cut-off is never read.

-- name: copy_stage
-- Streams rows in as read.
COPY snapshot_stage (
    snapshot_id, row_number, sku, namespace, alias, location, account, quantity, reason
) FROM STDIN;

-- name: analyze_stage
-- Lets the planner know how many rows there are.
ANALYZE snapshot_stage;

-- name: clear_stage
-- Forgets the rows as read.
DELETE FROM snapshot_stage WHERE snapshot_id = %(snapshot_id)s::bigint;

-- name: add_places
-- Notes the locations a report speaks of; superseded where a newer one of its system spoke before.
INSERT INTO snapshot_place (snapshot_id, location_id, is_authoritative, state)
SELECT n.snapshot_id, l.location_id,
       n.is_authoritative AND coalesce(l.authority = n.system, false),
       CASE WHEN EXISTS (
           SELECT FROM snapshot_place p JOIN snapshot o USING (snapshot_id)
           WHERE p.location_id = l.location_id AND o.system = n.system
             AND CASE WHEN o.sequence IS NOT NULL AND n.sequence IS NOT NULL
                 THEN (o.sequence, o.cutoff_at, o.snapshot_id)
                    > (n.sequence, n.cutoff_at, n.snapshot_id)
                 ELSE (o.cutoff_at, o.snapshot_id) > (n.cutoff_at, n.snapshot_id) END
       ) THEN 'superseded'
       WHEN n.is_authoritative AND l.authority = n.system THEN 'booking'
       ELSE 'settled' END
FROM snapshot n
CROSS JOIN (
    SELECT DISTINCT s.location FROM snapshot_stage s
    WHERE s.snapshot_id = %(snapshot_id)s::bigint
) AS named
JOIN location l ON l.code = named.location
WHERE n.snapshot_id = %(snapshot_id)s::bigint;

-- name: supersede_older
-- Takes locations away from older reports of the system; answers what they left open.
UPDATE snapshot_place p SET state = 'superseded'
FROM snapshot o, snapshot_place mine, location l
WHERE mine.snapshot_id = %(snapshot_id)s::bigint AND mine.state <> 'superseded'
  AND p.location_id = mine.location_id AND p.snapshot_id <> mine.snapshot_id
  AND p.state IN ('drift', 'booking') AND o.snapshot_id = p.snapshot_id
  AND o.system = %(system)s::text AND l.location_id = p.location_id
RETURNING p.snapshot_id, l.code;

-- name: compare_rows
-- Resolves, rebases and compares every row of a report; answers (outcome, rows).
WITH resolved AS MATERIALIZED (
    SELECT s.row_number, s.account, s.quantity, s.location, l.location_id,
           coalesce(i.item_id, a.item_id) AS item_id,
           CASE WHEN i.item_id IS NULL THEN coalesce(s.sku, s.alias) END AS name,
           CASE WHEN s.reason IS NOT NULL THEN s.reason
                WHEN coalesce(i.item_id, a.item_id) IS NULL AND s.sku IS NOT NULL
                    THEN 'sku: no item has it; make it with PUT /v1/items'
                WHEN coalesce(i.item_id, a.item_id) IS NULL
                    THEN 'alias: names no item in ' || s.namespace || '; add it to its item'
                WHEN l.location_id IS NULL
                    THEN 'location: is not known; make it with PUT /v1/locations'
                WHEN k.item_id IS NOT NULL
                    THEN 'sku: is a kit and holds no stock; report its components'
           END AS reason
    FROM snapshot_stage s
    LEFT JOIN item i ON i.sku = s.sku
    LEFT JOIN item_alias a ON a.namespace = s.namespace AND a.alias = s.alias
    LEFT JOIN location l ON l.code = s.location
    LEFT JOIN (SELECT DISTINCT item_id FROM kit_component) AS k
        ON k.item_id = coalesce(i.item_id, a.item_id)
    WHERE s.snapshot_id = %(snapshot_id)s::bigint
), repeated AS MATERIALIZED (
    SELECT r.item_id, r.location_id, r.account, max(r.row_number) AS last_row
    FROM resolved r WHERE r.reason IS NULL
    GROUP BY r.item_id, r.location_id, r.account HAVING count(*) > 1
), siblings AS (
    SELECT r.item_id, r.location_id,
           max(r.quantity) FILTER (WHERE r.account = 2) AS allocated,
           max(r.quantity) FILTER (WHERE r.account = 3) AS picked,
           max(r.quantity) FILTER (WHERE r.account = 4) AS quarantined
    FROM resolved r
    LEFT JOIN repeated d
        ON d.item_id = r.item_id AND d.location_id = r.location_id AND d.account = r.account
    WHERE r.account <> 1 AND %(meaning)s::text = 'on_hand' AND r.reason IS NULL
      AND r.row_number = coalesce(d.last_row, r.row_number)
    GROUP BY r.item_id, r.location_id
), moved AS (
    SELECT m.item_id, m.location_id,
           sum(CASE 1 WHEN m.to_account THEN m.quantity
                    WHEN m.from_account THEN -m.quantity END)::bigint AS available,
           sum(CASE 2 WHEN m.to_account THEN m.quantity
                    WHEN m.from_account THEN -m.quantity END)::bigint AS allocated,
           sum(CASE 3 WHEN m.to_account THEN m.quantity
                    WHEN m.from_account THEN -m.quantity END)::bigint AS picked,
           sum(CASE 4 WHEN m.to_account THEN m.quantity
                    WHEN m.from_account THEN -m.quantity END)::bigint AS quarantined,
           sum(CASE 7 WHEN m.to_account THEN m.quantity
                    WHEN m.from_account THEN -m.quantity END)::bigint AS reserved
    FROM movement m
    -- A source's clock is at most a day ahead of ours; this spares the older partitions.
    WHERE m.occurred_at > %(cutoff_at)s::timestamptz
      AND m.recorded_at > %(cutoff_at)s::timestamptz - interval '1 day'
      AND m.location_id IN (
          SELECT location_id FROM snapshot_place WHERE snapshot_id = %(snapshot_id)s::bigint)
    GROUP BY m.item_id, m.location_id
), waiting AS MATERIALIZED (
    SELECT message_id, encode(body, 'escape') AS body FROM message WHERE status = 'received'
    UNION ALL
    SELECT message_id, encode(body, 'escape') FROM message WHERE status = 'parked'
), named AS (
    SELECT DISTINCT w.message_id, n.found[1] AS kind, n.found[2] AS name
    FROM waiting w
    CROSS JOIN regexp_matches(w.body, '"(sku|alias)"\s*:\s*"([^"\\]+)"', 'g') AS n (found)
), named_places AS (
    SELECT DISTINCT w.message_id, l.location_id
    FROM waiting w
    CROSS JOIN regexp_matches(
        w.body, '"(?:from_|to_)?location"\s*:\s*"([^"\\]+)"', 'g') AS n (found)
    JOIN location l ON l.code = n.found[1]
), in_flight AS (
    SELECT DISTINCT coalesce(i.item_id, a.item_id) AS item_id, p.location_id
    FROM named n
    JOIN named_places p USING (message_id)
    LEFT JOIN item i ON n.kind = 'sku' AND i.sku = n.name
    LEFT JOIN item_alias a ON n.kind = 'alias' AND a.alias = n.name
), figures AS (
    SELECT r.row_number, r.item_id, r.location_id, r.account, r.quantity, r.name, r.location,
           r.reason, b.batch_id AS version, p.state AS place,
           r.row_number = coalesce(d.last_row, r.row_number) AS is_last, f.item_id IS NOT NULL AS is_in_flight,
           CASE r.account WHEN 1 THEN b.counted_at ELSE c.counted_at END AS counted_at,
           coalesce(CASE r.account WHEN 1 THEN b.available WHEN 2 THEN b.allocated
                                   WHEN 3 THEN b.picked WHEN 4 THEN b.quarantined END, 0) AS booked,
           coalesce(CASE r.account WHEN 1 THEN m.available WHEN 2 THEN m.allocated
                                   WHEN 3 THEN m.picked WHEN 4 THEN m.quarantined END, 0) AS moved,
           CASE WHEN r.account <> 1 OR %(meaning)s::text = 'available' THEN r.quantity
                WHEN %(meaning)s::text = 'on_hand' THEN r.quantity
                    - coalesce(s.allocated, b.allocated - coalesce(m.allocated, 0), 0)
                    - coalesce(s.picked, b.picked - coalesce(m.picked, 0), 0)
                    - coalesce(s.quarantined, b.quarantined - coalesce(m.quarantined, 0), 0)
                ELSE r.quantity + coalesce(b.reserved - coalesce(m.reserved, 0), 0)
           END AS stated
    FROM resolved r
    LEFT JOIN repeated d
        ON d.item_id = r.item_id AND d.location_id = r.location_id AND d.account = r.account
    LEFT JOIN snapshot_place p
        ON p.snapshot_id = %(snapshot_id)s::bigint AND p.location_id = r.location_id
    LEFT JOIN balance b ON b.item_id = r.item_id AND b.location_id = r.location_id
    LEFT JOIN moved m ON m.item_id = r.item_id AND m.location_id = r.location_id
    LEFT JOIN count_anchor c
        ON c.item_id = r.item_id AND c.location_id = r.location_id AND c.account = r.account
    LEFT JOIN siblings s ON s.item_id = r.item_id AND s.location_id = r.location_id
    LEFT JOIN in_flight f ON f.item_id = r.item_id AND f.location_id = r.location_id
), added AS (
    INSERT INTO snapshot_row
        (snapshot_id, row_number, item_id, location_id, version, quantity, stated, rebased, booked,
         account, name, location, outcome, reason)
    SELECT %(snapshot_id)s::bigint, g.row_number, g.item_id, g.location_id, g.version, g.quantity,
           g.stated, g.stated + g.moved, g.booked, g.account, g.name,
           CASE WHEN g.location_id IS NULL THEN g.location END,
           CASE WHEN g.reason IS NOT NULL THEN 'bad'
                WHEN NOT g.is_last THEN 'superseded_row'
                WHEN g.place = 'superseded' THEN 'superseded'
                WHEN g.counted_at > %(cutoff_at)s::timestamptz THEN 'counted_later'
                WHEN g.stated + g.moved = g.booked THEN 'unchanged'
                WHEN g.is_in_flight THEN 'in_flight'
                ELSE 'drift' END,
           coalesce(g.reason, CASE WHEN g.stated < 0
               THEN 'what else was on hand there is more than was reported; count it' END)
    FROM figures g
    RETURNING outcome
)
SELECT outcome, count(*) FROM added GROUP BY outcome;
