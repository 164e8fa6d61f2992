"""Documents become the commands a partner would have sent."""

from datetime import UTC, datetime, timedelta

import pytest

from stockbridge.demo.commands import (
    SPLIT_ONE_IN,
    Promise,
    PromisedLine,
    Source,
    adjusted,
    parcels,
    reservation,
    returned,
)
from stockbridge.demo.retail import Document, Kind, Line
from stockbridge.demo.summary import Invariant, Summary

AT = datetime(2011, 1, 3, 9, tzinfo=UTC)


def document(kind=Kind.SALE, number="536365", lines=(("A", 5), ("B", 1)), **more) -> Document:
    return Document(
        kind, number, AT, "export", tuple(Line(*line) for line in lines), len(lines), **more
    )


def number_of(parts: int) -> str:
    for number in map(str, range(536365, 536465)):
        promise = Promise("rsv_1", [PromisedLine("A", 2, [Source("M", 2)])])
        if len(list(parcels(document(number=number), promise))) == parts:
            return number
    pytest.fail(f"no order in a hundred leaves in {parts} parcels, one in {SPLIT_ONE_IN} does")


def test_one_item_is_all_or_nothing_more_are_partial():
    assert reservation(document()).mode == "partial"
    assert reservation(document(lines=[("A", 5)])).mode == "all_or_nothing"


@pytest.mark.parametrize("parts", [1, 2])
def test_parcels_hold_what_was_promised(parts):
    promise = Promise(
        "rsv_1",
        [
            PromisedLine("A", 5, [Source("UK-MAIN", 3), Source("UK-3PL", 2)]),
            PromisedLine("B", 1, [Source("UK-MAIN", 1)]),
            PromisedLine("C", 0, []),
        ],
    )
    found = list(parcels(document(number=number_of(parts)), promise))
    shipped: dict[tuple[str, str | None, str | None], int] = {}
    for parcel in found:
        assert parcel.units == sum(line.quantity for line in parcel.body.lines) > 0
        for line in parcel.body.lines:
            place = (parcel.body.location, line.sku, line.line)
            shipped[place] = shipped.get(place, 0) + line.quantity
    assert shipped == {
        ("UK-MAIN", "A", "1"): 3,
        ("UK-3PL", "A", "1"): 2,
        ("UK-MAIN", "B", "2"): 1,
    }
    assert len(found) == 2 * parts
    assert len({parcel.key for parcel in found}) == len(found)
    assert {parcel.at - AT for parcel in found} == {timedelta(days=day) for day in range(parts)}


def test_returns_and_adjustments():
    assert {line.disposition for line in returned(document(Kind.RETURN)).lines} == {"restock"}
    broken = document(Kind.RETURN, scrap=True)
    assert {line.disposition for line in returned(broken).lines} == {"scrap"}
    lost = adjusted(document(Kind.ADJUSTMENT, lines=[("A", -3)], reason="LOST"))
    assert (lost.reason, lost.lines[0].quantity, lost.occurred_at) == ("LOST", -3, AT)


def test_summary_says_what_happened():
    summary = Summary(lines=10, seconds=2.0, units_ordered=4, units_promised=3)
    summary.refusals["insufficient_stock"] += 2
    summary.invariants = [Invariant("sums to zero", 0)]
    assert summary.ok
    assert "10 in 2.0 s = 5/s" in summary.text()
    assert "2 (2 insufficient_stock)" in summary.text()
    assert "3 = 75.0%" in summary.text()
    assert "ok      sums to zero" in summary.text()


def test_summary_says_what_broke():
    broken = Summary(invariants=[Invariant("sums to zero", 7, "item 3")])
    assert not broken.ok
    assert "BROKEN  sums to zero: 7 records, such as item 3" in broken.text()


def test_summary_keeps_the_first_failures():
    failed = Summary()
    for number in range(25):
        failed.fail(f"item {number}: 422")
    assert not failed.ok
    assert "FAILED  item 19: 422" in failed.text()
    assert "FAILED  and 5 more" in failed.text()
