"""Bulk imports against a real database: good rows kept, bad ones named, the ledger explains it."""

import asyncio
import csv
import io

import psycopg
import pytest

from stockbridge.domain.ledger.digest import batch_digest, texts
from stockbridge.ingress.imports import (
    ImportRefused,
    import_file,
    job_errors_page,
    job_read,
    start_job,
)
from stockbridge.kernel.clock import microseconds

ITEMS = "sku,description,standard_cost\nA,Apple,1.25\nB,Beer,\nC,,3\n"
LOCATIONS = "code,name,kind,time_zone\nMAIN,Main,warehouse,Europe/London\nEAST,,3pl,\n"
BALANCES = "sku,location,available,quarantined\nA,MAIN,10,2\nB,MAIN,5,\nA,EAST,0,\n"
STATES = "available, allocated, picked, quarantined, in_transit, on_order"


@pytest.fixture
def load(dsn):
    """Import a text; answers the report."""

    async def run(kind, text, **options):
        data = text.encode() if isinstance(text, str) else text
        values = {"actor": "ada", "correlation_id": "corr-9"} | options
        return await import_file(dsn, kind, io.BytesIO(data), **values)

    return run


@pytest.fixture
def ask(dsn):
    """Run a query; answers its rows."""

    def run(query, *values):
        with psycopg.connect(dsn, autocommit=True, options="-c timezone=UTC") as conn:
            return conn.execute(query, values).fetchall()

    return run


@pytest.fixture
async def world(load):
    for kind, text in (("items", ITEMS), ("locations", LOCATIONS)):
        assert (await load(kind, text)).rows_bad == 0


def reasons(ask, report):
    query = "SELECT row_number, reason FROM import_error WHERE job_id = %s ORDER BY 1"
    return ask(query, report.job_id)


def balances(ask):
    return ask(
        f"SELECT i.sku, l.code, {STATES}, safety_stock FROM balance JOIN item i USING (item_id)"
        " JOIN location l USING (location_id) ORDER BY 1, 2"
    )


def unexplained(ask):
    """Balances that differ from the sum of their movements; none, ever."""
    return ask(
        "SELECT b.item_id, b.location_id, b.available, s.units FROM balance b, LATERAL ("
        " SELECT coalesce(sum(CASE WHEN m.to_account = 1 THEN quantity ELSE -quantity END), 0)"
        " AS units FROM movement m WHERE m.item_id = b.item_id AND m.location_id = b.location_id"
        " AND 1 IN (m.from_account, m.to_account)) s WHERE b.available <> s.units"
    )


def check_digests(ask):
    """Every batch's digest is that of its stored movements, by the definition of digest.py."""
    batches = ask("SELECT batch_id, recorded_at, movements, digest FROM batch ORDER BY 1")
    for batch_id, recorded_at, movements, digest in batches:
        rows = ask(
            "SELECT movement_id, kind, item_id, location_id, from_account, to_account, quantity,"
            " occurred_at, document_type, document_number, document_line, reason, unit_cost::text,"
            " message_id, correlation_id, reverses::text, NULL FROM movement WHERE batch_id = %s"
            " ORDER BY movement_id",
            batch_id,
        )
        assert len(rows) == movements
        # The last column, lot and serials, is empty: an import names neither.
        columns = [list(column) for column in zip(*rows, strict=True)]
        columns[7] = [microseconds(moment) for moment in columns[7]]
        whole = [",".join(map(str, column)) for column in columns[:8]]
        expected = batch_digest(batch_id, recorded_at, [*whole, *map(texts, columns[8:])])
        assert digest == expected
        assert rows[0][0] >> 20 == rows[-1][0] >> 20 == batch_id
    assert ask("SELECT batch_id FROM unsealed ORDER BY 1") == [(batch[0],) for batch in batches]
    return len(batches)


