"""Stories of facts that are taken back: nothing of them is left, whichever is heard first."""

from random import Random

import pytest

from stockbridge.assurance.invariants import check
from stockbridge.engine import Engine, Outcome
from stockbridge.store.database import connect
from tests.tables.story import Line, Stage, parse, play

STORIES = {
    "a receipt taken back, once": """
        receive       PO1 W1 A:10              | 201 booked
        undo receive  PO1 W1 A:10              | 201 reversed
        A@W1                                   |
        undo receive  PO1 W1 A:10              | 200 duplicate
        receive       PO1 W1 A:10              | 200 duplicate
        A@W1                                   |
        exceptions                             |
    """,
    "taken back before it is heard of": """
        undo receive  PO1 W1 A:10              | 201 reversed
        receive       PO1 W1 A:10              | 200 duplicate
        receive       PO1 W1 A:10 package=2    | 201 booked
        A@W1                                   | available=10
        exceptions                             |
    """,
    "what was ordered is on order again": """
        supply        PO1 W1 A:6               | 201 booked
        receive       PO1 W1 A:10              | 201 booked
        A@W1                                   | available=10
        undo receive  PO1 W1 A:10              | 201 reversed
        A@W1                                   | on_order=6
        receive       PO1 W1 A:4 package=2     | 201 booked
        A@W1                                   | available=4 on_order=2
    """,
    "one of two parcels": """
        receive       PO1 W1 A:10              | 201 booked
        ship          S1 W1 A:3 package=1      | 201 booked
        ship          S1 W1 A:4 package=2      | 201 booked
        undo ship     S1 W1 A:3 package=1      | 201 reversed
        A@W1                                   | available=6
    """,
    "shipped after all only picked": """
        receive       PO1 W1 A:10              | 201 booked
        pick          S1 W1 A:4                | 201 booked
        ship          S1 W1 A:4                | 201 booked
        undo ship     S1 W1 A:4                | 201 reversed
        A@W1                                   | available=6 picked=4
    """,
    "the promise is open again": """
        receive       PO1 W1 A:5               | 201 booked
        reserve       r1 web A:5               | 201 held W1:5
        confirm       r1                       | 200 confirmed W1:5
        ship          S1 W1 A:5 for=r1         | 201 booked
        A@W1                                   |
        undo ship     S1 W1 A:5 for=r1         | 201 reversed
        A@W1                                   | available=5 reserved=5
    """,
    "transfers, returns, holds, adjustments": """
        receive       PO1 W1 A:10              | 201 booked
        send          T1 W1 W2 A:4             | 201 booked
        undo send     T1 W1 W2 A:4             | 201 reversed
        A@W1                                   | available=10
        A@W2                                   |
        return        R1 W1 A:2 to=restock     | 201 booked
        undo return   R1 W1 A:2 to=restock     | 201 reversed
        hold          H1 W1 A:3                | 201 booked
        undo hold     H1 W1 A:3                | 201 reversed
        adjust        X1 W1 A:-1 reason=CORRECTION | 201 booked
        undo adjust   X1 W1 A:-1 reason=CORRECTION | 201 reversed
        A@W1                                   | available=10
        exceptions                             |
    """,
    "before a count it changes nothing": """
        receive       PO1 W1 A:10 at=09:00     | 201 booked
        count         C1 W1 A:8 at=10:00       | 201 booked
        undo receive  PO1 W1 A:10 at=09:00     | 201 reversed
        A@W1                                   | available=8
    """,
    "another system's report is taken back too, and told": """
        receive       PO1 W1 A:10 source=wms   | 201 booked
        undo receive  PO1 W1 A:10 source=erp   | 201 reversed
        A@W1                                   |
        exceptions                             | fact_conflict
    """,
    "figures are corrected by newer figures": """
        count         C1 W1 A:8                | 201 booked
        undo count    C1 W1 A:8                | 422 not_reversible
        undo supply   PO1 W1 A:8               | 422 not_reversible
        undo receive  PO1 W1 Z:8               | 422 unknown_sku
        undo receive  PO1 W9 A:8               | 422 unknown_location
    """,
}


@pytest.mark.parametrize("name", STORIES)
async def test_story(story_dsn, name):
    await play(story_dsn, STORIES[name])


async def test_opposites_name_what_they_reverse(story_dsn):
    await play(
        story_dsn,
        """
        receive       PO1 W1 A:10              | 201 booked
        ship          S1 W1 A:4                | 201 booked
        undo ship     S1 W1 A:4                | 201 reversed
        """,
    )
    async with await connect(story_dsn) as conn:
        cursor = await conn.execute(
            b"SELECT r.kind = o.kind, r.from_account = o.to_account, r.quantity = o.quantity,"
            b" r.reason FROM movement r JOIN movement o ON o.movement_id = r.reverses"
        )
        assert await cursor.fetchall() == [(True, True, True, "did_not_occur")]


LINES = (
    "supply PO1 W1 A:6 at=08:00",
    "receive PO1 W1 A:9 at=09:00",
    "undo receive PO1 W1 A:9 at=09:00",
    "receive PO1 W1 A:3 package=2 at=09:30",
    "pick S1 W1 A:2 at=10:00",
    "ship S1 W1 A:2 at=11:00",
    "undo ship S1 W1 A:2 at=11:00",
)


class Hearing(Stage):
    """Takes facts in whatever order; whether one is news depends on it."""

    def _hold_to(self, line: Line, outcome: Outcome) -> None:
        assert outcome.status in (200, 201), f"{line.text}: {outcome.document}"


def orders() -> list[list[str]]:
    """Some orders; the supply first, because a later statement would stand by itself."""
    chance = Random(7)
    return [[LINES[0], *chance.sample(LINES[1:], len(LINES) - 1)] for _ in range(12)]


@pytest.mark.parametrize("order", orders())
async def test_any_order_ends_the_same(story_dsn, order):
    engine = Engine(story_dsn, workers=1)
    await engine.start()
    try:
        async with await connect(story_dsn) as conn:
            stage = Hearing(engine, conn)
            for line in parse("\n".join(order) + "\nA@W1 | available=1 picked=2 on_order=3"):
                await stage.act(line)
            assert not await check(conn)
    finally:
        await engine.stop()
