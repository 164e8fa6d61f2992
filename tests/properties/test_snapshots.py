"""Law: an authority's balances are its newest report plus what occurred after, however it arrives.

And reading: whatever bytes come, each line is a row with its number, good or bad with a reason.
"""

import asyncio
from itertools import count
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stockbridge.contracts.masters import PutLocation
from stockbridge.domain.snapshots.compare import _copy_line
from stockbridge.domain.snapshots.reader import Unreadable, read_rows
from tests.integration.snapshots_desk import after, csv_of, desk_on

EXAMPLES = 25
READINGS = 300
NUMBERS = count()
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


class Move(NamedTuple):
    """A receipt, or a shipment when negative, between the minutes of the cut-offs."""

    sku: str
    quantity: int
    minute: float


class Report(NamedTuple):
    """What a system says there was of A and B at a minute."""

    system: str
    minute: int
    quantities: tuple[int, int]
    sequence: int | None


MOVES = st.builds(
    Move,
    st.sampled_from("AB"),
    st.integers(-9, 9).filter(bool),
    st.integers(0, 12).map(lambda minute: minute + 0.5),
)
FIGURES = st.tuples(st.integers(0, 12), st.integers(0, 12))


@st.composite
def stories(draw):
    """Moves, two reports of the authority, one of the ERP; in any order, some reports twice.

    Half the time the newest says what the ledger knows when it arrives: nothing is to be booked.
    """
    first, second = sorted(draw(st.sets(st.integers(0, 12), min_size=2, max_size=2)))
    numbered = draw(st.booleans())
    reports = [
        Report("WMS", first, draw(FIGURES), 1 if numbered else None),
        Report("WMS", second, draw(FIGURES), 2 if numbered else None),
        Report("ERP", draw(st.integers(0, 12)), draw(FIGURES), None),
    ]
    moves = draw(st.lists(MOVES, min_size=2, max_size=6))
    order = draw(st.permutations([*moves, *(0, 1, 2), *draw(st.lists(st.integers(0, 2)))]))
    if draw(st.booleans()):
        known = order[: order.index(1)]
        figures = [max(0, sum(up_to(known, sku, second))) for sku in "AB"]
        reports[1] = reports[1]._replace(quantities=tuple(figures))
    arrivals = [each if isinstance(each, Move) else reports[each] for each in order]
    return moves, reports, arrivals, draw(st.booleans())


def up_to(arrivals, sku, minute):
    """What the moves among them add to the item until then."""
    moves = (each for each in arrivals if isinstance(each, Move))
    return [move.quantity for move in moves if move.sku == sku and move.minute <= minute]


@pytest.fixture
def table(dsn):
    """A desk, and the loop that its examples run on."""
    with asyncio.Runner() as runner:
        manager = desk_on(dsn)
        yield runner, runner.run(manager.__aenter__())
        runner.run(manager.__aexit__(None, None, None))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=QUIET)
@given(stories())
def test_balances_are_the_newest_report_and_what_followed(table, story):
    runner, desk = table
    moves, reports, arrivals, at_once = story
    place = f"P{next(NUMBERS)}"
    runner.run(play(desk, place, arrivals, at_once=at_once))
    newest = reports[1]
    for sku, reported in zip("AB", newest.quantities, strict=True):
        later = sum(m.quantity for m in moves if m.sku == sku and m.minute > newest.minute)
        assert runner.run(desk.available(sku, place)) == reported + later
    states = runner.run(states_at(desk, place))
    assert states.count(("WMS", "settled")) + states.count(("WMS", "superseded")) == 2
    assert ("WMS", "settled") in states


async def play(desk, place, arrivals, *, at_once):
    await desk.submit(PutLocation(place, authority="WMS"))
    acts = [act(desk, place, arrival) for arrival in arrivals]
    if at_once:
        await asyncio.gather(*acts)
    else:
        for each in acts:
            await each


def act(desk, place, arrival):
    if isinstance(arrival, Move):
        book = desk.receive if arrival.quantity > 0 else desk.ship
        return book(arrival.sku, abs(arrival.quantity), after(arrival.minute), place)
    rows = csv_of(zip("AB", (place, place), arrival.quantities, strict=True))
    number = f"{place}-{arrival.system}-{arrival.minute}"
    return desk.report(
        rows,
        arrival.system,
        at=after(arrival.minute),
        number=number,
        sequence=arrival.sequence,
        is_authoritative=arrival.system == "WMS",
    )


async def states_at(desk, place):
    return await desk.ask(
        "SELECT system, p.state FROM snapshot_place p JOIN snapshot USING (snapshot_id)"
        " JOIN location USING (location_id) WHERE code = %s",
        place,
    )


# Reading --------------------------------------------------------------------------------------
GOOD_LINES = st.builds(
    lambda sku, quantity: msgspec.json.encode(
        {"sku": sku, "location": "MAIN", "quantity": quantity}
    ),
    st.text(min_size=1, max_size=5),
    st.integers(0, 10**12),
)
NOISE = st.binary(max_size=30).map(lambda noise: noise.replace(b"\n", b" "))
LINES = st.lists(GOOD_LINES | NOISE, max_size=8)


def read(form, data, size):
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [row for rows in read_rows(form, pieces) for row in rows]


@settings(max_examples=READINGS, deadline=None)
@given(LINES, st.integers(1, 40))
def test_each_line_is_a_row_of_its_own_whatever_surrounds_it(lines, size):
    whole = read("ndjson", b"\n".join([b"", *lines]), size)
    assert [row.number for row in whole] == [n for n, text in enumerate(lines, 2) if text.strip()]
    for row in whole:
        [alone] = read("ndjson", b"\n" * (row.number - 1) + lines[row.number - 2], 10_000)
        assert alone == row
        storable(row)


@settings(max_examples=READINGS, deadline=None)
@given(st.sampled_from(["sku,location,quantity", "alias;namespace;location;quantity;state"]),
       st.lists(NOISE | st.sampled_from([b"A,MAIN,5", b"A;N;MAIN;5;picked", b"A ,MAIN, 7"])),
       st.integers(1, 40))  # fmt: skip
def test_csv_of_any_bytes_is_read_line_by_line(header, lines, size):
    data = b"\n".join([header.encode(), *lines])
    whole = read("csv", data, size)
    assert [row.number for row in whole] == [n for n, text in enumerate(lines, 2) if text.strip()]
    for row in whole:
        alone = b"\n" * (row.number - 2) + b"\n".join([header.encode(), lines[row.number - 2]])
        assert read("csv", alone, 10_000) == [row]
        storable(row)


@settings(max_examples=READINGS, deadline=None)
@given(st.sampled_from(["csv", "ndjson", "json"]), st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_rows_or_unreadable(form, data, size):
    try:
        rows = read(form, data, size)
    except Unreadable as error:
        assert str(error)  # noqa: PT017 - what it says is beside the point
        return
    for row in rows:
        storable(row)


def storable(row):
    """It can be sent to the database, on one line."""
    line = _copy_line(1, "WMS", row)
    assert line.encode().count(b"\n") == 1
    assert line.count("\t") == 8
    assert "\0" not in line
