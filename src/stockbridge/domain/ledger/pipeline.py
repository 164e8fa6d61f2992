"""What is still open of a supply line follows from its statements and receipts, in any order.

A statement says how much of its state (on order, in transit) was open at its moment. What is
received takes from what is in transit, then from what is on order; more in transit than before
takes from what is on order. The tracks of a supply line are account numbers.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from stockbridge.domain.ledger.lines import Level, units_of
from stockbridge.domain.world.model import Report, Reports
from stockbridge.kernel.accounts import AVAILABLE, IN_TRANSIT, ON_ORDER, QUARANTINED

STAGES = (AVAILABLE, QUARANTINED, IN_TRANSIT, ON_ORDER)
"""What the stages of a supply line's level are."""
RECEIVED = 2
"""How many of the stages are of goods that came in, and so may be of a lot."""


class Statement(NamedTuple):
    """A statement and the moment it counts from, in microseconds since 1970."""

    at: int
    report: Report


def supplied(reports: Reports, until: int | None = None) -> Level:
    """Units received as available and as quarantined, still in transit and still on order."""
    if not reports:
        return (0,) * len(STAGES)
    available = units_of(reports, AVAILABLE, until)
    quarantined = units_of(reports, QUARANTINED, until)
    for report in reports.values():
        if report.stated is not None:
            break
    else:
        return available, quarantined, 0, 0
    said = statements(reports, until)
    return available, quarantined, *_still_open(said, reports, until, available + quarantined)


def statements(reports: Reports, until: int | None = None) -> list[Statement]:
    """The statements in the order they count, one for each state and moment.

    At one moment an order comes before what was shipped of it; of two figures the lower stands.
    """
    said = [
        report
        for report in reports.values()
        if report.stated is not None and (until is None or report.at <= until)
    ]
    if not said:
        return []
    ordered = sorted(_dated(said), key=_order)
    return list({(at, report.track): Statement(at, report) for at, report in ordered}.values())


def newest(reports: Reports, track: int) -> Report | None:
    """The statement of the state that stands, if there is one."""
    said = (statement.report for statement in reversed(statements(reports)))
    return next((report for report in said if report.track == track), None)


def _still_open(
    said: list[Statement], reports: Reports, until: int | None, received: int
) -> tuple[int, int]:
    """Units in transit and on order once all was said and received."""
    in_transit = on_order = taken = 0
    for at, report in said:
        before = at - 1 if until is None else min(at - 1, until)
        arrived = units_of(reports, AVAILABLE, before) + units_of(reports, QUARANTINED, before)
        in_transit, on_order = _less(in_transit, on_order, arrived - taken)
        taken = arrived
        if report.track == ON_ORDER:
            on_order = report.units
        else:
            on_order -= min(on_order, max(0, report.units - in_transit))
            in_transit = report.units
    return _less(in_transit, on_order, received - taken)


def _less(in_transit: int, on_order: int, arrived: int) -> tuple[int, int]:
    """What is open once so many units arrived; what nobody announced takes nothing."""
    shipped = min(in_transit, arrived)
    return in_transit - shipped, on_order - min(on_order, arrived - shipped)


def _dated(said: list[Report]) -> Iterator[Statement]:
    """Each with its moment: its source's clock, but never before what its flow numbered lower."""
    numbered = []
    for report in said:
        number = _number(report)
        if number is None:
            yield Statement(report.at, report)
        else:
            numbered.append((number, report))
    floors: dict[tuple[str, str], int] = {}
    numbered.sort(key=lambda pair: pair[0])
    for (source, flow, _), same in groupby(numbered, key=lambda pair: pair[0]):
        floor = floors.get((source, flow))
        dated = [Statement(r.at if floor is None else max(r.at, floor), r) for _, r in same]
        floors[source, flow] = max(at for at, _ in dated) + 1
        yield from dated


def _number(report: Report) -> tuple[str, str, int] | None:
    if report.stated is None or report.stated.sequence is None:
        return None
    return report.stated.source, report.stated.flow, report.stated.sequence


def _order(statement: Statement) -> tuple[int, bool, int, int]:
    at, report = statement
    expected = report.stated.expected_at if report.stated else None
    return at, report.track != ON_ORDER, -report.units, -1 if expected is None else expected
