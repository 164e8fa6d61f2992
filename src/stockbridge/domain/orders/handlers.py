"""Deciding what is said of orders: placed, edited, cancelled, held, released, answered, filled."""

from typing import Any

import msgspec

from stockbridge.contracts.orders import (
    AnswerOrder,
    CancelOrder,
    EditOrder,
    FillOrders,
    HoldOrder,
    OrderNamed,
    PlaceOrder,
    ResumeOrder,
    version_of,
)
from stockbridge.domain.masters.model import Catalog, Channel
from stockbridge.domain.orders import rules
from stockbridge.domain.orders.answers import internal_order, order_answer, public_order
from stockbridge.domain.orders.course import held_stock, proceed, reported
from stockbridge.domain.orders.holding import fill_stock
from stockbridge.domain.orders.placing import SOLD, adopted, placing_of
from stockbridge.domain.orders.progress import views_of
from stockbridge.domain.reservations.rules import internal_id
from stockbridge.domain.world.command import Command, Decision
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.order import Cancel, ErpReply, Held, Order, OrderContent, Ordered
from stockbridge.domain.world.resolve import (
    RowError,
    find_channel,
    find_item,
    need_items,
    row_error,
    rows_refused,
)
from stockbridge.domain.world.world import World
from stockbridge.kernel.clock import microseconds
from stockbridge.kernel.errors import Refusal


# What must be read ----------------------------------------------------------------------------
def place_names(body: PlaceOrder, needs: Needs) -> None:
    """The items, the order if there is one of that number, the reservation it brings."""
    need_items(body.lines, needs)
    needs.order_numbers.add((body.channel, body.number))
    if body.reservation is not None:
        needs.reservations.add(internal_id(body.reservation))


def place_rows(body: PlaceOrder, masters: Catalog, needs: Needs) -> None:
    """The balances at the channel's locations, and those named; all where it is known already."""
    order_rows(body, masters, needs)
    channel = masters.channels.get(body.channel)
    needs.locations.update(channel.sources if channel is not None else ())
    for line in body.lines:
        item = find_item(masters, line)
        if item is not None:
            needs.item_ids.update(part for part, _ in item.components or ((item.item_id, 1),))
        if line.location is not None and line.location in masters.locations:
            needs.locations.add(masters.locations[line.location].location_id)


def named_names(body: OrderNamed, needs: Needs) -> None:
    """The order named."""
    if body.order is not None:
        needs.orders.add(internal_order(body.order))
    elif body.channel is not None and body.number is not None:
        needs.order_numbers.add((body.channel, body.number))


def fill_names(body: FillOrders, needs: Needs) -> None:
    """The orders that wait."""
    needs.orders.update(map(internal_order, body.orders))


def order_rows(_body: Any, masters: Catalog, needs: Needs) -> None:
    """An order's stock may lie anywhere; its items are added by the engine."""
    needs.fences = needs.fences or masters.has_fences
    needs.all_locations = needs.all_locations or bool(needs.reservations)


# Placed ---------------------------------------------------------------------------------------
def decide_place(command: Command, world: World) -> Decision:
    """Take the order in; again it changes nothing, newer it replaces what was placed."""
    body: PlaceOrder = command.body
    channel = _channel_of(command, world, body.channel)
    if isinstance(channel, Refusal):
        return channel
    placing = placing_of(world, channel, body)
    if isinstance(placing, Refusal):
        return placing
    order = _by_number(world, channel, body.number) or _new(world, channel, body.number, command)
    is_first = order.content.version is None
    content = rules.with_placing(order.content, placing)
    if content == order.content:
        return 200, answer(world, order)
    if not is_first and body.mode != SOLD and body.version is None and body.updated_at is None:
        detail = f"{body.channel} has an order {body.number} already, with other content"
        return Refusal("order_exists", detail, 409)
    brought = adopted(world, channel, body, placing) if is_first else None
    if isinstance(brought, Refusal):
        return brought
    refusal = proceed(
        world, order, content, "placed", command, reservation=brought,
        may_refuse=content.mode in ("all_or_nothing", "partial"),
    )  # fmt: skip
    return refusal or ((201 if is_first else 200), answer(world, order))


