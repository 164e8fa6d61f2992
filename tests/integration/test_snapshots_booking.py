"""Which reports become counts: an authority's at once, others when their owner accepts them."""

import asyncio
from functools import partial
from itertools import permutations

import pytest

from stockbridge.assurance.invariants import check
from stockbridge.contracts.masters import KitComponent, PutItem, PutLocation
from stockbridge.domain.snapshots.compare import compare_snapshot
from stockbridge.domain.snapshots.work import work_on
from tests.integration.snapshots_desk import NOON, after, csv_of, desk_on


@pytest.fixture
async def desk(dsn):
    async with desk_on(dsn) as made:
        yield made
        assert await check(made.conn) == []


async def test_an_authority_s_differences_become_counts(desk):
    await desk.receive("A", 10, after(-60))
    await desk.receive("B", 10, after(-60))
    before = await desk.movements()
    rows = csv_of([("A", "MAIN", 8), ("B", "MAIN", 10), ("C", "MAIN", 3), ("A", "EAST", 1)])
    snapshot = await desk.report(rows, "WMS", is_authoritative=True)
    # EAST is TPL's: what WMS says of it is only compared.
    assert await desk.outcomes(snapshot) == {2: "counted", 3: "unchanged", 4: "counted", 5: "drift"}
    assert [await desk.available(sku) for sku in "ABC"] == [8, 10, 3]
    moves = await desk.ask(
        "SELECT kind, from_account, to_account, quantity, occurred_at, document_type,"
        " document_number, document_line, correlation_id FROM movement ORDER BY movement_id"
    )
    number = f"snapshot:{snapshot}"
    assert moves[before:] == [
        (16, 1, 22, 2, NOON, "count", number, "2", "corr"),
        (16, 22, 1, 3, NOON, "count", number, "4", "corr"),
    ]
    assert await desk.cases() == [("stock_drift", f"snapshot:{snapshot}@EAST")]
    assert await desk.ask("SELECT count(*) FROM fact WHERE kind = 'count'") == [(2,)]


LATE = [("receive", 7, -30), ("ship", 2, -20), ("ship", 3, 10), ("receive", 1, 20)]


@pytest.mark.parametrize("held", [0, 12], ids=["agrees", "differs"])
async def test_what_occurred_before_an_authority_s_report_is_inside_it(desk, held):
    """Late facts of before the cut-off change nothing, also where there was nothing to book."""
    if held:
        await desk.receive("A", held, after(-90))
    await desk.report(csv_of([("A", "MAIN", 0)]), is_authoritative=True)
    for act, quantity, minutes in LATE:
        await getattr(desk, act)("A", quantity, after(minutes))
    assert await desk.available("A") == -2


async def test_a_row_that_agrees_is_anchored_without_a_movement(desk):
    await desk.receive("A", 10, after(-60))
    await desk.count("A", 2, after(-60), "picked")
    before = await desk.movements()
    rows = csv_of([("A", "MAIN", 10, "available"), ("A", "MAIN", 2, "picked")],
                  "sku,location,quantity,state")  # fmt: skip
    await desk.report(rows, is_authoritative=True)
    assert await desk.movements() == before
    assert await desk.ask("SELECT counted_at FROM balance") == [(NOON,)]
    assert await desk.ask("SELECT counted_at FROM count_anchor") == [(NOON,)]
    await desk.receive("A", 5, after(-10))
    assert await desk.available("A") == 10


async def test_a_row_that_moved_between_compare_and_anchor_is_counted(desk):
    await desk.receive("A", 10, after(-60))
    taken = await desk.keep(csv_of([("A", "MAIN", 10)]), is_authoritative=True)
    await asyncio.to_thread(compare_snapshot, desk.dsn, taken.snapshot_id)
    await desk.ship("A", 4, after(-10))  # late: inside the reported 10
    await desk.ship("A", 1, after(10))
    await work_on(desk.dsn, desk.engine.submit, taken.snapshot_id)
    assert await desk.outcomes(taken.snapshot_id) == {2: "counted"}
    assert await desk.available("A") == 9


