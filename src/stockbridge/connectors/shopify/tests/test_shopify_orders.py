"""Orders, refunds, returns, shipments and cancellations of a Shopify shop."""

import json
from typing import Any

import msgspec
import pytest

from stockbridge.connectors.kit.conformance.bench import IMPATIENT_SECONDS, kinds
from stockbridge.connectors.kit.signing import hmac_base64
from stockbridge.connectors.shopify import mapping
from stockbridge.connectors.shopify.selling import LEEDS, LONDON
from stockbridge.connectors.shopify.tests.acting import (
    cancellation,
    events,
    parcel,
    read,
    shop,
)

# Webhooks --------------------------------------------------------------------------------------


async def test_a_webhook_sent_again_after_a_newer_event_takes_nothing_back():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 2})
        first = simulator.webhooks()[0]
        connector, secrets = made.open(), list(simulator.secrets().values())
        simulator.cancel(ordered.number)
        newer = await read(connector)
        # The retry carries the order as it was; it only lets the orders be read once more.
        received = connector.receive(first, secrets)
        assert received is not None
        assert (received.messages, received.feeds) == ((), ["orders"])
        assert await read(connector) == newer
        assert [kind for kind, _data in events(made, newer[0])] == ["cancelled", "placed"]


async def test_the_same_webhook_under_two_ids_leads_to_one_message():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 2})
        simulator.webhooks()
        simulator.delete(ordered.number)
        sent = simulator.webhooks()[0]
        other = sent._replace(headers={**sent.headers, "x-shopify-webhook-id": "another"})
        connector, secrets = made.open(), list(simulator.secrets().values())
        assert connector.receive(sent, secrets) == connector.receive(other, secrets)
        received = connector.receive(sent, secrets)
        assert received is not None
        assert events(made, received.messages[0])[0][1]["number"] == ordered.number


async def test_a_webhook_of_another_shop_of_the_app_is_not_believed():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        simulator.order({"MUG": 2})
        sent = simulator.webhooks()[0]
        other = {**sent.headers, "x-shopify-shop-domain": "other.myshopify.com"}
        connector, secrets = made.open(), list(simulator.secrets().values())
        assert connector.receive(sent._replace(headers=other), secrets) is None
        assert connector.receive(sent, secrets) is not None


async def test_while_the_secret_is_replaced_both_count():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        simulator.order({"MUG": 2})
        sent, old = simulator.webhooks()[0], simulator.secrets()["client_secret"]
        simulator.rotate()
        new = simulator.secrets()["client_secret"]
        connector = made.open()
        assert connector.receive(sent, [new, old]) is not None
        assert connector.receive(sent, [new]) is None
        signed = {**sent.headers, "x-shopify-hmac-sha256": hmac_base64(new, sent.body)}
        assert connector.receive(sent._replace(headers=signed), [new, old]) is not None


# Orders in -------------------------------------------------------------------------------------


async def test_long_orders_and_many_refunds_come_whole():
    async with shop() as (made, simulator):
        simulator.lines_max = 2
        for number in range(7):
            simulator.list_item(f"SKU-{number}", 99)
        ordered = simulator.order({f"SKU-{number}": 20 for number in range(7)})
        line = ordered.lines[0].line
        for _ in range(12):
            simulator.refund(ordered.number, {line: 1}, "CANCEL")
        told = events(made, (await read(made.open()))[0])
        assert len(told[0][1]["lines"]) == 7
        off = [data for kind, data in told if kind == "cancelled"]
        assert len({data["cancellation"] for data in off}) == 12


async def test_after_many_orders_a_new_query_goes_on(monkeypatch):
    """Shopify pages through 25,000 objects of a query and no further."""
    monkeypatch.setattr("stockbridge.connectors.shopify.client._PAGED_MAX", 4)
    async with shop() as (made, simulator):
        simulator.page_max = 2
        simulator.list_item("MUG", 99)
        numbers = [simulator.order({"MUG": 1}).number for _ in range(11)]
        for place, number in enumerate(numbers):
            simulator.age(number, f"2026-11-20T09:00:{place // 3:02}Z")
        found = {message.message_id.split("/")[1] for message in await read(made.open())}
        assert found == set(numbers)
        asked = {json.loads(c.body)["variables"]["changed"] for c in simulator.called("orders")}
        assert len(asked) > 1


async def test_two_changes_within_a_second_are_two_messages():
    order = {"id": "gid://shopify/Order/1", "updatedAt": "2026-11-20T09:00:00Z"}
    paid = {**order, "displayFinancialStatus": "PAID"}
    one, other = (mapping.incoming(each, [], [], []).message_id for each in (order, paid))
    assert one != other
    assert one.rsplit("/", 1)[0] == other.rsplit("/", 1)[0] == "orders/1/2026-11-20T09:00:00Z"


