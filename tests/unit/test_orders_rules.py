"""States of orders as tables, and how buildings' reports spread over lines."""

from typing import Any

import pytest

from stockbridge.contracts import commands as c
from stockbridge.contracts import orders as o
from stockbridge.contracts.base import Document
from stockbridge.domain.masters.model import OrderFlow
from stockbridge.domain.orders.progress import views_of
from stockbridge.domain.orders.rules import Stock, release_bar, state_of, steps
from stockbridge.domain.world.model import FulfilmentLine
from stockbridge.domain.world.order import (
    Cancel,
    ErpReply,
    Held,
    OrderContent,
    Ordered,
    OrderLine,
)
from tests.properties.memory import Memory

ERP = OrderFlow(erp="tryton")
COMPLETE = OrderFlow(release="complete")
YES, NO = ErpReply(1, accepted=True), ErpReply(1, accepted=False)
FREE = Stock(4, 0)
AT: Any = "some time"


def line(name="1", quantity=4, number=1, item=1):
    return OrderLine(name, number, item, "A", Ordered(0, quantity), ((item, 1),))


def content(**more: Any) -> OrderContent:
    return OrderContent(**{"version": 0, "lines": (line(),), **more})


def report(stage, units, name="1", item=1):
    made = FulfilmentLine("S1", name, item, 1, 7)
    setattr(made, stage, units)
    return made


WHOLE = {"whole": Cancel()}
SOME = {"c1": Cancel(lines={"1": 1})}
ASKED = {"whole": Cancel(asks=True)}
AGREED = {"whole": Cancel(asks=True, agreed=True)}
REFUSED = {"whole": Cancel(agreed=False)}

# (what was stated, what a building reported, what is held, the state)
STATES = [
    (OrderContent(), [], Stock(0, 0), "received"),
    (OrderContent(cancels=SOME), [], Stock(0, 0), "received"),
    (OrderContent(cancels=WHOLE), [], Stock(0, 0), "cancelled"),
    (content(), [], FREE, "accepted"),
    (content(released_at=AT), [], FREE, "released"),
    (content(released_at=AT), [], Stock(0, 4), "backordered"),
    (content(released_at=AT), [], Stock(1, 3), "released"),
    (content(), [], Stock(0, 4), "backordered"),
    (content(), [], Stock(1, 3), "accepted"),
    (content(flow=COMPLETE), [], Stock(1, 3), "backordered"),
    (content(flow=ERP), [], FREE, "erp_pending"),
    (content(flow=ERP), [], Stock(0, 4), "erp_pending"),
    (content(flow=ERP, erp=YES), [], FREE, "accepted"),
    (content(flow=ERP, erp=NO), [], Stock(0, 0), "rejected"),
    (content(flow=ERP, erp=NO), [("shipped", 1)], Stock(0, 0), "completed"),
    (content(cancels=WHOLE), [], Stock(0, 0), "cancelled"),
    (content(cancels=ASKED, released_at=AT), [], FREE, "released"),
    (content(cancels=AGREED, released_at=AT), [], Stock(0, 0), "cancelled"),
    (content(cancels=REFUSED, released_at=AT), [], FREE, "released"),
    (content(cancels=WHOLE), [("shipped", 2)], Stock(0, 0), "completed"),
    (content(cancels=WHOLE), [("allocated", 2)], Stock(0, 0), "allocated"),
    (content(held=Held(True)), [], FREE, "on_hold"),
    (content(held=Held(False)), [], FREE, "accepted"),
    (content(held=Held(True), cancels=WHOLE), [], Stock(0, 0), "cancelled"),
    (content(released_at=AT), [("allocated", 1)], FREE, "allocated"),
    (content(released_at=AT), [("picked", 1)], FREE, "picked"),
    (content(released_at=AT), [("packed", 4)], FREE, "packed"),
    (content(released_at=AT), [("shipped", 3)], Stock(1, 0), "shipped"),
    (content(released_at=AT), [("shipped", 4)], Stock(0, 0), "completed"),
    (content(edits={"1": Ordered(1, 0)}), [], Stock(0, 0), "cancelled"),
]


@pytest.mark.parametrize("stated,reported,stock,state", STATES)
def test_states(stated, reported, stock, state):
    views = views_of(stated, [report(*each) for each in reported])
    assert state_of(stated, views, stock) == state


