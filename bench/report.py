"""The report: a line of JSON for each figure, a table for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.model import Case, Measured

_VERDICT = {True: "yes", False: "NO", None: "-"}
_FILE_COLUMNS = 120


@dataclass
class Report:
    """Collects the lines of one run; `common` is what every line states."""

    common: Mapping[str, Any]
    full_scale: bool

    def __post_init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._values: dict[str, float] = {}

    def add(self, case: Case, measured: Measured) -> list[str]:
        """Note what a case found; returns its lines as JSON."""
        made = [
            self._line(case, figure, value, measured) for figure, value in measured.values.items()
        ]
        self.lines += made
        return [json.dumps(line) for line in made]

    def failed(self, case: Case, cause: str) -> str:
        """Note that a case could not be measured; returns its line as JSON."""
        line = {"case": case.name, "error": cause, "met": False, **self.common}
        self.lines.append(line)
        return json.dumps(line)

    def _line(self, case: Case, name: str, value: float, measured: Measured) -> dict[str, Any]:
        figure, label = case.figures[name], case.label(name)
        self._values[label] = value
        floor = self._values.get(figure.floor) if figure.floor is not None else None
        target = figure.target
        met = target.met(value, floor, full_scale=self.full_scale) if target else None
        return {
            "case": label,
            "measures": figure.measures,
            "value": _rounded(value),
            "unit": figure.unit,
            "floor_case": figure.floor,
            "floor": None if floor is None else _rounded(floor),
            "ratio": None if not floor else round(value / floor, 3),
            "target": target.text(figure.unit) if target else None,
            "met": met,
            "details": dict(measured.details),
            **self.common,
        }

    @property
    def missed(self) -> list[str]:
        """The figures that miss their target, and the cases that failed."""
        return [line["case"] for line in self.lines if line["met"] is False]

    @property
    def errors(self) -> list[str]:
        """The cases that could not be measured."""
        return [line["case"] for line in self.lines if "error" in line]

    def table(self) -> Table:
        """All lines for people."""
        table = Table(title="Stockbridge benchmarks", title_justify="left")
        for name, right in (("case", False), ("value", True), ("unit", False), ("floor", True),
                            ("ratio", True), ("target", False), ("met", False)):  # fmt: skip
            table.add_column(name, justify="right" if right else "left", no_wrap=True)
        for line in self.lines:
            table.add_row(*_cells(line))
        return table

    def show(self) -> None:
        """Print the table to standard error: standard output is for the lines."""
        console = Console(stderr=True)
        if not console.is_terminal:
            console.width = _FILE_COLUMNS
        console.print(self.table())


def _cells(line: Mapping[str, Any]) -> list[str]:
    if "error" in line:
        return [line["case"], "failed", "", "", "", "", "NO"]
    floor, ratio = line["floor"], line["ratio"]
    return [
        line["case"],
        f"{line['value']:,}",
        line["unit"],
        "" if floor is None else f"{floor:,}",
        "" if ratio is None else f"{ratio:,.2f}",
        line["target"] or "",
        _VERDICT[line["met"]] if line["target"] else "",
    ]


def _rounded(value: float) -> float:
    return round(value) if value >= 1_000 else float(f"{value:.4g}")