async def test_balances_are_booked_and_explained(load, ask, world):
    report = await load("balances", BALANCES)
    assert (report.rows_good, report.rows_bad) == (3, 0)
    assert balances(ask) == [
        ("A", "EAST", 0, 0, 0, 0, 0, 0, 0),
        ("A", "MAIN", 10, 0, 0, 2, 0, 0, 0),
        ("B", "MAIN", 5, 0, 0, 0, 0, 0, 0),
    ]
    moved = ask(
        "SELECT m.kind, sku, code, from_account, to_account, quantity, document_type,"
        " document_number, document_line, unit_cost::text, m.correlation_id FROM movement m"
        " JOIN item USING (item_id) JOIN location USING (location_id) ORDER BY sku, to_account"
    )
    job = str(report.job_id)
    assert moved == [
        (16, "A", "MAIN", 22, 1, 10, "import", job, "2", "1.250000", "corr-9"),
        (16, "A", "MAIN", 22, 4, 2, "import", job, "2", "1.250000", "corr-9"),
        (16, "B", "MAIN", 22, 1, 5, "import", job, "3", None, "corr-9"),
    ]
    assert check_digests(ask) >= 1
    assert unexplained(ask) == []
    assert ask("SELECT code FROM location JOIN location_feed USING (location_id) ORDER BY 1") == [
        ("EAST",), ("MAIN",),
    ]  # fmt: skip


async def test_rows_of_any_length_are_booked_alike(load, ask, world):
    """Line numbers of one and of two digits, with costs and without, more than one state."""
    await load("items", "sku,standard_cost\nA,123456789012.5\nC,0.000001\n")
    ask(
        "INSERT INTO balance (item_id, location_id, available) SELECT i.item_id, l.location_id, -3"
        " FROM item i, location l WHERE sku = 'B' AND code = 'MAIN' RETURNING 1"
    )
    rows = [f"{sku},{code},4,{n}\n" for n, sku in enumerate("ABC") for code in ("MAIN", "EAST")]
    text = "sku,location,available,picked\n" + "".join(rows) + "".join(reversed(rows))
    report = await load("balances", text)
    assert (report.rows_good, report.rows_bad) == (12, 0)
    moved = "SELECT sku, code, quantity, document_line, unit_cost::text FROM movement m"
    moved += " JOIN item USING (item_id) JOIN location USING (location_id) WHERE to_account = 1"
    assert ask(f"{moved} ORDER BY sku, code DESC") == [
        ("A", "MAIN", 4, "13", "123456789012.500000"),
        ("A", "EAST", 4, "12", "123456789012.500000"),
        ("B", "MAIN", 7, "11", None),
        ("B", "EAST", 4, "10", None),
        ("C", "MAIN", 4, "9", "0.000001"),
        ("C", "EAST", 4, "8", "0.000001"),
    ]
    assert [row[2:5] for row in balances(ask)] == [(4, 0, n) for n in (0, 0, 1, 1, 2, 2)]
    assert ask("SELECT count(*) FROM balance WHERE counted_at IS NOT NULL") == [(6,)]
    check_digests(ask)


async def test_the_second_import_moves_nothing_and_the_third_the_difference(load, ask, world):
    await load("balances", BALANCES)
    figures = "SELECT to_jsonb(b) - 'counted_at' FROM balance b ORDER BY item_id, location_id"
    before = ask("SELECT count(*) FROM movement"), ask(figures)
    report = await load("balances", BALANCES)
    assert (report.rows_good, report.rows_bad) == (3, 0)
    assert (ask("SELECT count(*) FROM movement"), ask(figures)) == before
    await load("balances", "sku,location,available\nA,MAIN,7\n")
    assert ask("SELECT from_account, to_account, quantity FROM movement ORDER BY movement_id")[
        -1
    ] == (1, 22, 3)
    assert balances(ask)[1] == ("A", "MAIN", 7, 0, 0, 2, 0, 0, 0)
    assert unexplained(ask) == []
    check_digests(ask)


