"""What tests of the shop share."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from stockbridge.connectors.kit.conformance.bench import SYSTEM, Bench, bench
from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.kit.simulator import Listed, Ordered
from stockbridge.connectors.shopify.selling import LEEDS
from stockbridge.connectors.shopify.simulator import Simulator
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import (
    Connector,
    Delivery,
    EventData,
    Incoming,
    StockUpdate,
)
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment, ToldLine

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@contextlib.asynccontextmanager
async def shop() -> AsyncIterator[tuple[Bench, Simulator]]:
    async with bench(Registry(), "shopify") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        yield made, simulator


def row(number: int, listed: Listed, quantity: int, previous: int | None = 5) -> StockUpdate:
    return StockUpdate(number, f"SKU-{number}", listed.item, listed.location, quantity, 1, previous)


def owed(payload: Any, key: str = "key-1") -> Delivery:
    name = "confirm_shipment" if isinstance(payload, ConfirmShipment) else "cancel_order"
    return Delivery(1, name, "order:1", key, "c", 1, payload)


def told(ordered: Ordered, units: Mapping[str, int]) -> list[ToldLine]:
    """Lines by sku."""
    lines = {line.sku: line.line for line in ordered.lines}
    return [ToldLine(lines[sku], sku, quantity) for sku, quantity in units.items()]


def parcel(
    ordered: Ordered, package: str, units: Mapping[str, int], tracking: str = "", place: str = ""
) -> Delivery:
    return owed(
        ConfirmShipment(
            ordered.number, package, told(ordered, units), NOW, place or "LONDON", "UPS", tracking
        )
    )


def cancellation(ordered: Ordered, name: str, units: Mapping[str, int]) -> Delivery:
    payload = CancelOrder(ordered.number, name, told(ordered, units), NOW, "out_of_stock")
    return owed(payload, f"key-{name}")


async def read(connector: Connector) -> list[Incoming]:
    """Every message of the feed."""
    found: list[Incoming] = []
    cursor = None
    while True:
        page = await connector.poll("orders", None, cursor)
        found += page.messages
        cursor = page.cursor
        if cursor is None:
            return found


def events(made: Bench, message: Incoming, **config: Any) -> list[tuple[str, dict[str, Any]]]:
    """Types, without what they begin and end with, and data."""
    given = {**made.simulator.config(), "system": SYSTEM, **config}
    decoded = made.registry.decode("shopify", message.topic, message.body, given)
    assert not isinstance(decoded, Undecodable), decoded
    return [
        (event.type.split(".")[-2], dict(event.data))
        for event in decoded
        if isinstance(event, EventData)
    ]


async def everything(made: Bench, simulator: Simulator) -> None:
    """Something of all that is ever asked of Shopify."""
    connector = made.open()
    await connector.test()
    mug, tea = simulator.list_item("MUG", 50), simulator.list_item("TEA", 50)
    bundle = simulator.list_item("SET", 5)
    simulator.bundle(bundle)
    leeds = Listed(tea.item, LEEDS)
    rows = [row(1, mug, 60, 50), row(2, leeds, 7, None), row(3, bundle, 1), row(4, tea, 9, 3)]
    await connector.publish([*rows, row(5, simulator.unlisted(), 1, None)])
    simulator.concurrent_calls = 1
    await connector.publish([row(1, mug, 61, 60)])
    _ = [entry async for entry in connector.catalog()]
    ordered = simulator.order({"MUG": 5, "TEA": 5})
    mugs = ordered.lines[0].line
    simulator.move(ordered.number, mugs, 1)
    simulator.lines_max = 1
    for tracking in ("1Z1", "1Z1"):
        await connector.send(parcel(ordered, f"P-{tracking}", {"MUG": 2, "TEA": 1}, tracking))
    await connector.probe(parcel(ordered, "P-1Z1", {"MUG": 2, "TEA": 1}, "1Z1"))
    await connector.send(parcel(ordered, "P-2", {"MUG": 9}))
    await connector.send(cancellation(ordered, "C1", {"TEA": 1}))
    await connector.send(cancellation(ordered, "C2", {"TEA": 9}))
    for _ in range(10):
        simulator.refund(ordered.number, {mugs: 0}, "RETURN")
    simulator.take_back(ordered.number, mugs, {"RESTOCKED": 1, "MISSING": 1})
    whole = simulator.order({"MUG": 1, "TEA": 1})
    delivery = cancellation(whole, "C3", {"MUG": 1, "TEA": 1})
    outcome = await connector.send(delivery)
    await connector.probe(msgspec.structs.replace(delivery, reference=outcome.reference))
    await read(connector)
