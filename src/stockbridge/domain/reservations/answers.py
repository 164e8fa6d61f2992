"""The public answer about a reservation."""

from typing import Any

from stockbridge.domain.reservations.rules import public_id
from stockbridge.domain.world.model import Hold, Reservation, ReservationLine
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import RESERVED


def reservation_answer(world: World, reservation: Reservation) -> dict[str, Any]:
    """Id, state, end, and for each line what is held where, in base units (kits: whole kits)."""
    holds: dict[int, list[Hold]] = {}
    for hold in world.holds_of(reservation.reservation_id):
        holds.setdefault(hold.line_no, []).append(hold)
    return {
        "id": public_id(reservation.reservation_id),
        "state": reservation.state,
        "channel": world.masters.channels_by_id[reservation.channel_id].code,
        "reference": reservation.reference,
        "mode": reservation.mode,
        "expires_at": reservation.expires_at,
        "created_at": reservation.created_at,
        "lines": [
            _line_answer(world, line, holds.get(line.line_no, [])) for line in reservation.lines
        ],
    }


def _line_answer(world: World, line: ReservationLine, holds: list[Hold]) -> dict[str, Any]:
    part, each = line.parts[0]
    locations = world.masters.locations_by_id
    reserved = backordered = 0
    sources = []
    for hold in holds:
        if hold.item_id != part:
            continue
        units = hold.quantity // each
        if hold.account == RESERVED:
            reserved += units
            sources.append({"location": locations[hold.location_id].code, "quantity": units})
        else:
            backordered += units
    return {
        "line": line.line_no,
        "sku": line.sku,
        "quantity": line.quantity,
        "uom": line.uom,
        "units": line.units,
        "reserved": reserved,
        "backordered": backordered,
        "sources": sources,
    }
