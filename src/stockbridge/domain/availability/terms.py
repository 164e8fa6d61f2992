"""Explains a figure term by term: the last running total is the figure."""

from collections.abc import Sequence
from typing import Any

from stockbridge.domain.availability import rules
from stockbridge.domain.availability.model import Part, Reach, Shelf, Term
from stockbridge.domain.masters.model import Policy


class _Sum:
    """Collects terms and their running total."""

    def __init__(self, policy: Policy) -> None:
        self.terms: list[Term] = []
        self.total = 0
        self._formula = f"formula/{rules.FORMULA_VERSION}"
        self._policy = f"policy/{policy.version}"

    def fact(self, name: str, value: int, location_id: int | None = None, **inputs: Any) -> None:
        """A term of the formula itself."""
        self._add(name, value, self._formula, location_id, inputs)

    def rule(self, name: str, value: int, location_id: int | None = None, **inputs: Any) -> None:
        """A term the policy in force asks for."""
        self._add(name, value, self._policy, location_id, inputs)

    def _add(
        self, name: str, value: int, version: str, location_id: int | None, inputs: dict[str, Any]
    ) -> None:
        self.total += value
        self.terms.append(Term(name, value, self.total, version, location_id, inputs))

    def not_below_zero(self) -> None:
        if self.total < 0:
            self.fact("not_below_zero", -self.total)


def explain(parts: Sequence[Part], policy: Policy, stale: bool, until: int | None) -> list[Term]:
    """The terms of `rules.figure` for the same arguments; their values sum to the figure."""
    reached = rules.reach_all(parts, policy, until)
    terms = _Sum(policy)
    if len(parts) == 1 and parts[0].units == 1:
        for shelf in parts[0].shelves:
            _shelf(terms, shelf, policy)
    else:
        _kits(terms, parts, policy, reached)
    if not reached:
        terms.fact("nothing_at_the_locations", 0)
    share = _share(terms, reached, policy)
    for location_id, each in reached.items():
        _pipeline(terms, parts, location_id, each, until)
    _settle(terms, share, policy, stale)
    return terms.terms


def _shelf(terms: _Sum, shelf: Shelf, policy: Policy) -> None:
    terms.fact("available", shelf.available, shelf.location_id)
    terms.fact("reserved", -shelf.reserved, shelf.location_id)
    if shelf.safety_stock:
        terms.fact("safety_stock", -shelf.safety_stock, shelf.location_id, set_by="location")
    elif policy.safety_stock:
        terms.rule("safety_stock", -policy.safety_stock, shelf.location_id, set_by="policy")
    if shelf.fenced_others:
        terms.fact("fenced_for_others", -shelf.fenced_others, shelf.location_id)
    short = rules.net(shelf, policy)
    if short < 0:
        terms.fact("short_at_location", -short, shelf.location_id)


def _kits(terms: _Sum, parts: Sequence[Part], policy: Policy, reached: dict[int, Reach]) -> None:
    at_locations = [(part, rules.reach(part, policy, None)) for part in parts]
    for location_id, kits in reached.items():
        components = [
            {"item_id": part.item_id, "units": part.units, "free": each[location_id].pool}
            for part, each in at_locations
        ]
        terms.fact("kits_at_location", kits.pool, location_id, components=components)


def _share(terms: _Sum, reached: dict[int, Reach], policy: Policy) -> int:
    pool = terms.total
    share = rules.share_of(pool, sum(each.fenced for each in reached.values()), policy)
    if policy.kind == "percent":
        terms.rule("percent", share - pool, pool=pool, percent=policy.percent)
    elif policy.kind == "ring_fenced":
        terms.rule("ring_fenced", share - pool, pool=pool, fenced=share)
    return share


def _pipeline(
    terms: _Sum, parts: Sequence[Part], location_id: int, each: Reach, until: int | None
) -> None:
    due = [rules.due_at(part, until).get(location_id, 0) for part in parts]
    if any(due):
        backordered = [
            shelf.backordered
            for part in parts
            for shelf in part.shelves
            if shelf.location_id == location_id
        ]
        terms.rule(
            "pipeline", each.later - each.pool, location_id, due=due, backordered=backordered
        )


def _settle(terms: _Sum, share: int, policy: Policy, stale: bool) -> None:
    if policy.buffer_units:
        terms.rule("buffer_units", -policy.buffer_units)
    percent = rules.buffer_of(share, policy) - policy.buffer_units
    if percent:
        terms.rule("buffer_percent", -percent, share=share, percent=policy.buffer_percent)
    terms.not_below_zero()
    if stale and policy.on_stale == "zero":
        terms.rule("stale_zero", -terms.total)
    elif stale and policy.on_stale == "buffer":
        terms.rule("stale_buffer", -policy.stale_buffer_units)
        terms.not_below_zero()
    if 0 < terms.total < policy.floor:
        terms.rule("floor", -terms.total, floor=policy.floor)
    if policy.cap is not None and terms.total > policy.cap:
        terms.rule("cap", policy.cap - terms.total, cap=policy.cap)
