"""Walmart's traps, each against the simulator."""

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from stockbridge.connectors.kit.conformance.bench import Bench, bench, events_of, kinds
from stockbridge.connectors.kit.outcomes import Reply
from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.kit.signing import basic
from stockbridge.connectors.walmart import mapping
from stockbridge.connectors.walmart.client import limit_seen
from stockbridge.connectors.walmart.simulator import Simulator
from stockbridge.contracts.partners.model import (
    Bulky,
    Delivery,
    StockUpdate,
    WebhookRequest,
)
from stockbridge.contracts.partners.operations import (
    AcknowledgeOrder,
    CancelOrder,
    ConfirmShipment,
    ToldLine,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
NODE = "10001234"


@contextlib.asynccontextmanager
async def seller() -> AsyncIterator[tuple[Bench, Simulator]]:
    async with bench(Registry(), "walmart") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        yield made, simulator


def owed(operation: str, payload: Any, reference: str = "") -> Delivery:
    return Delivery(1, operation, "order:1", "0", "c", 1, payload, reference)


async def test_every_figure_names_its_ship_node():
    async with seller() as (made, simulator):
        rows = [made.row(number, number) for number in (1, 2)]
        for row in rows:
            await made.open().publish([row])
        bodies = [json.loads(call.body) for call in simulator.called("publish")]
        assert [body["inventories"]["nodes"][0]["shipNode"] for body in bodies] == [NODE, NODE]
        ids = [call.headers["wm_qos.correlation_id"] for call in simulator.calls]
        assert len(set(ids)) == len(ids) > 2


async def test_a_feed_is_accepted_and_applied_later():
    async with seller() as (made, simulator):
        rows = [made.row(number, 40 + number) for number in range(1, 61)]
        connector = made.open()
        outcomes = await connector.publish_bulk(rows)  # type: ignore[attr-defined]
        assert kinds(outcomes) == ["accepted"] * 60
        assert len({outcome.reference for outcome in outcomes}) == 1
        assert made.shown(rows) == [5] * 60
        simulator.settle()
        assert made.shown(rows) == [40 + number for number in range(1, 61)]


async def test_a_feed_that_got_no_answer_is_in_doubt():
    """A server error after the feed was made: reading the rows tells, nothing is sent blindly."""
    async with seller() as (made, simulator):
        rows = [made.row(number, 9) for number in range(1, 4)]
        simulator.fault("fail_after", "publish_bulk")
        connector: Bulky = made.open()  # type: ignore[assignment]
        assert kinds(await connector.publish_bulk(rows)) == ["unknown"] * 3
        simulator.settle()
        assert made.shown(rows) == [9] * 3


def test_a_feed_has_each_sku_once_and_the_names_in_lower_case():
    rows = [StockUpdate(n, "A", "A", node, n, 1) for n, node in enumerate(("1", "2"), 1)]
    feed = mapping.feed_of([*rows, StockUpdate(3, "B", "B", "1", 3, 1)])
    assert list(feed) == ["inventoryHeader", "inventory"]
    assert [(row["sku"], len(row["shipNodes"])) for row in feed["inventory"]] == [
        ("A", 2),
        ("B", 1),
    ]


async def test_a_token_that_ends_in_between_is_renewed():
    async with seller() as (made, simulator):
        connector, row = made.open(), made.row(1, 7)
        await connector.publish([row])
        simulator.clock.advance(901)
        assert kinds(await connector.publish([row])) == ["confirmed"]
        assert len(simulator.called("token")) == 2


async def test_what_is_not_acknowledged_cannot_be_shipped():
    async with seller() as (made, simulator):
        simulator.list_item("A", 9)
        ordered = simulator.order({"A": 2})
        lines = [ToldLine("1", "A", 2)]
        parcel = ConfirmShipment(ordered.number, "P1", lines, NOW, "LONDON", "UPS", "1Z1")
        connector = made.open()
        assert (await connector.send(owed("confirm_shipment", parcel))).kind == "rejected"
        taken = AcknowledgeOrder(ordered.number, lines, NOW)
        assert (await connector.send(owed("acknowledge_order", taken))).kind == "confirmed"
        assert (await connector.send(owed("confirm_shipment", parcel))).kind == "confirmed"
        assert simulator.left_to_sell("A") == 7


async def test_a_shipment_needs_a_tracking_number():
    async with seller() as (made, simulator):
        simulator.list_item("A", 9)
        ordered = simulator.order({"A": 2})
        parcel = ConfirmShipment(ordered.number, "P1", [ToldLine("1", "A", 2)], NOW, "LONDON")
        outcome = await made.open().send(owed("confirm_shipment", parcel))
        assert (outcome.kind, outcome.code) == ("rejected", "tracking_missing")


@pytest.mark.parametrize("fault, is_done", [("fail_after", True), ("fail_before", False)])
async def test_a_second_cancellation_is_told_from_the_first(fault, is_done):
    """One unit of three is off already; was the other one called off, when no answer came?"""
    async with seller() as (made, simulator):
        simulator.list_item("A", 9)
        ordered, connector = simulator.order({"A": 3}), made.open()
        lines = [ToldLine("1", "A", 1)]
        first = CancelOrder(ordered.number, "C1", lines, NOW, "LOST")
        await connector.send(owed("cancel_order", first))
        second = CancelOrder(ordered.number, "C2", lines, NOW, "LOST")
        simulator.fault(fault, "cancel_order")
        outcome = await connector.send(owed("cancel_order", second))
        assert outcome.kind == "unknown"
        probed = await connector.probe(owed("cancel_order", second, outcome.reference))
        assert probed.kind == ("confirmed" if is_done else "later")


async def test_an_order_called_off_by_walmart_is_found_by_the_poll():
    async with seller() as (made, simulator):
        simulator.list_item("A", 9)
        ordered = simulator.order({"A": 2})
        before = await made.open().poll("orders", None, None)
        simulator.clock.advance(5)
        simulator.cancel(ordered.number)
        after = await made.open().poll("orders", before.newest, None)
        config = {**simulator.config(), "system": "shop"}
        events = mapping.decode("order", after.messages[0].body, config)
        assert [event.type for event in events_of(events)] == [mapping.CANCELLED, mapping.PLACED]


@pytest.mark.parametrize(
    "place, status, units",
    [("LONDON", "DELIVERED", [2]), ("LONDON", "IN_TRANSIT", []), (None, "DELIVERED", [])],
)
async def test_what_comes_back_is_booked_where_it_arrives(place, status, units):
    async with seller() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.give_back(simulator.order({"A": 2}).number, "A", 2, status)
        page = await made.open().poll("returns", None, None)
        config = {**simulator.config(), "system": "shop", "returns_location": place}
        events = mapping.decode("return", page.messages[0].body, config)
        assert [event.data["quantity"] for event in events_of(events)] == units


@pytest.mark.parametrize(
    "headers, remaining, waits",
    [
        ({}, None, None),
        ({"x-current-token-count": "17"}, 17, False),
        ({"x-current-token-count": "-1", "x-next-replenishment-time": "9999999999999"}, 0, True),
    ],
)
def test_limits_are_read_from_headers(headers, remaining, waits):
    seen = limit_seen("publish", Reply(200, headers, b""))
    assert (seen and seen.remaining) == remaining
    assert (seen and bool(seen.wait_seconds)) == waits


async def test_events_may_authenticate_with_a_password():
    async with seller() as (made, simulator):
        config = {**simulator.config(), "webhook_auth": "basic"}
        connector = made.open(config=config)
        request = WebhookRequest(
            "POST", "/", "", {"authorization": basic("hub", "secret")}, msgspec.json.encode({})
        )
        assert connector.receive(request, ["hub:secret"]) is not None
        assert connector.receive(request, ["hub:other"]) is None


async def test_an_event_signed_long_ago_is_not_believed():
    async with seller() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.clock.advance(-600)
        simulator.order({"A": 1})
        hook = simulator.webhooks()[0]
        assert made.open().receive(hook, [simulator.secrets()["webhook"]]) is None


async def test_without_adding_what_is_sold_the_figure_to_sell_is_read():
    async with seller() as (made, simulator):
        row = made.row(1, 5)
        simulator.order({row.sku: 2})
        config = {**simulator.config(), "adds_unshipped": False}
        assert (await made.open().observe([row]))[0].quantity == 5
        assert (await made.open(config=config).observe([row]))[0].quantity == 3
