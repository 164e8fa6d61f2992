"""The control tower's lists are read along indexes, whatever filter is set."""

from typing import Any

from stockbridge.dashboard.desk import SQL
from stockbridge.store.database import connect
from stockbridge.store.sql import load

OUTBOX, INBOX = load("stockbridge.outbox"), load("stockbridge.engine.inbox")
LISTINGS, GOVERNANCE = load("stockbridge.outbox.listings"), load("stockbridge.governance")
ROWS = 20_000
BIG = {"exception", "listing", "delivery", "sales_order", "item", "balance", "order_event"}

FILL = f"""
INSERT INTO system (code, kind) VALUES ('S', 'shop');
INSERT INTO channel (channel_id, code) VALUES (1, 'web'), (2, 'shop');
INSERT INTO location (location_id, code) VALUES (1, 'MAIN');
INSERT INTO item (item_id, sku) SELECT n, 'SKU-' || n FROM generate_series(1, {ROWS}) n;
INSERT INTO balance (item_id, location_id) SELECT n, 1 FROM generate_series(1, {ROWS}) n;
INSERT INTO exception (kind, subject, severity, owner_team, cause, action, opened_at, seen_at,
    resolved_at, correlation_id)
SELECT 'k' || n % 7, n, n % 4 + 1, 't' || n % 5, '', '', now(), now(),
    CASE WHEN n % 2 = 0 THEN now() END, 'c' || n FROM generate_series(1, {ROWS}) n;
INSERT INTO listing (system, channel_id, item_id, item, state, waiting_since)
SELECT 'S', 1, n, n, 'ok', CASE WHEN n % 9 = 0 THEN now() - n * interval '1 s' END
FROM generate_series(1, {ROWS}) n;
INSERT INTO delivery (system, operation, object_key, idempotency_key, payload, state,
    correlation_id)
SELECT 'S', 'cancel_order', n, gen_random_uuid(), '{{}}',
    CASE WHEN n % 50 = 0 THEN 'dead' ELSE 'confirmed' END, 'c' || n
FROM generate_series(1, {ROWS}) n;
INSERT INTO sales_order (order_id, channel_id, number, state, content, events, created_at,
    updated_at, ended_at, correlation_id)
SELECT n, 1, 'W' || n, CASE WHEN n % 99 = 0 THEN 'reserved' ELSE 'completed' END, '{{}}', 1, now(),
    now(), CASE WHEN n % 99 <> 0 THEN now() END, 'c' || n FROM generate_series(1, {ROWS}) n;
INSERT INTO order_event (order_id, event_no, what, state, recorded_at, principal, correlation_id)
SELECT n, 1, 'placed', 'reserved', now(), 'p', 'c' || n FROM generate_series(1, {ROWS}) n;
ANALYZE;
"""

_DELIVERY = ("system", "state", "operation", "object", "correlation_id", "from", "to")
_LISTING = ("system", "channel", "sku", "state")


def _cases():
    yield SQL.gravest_exceptions, ("kind", "owner_team", "severity"), {}
    yield SQL.gravest_exceptions, ("kind", "severity"), {"owner_team": "t1"}
    yield SQL.gravest_exceptions, ("owner_team",), {"kind": "k3", "severity": 2, "after": 5000}
    yield SQL.exception_kinds, (), {}
    resolved = {"open": False, "after": 9000}
    yield GOVERNANCE.exceptions_page, ("id", "kind", "owner_team"), resolved
    yield SQL.waiting_listings, (*_LISTING, "since"), {}
    yield SQL.waiting_listings, _LISTING, {"since": 1_700_000_000_000_000, "after": 5}
    yield SQL.waiting_listings, ("system", "channel", "state", "since"), {"sku": "SKU-9"}
    yield LISTINGS.listings_page, (*_LISTING, "id", "channels", "stale"), {"after": 9000}
    yield OUTBOX.deliveries_page, _DELIVERY, {}
    yield OUTBOX.deliveries_page, tuple({*_DELIVERY} - {"state"}), {"state": "dead"}
    yield OUTBOX.deliveries_page, tuple({*_DELIVERY} - {"state"}), {"state": "sending"}
    yield OUTBOX.deliveries_page, tuple({*_DELIVERY} - {"correlation_id"}), {"correlation_id": "c5"}
    yield SQL.unsettled_deliveries, (), {}
    yield SQL.orders_list, ("state", "channel", "number", "open"), {}
    yield SQL.orders_list, ("channel", "number"), {"state": "rejected", "open": False}
    yield SQL.orders_list, ("channel", "number"), {"state": "on_hold", "open": True}
    yield SQL.orders_list, ("state", "number", "open"), {"channel": "shop"}
    yield SQL.orders_list, ("state", "channel", "open"), {"number": "W5"}
    yield SQL.orders_list, ("state", "channel", "number"), {"open": True}
    yield SQL.items_list, ("prefix",), {"after": "SKU-5"}
    yield SQL.items_list, ("after",), {"prefix": "SKU-77"}
    yield SQL.item_movements, (), {"item": 5, "after": 9}
    yield SQL.item_listings, (), {"item": 5}
    yield SQL.deliveries_behind, (), {"correlations": ["c5", "c6"]}
    yield SQL.events_behind, (), {"correlation": "c5"}
    yield SQL.orders_at_erp, (), {}
    yield SQL.search, ("order", "number"), {"text": "SKU-5", "identities": []}
    yield (
        INBOX.messages_page,
        ("system", "contract", "correlation_id", "from", "to"),
        {"status": "parked"},
    )


def _scans(plan: dict[str, Any]) -> list[str]:
    own = []
    if plan["Node Type"] in {"Seq Scan", "Parallel Seq Scan"}:
        own = [plan["Relation Name"]]
    return own + [name for child in plan.get("Plans", []) for name in _scans(child)]


async def test_no_list_reads_a_whole_table(dsn):
    async with await connect(dsn) as conn:
        for statement in FILL.split(";\n"):
            await conn.execute(statement.encode())
        for statement, unset, values in _cases():
            given = {"limit": 51, "after": None, **dict.fromkeys(unset), **values}
            cursor = await conn.execute(b"EXPLAIN (FORMAT JSON) " + statement, given, prepare=False)
            plan = (await cursor.fetchall())[0][0][0]["Plan"]
            whole = BIG.intersection(_scans(plan))
            assert not whole, (whole, statement.decode(), values)
