"""Real order lines through the real engine, end to end."""

from datetime import UTC, datetime

import pytest

from stockbridge.demo.check import check, figures
from stockbridge.demo.plan import make_plan
from stockbridge.demo.replay import replay
from stockbridge.demo.retail import Kind, documents, read_rows
from stockbridge.demo.slice import SHIPPED
from stockbridge.engine import Engine

# Seven days: the 74,215 jars, a Monday's purchase orders and their receipt on Wednesday.
BEGINS, ENDS = datetime(2011, 1, 14, tzinfo=UTC), datetime(2011, 1, 21, tzinfo=UTC)
TABLES = ("movement", "balance", "reservation", "hold", "fulfilment_line", "supply", "exception")


@pytest.fixture(scope="module")
def plan():
    rows = [row for row in read_rows(SHIPPED) if BEGINS <= row.at < ENDS]
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


async def test_replay_ends_consistent_and_repeats_without_effect(engine, pool, plan):
    told = []
    first = await replay(engine, plan, progress=lambda done, total: told.append((done, total)))
    assert first.failures == []
    assert told[-1] == (plan.rows, plan.rows)
    sales = [document for document in plan.documents if document.kind is Kind.SALE]
    assert first.orders == len(sales)
    assert first.units_ordered == sum(line.quantity for sale in sales for line in sale.lines)
    assert first.refusals["insufficient_stock"] >= 1
    assert first.refusals.keys() == {"insufficient_stock"}
    assert 0.4 < first.fill_rate < 1
    assert 0 < first.units_shipped < first.units_promised
    assert first.units_received > 0
    assert first.replayed == 0

    async with pool.connection() as connection:
        laws = await check(connection)
        assert [law for law in laws if law.broken] == []
        totals = await figures(connection)
    assert totals["units in open promises"] == first.units_promised - first.units_shipped
    assert totals["movements"] > plan.rows

    before = await contents(pool)
    second = await replay(engine, plan)
    assert second.replayed == second.commands == first.commands
    assert second.failures == []
    assert (second.units_promised, second.refusals) == (first.units_promised, first.refusals)
    assert await contents(pool) == before


# what is done to the books, the law that notices
DAMAGES = [
    ("UPDATE balance SET available = available + 1", "every balance is the sum of its movements"),
    ("UPDATE balance SET available = available + 1", "every item's accounts sum to zero"),
    ("DELETE FROM hold", "every promise of a balance is an open hold, and the reverse"),
    ("DELETE FROM hold", "every held or confirmed reservation has open holds, no other has"),
    (
        "DELETE FROM movement WHERE to_account = 1",
        "no promise was made of what was not free (oversold)",
    ),
]


async def test_each_law_can_break(engine, pool, plan):
    rows = [row for row in read_rows(SHIPPED) if row.at < datetime(2011, 1, 11, tzinfo=UTC)]
    await replay(engine, make_plan(rows, documents(rows)))
    async with pool.connection() as connection:
        laws = await check(connection)
        assert {law.law: law.broken for law in laws if law.broken} == {}
        assert {law for _, law in DAMAGES} == {law.law for law in laws}
        for statement, law in DAMAGES:
            async with connection.transaction(force_rollback=True):
                await connection.execute(statement.encode())
                broken = {law.law: law.broken for law in await check(connection)}
            assert broken[law] > 0
