"""Stages that commute, and the steps between what was reached."""

from itertools import permutations, product

import pytest

from stockbridge.domain.fulfilment.rules import STAGES, Reached, reached, steps
from stockbridge.domain.world.model import Report
from stockbridge.kernel.accounts import ALLOCATED, AVAILABLE, CUSTOMER, PICKED

CASES = {
    "nothing": ({}, (0, 0, 0)),
    "allocated": ({"allocated": 5}, (5, 0, 0)),
    "shipped implies all": ({"shipped": 3}, (3, 3, 3)),
    "packed is picked": ({"packed": 3, "picked": 2}, (3, 3, 0)),
    "each stage as far as it came": (
        {"allocated": 7, "picked": 6, "packed": 5, "shipped": 4}, (7, 6, 4),
    ),
    "given back": ({"allocated": 5, "deallocated": 2}, (3, 0, 0)),
    "given back, but shipped": ({"allocated": 5, "deallocated": 5, "shipped": 1}, (1, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("told,expected", CASES.values(), ids=CASES)
def test_reached_in_every_order(told, expected):
    for order in permutations(told.items()):
        reports = {stage: Report(STAGES[stage], 0, units) for stage, units in order}
        assert reached(reports) == Reached(*expected)


def test_steps_come_to_the_change():
    for allocated, picked, shipped in product(range(-2, 4), repeat=3):
        net = dict.fromkeys((AVAILABLE, ALLOCATED, PICKED, CUSTOMER), 0)
        for step in steps(Reached(allocated, picked, shipped)):
            assert step.units > 0
            net[step.from_account] -= step.units
            net[step.to_account] += step.units
        assert net == {
            AVAILABLE: -allocated,
            ALLOCATED: allocated - picked,
            PICKED: picked - shipped,
            CUSTOMER: shipped,
        }
