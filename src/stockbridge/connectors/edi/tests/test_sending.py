"""What we write: documents built from our words, in interchanges that others' parsers accept."""

import datetime as dt
from decimal import Decimal

import msgspec
import pytest
import x12 as independent

from stockbridge.connectors.edi import reading
from stockbridge.connectors.edi.answers import answer_group, answer_interchange
from stockbridge.connectors.edi.documents import model, parts
from stockbridge.connectors.edi.documents.reading import documents
from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.events import GroupClosed, InterchangeClosed, InterchangeOpened
from stockbridge.connectors.edi.partner import building
from stockbridge.connectors.edi.partner.sending import Numbers, Outgoing, compose
from stockbridge.connectors.edi.partner.telling import reply, written
from stockbridge.connectors.edi.tests.bodies import EDIFACT, X12, edifact_text, x12_text
from stockbridge.connectors.edi.tests.files import codes, content, events, interchange
from stockbridge.connectors.edi.tests.partners import ACME, of_text, profile
from stockbridge.connectors.edi.x12.acknowledge import body, ta1

NOON = dt.datetime(2026, 1, 31, 18, 0, tzinfo=dt.UTC)
NUMBERS = Numbers(interchange=41, group=7)
MUG = [parts.ItemId(qualifier="SK", id="MUG-1")]
PLACE = [parts.Party(role="WH", name="Main", qualifier="92", id="DC1")]


def _document(code):
    (read,) = documents(events(interchange(x12_text(code))))
    return read.document


def _sent(*sets, agreed=ACME):
    return compose(agreed, NUMBERS, NOON, sets)


@pytest.mark.parametrize(
    "delimiters",
    [
        {},
        {"newline": "\n"},
        {"element": "|", "component": "^", "terminator": "'", "newline": "\r\n"},
    ],
)
def test_an_independent_parser_accepts_all_we_write(delimiters):
    agreed = profile(delimiters=delimiters)
    sets = [Outgoing(code=code, document=_document(code)) for code in sorted(X12)]
    text = compose(agreed, NUMBERS, NOON, [*sets, *sets])
    theirs = independent.parse_x12_interchange(independent.tokenize_x12(text.encode()))
    assert theirs.control_number == b"000000041"
    sent = [
        (t.transaction_set_code, t.declared_segment_count, t.actual_segment_count)
        for group in theirs.groups
        for t in group.transactions
    ]
    ours = content(events(text))
    assert [(code.encode(), len(body) + 2, len(body) + 2) for code, body in ours] == sent
    assert len(ours) == 2 * len(X12)
    mark = agreed.delimiters.element
    assert [[s.tag for s in t.segments] for group in theirs.groups for t in group.transactions] == [
        [segment[0] for segment in body] for _, body in ours
    ]
    assert f"ISA{mark}00" in text


def test_an_independent_parser_accepts_our_answers():
    bad = x12_text("846").replace("QTY*33*10", "QTY*33*ten")
    got = events(interchange(bad))
    (group,) = [e for e in got if isinstance(e, GroupClosed)]
    (closed,) = [e for e in got if isinstance(e, InterchangeClosed)]
    answer = answer_group(group.result)
    assert answer is not None
    note = answer_interchange(closed.result)
    assert note is not None
    text = compose(ACME, NUMBERS, NOON, [Outgoing(code="997", body=body(answer))], [ta1(note)])
    theirs = independent.parse_x12_interchange(independent.tokenize_x12(text.encode()))
    assert [group.functional_identifier_code for group in theirs.groups] == [b"FA"]
    assert len(theirs.interchange_segments) == 1
    assert codes(events(text)) == []


def test_an_envelope_is_of_the_partners_agreement_and_time():
    text = _sent(Outgoing(code="846", document=_document("846")))
    (opened,) = [e for e in events(text) if isinstance(e, InterchangeOpened)]
    sent = opened.interchange
    assert sent is not None
    assert (sent.sender, sent.receiver, sent.control) == (
        ("ZZ", "RECEIVER"), ("ZZ", "SENDER"), "000000041",
    )  # fmt: skip
    assert (sent.date, sent.time, sent.is_test) == ("260131", "1200", False)
    assert "GS*IB*US*SENDER*20260131*1200*7*X*004010~" in text


