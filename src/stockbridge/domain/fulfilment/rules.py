"""Stages of a fulfilment: reports of allocated, picked, packed and shipped that commute.

A later stage implies the earlier ones: a ship that arrives before its pick books the pick, and
the pick that arrives afterwards books nothing (domain rule "stage facts").
"""

from typing import NamedTuple

from stockbridge.domain.ledger.lines import Step, units_of
from stockbridge.domain.ledger.lines import steps as steps_of
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
    return steps_of(
        {
            AVAILABLE: -change.allocated,
            ALLOCATED: change.allocated - change.picked,
            PICKED: change.picked - change.shipped,
            CUSTOMER: change.shipped,
        }
    )
