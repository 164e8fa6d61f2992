"""Stories of promises that buildings keep, correct and give back, over several fulfilments."""

from itertools import permutations

import pytest

from stockbridge.assurance.invariants import check
from stockbridge.engine import Command, Engine
from stockbridge.engine.simulate import simulate
from stockbridge.kernel.accounts import RESERVED
from stockbridge.store.database import connect
from tests.tables.story import Line, Stage, parse, play

STORIES = {
    "bound more than was promised, corrected to less": """
        receive    PO1 W1 A:9                        | 201 booked
        reserve    r1 web A:3                        | 201 held W1:3
        allocate   S1 W1 A:4 for=r1 source=erp       | 201 booked
        A@W1                                         | available=5 allocated=4
        allocate   S1 W1 A:1 for=r1 source=erp       | 201 corrected
        A@W1                                         | available=8 allocated=1 reserved=2
        exceptions                                   | fact_conflict
    """,
    "given back by one building, shipped by another": """
        receive    PO1 W1 A:9                        | 201 booked
        reserve    r1 web A:5                        | 201 held W1:5
        allocate   S2 W1 A:4 for=r1                  | 201 booked
        ship       S1 W1 A:3 for=r1                  | 201 booked
        A@W1                                         | available=2 allocated=4
        deallocate S2 W1 A:4 for=r1                  | 201 booked
        A@W1                                         | available=6 reserved=2
        confirm    r1                                | 200 same confirmed W1:2
    """,
    "given back where it was promised": """
        receive    PO1 W1 A:3                        | 201 booked
        receive    PO2 W2 A:9                        | 201 booked
        reserve    r1 web A:5                        | 201 held W1:3+W2:2
        ship       S1 W2 A:4 for=r1                  | 201 booked
        A@W1                                         | available=3 reserved=1
        undo ship  S1 W2 A:4 for=r1                  | 201 reversed
        A@W1                                         | available=3 reserved=3
        A@W2                                         | available=9 reserved=2
    """,
    "given back after it was released it is nobody's": """
        receive    PO1 W1 A:9                        | 201 booked
        reserve    r1 web A:5                        | 201 held W1:5
        allocate   S1 W1 A:3 for=r1                  | 201 booked
        release    r1                                | 200 released -
        deallocate S1 W1 A:3                         | 201 booked
        A@W1                                         | available=9
    """,
    "given back after it was changed": """
        receive    PO1 W1 A:9                        | 201 booked
        reserve    r1 web A:5                        | 201 held W1:5
        change     r1 1:3                            | 200 held W1:3
        allocate   S1 W1 A:4 for=r1                  | 201 booked
        release    r1                                | 200 same fulfilled -
        deallocate S1 W1 A:2 for=r1                  | 201 booked
        A@W1                                         | available=7 allocated=2 reserved=1
    """,
    "given back, it opens what was partly promised": """
        receive    PO1 W1 A:3                        | 201 booked
        reserve    r1 web A:5 mode=partial           | 201 held W1:3
        ship       S1 W1 A:4 for=r1 source=erp       | 201 booked
        ship       S1 W1 A:1 for=r1 source=erp       | 201 corrected
        A@W1                                         | available=2 reserved=2
    """,
    "a backorder that was shipped and taken back": """
        receive    PO1 W1 A:1                        | 201 booked
        reserve    r1 web A:3 mode=backorder         | 201 held W1:1+back:2
        receive    PO2 W1 A:2                        | 201 booked
        ship       S1 W1 A:2 for=r1                  | 201 booked
        A@W1                                         | available=1 backordered=1
        undo ship  S1 W1 A:2 for=r1                  | 201 reversed
        A@W1                                         | available=3 reserved=1 backordered=2
    """,
    "the promise is named after a part has left": """
        receive    PO1 W1 A:9                        | 201 booked
        reserve    r1 web A:5                        | 201 held W1:5
        ship       S1 W1 A:2 package=1               | 201 booked
        A@W1                                         | available=7 reserved=5
        ship       S1 W1 A:1 package=2 for=r1        | 201 booked
        A@W1                                         | available=6 reserved=2
    """,
    "a second shipment of an order that is fulfilled counts": """
        receive    PO1 W1 A:9                        | 201 booked
        reserve    r1 web A:4 ref=O1                 | 201 held W1:4
        ship       S1 W1 A:4 ref=O1 source=erp       | 201 booked
        ship       S2 W1 A:1 ref=O1                  | 201 booked
        ship       S1 W1 A:3 ref=O1 source=erp       | 201 corrected
        A@W1                                         | available=5
        release    r1                                | 200 same fulfilled -
    """,
    "a fence is used up first and comes back with the promise": """
        receive    PO1 W1 A:9                        | 201 booked
        fence      shop A:2@W1                       | 200
        reserve    r1 shop A:4                       | 201 held W1:4
        allocate   S1 W1 A:3 for=r1                  | 201 booked
        deallocate S1 W1 A:3 for=r1                  | 201 booked
        release    r1                                | 200 released -
        fence_of   shop A W1                         | 2
    """,
    "promised to another meanwhile": """
        receive    PO1 W1 A:3                        | 201 booked
        receive    PO2 W2 A:3                        | 201 booked
        reserve    r1 web A:3                        | 201 held W1:3
        ship       S1 W2 A:3 for=r1                  | 201 booked
        reserve    r2 web A:3                        | 201 held W1:3
        undo ship  S1 W2 A:3 for=r1                  | 201 reversed
        A@W1                                         | available=3 reserved=6
        exceptions                                   | promise_at_risk
    """,
    "taken back before a count": """
        receive    PO1 W1 A:5 at=08:00               | 201 booked
        reserve    r1 web A:3                        | 201 held W1:3
        ship       S1 W1 A:3 for=r1 at=09:00         | 201 booked
        count      C1 W1 A:1 at=10:00                | 201 booked
        undo ship  S1 W1 A:3 for=r1 at=09:00         | 201 reversed
        A@W1                                         | available=1 reserved=3
        exceptions                                   | promise_at_risk
    """,
    "a kit of which components are given back": """
        receive    PO1 W1 A:3 B:5                    | 201 booked booked
        reserve    r1 web KIT:2                      | 201 held W1:2
        allocate   S1 W1 B:4 for=r1                  | 201 booked
        deallocate S1 W1 B:1 for=r1                  | 201 booked
        A@W1                                         | available=3 reserved=2
        B@W1                                         | available=2 allocated=3 reserved=1
    """,
    "a building at work on it, a promise does not expire": """
        receive    PO1 W1 A:5                        | 201 booked
        reserve    r1 web A:5                        | 201 held W1:5
        allocate   S1 W1 A:2 for=r1                  | 201 booked
        deallocate S1 W1 A:2 for=r1                  | 201 booked
        due        r1
        confirm    r1                                | 200 same confirmed W1:5
        change     r1 1:1                            | 409 reservation_confirmed
    """,
    "of an item that was not promised": """
        receive    PO1 W1 A:5 B:5                    | 201 booked booked
        reserve    r1 web A:2                        | 201 held W1:2
        ship       S1 W1 B:1 for=r1                  | 201 booked
        change     r1 1:1                            | 200 held W1:1
        A@W1                                         | available=5 reserved=1
    """,
}