async def test_bad_rows_are_named_and_good_ones_kept(load, ask, world, tmp_path):
    text = (
        "sku,location,available\nA,MAIN,1\nNOPE,MAIN,1\nA,NOWHERE,1\nA,EAST,x\nB,MAIN\n"
        '"B,MAIN,3\nB,EAST,4\n\nX,Y,5\n'
    )
    rejects = tmp_path / "rejects.csv"
    report = await load("balances", text, rejects_path=rejects)
    assert (report.rows_good, report.rows_bad, report.rejects_path) == (2, 6, rejects)
    named = reasons(ask, report)
    assert [number for number, _ in named] == [3, 4, 5, 6, 7, 10]
    assert named[0][1] == "sku: no item 'NOPE'; import it first"
    assert named[1][1] == "location: no location 'NOWHERE'; import it first"
    assert named[2][1].startswith("available: is 'x'; write a whole number")
    assert named[3][1].startswith("2 columns where the header has 3")
    assert named[4][1].startswith("quoting: ")
    assert named[5][1].startswith("sku: no item 'X'; import it first; location: no location 'Y'")
    assert [row[:3] for row in balances(ask)] == [("A", "MAIN", 1), ("B", "EAST", 4)]
    with rejects.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["row_number", "reason", "raw"]
    assert [(row[0], row[2]) for row in rows[1:3]] == [("3", "NOPE,MAIN,1"), ("4", "A,NOWHERE,1")]
    assert rows[5][2] == '"B,MAIN,3'