async def test_addresses_are_not_even_asked_for():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        simulator.order({"MUG": 1})
        config = {**simulator.config(), "reads_addresses": False}
        message = (await read(made.open(config=config)))[0]
        assert b"High Street" not in message.body
        assert "ship_to" not in events(made, message)[0][1]


async def test_test_orders_count_only_where_they_are_wanted():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        number = simulator.order({"MUG": 1}).number
        simulator._orders[number]["test"] = True
        message = (await read(made.open()))[0]
        assert events(made, message) == []
        assert len(events(made, message, takes_test_orders=True)) == 1


# Four mugs are ordered. Then: (what happens, units that stay ordered, units called off by line).
REFUNDS: dict[str, tuple[list[tuple[str, int]], str, int, int]] = {
    "one too many": ([("CANCEL", 1)], "open", 4, 1),
    "brought back": ([("ship", 4), ("RETURN", 1)], "open", 4, 0),
    "brought back while others wait": ([("ship", 2), ("RETURN", 1)], "open", 4, 0),
    "not restocked, had not left": ([("NO_RESTOCK", 1)], "open", 4, 1),
    "a goodwill refund of what had left": ([("ship", 4), ("NO_RESTOCK", 1)], "open", 4, 0),
    "both": ([("ship", 2), ("RETURN", 1), ("CANCEL", 1), ("NO_RESTOCK", 1)], "open", 4, 2),
    "called off, and goodwill": ([("ship", 3), ("CANCEL", 1), ("NO_RESTOCK", 1)], "open", 4, 1),
    "edited out": ([("edit", 1)], "open", 3, 0),
    "edited out, then refunded": ([("edit", 1), ("NO_RESTOCK", 1)], "open", 3, 1),
    "all: whatever restocks nothing": ([("ship", 4), ("NO_RESTOCK", 1)], "all", 4, 1),
    "none: nothing of it": ([("NO_RESTOCK", 1), ("CANCEL", 1)], "none", 4, 1),
}


@pytest.mark.parametrize("name", REFUNDS)
async def test_refunds_call_off_what_has_not_left(name):
    happens, unrestocked, ordered_units, off = REFUNDS[name]
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 4})
        line = ordered.lines[0].line
        for what, units in happens:
            if what == "ship":
                simulator.fulfill(ordered.number, {line: units})
            elif what == "edit":
                simulator.edit(ordered.number, line, units)
            else:
                simulator.refund(ordered.number, {line: units}, what)
        told = events(made, (await read(made.open()))[0], unrestocked=unrestocked)
        assert told[0][0] == "placed"
        assert told[0][1]["lines"][0]["quantity"] == ordered_units
        called_off = [d["lines"][0]["quantity"] for kind, d in told if kind == "cancelled"]
        assert sum(called_off) == off


async def test_what_is_edited_to_nothing_may_come_back():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 4})
        simulator.edit(ordered.number, ordered.lines[0].line, 4)
        told = events(made, (await read(made.open()))[0])
        assert told[0][0] == "edited"
        assert told[0][1]["lines"] == [{"line": ordered.lines[0].line, "quantity": 0}]


@pytest.mark.parametrize("restocks, sellable", [(False, 0), (True, 1)])
async def test_returns_wait_for_inspection_unless_the_shop_decides(restocks, sellable):
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 4})
        line = ordered.lines[0].line
        simulator.fulfill(ordered.number, {line: 4})
        kinds_of = {"RESTOCKED": 1, "PROCESSING_REQUIRED": 1, "NOT_RESTOCKED": 1, "MISSING": 1}
        simulator.take_back(ordered.number, line, kinds_of)
        refund = simulator.refund(ordered.number, {line: 1}, "RETURN")
        # The refund that belongs to a return tells the same goods once more.
        simulator._orders[ordered.number]["refunds"][refund]["return"] = "77"
        message = (await read(made.open()))[0]
        back = [d for kind, d in events(made, message, restocks_returns=restocks)
                if kind == "returned"]  # fmt: skip
        assert [data["quantity"] for data in back] == [1, 1, 1]
        assert len({data["document"]["line"] for data in back}) == 3
        assert sum(data.get("disposition") == "restock" for data in back) == sellable
        assert not [k for k, _ in events(made, message, takes_returns=False) if k == "returned"]


def line_of(**changed: Any) -> dict[str, Any]:
    item = {"id": "gid://shopify/InventoryItem/7", "tracked": True}
    return {"id": "gid://shopify/LineItem/1", "sku": "MUG", "quantity": 1, "currentQuantity": 1,
            "nonFulfillableQuantity": 0, "requiresShipping": True,
            "variant": {"inventoryItem": item}, **changed}  # fmt: skip


