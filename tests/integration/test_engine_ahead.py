"""Promises decided ahead of their locks: nobody can tell, except by the speed."""

import psycopg
import pytest

from stockbridge.assurance.invariants import check
from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.contracts.masters import PutChannel, PutItem, PutLocation
from stockbridge.domain.ledger.bulk import Counts, Source, book_counts
from stockbridge.engine import Command, Engine
from stockbridge.store.database import connect


@pytest.fixture
async def engine(dsn):
    running = Engine(dsn)
    await running.start()
    for body in (PutLocation("W1"), PutItem("A"), PutChannel("web", sources=["W1"])):
        await running.submit(Command(body))
    yield running
    await running.stop()


def receipt(number: str, quantity: int) -> Command:
    return Command(
        c.ReportReceipt(
            document=Document("po", number),
            location="W1",
            lines=[c.ReceiptLine(sku="A", quantity=quantity)],
        )
    )


def reserve(reference: str, quantity: int) -> Command:
    return Command(c.ReserveStock("web", reference, [c.ReserveLine("A", quantity)]))


async def test_batch_ids_of_a_place_grow_in_the_order_of_commits(engine, dsn):
    for number in range(5):
        assert (await engine.submit(receipt(f"PO{number}", 1))).status == 201
        assert (await engine.submit(reserve(f"r{number}", 1))).status == 201
    async with await connect(dsn) as conn:
        assert await check(conn) == []


async def test_imported_safety_stock_is_not_overwritten_by_a_promise_decided_before(engine, dsn):
    await engine.submit(receipt("PO1", 10))
    assert (await engine.submit(reserve("r1", 1))).status == 201
    counts = Counts([1], [1], [1], [None], {}, safety_stock=[8])
    with psycopg.connect(dsn) as conn:
        book_counts(conn, counts, Source("1", "import"))
    assert (await engine.submit(reserve("r2", 2))).status == 409
    assert (await engine.submit(reserve("r3", 1))).status == 201
    with psycopg.connect(dsn) as conn:
        row = conn.execute("SELECT safety_stock, reserved FROM balance").fetchone()
    assert row == (8, 2)


async def test_a_place_looked_at_but_never_written_does_not_stop_deciding_ahead(engine, dsn):
    await engine.submit(Command(PutLocation("W2")))
    await engine.submit(Command(PutChannel("web", sources=["W1", "W2"])))
    await engine.submit(receipt("PO1", 5))
    refused = c.SetFences("web", [c.FenceLine("A", "W2", 1)])
    assert (await engine.submit(Command(refused))).status == 422
    for number in range(3):
        assert (await engine.submit(reserve(f"r{number}", 1))).status == 201
    async with await connect(dsn) as conn:
        assert await check(conn) == []
        row = await (await conn.execute("SELECT count(*) FROM exception")).fetchone()
    assert row == (0,)
