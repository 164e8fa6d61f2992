"""Reports against a real ledger: resolved, rebased, compared; newest wins; each row's outcome."""

import msgspec
import pytest

from stockbridge.domain.snapshots.work import work_on, work_on_all
from stockbridge.kernel.errors import Refusal
from tests.integration.snapshots_desk import NOON, after, csv_of, desk_on


@pytest.fixture
async def desk(dsn):
    async with desk_on(dsn) as made:
        yield made


async def test_rows_are_resolved_or_kept_with_the_reason(desk):
    await desk.receive("A", 10, after(-60))
    rows = csv_of(
        [
            ("A", "", "", "MAIN", 10, ""),
            ("", "100", "", "MAIN", 9, ""),  # the ERP's own word for A: the later row wins
            ("", "00A", "GS1", "EAST", 0, ""),
            ("Z", "", "", "MAIN", 1, ""),
            ("", "200", "", "MAIN", 1, ""),
            ("A", "", "", "NOWHERE", 1, ""),
            ("K", "", "", "MAIN", 1, ""),
            ("B", "", "", "MAIN", -1, ""),
            ("B", "", "", "MAIN", 1, "lost"),
            ("B", "100", "", "MAIN", 1, ""),
            ("B", "", "", "", 1, ""),
        ],
        "sku,alias,namespace,location,quantity,state",
    )
    snapshot = await desk.report(rows + 'C,"x,,MAIN,1,\nC,,,MAIN,0\nC,,,MAIN,0,picked\n', "ERP")
    found = await desk.ask(
        "SELECT row_number, outcome, booked, reason FROM snapshot_row WHERE snapshot_id = %s"
        " ORDER BY row_number", snapshot,
    )  # fmt: skip
    assert [row[:3] for row in found if row[1] != "bad"] == [
        (2, "superseded_row", 10), (3, "drift", 10), (4, "unchanged", 0), (15, "unchanged", 0),
    ]  # fmt: skip
    reasons = {row[0]: row[3] for row in found if row[1] == "bad"}
    expected = {
        5: "sku: no item", 6: "alias: names no item in ERP", 7: "location: is not known",
        8: "is a kit", 9: "quantity", 10: "state", 11: "either `sku` or `alias`", 12: "location",
        13: "quoting", 14: "5 cells where the header has 6",
    }  # fmt: skip
    assert reasons.keys() == expected.keys()
    for number, words in expected.items():
        assert words in reasons[number], (number, reasons[number])
    totals = "rows_total, rows_unchanged, rows_different, rows_bad, state"
    assert await desk.ask(f"SELECT {totals} FROM snapshot") == [(14, 2, 1, 10, "compared")]
    assert await desk.ask("SELECT count(*) FROM snapshot_stage") == [(0,)]


@pytest.mark.parametrize("form", ["ndjson", "json"])
async def test_json_rows_are_the_same_rows(desk, form):
    await desk.receive("A", 10, after(-60))
    rows = [
        {"sku": "A", "location": "MAIN", "quantity": 10},
        {"alias": "100", "namespace": "ERP", "location": "EAST", "quantity": 3},
        {"sku": "Ä\t\\", "location": "MAIN", "quantity": 3},
        {"sku": "A", "location": "MAIN", "quantity": 1.5},
        {"sku": "A", "location": "MAIN", "quantity": 1, "state": "picked"},
    ]
    lines = b"\n".join(map(msgspec.json.encode, rows))
    data = msgspec.json.encode({"rows": rows}) if form == "json" else lines + b"\n{oops\n"
    snapshot = await desk.report(data, "WMS", format=form)
    found = await desk.outcomes(snapshot)
    bad_line = {} if form == "json" else {6: "bad"}
    assert found == {1: "unchanged", 2: "drift", 3: "bad", 4: "bad", 5: "drift"} | bad_line


@pytest.mark.parametrize(
    "rows,why",
    [
        ("sku,quantity\nA,1\n", "column location is missing"),
        ("sku,location,quantity,colour\n", "column 'colour' is unknown"),
        ("location,quantity\nMAIN,1\n", "column sku or alias is missing"),
        ("\n\n", "the file is empty"),
        ("sku,location,quantity\n" + "x" * 70_000, "a line is longer than"),
        ("\ufeffsku,location,quantity\n".encode("utf-16"), "UTF-16"),
    ],
)
async def test_an_unreadable_report_fails_and_its_number_is_free_again(desk, rows, why):
    snapshot = await desk.report(rows, number="DAY1")
    [(state, detail)] = await desk.ask("SELECT state, detail FROM snapshot")
    assert state == "failed"
    assert why in detail
    assert await desk.cases() == [("snapshot_unreadable", f"snapshot:{snapshot}")]
    assert await desk.ask("SELECT count(*) FROM snapshot_row") == [(0,)]
    again = await desk.report(csv_of([("A", "MAIN", 0)]), number="DAY1")
    assert await desk.state(again) == "compared"


