"""What is derived from the rows: the same each time, and only from the past."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from stockbridge.demo.plan import (
    LEAD_DAYS,
    MAIN,
    OVERFLOW,
    days,
    make_plan,
    opening_units,
    outflows,
)
from stockbridge.demo.retail import Document, Kind, Line, documents, read_rows
from stockbridge.demo.slice import SHIPPED, make_slice

START = datetime(2011, 1, 3, 9, tzinfo=UTC)  # a Monday
DATA = SHIPPED.parent


@pytest.fixture(scope="module")
def rows():
    return read_rows(SHIPPED)


def sale(day: int, units: int, sku: str = "A", kind: Kind = Kind.SALE) -> Document:
    at = START + timedelta(days=day)
    return Document(kind, f"{kind}-{day}", at, "export", (Line(sku, units),), 1)


def flow_of(*sold: tuple[int, int]):
    return [(START + timedelta(days=day), units, Kind.SALE) for day, units in sold]


@pytest.mark.parametrize(
    "sold, opening",
    [
        ([(0, 1)], 1),
        ([(0, 6)], 6),
        ([(0, 100)], 97),
        ([(0, 100), (1, -40), (2, 30)], 97),
        ([(0, 100), (1, -40), (2, 80)], 136),
        ([(0, 100), (14, 900)], 97),
        ([(40, 100), (41, 100), (54, 900)], 194),
        ([(0, -50)], 0),
    ],
)
def test_opening_is_97_percent_of_the_first_peak(sold, opening):
    assert opening_units(flow_of(*sold)) == opening


def test_adjustments_and_returns_count_against_sales():
    flows = outflows([sale(0, 10), sale(1, 4, kind=Kind.RETURN), sale(2, -3, kind=Kind.ADJUSTMENT)])
    assert [units for _, units, _ in flows["A"]] == [10, -4, 3]


def test_a_fifth_of_the_larger_quantities_is_at_the_overflow(rows):
    plan = make_plan(rows, documents(rows))
    main, overflow = dict(plan.opening[MAIN]), dict(plan.opening[OVERFLOW])
    assert main.keys() == {item.sku for item in plan.items}
    assert overflow
    assert all(units == (units + main[sku]) // 5 for sku, units in overflow.items())
    assert all(units < 20 for sku, units in main.items() if sku not in overflow)


def test_replenishment_looks_at_the_past_only():
    past = [sale(day, 10) for day in range(20)]
    short = make_plan([], past)
    longer = make_plan([], [*past, sale(25, 5000), sale(30, 10)])
    until = START + timedelta(days=20)
    before = [order for order in longer.orders if order.ordered_at < until]
    assert before
    assert before == short.orders
    for order in longer.orders:
        assert order.ordered_at.weekday() == 0
        assert order.received_at - order.ordered_at == timedelta(days=LEAD_DAYS)


def test_replenishment_covers_three_weeks_of_demand():
    plan = make_plan([], [sale(day, 10) for day in range(60)])
    # 140 units cover the first 14 days (97 %: 136); after a week 70 were sold, 66 are left.
    first = [order for order in plan.orders if order.ordered_at == plan.orders[0].ordered_at]
    assert sum(units for order in first for _, units in order.lines) == 3 * 70 - 66
    assert {order.location for order in first} == {MAIN, OVERFLOW}


def test_days_hold_every_document_once_and_no_receipt_after_the_end(rows):
    plan = make_plan(rows, documents(rows))
    cut = days(plan)
    assert [day.begins_at for day in cut] == sorted({day.begins_at for day in cut})
    assert [d for day in cut for d in day.documents] == plan.documents
    received = [order for day in cut for order in day.received]
    assert received
    assert all(order.received_at <= plan.last_day for order in received)
    assert [order for day in cut for order in day.ordered] == plan.orders


def test_the_plan_is_the_same_each_time(rows):
    again = read_rows(SHIPPED)
    assert make_plan(rows, documents(rows)) == make_plan(again, documents(again))


def test_no_documents_no_plan():
    with pytest.raises(ValueError, match="no order lines"):
        make_plan([], [])


def test_items_of_the_slice(rows):
    plan = make_plan(rows, documents(rows))
    items = {item.sku: item for item in plan.items}
    assert len(items) == 2291
    assert items["85123A"].description == "WHITE HANGING HEART T-LIGHT HOLDER"
    assert items["85123A"].standard_cost == "1.6225"  # 0.55 of 2.95
    assert "POST" not in items
    assert all(sku == sku.upper() for sku in items)
    sold = {line.sku for d in plan.documents if d.kind is Kind.SALE for line in d.lines}
    assert sold <= items.keys()


def test_the_shipped_slice_is_whole(rows):
    attribution = (DATA / "ATTRIBUTION.md").read_text()
    assert "Chen, D. (2015)" in attribution
    assert "CC BY 4.0" in attribution
    assert f"{len(rows):,}" in attribution
    assert SHIPPED.stat().st_size <= 400_000
    assert (len(rows), len({row.invoice for row in rows})) == (18_235, 640)
    assert sum(row.quantity for row in rows) == 153_595
    kinds = {kind: sum(d.rows for d in documents(rows) if d.kind is kind) for kind in Kind}
    assert kinds == {
        Kind.SALE: 17_878,
        Kind.RETURN: 233,
        Kind.ADJUSTMENT: 36,
        Kind.SERVICE: 88,
        Kind.NOTHING: 0,
    }


def test_the_slice_cuts_itself_again(tmp_path):
    target = tmp_path / "again.csv.gz"
    assert make_slice(SHIPPED, target) == 18_235
    assert gzip.decompress(target.read_bytes()) == gzip.decompress(SHIPPED.read_bytes())