UNTRACKED = {"inventoryItem": {"id": "gid://shopify/InventoryItem/7", "tracked": False}}
# (what the line has, whether untracked items count, by what the line names its item)
LINES: dict[str, tuple[dict[str, Any], bool, str]] = {
    "a mug": ({}, False, "alias"),
    "a mug whose variant was deleted": ({"variant": None}, False, "sku"),
    "a tip": ({"variant": None, "sku": None, "requiresShipping": False}, True, ""),
    "something typed in at the till": ({"variant": None, "sku": ""}, True, ""),
    "a gift card": ({"variant": UNTRACKED, "requiresShipping": False}, True, ""),
    "wrapping that is not counted": ({"variant": UNTRACKED}, True, "alias"),
    "wrapping that the hub does not know": ({"variant": UNTRACKED}, False, ""),
    "a counted ticket": ({"requiresShipping": False}, False, "alias"),
}


@pytest.mark.parametrize("name", LINES)
async def test_lines_that_are_goods(name):
    changed, takes_untracked, named_by = LINES[name]
    order = {"id": "gid://shopify/Order/1", "updatedAt": "2026-11-20T09:00:00Z",
             "createdAt": "2026-11-20T09:00:00Z"}  # fmt: skip
    message = mapping.incoming(order, [line_of(**changed)], [], [])
    async with shop() as (made, _simulator):
        told = events(made, message, takes_untracked=takes_untracked)
    lines = told[0][1]["lines"] if told else [{}]
    assert [key for key in ("alias", "sku") if key in lines[0]] == ([named_by] if named_by else [])


# Shipments out -----------------------------------------------------------------------------------


def remaining(simulator: Any, number: str) -> dict[str, int]:
    """Units still to be sent, by location."""
    found: dict[str, int] = {}
    for each in simulator._orders[number]["fulfillment_orders"].values():
        left = sum(kept["remaining"] for kept in each["lines"].values())
        found[each["location"]] = found.get(each["location"], 0) + left
    return found


async def test_a_parcel_takes_exactly_its_units():
    """A fulfillment order named without lines would go out whole."""
    async with shop() as (made, simulator):
        for sku in ("MUG", "TEA"):
            simulator.list_item(sku, 9)
        ordered = simulator.order({"MUG": 3, "TEA": 2})
        connector = made.open()
        assert (await connector.send(parcel(ordered, "P1", {"MUG": 1}, "1Z1"))).kind == "confirmed"
        assert remaining(simulator, ordered.number) == {LONDON: 4}
        for call in simulator.called("confirm_shipment"):
            sent = json.loads(call.body)["variables"]["fulfillment"]
            assert all(e["fulfillmentOrderLineItems"] for e in sent["lineItemsByFulfillmentOrder"])
            assert sent["notifyCustomer"] is False
            assert sent["trackingInfo"] == {"number": "1Z1", "company": "UPS"}


@pytest.mark.parametrize("tracking", ["", "1Z1"])
async def test_like_parcels_are_two_even_when_answers_are_lost(tracking):
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 3})
        connector = made.open(timeout_seconds=IMPATIENT_SECONDS)
        for package in ("P1", "P2"):
            delivery = parcel(ordered, package, {"MUG": 1}, tracking)
            simulator.fault("drop_after", "confirm_shipment")
            assert (await connector.send(delivery)).kind == "unknown"
            assert (await connector.probe(delivery)).kind == "confirmed"
            assert (await connector.send(delivery)).kind == "confirmed"
        assert made.done("confirm_shipment") == 2
        assert remaining(simulator, ordered.number) == {LONDON: 1}


async def test_a_like_parcel_that_was_not_taken_is_not_mistaken_for_the_one_before():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 3})
        connector = made.open()
        await connector.send(parcel(ordered, "P1", {"MUG": 1}))
        delivery = parcel(ordered, "P2", {"MUG": 1})
        simulator.fault("fail_before", "confirm_shipment")
        assert (await connector.send(delivery)).kind == "unknown"
        assert (await connector.probe(delivery)).kind == "later"
        assert (await connector.send(delivery)).kind == "confirmed"
        assert remaining(simulator, ordered.number) == {LONDON: 1}


@pytest.mark.parametrize("name", ["parcel", "fulfillmentorders", "remember"])
async def test_a_lost_look_up_has_done_nothing(name):
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 1})
        connector, delivery = made.open(), parcel(ordered, "P1", {"MUG": 1})
        simulator.fault("drop_after", name)
        assert (await connector.send(delivery)).kind == "later"
        assert made.done("confirm_shipment") == 0
        assert (await connector.send(delivery)).kind == "confirmed"
        assert made.done("confirm_shipment") == 1


