"""How PostgreSQL carries the comparison out: by hash or merge, over movements after the cut-off."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from stockbridge.domain.snapshots.compare import SQL, open_connection

ITEMS = 20_000
HISTORY = 200_000


@pytest.fixture
def seeded(dsn):
    """A history of a month and a report of every item, staged; its cut-off is an hour ago."""
    now = datetime.now(UTC)
    cutoff_at = now - timedelta(hours=1)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("INSERT INTO location (code) VALUES ('MAIN')")
        conn.execute(f"INSERT INTO item (sku) SELECT 'S' || n FROM generate_series(1, {ITEMS}) n")
        conn.execute("INSERT INTO balance (item_id, location_id, available) SELECT item_id, 1, 5"
                     " FROM item")  # fmt: skip
        conn.execute(
            "INSERT INTO movement (movement_id, batch_id, kind, item_id, location_id, from_account,"
            " to_account, quantity, occurred_at, recorded_at, document_type, document_number,"
            " document_line, correlation_id)"
            " SELECT n, 1, 1, 1 + n %% %s, 1, 20, 1, 1, at, at, 'po', n::text, '1', ''"
            " FROM (SELECT n, %s::timestamptz - (%s - n) * interval '12 seconds' AS at"
            "       FROM generate_series(1, %s) n) AS history",
            (ITEMS, now, HISTORY, HISTORY),
        )
        conn.execute(
            "INSERT INTO snapshot (system, number, cutoff_at, format, principal, correlation_id)"
            " VALUES ('WMS', '1', %s, 'csv', '', '')", (cutoff_at,),
        )  # fmt: skip
        conn.execute(
            "INSERT INTO snapshot_stage (snapshot_id, row_number, sku, location, account, quantity)"
            f" SELECT 1, n, 'S' || n, 'MAIN', 1 + n %% 4, 5 FROM generate_series(1, {ITEMS}) n"
            .replace("%%", "%")
        )  # fmt: skip
        conn.execute("VACUUM ANALYZE")
    return dsn, cutoff_at


def nodes(plan, above=()):
    """Every node of a plan with the types of those above it."""
    yield plan, above
    for child in plan.get("Plans", ()):
        yield from nodes(child, (*above, (plan["Node Type"], child["Parent Relationship"])))


@pytest.mark.parametrize("meaning", ["available", "on_hand"])
def test_the_comparison_joins_whole_tables_and_reads_no_old_history(seeded, meaning):
    dsn, cutoff_at = seeded
    with open_connection(dsn) as conn, conn.transaction():
        own = {"snapshot_id": 1}
        conn.execute(SQL.add_places, own)
        told = {"cutoff_at": cutoff_at, "meaning": meaning}
        explain = b"EXPLAIN (ANALYZE, TIMING off, FORMAT json) " + SQL.compare_rows
        [(document,)] = conn.execute(explain, own | told).fetchall()
    found = list(nodes(document[0]["Plan"]))
    big = ("movement", "balance", "item", "snapshot_stage")
    read = 0
    for node, above in found:
        name = node.get("Relation Name", "")
        if name.startswith(big) and name != "item_alias":
            assert ("Nested Loop", "Inner") not in above, node
            assert node["Actual Loops"] <= 1, node
        if name.startswith("movement"):
            read += node["Actual Rows"] + node.get("Rows Removed by Index Recheck", 0)
            read += node.get("Rows Removed by Filter", 0)
    assert 0 < read < HISTORY / 5, f"{read} movements read for 300 after the cut-off"
    joins = {node["Node Type"] for node, _ in found if node["Node Type"].endswith("Join")}
    assert joins <= {"Hash Join", "Merge Join"}
