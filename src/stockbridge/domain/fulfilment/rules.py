"""Stages of a fulfilment: reports of allocated, picked, packed and shipped that commute.

A later stage implies the earlier ones: a ship that arrives before its pick books the pick, and
the pick that arrives afterwards books nothing (domain rule "stage facts").
"""

from typing import NamedTuple

from stockbridge.domain.ledger.lines import units_of
from stockbridge.domain.world.model import Reports
from stockbridge.kernel.accounts import ALLOCATED, AVAILABLE, CUSTOMER, PICKED

ALLOCATED_STAGE, DEALLOCATED, PICKED_STAGE, PACKED, SHIPPED = range(5)
STAGES = {
    "allocated": ALLOCATED_STAGE,
    "deallocated": DEALLOCATED,
    "picked": PICKED_STAGE,
    "packed": PACKED,
    "shipped": SHIPPED,
}
"""Stages a building reports, and the track of its reports on a fulfilment line."""


class Reached(NamedTuple):
    """Units that have at least reached a stage, implied ones included; packed units stay picked."""

    allocated: int
    picked: int
    shipped: int


NOTHING = Reached(0, 0, 0)


class Step(NamedTuple):
    """Units that change state."""

    from_account: int
    to_account: int
    units: int


def reached(reports: Reports, until: int | None = None) -> Reached:
    """What was reached by a moment, each stage at least the later ones.

    What the building gave back (deallocated) counts against what it allocated, whichever report
    came first.
    """
    if not reports:
        return NOTHING
    shipped = units_of(reports, SHIPPED, until)
    picked = max(units_of(reports, PICKED_STAGE, until), units_of(reports, PACKED, until), shipped)
    allocated = units_of(reports, ALLOCATED_STAGE, until) - units_of(reports, DEALLOCATED, until)
    return Reached(max(allocated, picked), picked, shipped)


def steps(change: Reached) -> list[Step]:
    """The fewest state changes that a change of what was reached comes to."""
    net = {
        AVAILABLE: -change.allocated,
        ALLOCATED: change.allocated - change.picked,
        PICKED: change.picked - change.shipped,
        CUSTOMER: change.shipped,
    }
    made: list[Step] = []
    givers = [(account, -units) for account, units in net.items() if units < 0]
    for taker, wanted in reversed([(a, units) for a, units in net.items() if units > 0]):
        left = wanted
        while left:
            giver, units = givers.pop()
            moved = min(left, units)
            made.append(Step(giver, taker, moved))
            left -= moved
            if units > moved:
                givers.append((giver, units - moved))
    return made
