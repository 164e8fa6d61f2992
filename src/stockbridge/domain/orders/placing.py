"""An order as it comes: its lines by item and unit, and the reservation that holds its stock."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import msgspec

from stockbridge.contracts.orders import PlacedLine, PlaceOrder, version_of
from stockbridge.domain.masters.model import Channel, Item
from stockbridge.domain.orders.rules import Placing
from stockbridge.domain.reservations.rules import internal_id
from stockbridge.domain.world.model import Reservation, ReservationLine
from stockbridge.domain.world.order import Ordered, OrderLine
from stockbridge.domain.world.resolve import (
    RowError,
    find_item,
    row_error,
    rows_refused,
    units_of,
    unknown_item,
)
from stockbridge.domain.world.world import World
from stockbridge.kernel.errors import Refusal

SOLD = "sold"


def placing_of(world: World, channel: Channel, body: PlaceOrder) -> Placing | Refusal:
    """The order's lines resolved, or every row that cannot be."""
    version = version_of(body.version, body.updated_at, 0)
    lines: list[OrderLine] = []
    errors: list[RowError] = []
    for index, asked in enumerate(body.lines):
        item = find_item(world.masters, asked)
        if item is None:
            errors.append(unknown_item(index, asked))
            continue
        error = _fault(world, channel, body.mode, index, asked, item)
        if error is not None:
            errors.append(error)
            continue
        lines.append(_line(world, index, asked, item, version))
    if errors:
        return rows_refused(errors)
    head = {
        "customer": body.customer,
        "currency": body.currency,
        "ship_to": msgspec.to_builtins(body.ship_to),
    }
    placed_at = body.placed_at or world.now
    return Placing(version, tuple(lines), body.mode, head, placed_at, body.paid_at, channel.flow)


def _fault(
    world: World, channel: Channel, mode: str, index: int, asked: PlacedLine, item: Item
) -> RowError | None:
    if mode != SOLD and item.status == "draft":
        detail = f"{item.sku} is a draft; make it active before promising it"
        return row_error(index, "sku", "item_not_active", detail)
    if asked.location is not None and asked.location not in world.masters.locations:
        detail = f"location {asked.location} is not known"
        missing = f"location:{asked.location}"
        return row_error(index, "location", "unknown_location", detail, missing)
    if asked.location is None and not channel.sources:
        detail = f"channel {channel.code} has no locations to source from; set its `sources`"
        return row_error(index, "location", "channel_without_sources", detail)
    units = units_of(item, asked.quantity, asked.uom)
    return None if isinstance(units, int) else {**units, "index": index}


def _line(world: World, index: int, asked: PlacedLine, item: Item, version: int) -> OrderLine:
    numerator, denominator = item.uoms.get(asked.uom or item.base_uom, (1, 1))
    location = world.masters.locations[asked.location] if asked.location else None
    return OrderLine(
        name=asked.line or str(index + 1),
        line_no=0,
        item_id=item.item_id,
        sku=item.sku,
        quantity=Ordered(version, asked.quantity),
        parts=item.components or ((item.item_id, 1),),
        uom=asked.uom,
        numerator=numerator,
        denominator=denominator,
        location_id=location.location_id if location else None,
        unit_price=asked.unit_price,
        currency=asked.currency,
    )


def adopted(
    world: World, channel: Channel, body: PlaceOrder, placing: Placing
) -> Reservation | Refusal | None:
    """The reservation the order brings, if it can have it; a fact does without one it cannot."""
    if body.reservation is None:
        return None
    found = world.reservations.get(internal_id(body.reservation))
    refusal: Refusal | None = None
    if found is None or found.channel_id != channel.channel_id:
        detail = f"there is no reservation {body.reservation}"
        refusal = Refusal("unknown_reservation", detail, 404)
    elif found.reservation_id in world.orders_of:
        detail = f"{body.reservation} is another order's"
        refusal = Refusal("reservation_taken", detail, 409)
    elif not found.is_open:
        detail = f"{body.reservation} is {found.state} since {found.ended_at}; order without it"
        refusal = Refusal(f"reservation_{found.state}", detail, 409)
    elif body.mode != SOLD and _asked(found.lines) != _ordered(placing.lines):
        detail = f"{body.reservation} was made for other lines; change it, or order without it"
        refusal = Refusal("reservation_differs", detail, 409)
    if refusal is None:
        return found
    return None if body.mode == SOLD else refusal


def _asked(lines: Sequence[ReservationLine]) -> Counter[Any]:
    return Counter((line.item_id, line.units) for line in lines if line.units)


def _ordered(lines: Sequence[OrderLine]) -> Counter[Any]:
    return Counter((line.item_id, line.units(line.quantity.quantity)) for line in lines)


def numbered(
    lines: Sequence[OrderLine], held: Sequence[ReservationLine]
) -> tuple[tuple[OrderLine, ...], list[ReservationLine]]:
    """The order's lines, each with its line of the reservation; the reservation's lines with those.

    A new line takes a line of the reservation that no other has and that is for the same item.
    """
    taken = {line.line_no for line in lines}
    free: dict[Any, deque[int]] = {}
    for line in held:
        if line.line_no not in taken:
            free.setdefault((line.item_id, line.parts), deque()).append(line.line_no)
    after, named = list(held), list[OrderLine]()
    for own in lines:
        if own.line_no:
            named.append(own)
            continue
        spare = free.get((own.item_id, own.parts))
        number = spare.popleft() if spare else len(after) + 1
        if number > len(after):
            place, parts = own.location_id, own.parts
            fresh = ReservationLine(number, own.item_id, own.sku, 0, own.uom, 0, place, parts)
            after.append(fresh)
        named.append(msgspec.structs.replace(own, line_no=number))
    return tuple(named), after
