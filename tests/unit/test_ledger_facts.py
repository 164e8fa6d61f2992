"""Of reports that disagree one stands, whatever the order they came in."""

from itertools import permutations

import pytest

from stockbridge.domain.ledger.rules import rank
from tests.properties.facts import FactCase, body
from tests.properties.memory import START, Memory

REPORTS = {
    # (source, quantity) of each report of one parcel at W1, where the WMS is the authority: stands
    "the authority": ([("erp", 3), ("wms", 2)], 2),
    "the first source by code": ([("erp", 3), ("3pl", 5)], 5),
    "the smaller quantity of one source": ([("erp", 3), ("erp", 2)], 2),
    "confirmed by the authority": ([("erp", 3), ("wms", 3), ("3pl", 5)], 3),
    "all of one mind": ([("erp", 3), ("wms", 3), ("3pl", 3)], 3),
}


@pytest.mark.parametrize("reports,stands", REPORTS.values(), ids=REPORTS)
def test_one_report_stands_in_every_order(reports, stands):
    for order in permutations(reports):
        memory = Memory()
        for source, quantity in order:
            fact = FactCase("receive", "1", "A", "W1", None, 0, quantity, source, way="available")
            memory.submit(body(fact, START))
        assert memory.balances()[1, 1][0] == stands, order


def test_numbers_are_compared_within_one_source_only():
    said = (3, 0)
    assert rank(None, "erp", 1, said) < rank(None, "wms", 900, said)
    assert rank(None, "erp", None, said) < rank(None, "wms", 900, said)
    assert rank(None, "wms", 900, said) < rank(None, "wms", 1, said)
    assert rank("wms", "wms", 1, said) < rank("wms", "erp", 900, said)
