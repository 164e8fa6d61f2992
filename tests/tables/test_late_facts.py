"""Stories of facts that come late, early, twice or from behind: each ends as if told in order."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import pytest

from stockbridge.assurance.invariants import check
from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.contracts.masters import PutChannel, PutItem
from stockbridge.engine import Command, Engine
from stockbridge.engine.inbox import replay
from stockbridge.engine.inbox.reading import out_of_sequence
from stockbridge.engine.inbox.replay import Selection
from stockbridge.engine.request import Request
from stockbridge.store.database import connect
from tests.integration.inbox_desk import COUNTED, SHIPPED, Desk, desk, envelope, fact
from tests.tables.story import DAY, Line, Stage, parse, play

STORIES = {
    "a ship before its pick": """
        receive  PO1 W1 A:10 at=08:00                       | 201 booked
        reserve  r1 web A:4 ref=O1                          | 201 held W1:4
        ship     S1 W1 A:4 at=11:00 ref=O1                  | 201 booked
        A@W1                                                | available=6
        pick     S1 W1 A:4 at=10:00 ref=O1                  | 201 booked
        allocate S1 W1 A:4 at=09:00 ref=O1                  | 201 booked
        A@W1                                                | available=6
        ship     S1 W1 A:4 at=11:00 ref=O1                  | 200 same duplicate
        release  r1                                         | 200 same fulfilled -
        exceptions                                          |
    """,
    "a ship before its order is refused, and told again once the order is known": """
        receive  PO1 W1 A:10 at=08:00                       | 201 booked
        ship     S1 W1 A:4 at=11:00 ref=O1                  | 422 unknown_order
        reserve  r1 web A:4 ref=O1                          | 201 held W1:4
        ship     S1 W1 A:4 at=11:00 ref=O1                  | 201 booked
        A@W1                                                | available=6
        exceptions                                          |
    """,
    "two systems report one parcel": """
        receive  PO1 W1 A:10 at=08:00                       | 201 booked
        ship     S1 W1 A:4 at=11:00 package=P source=wms    | 201 booked
        ship     S1 W1 A:4 at=12:30 package=P source=wms    | 200 same duplicate
        ship     S1 W1 A:4 at=11:00 package=Q source=erp    | 201 booked
        ship     S1 W1 A:4 at=12:30 package=P source=erp    | 200 duplicate
        A@W1                                                | available=2
        exceptions                                          |
    """,
    "two systems report one parcel and disagree": """
        receive  PO1 W1 A:10 at=08:00                       | 201 booked
        ship     S1 W1 A:4 at=11:00 package=P source=wms    | 201 booked
        ship     S1 W1 A:3 at=11:00 package=P source=erp    | 201 corrected
        ship     S1 W1 A:4 at=11:00 package=P source=wms    | 200 conflict
        A@W1                                                | available=7
        exceptions                                          | fact_conflict
    """,
    "a correction dated back before a count is inside it": """
        receive  PO1 W1 A:10 at=08:00                       | 201 booked
        count    C1 W1 A:9 at=12:00                         | 201 booked
        ship     S1 W1 A:2 at=13:00                         | 201 booked
        adjust   X1 W1 A:-1 at=09:00 reason=DAMAGED         | 201 booked
        A@W1                                                | available=7
        adjust   X2 W1 A:-1 at=14:00 reason=DAMAGED         | 201 booked
        A@W1                                                | available=6
    """,
}


@pytest.mark.parametrize("name", STORIES)
async def test_story(story_dsn, name):
    await play(story_dsn, STORIES[name])


class Hearing(Stage):
    """Takes facts in whatever order; whether one is news depends on it."""

    def _hold_to(self, line: Line, outcome: Any) -> None:
        assert outcome.status in (200, 201), f"{line.text}: {outcome.document}"


COUNT_IN_THE_MIDDLE = (
    "receive PO1 W1 A:10 at=08:00",
    "ship    S1 W1 A:2 at=09:00",
    "count   C1 W1 A:7 at=12:00",
    "ship    S2 W1 A:3 at=13:00",
    "pick    S2 W1 A:4 at=11:00",
)
SLOW_SOURCE = (
    # The building's clock is ten minutes behind the ERP's, and so are all of its times.
    "receive PO1 W1 A:10 at=08:50 source=wms",
    "count   C1 W1 A:7 at=11:50 source=wms",
    "ship    S1 W1 A:2 at=11:55 package=P source=wms",
    "hold    Q1 W1 A:1 at=11:58 source=wms",
    "receive PO1 W1 A:10 at=09:00 source=zerp",
)
ORDERS = {
    "count": (COUNT_IN_THE_MIDDLE, "A@W1 | available=7 picked=1"),
    "slow": (SLOW_SOURCE, "A@W1 | available=4 quarantined=1"),
}
CASES = [
    pytest.param(order, end, id=f"{name}-{number}")
    for name, (lines, end) in ORDERS.items()
    for number, order in enumerate(list(permutations(lines))[::7])
]


@pytest.mark.parametrize("order,end", CASES)
async def test_every_order_ends_alike(story_dsn, order, end):
    engine = Engine(story_dsn, workers=1)
    await engine.start()
    try:
        async with await connect(story_dsn) as conn:
            stage = Hearing(engine, conn)
            for line in parse("\n".join([*order, *order[::2], end])):
                await stage.act(line)
            assert not await check(conn)
    finally:
        await engine.stop()


# Through the inbox ----------------------------------------------------------------------------
@pytest.fixture
async def it(dsn) -> AsyncIterator[Desk]:
    async with desk(dsn) as made:
        await made.master(PutChannel("web", sources=["W1"]))
        yield made


def shipped(number: str, quantity: int = 2, **more: Any) -> dict[str, Any]:
    """A shipment for order SO-1."""
    order = {"type": "order", "number": "SO-1", "line": "1"}
    return fact(number, quantity=quantity, document=order, fulfillment=number) | more


async def test_a_ship_before_its_order_joins_by_itself(it):
    await it.send(envelope("stock", fact("PO-1", quantity=10)))
    await it.send(envelope("early", shipped("F-1"), contract=SHIPPED))
    assert await it.settle() == {"applied": 1, "parked": 1}
    assert await it.rows("SELECT wait_key FROM parked") == [("order:SO-1",)]
    assert await it.available() == 10
    body = c.ReserveStock("web", "SO-1", [c.ReserveLine("A", 5)])
    assert (await it.engine.submit(Command(body))).status == 201
    await it.until("SELECT count(*) FROM message WHERE status = 'applied'", 2)
    assert await it.rows("SELECT available, reserved FROM balance") == [(8, 3)]
    assert await it.one("SELECT count(*) FROM parked") == 0


async def test_945_before_940(it):
    """The source's own numbers decide, not the order of arrival; the gap is known meanwhile."""
    newer = shipped("F-1", 5, sequence=945, document={"type": "shipment", "number": "F-1"})
    older = newer | {"quantity": 4, "sequence": 940}
    await it.send(envelope("stock", fact("PO-1", quantity=10), sequence=939))
    await it.send(envelope("945", newer, contract=SHIPPED, sequence=945))
    await it.settle()
    async with await connect(it.dsn) as conn:
        (source,) = await out_of_sequence(conn)
        assert (source["gaps"], source["missing"]) == ([[940, 944]], 5)
    await it.send(envelope("940", older, contract=SHIPPED, sequence=940))
    for number in range(941, 945):
        await it.send(envelope(str(number), fact(f"PO-{number}", quantity=1), sequence=number))
    await it.settle()
    assert await it.available() == 10 - 5 + 4
    async with await connect(it.dsn) as conn:
        (source,) = await out_of_sequence(conn)
        assert (source["gaps"], source["late"]) == ([], 5)
    kinds = "SELECT kind FROM exception WHERE resolved_at IS NULL"
    assert await it.rows(kinds) == [("fact_conflict",)]


