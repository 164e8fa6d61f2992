"""Promises on the working set: take, give back, use up. Every change is a ledger movement."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from stockbridge.domain.masters.model import Channel, Policy
from stockbridge.domain.reservations.sourcing import Take
from stockbridge.domain.world.model import (
    SAFETY,
    Hold,
    Movement,
    Promised,
    Reservation,
    ReservationLine,
)
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import (
    AVAILABLE,
    BACKORDER,
    DEMAND,
    RESERVE,
    RESERVED,
    UNBACKORDER,
    UNRESERVE,
)


def promisable(
    world: World, channel: Channel, policy: Policy, place: tuple[int, int], returned: int = 0
) -> int:
    """Units of (item, location) the channel may be promised once it gave `returned` units back.

    available - reserved - safety stock - what is set aside for other channels; a ring-fenced
    channel gets no more than its own fence. Buffers, caps and floors shape what is shown, not
    what is promised (docs/decisions/0005).
    """
    balance = world.balances.get(place)
    if balance is None:
        return 0
    q = balance.q
    units: int = q[AVAILABLE] - q[RESERVED] - (q[SAFETY] or policy.safety_stock) + returned
    if world.fences:
        units -= world.fenced_by_others(place, channel.channel_id)
        if policy.kind == "ring_fenced":
            units = min(units, world.fence_of(place, channel.channel_id) + returned)
    elif policy.kind == "ring_fenced":
        units = min(units, returned)
    return max(0, units)


def promise(world: World, hold: Hold, channel_id: int, correlation_id: str) -> None:
    """Keep a new hold, drawing on the channel's own fence first; the same place twice adds up."""
    units, reserved = hold.quantity, hold.account == RESERVED
    if reserved and world.fences:
        _draw_fence(world, hold, channel_id)
    key = hold.key
    mine = world.holds.setdefault(hold.reservation_id, {})
    same = mine.get(key)
    if same is not None:
        hold.quantity += same.quantity
        hold.fenced += same.fenced
    mine[key] = world.holds_changed[key] = hold
    _promise_more(world, hold, units, hold.fenced - (same.fenced if same else 0))
    world.post(
        Movement(
            RESERVE if reserved else BACKORDER, hold.item_id, hold.location_id, DEMAND,
            hold.account, units, world.now, "reservation", public_id(hold.reservation_id),
            str(hold.line_no), correlation_id,
        )
    )  # fmt: skip


def is_plain(world: World, channel: Channel, lines: Sequence[ReservationLine]) -> bool:
    """Whether the lines can be sourced by `take_plain`: nothing but stock and priority counts."""
    if world.fences or channel.item_policies or channel.sourcing != "priority":
        return False
    return all(len(line.parts) == 1 and line.location_id is None for line in lines)


