"""Stock reports, orders, answers and profiles: what documents mean beside facts."""

import datetime as dt
from decimal import Decimal
from importlib.resources import files

import pytest

from stockbridge.connectors.edi.partner.profile import load
from stockbridge.connectors.edi.partner.reporting import Row
from stockbridge.connectors.edi.tests.bodies import X12, edifact_text
from stockbridge.connectors.edi.tests.partners import (
    PROFILE,
    codes,
    meaning,
    of_text,
    profile,
    said,
)
from stockbridge.kernel.errors import Misconfigured

HEAD_846 = "BIA*{purpose}*SI*77*20260131*1000;DTM*405*20260131*0900;N1*WH*Main*92*DC1;"


def _846(lines, purpose="00", **changes):
    return meaning("846", HEAD_846.format(purpose=purpose) + lines, profile(**changes))


REPORTED = [
    # lines, profile -> rows (location, quantity, state, item), findings
    ("LIN*1*SK*MUG-1;QTY*33*10*EA;", {}, [("AUSTIN", 10, "available", "MUG-1")], []),
    (
        "LIN*1*SK*MUG-1;QTY*33*10*EA;QTY*20*2*EA;QTY*27*1*EA;QTY*63*9*EA;", {},
        [("AUSTIN", 10, "available", "MUG-1"), ("AUSTIN", 2, "quarantined", "MUG-1"),
         ("AUSTIN", 1, "allocated", "MUG-1")],
        [],
    ),
    # what is on order, projected or misused as such is no state of ours
    ("LIN*1*SK*MUG-1;QTY*29*10*EA;", {}, [], ["NOT_BOOKED"]),
    ("LIN*1*SK*MUG-1;QTY*02*10*EA;", {}, [], ["NOT_BOOKED"]),
    ("LIN*1*SK*MUG-1;QTY*17*10*EA;", {}, [], ["NOT_BOOKED"]),
    ("LIN*1*SK*MUG-1;QTY*17*10*EA;", {"stock": {"meaning": "on_hand"}},
     [("AUSTIN", 10, "available", "MUG-1")], []),
    ("LIN*1*SK*MUG-1;QTY*33*-3*EA;", {}, [("AUSTIN", 0, "available", "MUG-1")], []),
    ("LIN*1*SK*MUG-1;QTY*33*1.5*EA;", {}, [], ["QUANTITY"]),
    ("LIN*1*SK*MUG-1;QTY*33*2*CA;", {}, [], ["UNIT_UNMAPPED"]),
    ("LIN*1*SK*MUG-1;QTY*33*2*EA;N1*WH**92*DC2;", {}, [("BOSTON", 2, "available", "MUG-1")], []),
    ("LIN*1*SK*MUG-1;SDQ*EA*92*DC1*7*DC2*3;", {},
     [("AUSTIN", 7, "available", "MUG-1"), ("BOSTON", 3, "available", "MUG-1")], []),
    ("LIN*1*SK*MUG-1;SDQ*EA*92*DC9*7;", {}, [], ["LOCATION_UNNAMED"]),
    (  # one line without a name refuses itself, not its neighbours
        "LIN*1*ZZ*?;QTY*33*1*EA;LIN*2*SK*MUG-2;QTY*33*2*EA;", {},
        [("AUSTIN", 2, "available", "MUG-2")], ["ITEM_UNNAMED"],
    ),
]  # fmt: skip


@pytest.mark.parametrize("lines,changes,rows,found", REPORTED)
def test_846(lines, changes, rows, found):
    got = _846(lines, **changes)
    assert [(r.location, r.quantity, r.state, r.sku) for r in got.rows] == rows
    assert codes(got) == found


def test_a_report_says_when_it_is_of_and_whether_it_is_whole():
    got = _846("LIN*1*UP*12345678905;QTY*33*1*EA;")
    assert (got.number, got.sequence, got.is_delta, got.meaning) == ("77", 77, False, "available")
    assert got.cutoff_at == dt.datetime(2026, 1, 31, 15, 0, tzinfo=dt.UTC)
    assert got.rows == [
        Row(location="AUSTIN", quantity=1, alias="00012345678905", namespace="gtin")
    ]
    assert _846("LIN*1*SK*A;QTY*33*1*EA;", purpose="04").is_delta


def test_a_location_in_another_numbering_is_not_ours():
    strict = {"locations": {"roles": ["WH"], "qualifiers": ["91"], "table": {"DC1": "AUSTIN"}}}
    assert codes(_846("LIN*1*SK*A;QTY*33*1*EA;", **strict)) == ["LOCATION_UNNAMED"]


def _edifact_profile(**changes):
    return profile(
        standard="edifact", version="D96A", time_zone="UTC",
        delimiters={"element": "+", "component": ":", "terminator": "'", "release": "?"},
        items={"namespace": "acme", "ours": ["SA"], "qualifiers": ["SA", "EN"],
               "global_namespace": "gtin"},
        locations={"roles": ["WH"], "table": {"5412345000013": "AUSTIN"}}, **changes,
    )  # fmt: skip