async def test_everything_replayed_twice_changes_nothing(it):
    late = fact("C-1", quantity=7, occurred_at="2026-11-20T12:00:00Z")
    single: dict[str, Any] = {"document": {"type": "shipment", "number": "F-1"}, "lot": "L1"}
    messages = [
        envelope("count", late, contract=COUNTED),
        envelope("ship", shipped("F-1", **single), contract=SHIPPED),
        envelope("again", shipped("F-1", **single), contract=SHIPPED, system="erp"),
        envelope("other", shipped("F-1", 3, **single), contract=SHIPPED, system="3pl"),
        envelope("total", shipped("F-1", 9, **single, quantity_mode="cumulative"),
                 contract=SHIPPED, system="3pl"),
        envelope("in", fact("PO-1", quantity=10)),
    ]  # fmt: skip
    for message in messages:
        await it.send(message)
    await it.settle()
    before = await it.dump()
    everything = [Selection(status=status, force=True) for status in ("applied", "duplicate")]
    for _ in range(2):
        async with await connect(it.dsn) as conn:
            done = [await replay.replay(conn, chosen, actor="tester") for chosen in everything]
        assert sum(number for number in done if isinstance(number, int)) == len(messages)
        await it.settle()
        assert await it.dump() == before


# A correction under a long history ------------------------------------------------------------
LATER = 22_000
LINES_EACH = 4_400
BYSTANDERS = 200
SECONDS_MAX = 60.0
LOCK_A = (
    b"SELECT FROM item_lock WHERE item_id = (SELECT item_id FROM item WHERE sku = 'A') FOR UPDATE"
)