async def test_the_owner_accepts_drift_of_the_places_named(desk):
    await desk.receive("A", 10, after(-60))
    rows = csv_of([("A", "MAIN", 8), ("A", "EAST", 4), ("B", "EAST", 2)])
    snapshot = await desk.report(rows, "ERP")
    await desk.ship("A", 1, after(5))
    assert await desk.accept(snapshot, "MAIN", "NOWHERE") == ["MAIN"]
    assert await desk.available("A") == 7
    assert await desk.cases() == [("stock_drift", f"snapshot:{snapshot}@EAST")]
    assert await desk.accept(snapshot) == ["EAST"]
    assert (await desk.available("A", "EAST"), await desk.available("B", "EAST")) == (4, 2)
    assert await desk.cases() == []
    assert await desk.accept(snapshot) == []
    assert set((await desk.outcomes(snapshot)).values()) == {"counted"}
    [(resolution, *_)] = await desk.ask(
        "SELECT DISTINCT resolution FROM exception WHERE kind = 'stock_drift'"
    )
    assert resolution == "booked as counts"


async def test_a_newer_report_takes_over_what_an_older_left_open(desk):
    old = await desk.report(csv_of([("A", "MAIN", 8)]), "ERP")
    new = await desk.report(csv_of([("A", "MAIN", 0)]), "ERP", at=after(60))
    assert await desk.cases() == []
    [(resolution,)] = await desk.ask("SELECT resolution FROM exception")
    assert resolution == f"superseded by snapshot {new}"
    assert await desk.accept(old) == []
    assert await desk.available("A") == 0


async def test_two_reports_a_minute_apart_lose_no_event_between(desk):
    """First: 10 there; then 3 leave; second: 7 there; then 2 arrive. Any order: 9."""
    for number, order in enumerate(permutations(range(4))):
        place = f"P{number}"
        await desk.submit(PutLocation(place, authority="WMS"))

        def report(quantity, minutes, place=place):
            rows = csv_of([("A", place, quantity)])
            return desk.report(rows, at=after(minutes), is_authoritative=True)

        acts = [
            partial(report, 10, 0),
            partial(desk.ship, "A", 3, after(0.5), place),
            partial(report, 7, 1),
            partial(desk.receive, "A", 2, after(1.5), place),
        ]
        for n in order:
            await acts[n]()
        assert await desk.available("A", place) == 9, order
    assert await desk.cases() == []


async def test_a_figure_that_cannot_be_counted_stays_open_beside_the_others(desk):
    await desk.count("A", 5, after(-60), "picked")
    rows = csv_of([("A", "MAIN", 3), ("B", "MAIN", 3)])
    snapshot = await desk.report(rows, meaning="on_hand", is_authoritative=True)
    assert await desk.outcomes(snapshot) == {2: "drift", 3: "counted"}
    assert await desk.cases() == [("stock_drift", f"snapshot:{snapshot}@MAIN")]


async def test_a_row_the_engine_refuses_stays_open_beside_the_others(desk):
    rows = csv_of([("A", "MAIN", 3), ("B", "MAIN", 3), ("C", "MAIN", 4)])
    taken = await desk.keep(rows, is_authoritative=True)
    await asyncio.to_thread(compare_snapshot, desk.dsn, taken.snapshot_id)
    await desk.submit(PutItem("B", components=[KitComponent("C", 2)]))
    await work_on(desk.dsn, desk.engine.submit, taken.snapshot_id)
    assert await desk.outcomes(taken.snapshot_id) == {2: "counted", 3: "drift", 4: "counted"}
    [(reason,)] = await desk.ask("SELECT reason FROM snapshot_row WHERE row_number = 3")
    assert "is a kit" in reason
    assert await desk.cases() == [("stock_drift", f"snapshot:{taken.snapshot_id}@MAIN")]


async def test_booking_begun_again_books_nothing_twice(desk):
    rows = csv_of([("A", "MAIN", 3), ("B", "MAIN", 0)])
    snapshot = await desk.report(rows, is_authoritative=True)
    before = await desk.movements()
    await desk.conn.execute("UPDATE snapshot_row SET outcome = 'drift' WHERE row_number = 2")
    await desk.conn.execute("UPDATE snapshot_place SET state = 'booking'")
    await desk.conn.execute("UPDATE snapshot SET state = 'booking'")
    await work_on(desk.dsn, desk.engine.submit, snapshot)
    assert await desk.movements() == before
    assert await desk.outcomes(snapshot) == {2: "counted", 3: "counted"}
    assert await desk.state(snapshot) == "compared"
