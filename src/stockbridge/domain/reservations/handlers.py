"""Deciding promises: reserve, change, confirm, release, expire, set fences."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from stockbridge.contracts.commands import (
    ChangeReservation,
    ConfirmReservation,
    ExpireReservations,
    ReleaseReservation,
    ReserveLine,
    ReserveStock,
    SetFences,
)
from stockbridge.domain.masters.model import Catalog, Channel
from stockbridge.domain.reservations.answers import reservation_answer
from stockbridge.domain.reservations.change import apply_change, plan_change
from stockbridge.domain.reservations.rules import (
    end,
    internal_id,
    promise_new,
)
from stockbridge.domain.reservations.taking import (
    backorder,
    choose,
    demand_of,
    insufficient,
    promise_takes,
    take_new,
    units_by_line,
)
from stockbridge.domain.world.command import Command, Decision
from stockbridge.domain.world.model import Reservation, ReservationLine
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.resolve import (
    RowError,
    find_channel,
    row_error,
    rows_refused,
    units_of,
    unknown_sku,
)
from stockbridge.domain.world.world import World
from stockbridge.kernel.errors import Refusal


# Reserve --------------------------------------------------------------------------------------
def reserve_names(body: ReserveStock, needs: Needs) -> None:
    """The items wanted."""
    for line in body.lines:
        needs.skus.add(line.sku)


def reserve_rows(body: ReserveStock, masters: Catalog, needs: Needs) -> None:
    """The balances at the channel's locations, and those named."""
    channel = masters.channels.get(body.channel)
    if channel is None:
        return
    needs.fences = needs.fences or masters.has_fences
    needs.locations.update(channel.sources)
    for line in body.lines:
        item = masters.items.get(line.sku)
        if item is None:
            continue
        if item.components:
            needs.item_ids.update(part for part, _ in item.components)
        else:
            needs.item_ids.add(item.item_id)
        if line.location is not None and line.location in masters.locations:
            needs.locations.add(masters.locations[line.location].location_id)


def decide_reserve(command: Command, world: World) -> Decision:
    """Promise the lines, or refuse with what is short by line; a refusal changes nothing."""
    body: ReserveStock = command.body
    channel = _channel_of(command, world, body.channel)
    if isinstance(channel, Refusal):
        return channel
    lines = _resolve(world, channel, body.lines)
    if isinstance(lines, Refusal):
        return lines
    takes = take_new(world, channel, lines)
    taken = units_by_line(takes)
    short = [line for line in lines if taken.get(line.line_no, 0) < line.units]
    if short:
        world.short_items.update(part for line in short for part, _ in line.parts)
        if body.mode == "all_or_nothing" or (body.mode == "partial" and not takes):
            return insufficient(short, taken)
    reservation = Reservation(
        world.new_id(), channel.channel_id, body.reference, "held", body.mode,
        world.now + timedelta(seconds=body.ttl_seconds), lines, world.now, None,
        command.principal, command.correlation_id,
    )  # fmt: skip
    world.put_reservation(reservation)
    if world.fences:
        promise_takes(world, reservation, takes, command.correlation_id)
    else:
        promise_new(world, reservation, takes, command.correlation_id)
    if body.mode == "backorder":
        backorder(world, channel, reservation, short, taken, command.correlation_id)
    return 201, reservation_answer(world, reservation)


def _resolve(
    world: World, channel: Channel, asked: Sequence[ReserveLine]
) -> list[ReservationLine] | Refusal:
    lines: list[ReservationLine] = []
    errors: list[RowError] = []
    masters = world.masters
    for index, want in enumerate(asked):
        item = masters.items.get(want.sku)
        location = masters.locations.get(want.location) if want.location else None
        if item is None:
            errors.append(unknown_sku(index, want.sku))
            continue
        if item.status == "draft":
            detail = f"{item.sku} is a draft; make it active before promising it"
            errors.append(row_error(index, "sku", "item_not_active", detail))
        if want.location and location is None:
            detail = f"location {want.location} is not known"
            errors.append(row_error(index, "location", "unknown_location", detail))
        elif location is None and not channel.sources:
            detail = f"channel {channel.code} has no locations to source from; set its `sources`"
            errors.append(row_error(index, "location", "channel_without_sources", detail))
        units = units_of(item, want.quantity, want.uom)
        if not isinstance(units, int):
            errors.append({**units, "index": index})
            continue
        lines.append(
            ReservationLine(
                index + 1, item.item_id, item.sku, want.quantity, want.uom, units,
                location.location_id if location else None,
                item.components or ((item.item_id, 1),),
            )
        )  # fmt: skip
    return rows_refused(errors) if errors else lines


# Change, confirm, release, expire -------------------------------------------------------------
def reservation_names(body: Any, needs: Needs) -> None:
    """The reservation named."""
    needs.reservations.add(internal_id(body.reservation))
    needs.all_locations = True


def reservation_rows(_body: Any, masters: Catalog, needs: Needs) -> None:
    """Its items are added by the engine from its lines and holds."""
    needs.fences = needs.fences or masters.has_fences


def decide_confirm(command: Command, world: World) -> Decision:
    """The hold stops expiring; confirming twice answers the same."""
    body: ConfirmReservation = command.body
    reservation = _open_reservation(command, world, body.reservation)
    if isinstance(reservation, Refusal):
        return reservation
    if reservation.state == "held":
        reservation.state = "confirmed"
        reservation.expires_at = None
        world.put_reservation(reservation)
    return 200, reservation_answer(world, reservation)


