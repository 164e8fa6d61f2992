"""What is booked of a document line follows from everything reported of it, in whatever order.

Single reports add up; a running total says how many there were in all by its time; what must have
moved by a moment is the larger of the two. A late report may change how much had moved by an
earlier moment without changing the sum: then the ledger gets that difference too, at its time, so
that a count in between is right whichever is heard first.
"""

from collections.abc import Callable, Iterator

from stockbridge.domain.world.model import Report, Reports

Level = tuple[int, ...]
"""Units by stage; one stage for lines that take one way."""

Levels = Callable[[Reports, int | None], Level]
"""The level that reports up to a moment (microseconds; None: all) say was reached."""


def units_of(reports: Reports, track: int = 0, until: int | None = None) -> int:
    """Units of the track that had moved by `until`."""
    singles, total = 0, None
    for report in reports.values():
        if report.track != track or (until is not None and report.at > until):
            continue
        if report.is_total:
            total = max(report.units, total or 0)
        else:
            singles += report.units
    return singles if total is None else max(singles, total)


def plain(reports: Reports, until: int | None) -> Level:
    """The level of a line that takes one way."""
    return (units_of(reports, 0, until),)


def changes(levels: Levels, before: Reports, after: Reports) -> Iterator[tuple[int, Level]]:
    """(moment, change of the level) wherever more or less had moved by then than was thought."""
    done: Level | None = None
    for at in sorted({report.at for report in (*before.values(), *after.values())}):
        was, now = levels(before, at), levels(after, at)
        difference = tuple(b - a for a, b in zip(was, now, strict=True))
        step = difference
        if done is not None:
            step = tuple(b - a for a, b in zip(done, difference, strict=True))
        if any(step):
            yield at, step
        done = difference


def says_nothing_new(reports: Reports, key: str, report: Report) -> bool:
    """Whether a running total is known already, or is below one that was reached before it."""
    known = reports.get(key)
    if known is not None:
        return known.at <= report.at
    return any(
        other.is_total
        and other.track == report.track
        and other.units >= report.units
        and other.at <= report.at
        for other in reports.values()
    )


def with_report(reports: Reports, key: str, report: Report) -> Reports:
    """The reports with one more, or with the one of that key replaced."""
    return {**reports, key: report}
