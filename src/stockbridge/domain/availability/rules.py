"""The availability formula, pure (docs: README.md of this package).

allocation kind -> pipeline -> buffer -> stale action -> floor -> cap; never negative.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from stockbridge.domain.availability.model import (
    Arrival,
    Figure,
    Freshness,
    Part,
    Promise,
    Reach,
    Shelf,
)
from stockbridge.domain.masters.model import Channel, Policy

FORMULA_VERSION: Final = 1
"""Grows when the same inputs would give another figure."""

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND

Row = tuple[int, int, int, int, int]
"""(location id, available, reserved, safety stock, backordered) of one item."""
FenceRow = tuple[int, int, int]
"""(location id, channel id, quantity) of one item."""


def gather(
    item_id: int,
    units: int,
    rows: Iterable[Row],
    fences: Iterable[FenceRow],
    arrivals: Iterable[tuple[int, int, int]],
    channel_id: int,
    sources: Collection[int],
) -> Part:
    """Bring one item's rows into the shape the rules read, as `channel_id` sees them.

    `arrivals` are (location id, quantity, expected at); rows elsewhere than `sources` are ignored.
    """
    shelves = {row[0]: Shelf(*row) for row in rows if row[0] in sources}
    due = tuple(Arrival(*arrival) for arrival in arrivals if arrival[0] in sources)
    for arrival in due:
        shelves.setdefault(arrival.location_id, Shelf(arrival.location_id, kept=False))
    for location_id, owner_id, quantity in fences:
        if location_id in sources:
            shelf = shelves.get(location_id) or Shelf(location_id, kept=False)
            shelves[location_id] = (
                shelf._replace(fenced=shelf.fenced + quantity)
                if owner_id == channel_id
                else shelf._replace(fenced_others=shelf.fenced_others + quantity)
            )
    return Part(item_id, units, tuple(shelves.values()), due)


def freshness(
    parts: Iterable[Part], channel: Channel, seen: Mapping[int, int], now: int
) -> Freshness:
    """Age of the oldest feed behind `parts`: their locations, or all the channel's if none.

    `seen` maps location id to when it last told us anything. A location never heard from makes
    the age unknown, which is stale wherever the channel sets a threshold.
    """
    held = {shelf.location_id for part in parts for shelf in part.shelves if shelf.kept}
    return freshness_of([seen.get(each) for each in held or channel.sources], channel, now)


def freshness_of(times: Collection[int | None], channel: Channel, now: int) -> Freshness:
    """The same from the feeds' times themselves; None is a feed never heard from."""
    limit = channel.freshness_seconds_max
    known = [time for time in times if time is not None]
    if not known or len(known) < len(times):
        return Freshness(None, limit is not None)
    age = max(0, now - min(known))
    return Freshness(age, limit is not None and age > limit * SECOND)


def horizon_end(policy: Policy, now: int) -> int | None:
    """The last moment whose pipeline counts; None when the policy counts none."""
    return now + policy.horizon_days * DAY if policy.horizon_days else None


def net(shelf: Shelf, policy: Policy) -> int:
    """Free units the channel may draw on; negative when more is promised or kept than is there."""
    safety = shelf.safety_stock or policy.safety_stock
    return shelf.available - shelf.reserved - safety - shelf.fenced_others


def due_at(part: Part, until: int | None) -> dict[int, int]:
    """Units expected by `until` at each location."""
    due: dict[int, int] = {}
    if until is not None:
        for arrival in part.arrivals:
            if arrival.expected_at <= until:
                due[arrival.location_id] = due.get(arrival.location_id, 0) + arrival.quantity
    return due


def reach(part: Part, policy: Policy, until: int | None) -> dict[int, Reach]:
    """What of one item can be had at each location, in base units.

    Pipeline first covers what is short at its location, and what is already backordered there.
    """
    due = due_at(part, until)
    reached: dict[int, Reach] = {}
    for shelf in part.shelves:
        free = net(shelf, policy)
        pool = max(0, free)
        extra = max(0, due.get(shelf.location_id, 0) - shelf.backordered + min(0, free))
        reached[shelf.location_id] = Reach(pool, min(pool, shelf.fenced), pool + extra)
    return reached


