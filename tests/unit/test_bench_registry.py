import pytest

from bench.__main__ import main
from bench.model import Target
from bench.registry import BY_NAME, CASES, chosen

PROMISED = {
    "engine_uniform": "at_least",
    "engine_hot": "at_least",
    "http_lookup": "of_floor",
    "http_lookup.p99": "at_most",
    "http_query_10k": "at_most",
    "http_reserve": "at_least",
    "import_balances": "at_least",
    "lookups_under_writes": "at_most",
    "lookups_under_writes.writes": "at_least",
    "lookups_under_writes.memory": "at_most",
    "order_cost_growth": "at_most",
}
FIGURES = {case.label(name): figure for case in CASES for name, figure in case.figures.items()}


def test_every_promise_about_speed_has_a_figure_and_a_target():
    targets = {label: figure.target.kind for label, figure in FIGURES.items() if figure.target}
    assert targets.items() >= PROMISED.items()


def test_names_are_unique_and_each_case_has_a_main_figure():
    assert len(BY_NAME) == len(CASES)
    assert all("" in case.figures for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_floor_is_a_figure_of_a_case_that_runs_before(case):
    before = CASES[: CASES.index(case)]
    known = {floor.label(name) for floor in before for name in floor.figures}
    named = {figure.floor for figure in case.figures.values() if figure.floor}
    assert named <= known


@pytest.mark.parametrize(
    "names,run",
    [
        ([], [case.name for case in CASES]),
        (["engine_hot"], ["floor_pgbench", "engine_hot"]),
        (["http_reserve", "http_lookup"],
         ["floor_pgbench", "floor_asgi", "http_lookup", "http_reserve"]),
        (["floor_copy"], ["floor_copy"]),
    ],
)  # fmt: skip
def test_chosen_cases_bring_their_floors(names, run):
    assert [case.name for case in chosen(names)] == run


def test_an_unknown_case_is_refused_with_the_names_there_are(capsys):
    assert main(["engine_hoot"]) == 2
    assert "engine_hoot" in (said := capsys.readouterr().err)
    assert "engine_hot" in said


def test_the_list_names_every_figure(capsys):
    assert main(["--list"]) == 0
    listed = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(FIGURES)


@pytest.mark.parametrize(
    "target,value,floor,full,met",
    [
        (Target("at_least", 10), 10, None, True, True),
        (Target("at_least", 10), 9.9, None, True, False),
        (Target("at_most", 5), 5, None, True, True),
        (Target("at_most", 5), 5.1, None, True, False),
        (Target("of_floor", 0.6), 60, 100, True, True),
        (Target("of_floor", 0.6), 59, 100, True, False),
        (Target("of_floor", 0.6), 59, None, True, None),
        (Target("at_most", 5, full_scale_only=True), 9, None, False, None),
        (Target("at_most", 5, full_scale_only=True), 9, None, True, False),
    ],
)
def test_whether_a_target_is_met(target, value, floor, full, met):
    assert target.met(value, floor, full_scale=full) is met
