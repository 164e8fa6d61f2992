"""What is booked of a document line follows from everything reported of it, in whatever order.

Single reports add up; a running total says how many there were in all by its time; what must have
moved by a moment is the larger of the two. A late report may change how much had moved by an
earlier moment without changing the sum: then the ledger gets that difference too, at its time, so
that a count in between is right whichever is heard first.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from stockbridge.domain.world.model import Report, Reports

Level = tuple[int, ...]
"""Units by stage; one stage for lines that take one way."""

Levels = Callable[[Reports, int | None], Level]
"""The level that reports up to a moment (microseconds; None: all) say was reached."""

Changes = list[tuple[int, Level]]
"""(moment, change of the level), in time order."""


class Step(NamedTuple):
    """Units that change account."""

    from_account: int
    to_account: int
    units: int


def steps(net: dict[int, int]) -> list[Step]:
    """The fewest moves that change each account by its net; the last named take and give first."""
    givers = [(account, -units) for account, units in net.items() if units < 0]
    takers = [(account, units) for account, units in net.items() if units > 0]
    if len(givers) == len(takers) == 1:
        return [Step(givers[0][0], *takers[0])]
    made: list[Step] = []
    for taker, wanted in reversed(takers):
        left = wanted
        while left:
            giver, units = givers.pop()
            moved = min(left, units)
            made.append(Step(giver, taker, moved))
            left -= moved
            if units > moved:
                givers.append((giver, units - moved))
    return made


def units_of(reports: Reports, track: int = 0, until: int | None = None) -> int:
    """Units of the track that had moved by `until`: of all lots, and of those without one."""
    singles, total = 0, None
    lots: dict[str, list[int]] = {}
    for report in reports.values():
        if report.track != track or (until is not None and report.at > until):
            continue
        if report.lot is not None:
            _add(lots.setdefault(report.lot, [0, 0]), report)
        elif report.is_total:
            total = max(report.units, total or 0)
        else:
            singles += report.units
    if lots:
        singles += sum(map(max, lots.values()))
    return singles if total is None else max(singles, total)


def _add(lot: list[int], report: Report) -> None:
    """Take the report into a lot's sum of single reports and its largest running total."""
    lot[report.is_total] = max(lot[1], report.units) if report.is_total else lot[0] + report.units


def of_lot(reports: Reports, lot: str) -> Reports:
    """What is reported of one lot."""
    return {key: report for key, report in reports.items() if report.lot == lot}


def plain(reports: Reports, until: int | None) -> Level:
    """The level of a line that takes one way."""
    return (units_of(reports, 0, until),)


def changes(levels: Levels, before: Reports, after: Reports) -> Iterator[tuple[int, Level]]:
    """(moment, change of the level) wherever more or less had moved by then than was thought."""
    if not before and len(after) == 1:
        # What most lines are: reported once.
        (report,) = after.values()
        level = levels(after, report.at)
        if any(level):
            yield report.at, level
        return
    done: Level | None = None
    first = min((at for key in after for at in _touched(before, after, key)), default=0)
    moments = {report.at for report in (*before.values(), *after.values())}
    for at in sorted(at for at in moments if at >= first):
        was, now = levels(before, at), levels(after, at)
        difference = tuple(b - a for a, b in zip(was, now, strict=True))
        step = difference
        if done is not None:
            step = tuple(b - a for a, b in zip(done, difference, strict=True))
        if any(step):
            yield at, step
        done = difference


def _touched(before: Reports, after: Reports, key: str) -> Iterator[int]:
    """The moments of a report that is new or was replaced."""
    was, now = before.get(key), after[key]
    if was != now:
        yield now.at
        if was is not None:
            yield was.at


def with_the_rest(part: Changes, whole: Changes, first: int) -> Changes:
    """The part, its stages from `first` on taken from the whole, where they change at a moment."""
    rest = dict(whole)
    return [(at, (*change[:first], *rest.get(at, change)[first:])) for at, change in part]


def beyond(whole: Changes, part: Changes) -> Iterator[tuple[int, Level]]:
    """What the whole changes beyond its part, by moment."""
    left = dict(whole)
    for at, change in part:
        known = left.get(at, (0,) * len(change))
        left[at] = tuple(a - b for a, b in zip(known, change, strict=True))
    return ((at, change) for at, change in sorted(left.items()) if any(change))


def says_nothing_new(reports: Reports, key: str, report: Report) -> bool:
    """Whether a running total is known already, or is below one that was reached before it."""
    known = reports.get(key)
    if known is not None:
        return known.at <= report.at
    return any(
        other.is_total
        and (other.track, other.lot) == (report.track, report.lot)
        and other.units >= report.units
        and other.at <= report.at
        for other in reports.values()
    )


def with_report(reports: Reports, key: str, report: Report) -> Reports:
    """The reports with one more, or with the one of that key replaced."""
    return {**reports, key: report}