def decide_release(command: Command, world: World) -> Decision:
    """Everything still held goes back; releasing twice answers the same and moves nothing."""
    body: ReleaseReservation = command.body
    found = _reservation(command, world, body.reservation)
    if isinstance(found, Refusal):
        return found
    if found.reservation_id in world.orders_of:
        detail = f"{body.reservation} holds an order's stock; cancel the order instead"
        return Refusal("reservation_of_order", detail, 409)
    if found.is_open:
        end(world, found.reservation_id, "released", command.correlation_id)
    return 200, reservation_answer(world, found)


def decide_change(command: Command, world: World) -> Decision:
    """New quantities and a new end, or nothing at all."""
    body: ChangeReservation = command.body
    reservation = _open_reservation(command, world, body.reservation)
    if isinstance(reservation, Refusal):
        return reservation
    if reservation.state != "held":
        detail = f"{body.reservation} is confirmed; change its order instead"
        return Refusal("reservation_confirmed", detail, 409)
    if body.lines:
        refusal = _change_lines(command, world, reservation, body)
        if refusal is not None:
            return refusal
    if body.ttl_seconds is not None:
        reservation.expires_at = world.now + timedelta(seconds=body.ttl_seconds)
    if not world.holds.get(reservation.reservation_id):
        end(world, reservation.reservation_id, "released", command.correlation_id)
    world.put_reservation(reservation)
    return 200, reservation_answer(world, reservation)


def _change_lines(
    command: Command, world: World, reservation: Reservation, body: ChangeReservation
) -> Refusal | None:
    channel = world.masters.channels_by_id[reservation.channel_id]
    plan = plan_change(world, reservation, body.lines)
    if isinstance(plan, Refusal):
        return plan
    demands = [demand_of(channel, line, units) for line, units in plan.increases]
    takes = choose(world, channel, demands, plan.returned) if demands else []
    taken = units_by_line(takes)
    short = [
        line._replace(units=units)
        for line, units in plan.increases
        if taken.get(line.line_no, 0) < units
    ]
    if short:
        world.short_items.update(part for line in short for part, _ in line.parts)
        if reservation.mode == "all_or_nothing":
            return insufficient(short, taken)
    apply_change(world, reservation, plan, command.correlation_id)
    promise_takes(world, reservation, takes, command.correlation_id)
    if reservation.mode == "backorder":
        backorder(world, channel, reservation, short, taken, command.correlation_id)
    return None


def expire_names(body: ExpireReservations, needs: Needs) -> None:
    """The reservations that may be due."""
    needs.reservations.update(internal_id(public) for public in body.reservations)
    needs.all_locations = True


def decide_expire(command: Command, world: World) -> Decision:
    """The engine ends what is due before it decides; this answers how many of ours have ended."""
    ids = [internal_id(public) for public in command.body.reservations]
    ended = sum(1 for i in ids if i in world.reservations and not world.reservations[i].is_open)
    return 200, {"ended": ended}


# Fences ---------------------------------------------------------------------------------------
def fence_names(body: SetFences, needs: Needs) -> None:
    """The items to fence."""
    needs.skus.update(line.sku for line in body.lines)


def fence_rows(body: SetFences, masters: Catalog, needs: Needs) -> None:
    """Their balances and fences."""
    needs.fences = True
    for line in body.lines:
        if line.sku in masters.items and line.location in masters.locations:
            needs.item_ids.add(masters.items[line.sku].item_id)
            needs.locations.add(masters.locations[line.location].location_id)


def decide_fences(command: Command, world: World) -> Decision:
    """Set what is kept for the channel; more than is free and not fenced by others is refused."""
    body: SetFences = command.body
    channel = _channel_of(command, world, body.channel)
    if isinstance(channel, Refusal):
        return channel
    errors: list[RowError] = []
    for index, line in enumerate(body.lines):
        item = world.masters.items.get(line.sku)
        location = world.masters.locations.get(line.location)
        if item is None:
            errors.append(unknown_sku(index, line.sku))
        elif location is None:
            detail = f"location {line.location} is not known"
            errors.append(row_error(index, "location", "unknown_location", detail))
        elif item.components:
            detail = f"{item.sku} is a kit; fence its components"
            errors.append(row_error(index, "sku", "kit_holds_no_stock", detail))
        else:
            place = (item.item_id, location.location_id)
            most = world.balance(*place).free - world.fenced_by_others(place, channel.channel_id)
            if line.quantity > max(0, most):
                detail = f"{line.sku}@{line.location}: {max(0, most)} can be set aside"
                errors.append(row_error(index, "quantity", "insufficient_stock", detail))
    if errors:
        return rows_refused(errors)
    for line in body.lines:
        item, location = world.masters.items[line.sku], world.masters.locations[line.location]
        world.set_fence((item.item_id, location.location_id), channel.channel_id, line.quantity)
    return 200, {"channel": channel.code, "lines": len(body.lines)}


# Shared ---------------------------------------------------------------------------------------
def _channel_of(command: Command, world: World, code: str) -> Channel | Refusal:
    if command.channel is not None and command.channel != code:
        detail = f"this key is bound to channel {command.channel}, not {code}"
        return Refusal("channel_forbidden", detail, 403)
    return find_channel(world.masters, code)


def _reservation(command: Command, world: World, public: str) -> Reservation | Refusal:
    found = world.reservations.get(internal_id(public))
    if found is not None and command.channel is not None:
        channel = world.masters.channels_by_id[found.channel_id]
        if channel.code != command.channel:
            found = None
    if found is None:
        return Refusal("unknown_reservation", f"there is no reservation {public}", 404)
    return found


def _open_reservation(command: Command, world: World, public: str) -> Reservation | Refusal:
    found = _reservation(command, world, public)
    if isinstance(found, Refusal) or found.is_open:
        return found
    detail = f"{public} is {found.state} since {found.ended_at}; reserve again"
    return Refusal(f"reservation_{found.state}", detail, 409)
