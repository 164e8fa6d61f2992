"""Stories of facts: what is reported is booked, once, in whatever order it comes."""

from itertools import permutations

import pytest

from tests.tables.story import play

STORIES = {
    "a receipt is booked once": """
        receive  PO1 W1 A:10                    | 201 booked
        receive  PO1 W1 A:10                    | 200 duplicate
        receive  PO1 W1 A:10 source=wms         | 200 duplicate
        receive  PO1 W1 A:10 package=P2         | 201 booked
        receive  PO1 W2 A:10                    | 201 booked
        A@W1                                    | available=20
        exceptions |
    """,
    "two reports that agree but for the time, a count between": """
        count    C1 W1 A:6 at=12:00             | 201 booked
        receive  PO1 W1 A:4 at=14:00            | 201 booked
        A@W1                                    | available=10
        receive  PO1 W1 A:4 at=10:00            | 200 duplicate
        A@W1                                    | available=6
        receive  PO1 W1 A:4 at=13:00            | 200 duplicate
        A@W1                                    | available=6
    """,
    "two reports that disagree": """
        receive  PO1 W1 A:10                    | 201 booked
        receive  PO1 W1 A:9                     | 201 corrected
        A@W1                                    | available=9
        receive  PO1 W1 A:10                    | 200 conflict
        A@W1                                    | available=9
        exceptions                              | fact_conflict
    """,
    "one line new, one known, one contradicted": """
        receive  PO1 W1 A:10                    | 201 booked
        receive  PO1 W1 A:10 B:3                | 201 duplicate booked
        receive  PO1 W1 A:9 B:3 C:1             | 201 corrected duplicate booked
        A@W1                                    | available=9
    """,
    "one item twice in a document": """
        receive  PO1 W1 A:10 A:5                | 201 booked booked
        receive  PO1 W1 A:10 A:5                | 200 duplicate duplicate
        A@W1                                    | available=15
    """,
    "facts about what nobody knows": """
        receive  PO1 W1 Z:1                     | 422 unknown_sku
        receive  PO1 W9 A:1                     | 422 unknown_location
        receive  PO1 W1 B:1CASE                 | 422 unknown_uom
        send     T1 W1 W9 A:1                   | 422 unknown_location
    """,
    "received into quarantine": """
        receive  PO1 W1 A:10 state=quarantined  | 201 booked
        A@W1                                    | quarantined=10
        reserve  r1 web A:1                     | 409 insufficient_stock
    """,
    "a receipt against an order, short and then the rest": """
        supply   PO1 W1 A:10                    | 201 booked
        A@W1                                    | on_order=10
        receive  PO1 W1 A:4                     | 201 booked
        A@W1                                    | available=4 on_order=6
        receive  PO1 W1 A:6 package=2           | 201 booked
        A@W1                                    | available=10
    """,
    "a receipt over what was ordered": """
        supply   PO1 W1 A:10                    | 201 booked
        receive  PO1 W1 A:12                    | 201 booked
        A@W1                                    | available=12
    """,
    "ordered, shipped, received": """
        supply   PO1 W1 A:10                    | 201 booked
        supply   PO1 W1 A:8 state=in_transit    | 201 booked
        A@W1                                    | on_order=2 in_transit=8
        receive  PO1 W1 A:9                     | 201 booked
        A@W1                                    | available=9 on_order=1
    """,
    "an order changed and cancelled": """
        supply   PO1 W1 A:10                    | 201 booked
        supply   PO1 W1 A:4                     | 201 booked
        A@W1                                    | on_order=4
        supply   PO1 W1 A:0                     | 201 booked
        A@W1                                    |
    """,
    "shipped against a promise": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:5                     | 201 held W1:5
        confirm  r1                             | 200 confirmed W1:5
        ship     S1 W1 A:5 for=r1               | 201 booked
        A@W1                                    |
        exceptions                              |
    """,
    "shipped under the order's number": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3 ref=O1              | 201 held W1:3
        ship     S1 W1 A:3 ref=O1               | 201 booked
        A@W1                                    | available=2
        release  r1                             | 200 same fulfilled -
    """,
    "shipped from another location than promised": """
        receive  PO1 W1 A:5                     | 201 booked
        receive  PO2 W2 A:5                     | 201 booked
        reserve  r1 web A:3                     | 201 held W1:3
        ship     S1 W2 A:3 for=r1               | 201 booked
        A@W1                                    | available=5
        A@W2                                    | available=2
        release  r1                             | 200 same fulfilled -
    """,
    "shipped without a promise takes from promised stock": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:4                     | 201 held W1:4
        ship     S1 W1 A:2                      | 201 booked
        A@W1                                    | available=3 reserved=4
        exceptions                              | promise_at_risk
    """,
    "shipped more than there was": """
        receive  PO1 W1 A:1                     | 201 booked
        ship     S1 W1 A:3                      | 201 booked
        A@W1                                    | available=-2
        exceptions                              | negative_balance
        reserve  r1 web A:1                     | 409 insufficient_stock
        receive  PO2 W1 A:1                     | 201 booked
        exceptions                              | negative_balance
        receive  PO3 W1 A:1                     | 201 booked
        A@W1                                    |
        exceptions                              |
        ship     S2 W1 A:1                      | 201 booked
        exceptions                              | negative_balance
        count    C1 W1 A:0                      | 201 booked
        exceptions                              |
    """,
    "shipped more than was promised": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:2                     | 201 held W1:2
        ship     S1 W1 A:3 for=r1               | 201 booked
        A@W1                                    | available=2
    """,
    "shipped for a promise we never made": """
        receive  PO1 W1 A:5                     | 201 booked
        ship     S1 W1 A:3 for=r1               | 201 booked
        A@W1                                    | available=2
        exceptions                              | unknown_reservation
    """,
    "what a building has bound no longer expires": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:5                     | 201 held W1:5
        ship     S1 W1 A:2 for=r1               | 201 booked
        confirm  r1                             | 200 same confirmed W1:3
    """,
    "shipped in parts, the promise named once": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:5                     | 201 held W1:5
        ship     S1 W1 A:2 for=r1 package=1     | 201 booked
        ship     S1 W1 A:3 package=2            | 201 booked
        A@W1                                    |
        release  r1                             | 200 same fulfilled -
    """,
    "shipped for a promise that is over": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3                     | 201 held W1:3
        due      r1
        ship     S1 W1 A:3 for=r1               | 201 booked
        A@W1                                    | available=2
        release  r1                             | 200 same expired -
    """,
    "a kit leaves as its components": """
        receive  PO1 W1 A:3 B:5                 | 201 booked booked
        reserve  r1 web KIT:2                   | 201 held W1:2
        ship     S1 W1 KIT:2 for=r1             | 201 booked booked
        A@W1                                    | available=1
        B@W1                                    | available=1
        release  r1                             | 200 same fulfilled -
    """,
    "a backorder is shipped": """
        reserve  r1 web A:2 mode=backorder      | 201 held back:2
        receive  PO1 W1 A:2                     | 201 booked
        ship     S1 W1 A:2 for=r1               | 201 booked
        A@W1                                    |
        release  r1                             | 200 same fulfilled -
    """,
    "stages in parts": """
        receive  PO1 W1 A:10                    | 201 booked
        allocate S1 W1 A:6                      | 201 booked
        A@W1                                    | available=4 allocated=6
        pick     S1 W1 A:2 package=1            | 201 booked
        pick     S1 W1 A:2 package=2            | 201 booked
        A@W1                                    | available=4 allocated=2 picked=4
        ship     S1 W1 A:3                      | 201 booked
        A@W1                                    | available=4 allocated=2 picked=1
    """,
    "bound by the building, the promise is kept": """
        receive  PO1 W1 A:10                    | 201 booked
        reserve  r1 web A:6                     | 201 held W1:6
        allocate S1 W1 A:6 for=r1               | 201 booked
        A@W1                                    | available=4 allocated=6
        ship     S1 W1 A:6 for=r1               | 201 booked
        A@W1                                    | available=4
    """,
    "a transfer, out first": """
        receive  PO1 W1 A:10                    | 201 booked
        send     T1 W1 W2 A:4                   | 201 booked
        A@W1                                    | available=6
        A@W2                                    | in_transit=4
        arrive   T1 W1 W2 A:4                   | 201 booked
        arrive   T1 W1 W2 A:4                   | 200 duplicate
        A@W2                                    | available=4
    """,
    "a transfer, in first": """
        receive  PO1 W1 A:10                    | 201 booked
        arrive   T1 W1 W2 A:4                   | 201 booked
        A@W2                                    | available=4 in_transit=-4
        send     T1 W1 W2 A:4                   | 201 booked
        A@W1                                    | available=6
        A@W2                                    | available=4
    """,
    "a return waits, is restocked, is scrapped": """
        return   R1 W1 A:1                      | 201 booked
        A@W1                                    | quarantined=1
        return   R2 W1 A:2 to=restock           | 201 booked
        return   R3 W1 A:4 to=scrap             | 201 booked
        return   R3 W1 A:4 to=scrap             | 200 duplicate
        A@W1                                    | available=2 quarantined=1
        return   R4 W1 KIT:1                    | 201 booked booked
        B@W1                                    | quarantined=2
    """,
    "adjustments keep to their reason": """
        receive  PO1 W1 A:10                    | 201 booked
        adjust   J1 W1 A:-2 reason=LOST         | 201 booked
        adjust   J1 W1 A:-2 reason=LOST         | 200 duplicate
        adjust   J2 W1 A:3 reason=FOUND         | 201 booked
        adjust   J3 W1 A:-1 reason=DAMAGED      | 201 booked
        A@W1                                    | available=10
        adjust   J4 W1 A:2 reason=LOST          | 422 wrong_sign
        adjust   J4 W1 A:-2 reason=FOUND        | 422 wrong_sign
        adjust   J4 W1 A:0 reason=CORRECTION    | 422 zero_quantity
        adjust   J4 W1 A:1 reason=WHIM          | 422 unknown_reason
        adjust   J4 W1 A:1 reason=RETIRED       | 422 unknown_reason
        adjust   J4 W1 A:1 B:0 reason=FOUND     | 422 zero_quantity
    """,
    "held and let go": """
        receive  PO1 W1 A:10                    | 201 booked
        hold     Q1 W1 A:4                      | 201 booked
        A@W1                                    | available=6 quarantined=4
        reserve  r1 web A:7                     | 409 insufficient_stock
        unhold   Q1 W1 A:3                      | 201 booked
        unhold   Q1 W1 A:3                      | 200 duplicate
        A@W1                                    | available=9 quarantined=1
    """,
    "a count sets the balance": """
        receive  PO1 W1 A:10                    | 201 booked
        count    C1 W1 A:7                      | 201 booked
        A@W1                                    | available=7
        count    C1 W1 A:7                      | 200 duplicate
        count    C2 W1 B:5                      | 201 booked
        B@W1                                    | available=5
        count    C3 W1 B:0                      | 201 booked
        B@W1                                    |
    """,
    "what happened before the count is inside it": """
        count    C1 W1 A:7 at=12:00             | 201 booked
        receive  PO1 W1 A:10 at=11:00           | 201 booked
        receive  PO2 W1 A:10 at=12:00           | 201 booked
        ship     S1 W1 A:2 at=09:00             | 201 booked
        A@W1                                    | available=7
        receive  PO3 W1 A:1 at=12:01            | 201 booked
        A@W1                                    | available=8
    """,
    "what happened after the count is added to it": """
        receive  PO1 W1 A:10 at=11:00           | 201 booked
        ship     S1 W1 A:1 at=13:00             | 201 booked
        count    C1 W1 A:7 at=12:00             | 201 booked
        A@W1                                    | available=6
    """,
    "an older count changes nothing": """
        count    C2 W1 A:7 at=12:00             | 201 booked
        count    C1 W1 A:50 at=11:00            | 201 booked
        A@W1                                    | available=7
    """,
    "two counts at one time: the lower stands": """
        count    C1 W1 A:7 at=12:00             | 201 booked
        count    C2 W1 A:9 at=12:00             | 201 booked
        A@W1                                    | available=7
        count    C3 W1 A:5 at=12:00             | 201 booked
        A@W1                                    | available=5
    """,
    "each state has counts of its own": """
        receive  PO1 W1 A:10 at=09:00           | 201 booked
        hold     Q1 W1 A:4 at=10:00             | 201 booked
        count    C1 W1 A:3 at=12:00 state=quarantined | 201 booked
        A@W1                                    | available=6 quarantined=3
        hold     Q2 W1 A:1 at=11:00             | 201 booked
        A@W1                                    | available=5 quarantined=3
        unhold   Q3 W1 A:1 at=13:00             | 201 booked
        A@W1                                    | available=6 quarantined=2
    """,
    "a count between two stages, whichever is heard first": """
        receive  PO1 W1 A:10 at=08:00           | 201 booked
        count    C1 W1 A:6 at=12:00             | 201 booked
        ship     S1 W1 A:4 at=14:00             | 201 booked
        pick     S1 W1 A:4 at=10:00             | 201 booked
        A@W1                                    | available=6
    """,
    "a count of now, after a fact dated ahead of our clock": """
        receive  PO1 W1 A:10                    | 201 booked
        ship     S1 W1 A:2 at=ahead             | 201 booked
        count    C1 W1 A:10                     | 201 booked
        A@W1                                    | available=8
    """,
    "a count from tomorrow's clock is refused": """
        count    C1 W1 A:6 at=999:00            | 422 occurred_in_future
    """,
}

STAGE_LINES = {
    "allocate": "allocate S1 W1 A:7 for=r1 | 201 booked",
    "pick": "pick S1 W1 A:6 for=r1 | 201 booked",
    "pack": "pack S1 W1 A:5 for=r1 | 201 booked",
    "ship": "ship S1 W1 A:4 for=r1 | 201 booked",
}


@pytest.mark.parametrize("table", STORIES.values(), ids=STORIES)
async def test_story(story_dsn, table):
    await play(story_dsn, table)


@pytest.mark.parametrize("order", list(permutations(STAGE_LINES)), ids="-".join)
async def test_stages_in_every_order_end_alike(story_dsn, order):
    begin = ["receive PO1 W1 A:10 | 201 booked", "reserve r1 web A:8 | 201 held W1:8"]
    facts = [STAGE_LINES[stage] for stage in order]
    end = "A@W1 | available=3 allocated=1 picked=2 reserved=1"
    await play(story_dsn, "\n".join([*begin, *facts, end]))
