"""Where a promise is taken from: pure choice of locations.

A demand is a line in base units with the parts one unit needs (a kit's components, or the item
itself), so that kits and plain items are sourced alike and a component shared by two lines is
summed. A kit comes whole from one location; several kits may come from several.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

EXACT_LOCATIONS_MAX = 6
EXACT_WORK_MAX = 20_000
"""Up to here fewest_splits tries every set of locations; beyond, it chooses greedily."""

Free = Callable[[int, int], int]
"""(item id, location id) -> units that may be promised there now, never negative."""


class Demand(NamedTuple):
    """`units` wanted; `parts` of one unit; `locations` it may come from, first priority first."""

    line_no: int
    parts: tuple[tuple[int, int], ...]
    units: int
    locations: Sequence[int]


class Take(NamedTuple):
    """`units` of the line from a location."""

    line_no: int
    location_id: int
    units: int


class Pool:
    """What is left to promise while an order is being sourced.

    `limits` caps the units of an item over all locations (a percent share).
    """

    def __init__(self, free: Free, limits: dict[int, int] | None = None) -> None:
        self._free = free
        self._taken: dict[tuple[int, int], int] = {}
        self._limits = dict(limits or {})

    def units_at(self, demand: Demand, location_id: int) -> int:
        """Whole units of the demand that the location can still give."""
        most = demand.units
        for item_id, each in demand.parts:
            left = self._free(item_id, location_id) - self._taken.get((item_id, location_id), 0)
            limit = self._limits.get(item_id)
            if limit is not None and limit < left:
                left = limit
            if left < each:
                return 0
            most = min(most, left // each)
        return most

    def take(self, demand: Demand, location_id: int, units: int) -> None:
        """Use up what the units need."""
        for item_id, each in demand.parts:
            place = (item_id, location_id)
            self._taken[place] = self._taken.get(place, 0) + units * each
            if item_id in self._limits:
                self._limits[item_id] -= units * each


def source(
    demands: Sequence[Demand], new_pool: Callable[[], Pool], *, fewest_splits: bool
) -> list[Take]:
    """Takes for as much of every demand as can be had; those that are harder to fill first."""
    ordered = sorted(demands, key=_freedom) if len(demands) > 1 else demands
    chosen = _fewest(ordered, new_pool) if fewest_splits else None
    return _walk(ordered, new_pool(), chosen)


def _freedom(demand: Demand) -> tuple[bool, int]:
    """Kits come before plain items, and what is bound to few locations before what is not."""
    return len(demand.parts) == 1, len(demand.locations)


def _walk(demands: Sequence[Demand], pool: Pool, chosen: tuple[int, ...] | None) -> list[Take]:
    takes: list[Take] = []
    for demand in demands:
        wanted = demand
        for location_id in _preferred(demand.locations, chosen):
            units = pool.units_at(wanted, location_id)
            if units:
                pool.take(wanted, location_id, units)
                takes.append(Take(demand.line_no, location_id, units))
                if units == wanted.units:
                    break
                wanted = wanted._replace(units=wanted.units - units)
    return takes


def _preferred(locations: Sequence[int], chosen: tuple[int, ...] | None) -> Sequence[int]:
    if chosen is None:
        return locations
    first = [location for location in chosen if location in locations]
    return first + [location for location in locations if location not in first]


def _fewest(demands: Sequence[Demand], new_pool: Callable[[], Pool]) -> tuple[int, ...] | None:
    """The smallest set of locations that fills everything, priority breaking ties.

    Where none does, or there are too many to try, the single location that fills the most.
    """
    locations = list(dict.fromkeys(loc for demand in demands for loc in demand.locations))
    wanted = sum(demand.units for demand in demands)
    small = len(locations) <= EXACT_LOCATIONS_MAX
    exact = small and len(demands) << len(locations) <= EXACT_WORK_MAX
    best: tuple[int, tuple[int, ...] | None] = (0, None)
    for size in range(1, (len(locations) if exact else 1) + 1):
        for chosen in combinations(locations, size):
            filled = _filled(demands, new_pool(), chosen)
            if filled == wanted:
                return chosen
            if filled > best[0]:
                best = (filled, chosen)
    return best[1]


def _filled(demands: Sequence[Demand], pool: Pool, chosen: tuple[int, ...]) -> int:
    only = [
        demand._replace(locations=[loc for loc in chosen if loc in demand.locations])
        for demand in demands
    ]
    return sum(take.units for take in _walk(only, pool, None))
