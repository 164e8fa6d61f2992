"""How far each line of an order is: ordered, called off, and what the buildings reported of it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from stockbridge.domain.world.model import FulfilmentLine
from stockbridge.domain.world.order import OrderContent, OrderLine

Reached = tuple[int, int, int, int]
"""Units that have at least reached allocated, picked, packed, shipped."""

NOTHING: Reached = (0, 0, 0, 0)


class LineView(NamedTuple):
    """A line in its own base units (whole kits for a kit).

    `wanted` as ordered and edited; `off` what is called off and has not left; `promised` the rest.
    `open` are the base units of each part that its reservation must hold: (item id, units).
    """

    line: OrderLine
    wanted: int
    asked_off: int
    off: int
    promised: int
    allocated: int
    picked: int
    packed: int
    shipped: int
    open: tuple[tuple[int, int], ...]

    @property
    def left(self) -> int:
        """Units still to be shipped."""
        return max(0, self.promised - self.shipped)

    @property
    def left_though_off(self) -> bool:
        """Whether units left that were called off."""
        return self.asked_off > self.off and self.shipped > 0


class _Claim:
    """A line's claim to the units reported of one item."""

    __slots__ = ("each", "kept", "reached", "wanted")

    def __init__(self, each: int, wanted: int, kept: int) -> None:
        self.each = each
        self.wanted = wanted
        self.kept = kept
        self.reached: Reached = NOTHING


def views_of(content: OrderContent, reported: Iterable[FulfilmentLine]) -> list[LineView]:
    """Every line, with what was reported of the order's reservation."""
    wanted = {line.name: _wanted(content, line) for line in content.lines}
    asked = {line.name: _asked_off(content, line, wanted[line.name]) for line in content.lines}
    claims: dict[int, dict[str, _Claim]] = defaultdict(dict)
    for line in sorted(content.lines, key=lambda line: line.name):
        units, off = wanted[line.name], asked[line.name]
        for item_id, each in line.parts:
            claims[item_id][line.name] = _Claim(each, units * each, (units - off) * each)
    reports: dict[int, list[FulfilmentLine]] = defaultdict(list)
    for report in reported:
        reports[report.item_id].append(report)
    for item_id, claimants in claims.items():
        _spread(claimants, reports.get(item_id, []))
    return [_view(line, wanted[line.name], asked[line.name], claims) for line in content.lines]


def _wanted(content: OrderContent, line: OrderLine) -> int:
    edit = content.edits.get(line.name)
    said = line.quantity if edit is None else max(line.quantity, edit)
    return line.units(said.quantity)


def _asked_off(content: OrderContent, line: OrderLine, wanted: int) -> int:
    """Units of the line that standing cancellations, or the ERP's refusal, call off."""
    if content.erp is not None and not content.erp.accepted:
        return wanted
    units = 0
    for cancel in content.cancels.values():
        if cancel.stands:
            if cancel.lines is None:
                return wanted
            units += line.units(cancel.lines.get(line.name, 0))
    return min(wanted, units)


def _view(
    line: OrderLine, wanted: int, asked: int, claims: dict[int, dict[str, _Claim]]
) -> LineView:
    own = [(item_id, claims[item_id][line.name]) for item_id, _ in line.parts]
    # A kit of which a part is bound is begun: it is not called off any more.
    begun = max(-(-claim.reached[0] // claim.each) for _, claim in own)
    off = min(asked, wanted - min(wanted, begun))
    promised = wanted - off
    a, b, c, d = (min(claim.reached[n] // claim.each for _, claim in own) for n in range(4))
    still = tuple(
        (item_id, max(0, promised * claim.each - claim.reached[0])) for item_id, claim in own
    )
    return LineView(line, wanted, asked, off, promised, a, b, c, d, still)


def reached_by(report: FulfilmentLine) -> Reached:
    """A later stage implies the earlier ones; what was given back is not allocated."""
    packed = max(report.packed, report.shipped)
    picked = max(report.picked, packed)
    allocated = max(report.allocated - report.deallocated, picked)
    return (allocated, picked, packed, report.shipped)


def _spread(claims: dict[str, _Claim], reports: list[FulfilmentLine]) -> None:
    """Give each line of the item what was reported of it.

    First what names the line, up to what was ordered; then the rest, to what is not called off
    before what is. What is beyond all that was ordered stays with the first line.
    """
    totals = [(report.line, reached_by(report)) for report in reports]
    if len(claims) == 1:
        (claim,) = claims.values()
        a, b, c, d = (sum(units[n] for _, units in totals) for n in range(4))
        claim.reached = (a, b, c, d)
        return
    columns = [_spread_stage(claims, [(name, u[n]) for name, u in totals]) for n in range(4)]
    for position, claim in enumerate(claims.values()):
        a, b, c, d = (column[position] for column in columns)
        claim.reached = (a, b, c, d)


def _spread_stage(claims: dict[str, _Claim], totals: list[tuple[str, int]]) -> list[int]:
    given = dict.fromkeys(claims, 0)
    loose = 0
    for name, units in totals:
        if name in given:
            given[name] += units
        else:
            loose += units
    for name, claim in claims.items():
        beyond = max(0, given[name] - claim.wanted)
        given[name] -= beyond
        loose += beyond
    for limit in ("kept", "wanted"):
        for name, claim in claims.items():
            more = min(loose, max(0, getattr(claim, limit) - given[name]))
            given[name] += more
            loose -= more
    first = next(iter(given))
    given[first] += loose
    return list(given.values())
