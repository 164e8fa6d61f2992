"""The one reservation that holds an order's stock, kept equal to what is still open of the order.

What is called off, edited away or bound by a building goes back once; what is added is promised
from what is free and backordered for the rest. Nothing is touched while it may still be refused.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stockbridge.domain.masters.model import Channel
from stockbridge.domain.orders.progress import LineView
from stockbridge.domain.reservations.rules import give_back, promise
from stockbridge.domain.reservations.sourcing import Demand, Take
from stockbridge.domain.reservations.taking import choose, insufficient
from stockbridge.domain.world.model import Hold, Reservation, ReservationLine
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import BACKORDERED, RESERVED
from stockbridge.kernel.errors import Refusal

Part = tuple[int, int]
"""(line number of the reservation, item id)."""


@dataclass(slots=True)
class Plan:
    """What must change: holds to give back, and base units missing by (line, item)."""

    give: list[tuple[Hold, int]] = field(default_factory=list)
    missing: Counter[Part] = field(default_factory=Counter)
    takes: list[Take] = field(default_factory=list)
    short: dict[int, int] = field(default_factory=dict)
    """Units of a line (kits for a kit) that nobody can promise now."""


def plan_stock(
    world: World, reservation: Reservation, channel: Channel, views: Sequence[LineView]
) -> Plan:
    """How the holds differ from what is open, and where the difference could come from."""
    plan = Plan()
    holds = world.holds_of(reservation.reservation_id)
    wants = Counter({(v.line.line_no, item): units for v in views for item, units in v.open})
    have: Counter[Part] = Counter()
    held: dict[int, list[Hold]] = {}
    for hold in holds:
        have[hold.line_no, hold.item_id] += hold.quantity
        held.setdefault(hold.item_id, []).append(hold)
    change: dict[int, dict[int, int]] = {}
    for line_no, item_id in sorted(wants.keys() | have.keys()):
        part = (line_no, item_id)
        change.setdefault(item_id, {})[line_no] = wants[part] - have[part]
    for item_id, by_line in change.items():
        _plan_item(plan, item_id, by_line, held.get(item_id, ()))
    demands = list(_whole(channel, views, plan.missing))
    returned: dict[tuple[int, int], int] = {}
    for hold, units in plan.give:
        if hold.account == RESERVED:
            place = (hold.item_id, hold.location_id)
            returned[place] = returned.get(place, 0) + units
    plan.takes = choose(world, channel, demands, returned) if demands else []
    taken = Counter[int]()
    for take in plan.takes:
        taken[take.line_no] += take.units
    plan.short = {
        demand.line_no: demand.units - taken[demand.line_no]
        for demand in demands
        if taken[demand.line_no] < demand.units
    }
    return plan


def _plan_item(plan: Plan, item_id: int, change: dict[int, int], holds: Sequence[Hold]) -> None:
    """What an item's lines lack or have too much; they lend to one another, the sum counts."""
    missing = sum(change.values())
    if missing > 0:
        for line_no, lacks in change.items():
            more = min(missing, max(0, lacks))
            plan.missing[line_no, item_id] = more
            missing -= more
        return
    surplus = -missing
    newest_first = holds[::-1]
    for hold in sorted(newest_first, key=lambda h: (change[h.line_no] >= 0, h.account == RESERVED)):
        units = min(surplus, hold.quantity)
        if units:
            plan.give.append((hold, units))
            surplus -= units


