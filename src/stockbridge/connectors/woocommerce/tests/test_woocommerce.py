"""WooCommerce's traps, each against the simulator."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stockbridge.connectors.kit.conformance.bench import Bench, bench, events_of, kinds
from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.woocommerce import mapping
from stockbridge.connectors.woocommerce.simulator import Simulator
from stockbridge.contracts.partners.model import Delivery, StockUpdate
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment, ToldLine

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@contextlib.asynccontextmanager
async def shop() -> AsyncIterator[tuple[Bench, Simulator]]:
    async with bench(Registry(), "woocommerce") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        yield made, simulator


def update(number: int, item: str, quantity: int) -> StockUpdate:
    return StockUpdate(number, f"SKU-{number}", item, "", quantity, 1, None)


def owed(payload: Any) -> Delivery:
    name = "confirm_shipment" if isinstance(payload, ConfirmShipment) else "cancel_order"
    return Delivery(1, name, "order:1", "0", "c", 1, payload)


def parcel(order: str, package: str, lines: list[ToldLine]) -> Delivery:
    return owed(ConfirmShipment(order, package, lines, NOW, "LONDON", "DPD", "1550"))


async def test_variations_are_set_by_their_product():
    async with shop() as (made, simulator):
        mug = simulator.list_item("MUG", 1)
        small, large = simulator.list_variation("S", 1), simulator.list_variation("L", 1)
        rows = [update(1, small.item, 4), update(2, mug.item, 5), update(3, large.item, 6)]
        connector = made.open()
        assert kinds(await connector.publish(rows)) == ["confirmed"] * 3
        assert [o.quantity for o in await connector.observe(rows)] == [4, 5, 6]
        paths = {call.path.removeprefix("/wp-json/wc/v3") for call in simulator.called("publish")}
        parents = {item.item.split(":")[0] for item in (small, large)}
        assert paths == {"/products/batch"} | {f"/products/{p}/variations/batch" for p in parents}


async def test_what_the_parent_manages_has_no_figure():
    async with shop() as (made, simulator):
        small = simulator.list_variation("S", 1)
        simulator.manage_by_parent(small)
        found = await made.open().observe([update(1, small.item, 4)])
        assert found[0].quantity is None
        assert "parent" in found[0].problem


async def test_a_batch_answered_with_another_figure_is_not_taken_for_done():
    said = {"update": [{"id": 7, "stock_quantity": 3}, {"id": 8, "stock_quantity": None}]}
    found = mapping.row_outcomes([update(1, "7", 4), update(2, "8", 4), update(3, "9", 4)], said)
    assert kinds(found) == ["accepted", "rejected", "unknown"]


@pytest.mark.parametrize(
    "parcels, statuses",
    [
        ([{"a": 2, "b": 1}], ["completed"]),
        ([{"a": 1}, {"b": 1}, {"a": 1}], ["processing", "processing", "completed"]),
    ],
)
async def test_the_last_parcel_completes_the_order(parcels, statuses):
    async with shop() as (made, simulator):
        for sku in ("a", "b"):
            simulator.list_item(sku, 9)
        ordered = simulator.order({"a": 2, "b": 1})
        lines = {line.sku: line.line for line in ordered.lines}
        connector, seen = made.open(), []
        for number, parts in enumerate(parcels):
            told = [ToldLine(lines[sku], sku, n) for sku, n in parts.items()]
            await connector.send(parcel(ordered.number, f"P{number}", told))
            seen.append(simulator._orders[int(ordered.number)]["status"])
        assert seen == statuses
        assert len(simulator.called("note")) == len(parcels)


async def test_a_note_that_fails_is_no_reason_to_ship_twice():
    async with shop() as (made, simulator):
        simulator.list_item("a", 9)
        ordered = simulator.order({"a": 1})
        simulator.fault("fail_before", "note")
        delivery = parcel(ordered.number, "P1", [ToldLine(ordered.lines[0].line, "a", 1)])
        assert (await made.open().send(delivery)).code == "note_failed"
        assert made.done("confirm_shipment") == 1


@pytest.mark.parametrize("units, status", [(2, "cancelled"), (1, "processing")])
async def test_only_a_whole_cancellation_changes_the_status(units, status):
    async with shop() as (made, simulator):
        simulator.list_item("a", 9)
        ordered = simulator.order({"a": 2})
        lines = [ToldLine(ordered.lines[0].line, "a", units)]
        payload = CancelOrder(ordered.number, "C1", lines, NOW, "LOST")
        assert (await made.open().send(owed(payload))).kind == "confirmed"
        assert simulator._orders[int(ordered.number)]["status"] == status


async def test_a_refund_calls_off_its_units_and_has_a_message_of_its_own():
    async with shop() as (made, simulator):
        simulator.list_item("a", 9)
        ordered = simulator.order({"a": 3})
        connector = made.open()
        before = await connector.poll("orders", None, None)
        simulator.refund(ordered.number, {ordered.lines[0].line: 2})
        after = await connector.poll("orders", None, None)
        assert before.messages[0].message_id != after.messages[0].message_id
        config = {**simulator.config(), "system": "shop"}
        events = mapping.decode("order", after.messages[0].body, config)
        placed, cancelled = events_of(events)
        assert [placed.type, cancelled.type] == [mapping.PLACED, mapping.CANCELLED]
        assert cancelled.data["lines"] == [{"line": ordered.lines[0].line, "quantity": 2}]


async def test_two_changes_within_one_second_are_two_messages():
    order = {"id": 1, "date_modified_gmt": "2026-11-20T09:00:00", "status": "on-hold"}
    paid = {**order, "status": "processing"}
    assert mapping.incoming(order, []).message_id != mapping.incoming(paid, []).message_id


async def test_many_orders_of_one_second_are_all_read():
    async with shop() as (made, simulator):
        simulator.page_max = 2
        simulator.list_item("a", 99)
        numbers = {simulator.order({"a": 1}).number for _ in range(9)}
        for order in simulator._orders.values():
            order["date_modified_gmt"] = "2026-11-20T09:00:00"
        connector, found, cursor = made.open(), [], None
        while True:
            page = await connector.poll("orders", None, cursor)
            found += [message.message_id.split("/")[1] for message in page.messages]
            cursor = page.cursor
            if cursor is None:
                break
        assert set(found) == numbers


async def test_webhooks_that_the_shop_gave_up_are_found():
    async with shop() as (made, simulator):
        simulator.failed_deliveries = 5
        check = (await made.open().test())[-1]
        assert not check.is_good
        assert "order.created" in check.detail
        assert "enable" in check.fix


async def test_an_order_deleted_for_good_is_called_off():
    async with shop() as (made, simulator):
        simulator.list_item("a", 9)
        ordered = simulator.order({"a": 1})
        simulator.webhooks()
        simulator.delete(ordered.number)
        hook = simulator.webhooks()[0]
        received = made.open().receive(hook, [simulator.secrets()["webhook"]])
        assert received is not None
        assert received.messages[0].topic == "order_deleted"