# Edited, cancelled ----------------------------------------------------------------------------
def decide_edit(command: Command, world: World) -> Decision:
    """New quantities; what is older than what we know of a line is ignored."""
    body: EditOrder = command.body
    order = _named(command, world)
    if isinstance(order, Refusal):
        return order
    version = version_of(body.version, body.updated_at, microseconds(world.now))
    said = {line.line: line.quantity for line in body.lines}
    refusal = _check_lines(order, said, strict=body.order is not None)
    if refusal is not None:
        return refusal
    edits = {name: Ordered(version, quantity) for name, quantity in said.items()}
    content = rules.with_edits(order.content, edits, body.paid_at)
    asked = content.mode in ("all_or_nothing", "partial")
    return _said(command, world, order, content, "edited", body.reason, may_refuse=asked)


def decide_cancel(command: Command, world: World) -> Decision:
    """Call off what has not left; heard before the order itself it waits for it."""
    body: CancelOrder = command.body
    order = _named(command, world)
    if isinstance(order, Refusal):
        return order
    lines = {line.line: line.quantity for line in body.lines} or None
    refusal = _check_lines(order, lines or {}, strict=body.order is not None)
    if refusal is not None:
        return refusal
    key = body.cancellation or rules.WHOLE
    cancel = Cancel(lines=lines, by=body.by or _whose(command, world, order), reason=body.reason)
    content = rules.with_cancel(order.content, key, cancel)
    return _said(command, world, order, content, "cancelled", body.reason)


def _whose(command: Command, world: World, order: Order) -> str | None:
    """What the channel's own system calls off, the channel calls off."""
    own = world.masters.channels_by_id[order.channel_id].system
    return "channel" if own is not None and command.system == own else None


def _check_lines(order: Order, said: dict[str, int], *, strict: bool) -> Refusal | None:
    """Quantities in whole base units; unknown lines only where the caller must know better."""
    known = {line.name: line for line in order.content.lines}
    errors: list[RowError] = []
    for index, (name, quantity) in enumerate(said.items()):
        line = known.get(name)
        if line is None:
            if strict:
                detail = f"the order has no line {name}"
                errors.append(row_error(index, "line", "unknown_line", detail))
        elif quantity * line.numerator % line.denominator:
            detail = f"{quantity} {line.uom} is not a whole number of base units of {line.sku}"
            errors.append(row_error(index, "quantity", "fractional_quantity", detail))
    return rows_refused(errors) if errors else None


# Held, released, answered ---------------------------------------------------------------------
def decide_hold(command: Command, world: World) -> Decision:
    """Stop the order; it keeps its stock."""
    body: HoldOrder | ResumeOrder = command.body
    order = _named(command, world)
    if isinstance(order, Refusal):
        return order
    on = isinstance(body, HoldOrder)
    if on and order.state in rules.ENDED:
        detail = f"{public_order(order.order_id)} is {order.state} since {order.ended_at}"
        return Refusal("order_ended", detail, 409)
    held = order.content.held
    if (held is not None and held.on) == on:
        return 200, answer(world, order)
    content = msgspec.structs.replace(order.content, held=Held(on, body.reason))
    return _said(command, world, order, content, "held" if on else "resumed", body.reason)


def decide_release(command: Command, world: World) -> Decision:
    """Give the order to its buildings, unless something still bars it."""
    order = _named(command, world)
    if isinstance(order, Refusal):
        return order
    if order.content.released_at is not None:
        return 200, answer(world, order)
    views = views_of(order.content, _reported(world, order))
    bar = rules.release_bar(order.content, views, held_stock(world, order))
    if bar is not None:
        return Refusal("not_releasable", f"{public_order(order.order_id)}: {bar}", 409)
    content = msgspec.structs.replace(order.content, released_at=world.now)
    return _said(command, world, order, content, "released")


