"""What is open of a promise follows from what was promised and what the buildings have bound.

The buildings' reports of a reservation may come in any order, be corrected or taken back. So what
was promised is kept as it was when the first of them came, and the holds are worked out from it:
never more than promised less what all fulfilments of the reservation have bound.
"""

from collections.abc import Mapping, Sequence

from stockbridge.domain.reservations.rules import public_id
from stockbridge.domain.world.model import Hold, Movement, Promised, Reservation
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import DEMAND, RESERVED, UNBACKORDER, UNRESERVE


def still_open(promised: Sequence[Promised], bound: Mapping[int, int]) -> list[int]:
    """Units open of each promise once so many units were bound at each location.

    Bound units use up promises of their own location first, then others, then backorders.
    """
    left = [each.quantity for each in promised]
    unused = dict(bound)
    pairs = [
        (each.account != RESERVED, each.location_id != location, each[:4], location, number)
        for number, each in enumerate(promised)
        for location in bound
    ]
    for *_, location, number in sorted(pairs):
        used = min(left[number], unused[location])
        left[number] -= used
        unused[location] -= used
    return left


def settle_promises(world: World, reservation_id: int, item_id: int, correlation_id: str) -> int:
    """Make the holds of the item what is open now; how many units fewer (below zero: more).

    What a building works on no longer expires; the last unit ends the reservation as fulfilled,
    and one that is given back opens it again. What was released or has expired stays so. A
    promise that is open again needs no free stock: it was never withdrawn.
    """
    reservation = world.reservations[reservation_id]
    is_over = reservation.state in ("released", "expired")
    if is_over or not any(p == item_id for line in reservation.lines for p, _ in line.parts):
        return 0
    promised = [each for each in _begin(world, reservation) if each.item_id == item_id]
    bound = world.bound.get((reservation_id, item_id), {})
    kept = sum(
        _hold(world, reservation_id, each, units, correlation_id)
        for each, units in zip(promised, still_open(promised, bound), strict=True)
    )
    has_holds = bool(world.holds.get(reservation_id))
    if has_holds != reservation.is_open:
        reservation.state = "confirmed" if has_holds else "fulfilled"
        reservation.ended_at = None if has_holds else world.now
        world.put_reservation(reservation)
    return kept


def _begin(world: World, reservation: Reservation) -> list[Promised]:
    """What was promised; from the first report on it is kept, and the promise does not expire."""
    if reservation.promised is None:
        holds = sorted(world.holds_of(reservation.reservation_id), key=lambda hold: hold.key)
        reservation.promised = [
            Promised(h.line_no, h.item_id, h.location_id, h.account, h.quantity, h.fenced)
            for h in holds
        ]
        if reservation.state == "held":
            reservation.state, reservation.expires_at = "confirmed", None
        world.put_reservation(reservation)
    return reservation.promised


def _hold(
    world: World, reservation_id: int, promised: Promised, units: int, correlation_id: str
) -> int:
    """Let so many units of the promise be held; how many fewer than before.

    What came from a fence is used up first.
    """
    line_no, item_id, location_id, account, quantity, fenced = promised
    hold = Hold(reservation_id, line_no, item_id, location_id, account, units)
    known = world.holds.get(reservation_id, {}).get(hold.key)
    kept = (known.quantity if known else 0) - units
    if not kept:
        return 0
    hold.fenced = max(0, fenced - (quantity - units))
    world.put_hold(hold)
    ends = (account, DEMAND) if kept > 0 else (DEMAND, account)
    world.post(
        Movement(
            UNRESERVE if account == RESERVED else UNBACKORDER, item_id, location_id, *ends,
            abs(kept), world.now, "reservation", public_id(reservation_id), str(line_no),
            correlation_id,
        )
    )  # fmt: skip
    return kept