async def test_a_parcel_from_two_places_is_finished_not_repeated():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 4})
        simulator.move(ordered.number, ordered.lines[0].line, 1)
        connector = made.open(timeout_seconds=IMPATIENT_SECONDS)
        delivery = parcel(ordered, "P1", {"MUG": 3}, "1Z1", "LEEDS")
        simulator.fault("drop_after", "confirm_shipment")
        assert (await connector.send(delivery)).kind == "unknown"
        assert remaining(simulator, ordered.number) == {LONDON: 3, LEEDS: 0}
        assert (await connector.probe(delivery)).kind == "later"
        assert (await connector.send(delivery)).kind == "confirmed"
        assert remaining(simulator, ordered.number) == {LONDON: 1, LEEDS: 0}


@pytest.mark.parametrize(
    "what, kind, code",
    [("shipped by hand", "rejected", "not_open"), ("on hold", "later", "on_hold"),
     ("not there", "rejected", "no_order")],
)  # fmt: skip
async def test_what_is_not_open_is_not_sent(what, kind, code):
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 2})
        if what == "shipped by hand":
            simulator.fulfill(ordered.number, {ordered.lines[0].line: 1})
        elif what == "on hold":
            simulator.hold(ordered.number)
        else:
            simulator.delete(ordered.number)
        outcome = await made.open().send(parcel(ordered, "P1", {"MUG": 2}))
        assert (outcome.kind, outcome.code) == (kind, code)
        assert made.done("confirm_shipment") == 0


# Cancellations out -------------------------------------------------------------------------------


async def test_all_of_an_untouched_order_is_cancelled_without_restock_or_money():
    async with shop() as (made, simulator):
        listed = simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 2})
        outcome = await made.open().send(cancellation(ordered, "C1", {"MUG": 2}))
        assert outcome.kind == "accepted"
        assert simulator._orders[ordered.number]["reason"] == "INVENTORY"
        assert simulator.shown(listed) == 7
        sent = json.loads(simulator.called("cancel_order")[0].body)["query"]
        assert "restock: false" in sent
        assert "originalPaymentMethodsRefund: false" in sent


@pytest.mark.parametrize("works", [True, False])
async def test_cancelling_is_a_job_that_is_looked_up(works):
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        simulator.jobs_wait = True
        ordered = simulator.order({"MUG": 2})
        connector, delivery = made.open(), cancellation(ordered, "C1", {"MUG": 2})
        outcome = await connector.send(delivery)
        delivery = msgspec.structs.replace(delivery, reference=outcome.reference)
        assert (await connector.probe(delivery)).kind == "accepted"
        if works:
            simulator.settle()
        else:
            simulator.fail_jobs()
        assert (await connector.probe(delivery)).kind == ("confirmed" if works else "rejected")


@pytest.mark.parametrize("shipped", [0, 1])
async def test_a_part_is_refunded_once_without_restock_and_does_not_come_back(shipped):
    async with shop() as (made, simulator):
        listed = simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 3})
        if shipped:
            simulator.fulfill(ordered.number, {ordered.lines[0].line: shipped})
        units = 1 + shipped
        connector = made.open(timeout_seconds=IMPATIENT_SECONDS)
        delivery = cancellation(ordered, "C1", {"MUG": units})
        simulator.fault("drop_after", "cancel_order")
        assert (await connector.send(delivery)).kind == "unknown"
        assert (await connector.probe(delivery)).kind == "confirmed"
        assert (await connector.send(delivery)).kind == "confirmed"
        assert made.done("cancel_order") == 1
        assert simulator.shown(listed) == 6
        sent = json.loads(simulator.called("cancel_order")[0].body)["variables"]
        assert sent["input"]["refundLineItems"][0]["restockType"] == "NO_RESTOCK"
        assert sent["key"] == delivery.idempotency_key
        # The hub knows of it already: told again as the shop's it would be called off twice.
        told = events(made, (await read(connector))[0])
        assert [kind for kind, _data in told] == ["placed"]
        assert told[0][1]["lines"][0]["quantity"] == 3
        other = await connector.send(cancellation(ordered, "C10", {"MUG": 1}))
        assert other.kind == "confirmed"
        assert made.done("cancel_order") == 2


async def test_a_refund_that_is_refused_says_why():
    async with shop() as (made, simulator):
        for sku in ("MUG", "TEA"):
            simulator.list_item(sku, 9)
        ordered = simulator.order({"MUG": 1, "TEA": 1})
        outcome = await made.open().send(cancellation(ordered, "C1", {"MUG": 2}))
        assert kinds([outcome]) == ["rejected"]
        assert "refund" in outcome.detail


async def test_a_refund_still_running_is_waited_for():
    async with shop() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 3})
        simulator.concurrent_calls = 1
        connector, delivery = made.open(), cancellation(ordered, "C1", {"MUG": 1})
        outcome = await connector.send(delivery)
        assert (outcome.kind, outcome.code) == ("later", "concurrent")
        assert (await connector.send(delivery)).kind == "confirmed"
