"""The course of an order: new statements or reports come in, its stock, state and timeline follow.

Every change of an order, whoever caused it, goes through `proceed`.
"""

from collections.abc import Sequence

import msgspec

from stockbridge.domain.masters.model import Channel
from stockbridge.domain.orders.booking import book
from stockbridge.domain.orders.holding import Plan, apply_stock, plan_stock, refusal_of
from stockbridge.domain.orders.instructing import instruct
from stockbridge.domain.orders.placing import numbered
from stockbridge.domain.orders.progress import LineView, views_of
from stockbridge.domain.orders.rules import ENDED, Stock, may_release, state_of, steps
from stockbridge.domain.orders.telling import tell
from stockbridge.domain.world.command import Command
from stockbridge.domain.world.model import ExceptionCase, FulfilmentLine, Reservation
from stockbridge.domain.world.order import Cancel, Order, OrderContent, OrderEvent
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import RESERVED
from stockbridge.kernel.errors import Refusal

SHORT = "short"
"""The id of our own cancellation of what a partial order could not be promised."""


def proceed(
    world: World,
    order: Order,
    content: OrderContent,
    what: str,
    command: Command,
    *,
    detail: str = "",
    reservation: Reservation | None = None,
    may_refuse: bool = False,
) -> Refusal | None:
    """Make the order what `content` comes to; None, or what is short when that may be refused.

    `reservation` is one to adopt at its placing; else it has one, or is given one. A reservation
    that was not read yet is asked for, and the engine decides again.
    """
    if content.version is None:
        _conclude(world, order, content, [], what, command, detail)
        return None
    held = _reservation(world, order, reservation, content, command)
    if held is None:
        return None
    channel = world.masters.channels_by_id[order.channel_id]
    named, lines = numbered(content.lines, held.lines)
    content = msgspec.structs.replace(content, lines=named)
    views = views_of(content, reported(world, held.reservation_id))
    plan = plan_stock(world, held, channel, views)
    if plan.short:
        parts = {view.line.line_no: view.line.parts for view in views}
        world.short_items.update(item for number in plan.short for item, _ in parts[number])
        if may_refuse and (content.mode == "all_or_nothing" or not plan.takes):
            return refusal_of(plan, lines, views)
        if may_refuse and content.mode == "partial":
            content = _without_short(content, plan, views)
            views = views_of(content, reported(world, held.reservation_id))
            plan = plan_stock(world, held, channel, views)
    held.lines = lines
    apply_stock(world, held, channel, views, plan, command.correlation_id)
    order.reservation_id = held.reservation_id
    if plan.short and content.mode == "sold":
        world.open_exceptions([_oversold(order, channel, plan, views, command)])
    _conclude(world, order, content, views, what, command, detail)
    return None


def _reservation(
    world: World,
    order: Order,
    adopted: Reservation | None,
    content: OrderContent,
    command: Command,
) -> Reservation | None:
    """The order's one reservation; made where it has none, None where it must be read first."""
    if order.reservation_id is not None:
        found = world.reservations.get(order.reservation_id)
        if found is None:
            world.wanted.add(order.reservation_id)
        return found
    if adopted is not None:
        return adopted
    mode = "backorder" if content.mode == "sold" else content.mode
    return Reservation(
        world.new_id(), order.channel_id, order.number, "confirmed", mode, None, [], world.now,
        None, command.principal, command.correlation_id,
    )  # fmt: skip


def _without_short(content: OrderContent, plan: Plan, views: Sequence[LineView]) -> OrderContent:
    """What could not be promised is called off at once, in whole units of the line."""
    lines = {
        view.line.name: -(-units * view.line.denominator // view.line.numerator)
        for view in views
        if (units := plan.short.get(view.line.line_no, 0))
    }
    cancel = Cancel(lines=lines, by="operations", reason="more than could be promised")
    return msgspec.structs.replace(content, cancels={**content.cancels, SHORT: cancel})


def reported(world: World, reservation_id: int) -> list[FulfilmentLine]:
    """What the buildings reported of the reservation."""
    return [r for r in world.fulfilment.values() if r.reservation_id == reservation_id]


def held_stock(world: World, order: Order) -> Stock:
    """Base units that the order's reservation holds."""
    reserved = backordered = 0
    for hold in world.holds_of(order.reservation_id) if order.reservation_id is not None else ():
        if hold.account == RESERVED:
            reserved += hold.quantity
        else:
            backordered += hold.quantity
    return Stock(reserved, backordered)


def note_progress(world: World, reservation_id: int, what: str, command: Command) -> None:
    """A building reported something of a reservation; if it is an order's, the order follows."""
    order = world.order_of(reservation_id)
    if order is not None:
        proceed(world, order, order.content, what, command)


def _conclude(
    world: World,
    order: Order,
    content: OrderContent,
    views: list[LineView],
    what: str,
    command: Command,
    detail: str,
) -> None:
    """Release what may be, and write down the states that were passed."""
    stock = held_stock(world, order)
    if content.released_at is None and may_release(content, views, stock):
        content = msgspec.structs.replace(content, released_at=world.now)
    state = state_of(content, views, stock)
    passed = steps(order.state or None, state, content.flow)
    is_news = content != order.content or not order.events
    for each in passed or ([state] if is_news else []):
        order.events += 1
        world.order_events.append(
            OrderEvent(
                order.order_id, order.events, what, each, world.now, command.principal,
                command.system, command.message_id, command.correlation_id, detail,
            )
        )  # fmt: skip
    if any(view.left_though_off for view in views):
        world.open_exceptions([_left_though_off(world, order, views, command)])
    order.content, order.state, order.updated_at = content, state, world.now
    order.ended_at = (order.ended_at or world.now) if state in ENDED else None
    if order.reservation_id is not None:
        reports = reported(world, order.reservation_id)
        tell(world, order, views, reports, passed, command)
        instruct(world, order, views, reports, command)
        book(world, order, views, reports, command)
    world.put_order(order)


def _oversold(
    order: Order, channel: Channel, plan: Plan, views: Sequence[LineView], command: Command
) -> ExceptionCase:
    short = ", ".join(
        f"{units} {view.line.sku}"
        for view in views
        if (units := plan.short.get(view.line.line_no, 0))
    )
    return ExceptionCase(
        kind="oversold",
        subject=f"order:{channel.code}/{order.number}",
        severity=2,
        owner_team="operations",
        cause=f"{channel.code} sold order {order.number}; {short} could not be promised",
        action="It fills by itself when stock comes in; else buy, substitute or cancel the lines",
        correlation_id=command.correlation_id,
    )


def _left_though_off(
    world: World, order: Order, views: Sequence[LineView], command: Command
) -> ExceptionCase:
    code = world.masters.channels_by_id[order.channel_id].code
    lines = ", ".join(view.line.name for view in views if view.left_though_off)
    return ExceptionCase(
        kind="cancelled_but_shipped",
        subject=f"order:{code}/{order.number}",
        severity=2,
        owner_team="operations",
        cause=f"lines {lines} of order {order.number} of {code} left though they were cancelled",
        action="Ask the carrier to bring it back, or tell the channel that it comes",
        correlation_id=command.correlation_id,
    )