def test_sets_of_one_kind_share_a_group():
    stock, order = (Outgoing(code=code, document=_document(code)) for code in ("846", "850"))
    text = _sent(stock, order, stock)
    assert [line for line in text.split("~") if line[:3] in {"GS*", "GE*", "ST*", "IEA"}] == [
        "GS*IB*US*SENDER*20260131*1200*7*X*004010", "ST*846*0001", "ST*846*0002", "GE*2*7",
        "GS*PO*US*SENDER*20260131*1200*8*X*004010", "ST*850*0001", "GE*1*8", "IEA*2*000000041",
    ]  # fmt: skip
    assert codes(events(text)) == []


def test_edifact_is_sent_too():
    agreed = profile(
        standard="edifact", version="D96A",
        delimiters={"element": "+", "component": ":", "terminator": "'", "release": "?",
                    "decimal": ","},
    )  # fmt: skip
    sets = []
    for code in sorted(EDIFACT):
        (read,) = documents(reading.read([edifact_text(code).encode()]))
        sets.append(Outgoing(code=code, document=read.document))
    text = compose(agreed, NUMBERS, NOON, sets)
    got = list(reading.read([text.encode()]))
    assert codes(got) == []
    assert [r.document for r in documents(got)] == [one.document for one in sets]


def test_a_stock_report_shows_whole_quantities_not_below_zero():
    figures = [building.Figure(ids=MUG, quantity=q) for q in (5, 0, -3)]
    report = building.stock_report("R7", NOON, figures, PLACE)
    text = _sent(Outgoing(code="846", document=report))
    assert codes(events(text)) == []
    assert [s for s in text.split("~") if s[:3] in {"QTY", "CTT"}] == [
        "QTY*33*5*EA", "QTY*33*0*EA", "QTY*33*0*EA", "CTT*3",
    ]  # fmt: skip


def test_a_940_asks_its_lines_back_and_adds_up():
    lines = [
        building.Asked(line="10", ids=MUG, quantity=12, lot="L1"),
        building.Asked(line="20", ids=MUG, quantity=3),
    ]
    order = building.warehouse_order(
        "SO-1", "PO-1", lines, PLACE, profile=ACME, ship_on=dt.date(2026, 2, 2)
    )
    text = _sent(Outgoing(code="940", document=order))
    got = events(text)
    assert codes(got) == []
    (meant,) = of_text(text).orders
    assert [(w.line, w.quantity, w.lot) for w in meant.lines] == [("10", 12, "L1"), ("20", 3, "")]
    assert "W76*15~" in text


