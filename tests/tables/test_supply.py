"""Stories of supply: statements and receipts of a line end alike, whichever is heard first."""

from itertools import permutations

import pytest

from stockbridge.assurance.invariants import check
from stockbridge.engine import Engine
from stockbridge.store.database import connect
from tests.tables.story import Line, Stage, parse, play

STORIES = {
    "received before the order is heard of": """
        receive  PO1 W1 A:10 at=10:00                       | 201 booked
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        A@W1                                                | available=10
    """,
    "on its way before the order is heard of": """
        supply   PO1 W1 A:8 at=09:00 state=in_transit       | 201 booked
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        A@W1                                                | on_order=2 in_transit=8
    """,
    "a receipt corrected is on order again": """
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        receive  PO1 W1 A:10 at=09:00 source=erp            | 201 booked
        A@W1                                                | available=10
        receive  PO1 W1 A:9 at=09:00 source=erp             | 201 corrected
        A@W1                                                | available=9 on_order=1
        exceptions                                          | fact_conflict
    """,
    "a statement newer than a receipt has it inside": """
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        supply   PO1 W1 A:6 at=10:00                        | 201 booked
        receive  PO1 W1 A:4 at=09:00                        | 201 booked
        A@W1                                                | available=4 on_order=6
        receive  PO1 W1 A:1 at=11:00 package=2              | 201 booked
        A@W1                                                | available=5 on_order=5
    """,
    "an older statement changes nothing": """
        supply   PO1 W1 A:6 at=10:00                        | 201 booked
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        A@W1                                                | on_order=6
        supply   PO1 W1 A:10 at=08:00                       | 200 same duplicate
    """,
    "cancelled, whichever is heard first": """
        supply   PO1 W1 A:0 at=10:00                        | 201 booked
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        A@W1                                                |
        receive  PO1 W1 A:3 at=09:00                        | 201 booked
        A@W1                                                | available=3
    """,
    "two figures of one moment: the lower stands": """
        supply   PO1 W1 A:10 at=08:00 source=erp            | 201 booked
        supply   PO1 W1 A:7 at=08:00 source=oms             | 201 booked
        supply   PO1 W1 A:9 at=08:00 source=tms             | 201 booked
        A@W1                                                | on_order=7
    """,
    "less on its way than was said is cancelled": """
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        supply   PO1 W1 A:8 at=09:00 state=in_transit       | 201 booked
        supply   PO1 W1 A:5 at=10:00 state=in_transit       | 201 booked
        A@W1                                                | on_order=2 in_transit=5
    """,
    "received into quarantine it is received": """
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        receive  PO1 W1 A:4 at=09:00 state=quarantined      | 201 booked
        receive  PO1 W1 A:5 at=10:00                        | 201 booked
        A@W1                                                | available=5 quarantined=4 on_order=1
    """,
    "a number decides, not the clock": """
        supply   PO1 W1 A:10 at=10:00 source=erp sequence=5 | 201 booked
        supply   PO1 W1 A:6 at=09:50 source=erp sequence=6  | 201 booked
        A@W1                                                | on_order=6
    """,
    "a number decides between states too": """
        supply   PO1 W1 A:8 at=09:00 state=in_transit source=erp sequence=2 | 201 booked
        supply   PO1 W1 A:10 at=09:10 source=erp sequence=1 | 201 booked
        A@W1                                                | on_order=2 in_transit=8
    """,
    "between sources the clock decides": """
        supply   PO1 W1 A:10 at=10:00 source=erp sequence=5 | 201 booked
        supply   PO1 W1 A:6 at=09:50 source=oms sequence=6  | 201 booked
        A@W1                                                | on_order=10
    """,
    "a count lies between": """
        count    C1 W1 A:7 at=12:00                         | 201 booked
        receive  PO1 W1 A:4 at=13:00                        | 201 booked
        supply   PO1 W1 A:10 at=08:00                       | 201 booked
        receive  PO1 W1 A:5 at=11:00 package=2              | 201 booked
        A@W1                                                | available=11 on_order=1
    """,
}


@pytest.mark.parametrize("table", STORIES.values(), ids=STORIES)
async def test_story(story_dsn, table):
    await play(story_dsn, table)


class Hearing(Stage):
    """Takes facts in whatever order; whether one is news depends on it."""

    def _hold_to(self, line: Line, outcome) -> None:
        assert outcome.status in (200, 201), f"{line.text}: {outcome.document}"


TEN_MINUTES_SLOW = (
    # The second machine of the ERP is ten minutes slow; only its numbers tell what is newer.
    "supply PO1 W1 A:20 at=10:00 source=erp sequence=1",
    "supply PO1 W1 A:12 at=09:53 source=erp sequence=2",
    "supply PO1 W1 A:9 at=09:54 source=erp sequence=3 state=in_transit",
    "supply PO1 W1 A:2 at=10:02 source=erp sequence=4",
    "receive PO1 W1 A:4 at=10:30 source=wms",
)
TAKEN_BACK = (
    "supply PO1 W1 A:6 at=08:00",
    "receive PO1 W1 A:9 at=09:00",
    "undo receive PO1 W1 A:9 at=09:00",
    "receive PO1 W1 A:3 package=2 at=09:30",
    "supply PO1 W1 A:2 state=in_transit at=09:15",
)
ORDERS = {
    "slow": (TEN_MINUTES_SLOW, "A@W1 | available=4 in_transit=5 on_order=2"),
    "back": (TAKEN_BACK, "A@W1 | available=3 on_order=3"),
}
CASES = [
    pytest.param(order, end, id=f"{name}-{number}")
    for name, (lines, end) in ORDERS.items()
    for number, order in enumerate(list(permutations(lines))[::11])
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