def take_plain(
    world: World, channel: Channel, safety_stock: int, lines: Sequence[ReservationLine]
) -> list[Take]:
    """Sourcing of plain items by priority under a shared policy, in one loop.

    What most orders are; a property test holds it equal to `sourcing.source` on `promisable`.
    """
    balances, taken, takes = world.balances, dict[tuple[int, int], int](), list[Take]()
    for line in lines:
        item_id, each = line.parts[0]
        left = line.units
        for location_id in channel.sources:
            place = (item_id, location_id)
            balance = balances.get(place)
            if balance is None:
                continue
            q = balance.q
            free = q[AVAILABLE] - q[RESERVED] - (q[SAFETY] or safety_stock) - taken.get(place, 0)
            units = min(left, free // each)
            if units <= 0:
                continue
            taken[place] = taken.get(place, 0) + units * each
            takes.append(Take(line.line_no, location_id, units))
            left -= units
            if not left:
                break
    return takes


def promise_new(
    world: World, reservation: Reservation, takes: Iterable[Take], correlation_id: str
) -> None:
    """Keep the takes of a reservation just made: as `promise`, without what only fences need.

    The hottest loop of the hub; a test holds it equal to `promise`.
    """
    number, now = reservation.reservation_id, world.now
    public, lines = public_id(number), reservation.lines
    mine = world.holds.setdefault(number, {})
    for line_no, location_id, units in takes:
        line = str(line_no)
        for item_id, each in lines[line_no - 1].parts:
            quantity, place = units * each, (item_id, location_id)
            hold = Hold(number, line_no, item_id, location_id, RESERVED, quantity)
            key = (number, line_no, item_id, location_id, RESERVED)
            mine[key] = world.holds_changed[key] = hold
            world.movements.append(
                Movement(
                    RESERVE, item_id, location_id, DEMAND, RESERVED, quantity, now,
                    "reservation", public, line, correlation_id,
                )
            )  # fmt: skip
            balance = world.balances[place]
            balance.q[RESERVED] += quantity
            world.balances_changed[place] = balance


def _draw_fence(world: World, hold: Hold, channel_id: int) -> None:
    place = (hold.item_id, hold.location_id)
    fence = world.fence_of(place, channel_id)
    if fence:
        hold.fenced = min(hold.quantity, fence)
        world.set_fence(place, channel_id, fence - hold.fenced)


def give_back(world: World, hold: Hold, units: int, channel_id: int, correlation_id: str) -> None:
    """Release `units` of the hold; the fence they came from gets its part back."""
    fenced = max(0, hold.fenced - (hold.quantity - units))
    if fenced:
        place = (hold.item_id, hold.location_id)
        world.set_fence(place, channel_id, world.fence_of(place, channel_id) + fenced)
        hold.fenced -= fenced
    _promise_more(world, hold, -units, -fenced)
    _lower(world, hold, units, correlation_id)


def _promise_more(world: World, hold: Hold, units: int, fenced: int) -> None:
    """Once a building works on a reservation, what it promises changes with every decision."""
    reservation = world.reservations.get(hold.reservation_id)
    if reservation is None or reservation.promised is None:
        return
    promised, mine = reservation.promised, hold.key[1:]
    at = bisect_left(promised, mine)
    if at < len(promised) and promised[at][:4] == mine:
        was = promised[at]
        promised[at] = Promised(*mine, was.quantity + units, was.fenced + fenced)
    else:
        promised.insert(at, Promised(*mine, units, fenced))
    world.put_reservation(reservation)


def expire_due(world: World, correlation_id: str) -> int:
    """End every loaded reservation that is past its time; how many."""
    ended = 0
    for reservation in world.reservations.values():
        due = reservation.expires_at
        if reservation.state == "held" and due is not None and due <= world.now:
            end(world, reservation.reservation_id, "expired", correlation_id)
            ended += 1
    return ended


def end(world: World, reservation_id: int, state: str, correlation_id: str) -> None:
    """Give back all holds of the reservation and close it as `state`."""
    reservation = world.reservations[reservation_id]
    for hold in world.holds_of(reservation_id):
        give_back(world, hold, hold.quantity, reservation.channel_id, correlation_id)
    reservation.state = state
    reservation.ended_at = world.now
    world.put_reservation(reservation)


def percent_shares(
    world: World, channel: Channel, policy: Policy, item_ids: list[int]
) -> dict[int, int]:
    """For a percent policy: units of each item the channel may take in all."""
    if policy.kind != "percent":
        return {}
    return {
        item_id: policy.percent
        * sum(promisable(world, channel, policy, (item_id, loc)) for loc in channel.sources)
        // 100
        for item_id in item_ids
    }


def _lower(world: World, hold: Hold, units: int, correlation_id: str) -> None:
    hold.quantity -= units
    world.put_hold(hold)
    world.post(
        Movement(
            UNRESERVE if hold.account == RESERVED else UNBACKORDER, hold.item_id,
            hold.location_id, hold.account, DEMAND, units, world.now, "reservation",
            public_id(hold.reservation_id), str(hold.line_no), correlation_id,
        )
    )  # fmt: skip


def public_id(reservation_id: int) -> str:
    """The id partners see."""
    return f"rsv_{reservation_id:x}"


def internal_id(public: str) -> int:
    """The id of a well-formed public one."""
    return int(public[4:], 16)