def test_a_notice_is_a_sound_tree():
    line = building.Shipped(line="1", ids=MUG, quantity=6, lot="L1")
    packages = [
        building.Package(order=order, marks=[parts.Mark(qualifier="GM", value=sscc)], lines=[line])
        for order, sscc in (("PO-1", "01"), ("PO-2", "02"), ("PO-1", "03"))
    ]
    to = [parts.Party(role="ST", qualifier="92", id="DC1")]
    notice = building.ship_notice("SHIP-1", NOON, packages, to, expected_on=dt.date(2026, 2, 4))
    text = _sent(Outgoing(code="856", document=notice))
    got = events(text)
    assert codes(got) == []
    assert [s for s in text.split("~") if s.startswith(("HL", "CTT"))] == [
        "HL*1**S*1", "HL*2*1*O*1", "HL*3*2*P*1", "HL*4*3*I*0", "HL*5*2*P*1", "HL*6*5*I*0",
        "HL*7*1*O*1", "HL*8*7*P*1", "HL*9*8*I*0", "CTT*9",
    ]  # fmt: skip
    booked = of_text(text)
    assert [(f.data.document.line, f.data.quantity) for f in booked.facts] == [
        ("PO-1:1", 12), ("PO-2:1", 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "answers,kind",
    [
        ({"1": [("IA", 120)], "2": [("IA", 3)]}, "AD"),
        ({"1": [("IA", 100), ("IB", 20)], "2": [("IA", 3)]}, "AC"),
        ({"1": [("IR", 120)], "2": [("IR", 3)]}, "RD"),
    ],
)
def test_an_855_answers_every_unit(answers, kind):
    said = {
        line: [model.Answer(status=s, quantity=Decimal(q), unit="EA") for s, q in rows]
        for line, rows in answers.items()
    }
    answer = building.order_answer(_document("850"), said, dt.date(2026, 2, 1))
    text = _sent(Outgoing(code="855", document=answer))
    assert codes(events(text)) == []
    assert f"BAK*00*{kind}*PO-1*20260131*REL1**C-9**20260201*SA~" in text


def test_an_answer_that_leaves_units_out_is_not_written():
    said = {"1": [model.Answer(status="IA", quantity=Decimal(100))]}
    with pytest.raises(Unwritable, match="line 1: 120 ordered, 100 answered"):
        building.order_answer(_document("850"), said, dt.date(2026, 2, 1))


def test_an_invoice_adds_up_to_the_cent():
    draft = _document("810")
    total = building.invoice(draft).total
    # 2 x 9.50 + 1 x 100 + 5.00 charge + 2.50 tax
    assert total == Decimal("126.50") == draft.total
    discount = [parts.Charge(indicator="A", amount=Decimal("10.005"))]
    assert building.invoice(msgspec.structs.replace(draft, charges=discount)).total == Decimal(
        "116.50"
    )


def test_a_reply_acknowledges_and_accepts():
    text = reply(events(interchange(x12_text("850"), gs="PO")), ACME, NUMBERS, NOON)
    assert text is not None
    assert codes(events(text)) == []
    assert [code for code, _ in content(events(text))] == ["997", "855"]
    assert "ACK*IA*120*EA~" in text


def test_a_refused_order_is_not_accepted():
    broken = interchange(x12_text("850").replace("120*EA", "x*EA", 1), gs="PO")
    text = reply(events(broken), ACME, NUMBERS, NOON)
    assert text is not None
    assert [code for code, _ in content(events(text))] == ["997"]


def test_nothing_to_say_to_an_answer():
    said = "997~AK1*IB*7~AK9*A*1*1*1~"
    assert reply(events(interchange(said, gs="FA")), ACME, NUMBERS, NOON) is None


def test_a_name_with_a_separator_is_said_with_blanks_and_an_id_is_refused():
    party = parts.Party(role="WH", name="Mugs*& More~\nLtd", qualifier="92", id="DC1")
    report = building.stock_report("R7", NOON, [building.Figure(ids=MUG, quantity=5)], [party])
    assert "N1*WH*Mugs & More Ltd*92*DC1~" in _sent(Outgoing(code="846", document=report))
    star = [parts.ItemId(qualifier="SK", id="MUG*1")]
    report = building.stock_report("R7", NOON, [building.Figure(ids=star, quantity=5)], [party])
    with pytest.raises(Unwritable, match="LIN03 'MUG"):
        _sent(Outgoing(code="846", document=report))


def test_documents_in_json_are_written():
    document = msgspec.json.encode(_document("846"))
    line = b'{"set": "846", "document": ' + document + b"}"
    text = written([line, b""], ACME, NUMBERS, NOON)
    assert content(events(text)) == content(events(interchange(x12_text("846"))))


@pytest.mark.parametrize(
    "line,fault",
    [
        (b'{"set": "832", "document": {}}', "line 1: '832' is no set of x12"),
        (b'{"set": "846", "document": {"lines": 3}}', "line 1: Expected"),
        (b"not json", "line 1: JSON is malformed"),
    ],
)
def test_documents_that_make_no_sense_are_named(line, fault):
    with pytest.raises(Unwritable, match=fault):
        written([line], ACME, NUMBERS, NOON)