def reach_all(parts: Sequence[Part], policy: Policy, until: int | None) -> dict[int, Reach]:
    """What can be had at each location; of a kit, whole kits from one location."""
    if len(parts) == 1 and parts[0].units == 1:
        return reach(parts[0], policy, until)
    reaches = [(part.units, reach(part, policy, until)) for part in parts]
    common = set.intersection(*(set(reached) for _, reached in reaches)) if reaches else set()
    return {
        location_id: Reach(
            *(
                min(reached[location_id][field] // units for units, reached in reaches)
                for field in range(len(Reach._fields))
            )
        )
        for location_id in common
    }


def share_of(pool: int, fenced: int, policy: Policy) -> int:
    """What the allocation kind leaves the channel of its `pool`."""
    if policy.kind == "percent":
        return pool * policy.percent // 100
    return fenced if policy.kind == "ring_fenced" else pool


def buffer_of(share: int, policy: Policy) -> int:
    """Units held back from the shown figure, a part of a unit counting as one."""
    return policy.buffer_units - share * policy.buffer_percent // -100


def settle(share: int, pipeline: int, policy: Policy, stale: bool) -> int:
    """The figure: buffer, stale action, floor and cap applied to what can be had."""
    shown = share + pipeline
    if policy.buffer_units or policy.buffer_percent:
        shown -= buffer_of(share, policy)
    if stale and policy.on_stale != "serve":
        shown = 0 if policy.on_stale == "zero" else shown - policy.stale_buffer_units
    if shown <= 0 or shown < policy.floor:
        return 0
    return shown if policy.cap is None or shown < policy.cap else policy.cap


def figure(parts: Sequence[Part], policy: Policy, stale: bool, until: int | None) -> Figure:
    """The figure of an item (one part of unit 1) or of a kit, with pipeline up to `until`."""
    reached = reach_all(parts, policy, until).values()
    pool = sum(each.pool for each in reached)
    share = share_of(pool, sum(each.fenced for each in reached), policy)
    pipeline = sum(each.later - each.pool for each in reached)
    return Figure(pool, share, pipeline, settle(share, pipeline, policy, stale))


def promise(
    parts: Sequence[Part],
    policy: Policy,
    stale: bool,
    now: int,
    quantity: int,
    by: int | None,
) -> Promise:
    """Can `quantity` be had by `by` (by the policy's horizon if None), and when at the earliest.

    Dates past the policy's horizon count here: the asker names the time.
    """

    def enough(until: int | None) -> bool:
        return figure(parts, policy, stale, until).available >= quantity

    in_time = enough(horizon_end(policy, now)) if by is None else by >= now and enough(by)
    if enough(None):
        return Promise(in_time, now)
    moments = sorted({arrival.expected_at for part in parts for arrival in part.arrivals})
    first = bisect_left(moments, True, key=enough)
    return Promise(in_time, max(now, moments[first]) if first < len(moments) else None)


def look_up(
    rows: Iterable[Row],
    sources: Collection[int],
    seen: Mapping[int, int],
    channel: Channel,
    policy: Policy,
    now: int,
) -> tuple[int, int | None, bool]:
    """(figure, age, stale) of an item with no fence, kit or counted pipeline, in one pass.

    The same answer as `gather`, `freshness` and `figure`, several times faster: it is what
    nearly every question comes to. `sources` are the channel's; `policy` must not be ring-fenced.
    """
    pool = 0
    oldest = now
    held = heard = False
    safety_default = policy.safety_stock
    for location_id, available, reserved, safety, _ in rows:
        if location_id in sources:
            seen_at = seen.get(location_id)
            heard = seen_at is not None and (heard or not held)
            held = True
            if seen_at is not None and seen_at < oldest:
                oldest = seen_at
            free = available - reserved - (safety or safety_default)
            if free > 0:
                pool += free
    if heard:
        limit = channel.freshness_seconds_max
        age: int | None = now - oldest
        stale = limit is not None and now - oldest > limit * SECOND
    elif held:
        age, stale = None, channel.freshness_seconds_max is not None
    else:
        age, stale = freshness_of([seen.get(each) for each in channel.sources], channel, now)
    share = pool if policy.kind == "shared" else share_of(pool, 0, policy)
    return settle(share, 0, policy, stale), age, stale
