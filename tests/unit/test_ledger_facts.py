"""Of reports that disagree one stands, whatever the order they came in."""

from itertools import permutations

import pytest

from stockbridge.domain.ledger.pipeline import supplied
from stockbridge.domain.ledger.rules import rank
from stockbridge.domain.world.model import Report, Stated
from stockbridge.kernel.accounts import ON_ORDER
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


def test_numbers_are_compared_within_one_flow_of_one_source_only():
    ranked = [
        rank("wms", "wms", ("", 1), (3, 0)),
        rank("wms", "erp", ("inbound", 2), (3, 0)),
        rank("wms", "erp", ("inbound", 1), (3, 0)),
        rank("wms", "erp", ("stock", 900), (3, 0)),
        rank("wms", "erp", ("", 900), (3, 0)),
        rank("wms", "erp", ("", 1), (3, 0)),
        rank("wms", "erp", ("inbound", None), (2, 0)),
        rank("wms", "erp", ("", None), (3, 0)),
        rank("wms", "tms", ("inbound", 901), (3, 0)),
    ]
    assert ranked == sorted(ranked)


@pytest.mark.parametrize("flow,on_order", [("orders", 6), ("changes", 10), ("", 10)])
def test_of_statements_of_two_flows_the_clock_decides(flow, on_order):
    reports = {
        "first": Report(ON_ORDER, 60, 10, stated=Stated("erp", 5, None, "orders")),
        "other": Report(ON_ORDER, 50, 6, stated=Stated("erp", 6, None, flow)),
    }
    assert supplied(reports)[-1] == on_order
    assert supplied(dict(reversed(reports.items())))[-1] == on_order
