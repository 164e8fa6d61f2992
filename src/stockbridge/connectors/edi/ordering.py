"""Partners' orders and shorts as the hub's events. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from typing import Any, Final

from stockbridge.connectors.edi.partner.booking import Booking
from stockbridge.connectors.edi.partner.ordering import Address, Order, Orders, Wanted
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import EventData

PLACED: Final = "io.stockbridge.order.placed.v1"
EDITED: Final = "io.stockbridge.order.edited.v1"
CANCELLED: Final = "io.stockbridge.order.cancelled.v1"
_COUNTRY_LETTERS: Final = 2
_RELEASE, _PART = "#", "@"
"""Between their number, a release and a destination in our number of an order."""
Told = EventData | Undecodable


def order_events(meaning: Orders, config: Mapping[str, Any]) -> Iterator[Told]:
    """Events of a buyer's orders and changes; a supplier's answer to our order says none."""
    for order in meaning.orders:
        if order.kind == "warehouse":
            yield Undecodable("not_ours", f"order {order.number} asks us to ship as a building")
        elif not config.get("channel"):
            detail = f"order {order.number}: the system has no channel that it could be of"
            yield Undecodable("no_channel", detail, ("config",))
        else:
            yield _event(order, str(config["channel"]), str(config.get("mode") or "backorder"))


def _event(order: Order, channel: str, mode: str) -> Told:
    named = {"channel": channel, "number": _number(order)}
    if order.action == "cancel":
        # A purchase order is cancelled once; which message says so does not matter.
        return EventData(CANCELLED, {**named, "by": "customer"})
    version = _version(order)
    if version is None:
        detail = f"change {order.change_number!r} of order {order.number} has no whole number"
        return Undecodable("change_not_numbered", detail)
    if order.action == "change":
        return _changed(order, named, version)
    lines = [_line(line, order.currency) for line in order.lines]
    placed = {**named, "mode": mode, "version": version, "lines": lines}
    if order.date is not None:
        placed["placed_at"] = datetime.combine(order.date, time(12), UTC).isoformat()
    if order.currency:
        placed["currency"] = order.currency
    buyer = order.buyer or order.bill_to
    if buyer is not None and (buyer.id or buyer.name):
        placed["customer"] = buyer.id or buyer.name
    if order.ship_to is not None:
        placed["ship_to"] = _address(order.ship_to)
    return EventData(PLACED, placed)


def _number(order: Order) -> str:
    """A release of a blanket order, and each destination of a split one, is an order of its own."""
    release = f"{_RELEASE}{order.release}" if order.release else ""
    return f"{order.number}{release}{f'{_PART}{order.part}' if order.part else ''}"


def order_named(number: str) -> tuple[str, str, str]:
    """(their number, release, destination) of an order of ours.

    >>> order_named("PO-1#R2@009"), order_named("PO-1")
    (('PO-1', 'R2', '009'), ('PO-1', '', ''))
    """
    head, _, part = number.partition(_PART)
    order, _, release = head.partition(_RELEASE)
    return order, release, part


def _version(order: Order) -> int | None:
    """0 for the order as placed, then the numbers of its changes; a replacement is a change."""
    if order.action == "place":
        return 0
    number = order.change_number
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None  # noqa: PLR2004


def _changed(order: Order, named: dict[str, str], version: int) -> Told:
    added = [line.line for line in order.lines if line.action == "add"]
    if added:
        detail = f"order {order.number}: lines {', '.join(added)} are added to it by a change"
        return Undecodable("lines_added", detail)
    lines = [
        {"line": line.line, "quantity": 0 if line.action == "cancel" else line.quantity}
        for line in order.lines
    ]
    return EventData(EDITED, {**named, "version": version, "lines": lines})


def _line(line: Wanted, currency: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "line": line.line, "quantity": line.quantity, "sku": line.sku, "alias": line.alias,
        "namespace": line.namespace, "uom": line.uom,
    }  # fmt: skip
    if line.price is not None and currency:
        said |= {"unit_price": str(line.price), "currency": currency}
    return {name: value for name, value in said.items() if value is not None}


def _address(party: Address) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": party.name or party.id, "street": party.lines[:5], "city": party.city,
        "region": party.region, "postal_code": party.postal_code,
    }  # fmt: skip
    country = party.country.upper()
    if len(country) == _COUNTRY_LETTERS and country.isalpha():
        said["country"] = country
    return said


def short_events(booking: Booking, config: Mapping[str, Any]) -> Iterator[Told]:
    """What a building will not ship any more is called off, where the order's channel is known.

    The hub calls off no more than what has not left, so a report that repeats is no harm.
    """
    channel = config.get("shorts_channel")
    if not channel:
        return
    for short in booking.shorts:
        if not short.is_closed or short.line is None:
            continue
        yield EventData(
            CANCELLED,
            {
                "channel": channel,
                "number": short.order,
                "cancellation": f"short/{short.line}",
                "lines": [{"line": short.line, "quantity": short.quantity}],
                "by": "building",
                "reason": f"short ({short.status})",
            },
        )
