"""Stories of what the order's ERP is told: the order, its changes, the goods that left."""

import msgspec
import pytest

from stockbridge.contracts.masters import PutOrderFlow, PutSystem
from stockbridge.contracts.partners.operations import OPERATIONS
from stockbridge.store.database import connect
from tests.tables.story import play
from tests.tables.test_telling import setup

EVERYTHING = ("book_order", "change_order", "cancel_order", "post_movements")
STORIES = {
    "booked, accepted, shipped in two parcels": """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201 erp_pending W1:4
        told                                    | order=1:4
        place    O1 web A:4                     | 200 erp_pending W1:4 same
        told                                    |
        hear     O1 web accepted at=10:00 from=ledger | 200 released W1:4
        ship     S1 W1 A:3 ref=O1               | 201
        ship     S2 W1 A:1 ref=O1               | 201
        ship     S2 W1 A:1 ref=O1               | 200 duplicate same
        told                                    | movements=1:3 movements=1:1
    """,
    "changed and called off": """
        receive  PO1 W1 A:10 B:10               | 201
        place    O1 web A:4 B:2                 | 201
        cancel   O1 web 1:1 id=c1               | 200
        told                                    | order=1:4+2:2 order=1:3+2:2
        cancel   O1 web                         | 200
        told                                    | order=1:3+2:2
    """,
    "refused, which the ERP knows": """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        hear     O1 web rejected at=10:00 from=ledger | 200 rejected off:4
        told                                    | order=1:4
        hear     O1 web accepted at=11:00 from=ledger | 200
        told                                    |
    """,
    "on hold it is not booked": """
        cancel   O2 web 1:1 id=c1               | 200
        stop     O1 web                         | 200
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201 on_hold W1:4
        told                                    |
        resume   O1 web                         | 200 erp_pending W1:4
        told                                    | order=1:4
    """,
    "what it answered by itself it has": """
        receive  PO1 W1 A:10                    | 201
        hear     O1 web accepted at=10:00 from=ledger | 200
        place    O1 web A:4                     | 201
        told                                    |
    """,
    "a kit is booked as the kit, and posted as its parts": """
        receive  PO1 W1 A:10 B:10               | 201
        place    O1 web KIT:2                   | 201
        told                                    | order=1:2
        ship     S1 W1 A:2 B:4 ref=O1           | 201
        told                                    | movements=1:2+1:4
    """,
    "shipped before it was placed": """
        receive  PO1 W1 A:10                    | 201
        cancel   O1 web 1:1 id=c1               | 200
        place    O1 web A:4                     | 201
        ship     S1 W1 A:3 ref=O1               | 201
        told                                    | order=1:3 movements=1:3
    """,
}


async def furnished(dsn, operations=EVERYTHING):
    ledger = PutSystem("ledger", "erp", lifecycle="testing", operations=list(operations))
    await setup(dsn, ledger, PutOrderFlow("web", erp="ledger"))


@pytest.mark.parametrize("name", STORIES)
async def test_story(dsn, name):
    await furnished(dsn)
    await play(dsn, STORIES[name])


async def test_an_erp_that_takes_orders_only(dsn):
    await furnished(dsn, ["book_order"])
    await play(dsn, """
        receive  PO1 W1 A:10                    | 201
        place    O1 web A:4                     | 201
        ship     S1 W1 A:3 ref=O1               | 201
        cancel   O1 web                         | 200
        told                                    | order=1:4
    """)  # fmt: skip


async def test_payloads_say_whose_where_and_at_what_cost(dsn):
    await furnished(dsn)
    await play(dsn, """
        receive  PO1 W1 A:24                    | 201
        place    O1 web A:2CASE                 | 201
        ship     S1 W1 A:6 ref=O1               | 201
    """)  # fmt: skip
    async with await connect(dsn) as conn:
        rows = await (await conn.execute(
            b"SELECT operation, object_key, payload::text FROM delivery ORDER BY delivery_id"
        )).fetchall()  # fmt: skip
    booked, posted = (msgspec.json.decode(text, type=OPERATIONS[name]) for name, _, text in rows)
    assert {key for _, key, _ in rows} == {"order:web/O1"}
    assert (booked.channel, booked.number, booked.location) == ("web", "O1", "W1")
    assert [(line.sku, line.quantity) for line in booked.lines] == [("A", 24)]
    (line,) = posted.lines
    assert (line.order, line.line, line.document, line.location) == (booked.order, "1", "S1", "W1")
    assert (line.unit_cost, posted.units, posted.value) == ("2.500000", 6, "15.000000")
