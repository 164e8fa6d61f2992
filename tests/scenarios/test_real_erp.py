"""One table of behaviour for the connector, against its simulator and against a real Tryton 8.2."""

import datetime as dt

import msgspec
import pytest

from stockbridge.connectors.tryton.mapping import decode
from stockbridge.contracts.partners.operations import (
    BookedLine,
    CancelOrder,
    ChangeOrder,
    ToldLine,
)
from tests.erp.desk import Desk, desk, moved, order, posting
from tests.erp.targets import target

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("tryton")]
NOW = dt.datetime.now(dt.UTC)
MUGS = BookedLine("l1", "MUG", 3, "12.00")
CUPS = BookedLine("l2", "CUP", 2)


@pytest.fixture(scope="module", params=["simulated", "real"])
def erp(request, tmp_path_factory):
    with target(request.param, tmp_path_factory.mktemp("erp")) as it:
        yield it


async def books_once(it: Desk) -> None:
    booked = order("ord_a1", MUGS, CUPS)
    assert (await it.probe("book_order", booked)).kind == "later"
    outcomes = [await it.send("book_order", booked) for _ in range(2)]
    (sale,) = it.sales("ord_a1")
    assert sale["state"] == "quotation"
    assert [(o.kind, o.reference) for o in outcomes] == [("confirmed", sale["number"])] * 2
    assert it.lines("ord_a1") == [("l1", 3.0, "12.0000"), ("l2", 2.0, "13.5000")]
    assert (await it.probe("book_order", booked)).reference == sale["number"]


async def calls_off_what_a_lost_call_made_twice(it: Desk) -> None:
    booked = order("ord_b1", MUGS)
    await it.send("book_order", booked)
    values = it.rpc.rows("sale.sale", ["reference", "=", "ord_b1"], fields=[
        "company", "currency", "party", "invoice_address", "shipment_address", "reference",
        "invoice_method", "shipment_method",
    ])[0]  # fmt: skip
    del values["id"]
    it.rpc.make("sale.sale", **values)
    assert (await it.send("book_order", booked)).kind == "confirmed"
    assert [sale["state"] for sale in it.sales("ord_b1")] == ["quotation", "cancelled"]


async def goes_on_where_it_was_cut_off(it: Desk) -> None:
    booked = order("ord_c1", MUGS)
    await it.send("book_order", booked)
    it.rpc.model("sale.sale.draft", [it.sales("ord_c1")[0]["id"]])
    assert (await it.probe("book_order", booked)).kind == "later"
    assert (await it.send("book_order", booked)).kind == "confirmed"
    assert [sale["state"] for sale in it.sales("ord_c1")] == ["quotation"]


async def refuses_what_it_does_not_know(it: Desk) -> None:
    booked = order("ord_d1", msgspec.structs.replace(MUGS, sku="NONE"))
    outcome = await it.send("book_order", booked)
    assert (outcome.kind, outcome.code) == ("rejected", "unknown_product")
    elsewhere = moved("receive", "MUG", 1, place="PARIS")
    assert (await it.post("p-d1", elsewhere)).code == "unknown_location"
    assert (it.sales("ord_d1"), it.documents("in", "p-d1")) == ([], [])


async def changes_and_cancels_until_goods_leave(it: Desk) -> None:
    await it.send("book_order", order("ord_e1", MUGS, CUPS))
    fewer = [msgspec.structs.replace(MUGS, quantity=2), msgspec.structs.replace(CUPS, quantity=0)]
    change = ChangeOrder("ord_e1", 1, fewer, NOW)
    assert (await it.probe("change_order", change)).kind == "later"
    outcomes = [await it.send("change_order", change) for _ in range(2)]
    assert [outcome.kind for outcome in outcomes] == ["confirmed"] * 2
    assert it.lines("ord_e1") == [("l1", 2.0, "12.0000")]
    cancel = CancelOrder("ord_e1", "c1", [ToldLine("l1", "MUG", 2)], NOW, "customer")
    assert (await it.probe("cancel_order", cancel)).kind == "later"
    assert [(await it.send("cancel_order", cancel)).kind for _ in range(2)] == ["confirmed"] * 2
    assert [sale["state"] for sale in it.sales("ord_e1")] == ["cancelled"]


