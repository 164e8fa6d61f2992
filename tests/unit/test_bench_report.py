import json
from pathlib import Path

from rich.console import Console

from bench import machine
from bench.model import Case, Figure, Measured, Target
from bench.report import Report

FOUND_FLOOR = Measured({"": 200.0})
FOUND = Measured({"": 100.0, "p99": 4.0}, {"clients": 8})
FLOOR = Case("floor", {"": Figure("rows/s", "the floor")}, lambda _lab: FOUND_FLOOR)
FIGURES = {
    "": Figure("rows/s", "the hub", "floor", Target("of_floor", 0.6)),
    "p99": Figure("ms", "its tail", target=Target("at_most", 5)),
}
HUB = Case("hub", FIGURES, lambda _lab: FOUND)
COMMON = {
    "scale": "full",
    "command": "python -m bench hub",
    "date": "2026-01-01T00:00:00+00:00",
    "commit": "abc",
    "machine": {"cpu": "a", "cores": 2, "memory_gib": 4.0},
    "postgres": {"fsync": "on"},
}


def report() -> tuple[Report, list[dict]]:
    made = Report(COMMON, full_scale=True)
    texts = made.add(FLOOR, FOUND_FLOOR) + made.add(HUB, FOUND)
    return made, [json.loads(text) for text in texts]


def test_a_line_states_value_floor_target_and_where_it_was_measured():
    _, (_, line, _) = report()
    assert line == {
        "case": "hub",
        "measures": "the hub",
        "value": 100,
        "unit": "rows/s",
        "floor_case": "floor",
        "floor": 200,
        "ratio": 0.5,
        "target": ">= 60% of floor",
        "met": False,
        "details": {"clients": 8},
        **COMMON,
    }


def test_other_figures_have_lines_of_their_own():
    made, (_, _, line) = report()
    assert (line["case"], line["value"], line["target"], line["met"]) == (
        "hub.p99", 4, "<= 5 ms", True,
    )  # fmt: skip
    assert made.missed == ["hub"]
    assert made.errors == []


def test_a_case_that_fails_has_a_line_and_counts_as_missed():
    made, _ = report()
    line = json.loads(made.failed(HUB, "RuntimeError: no disk"))
    assert (line["case"], line["error"], line["met"]) == ("hub", "RuntimeError: no disk", False)
    assert line["machine"] == COMMON["machine"]
    assert made.errors == ["hub"]


def test_the_table_shows_every_line():
    made, _ = report()
    made.failed(HUB, "RuntimeError: no disk")
    console = Console(width=120, record=True, quiet=True)
    with console.capture() as shown:
        console.quiet = False
        console.print(made.table())
    text = shown.get()
    for words in ("floor", "hub.p99", ">= 60% of floor", "0.50", "NO", "yes", "failed"):
        assert words in text


def test_the_machine_is_described(tmp_path: Path):
    found = machine.describe(tmp_path)
    assert found["cores"] >= 1
    assert found["fdatasync_us"] >= 0
    assert set(found) >= {"cpu", "memory_gib", "system", "python", "filesystem"}
    assert list(tmp_path.iterdir()) == []
