"""Real order lines through the real engine, end to end."""

import asyncio
import gzip
import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from stockbridge.demo import run
from stockbridge.demo.check import check, figures
from stockbridge.demo.plan import make_plan
from stockbridge.demo.replay import replay
from stockbridge.demo.retail import Kind, documents, read_rows
from stockbridge.demo.slice import SHIPPED
from stockbridge.demo.stack import clear, own_folder
from stockbridge.engine import Engine
from stockbridge.kernel.errors import Misconfigured
from stockbridge.kernel.settings import load_settings
from stockbridge.store.embedded import EmbeddedServer
from tests.conftest import THROW_AWAY

# A Monday with its purchase orders, their receipt on Wednesday, and the 74,215 jars.
BEGINS, ENDS = datetime(2011, 1, 16, tzinfo=UTC), datetime(2011, 1, 21, tzinfo=UTC)
JARS = {"541431", "C541433"}
TABLES = ("movement", "balance", "reservation", "hold", "fulfilment_line", "supply", "exception")


@pytest.fixture(scope="module")
def plan():
    rows = [
        row
        for row in read_rows(SHIPPED)
        if BEGINS <= row.at < ENDS and (row.invoice.endswith(("0", "6")) or row.invoice in JARS)
    ]
    return make_plan(rows, documents(rows))


@pytest.fixture
async def engine(dsn):
    engine = Engine(dsn)
    await engine.start()
    yield engine
    await engine.stop()


async def contents(pool) -> dict[str, list]:
    async with pool.connection() as connection:
        found = {}
        for table in TABLES:
            rows = await connection.execute(f"SELECT t::text FROM {table} AS t ORDER BY 1".encode())
            found[table] = await rows.fetchall()
        return found


async def test_replay_ends_consistent_and_repeats_without_effect(engine, dsn, pool, plan):
    told = []
    first = await replay(engine, plan, progress=lambda done, total: told.append((done, total)))
    assert first.failures == []
    assert told[-1] == (plan.rows, plan.rows)
    sales = [document for document in plan.documents if document.kind is Kind.SALE]
    assert first.orders == len(sales)
    assert first.units_ordered == sum(line.quantity for sale in sales for line in sale.lines)
    assert first.refusals["insufficient_stock"] >= 1
    assert first.refusals.keys() == {"insufficient_stock"}
    assert first.units_promised > 0.9 * (first.units_ordered - 74_215)  # the jars were refused
    assert 0 < first.units_shipped < first.units_promised
    assert first.units_received > 0
    assert first.replayed == 0

    laws = await asyncio.to_thread(check, dsn)
    assert len(laws) > 10
    assert [law for law in laws if law.broken] == []
    async with pool.connection() as connection:
        totals = await figures(connection)
    assert totals["units in open promises"] == first.units_promised - first.units_shipped
    assert totals["movements"] > plan.rows

    before = await contents(pool)
    second = await replay(engine, plan)
    assert second.replayed == second.commands == first.commands
    assert second.failures == []
    assert (second.units_promised, second.refusals) == (first.units_promised, first.refusals)
    assert await contents(pool) == before


def demo_settings(data_dir, **more):
    return load_settings({"data_dir": data_dir, **more}, {}, data_dir)


def test_demo_runs_headless_and_again(data_dir, tmp_path, capsys):
    source = tmp_path / "orders.csv"
    with gzip.open(SHIPPED, "rt") as text:
        source.write_text("".join(itertools.islice(text, 150)))
    settings = demo_settings(data_dir)
    assert run(settings, headless=True, source=source) == 0
    first = capsys.readouterr().out
    assert "149 in " in first
    assert "BROKEN" not in first
    assert ", 0 of them answered before" in first
    with EmbeddedServer.start(data_dir) as server, psycopg.connect(server.dsn) as connection:
        connection.execute(b"UPDATE balance SET available = available + 1")
    assert run(settings, headless=True, source=source) == 1
    again = capsys.readouterr().out
    assert "BROKEN  balance is sum of movements" in again
    assert ", 0 of them answered before" not in again
    assert run(settings, headless=True, source=source, fresh=True) == 0
    assert ", 0 of them answered before" in capsys.readouterr().out


def test_demo_refuses_what_it_cannot_use(data_dir, tmp_path):
    empty = tmp_path / "empty.csv"
    empty.write_text("InvoiceNo\n")
    with pytest.raises(Misconfigured, match="no order lines"):
        run(demo_settings(data_dir), headless=True, source=empty)
    with pytest.raises(Misconfigured, match="no such file"):
        run(demo_settings(data_dir), headless=True, source=tmp_path / "none.csv")


def test_fresh_removes_only_its_own(data_dir):
    clear(demo_settings(data_dir / "none"))
    (data_dir / "thesis.txt").write_text("mine")
    with pytest.raises(Misconfigured, match="holds no embedded database"):
        clear(demo_settings(data_dir))
    with pytest.raises(Misconfigured, match="embedded database only"):
        clear(demo_settings(data_dir, dsn="dbname=real"))
    assert (data_dir / "thesis.txt").exists()


def test_fresh_never_clears_a_folder_in_use(data_dir):
    with (
        EmbeddedServer.start(data_dir, settings=THROW_AWAY),
        pytest.raises(Misconfigured, match=f"in use by process {os.getpid()}"),
    ):
        clear(demo_settings(data_dir))


def test_the_demo_has_a_folder_of_its_own(data_dir):
    default = load_settings({}, {}, data_dir)
    assert own_folder(default).data_dir.name == "stockbridge-demo"
    chosen = demo_settings(data_dir)
    assert own_folder(chosen) == chosen


@pytest.mark.timeout(900)
@pytest.mark.skipif(
    "ORDER_LINES" not in os.environ,
    reason="set ORDER_LINES to the whole data set (online_retail_dec2010_jun2011.parquet)",
)
async def test_the_whole_data_set(engine, dsn):
    rows = read_rows(Path(os.environ["ORDER_LINES"]))
    whole = make_plan(rows, documents(rows))
    assert whole.rows == 240_007
    summary = await replay(engine, whole)
    assert summary.failures == []
    assert summary.lines == whole.rows
    assert summary.fill_rate > 0.8
    assert [law for law in await asyncio.to_thread(check, dsn) if law.broken] == []
