"""What the order's ERP is told: the order itself, what becomes of it, and the goods that leave.

As with the channel's system, told is what an order comes to: each change is compared with what was
owed before. Deliveries of one order go one after the other, so the ERP knows it before its goods.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from stockbridge.contracts.commands import ReportShipment
from stockbridge.contracts.partners.operations import (
    BookedLine,
    BookOrder,
    CancelOrder,
    ChangeOrder,
    PostedMovement,
    PostMovements,
    ToldLine,
)
from stockbridge.domain.masters.model import System
from stockbridge.domain.orders.answers import public_order
from stockbridge.domain.orders.owing import owe
from stockbridge.domain.orders.progress import LineView
from stockbridge.domain.world.command import Command
from stockbridge.domain.world.model import FulfilmentLine
from stockbridge.domain.world.order import Order, OrderLine
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import RESERVED

BOOK: Final = "book_order"
CHANGE: Final = "change_order"
CANCEL: Final = "cancel_order"
POST: Final = "post_movements"
_PRICE_DIGITS: Final = Decimal("0.000001")


def book(
    world: World,
    order: Order,
    views: Sequence[LineView],
    reports: Iterable[FulfilmentLine],
    command: Command,
) -> None:
    """Owe the ERP what is new about the order; nothing to one that books no orders."""
    erp = order.content.flow.erp
    system = world.masters.systems.get(erp) if erp is not None else None
    if system is None or not system.takes(BOOK):
        return
    promised = {view.line.name: view.promised for view in views}
    if not order.told.booked:
        _book(world, order, views, promised, system, command)
    elif promised != order.told.booked:
        _change(world, order, views, promised, system, command)
    if order.told.booked and system.takes(POST):
        _post(world, order, reports, system, command)


def _book(
    world: World,
    order: Order,
    views: Sequence[LineView],
    promised: Mapping[str, int],
    system: System,
    command: Command,
) -> None:
    """The order, once there is something of it to work and nobody stopped it."""
    content = order.content
    is_held = content.held is not None and content.held.on
    if content.erp is not None or is_held or not any(promised.values()):
        return
    order.told = msgspec.structs.replace(order.told, booked=dict(promised))
    head = content.head
    prices = [line.currency for line in content.lines if line.currency]
    payload = BookOrder(
        public_order(order.order_id),
        world.masters.channels_by_id[order.channel_id].code,
        order.number,
        [line for line in _lines(views, promised) if line.quantity],
        world.now,
        _main_location(world, order),
        head.get("customer") or "",
        head.get("currency") or next(iter(prices), ""),
        content.placed_at,
        head.get("ship_to") or {},
    )
    owe(world, order, system.code, BOOK, "book", payload, command)


def _change(
    world: World,
    order: Order,
    views: Sequence[LineView],
    promised: Mapping[str, int],
    system: System,
    command: Command,
) -> None:
    """Other quantities, or nothing any more; what the ERP said itself it knows."""
    before, changes = order.told.booked, order.told.changes + 1
    told = {**dict.fromkeys(before, 0), **promised}
    order.told = msgspec.structs.replace(order.told, booked=told, changes=changes)
    if command.system == system.code:
        return
    number = public_order(order.order_id)
    if any(told.values()):
        if system.takes(CHANGE):
            change = ChangeOrder(number, changes, _lines(views, told), world.now)
            owe(world, order, system.code, CHANGE, f"change/{changes}", change, command)
    elif system.takes(CANCEL):
        cancels = order.content.cancels.values()
        reason = next((c.reason for c in reversed([*cancels]) if c.stands and c.reason), "")
        lines = [
            ToldLine(view.line.name, view.line.sku, before[view.line.name])
            for view in views
            if before.get(view.line.name)
        ]
        cancel = CancelOrder(number, f"{number}-{changes}", lines, world.now, reason or "cancelled")
        owe(world, order, system.code, CANCEL, f"cancel/{changes}", cancel, command)


def _post(
    world: World,
    order: Order,
    reports: Iterable[FulfilmentLine],
    system: System,
    command: Command,
) -> None:
    """Goods that left and were not posted, at the cost of now, with their sums to check."""
    left: dict[str, int] = {}
    lines: list[PostedMovement] = []
    for report in sorted(reports, key=lambda r: (r.fulfilment, r.line, r.item_id, r.location_id)):
        key = f"{report.fulfilment}/{report.line}/{report.item_id}/{report.location_id}"
        news = report.shipped - order.told.posted.get(key, 0)
        if news > 0:
            left[key] = report.shipped
            lines.append(_movement(world, order, report, news, command))
    if not lines:
        return
    posted = {**order.told.posted, **left}
    order.told = msgspec.structs.replace(order.told, posted=posted)
    name = f"{public_order(order.order_id)}-{sum(posted.values())}"
    units = sum(line.quantity for line in lines)
    value = sum((line.quantity * Decimal(line.unit_cost or "0") for line in lines), Decimal())
    payload = PostMovements(name, lines, units, format(value, "f"))
    owe(world, order, system.code, POST, f"post/{name}", payload, command)


def _movement(
    world: World, order: Order, report: FulfilmentLine, units: int, command: Command
) -> PostedMovement:
    item, body = world.masters.items_by_id[report.item_id], command.body
    said = body.occurred_at if isinstance(body, ReportShipment) else None
    names = [
        line.name
        for line in order.content.lines
        if any(part == report.item_id for part, _ in line.parts)
    ]
    return PostedMovement(
        "ship",
        item.sku,
        units,
        world.masters.locations_by_id[report.location_id].code,
        said or world.now,
        report.fulfilment,
        item.standard_cost or "",
        public_order(order.order_id),
        names[0] if names else "",
    )


def _lines(views: Sequence[LineView], units: Mapping[str, int]) -> list[BookedLine]:
    return [
        BookedLine(view.line.name, view.line.sku, units[view.line.name], _unit_price(view.line))
        for view in views
        if view.line.name in units
    ]


def _unit_price(line: OrderLine) -> str:
    """The price of one base unit, of a line that is priced in its own unit."""
    if line.unit_price is None or line.numerator == line.denominator:
        return line.unit_price or ""
    price = Decimal(line.unit_price) * line.denominator / line.numerator
    return format(price.quantize(_PRICE_DIGITS).normalize(), "f")


def _main_location(world: World, order: Order) -> str:
    """Where most units are held; where the channel looks first, if none are."""
    held: dict[int, int] = {}
    if order.reservation_id is not None:
        for hold in world.holds_of(order.reservation_id):
            if hold.account == RESERVED:
                held[hold.location_id] = held.get(hold.location_id, 0) + hold.quantity
    sources = world.masters.channels_by_id[order.channel_id].sources
    chosen = max(sorted(held), key=held.__getitem__) if held else next(iter(sources), None)
    return world.masters.locations_by_id[chosen].code if chosen is not None else ""