async def test_a_dry_run_names_the_same_rows_and_changes_nothing(load, ask, world):
    tables = ("item", "item_lock", "balance", "movement", "batch", "unsealed", "location_feed",
              "masters_epoch", "location", "item_alias")  # fmt: skip
    before = [ask(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables]
    report = await load("balances", BALANCES + "NOPE,MAIN,1,1\n", dry_run=True)
    assert (report.rows_good, report.rows_bad) == (3, 1)
    assert reasons(ask, report) == [(5, "sku: no item 'NOPE'; import it first")]
    for kind, text in (("items", "sku\nN1\nN2\n"), ("aliases", "namespace,alias,sku\nx,1,A\n")):
        report = await load(kind, text, dry_run=True)
        assert report.rows_bad == 0
    assert [ask(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables] == before


async def test_the_later_row_of_a_pair_wins(load, ask, world):
    text = "sku,location,available,picked,safety_stock\nA,MAIN,1,9,\nB,MAIN,2,,4\nA,MAIN,3,,7\n"
    assert (await load("balances", text)).rows_good == 3
    assert balances(ask) == [
        ("A", "MAIN", 3, 0, 9, 0, 0, 0, 7),
        ("B", "MAIN", 2, 0, 0, 0, 0, 0, 4),
    ]
    assert unexplained(ask) == []


async def test_safety_stock_is_set_and_moves_nothing(load, ask, world):
    await load("balances", BALANCES)
    moved = ask("SELECT count(*) FROM movement")
    report = await load("safety_stock", "sku,location,quantity\nA,MAIN,4\nC,EAST,2\nZ,EAST,2\n")
    assert (report.rows_good, report.rows_bad) == (2, 1)
    assert [(row[0], row[1], row[2], row[-1]) for row in balances(ask)] == [
        ("A", "EAST", 0, 0), ("A", "MAIN", 10, 4), ("B", "MAIN", 5, 0), ("C", "EAST", 0, 2),
    ]  # fmt: skip
    assert ask("SELECT count(*) FROM movement") == moved


async def test_every_write_gives_a_balance_another_batch(load, ask, world):
    """The engine decides ahead on balances it read, and compares their batch before it writes."""
    versions = []
    for text in ("A,MAIN,1,\n", "A,MAIN,1,5\n", "A,MAIN,2,5\n", "A,MAIN,2,5\n"):
        await load("balances", f"sku,location,available,safety_stock\n{text}")
        versions.append(ask("SELECT batch_id FROM balance")[0][0])
    first, safety, moved, same = versions
    assert 0 < first < safety < moved == same


async def test_a_kit_holds_no_stock(load, ask, world):
    ask(
        "INSERT INTO kit_component SELECT k.item_id, c.item_id, 2 FROM item k, item c"
        " WHERE k.sku = 'A' AND c.sku = 'B' RETURNING 1"
    )
    report = await load("balances", BALANCES)
    assert [number for number, _ in reasons(ask, report)] == [2, 4]
    assert "is a kit and holds no stock" in reasons(ask, report)[0][1]


async def test_items_keep_what_is_not_stated(load, ask, world):
    text = 'sku,description,standard_cost,tracking,attributes\nA,,2.5,lot,\nD,Dill,,,"{""a"":1}"\n'
    report = await load("items", text)
    assert (report.rows_good, report.rows_bad) == (2, 0)
    assert ask(
        "SELECT sku, description, base_uom, status, tracking, standard_cost::text,"
        " attributes::text, correlation_id FROM item ORDER BY sku"
    ) == [
        ("A", "Apple", "EA", "active", "lot", "2.500000", "{}", "corr-9"),
        ("B", "Beer", "EA", "active", "none", None, "{}", "corr-9"),
        ("C", "", "EA", "active", "none", "3.000000", "{}", "corr-9"),
        ("D", "Dill", "EA", "active", "none", None, '{"a":1}', "corr-9"),
    ]
    assert ask("SELECT count(*) FROM item_lock") == [(4,)]


async def test_the_base_unit_of_an_item_in_use_stays(load, ask, world):
    await load("balances", BALANCES)
    report = await load("items", "sku,base_uom\nA,KG\nC,KG\nE,KG\n")
    assert [number for number, _ in reasons(ask, report)] == [2]
    assert reasons(ask, report)[0][1].startswith("base_uom: the item has stock or movements")
    assert ask("SELECT sku, base_uom FROM item ORDER BY 1") == [
        ("A", "EA"), ("B", "EA"), ("C", "KG"), ("E", "KG"),
    ]  # fmt: skip


UOMS = """sku,uom,numerator,denominator
A,CS,12,
A,CS,24,
Z,CS,1,
B,EA,2,1
B,EA,2,2
"""
ALIASES = """namespace,alias,sku
x,1,A
x,1,A
x,1,B
x,2,Z
y,1,B
"""
PLACES = """code,kind,authority,time_zone,feed_silence_seconds
MAIN,store,,,60
WEST,,sap,,
NEW,virtual,,Mars/Base,
N W,,,,
NORTH,,,,0
"""
CHANNELS = """code,sources,system
web,MAIN|EAST,
pos,EAST,
web,EAST | MAIN,
bad,MAIN|NOPE,
bad2,MAIN|MAIN,
bad3,,sap
"""
READ = {
    "uoms": "SELECT sku, uom, numerator, denominator FROM item_uom JOIN item USING (item_id)"
    " ORDER BY 1",
    "aliases": "SELECT namespace, alias, sku FROM item_alias JOIN item USING (item_id)"
    " ORDER BY 1, 2",
    "locations": "SELECT code, name, kind, time_zone, feed_silence_seconds FROM location"
    " ORDER BY 1",
    "channels": "SELECT c.code, l.code FROM channel c JOIN channel_source USING (channel_id)"
    " JOIN location l USING (location_id) ORDER BY c.code, priority",
}
MASTERS = [
    # kind, text, bad row numbers, what is there afterwards
    ("uoms", UOMS, [4, 5], [("A", "CS", 24, 1), ("B", "EA", 2, 2)]),
    ("aliases", ALIASES, [4, 5], [("x", "1", "A"), ("y", "1", "B")]),
    ("locations", PLACES, [3, 4, 5, 6],
     [("EAST", "", "3pl", "UTC", None), ("MAIN", "Main", "store", "Europe/London", 60)]),
    ("channels", CHANNELS, [5, 6, 7], [("pos", "EAST"), ("web", "EAST"), ("web", "MAIN")]),
]  # fmt: skip


@pytest.mark.parametrize("kind,text,bad,rows", MASTERS, ids=[case[0] for case in MASTERS])
async def test_masters(load, ask, world, kind, text, bad, rows):
    epoch = ask("SELECT epoch FROM masters_epoch")[0][0]
    report = await load(kind, text)
    assert [number for number, _ in reasons(ask, report)] == bad
    assert ask(READ[kind]) == rows
    assert ask("SELECT epoch FROM masters_epoch") == [(epoch + 1,)]
    again = await load(kind, text)
    assert (again.rows_good, again.rows_bad) == (report.rows_good, report.rows_bad)
    assert ask(READ[kind]) == rows


async def test_a_row_only_the_database_refuses_is_rejected_alone(dsn, load, ask, world):
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("ALTER TABLE item ADD CONSTRAINT no_x CHECK (sku <> 'X')")
    report = await load("items", "sku\nN1\nN2\nX\nN3\n")
    assert (report.rows_good, report.rows_bad) == (3, 1)
    number, reason = reasons(ask, report)[0]
    assert number == 4
    assert reason.startswith("the database refused it: ")


async def test_a_wrong_file_fails_the_job_with_the_reason(dsn, load, ask, world):
    job_id = await start_job(dsn, "balances", dry_run=False, actor="ada", correlation_id="c")
    with pytest.raises(ImportRefused, match="column 'available' is missing"):
        await load("balances", "sku,location\nA,MAIN\n", job_id=job_id)
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        job = await job_read(conn, job_id)
        assert job is not None
        assert (job["state"], job["rows_good"]) == ("failed", 0)
        assert "column 'available' is missing" in job["detail"]
        assert await job_read(conn, job_id + 1) is None
    with pytest.raises(ImportRefused, match="there is no import of 'colours'; choose one of items"):
        await load("colours", "")


async def test_errors_are_read_by_page(dsn, load, world):
    report = await load("balances", "sku,location,available\n" + "Z,MAIN,1\n" * 7)
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        job = await job_read(conn, report.job_id)
        assert job is not None
        assert (job["state"], job["rows_bad"], job["actor"]) == ("done", 7, "ada")
        first, cursor = await job_errors_page(conn, report.job_id, 0, 4)
        assert [error["row_number"] for error in first] == [2, 3, 4, 5]
        rest, end = await job_errors_page(conn, report.job_id, cursor or 0, 4)
        assert ([error["row_number"] for error in rest], end) == ([6, 7, 8], None)


async def test_files_are_read_by_name_and_progress_is_told(dsn, ask, world, tmp_path):
    path = tmp_path / "balances.jsonl"
    path.write_text('{"sku":"A","location":"MAIN","available":3}\n{"sku":"A"}\n')
    told = []
    report = await import_file(
        dsn, "balances", path, actor="ada", correlation_id="c",
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert (report.rows_good, report.rows_bad) == (1, 1)
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
    with pytest.raises(ImportRefused, match="there is no file"):
        await import_file(dsn, "items", tmp_path / "no.csv", actor="a", correlation_id="c")


async def test_every_chunk_tells_the_views_to_reload(dsn, load, world):
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as listener:
        await listener.execute("LISTEN stockbridge_stock")
        await load("balances", BALANCES)
        async for notice in listener.notifies(timeout=5, stop_after=1):
            assert notice.payload == "reload"


def move_one_by_one(dsn, times):
    """What the engine does, small: lock the item, move a unit, write the balance; commit."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for n in range(times):
            with conn.transaction():
                conn.execute("SELECT 1 FROM item_lock WHERE item_id = 1 FOR UPDATE")
                batch = conn.execute("SELECT nextval('batch_id_seq')").fetchall()[0][0]
                conn.execute(
                    "INSERT INTO movement SELECT %s::bigint << 20, %s, 15, 1, 1, 22, 1, 1, now(),"
                    " clock_timestamp(), 'test', %s, '1', NULL, NULL, NULL, '', NULL",
                    (batch, batch, str(n)),
                )
                conn.execute(
                    "INSERT INTO balance (item_id, location_id, available) VALUES (1, 1, 1)"
                    " ON CONFLICT (item_id, location_id)"
                    " DO UPDATE SET available = balance.available + 1"
                )


async def test_imports_and_other_writers_keep_balance_and_movements_equal(dsn, load, ask, world):
    writing = asyncio.create_task(asyncio.to_thread(move_one_by_one, dsn, 150))
    other = asyncio.create_task(asyncio.to_thread(move_one_by_one, dsn, 150))
    text = "sku,location,available\n" + "".join(f"A,MAIN,{n}\nB,MAIN,{n}\n" for n in range(50))
    for _ in range(12):
        await asyncio.gather(load("balances", text), load("balances", BALANCES))
    await asyncio.gather(writing, other)
    assert unexplained(ask) == []
    assert ask("SELECT count(*) FROM movement WHERE document_type = 'test'") == [(300,)]
