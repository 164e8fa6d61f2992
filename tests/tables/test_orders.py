"""Stories of orders: placed, promised, edited, cancelled, held, accepted, released, shipped."""

from typing import Any

import pytest

from stockbridge.contracts.masters import PutOrderFlow, PutSystem
from stockbridge.engine import Command, Engine
from tests.simulation.fleet import furnish
from tests.tables.story import play

STORIES = {
    "sold and shipped": """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4                     | 201 released W1:4
        A@W1                                    | available=10 reserved=4
        allocate S1 W1 A:4 ref=O1               | 201 booked
        place    O1 web A:4                     | 200 allocated allocated:4 same
        pick     S1 W1 A:4 ref=O1               | 201 booked
        ship     S1 W1 A:4 ref=O1               | 201 booked
        place    O1 web A:4                     | 200 completed shipped:4 same
        A@W1                                    | available=6
        exceptions                              |
    """,
    "what a shop sold is never refused": """
        receive  PO1 W1 A:3                     | 201 booked
        place    O1 web A:5                     | 201 released W1:3+back:2
        exceptions                              | oversold
        A@W1                                    | available=3 reserved=3 backordered=2
        place    O2 web B:1                     | 201 backordered back:1
    """,
    "what is asked of us may be refused": """
        receive  PO1 W1 A:3                     | 201 booked
        place    O1 web A:5 mode=all_or_nothing | 409 insufficient_stock
        place    O1 web B:1 mode=partial        | 409 insufficient_stock
        place    O1 web A:5 mode=partial        | 201 released W1:3+off:2
        place    O2 web A:5 mode=backorder      | 201 backordered back:5
        place    O3 web DRAFT:1 mode=backorder  | 422 item_not_active
        exceptions                              |
    """,
    "heard twice it does nothing": """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4 v=1                 | 201 released W1:4
        place    O1 web A:4 v=1                 | 200 released W1:4 same
        cancel   O1 web 1:1 id=c1               | 200 released W1:3+off:1
        cancel   O1 web 1:1 id=c1               | 200 released W1:3+off:1 same
        cancel   O1 web 1:1 id=c2               | 200 released W1:2+off:2
        cancel   O1 web                         | 200 cancelled off:4
        cancel   O1 web                         | 200 cancelled off:4 same
        place    O1 web A:4 v=1                 | 200 cancelled off:4 same
        A@W1                                    | available=10
        place    O2 web A:1 mode=backorder      | 201 released W1:1
        place    O2 web A:2 mode=backorder      | 409 order_exists
    """,
    "a cancel overtakes its order": """
        receive  PO1 W1 A:10                    | 201 booked
        cancel   O1 web                         | 200 cancelled
        place    O1 web A:4                     | 201 cancelled off:4
        cancel   O2 web 1:3 id=c1               | 200 received
        place    O2 web A:4                     | 201 released W1:1+off:3
        A@W1                                    | available=10 reserved=1
    """,
    "an edit overtakes its order, an older one comes late": """
        receive  PO1 W1 A:10                    | 201 booked
        revise   O1 web 1:2 v=5                 | 200 received
        place    O1 web A:4 v=1                 | 201 released W1:2
        revise   O1 web 1:9 v=3                 | 200 released W1:2 same
        revise   O1 web 1:9 v=6                 | 200 released W1:9
        revise   O1 web 1:12 v=7                | 200 released W1:10+back:2
        exceptions                              | oversold
        revise   O1 web 1:5 v=8                 | 200 released W1:5
        A@W1                                    | available=10 reserved=5
    """,
    "placed again with other lines": """
        receive  PO1 W1 A:10 B:10               | 201 booked booked
        place    O1 web A:4 v=1                 | 201 released W1:4
        place    O1 web A:3 B:2 v=3             | 200 released W1:3 W1:2
        place    O1 web A:9 v=2                 | 200 released W1:3 W1:2 same
        place    O1 web B:1 first=2 v=4         | 200 released - W1:1
        A@W1                                    | available=10
        B@W1                                    | available=10 reserved=1
    """,
    "only the open part is called off": """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:6                     | 201 released W1:6
        ship     S1 W1 A:2 ref=O1               | 201 booked
        cancel   O1 web                         | 200 completed off:4+shipped:2
        cancel   O1 web id=again                | 200 completed off:4+shipped:2
        revise   O1 web 1:3                     | 200 completed off:1+shipped:2
        A@W1                                    | available=8
        exceptions                              | cancelled_but_shipped
    """,
    "edited after a part has left": """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:6                     | 201 released W1:6
        ship     S1 W1 A:4 ref=O1               | 201 booked
        revise   O1 web 1:3 v=2                 | 200 completed shipped:4
        A@W1                                    | available=6
        revise   O1 web 1:7 v=3                 | 200 shipped W1:3+shipped:4
        A@W1                                    | available=6 reserved=3
        ship     S2 W1 A:3 ref=O1               | 201 booked
        A@W1                                    | available=3
    """,
    "shipped though it was cancelled": """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4                     | 201 released W1:4
        cancel   O1 web                         | 200 cancelled off:4
        ship     S1 W1 A:1 ref=O1               | 201 booked
        place    O1 web A:4                     | 200 completed off:3+shipped:1 same
        exceptions                              | cancelled_but_shipped
        A@W1                                    | available=9
    """,
    "a building gives back what was cancelled": """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4                     | 201 released W1:4
        allocate S1 W1 A:3 ref=O1               | 201 booked
        cancel   O1 web                         | 200 allocated off:1+allocated:3
        deallocate S1 W1 A:3 ref=O1               | 201 booked
        place    O1 web A:4                     | 200 cancelled off:4 same
        A@W1                                    | available=10
    """,
    "a building gives back what is still wanted": """
        receive  PO1 W1 A:4                     | 201 booked
        place    O1 web A:4                     | 201 released W1:4
        allocate S1 W1 A:3 ref=O1               | 201 booked
        deallocate S1 W1 A:3 ref=O1               | 201 booked
        place    O1 web A:4                     | 200 released W1:4 same
        A@W1                                    | available=4 reserved=4
    """,
    "a held reservation becomes the order's": """
        receive  PO1 W1 A:10 B:10               | 201 booked booked
        reserve  r1 web A:4 B:2                 | 201 held W1:4 W1:2
        place    O1 web A:4 with=r1 mode=all_or_nothing | 409 reservation_differs
        place    O1 web B:2 A:4 with=r1 mode=all_or_nothing | 201 released W1:2 W1:4
        confirm  r1                             | 200 confirmed W1:4 W1:2
        place    O2 web A:4 with=r1 mode=backorder | 409 reservation_taken
        release  r1                             | 409 reservation_of_order
        ship     S1 W1 A:4 B:2 ref=O1           | 201 booked booked
        place    O1 web B:2 A:4 with=r1         | 200 completed shipped:2 shipped:4 same
    """,
    "a reservation that is gone, or was for other lines, does not stop what was sold": """
        receive  PO1 W1 A:10                    | 201 booked
        reserve  r1 web A:4                     | 201 held W1:4
        due      r1
        place    O1 web A:4 with=r1 lapses=r1   | 201 released W1:4
        reserve  r2 web A:4                     | 201 held W1:4
        place    O2 web A:2 with=r2             | 201 released W1:2
        A@W1                                    | available=10 reserved=6
    """,
    "kits are held as their components": """
        receive  PO1 W1 A:3 B:5                 | 201 booked booked
        place    O1 web KIT:3                   | 201 released W1:2+back:1
        A@W1                                    | available=3 reserved=2 backordered=1
        B@W1                                    | available=5 reserved=4 backordered=2
        ship     S1 W1 KIT:1 ref=O1             | 201 booked booked
        cancel   O1 web                         | 200 completed off:2+shipped:1
        A@W1                                    | available=2
        B@W1                                    | available=3
    """,
    "a kit that is begun is finished": """
        receive  PO1 W1 A:3 B:6                 | 201 booked booked
        place    O1 web KIT:3                   | 201 released W1:3
        allocate S1 W1 A:1 ref=O1               | 201 booked
        cancel   O1 web                         | 200 released off:2
        A@W1                                    | available=2 allocated=1
        B@W1                                    | available=6 reserved=2
    """,
    "an order by the case": """
        receive  PO1 W1 A:2CASE                 | 201 booked
        place    O1 web A:2CASE                 | 201 released W1:24
        cancel   O1 web 1:1 id=c1               | 200 released W1:12+off:12
        revise   O1 web 1:1                     | 200 cancelled off:12
    """,
    "split over locations": """
        receive  PO1 W1 A:3                     | 201 booked
        receive  PO2 W2 A:3                     | 201 booked
        place    O1 web A:5                     | 201 released W1:3+W2:2
        ship     S1 W2 A:2 ref=O1               | 201 booked
        place    O1 web A:5                     | 200 shipped W1:3+shipped:2 same
        ship     S2 W1 A:3 ref=O1               | 201 booked
        place    O1 web A:5                     | 200 completed shipped:5 same
    """,
    "two lines of one item, told by their names": """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:2 A:2                 | 201 released W1:2 W1:2
        ship     S1 W1 A:2 ref=O1 line=2        | 201 booked
        cancel   O1 web 1:2 id=c1               | 200 completed off:2 shipped:2
        A@W1                                    | available=8
    """,
    "held and resumed": """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4                     | 201 released W1:4
        stop     O1 web                         | 200 on_hold W1:4
        stop     O1 web                         | 200 on_hold W1:4 same
        resume   O1 web                         | 200 released W1:4
        stop     O1 web                         | 200 on_hold W1:4
        cancel   O1 web                         | 200 cancelled off:4
        stop     O1 web                         | 409 order_ended
    """,
    "what comes in fills who waits": """
        place    O1 web A:2 B:1 mode=backorder  | 201 backordered back:2 back:1
        place    O2 web A:2 mode=backorder      | 201 backordered back:2
        place    O3 web KIT:2 mode=backorder    | 201 backordered back:2
        fill     O1 O2 O3                       | 200 orders=0 units=0
        receive  PO1 W2 A:3                     | 201 booked
        fill     O1 O2 O3                       | 200 orders=2 units=3
        A@W1                                    | backordered=3
        A@W2                                    | available=3 reserved=3
        fill     O1 O2 O3                       | 200 orders=0 units=0 same
        receive  PO2 W1 A:4 B:2                 | 201 booked booked
        fill     O3                             | 200 orders=1 units=3
        place    O3 web KIT:2 v=2               | 200 released W1:1+back:1
        cancel   O1 web                         | 200 cancelled off:2 off:1
        fill     O2 O3                          | 200 orders=1 units=1
        A@W1                                    | available=4 reserved=2 backordered=1
        B@W1                                    | available=2 reserved=2 backordered=2
    """,
    "names nobody knows": """
        place    O1 web Z:1                     | 422 unknown_sku
        place    O1 nowhere A:1                 | 422 unknown_channel
        place    O1 web A:1@W9                  | 422 unknown_location
        place    O1 dark A:1                    | 422 channel_without_sources
        place    O1 web A:3HALF                 | 422 fractional_quantity
        give     O1 web                         | 409 not_releasable
        place    O1 web A:1 bound=shop          | 403 channel_forbidden
        cancel   O1 web bound=shop              | 403 channel_forbidden
    """,
}