def _whole(channel: Channel, views: Sequence[LineView], missing: Counter[Part]) -> Iterator[Demand]:
    """Whole units of lines, a kit with all its parts."""
    for view in views:
        line = view.line
        units = min(missing[line.line_no, item] // each for item, each in line.parts)
        if units > 0:
            yield Demand(line.line_no, line.parts, units, _sources(channel, view))


def _sources(channel: Channel, view: LineView) -> Sequence[int]:
    location_id = view.line.location_id
    return channel.sources if location_id is None else (location_id,)


def refusal_of(plan: Plan, lines: Sequence[ReservationLine], views: Sequence[LineView]) -> Refusal:
    """What is short, by line."""
    wanted = {view.line.line_no: view.promised for view in views}
    short = [lines[number - 1]._replace(units=wanted[number]) for number in plan.short]
    return insufficient(short, {n: wanted[n] - units for n, units in plan.short.items()})


def apply_stock(
    world: World,
    reservation: Reservation,
    channel: Channel,
    views: Sequence[LineView],
    plan: Plan,
    correlation_id: str,
) -> None:
    """Give back, promise and backorder as planned, and settle the reservation's own state."""
    for hold, units in plan.give:
        give_back(world, hold, units, channel.channel_id, correlation_id)
    missing = plan.missing
    _keep(world, reservation, views, plan.takes, missing, correlation_id)
    for view in views:
        line = view.line
        for item_id, _ in line.parts:
            part = (line.line_no, item_id)
            if missing[part] and line.line_no not in plan.short:
                _keep_part(world, reservation, channel, view, part, missing, correlation_id)
            if missing[part]:
                place = _waiting_place(world, channel, view)
                _hold(world, reservation, part, place, missing[part], BACKORDERED, correlation_id)
    settle_reservation(world, reservation, views)


def _keep_part(
    world: World,
    reservation: Reservation,
    channel: Channel,
    view: LineView,
    part: Part,
    missing: Counter[Part],
    correlation_id: str,
) -> None:
    """A part of a begun kit, alone: its other parts are bound already."""
    demand = Demand(part[0], ((part[1], 1),), missing[part], _sources(channel, view))
    for take in choose(world, channel, [demand]):
        _hold(world, reservation, part, take.location_id, take.units, RESERVED, correlation_id)
        missing[part] -= take.units


def _waiting_place(world: World, channel: Channel, view: LineView) -> int:
    """Where a backorder stands in the books: where the line, or else its channel, would look first.

    A channel may have lost its locations since; then any will do, for nothing lies there.
    """
    sources = _sources(channel, view)
    return sources[0] if sources else min(world.masters.locations_by_id)


def _keep(
    world: World,
    reservation: Reservation,
    views: Sequence[LineView],
    takes: Sequence[Take],
    missing: Counter[Part],
    correlation_id: str,
) -> None:
    parts = {view.line.line_no: view.line.parts for view in views}
    for line_no, location_id, units in takes:
        for item_id, each in parts[line_no]:
            part = (line_no, item_id)
            _hold(world, reservation, part, location_id, units * each, RESERVED, correlation_id)
            missing[part] -= units * each


def _hold(
    world: World,
    reservation: Reservation,
    part: Part,
    location_id: int,
    units: int,
    account: int,
    correlation_id: str,
) -> None:
    line_no, item_id = part
    hold = Hold(reservation.reservation_id, line_no, item_id, location_id, account, units)
    promise(world, hold, reservation.channel_id, correlation_id)


def fill_stock(
    world: World,
    reservation: Reservation,
    channel: Channel,
    views: Sequence[LineView],
    correlation_id: str,
) -> int:
    """Promise what has come in to what is backordered; how many base units."""
    waiting: Counter[Part] = Counter()
    for hold in world.holds_of(reservation.reservation_id):
        if hold.account == BACKORDERED:
            waiting[hold.line_no, hold.item_id] += hold.quantity
    demands = list(_whole(channel, views, waiting))
    filled = 0
    parts = {view.line.line_no: view.line.parts for view in views}
    for take in choose(world, channel, demands) if demands else ():
        for item_id, each in parts[take.line_no]:
            part, units = (take.line_no, item_id), take.units * each
            _lift_backorder(world, reservation, part, units, correlation_id)
            _hold(world, reservation, part, take.location_id, units, RESERVED, correlation_id)
            filled += units
    return filled


def _lift_backorder(
    world: World, reservation: Reservation, part: Part, units: int, correlation_id: str
) -> None:
    left = units
    for hold in world.holds_of(reservation.reservation_id):
        if hold.account == BACKORDERED and (hold.line_no, hold.item_id) == part:
            less = min(left, hold.quantity)
            give_back(world, hold, less, reservation.channel_id, correlation_id)
            left -= less


def settle_reservation(world: World, reservation: Reservation, views: Sequence[LineView]) -> None:
    """The reservation as the order has it: its lines, and open for as long as it holds anything."""
    promised = {view.line.line_no: view for view in views}
    reservation.lines = [
        _as_promised(line, promised.get(line.line_no)) for line in reservation.lines
    ]
    if world.holds.get(reservation.reservation_id):
        state = "confirmed"
    else:
        state = "fulfilled" if any(view.allocated for view in views) else "released"
    if state != reservation.state:
        reservation.ended_at = None if state == "confirmed" else world.now
    reservation.state, reservation.expires_at = state, None
    world.put_reservation(reservation)


def _as_promised(line: ReservationLine, view: LineView | None) -> ReservationLine:
    units = 0 if view is None else view.promised
    if units == line.units:
        return line
    quantity = 0 if view is None else view.line.in_uom(units)
    return line._replace(units=units, quantity=quantity)
