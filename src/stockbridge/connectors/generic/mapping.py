"""What the messages of portals and headless shops mean, both ways. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from stockbridge.connectors.kit.canonical import (
    at,
    canonical,
    key_of,
    location_of,
    parsed,
    rfc3339,
    unknown_location,
)
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import (
    Decoded,
    Delivery,
    EventData,
    Incoming,
    Observed,
    Outcome,
    StockUpdate,
)
from stockbridge.contracts.partners.operations import (
    AcknowledgeOrder,
    CancelOrder,
    ConfirmReturn,
    ConfirmShipment,
)

TYPES: Final[Mapping[type[Any], str]] = {
    AcknowledgeOrder: "order.acknowledged",
    ConfirmShipment: "shipment.confirmed",
    CancelOrder: "order.cancelled",
    ConfirmReturn: "return.confirmed",
}
"""What a delivery is called on the wire."""
_ROW_OUTCOMES: Final[Mapping[str, str]] = {
    "applied": "confirmed",
    "superseded": "confirmed",
    "accepted": "accepted",
    "refused": "rejected",
}


def stock_set(updates: Sequence[StockUpdate]) -> dict[str, Any]:
    """The data of stock.set; `expected`: the figure we believe is shown, null: do not compare."""
    return {
        "rows": [
            {
                "item": row.item,
                "quantity": row.quantity,
                "version": row.version,
                "expected": row.previous,
            }
            for row in updates
        ]
    }


def stock_key(system: str, updates: Sequence[StockUpdate]) -> str:
    """The webhook-id of a stock.set: the same for the same figures."""
    rows = [(u.listing_id, u.version, u.quantity, u.previous) for u in updates]
    return key_of("stock.set", system, rows)


def told(delivery: Delivery) -> tuple[str, dict[str, Any]]:
    """Type and data of a delivery."""
    return TYPES[type(delivery.payload)], msgspec.to_builtins(delivery.payload)


def row_outcomes(updates: Sequence[StockUpdate], answer: Any) -> list[Outcome]:
    """One outcome a row from `{"rows": [{"item", "status", ...}]}`; a row not named was applied."""
    rows = at(answer, "rows")
    said = {row.get("item"): row for row in rows or () if isinstance(row, dict)}
    return [_row_outcome(said.get(update.item)) for update in updates]


def _row_outcome(row: Mapping[str, Any] | None) -> Outcome:
    if row is None:
        return Outcome("confirmed")
    status, detail = str(row.get("status")), str(row.get("detail", ""))
    if status == "stale":
        shown = row.get("quantity")
        return Outcome("later", "stale", detail, observed=shown if isinstance(shown, int) else None)
    kind = _ROW_OUTCOMES.get(status, "unknown")
    code = str(row.get("code") or (status if kind in ("rejected", "unknown") else ""))
    return msgspec.convert({"kind": kind, "code": code, "detail": detail}, Outcome)


def observed(updates: Sequence[StockUpdate], answer: Any) -> list[Observed]:
    """What the partner shows, from `{"rows": [{"item", "quantity"}]}`; what it lacks is None."""
    rows = at(answer, "rows")
    shown = {row.get("item"): row.get("quantity") for row in rows or () if isinstance(row, dict)}
    return [Observed(update.item, update.location, shown.get(update.item)) for update in updates]


def incoming(message: Any) -> Incoming | None:
    """A message as it is kept: the same bytes whether a webhook or the feed brought it."""
    name, kind = at(message, "id"), at(message, "type")
    if not isinstance(name, str) or not isinstance(kind, str):
        return None
    return Incoming(message_id=name, topic=topic_of(kind), body=canonical(message))


def topic_of(kind: str) -> str:
    """order.placed -> order_placed; what we have no name for is a `message`."""
    topic = kind.replace(".", "_")
    return topic if topic in _DECODERS else "message"


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept message."""
    try:
        message = parsed(body)
    except ValueError as error:
        return Undecodable("invalid_message", str(error))
    reader, data = _DECODERS.get(topic), at(message, "data")
    if reader is None:
        return Undecodable("unknown_type", f"nothing here reads {at(message, 'type')}")
    if not isinstance(data, dict):
        return Undecodable("invalid_message", "the message has no data")
    return reader(data, str(at(message, "timestamp")), config)


def _placed(data: Mapping[str, Any], _stamp: str, config: Mapping[str, Any]) -> Decoded:
    lines = [_order_line(line) for line in data.get("lines") or () if isinstance(line, dict)]
    event = {
        "channel": config["channel"],
        "number": data.get("order"),
        "mode": "sold",
        "lines": lines,
        **_given(data, "placed_at", "version", "updated_at", "paid_at", "customer", "currency"),
        **_given(data, "ship_to"),
    }
    return [EventData("io.stockbridge.order.placed.v1", event)]


def _order_line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "line": line.get("line"),
        "sku": line.get("item"),
        "quantity": line.get("quantity"),
        **_given(line, "unit_price", "currency", "uom"),
    }


def _cancelled(data: Mapping[str, Any], _stamp: str, config: Mapping[str, Any]) -> Decoded:
    event = {
        "channel": config["channel"],
        "number": data.get("order"),
        **_given(data, "cancellation", "lines", "by", "reason"),
    }
    return [EventData("io.stockbridge.order.cancelled.v1", event)]


def _returned(data: Mapping[str, Any], stamp: str, config: Mapping[str, Any]) -> Decoded:
    theirs = str(data.get("location"))
    ours = location_of(config, theirs)
    if ours is None:
        return unknown_location(config, theirs)
    return [
        EventData(
            "io.stockbridge.stock.returned.v1",
            {
                "sku": line.get("item"),
                "quantity": line.get("quantity"),
                "location": ours,
                "occurred_at": data.get("received_at") or stamp,
                "document": {
                    "type": "return",
                    "number": data.get("return"),
                    "line": line.get("line"),
                },
            },
        )
        for line in data.get("lines") or ()
        if isinstance(line, dict)
    ]


def _given(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: data[name] for name in names if data.get(name) is not None}


_DECODERS: Final[Mapping[str, Callable[[Mapping[str, Any], str, Mapping[str, Any]], Decoded]]] = {
    "order_placed": _placed,
    "order_cancelled": _cancelled,
    "return_received": _returned,
}


def message(kind: str, message_id: str, timestamp: Any, data: Mapping[str, Any]) -> bytes:
    """The bytes of a webhook we send."""
    return canonical(
        {"id": message_id, "type": kind, "timestamp": rfc3339(timestamp), "data": data}
    )


def faults(config: Mapping[str, Any]) -> list[str]:
    """Places of the partner that two of our locations claim."""
    table: Mapping[str, str] = config.get("locations") or {}
    seen = list(table.values())
    return [
        f"locations.{ours}: {theirs} is the place of another location too; give each its own"
        for ours, theirs in table.items()
        if seen.count(theirs) > 1
    ]
