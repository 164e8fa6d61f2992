-- name: system_setup
-- What a system's connection is opened with, and where it is in life.
SELECT connector, config::text, environment, lifecycle FROM system WHERE code = %(system)s::text;

-- name: system_facts
-- What the tests of a system look at: our side of it.
SELECT s.connector, s.config::text, s.environment, s.lifecycle,
       md5(concat_ws('|', s.connector, s.config::text, s.environment,
           (SELECT max(x.secret_id) FROM system_secret x WHERE x.system = s.code))),
       extract(epoch FROM clock_timestamp())::float8,
       ARRAY(SELECT c.code FROM channel c WHERE c.system = s.code ORDER BY c.code),
       ARRAY(SELECT DISTINCT l.code FROM channel c JOIN channel_source USING (channel_id)
             JOIN location l USING (location_id) WHERE c.system = s.code ORDER BY l.code),
       ARRAY(SELECT n.code FROM unnest(%(locations)s::text[]) AS n (code)
             WHERE NOT EXISTS (SELECT FROM location l WHERE l.code = n.code) ORDER BY n.code),
       (SELECT count(*) FROM item_alias a WHERE a.namespace = s.code),
       (SELECT count(*) FROM listing x WHERE x.system = s.code),
       ARRAY(SELECT DISTINCT i.sku FROM listing x JOIN item i USING (item_id)
             WHERE x.system = s.code AND NOT EXISTS (
                 SELECT FROM item_alias a WHERE a.namespace = s.code AND a.item_id = x.item_id)
             ORDER BY i.sku LIMIT 20)
FROM system s WHERE s.code = %(system)s::text;

-- name: secret_ages
-- The newest of each of a system's secrets that counts, and how many days old it is.
SELECT name, extract(epoch FROM now() - max(recorded_at))::float8 / 86400
FROM system_secret
WHERE system = %(system)s::text AND (expires_at IS NULL OR expires_at > now())
GROUP BY name ORDER BY name;

-- name: put_system_test
-- Keeps the newest test of a system.
INSERT INTO system_test (system, tested_at, is_good, fingerprint, checks, actor)
VALUES (%(system)s::text, now(), %(is_good)s::boolean, %(fingerprint)s::text, %(checks)s::json,
        %(actor)s::text)
ON CONFLICT (system) DO UPDATE
SET tested_at = excluded.tested_at, is_good = excluded.is_good,
    fingerprint = excluded.fingerprint, checks = excluded.checks, actor = excluded.actor
RETURNING tested_at;

-- name: newest_test
-- Whether a system has a connector, and its newest test: good, of what is configured now, recent.
SELECT s.connector IS NOT NULL, t.is_good,
       t.fingerprint = md5(concat_ws('|', s.connector, s.config::text, s.environment,
           (SELECT max(x.secret_id) FROM system_secret x WHERE x.system = s.code))),
       t.tested_at > now() - %(seconds_max)s::bigint * interval '1 second'
FROM system s LEFT JOIN system_test t ON t.system = s.code
WHERE s.code = %(system)s::text;

-- name: match_entries
-- Our item for each entry of a partner's catalog: by SKU, by an alias it has, or by one GTIN.
SELECT coalesce(s.sku, k.sku, g.sku)
FROM unnest(%(items)s::text[], %(skus)s::text[], %(gtins)s::text[]) WITH ORDINALITY
     AS n (item, sku, gtin, position)
LEFT JOIN item s ON s.sku = n.sku
LEFT JOIN item_alias a ON a.namespace = %(system)s::text AND a.alias = n.item
LEFT JOIN item k ON k.item_id = a.item_id
LEFT JOIN LATERAL (
    SELECT min(i.sku) AS sku FROM item i
    WHERE n.gtin <> '' AND i.gtin IS NOT NULL AND lpad(i.gtin, 14, '0') = lpad(n.gtin, 14, '0')
    HAVING count(*) = 1
) AS g ON true
ORDER BY n.position;