async def test_later_movements_are_not_drift(desk):
    await desk.receive("A", 10, after(-60))
    await desk.ship("A", 3, after(1))  # after the cut-off
    await desk.receive("B", 5, after(2))
    snapshot = await desk.report(csv_of([("A", "MAIN", 10), ("B", "MAIN", 0), ("C", "MAIN", 0)]))
    assert set((await desk.outcomes(snapshot)).values()) == {"unchanged"}
    rows = await desk.ask("SELECT quantity, rebased, booked FROM snapshot_row ORDER BY row_number")
    assert rows == [(10, 7, 7), (0, 5, 5), (0, 0, 0)]
    assert await desk.cases() == []


# meaning, reported, outcome: A has 10 available (4 reserved after the cut-off), 2 quarantined
MEANINGS = [
    ("available", 10, "unchanged"),
    ("available", 12, "drift"),
    ("on_hand", 12, "unchanged"),
    ("on_hand", 10, "drift"),
    ("available_net_of_promises", 10, "unchanged"),
    ("available_net_of_promises", 6, "drift"),
]


@pytest.mark.parametrize("meaning,reported,outcome", MEANINGS)
async def test_a_figure_is_read_as_its_partner_means_it(desk, meaning, reported, outcome):
    await desk.count("A", 10, after(-60))
    await desk.count("A", 2, after(-60), "quarantined")
    await desk.reserve("A", 4)
    snapshot = await desk.report(csv_of([("A", "MAIN", reported)]), "ERP", meaning=meaning)
    assert await desk.outcomes(snapshot) == {2: outcome}


async def test_net_of_promises_counts_the_promises_of_the_cut_off(desk):
    await desk.count("A", 10, after(-60))
    await desk.reserve("A", 4)
    now = (await desk.ask("SELECT clock_timestamp()"))[0][0]
    rows = csv_of([("A", "MAIN", 6)])
    snapshot = await desk.report(rows, "ERP", at=now, meaning="available_net_of_promises")
    assert await desk.outcomes(snapshot) == {2: "unchanged"}


async def test_on_hand_believes_the_other_states_of_the_same_report(desk):
    await desk.count("A", 10, after(-60))
    rows = csv_of(
        [("A", "MAIN", 10, "available"), ("A", "MAIN", 2, "quarantined")],
        "sku,location,quantity,state",
    )
    snapshot = await desk.report(rows, meaning="on_hand", is_authoritative=True)
    assert set((await desk.outcomes(snapshot)).values()) == {"counted"}
    query = "SELECT available, quarantined FROM balance"
    assert await desk.ask(query) == [(8, 2)]


async def test_a_newer_count_settles_a_state(desk):
    await desk.count("A", 10, after(-60))
    await desk.count("A", 4, after(5))
    snapshot = await desk.report(csv_of([("A", "MAIN", 9)]))
    assert await desk.outcomes(snapshot) == {2: "counted_later"}
    assert await desk.cases() == []


async def test_what_is_in_flight_is_shown_as_such(desk):
    await desk.count("A", 10, after(-60))
    await desk.count("B", 10, after(-60))
    body = '{"data": {"sku": "A", "location": "MAIN", "quantity": 3}}'
    for number, status in enumerate(("parked", "applied")):
        text = body if status == "parked" else body.replace('"A"', '"B"')
        await desk.conn.execute(
            "INSERT INTO message (message_id, received_at, due_at, system, source_message_id,"
            " content_hash, correlation_id, principal, door, contract, content_type, body, status)"
            " VALUES (%s, now(), now(), 'WMS', '1', '', '', '', '', '', '', %s, %s)",
            (number, text.encode(), status),
        )
    rows = csv_of([("A", "MAIN", 7), ("B", "MAIN", 7), ("A", "EAST", 7)])
    snapshot = await desk.report(rows, "ERP")
    assert await desk.outcomes(snapshot) == {2: "in_flight", 3: "drift", 4: "drift"}


async def test_drift_opens_one_case_for_each_location(desk):
    rows = csv_of([("A", "MAIN", 5), ("B", "MAIN", 6), ("A", "EAST", 1), ("B", "EAST", 0)])
    snapshot = await desk.report(rows, "ERP")
    assert await desk.cases() == [
        ("stock_drift", f"snapshot:{snapshot}@EAST"),
        ("stock_drift", f"snapshot:{snapshot}@MAIN"),
    ]
    places = await desk.ask(
        "SELECT code, p.state, rows_drift, units_drift FROM snapshot_place p JOIN location"
        " USING (location_id) ORDER BY code"
    )
    assert places == [("EAST", "drift", 1, 1), ("MAIN", "drift", 2, 11)]
    [(cause, owner)] = await desk.ask(
        "SELECT cause, owner_team FROM exception WHERE subject LIKE '%%@MAIN'"
    )
    assert owner == "operations"
    assert "2 rows, 11 units" in cause
    assert await desk.movements() == 0


