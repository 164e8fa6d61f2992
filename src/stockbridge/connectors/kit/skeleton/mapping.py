"""What the partner's orders mean, and what is told to it. Pure."""

from collections.abc import Mapping
from typing import Any

from stockbridge.connectors.kit.canonical import at, canonical, parsed, rfc3339
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import Decoded, EventData, Incoming
from stockbridge.contracts.partners.operations import ConfirmShipment


def incoming(order: Any) -> Incoming | None:
    """An order as it is kept: each version of it is another message."""
    number, version = at(order, "id"), at(order, "version")
    if number is None or version is None:
        return None
    return Incoming(f"order/{number}/{version}", "order", canonical(order))


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept order: it was placed, and perhaps called off."""
    if topic != "order":
        return Undecodable("unknown_topic", f"nothing here reads {topic}")
    try:
        order = parsed(body)
    except ValueError as error:
        return Undecodable("invalid_message", str(error))
    lines = at(order, "lines")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        return Undecodable("invalid_message", "the order has no list of lines")
    named = {"channel": config["channel"], "number": at(order, "id")}
    placed = {
        **named,
        "mode": "sold",
        "version": at(order, "version"),
        "placed_at": at(order, "created_at"),
        "lines": [_line(line, str(config["system"])) for line in lines],
    }
    events = [EventData("io.stockbridge.order.placed.v1", placed)]
    if at(order, "status") == "cancelled":
        events.append(EventData("io.stockbridge.order.cancelled.v1", {**named, "by": "customer"}))
    return events


def _line(line: Mapping[str, Any], system: str) -> dict[str, Any]:
    return {
        "line": line.get("id"),
        "alias": line.get("product"),
        "namespace": system,
        "quantity": line.get("quantity"),
    }


def shipment(told: ConfirmShipment) -> dict[str, Any]:
    """A shipment in the partner's words."""
    return {
        "reference": told.package,
        "carrier": told.carrier,
        "tracking": told.tracking,
        "shipped_at": rfc3339(told.shipped_at),
        "lines": [{"id": line.line, "quantity": line.quantity} for line in told.lines],
    }
