"""What a benchmark case is, and what its figures are held to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench.lab import Lab

Kind = Literal["at_least", "at_most", "of_floor"]


@dataclass(frozen=True, slots=True)
class Target:
    """At least or at most `bound` in the figure's unit, or at least `bound` times the floor.

    `full_scale_only`: the promise is about the full amount of data, so a small run cannot judge it.
    """

    kind: Kind
    bound: float
    full_scale_only: bool = False

    def met(self, value: float, floor: float | None, *, full_scale: bool) -> bool | None:
        """Whether `value` keeps the promise; None when this run cannot tell."""
        if self.full_scale_only and not full_scale:
            return None
        if self.kind == "at_most":
            return value <= self.bound
        if self.kind == "at_least":
            return value >= self.bound
        return None if not floor else value >= self.bound * floor

    def text(self, unit: str) -> str:
        """For people."""
        if self.kind == "of_floor":
            return f">= {self.bound:.0%} of floor"
        sign = ">=" if self.kind == "at_least" else "<="
        return f"{sign} {self.bound:,g} {unit}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a case; `floor` names the figure (`case` or `case.figure`) it stands beside."""

    unit: str
    measures: str
    floor: str | None = None
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run of a case found: a value for each of its figures, and how it came about."""

    values: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """A measurement; the figure `""` is reported under the case's name, others as `case.figure`."""

    name: str
    figures: Mapping[str, Figure]
    run: Callable[["Lab"], Measured]

    @property
    def floors(self) -> set[str]:
        """The cases whose figures this one is compared with."""
        named = (figure.floor for figure in self.figures.values())
        return {floor.partition(".")[0] for floor in named if floor is not None}

    def label(self, figure: str) -> str:
        """How a figure is called in the report."""
        return f"{self.name}.{figure}" if figure else self.name
