"""Every mapped set and message: read as a document, written again, the same segments."""

import datetime as dt
from decimal import Decimal

import msgspec
import pytest

from stockbridge.connectors.edi import reading
from stockbridge.connectors.edi.documents import model, parts
from stockbridge.connectors.edi.documents.edifact_sheets import MESSAGES
from stockbridge.connectors.edi.documents.reading import LINES_MAX, documents
from stockbridge.connectors.edi.documents.writing import message_body, set_body
from stockbridge.connectors.edi.documents.x12_sheets import SHEETS
from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.tests.bodies import EDIFACT, X12, edifact_text, x12_text
from stockbridge.connectors.edi.tests.files import (
    SAMPLES,
    content,
    events,
    interchange,
    names,
    needs_samples,
)
from stockbridge.connectors.edi.x12.dictionary import tables


def _one(text):
    got = list(reading.read([text.encode()]))
    (read,) = documents(got)
    return read, content(got)[0][1]


def _x12(code):
    version = "004030" if code in {"753", "754"} else "004010"
    return interchange(x12_text(code), gs=tables().sets[code].functional_id, version=version)


def test_every_sheet_has_a_body():
    assert sorted(X12) == sorted(SHEETS)
    assert sorted(EDIFACT) == sorted(MESSAGES)


@pytest.mark.parametrize("code", sorted(X12))
def test_x12_reads_and_writes_the_same(code):
    read, segments = _one(_x12(code))
    assert (read.findings, read.result.findings, read.unread) == ([], [], 0)
    assert read.is_usable
    assert set_body(code, read.document) == segments


@pytest.mark.parametrize("code", sorted(EDIFACT))
def test_edifact_reads_and_writes_the_same(code):
    read, segments = _one(edifact_text(code))
    assert (read.findings, read.result.findings, read.unread) == ([], [], 0)
    assert message_body(code, read.document) == segments


@pytest.mark.parametrize("code", sorted(EDIFACT))
def test_a_decimal_comma_means_the_same(code):
    text = edifact_text(code)
    comma = text.replace("9.25", "9,25").replace(":12:", ":12,5:")
    read, _ = _one(f"UNA:+,? '{comma}")
    plain, _ = _one(text.replace(":12:", ":12.5:"))
    assert read.document == plain.document


@needs_samples
@pytest.mark.parametrize("name", names("x12"))
def test_a_sample_says_what_is_written_of_it(name):
    for read in documents(events((SAMPLES / "x12" / name).read_bytes())):
        assert read.document is not None
        code = read.head.code
        again = interchange(
            f"{code}~" + "".join("*".join(s) + "~" for s in set_body(code, read.document)),
            gs=tables().sets[code].functional_id,
            version=read.head.version,
        )
        assert _one(again)[0].document == read.document


def test_a_850_says_its_order():
    order = _one(_x12("850"))[0].document
    assert isinstance(order, model.PurchaseOrder)
    assert (order.number, order.release, order.date) == ("PO-1", "REL1", dt.date(2026, 1, 31))
    assert order.charges == [
        parts.Charge(
            indicator="C", code="D240", amount=Decimal("12.50"), percent_qualifier="3",
            percent=Decimal("2.5"),
        )
    ]  # fmt: skip
    assert order.notes == [
        parts.Note(
            kind="L1", reference="Handling", text="Note", messages=["Leave at gate", "Ring twice"]
        )
    ]
    (party,) = order.parties
    assert (party.role, party.id, party.address) == ("WH", "DC1", ["1 Dock St", "Door 2"])
    first = order.lines[0]
    assert (first.quantity, first.unit, first.price) == (Decimal(120), "EA", Decimal("9.25"))
    assert [(i.qualifier, i.id) for i in first.ids] == [("SK", "MUG-1"), ("UP", "012345678905")]
    assert [(s.place, s.quantity) for s in first.splits[0].rows] == [
        ("009", Decimal(100)),
        ("010", Decimal(20)),
    ]


def test_implied_decimals_are_exact():
    invoice = _one(_x12("810"))[0].document
    assert isinstance(invoice, model.Invoice)
    assert invoice.total == Decimal("126.50")
    assert invoice.lines[1].charges[0].amount == Decimal("5.00")
    with pytest.raises(Unwritable, match="more than two decimals"):
        set_body("810", msgspec.structs.replace(invoice, total=Decimal("1.005")))


def test_an_edifact_time_of_day_stands_in_the_date():
    report = _one(edifact_text("INVRPT"))[0].document
    assert isinstance(report, model.StockReport)
    assert report.dates[0] == parts.Moment(qualifier="137", date=dt.date(2026, 1, 31), time="1200")


@pytest.mark.parametrize(
    "code,old,new,found",
    [
        ("846", "QTY*33*10*EA", "QTY*33*ten*EA", "VALUE"),
        ("846", "*20260131*1200", "*20260231*1200", "VALUE"),
        ("945", "*12*10*2*EA", "*12*EA*2*EA", "VALUE"),
        ("945", "*12*10*2*EA", "*12*1e5*2*EA", "VALUE"),
        ("944", "W07*10*", "W07*--1*", "VALUE"),
        ("947", "*-5*", f"*{'9' * 30}*", "VALUE"),
    ],
)
def test_a_value_without_sense_is_found_and_left_out(code, old, new, found):
    text = interchange(x12_text(code).replace(old, new, 1), gs=tables().sets[code].functional_id)
    read, _ = _one(text)
    assert found in [one.code for one in read.findings]
    assert not read.is_usable


def test_a_set_without_a_sheet_is_given_as_segments():
    read, segments = _one(interchange("832~BCT*RC*X~LIN*1*SK*A~", gs="SC"))
    assert read.document is None
    assert read.segments == segments


def test_a_large_report_comes_in_pieces_with_one_header():
    lines = "".join(f"LIN*{i}*SK*I{i}~QTY*33*{i}*EA~" for i in range(LINES_MAX + 5))
    text = interchange(f"846~BIA*00*SI*R1*20260131~{lines}CTT*{LINES_MAX + 5}~")
    first, last = documents(events(text))
    for piece, lines_count in ((first, LINES_MAX), (last, 5)):
        assert isinstance(piece.document, model.StockReport)
        assert (piece.document.number, len(piece.document.lines)) == ("R1", lines_count)
    assert (first.is_usable, last.is_usable) == (False, True)
    assert (first.piece, last.piece) == (1, 2)


def test_what_does_not_fit_is_not_written():
    line = model.WarehouseLine(
        quantity=Decimal(1), ids=[parts.ItemId(qualifier="SK", id=str(i)) for i in range(9)]
    )
    order = model.WarehouseOrder(groups=[model.WarehouseGroup(number="1", lines=[line])])
    with pytest.raises(Unwritable, match="ids has 9 entries, at most 3 fit"):
        set_body("940", order)
    with pytest.raises(Unwritable, match="999 has no sheet"):
        set_body("999", order)
    with pytest.raises(Unwritable, match="says a StockReport"):
        set_body("846", order)
