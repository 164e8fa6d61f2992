"""The public answer about an order."""

from collections.abc import Iterable, Mapping
from typing import Any

from stockbridge.domain.orders.progress import LineView, views_of
from stockbridge.domain.reservations.rules import public_id as reservation_id
from stockbridge.domain.world.model import FulfilmentLine, Hold
from stockbridge.domain.world.order import Cancel, Order
from stockbridge.kernel.accounts import RESERVED

PREFIX = "ord_"


def order_answer(
    order: Order,
    channel: str,
    holds: Iterable[Hold],
    reported: Iterable[FulfilmentLine],
    places: Mapping[int, str],
) -> dict[str, Any]:
    """The order and how far each line is, in the line's base units (kits: whole kits).

    `channel` is its code, `places` the codes of locations by id.
    """
    content = order.content
    by_line: dict[int, list[Hold]] = {}
    for hold in holds:
        by_line.setdefault(hold.line_no, []).append(hold)
    views = views_of(content, reported)
    held, reply = content.held, content.erp
    return {
        "id": public_order(order.order_id),
        "channel": channel,
        "number": order.number,
        "state": order.state,
        "mode": content.mode,
        "version": content.version,
        "placed_at": content.placed_at,
        "paid_at": content.paid_at,
        "released_at": content.released_at,
        "ended_at": order.ended_at,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "reservation": reservation_id(order.reservation_id) if order.reservation_id else None,
        "customer": content.head.get("customer"),
        "currency": content.head.get("currency"),
        "ship_to": content.head.get("ship_to"),
        "hold": held.reason if held is not None and held.on else None,
        "erp": None if reply is None else {
            "accepted": reply.accepted, "reference": reply.reference, "reason": reply.reason,
        },
        "lines": [_line(view, by_line.get(view.line.line_no, []), places) for view in views],
        "cancellations": [
            _cancellation(key, cancel) for key, cancel in content.cancels.items() if cancel.known
        ],
        "correlation_id": order.correlation_id,
    }  # fmt: skip


def _line(view: LineView, holds: list[Hold], places: Mapping[int, str]) -> dict[str, Any]:
    line = view.line
    part, each = line.parts[0]
    mine = [(hold, hold.quantity // each) for hold in holds if hold.item_id == part]
    waiting = sum(units for hold, units in mine if hold.account != RESERVED)
    # Lines of one item lend to one another, so what a line has is told from what is open of it.
    still = min(units // each for (_, units), (_, each) in zip(view.open, line.parts, strict=True))
    backordered = min(still, waiting)
    sources = [
        {"location": places[hold.location_id], "quantity": units}
        for hold, units in mine
        if hold.account == RESERVED
    ]
    return {
        "line": line.name,
        "sku": line.sku,
        "quantity": line.in_uom(view.wanted),
        "uom": line.uom,
        "units": view.wanted,
        "unit_price": line.unit_price,
        "currency": line.currency,
        "cancelled": view.off,
        "reserved": still - backordered,
        "backordered": backordered,
        "allocated": view.allocated,
        "picked": view.picked,
        "packed": view.packed,
        "shipped": view.shipped,
        "sources": sources,
    }


def _cancellation(key: str, cancel: Cancel) -> dict[str, Any]:
    state = "asked" if cancel.asks and cancel.agreed is None else "done"
    return {
        "cancellation": key,
        "state": state if cancel.agreed is not False else "refused",
        "by": cancel.by,
        "reason": cancel.reason,
        "lines": None
        if cancel.lines is None
        else [{"line": name, "quantity": units} for name, units in cancel.lines.items()],
    }


def public_order(order_id: int) -> str:
    """The id partners see."""
    return f"{PREFIX}{order_id:x}"


def internal_order(public: str) -> int:
    """The id of a well-formed public one."""
    return int(public[len(PREFIX) :], 16)
