"""Changing a held reservation: what goes back, what must be found, planned before it is done."""

from dataclasses import dataclass, field

from stockbridge.contracts.commands import ChangeLine
from stockbridge.domain.reservations.rules import give_back
from stockbridge.domain.world.model import Hold, Reservation, ReservationLine
from stockbridge.domain.world.resolve import RowError, row_error, rows_refused, units_of
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import BACKORDERED, RESERVED
from stockbridge.kernel.errors import Refusal


@dataclass(slots=True)
class ChangePlan:
    """`lines` as they shall be, `give` (hold, base units) to release, `increases` (line, units)."""

    lines: list[ReservationLine] = field(default_factory=list)
    give: list[tuple[Hold, int]] = field(default_factory=list)
    increases: list[tuple[ReservationLine, int]] = field(default_factory=list)
    returned: dict[tuple[int, int], int] = field(default_factory=dict)


def plan_change(
    world: World, reservation: Reservation, changes: list[ChangeLine]
) -> ChangePlan | Refusal:
    """What the new quantities mean; nothing is touched."""
    plan = ChangePlan(lines=list(reservation.lines))
    errors: list[RowError] = []
    named: set[int] = set()
    for index, change in enumerate(changes):
        if change.line in named:
            detail = f"line {change.line} is named twice; give its new quantity once"
            errors.append(row_error(index, "line", "repeated_line", detail))
            continue
        named.add(change.line)
        if change.line > len(plan.lines):
            detail = f"the reservation has {len(plan.lines)} lines, not a line {change.line}"
            errors.append(row_error(index, "line", "unknown_line", detail))
            continue
        old = plan.lines[change.line - 1]
        units = units_of(world.masters.items[old.sku], change.quantity, old.uom)
        if not isinstance(units, int):
            errors.append({**units, "index": index})
            continue
        new = old._replace(quantity=change.quantity, units=units)
        plan.lines[change.line - 1] = new
        _plan_line(world, reservation, new, plan)
    return rows_refused(errors) if errors else plan


def apply_change(
    world: World, reservation: Reservation, plan: ChangePlan, correlation_id: str
) -> None:
    """Release what goes back and keep the new lines; the caller promises the increases."""
    for hold, units in plan.give:
        give_back(world, hold, units, reservation.channel_id, correlation_id)
    reservation.lines = plan.lines
    world.put_reservation(reservation)


def _plan_line(
    world: World, reservation: Reservation, line: ReservationLine, plan: ChangePlan
) -> None:
    holds = [h for h in world.holds_of(reservation.reservation_id) if h.line_no == line.line_no]
    part, each = line.parts[0]
    have = sum(h.quantity for h in holds if h.item_id == part) // each
    if not line.units:
        for hold in holds:
            _plan_give(hold, hold.quantity, plan)
    elif line.units > have:
        plan.increases.append((line, line.units - have))
    else:
        _plan_decrease(line, holds, have - line.units, plan)


def _plan_decrease(
    line: ReservationLine, holds: list[Hold], surplus: int, plan: ChangePlan
) -> None:
    """Backorders go first, then the sources chosen last."""
    part, each = line.parts[0]
    leading = [h for h in reversed(holds) if h.item_id == part]
    for first in sorted(leading, key=lambda h: h.account != BACKORDERED):
        units = min(surplus, first.quantity // each)
        if not units:
            continue
        surplus -= units
        for hold in holds:
            if (hold.location_id, hold.account) == (first.location_id, first.account):
                # A component may have left already, so its hold may be less than the kits'.
                part_units = units * dict(line.parts)[hold.item_id]
                _plan_give(hold, min(part_units, hold.quantity), plan)


def _plan_give(hold: Hold, units: int, plan: ChangePlan) -> None:
    plan.give.append((hold, units))
    if hold.account == RESERVED:
        place = (hold.item_id, hold.location_id)
        plan.returned[place] = plan.returned.get(place, 0) + units
