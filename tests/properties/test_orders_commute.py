"""Law: an order's statements and its buildings' reports, in any order and any number of times,
end in the same order and the same balances; and what is open of it is held, once."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stockbridge.contracts import commands as c
from stockbridge.contracts import orders as o
from stockbridge.contracts.base import Document
from stockbridge.domain.orders.answers import order_answer
from stockbridge.domain.orders.course import reported
from stockbridge.domain.orders.progress import views_of
from stockbridge.kernel.errors import Refusal
from tests.properties.memory import Memory

EXAMPLES = 200
NAMED: dict[str, Any] = {"channel": "web", "number": "O1"}
# Lines by name: what is on them never changes, how many does.
ITEMS = {"1": "A", "2": "B", "3": "A", "4": "KIT"}
UNITS = st.integers(1, 4)
VERSION = st.integers(0, 4)
LINE = st.sampled_from(sorted(ITEMS))


@st.composite
def placings(draw) -> Any:
    names = draw(st.lists(LINE, min_size=1, max_size=4, unique=True))
    lines = [o.PlacedLine(sku=ITEMS[n], line=n, quantity=draw(UNITS)) for n in names]
    customer = draw(st.sampled_from(["ann", "bob"]))
    paid_at = draw(st.sampled_from([None, Memory().world.now]))
    return o.PlaceOrder(
        **NAMED, mode="sold", lines=lines, version=draw(VERSION), customer=customer,
        placed_at=Memory().world.now, paid_at=paid_at,
    )  # fmt: skip


EDITS = st.builds(
    lambda line, quantity, version: o.EditOrder(
        **NAMED, lines=[o.EditLine(line, quantity)], version=version
    ),
    LINE,
    st.integers(0, 5),
    VERSION,
)
CANCELS = st.one_of(
    st.just(o.CancelOrder(**NAMED)),
    st.builds(
        lambda line, quantity, number: o.CancelOrder(
            **NAMED, lines=[o.CancelLine(line, quantity)], cancellation=f"{line}{quantity}{number}"
        ),
        LINE,
        UNITS,
        st.integers(0, 1),
    ),
)
REPLIES = st.builds(
    lambda agreed: o.AnswerOrder(
        **NAMED, answer="accepted" if agreed else "rejected", occurred_at=Memory().world.now
    ),
    st.booleans(),
)


@st.composite
def shipments(draw) -> Any:
    name = draw(st.sampled_from(["1", "2", "3", "4", "other"]))
    sku = ITEMS.get(name, "A")
    place, parcel = draw(st.sampled_from(["W1", "W2"])), draw(st.sampled_from("PQ"))
    stage = draw(st.sampled_from(["allocated", "picked", "packed", "shipped", "deallocated"]))
    # One parcel says one thing of a line, whoever repeats it.
    quantity = 1 + (ord(parcel) + len(stage) + len(place + name)) % 3
    line = c.QuantityLine(sku=sku, line=name, quantity=quantity, package=parcel)
    return c.ReportShipment(
        shipment=f"S{parcel}", location=place, stage=stage, lines=[line],
        document=Document("order", "O1"), occurred_at=Memory().world.now,
    )  # fmt: skip


@st.composite
def stories(draw) -> tuple[list[Any], list[Any]]:
    """An order, things said of it, and the same in another order with some heard again."""
    said = draw(st.lists(placings(), min_size=1, max_size=3))
    said += draw(st.lists(EDITS, max_size=3)) + draw(st.lists(CANCELS, max_size=2))
    said += draw(st.lists(shipments(), max_size=5)) + draw(st.lists(REPLIES, max_size=1))
    again = draw(st.permutations(said + draw(st.lists(st.sampled_from(said), max_size=4))))
    return said, list(again)


def _end(said: list[Any]) -> tuple[Any, Any]:
    """What everything comes to; a report of an order nobody has heard of waits for it."""
    memory = Memory()
    for place in ("W1", "W2"):
        for sku in ("A", "B"):
            line = c.ReceiptLine(sku=sku, quantity=500)
            document = Document("po", f"{place}{sku}")
            memory.submit(c.ReportReceipt(document=document, location=place, lines=[line]))
    parked: list[Any] = []
    for body in said:
        for each in [body, *parked]:
            outcome = memory.submit(each)
            waits = isinstance(outcome, Refusal)
            assert not isinstance(outcome, Refusal) or outcome.code == "unknown_order"
            if each in parked and not waits:
                parked.remove(each)
            elif each not in parked and waits:
                parked.append(each)
            _hold_once(memory)
    assert not parked
    return _told(memory), memory.balances()


def _hold_once(memory: Memory) -> None:
    """The holds of an order are what is open of it, by item; an ended order holds nothing."""
    world = memory.world
    for order in world.orders.values():
        held: Counter[int] = Counter()
        wanted: Counter[int] = Counter()
        if order.reservation_id is not None:
            for hold in world.holds_of(order.reservation_id):
                held[hold.item_id] += hold.quantity
            for view in views_of(order.content, reported(world, order.reservation_id)):
                wanted.update(dict(view.open))
            is_open = world.reservations[order.reservation_id].is_open
            assert is_open == bool(held)
        assert +held == +wanted, order.state
        assert order.state not in {"cancelled", "rejected"} or not +held


def _told(memory: Memory) -> Any:
    """The order as callers see it, without ids and times."""
    world = memory.world
    (order,) = world.orders.values()
    held, places = order.reservation_id or 0, {1: "W1", 2: "W2"}
    told = order_answer(order, "web", world.holds_of(held), reported(world, held), places)
    for name in ("created_at", "updated_at", "ended_at", "released_at", "reservation", "id"):
        told.pop(name)
    lines = sorted(told["lines"], key=lambda line: line["line"])
    # Which of two lines of one item a hold stands under may differ.
    told["lines"] = [line | {"sources": None} for line in lines]
    told["cancellations"] = sorted(told["cancellations"], key=lambda each: each["cancellation"])
    return told


@settings(max_examples=EXAMPLES, deadline=None)
@given(stories())
def test_statements_and_reports_commute(story):
    first, again = map(_end, story)
    assert first[0] == again[0]
    assert first[1] == again[1]