# (what was stated, what is held, why it cannot be released)
BARS = [
    (content(), FREE, None),
    (OrderContent(), FREE, "not been placed"),
    (content(cancels=WHOLE), FREE, "nothing of it is left"),
    (content(held=Held(True)), FREE, "on hold"),
    (content(flow=ERP), FREE, "tryton has not accepted"),
    (content(flow=ERP, erp=YES), FREE, None),
    (content(flow=OrderFlow(needs_payment=True)), FREE, "not been paid"),
    (content(flow=OrderFlow(needs_payment=True), paid_at=AT), FREE, None),
    (content(flow=COMPLETE), Stock(1, 3), "complete"),
    (content(), Stock(1, 3), None),
    (content(), Stock(0, 4), "waits for stock"),
]


@pytest.mark.parametrize("stated,stock,why", BARS)
def test_what_bars_a_release(stated, stock, why):
    bar = release_bar(stated, views_of(stated, []), stock)
    assert (bar is None) == (why is None)
    assert why is None or (bar is not None and why in bar)


@pytest.mark.parametrize(
    "before,after,flow,passed",
    [
        (None, "released", OrderFlow(), "received validated reserved accepted released"),
        (None, "erp_pending", ERP, "received validated reserved erp_pending"),
        (None, "released", ERP, "received validated reserved erp_pending accepted released"),
        ("erp_pending", "released", ERP, "accepted released"),
        ("erp_pending", "rejected", ERP, "rejected"),
        (None, "backordered", OrderFlow(), "received validated accepted backordered"),
        ("backordered", "released", OrderFlow(), "released"),
        ("released", "backordered", OrderFlow(), "backordered"),
        (None, "cancelled", OrderFlow(), "received cancelled"),
        ("received", "released", OrderFlow(), "validated reserved accepted released"),
        ("released", "shipped", OrderFlow(), "shipped"),
        ("on_hold", "released", OrderFlow(), "released"),
        ("released", "released", OrderFlow(), ""),
    ],
)
def test_states_passed_on_the_way(before, after, flow, passed):
    assert steps(before, after, flow) == passed.split()


# (lines: name, quantity; calls off; reports: stage, units, line; shipped by line, off by line)
SPREADS = [
    ([("1", 2), ("2", 2)], {}, [("shipped", 2, "2")], (0, 2), (0, 0)),
    ([("1", 2), ("2", 2)], {}, [("shipped", 3, "?")], (2, 1), (0, 0)),
    ([("1", 2), ("2", 2)], {}, [("shipped", 3, "2")], (1, 2), (0, 0)),
    ([("1", 2), ("2", 2)], {"1": 2}, [("shipped", 2, "?")], (0, 2), (2, 0)),
    ([("1", 2), ("2", 2)], {"1": 2}, [("shipped", 2, "1")], (2, 0), (0, 0)),
    ([("1", 2), ("2", 2)], {"1": 2}, [("shipped", 3, "?")], (1, 2), (1, 0)),
    ([("1", 2), ("2", 2)], {}, [("shipped", 9, "2")], (7, 2), (0, 0)),
]


@pytest.mark.parametrize("lines,off,reports,shipped,called_off", SPREADS)
def test_reports_spread_over_lines_of_one_item(lines, off, reports, shipped, called_off):
    made = tuple(line(name, units, number) for number, (name, units) in enumerate(lines, start=1))
    cancels = {"c1": Cancel(lines=off)} if off else {}
    views = views_of(content(lines=made, cancels=cancels), [report(*each) for each in reports])
    assert tuple(view.shipped for view in views) == shipped
    assert tuple(view.off for view in views) == called_off


def test_a_report_of_many_lines_is_followed_once():
    """What it costs grows with the order, not with the order times the lines reported of it."""
    memory, lines = Memory(), 400
    names = [str(n) for n in range(lines)]
    receipt = [c.ReceiptLine(sku="A", quantity=lines)]
    memory.submit(c.ReportReceipt(document=Document("po", "P1"), location="W1", lines=receipt))
    ordered = [o.PlacedLine(sku="A", quantity=1, line=name) for name in names]
    memory.submit(o.PlaceOrder(channel="web", number="O1", mode="sold", lines=ordered))
    left = [c.QuantityLine(sku="A", quantity=1, line=name) for name in names]
    shipment = c.ReportShipment(
        shipment="S1", location="W1", lines=left, document=Document("order", "O1")
    )
    before = len(memory.world.order_events)
    memory.submit(shipment)
    (event,) = memory.world.order_events[before:]
    assert (event.what, event.state) == ("shipped", "completed")