def test_an_invrpt_with_movements_books_them():
    got = of_text(edifact_text("INVRPT").replace("INV+1+1+3", "INV+1+2+3"), _edifact_profile())
    assert said(got) == [
        ("stock.adjusted", -2, "gtin:04000862141411", "R1", "1",
         {"state": "quarantined", "reason": "DAMAGED"}),
    ]  # fmt: skip
    asked = of_text(edifact_text("INVRPT").replace("INV+1+1+3", "INV+1+1+7"), _edifact_profile())
    assert (asked.facts, codes(asked)) == ([], ["CODE_UNMAPPED"])


def test_an_invrpt_of_balances_is_a_report():
    text = edifact_text("INVRPT")
    start, end = text.index("LIN+2"), text.index("CNT+2")
    text = (text[:start] + text[end:]).replace("CNT+2:2", "CNT+2:1")
    got = of_text(text, _edifact_profile(stock={"quantities": {"145": "available"}}))
    assert [(r.location, r.quantity, r.sku) for r in got.rows] == [("AUSTIN", 10, "MUG-1")]


def test_a_recadv_books_what_was_received():
    got = of_text(edifact_text("RECADV"), _edifact_profile())
    assert said(got) == [
        ("stock.received", 10, "gtin:04000862141404", "PO-1", None, {"package": "RC-1"})
    ]


def test_what_was_accepted_goes_before_what_was_received():
    text = edifact_text("RECADV").replace("QTY+12:12:PCE", "QTY+194:7:PCE")
    ((_, quantity, *_),) = said(of_text(text, _edifact_profile()))
    assert quantity == 7


def test_a_desadv_is_supply_on_its_way():
    got = of_text(edifact_text("DESADV"), _edifact_profile())
    assert said(got) == [("supply.shipped", 10, "MUG-1", "SHIP-1", "PO-1:1", {})]


HEAD_850 = (
    "BEG*{purpose}*SA*PO-1**20260131;CUR*BY*USD;DTM*010*20260210;DTM*001*20260301;"
    "TD5**2*ABCD*M*Ground;"
    "N1*BY*Buyer*92*B1;N1*ST*Store 9*92*009;N3*9 High St;N4*Austin*TX*78701*US;"
)


def test_an_850_is_an_order():
    body = HEAD_850.format(purpose="00") + (
        "PO1*1*12*EA*9.25**SK*MUG-1;PID*F****Blue mug;PO1*2*3*CA*100**VN*V-2;CTT*2;"
    )
    got = meaning("850", body)
    assert codes(got) == []
    (order,) = got.orders
    assert (order.kind, order.action, order.number, order.currency) == (
        "purchase", "place", "PO-1", "USD",
    )  # fmt: skip
    assert (order.ship_on, order.cancel_after) == (dt.date(2026, 2, 10), dt.date(2026, 3, 1))
    assert (order.carrier, order.service) == ("ABCD", "Ground")
    assert order.buyer.id == "B1"
    assert (order.ship_to.id, order.ship_to.lines, order.ship_to.location) == (
        "009", ["9 High St"], "STORE-9",
    )  # fmt: skip
    assert [(w.line, w.quantity, w.sku, w.alias, w.uom, w.price) for w in order.lines] == [
        ("1", 12, "MUG-1", None, None, Decimal("9.25")),
        ("2", 3, None, "V-2", "CASE", Decimal(100)),
    ]


def test_a_line_for_many_destinations_makes_an_order_for_each():
    body = HEAD_850.format(purpose="00") + (
        "PO1*1*30*EA*1**SK*MUG-1;SDQ*EA*92*009*10*010*20;"
        "PO1*2*5*EA*1**SK*MUG-2;SDQ*EA*92*010*5;CTT*2;"
    )
    got = meaning("850", body)
    assert [
        (o.part, o.ship_to.location, [(w.line, w.quantity) for w in o.lines]) for o in got.orders
    ] == [("009", "STORE-9", [("1", 10)]), ("010", None, [("1", 20), ("2", 5)])]


def test_destinations_that_do_not_add_up_are_told():
    body = HEAD_850.format(purpose="00") + "PO1*1*30*EA*1**SK*A;SDQ*EA*92*009*10*010*19;CTT*1;"
    assert codes(meaning("850", body)) == ["TOTAL"]


@pytest.mark.parametrize(
    "purpose,action", [("00", "place"), ("01", "cancel"), ("05", "replace"), ("06", "place")]
)
def test_purposes(purpose, action):
    body = HEAD_850.format(purpose=purpose) + "PO1*1*1*EA*1**SK*A;CTT*1;"
    assert meaning("850", body).orders[0].action == action


def test_an_unknown_purpose_is_not_guessed():
    body = HEAD_850.format(purpose="22") + "PO1*1*1*EA*1**SK*A;CTT*1;"
    assert codes(meaning("850", body)) == ["CODE_UNMAPPED"]