async def test_a_back_dated_correction_before_22_000_movements_delays_nobody(story_dsn):
    engine = Engine(story_dsn)
    await engine.start()
    try:
        await _ship_many(engine)
        other_item = await _of_another_worker(engine)
        correction = asyncio.create_task(_submit(engine, _count("C1", 50_000, hour=8)))
        await _bystanders(engine, "during", other_item)
        async with asyncio.timeout(SECONDS_MAX):
            assert await correction == 201
        async with await connect(story_dsn) as conn, await connect(story_dsn) as other:
            assert await _available(conn) == 50_000 - LATER
            async with other.transaction():
                # However long a correction takes, the other workers do not wait for it.
                await other.execute(LOCK_A)
                blocked = asyncio.create_task(_submit(engine, _count("C2", 40_000, hour=9)))
                await _waits_for_its_lock(other)
                await _bystanders(engine, "blocked", other_item)
                assert not blocked.done()
            assert await blocked == 201
            assert await _available(conn) == 40_000 - LATER
            assert not await check(conn)
    finally:
        await engine.stop()


async def _submit(engine: Engine, body: Any) -> int:
    return (await engine.submit(Command(body, "tester"))).status


async def _ship_many(engine: Engine) -> None:
    """22,000 movements of A after ten o'clock."""
    for part in range(LATER // LINES_EACH):
        lines = [c.QuantityLine(sku="A", quantity=1, line=str(n)) for n in range(LINES_EACH)]
        body = c.ReportShipment(
            shipment=f"S{part}", location="W1", lines=lines, occurred_at=DAY.replace(hour=10 + part)
        )
        assert await _submit(engine, body) == 201


def _count(number: str, quantity: int, hour: int) -> c.ReportCount:
    lines = [c.CountLine(sku="A", quantity=quantity)]
    return c.ReportCount(
        count=number, location="W1", lines=lines, occurred_at=DAY.replace(hour=hour)
    )


def _receipt(sku: str, number: str) -> c.ReportReceipt:
    lines = [c.ReceiptLine(sku=sku, quantity=1)]
    return c.ReportReceipt(document=Document("po", number), location="W1", lines=lines)


async def _of_another_worker(engine: Engine) -> str:
    """A new item whose facts do not wait behind those of A; which one, the hash of texts says."""

    def intake(sku: str) -> Any:
        return engine._intake_of(Request(Command(_receipt(sku, "PO")), lambda _: None))

    sku = next(sku for sku in map("B{}".format, itertools.count()) if intake(sku) != intake("A"))
    assert await _submit(engine, PutItem(sku)) == 201
    return sku


async def _waits_for_its_lock(conn: Any) -> None:
    """Until somebody waits for a row that is locked."""
    waiting = b"SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            if (await (await conn.execute(waiting)).fetchall())[0][0]:
                return
            await asyncio.sleep(0.01)


async def _bystanders(engine: Engine, name: str, sku: str) -> None:
    """Receipts of another item, one after the other."""
    async with asyncio.timeout(SECONDS_MAX):
        for number in range(BYSTANDERS):
            assert await _submit(engine, _receipt(sku, f"{name}{number}")) == 201


async def _available(conn: Any) -> int:
    statement = b"SELECT available FROM balance JOIN item USING (item_id) WHERE sku = 'A'"
    return (await (await conn.execute(statement)).fetchall())[0][0]