def decide_answer(command: Command, world: World) -> Decision:
    """What the ERP says to an order, or a building to a cancellation."""
    body: AnswerOrder = command.body
    order = _named(command, world)
    if isinstance(order, Refusal):
        return order
    if body.answer in ("accepted", "rejected"):
        erp = order.content.flow.erp
        if erp is not None and command.system is not None and command.system != erp:
            detail = f"orders like this one are for {erp} to accept, not for {command.system}"
            return Refusal("system_forbidden", detail, 403)
        at = microseconds(body.occurred_at or world.now)
        reply = ErpReply(at, body.answer == "accepted", body.reference or "", body.reason)
        content = rules.with_erp_reply(order.content, reply)
    else:
        key = body.cancellation or rules.WHOLE
        content = rules.with_answer(order.content, key, body.answer == "cancel_confirmed")
    return _said(command, world, order, content, body.answer, body.reason)


# Filled ---------------------------------------------------------------------------------------
def decide_fill(command: Command, world: World) -> Decision:
    """Promise what has come in, order by order; answers what was promised, in base units."""
    body: FillOrders = command.body
    orders = units = 0
    for public in body.orders:
        order = world.orders.get(internal_order(public))
        if order is None or order.reservation_id is None:
            continue
        held = world.reservations.get(order.reservation_id)
        if held is None:
            world.wanted.add(order.reservation_id)
            continue
        channel = world.masters.channels_by_id[order.channel_id]
        views = views_of(order.content, _reported(world, order))
        filled = fill_stock(world, held, channel, views, command.correlation_id)
        if filled:
            orders, units = orders + 1, units + filled
            proceed(world, order, order.content, "filled", command)
    return 200, {"orders": orders, "units": units}


# Shared ---------------------------------------------------------------------------------------
def answer(world: World, order: Order) -> dict[str, Any]:
    """The order as callers see it."""
    masters = world.masters
    held = order.reservation_id
    return order_answer(
        order,
        masters.channels_by_id[order.channel_id].code,
        world.holds_of(held) if held is not None else (),
        _reported(world, order),
        {number: place.code for number, place in masters.locations_by_id.items()},
    )


def _reported(world: World, order: Order) -> list[Any]:
    return [] if order.reservation_id is None else reported(world, order.reservation_id)


def _said(
    command: Command,
    world: World,
    order: Order,
    content: OrderContent,
    what: str,
    detail: str = "",
    *,
    may_refuse: bool = False,
) -> Decision:
    """Take a statement in; what says nothing new changes nothing."""
    if content != order.content:
        refusal = proceed(
            world, order, content, what, command, detail=detail, may_refuse=may_refuse
        )
        if refusal is not None:
            return refusal
    return 200, answer(world, order)


def _channel_of(command: Command, world: World, code: str) -> Channel | Refusal:
    if command.channel is not None and command.channel != code:
        detail = f"this key is bound to channel {command.channel}, not {code}"
        return Refusal("channel_forbidden", detail, 403)
    return find_channel(world.masters, code)


def _by_number(world: World, channel: Channel, number: str) -> Order | None:
    order_id = world.order_numbers.get((channel.channel_id, number))
    return None if order_id is None else world.orders[order_id]


def _new(world: World, channel: Channel, number: str, command: Command) -> Order:
    now = world.now
    return Order(
        world.new_id(), channel.channel_id, number, "", None, OrderContent(), 0, now, now, None,
        command.correlation_id,
    )  # fmt: skip


def _named(command: Command, world: World) -> Order | Refusal:
    """The order a statement is about; by number it may be one we have not heard of yet."""
    body: OrderNamed = command.body
    if body.order is None:
        channel = _channel_of(command, world, body.channel or "")
        if isinstance(channel, Refusal):
            return channel
        number = body.number or ""
        return _by_number(world, channel, number) or _new(world, channel, number, command)
    found = world.orders.get(internal_order(body.order))
    if found is not None and command.channel is not None:
        channel = world.masters.channels_by_id[found.channel_id]
        if channel.code != command.channel:
            found = None
    if found is None:
        return Refusal("unknown_order", f"there is no order {body.order}", 404)
    return found