def test_an_860_changes_lines():
    body = (
        "BCH*04*SA*PO-1**2*20260201;POC*1*QD*8*8*EA*1**SK*A;POC*2*DI***EA***SK*B;"
        "POC*3*AI*4*4*EA*1**SK*C;CTT*3;"
    )
    (order,) = meaning("860", body).orders
    assert (order.action, order.change_number) == ("change", "2")
    assert [(w.line, w.action, w.quantity) for w in order.lines] == [
        ("1", "change", 8), ("2", "cancel", 0), ("3", "add", 4),
    ]  # fmt: skip


def test_a_940_is_a_warehouse_order():
    body = (
        "W05*N*SO-1*PO-1;N1*ST*Store 9*92*009;N1*WH*Main*92*DC1;G62*10*20260202;"
        "W66*CC*M***Ground*****ABCD;"
        "LX*1;W01*12*EA**SK*MUG-1********L1;N9*LI*10;LX*2;W01*3*EA**SK*MUG-2;W76*16;"
    )
    got = meaning("940", body)
    assert codes(got) == ["TOTAL"]
    (order,) = got.orders
    assert (order.kind, order.number, order.purchase_order) == ("warehouse", "SO-1", "PO-1")
    assert (order.terms, order.ship_on, order.ship_from.location) == (
        "CC", dt.date(2026, 2, 2), "AUSTIN",
    )  # fmt: skip
    assert [(w.line, w.quantity, w.sku, w.lot) for w in order.lines] == [
        ("10", 12, "MUG-1", "L1"), ("2", 3, "MUG-2", ""),
    ]  # fmt: skip


def test_an_orders_message_is_an_order():
    (order,) = of_text(edifact_text("ORDERS"), _edifact_profile()).orders
    assert (order.number, order.action, order.currency) == ("PO-1", "place", "EUR")
    assert (order.date, order.notes) == (dt.date(2026, 1, 31), ["Handle with care"])
    assert [(w.line, w.quantity, w.sku, w.price) for w in order.lines] == [
        ("1", 120, "MUG-1", Decimal("9.25"))
    ]


@pytest.mark.parametrize(
    "acks,accepted,backordered,rejected,other",
    [
        ("ACK*IA*12*EA;", 12, 0, 0, {}),
        ("ACK*IA*10*EA;ACK*IB*2*EA;", 10, 2, 0, {}),
        ("ACK*IR*12*EA;", 0, 0, 12, {}),
        ("ACK*IA*4*EA;ACK*ID*8*EA;", 4, 0, 8, {}),
        ("ACK*IH*12*EA;", 0, 0, 0, {"IH": 12}),
    ],
)
def test_an_855_says_what_becomes_of_units(acks, accepted, backordered, rejected, other):
    body = f"BAK*00*AC*PO-1*20260131;PO1*1*12*EA*1**SK*MUG-1;{acks}CTT*1;"
    (line,) = meaning("855", body).answer.lines
    assert (line.accepted, line.backordered, line.rejected, line.other) == (
        accepted, backordered, rejected, other,
    )  # fmt: skip


def test_an_ordrsp_says_the_same():
    (line,) = of_text(edifact_text("ORDRSP"), _edifact_profile()).answer.lines
    assert (line.accepted, line.backordered) == (100, 20)


@pytest.mark.parametrize("code", ["180", "753", "754", "810", "852"])
def test_other_sets_ask_nothing_of_stock(code):
    assert meaning(code, X12[code]) is None


@pytest.mark.parametrize(
    "old,new,fault",
    [
        ('name = "acme"', 'name = "acme"\nname_of = 1', "unknown field `name_of`"),
        ('time_zone = "America/Chicago"', 'time_zone = "Mars"', "no IANA zone"),
        ('name = "acme"', 'name = "acme"\nencoding = "klingon"', "is not known"),
        ('name = "acme"', 'name = "acme"\nseverities = {SE_COUNT = "info"}', "is no finding"),
        ('name = "acme"', 'name = "acme"\nseverities = {SET_COUNT = "mild"}', "mild"),
        ('name = "acme"', 'name = "acme"\ndelimiters = {element = ">"}', "not all different"),
        ('name = "acme"', "name = acme", "Invalid value"),
        ('namespace = "acme"', "", "namespace"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(old, new, fault):
    with pytest.raises(Misconfigured, match=fault):
        load(PROFILE.replace(old, new), "acme.toml")


def test_the_profile_in_the_readme_is_one():
    readme = (files("stockbridge.connectors.edi.partner") / "README.md").read_text("utf-8")
    agreed = load(readme.split("```toml\n")[1].split("```")[0])
    assert (agreed.name, agreed.receipt_is, agreed.units) == ("acme", "transfer", {"CA": "CASE"})
    assert agreed.policy().severities == {"SET_COUNT": "noted"}