async def ships_in_parts_from_two_warehouses(it: Desk) -> None:
    before = it.stock("MUG"), it.stock("MUG", "EAST")
    received = [moved("receive", "MUG", 10), moved("receive", "MUG", 5, place="LEEDS")]
    assert (await it.post("p-f1", *received)).kind == "confirmed"
    await it.send("book_order", order("ord_f1", MUGS))
    here = moved("ship", "MUG", 1, order="ord_f1", line="l1")
    there = moved("ship", "MUG", 2, place="LEEDS", order="ord_f1", line="l1")
    assert (await it.probe("post_movements", posting("p-f2", here, there))).kind == "later"
    outcomes = [await it.post("p-f2", here, there) for _ in range(2)]
    assert [outcome.kind for outcome in outcomes] == ["confirmed"] * 2
    assert it.documents("out", "p-f2") == ["done", "done"]
    after = it.stock("MUG"), it.stock("MUG", "EAST")
    assert (after[0] - before[0], after[1] - before[1]) == (9, 3)
    (sale,) = it.sales("ord_f1")
    assert sale["state"] in ("confirmed", "processing")
    cancel = CancelOrder("ord_f1", "c1", [ToldLine("l1", "MUG", 3)], NOW, "customer")
    assert (await it.send("cancel_order", cancel)).code == "sale_confirmed"


async def returns_adjusts_and_transfers(it: Desk) -> None:
    before = it.stock("CUP"), it.stock("CUP", "EAST")
    outcome = await it.post(
        "p-g1", moved("receive", "CUP", 10), moved("adjust", "CUP", -1, "A1"),
        moved("adjust", "CUP", 3, "A2"), moved("return_receive", "CUP", 2, "R1"),
    )  # fmt: skip
    assert outcome.kind == "confirmed", outcome
    assert (await it.post("p-g2", moved("transfer_ship", "CUP", 4, "T1"))).kind == "confirmed"
    assert (it.stock("CUP") - before[0], it.stock("CUP", "EAST") - before[1]) == (10, 0)
    arrived = moved("transfer_receive", "CUP", 4, "T1", "LEEDS")
    assert (await it.post("p-g3", arrived)).kind == "confirmed"
    assert (it.stock("CUP") - before[0], it.stock("CUP", "EAST") - before[1]) == (10, 4)


async def posts_nothing_that_does_not_add_up(it: Desk) -> None:
    wrong = msgspec.structs.replace(posting("p-h1", moved("receive", "MUG", 2)), value="9.00")
    outcome = await it.send("post_movements", wrong)
    assert (outcome.kind, outcome.code) == ("rejected", "totals_differ")
    assert it.documents("in", "p-h1") == []


async def reads_back_what_stock_is_worth(it: Desk) -> None:
    def cups(found):
        return next(((v.quantity, v.value) for v in found if v[:2] == ("CUP", "LONDON")), (0, 0))

    today = dt.datetime.now(dt.UTC).date()
    before = cups(await it.books.valuation(today))
    assert (await it.post("p-i1", moved("receive", "CUP", 7))).kind == "confirmed"
    after = cups(await it.books.valuation(today))
    assert (after[0] - before[0], after[1] - before[1]) == (7, 35)
    assert it.stock("CUP") == after[0]


async def tells_its_items(it: Desk) -> None:
    entries = {entry.sku async for entry in it.connector.catalog()}
    page = await it.connector.poll("items", None, None)
    said = [decode(message.topic, message.body, {"system": "erp"}) for message in page.messages]
    found = {event.data["sku"]: event.data for each in said for event in each}  # type: ignore[union-attr]
    assert entries == set(found) == {"MUG", "CUP"}
    assert float(found["CUP"]["standard_cost"]) == 5
    assert float(found["MUG"]["attributes"]["list_price"]) == 12.5
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert (await it.connector.poll("items", later, None)).messages == []
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=800)  # the seeded books are kept
    assert len((await it.connector.poll("items", since, None)).messages) == 2


async def tells_its_warehouses(it: Desk) -> None:
    page = await it.connector.poll("locations", None, None)
    config = {"system": "erp", "locations": {"LONDON": "WH", "LEEDS": "EAST"}}
    said = [decode(message.topic, message.body, config) for message in page.messages]
    assert sorted(event.data["code"] for each in said for event in each) == ["LEEDS", "LONDON"]  # type: ignore[union-attr]
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert (await it.connector.poll("locations", later, None)).messages == []


async def is_set_up_right(it: Desk) -> None:
    checks = await it.connector.test()
    assert [check for check in checks if not check.is_good] == []


TABLE = (
    books_once,
    calls_off_what_a_lost_call_made_twice,
    goes_on_where_it_was_cut_off,
    refuses_what_it_does_not_know,
    changes_and_cancels_until_goods_leave,
    ships_in_parts_from_two_warehouses,
    returns_adjusts_and_transfers,
    posts_nothing_that_does_not_add_up,
    reads_back_what_stock_is_worth,
    tells_its_items,
    tells_its_warehouses,
    is_set_up_right,
)


@pytest.mark.parametrize("behaviour", TABLE, ids=lambda behaviour: behaviour.__name__)
async def test_tryton(erp, behaviour):
    async with desk(erp) as it:
        await behaviour(it)