@pytest.mark.parametrize("table", STORIES.values(), ids=STORIES)
async def test_story(story_dsn, table):
    await play(story_dsn, table)


class Hearing(Stage):
    """Takes facts in whatever order; whether one is news depends on it."""

    def _hold_to(self, line: Line, outcome) -> None:
        if line.verb == "reserve":
            super()._hold_to(line, outcome)
        assert outcome.status in (200, 201), f"{line.text}: {outcome.document}"


BEGIN = (
    "receive PO1 W1 A:4 | 201 booked",
    "receive PO2 W2 A:9 | 201 booked",
    "reserve r1 web A:7 | 201 held W1:4+W2:3",
)
REPORTS = (
    "allocate S1 W1 A:4 for=r1 source=erp",
    "allocate S1 W1 A:2 for=r1 source=erp",
    "ship S2 W2 A:3 for=r1",
    "deallocate S2 W2 A:1 for=r1",
    "undo ship S2 W2 A:3 for=r1",
    "pick S3 W2 A:1 for=r1",
)
END = ("A@W1 | available=2 allocated=2 reserved=2", "A@W2 | available=8 picked=1 reserved=2")


@pytest.mark.parametrize("order", list(permutations(REPORTS))[::47])
async def test_every_order_ends_alike(story_dsn, order):
    engine = Engine(story_dsn, workers=1)
    await engine.start()
    try:
        async with await connect(story_dsn) as conn:
            stage = Hearing(engine, conn)
            for line in parse("\n".join([*BEGIN, *order, *order[::2], *END])):
                await stage.act(line)
            assert not await check(conn)
    finally:
        await engine.stop()


async def test_a_simulation_moves_what_the_engine_moves(story_dsn):
    """Also where the reservation is not named but known from a parcel before."""
    engine = Engine(story_dsn, workers=1)
    await engine.start()
    try:
        async with await connect(story_dsn) as conn:
            stage = Stage(engine, conn)
            for line in parse("\n".join([*BEGIN, "ship S1 W1 A:1 for=r1 package=1 | 201 booked"])):
                await stage.act(line)
            (second,) = parse("ship S1 W1 A:2 package=2 | 201 booked")
            body = stage._command(second).body
            simulated = await simulate(conn, [Command(body, "tester")])
            used = [move.quantity for move in simulated.movements if move.from_account == RESERVED]
            assert used == [2]
            await stage.act(second)
            await stage.act(parse("A@W1 | available=1 reserved=1")[0])
    finally:
        await engine.stop()
