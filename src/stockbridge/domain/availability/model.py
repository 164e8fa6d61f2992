"""What an availability figure is computed from, and what it is; times are microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Shelf(NamedTuple):
    """One item at one of the asking channel's locations, in base units.

    `fenced` is set aside for the asking channel, `fenced_others` for all others; both lie inside
    `available - reserved`. `kept` is False where no balance row exists yet.
    """

    location_id: int
    available: int = 0
    reserved: int = 0
    safety_stock: int = 0
    backordered: int = 0
    fenced: int = 0
    fenced_others: int = 0
    kept: bool = True


class Arrival(NamedTuple):
    """Open pipeline (on order or in transit) at one of the channel's locations."""

    location_id: int
    quantity: int
    expected_at: int


class Part(NamedTuple):
    """The item asked about (`units` 1), or one component of a kit (`units` in one kit).

    Every location with an arrival or a fence has a shelf.
    """

    item_id: int
    units: int
    shelves: tuple[Shelf, ...]
    arrivals: tuple[Arrival, ...] = ()


class Reach(NamedTuple):
    """What can be had at one location: now (`pool`), of it set aside for us, and in time."""

    pool: int
    fenced: int
    later: int


class Freshness(NamedTuple):
    """Age of the oldest feed behind a figure in microseconds; None when one never reported."""

    age: int | None
    stale: bool


class Figure(NamedTuple):
    """What a channel may show, with the sums it came from; base units, or whole kits.

    pool: free at the channel's locations. share: what the allocation kind leaves of it.
    pipeline: expected in time. available: the figure, after buffer, stale action, floor and cap.
    """

    pool: int
    share: int
    pipeline: int
    available: int


class Promise(NamedTuple):
    """Whether the quantity can be had in time, and the earliest time it can be promised."""

    can_fulfil: bool
    promisable_at: int | None


@dataclass(frozen=True, slots=True)
class Term:
    """One step of an explanation: `value` changes the running `total`.

    `rule_version` names what asked for the step: `formula/<n>` or `policy/<version>`. `inputs`
    are the numbers it was computed from; locations and items in it are ids.
    """

    name: str
    value: int
    total: int
    rule_version: str
    location_id: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
