"""Stories of what a channel's own system is told: orders taken, parcels, what will not come."""

from typing import Any

import pytest

from stockbridge.contracts.masters import PutChannel, PutOrderFlow, PutSystem
from stockbridge.engine import Command, Engine
from tests.simulation.fleet import furnish
from tests.tables.masters import LOCATIONS
from tests.tables.story import play

EVERYTHING = ("acknowledge_order", "confirm_shipment", "cancel_order")
STORIES = {
    "taken and shipped in one parcel": """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        told                                    | order=1:4
        place    O1 web A:4                     | 200 released W1:4 same
        allocate S1 W1 A:4 ref=O1               | 201
        pick     S1 W1 A:4 ref=O1               | 201
        told                                    |
        ship     S1 W1 A:4 ref=O1               | 201
        told                                    | shipment:S1=1:4
        ship     S1 W1 A:4 ref=O1               | 200 duplicate same
        told                                    |
    """,
    "two parcels, one of them in two reports": """
        receive  PO1 W1 A:10 B:10               | 201
        place    O1 web A:4 B:2                 | 201
        told                                    | order=1:4+2:2
        ship     S1 W1 A:1 ref=O1 package=P1    | 201
        ship     S1 W1 A:3 ref=O1 package=P2    | 201
        ship     S1 W1 B:2 ref=O1 package=P2    | 201
        told                         | shipment:S1/P1=1:1 shipment:S1/P2=1:3 shipment:S1/P2-2=2:2
    """,
    "shipped before it was placed": """
        receive  PO1 W1 A:10                    | 201
        cancel   O2 web                         | 200
        told                                    |
        place    O1 web A:4                     | 201
        ship     S1 W1 A:5 ref=O1               | 201
        told                                    | order=1:4 shipment:S1=1:5
    """,
    "what the channel itself called off it is not told": """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        told                                    | order=1:4
        cancel   O1 web 1:1 id=c1 by=channel    | 200
        cancel   O1 web 1:1 id=c2 from=register | 200
        told                                    |
        cancel   O1 web 1:1 id=c3 by=operations | 200
        told                                    | order=1:1
        cancel   O1 web 1:1 id=c3 by=operations | 200 released W1:1+off:3 same
        cancel   O1 web by=building             | 200 cancelled off:4
        told                                    | order=1:1
    """,
    "called off whole by the channel, later by us too": """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        cancel   O1 web id=c1 by=channel        | 200
        cancel   O1 web id=c2 by=operations     | 200
        told                                    | order=1:4
    """,
    "only what has not left is called off": """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        ship     S1 W1 A:1 ref=O1               | 201
        cancel   O1 web by=operations           | 200
        told                                    | order=1:4 shipment:S1=1:1 order=1:3
    """,
    "the channel's own register reports what it sold": """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:2 from=register       | 201
        ship     O1 W1 A:2 ref=O1 from=register | 201
        told                                    | order=1:2
        ship     S9 W1 A:1 ref=O1               | 201
        told                                    | shipment:S9=1:1
    """,
    "corrected to less cannot be untold": """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        ship     S1 W1 A:4 ref=O1 source=x sequence=1 | 201
        told                                    | order=1:4 shipment:S1=1:4
        ship     S1 W1 A:3 ref=O1 source=x sequence=2 | 201
        told                                    |
    """,
    "in the unit it was ordered in": """
        receive  PO1 W1 A:30                    | 201
        place    O1 web A:2CASE                 | 201
        ship     S1 W1 A:6 ref=O1               | 201
        told                                    | order=1:2
        ship     S2 W1 A:6 ref=O1               | 201
        told                                    | shipment:S2=1:1
    """,
    "a kit is told as the kit": """
        receive  PO1 W1 A:10 B:10               | 201
        place    O1 web KIT:2                   | 201
        ship     S1 W1 A:2 ref=O1               | 201
        told                                    | order=1:2
        ship     S1 W1 B:4 ref=O1               | 201
        told                                    | shipment:S1=1:2
    """,
    "an order that is not ours to work yet": """
        cancel   O1 web by=channel              | 200
        place    O1 web A:4                     | 201 cancelled off:4
        told                                    |
    """,
}


async def setup(dsn: str, *bodies: object) -> None:
    await furnish(dsn)
    engine = Engine(dsn, workers=1)
    await engine.start()
    try:
        for body in bodies:
            outcome = await engine.submit(Command(body, "tester"))
            assert outcome.status < 300, outcome.document
    finally:
        await engine.stop()


@pytest.mark.parametrize("name", STORIES)
async def test_story(dsn, name):
    register = PutSystem("register", "pos", lifecycle="testing", operations=list(EVERYTHING))
    await setup(dsn, register, PutChannel("web", system="register", sources=list(LOCATIONS)))
    await play(dsn, STORIES[name])


@pytest.mark.parametrize(
    "lifecycle, operations, told",
    [
        ("testing", ["confirm_shipment"], "shipment:S1=1:4"),
        ("draft", ["confirm_shipment"], ""),
        ("retired", ["confirm_shipment"], ""),
        ("testing", ["publish"], ""),
        ("testing", [], ""),
    ],
)
async def test_only_what_the_system_takes(dsn, lifecycle, operations, told):
    steps: Any = ("draft", "retired") if lifecycle == "retired" else (lifecycle,)
    systems = [
        PutSystem("shop", "storefront", lifecycle=step, operations=operations) for step in steps
    ]
    await setup(dsn, *systems, PutChannel("web", system="shop", sources=list(LOCATIONS)))
    await play(dsn, f"""
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        ship     S1 W1 A:4 ref=O1               | 201
        told                                    | {told}
    """)  # fmt: skip


async def test_an_order_the_erp_refuses_is_called_off_at_the_channel(dsn):
    shop = PutSystem("shop", "storefront", lifecycle="testing", operations=list(EVERYTHING))
    channel = PutChannel("web", system="shop", sources=list(LOCATIONS))
    await setup(dsn, shop, channel, PutSystem("ledger", "erp"), PutOrderFlow("web", erp="ledger"))
    await play(dsn, """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        told                                    |
        hear     O1 web rejected at=10:00       | 200
        told                                    | order=1:4
        place    O2 web A:4                     | 201
        hear     O2 web accepted at=10:00       | 200
        told                                    | order=1:4
    """)  # fmt: skip