@pytest.mark.parametrize("name", STORIES)
async def test_story(story_dsn, name):
    await play(story_dsn, STORIES[name])


# A channel with an ERP that must accept, with payment and release by hand, with a building to ask.
FLOWS = {
    "the ERP accepts": ("erp", """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4                     | 201 erp_pending W1:4
        give     O1 web                         | 409 not_releasable
        hear     O1 web accepted at=10:00       | 200 released W1:4
        hear     O1 web accepted at=10:00       | 200 released W1:4 same
        hear     O1 web rejected at=09:00       | 200 released W1:4 same
    """),
    "the ERP refuses": ("erp", """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4                     | 201 erp_pending W1:4
        hear     O1 web rejected at=10:00       | 200 rejected off:4
        A@W1                                    | available=10
        hear     O1 web accepted at=11:00       | 200 released W1:4
        hear     O2 web accepted at=10:00       | 200 received
        place    O2 web A:1                     | 201 released W1:1
    """),
    "paid before it was placed": ("paid", """
        receive  PO1 W1 A:10                    | 201 booked
        revise   O1 web paid=1                  | 200 received
        place    O1 web A:4                     | 201 released W1:4
        place    O2 web A:4                     | 201 accepted W1:4
        revise   O2 web paid=1                  | 200 released W1:4
        place    O3 web A:1                     | 201 accepted W1:1
        place    O3 web A:1 paid=1              | 200 released W1:1
    """),
    "released by hand": ("manual", """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4                     | 201 accepted W1:4
        stop     O1 web                         | 200 on_hold W1:4
        give     O1 web                         | 409 not_releasable
        resume   O1 web                         | 200 accepted W1:4
        give     O1 web                         | 200 released W1:4
        give     O1 web                         | 200 released W1:4 same
    """),
    "only complete": ("complete", """
        receive  PO1 W1 A:3                     | 201 booked
        place    O1 web A:4                     | 201 backordered W1:3+back:1
        revise   O1 web 1:3                     | 200 released W1:3
    """),
    "a building is asked": ("asks", """
        receive  PO1 W1 A:10                    | 201 booked
        place    O1 web A:4                     | 201 released W1:4
        cancel   O1 web                         | 200 released W1:4
        hear     O1 web cancel_confirmed        | 200 cancelled off:4
        place    O2 web A:4                     | 201 released W1:4
        cancel   O2 web 1:2 id=c1               | 200 released W1:4
        hear     O2 web cancel_refused id=c1    | 200 released W1:4
        hear     O3 web cancel_confirmed id=c1  | 200 received
        place    O3 web A:2                     | 201 released W1:2
        cancel   O3 web 1:1 id=c1               | 200 released W1:1+off:1
        A@W1                                    | available=10 reserved=5
    """),
}  # fmt: skip
TERMS: dict[str, Any] = {
    "erp": {"erp": "ledger"},
    "paid": {"needs_payment": True},
    "manual": {"release": "manual"},
    "complete": {"release": "complete"},
    "asks": {"asks_building": True},
}


@pytest.mark.parametrize("name", FLOWS)
async def test_flow(dsn, name):
    flow, story = FLOWS[name]
    await furnish(dsn)
    engine = Engine(dsn, workers=1)
    await engine.start()
    for body in (PutSystem("ledger", "erp"), PutOrderFlow("web", **TERMS[flow])):
        assert (await engine.submit(Command(body, "tester"))).status == 201
    await engine.stop()
    await play(dsn, story)
