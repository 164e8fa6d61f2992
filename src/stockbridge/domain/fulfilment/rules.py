"""Stages of a fulfilment: reports of allocated, picked, packed and shipped that commute.

A later stage implies the earlier ones: a ship that arrives before its pick books the pick, and
the pick that arrives afterwards books nothing (domain rule "stage facts").
"""

from typing import NamedTuple

from stockbridge.domain.world.model import FulfilmentLine
from stockbridge.kernel.accounts import ALLOCATED, AVAILABLE, CUSTOMER, PICKED

STAGES = ("allocated", "picked", "packed", "shipped")


class Reached(NamedTuple):
    """Units that have at least reached a stage, implied ones included; packed units stay picked."""

    allocated: int
    picked: int
    shipped: int


class Step(NamedTuple):
    """Units that change state."""

    from_account: int
    to_account: int
    units: int


def reached(line: FulfilmentLine) -> Reached:
    """What the reported totals say, each stage at least the later ones."""
    shipped = line.shipped
    picked = max(line.picked, line.packed, shipped)
    return Reached(max(line.allocated, picked), picked, shipped)


def steps(before: Reached, after: Reached) -> list[Step]:
    """The fewest state changes from one to the other; stages only grow."""
    change = {
        AVAILABLE: before.allocated - after.allocated,
        ALLOCATED: (after.allocated - after.picked) - (before.allocated - before.picked),
        PICKED: (after.picked - after.shipped) - (before.picked - before.shipped),
        CUSTOMER: after.shipped - before.shipped,
    }
    made: list[Step] = []
    givers = [(account, -units) for account, units in change.items() if units < 0]
    for taker, wanted in reversed([(a, units) for a, units in change.items() if units > 0]):
        left = wanted
        while left:
            giver, units = givers.pop()
            moved = min(left, units)
            made.append(Step(giver, taker, moved))
            left -= moved
            if units > moved:
                givers.append((giver, units - moved))
    return made
