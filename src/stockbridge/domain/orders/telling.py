"""What the channel's own system is told of an order: we have it, this left, this will not come.

Told is what an order comes to, not the reports themselves: each change is compared with what was
owed before, so reports in any order, any number of times, tell every unit once.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from stockbridge.contracts.commands import ReportShipment
from stockbridge.contracts.partners.operations import (
    AcknowledgeOrder,
    CancelOrder,
    ConfirmShipment,
    ToldLine,
)
from stockbridge.domain.masters.model import System
from stockbridge.domain.orders.owing import owe
from stockbridge.domain.orders.progress import LineView
from stockbridge.domain.orders.rules import ACCEPTED, RELEASED
from stockbridge.domain.world.command import Command
from stockbridge.domain.world.model import FulfilmentLine
from stockbridge.domain.world.order import Order, OrderContent
from stockbridge.domain.world.world import World

ACKNOWLEDGE = "acknowledge_order"
SHIPMENT = "confirm_shipment"
CANCELLATION = "cancel_order"
_THEIRS = ("channel", "customer")


class Parcel(NamedTuple):
    """What a building said of a parcel; its name is the building's."""

    name: str
    location: str
    shipped_at: datetime
    carrier: str = ""
    tracking: str = ""
    tracking_url: str = ""


def tell(
    world: World,
    order: Order,
    views: Sequence[LineView],
    reports: Iterable[FulfilmentLine],
    passed: Sequence[str],
    command: Command,
) -> None:
    """Owe the channel's system what is new about the order; nothing to a channel without one."""
    channel = world.masters.channels_by_id[order.channel_id]
    system = world.masters.systems.get(channel.system) if channel.system is not None else None
    if system is None or not system.operations:
        return
    if system.takes(ACKNOWLEDGE) and not order.told.acknowledged:
        _acknowledge(world, order, views, passed, system, command)
    if system.takes(SHIPMENT):
        _ship(world, order, views, reports, system, command)
    if system.takes(CANCELLATION):
        _call_off(world, order, views, system, command)


def _acknowledge(
    world: World,
    order: Order,
    views: Sequence[LineView],
    passed: Sequence[str],
    system: System,
    command: Command,
) -> None:
    """Once, when the order is ours to work: accepted."""
    lines = _lines(views, {v.line.name: v.line.in_uom(v.promised) for v in views})
    if lines and (ACCEPTED in passed or RELEASED in passed):
        order.told = msgspec.structs.replace(order.told, acknowledged=True)
        payload = AcknowledgeOrder(order.number, lines, world.now)
        owe(world, order, system.code, ACKNOWLEDGE, "taken", payload, command)


def _ship(
    world: World,
    order: Order,
    views: Sequence[LineView],
    reports: Iterable[FulfilmentLine],
    system: System,
    command: Command,
) -> None:
    """Units that left and were not told; what the system told us itself it knows."""
    shipped = {view.line.name: view.line.in_uom(view.shipped) for view in views}
    news = _news(shipped, order.told.shipped)
    if not news:
        return
    order.told = msgspec.structs.replace(
        order.told, shipped={**order.told.shipped, **{name: shipped[name] for name in news}}
    )
    if command.system == system.code:
        return
    parcel = _parcel(world, reports, command)
    lines = _lines(views, news)
    if _joins(world, order, system, parcel, lines):
        return
    times = order.told.parcels.get(parcel.name, 0) + 1
    order.told = msgspec.structs.replace(
        order.told, parcels={**order.told.parcels, parcel.name: times}
    )
    name = parcel.name if times == 1 else f"{parcel.name}-{times}"
    payload = ConfirmShipment(
        order.number, name, lines, parcel.shipped_at, parcel.location, parcel.carrier,
        parcel.tracking, parcel.tracking_url,
    )  # fmt: skip
    owe(world, order, system.code, SHIPMENT, name, payload, command)


def _parcel(world: World, reports: Iterable[FulfilmentLine], command: Command) -> Parcel:
    """The parcel the command is about; else, as when the order came last, the one reported."""
    body = command.body
    if isinstance(body, ReportShipment):
        packages = {line.package for line in body.lines}
        package = packages.pop() if len(packages) == 1 else None
        name = f"{body.shipment}/{package}" if package else body.shipment
        return Parcel(
            name, body.location, body.occurred_at or world.now, body.carrier or "",
            body.tracking or "", body.tracking_url or "",
        )  # fmt: skip
    left = sorted((r for r in reports if r.shipped), key=lambda r: (r.fulfilment, r.line))
    name = left[-1].fulfilment if left else "parcel"
    place = world.masters.locations_by_id[left[-1].location_id].code if left else ""
    return Parcel(name, place, world.now)


def _joins(
    world: World, order: Order, system: System, parcel: Parcel, lines: Sequence[ToldLine]
) -> bool:
    """Whether the lines went into a parcel that this batch owes already: it left as one."""
    times = order.told.parcels.get(parcel.name, 0)
    name = parcel.name if times <= 1 else f"{parcel.name}-{times}"
    for place, owed in enumerate(world.owed):
        payload = owed.payload
        if (
            isinstance(payload, ConfirmShipment)
            and (owed.system, payload.order, payload.package) == (system.code, order.number, name)
            and times
        ):
            merged = {line.line: line for line in payload.lines}
            for line in lines:
                known = merged.get(line.line)
                units = line.quantity + (known.quantity if known is not None else 0)
                merged[line.line] = msgspec.structs.replace(line, quantity=units)
            whole = msgspec.structs.replace(payload, lines=list(merged.values()))
            world.owed[place] = owed._replace(payload=whole)
            return True
    return False


def _call_off(
    world: World, order: Order, views: Sequence[LineView], system: System, command: Command
) -> None:
    """Units that we, the ERP or a building called off; what the channel called off it knows."""
    ours = [cancel for cancel in order.content.cancels.values() if cancel.by not in _THEIRS]
    rejected = order.content.erp is not None and not order.content.erp.accepted
    if not rejected and not any(cancel.stands for cancel in ours):
        return
    off = {view.line.name: _off_by_us(order.content, view) for view in views}
    news = _news(off, order.told.off)
    if not news:
        return
    told = {**order.told.off, **{name: off[name] for name in news}}
    order.told = msgspec.structs.replace(order.told, off=told)
    number = f"{order.number}-{sum(told.values())}"
    reason = next((cancel.reason for cancel in reversed(ours) if cancel.stands), "")
    payload = CancelOrder(
        order.number, number, _lines(views, news), world.now, reason or "rejected"
    )
    owe(world, order, system.code, CANCELLATION, number, payload, command)


def _off_by_us(content: OrderContent, view: LineView) -> int:
    """Of the units called off, those that the channel did not call off itself."""
    line, theirs = view.line, 0
    for cancel in content.cancels.values():
        if cancel.stands and cancel.by in _THEIRS:
            every = line.in_uom(view.wanted)
            theirs += every if cancel.lines is None else cancel.lines.get(line.name, 0)
    return max(0, line.in_uom(view.off) - theirs)


def _news(now: Mapping[str, int], told: Mapping[str, int]) -> dict[str, int]:
    """Units beyond what was told, by line; what shrank cannot be untold."""
    return {
        name: units - told.get(name, 0) for name, units in now.items() if units > told.get(name, 0)
    }


def _lines(views: Sequence[LineView], units: Mapping[str, int]) -> list[ToldLine]:
    return [
        ToldLine(view.line.name, view.line.sku, units[view.line.name], view.line.uom or "")
        for view in views
        if units.get(view.line.name, 0) > 0
    ]