# reported first, then second: (minutes of the cut-off, sequence); which is superseded
ORDERS = [
    ((0, None), (5, None), 0),
    ((5, None), (0, None), 1),
    ((0, 1), (5, 2), 0),
    ((5, 1), (0, 2), 0),  # sequence, not clock
    ((0, 2), (5, 1), 1),
    ((5, 1), (0, None), 1),  # one has no sequence: the clock decides
    ((0, None), (0, None), 0),  # order of receipt
]


@pytest.mark.parametrize("first,second,old", ORDERS)
async def test_newest_wins(desk, first, second, old):
    made = []
    for n, (minutes, sequence) in enumerate((first, second)):
        rows = csv_of([("A", "MAIN", 5 + n)])
        made.append(await desk.report(rows, "ERP", at=after(minutes), sequence=sequence))
    states = await desk.ask("SELECT state FROM snapshot_place ORDER BY snapshot_id")
    assert [state for (state,) in states].index("superseded") == old
    assert await desk.cases() == [("stock_drift", f"snapshot:{made[1 - old]}@MAIN")]
    if old:
        assert await desk.outcomes(made[1]) == {2: "superseded"}
        assert await desk.state(made[1]) == "superseded"
    assert await desk.accept(made[old]) == []
    assert await desk.movements() == 0


async def test_systems_and_locations_do_not_supersede_each_other(desk):
    first = await desk.report(csv_of([("A", "MAIN", 5), ("A", "EAST", 5)]), "ERP")
    await desk.report(csv_of([("A", "MAIN", 5)]), "WMS", at=after(5))
    third = await desk.report(csv_of([("A", "EAST", 6)]), "ERP", at=after(5))
    assert await desk.cases() == [
        ("stock_drift", f"snapshot:{first}@MAIN"),
        ("stock_drift", f"snapshot:{first + 1}@MAIN"),
        ("stock_drift", f"snapshot:{third}@EAST"),
    ]


async def test_the_same_report_twice_is_one_and_another_is_refused(desk):
    rows = csv_of([("A", "MAIN", 5)])
    first = await desk.keep(rows, number="DAY1")
    second = await desk.keep(rows, number="DAY1")
    assert (first.is_new, second.is_new) == (True, False)
    assert first.snapshot_id == second.snapshot_id
    other = await desk.keep(rows + "B,MAIN,1\n", number="DAY1")
    assert isinstance(other, Refusal)
    assert (other.status, other.code) == (409, "snapshot_number_reused")
    assert await desk.ask("SELECT count(*), count(DISTINCT snapshot_id) FROM snapshot_chunk") == [
        (1, 1)
    ]
    elsewhere = await desk.keep(rows, "ERP", number="DAY1")
    assert elsewhere.is_new


async def test_the_bytes_are_kept_as_they_came(desk):
    rows = csv_of([("A", "MAIN", 5)] * 120_000)
    taken = await desk.keep(rows)
    chunks = await desk.ask("SELECT body FROM snapshot_chunk ORDER BY chunk_number")
    assert len(chunks) == 2
    assert b"".join(chunk for (chunk,) in chunks).decode() == rows
    await work_on(desk.dsn, desk.engine.submit, taken.snapshot_id)
    assert await desk.ask("SELECT outcome, count(*) FROM snapshot_row GROUP BY 1 ORDER BY 1") == [
        ("drift", 1), ("superseded_row", 119_999),
    ]  # fmt: skip


async def test_what_does_not_arrive_whole_leaves_nothing(desk, monkeypatch):
    async def broken():
        yield b"sku,location,quantity\n"
        raise ConnectionError

    monkeypatch.setattr("tests.integration.snapshots_desk.pieces", lambda _data: broken())
    with pytest.raises(ConnectionError):
        await desk.keep("")
    monkeypatch.undo()
    assert isinstance(await desk.keep(""), Refusal)
    assert await desk.ask("SELECT count(*) FROM snapshot") == [(0,)]
    assert await desk.ask("SELECT count(*) FROM snapshot_chunk") == [(0,)]


async def test_work_left_is_taken_up_oldest_first(desk):
    for minutes in (0, 5):
        await desk.keep(csv_of([("A", "MAIN", 5 + minutes)]), at=after(minutes))
    assert await work_on_all(desk.dsn, desk.engine.submit) == 2
    assert await work_on_all(desk.dsn, desk.engine.submit) == 0
    states = await desk.ask("SELECT state FROM snapshot_place ORDER BY snapshot_id")
    assert states == [("superseded",), ("drift",)]


async def test_an_authority_that_reports_is_heard(desk):
    await desk.report(csv_of([("A", "MAIN", 0), ("A", "EAST", 0)]), "WMS", at=NOON)
    query = "SELECT code FROM location_feed JOIN location USING (location_id)"
    assert await desk.ask(query) == [("MAIN",)]
