"""What buildings' documents book: one line a story, the facts last."""

from datetime import UTC, datetime

import pytest

from stockbridge.connectors.edi.tests.partners import codes, meaning, profile, said

WH = "N1*WH*Main*92*DC1;"
HEAD_945 = f"W06*F*SO-1*20260131*SH-1**PO-1;{WH}G62*11*20260130*W*1500;"


def _945(lines, head=HEAD_945, agreed=None):
    return meaning("945", f"{head}{lines}", *([agreed] if agreed else []))


SHIPPED = [
    # the lines of a 945 -> facts, shorts, findings
    (
        "LX*1;MAN*GM*01;W12*CC*12*12**EA**SK*MUG-1;N9*LI*10;",
        [("stock.shipped", 12, "MUG-1", "SO-1", "10", {"package": "01", "fulfillment": "SH-1"})],
        [], [],
    ),
    (  # partial, no backorder: ten go, two never come
        "LX*1;W12*CP*12*10**EA**SK*MUG-1;N9*LI*10;",
        [("stock.shipped", 10, "MUG-1", "SO-1", "10", {"package": "LX1", "fulfillment": "SH-1"})],
        [("10", 2, True)], [],
    ),
    (  # partial, backorder to follow
        "LX*1;W12*BP*12*10**EA**SK*MUG-1;N9*LI*10;",
        [("stock.shipped", 10, "MUG-1", "SO-1", "10", {"package": "LX1", "fulfillment": "SH-1"})],
        [("10", 2, False)], [],
    ),
    # discontinued: nothing ships
    ("LX*1;W12*DS*12*0**EA**SK*MUG-1;N9*LI*10;", [], [("10", 12, True)], []),
    # no quantity at all is none shipped
    ("LX*1;W12*BO*12***EA**SK*MUG-1;N9*LI*10;", [], [("10", 12, False)], []),
    (  # the code says complete, the quantity says otherwise: the quantity is believed
        "LX*1;W12*CC*12*5**EA**SK*MUG-1;N9*LI*10;",
        [("stock.shipped", 5, "MUG-1", "SO-1", "10", {"package": "LX1", "fulfillment": "SH-1"})],
        [("10", 7, True)], [],
    ),
    (  # a substitute leaves the building, not what was ordered
        "LX*1;W12*IS*3*3**EA**SK*MUG-9*********SK*MUG-1;N9*LI*10;",
        [("stock.shipped", 3, "MUG-9", "SO-1", "10", {"package": "LX1", "fulfillment": "SH-1"})],
        [], [],
    ),
    (  # one line in two packages: two facts
        ("LX*1;MAN*GM*A1;W12*SS*9*4**EA**SK*MUG-1;N9*LI*10;"
         "LX*2;MAN*GM*A2;W12*SS*5*5**EA**SK*MUG-1;N9*LI*10;"),
        [
            ("stock.shipped", 4, "MUG-1", "SO-1", "10", {"package": "A1", "fulfillment": "SH-1"}),
            ("stock.shipped", 5, "MUG-1", "SO-1", "10", {"package": "A2", "fulfillment": "SH-1"}),
        ],
        [("10", 5, False)], [],
    ),
    (  # two rows that say the same of one thing are one fact
        "LX*1;W12*CC*2*2**EA**SK*MUG-1;N9*LI*10;W12*CC*3*3**EA**SK*MUG-1;N9*LI*10;",
        [("stock.shipped", 5, "MUG-1", "SO-1", "10", {"package": "LX1", "fulfillment": "SH-1"})],
        [], [],
    ),
    (  # lots stay apart
        "LX*1;W12*CC*2*2**EA**SK*MUG-1*L1;N9*LI*10;W12*CC*3*3**EA**SK*MUG-1*L2;N9*LI*10;",
        [
            ("stock.shipped", 2, "MUG-1", "SO-1", "10",
             {"package": "LX1", "lot": "L1", "fulfillment": "SH-1"}),
            ("stock.shipped", 3, "MUG-1", "SO-1", "10",
             {"package": "LX1", "lot": "L2", "fulfillment": "SH-1"}),
        ],
        [], [],
    ),
    (  # serials, one a unit
        "LX*1;W12*CC*2*2**EA**SK*MUG-1;N9*LI*10;N9*SE*S1;N9*SE*S2;",
        [("stock.shipped", 2, "MUG-1", "SO-1", "10",
          {"package": "LX1", "fulfillment": "SH-1", "serials": ["S1", "S2"]})],
        [], [],
    ),
    (  # cases, an alias, a GTIN in its 14 digits
        "LX*1;W12*CC*2*2**CA**VN*V-1;W12*CC*1*1**EA**UP*012345678905;",
        [
            ("stock.shipped", 2, "acme:V-1", "SO-1", None,
             {"package": "LX1", "fulfillment": "SH-1", "uom": "CASE"}),
            ("stock.shipped", 1, "gtin:00012345678905", "SO-1", None,
             {"package": "LX1", "fulfillment": "SH-1"}),
        ],
        [], [],
    ),
    ("LX*1;W12*CC*2*2**PL**SK*MUG-1;", [], [], ["UNIT_UNMAPPED"]),
    ("LX*1;W12*CC*2*2**EA**MG*X;", [], [], ["ITEM_UNNAMED"]),
    ("LX*1;W12*CC*2*1.5**EA**SK*MUG-1;", [], [], ["QUANTITY"]),
    ("LX*1;W12*CC*2*-2**EA**SK*MUG-1;", [], [("", 4, True)], ["QUANTITY"]),
    ("LX*1;W12*CC*2*2**EA**SK*MUG-1************2;", [], [], ["CODE_UNMAPPED"]),
    (
        "LX*1;W12*CC*2*2**EA**SK*MUG-1;W03*3;",
        [("stock.shipped", 2, "MUG-1", "SO-1", None, {"package": "LX1", "fulfillment": "SH-1"})],
        [], ["TOTAL"],
    ),
    # columns shifted: a unit where the quantity should be
    ("LX*1;W12*CC*200*EA*VN*V-1;", [], [("", 200, True)], ["VALUE", "VALUE", "ITEM_UNNAMED",
     "UNIT_UNMAPPED"]),
    ("", [], [], ["VALUE"]),
]  # fmt: skip


@pytest.mark.parametrize("lines,facts,shorts,found", SHIPPED)
def test_945(lines, facts, shorts, found):
    got = _945(lines)
    assert (said(got), codes(got)) == (facts, found)
    if facts or not got.is_refused:
        assert [(s.line, s.quantity, s.is_closed) for s in got.shorts] == shorts


def test_a_945_is_dated_by_its_ship_date_in_the_partners_time():
    (fact,) = _945("LX*1;W12*CC*1*1**EA**SK*MUG-1;").facts
    assert fact.data.occurred_at == datetime(2026, 1, 30, 21, 0, tzinfo=UTC)


def test_no_fact_is_later_than_its_message():
    head = HEAD_945.replace("20260131*SH-1", "20260301*SH-1").replace("G62*11*20260130*W*1500;", "")
    (fact,) = _945("LX*1;W12*CC*1*1**EA**SK*MUG-1;", head).facts
    assert fact.data.occurred_at == datetime(2026, 1, 31, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "head,found",
    [
        (HEAD_945.replace("*SO-1*", "**"), ["VALUE"]),
        (HEAD_945.replace("DC1", "DC7"), ["LOCATION_UNNAMED"]),
        (HEAD_945.replace("W06*F", "W06*K"), ["NOT_BOOKED"]),
        # exceptions only; a replacement; an adjustment, a return, a production receipt
        *[(HEAD_945.replace("W06*F", f"W06*{c}"), ["CODE_UNMAPPED"]) for c in "XRABCPOS"],
    ],
)
def test_a_945_that_names_no_order_or_place_books_nothing(head, found):
    got = _945("LX*1;W12*CC*1*1**EA**SK*MUG-1;", head)
    assert (got.facts, codes(got)) == ([], found)


def test_no_exceptions_means_all_only_where_it_was_agreed():
    head = HEAD_945.replace("W06*F", "W06*N")
    assert codes(_945("W03*0;", head)) == ["VALUE"]
    agreed = profile(w06_n_means_all=True)
    got = _945("W03*0;", head, agreed)
    assert (got.ships_all, got.facts, codes(got)) == ("SO-1", [], [])
    assert codes(_945("W03*0;", HEAD_945, agreed)) == ["VALUE"]


HEAD_944 = f"W17*F*20260131*RC-1*TR-1;{WH}N1*SF*Plant*92*DC2;"
RECEIVED = [
    # lines, profile -> facts, findings
    ("W07*10*EA**SK*MUG-1;N9*LI*1;", {},
     [("stock.received", 10, "MUG-1", "TR-1", "1", {"package": "RC-1"})], []),
    (  # damaged is inside the received quantity
        "W07*10*EA**SK*MUG-1;W13*2*EA*01;", {},
        [("stock.received", 8, "MUG-1", "TR-1", None, {"package": "RC-1"}),
         ("stock.received", 2, "MUG-1", "TR-1", None, {"package": "RC-1", "state": "quarantined"})],
        [],
    ),
    (  # or beside it
        "W07*10*EA**SK*MUG-1;W13*2*EA*01;", {"w13_included_in_w07": False},
        [("stock.received", 10, "MUG-1", "TR-1", None, {"package": "RC-1"}),
         ("stock.received", 2, "MUG-1", "TR-1", None, {"package": "RC-1", "state": "quarantined"})],
        [],
    ),
    ("W07*10*EA**SK*MUG-1;W13*10*EA*09;", {},
     [("stock.received", 10, "MUG-1", "TR-1", None, {"package": "RC-1", "state": "quarantined"})],
     []),
    ("W07*10*EA**SK*MUG-1;W13*3*EA*10;", {},
     [("stock.received", 7, "MUG-1", "TR-1", None, {"package": "RC-1"})], ["NOT_BOOKED"]),
    ("W07*10*EA**SK*MUG-1;W13*2*EA*02;", {},
     [("stock.received", 10, "MUG-1", "TR-1", None, {"package": "RC-1"})], ["DISCREPANCY"]),
    ("W07*10*EA**SK*MUG-1;W13*10*EA*07;", {},
     [("stock.received", 10, "MUG-1", "TR-1", None, {"package": "RC-1"})], []),
    ("W07*10*EA**SK*MUG-1;W13*2*EA*16;", {}, [], ["CODE_UNMAPPED"]),
    ("W07*10*EA**SK*MUG-1;W13*2*EA*16;", {"conditions": {"16": "good"}},
     [("stock.received", 10, "MUG-1", "TR-1", None, {"package": "RC-1"})], []),
    ("W07*1*EA**SK*MUG-1;W13*2*EA*01;", {},
     [("stock.received", 2, "MUG-1", "TR-1", None, {"package": "RC-1", "state": "quarantined"})],
     ["QUANTITY"]),
    (  # an answer to our 943: damaged arrives, and is held
        "W07*10*EA**SK*MUG-1***L1;W13*2*EA*01;", {"receipt_is": "transfer"},
        [("stock.transferred_in", 8, "MUG-1", "TR-1", None,
          {"package": "RC-1", "lot": "L1", "from_location": "BOSTON"}),
         ("stock.transferred_in", 2, "MUG-1", "TR-1", None,
          {"package": "RC-1", "lot": "L1", "from_location": "BOSTON"}),
         ("stock.held", 2, "MUG-1", "RC-1", None,
          {"package": "RC-1", "lot": "L1", "reason": "DAMAGED"})],
        [],
    ),
    ("W07*10*EA**SK*MUG-1****2;", {}, [], ["CODE_UNMAPPED"]),
    ("W07*10*CA**SK*MUG-1;W13*2*EA*01;", {}, [], ["UNIT_UNMAPPED"]),
    ("W07*10*EA**SK*MUG-1;W14*11;", {},
     [("stock.received", 10, "MUG-1", "TR-1", None, {"package": "RC-1"})], ["TOTAL"]),
]  # fmt: skip


@pytest.mark.parametrize("lines,changes,facts,found", RECEIVED)
def test_944(lines, changes, facts, found):
    tail = "" if "W14" in lines else "W14*10;" if "W07*10" in lines else "W14*1;"
    got = meaning("944", f"{HEAD_944}{lines}{tail}", profile(**changes))
    assert (said(got), codes(got)) == (_merged(facts), found)


def _merged(facts):
    """Parts of a line that differ in nothing that a transfer can say are one fact."""
    sums: dict[tuple[str, str], tuple] = {}
    for name, quantity, *rest in facts:
        key = (name, repr(rest))
        before = sums.get(key)
        sums[key] = (name, quantity + (before[1] if before else 0), *rest)
    return list(sums.values())


def test_a_customers_return_waits_in_quarantine():
    head = HEAD_944.replace("W17*F", "W17*C") + "N9*RM*RMA-7;"
    got = meaning("944", f"{head}W07*2*EA**SK*MUG-1;W14*2;")
    assert said(got) == [("stock.returned", 2, "MUG-1", "RMA-7", None, {"package": "RC-1"})]


@pytest.mark.parametrize("reporting,found", [("K", "NOT_BOOKED"), ("R", "CODE_UNMAPPED")])
def test_a_944_that_is_no_report_books_nothing(reporting, found):
    head = HEAD_944.replace("W17*F", f"W17*{reporting}")
    got = meaning("944", f"{head}W07*2*EA**SK*MUG-1;W14*2;")
    assert (got.facts, codes(got)) == ([], [found])


def test_a_transfer_must_say_where_from():
    head = HEAD_944.replace("N1*SF*Plant*92*DC2;", "")
    got = meaning("944", f"{head}W07*2*EA**SK*MUG-1;W14*2;", profile(receipt_is="transfer"))
    assert codes(got) == ["LOCATION_UNNAMED"]


def test_an_861_books_its_lines_by_their_order():
    body = (
        f"BRA*RC-1*20260131*00*2;DTM*050*20260131;{WH}"
        "RCD*1*10*EA***2*EA*01;LIN**SK*MUG-1;REF*LI*1;PRF*PO-1;CTT*1;"
    )
    assert said(meaning("861", body)) == [
        ("stock.received", 8, "MUG-1", "PO-1", "1", {"package": "RC-1"}),
        ("stock.received", 2, "MUG-1", "PO-1", "1", {"package": "RC-1", "state": "quarantined"}),
    ]


def test_a_943_moves_stock_between_our_locations():
    body = (
        "W06*N*TR-1*20260130*SH-1;N1*SF*Plant*92*DC2;N1*ST*Main*92*DC1;G62*17*20260205;"
        "W27*M*ABCD;W04*10*EA**SK*MUG-1;N9*LT*L1;W03*10;"
    )
    got = meaning("943", body)
    assert said(got) == [
        ("stock.transferred_out", 10, "MUG-1", "TR-1", None,
         {"package": "SH-1", "lot": "L1", "to_location": "AUSTIN"}),
    ]  # fmt: skip
    assert got.facts[0].data.expected_at == datetime(2026, 2, 5, 18, 0, tzinfo=UTC)


ADJUSTED = [
    # line, profile -> facts, findings
    ("W19*AA*-5*EA**SK*MUG-1;", {},
     [("stock.adjusted", -5, "MUG-1", "ADJ-1", "1", {"reason": "CORRECTION"})], []),
    ("W19*51*4*EA**SK*MUG-1;", {},
     [("stock.adjusted", 4, "MUG-1", "ADJ-1", "1", {"reason": "FOUND"})], []),
    ("W19*05*3*EA**SK*MUG-1***L1;", {},
     [("stock.held", 3, "MUG-1", "ADJ-1", "1", {"lot": "L1", "reason": "HOLD"})], []),
    ("W19*05*-3*EA**SK*MUG-1;", {},
     [("stock.held", 3, "MUG-1", "ADJ-1", "1", {"reason": "HOLD"})], []),
    ("W19*55*3*EA**SK*MUG-1;", {},
     [("stock.released", 3, "MUG-1", "ADJ-1", "1", {"reason": "HOLD"})], []),
    (  # a hold as minus here and plus there
        "W19*05*-3*EA**SK*MUG-1;W19*05*3*EA**SK*MUG-1;", {"hold_one_line": False},
        [("stock.held", 3, "MUG-1", "ADJ-1", "2", {"reason": "HOLD"})], ["NOT_BOOKED"],
    ),
    ("W19*AU*2*EA**SK*MUG-1;", {},
     [("stock.held", 2, "MUG-1", "ADJ-1", "1", {"reason": "DAMAGED"})], []),
    ("W19*07*-2*EA**SK*MUG-1;", {},
     [("stock.adjusted", -2, "MUG-1", "ADJ-1", "1", {"reason": "DAMAGED"})], []),
    (  # two equal lines are two adjustments
        "W19*AA*-5*EA**SK*MUG-1;W19*AA*-5*EA**SK*MUG-1;", {},
        [("stock.adjusted", -5, "MUG-1", "ADJ-1", "1", {"reason": "CORRECTION"}),
         ("stock.adjusted", -5, "MUG-1", "ADJ-1", "2", {"reason": "CORRECTION"})],
        [],
    ),
    ("W19*AK*-5*EA**SK*MUG-1;", {}, [], ["CODE_UNMAPPED"]),
    ("W19*1*-5*EA**SK*MUG-1;", {}, [], ["CODE_UNMAPPED"]),
    ("W19*AK*-5*EA**SK*MUG-1;", {"adjustments": {"AK": {"books": "skip"}}}, [], ["NOT_BOOKED"]),
    ("W19*AA*-5*EA**SK*MUG-1;", {"adjustments": {"AA": {"books": "ask"}}}, [], ["CODE_UNMAPPED"]),
    ("W19*56*5*EA**SK*MUG-1;", {"adjustments": {"56": {"books": "adjust", "reason": "FOUND"}}},
     [("stock.adjusted", 5, "MUG-1", "ADJ-1", "1", {"reason": "FOUND"})], []),
    ("W19*AA*0*EA**SK*MUG-1;", {}, [], ["NOT_BOOKED"]),
]  # fmt: skip


@pytest.mark.parametrize("lines,changes,facts,found", ADJUSTED)
def test_947(lines, changes, facts, found):
    got = meaning("947", f"W15*20260131*ADJ-1;{WH}{lines}", profile(**changes))
    assert (said(got), codes(got)) == (facts, found)


def test_a_947_without_a_number_is_refused():
    got = meaning("947", f"W15*20260131;{WH}W19*AA*-5*EA**SK*MUG-1;")
    assert (got.facts, codes(got)) == ([], ["VALUE"])


HEAD_856 = "BSN*{purpose}*SHIP-1*20260131*1200*0001;"
TREE = (
    "HL*1**S*1;DTM*017*20260204;N1*ST*Main*92*DC1;HL*2*1*O*1;PRF*PO-1;"
    "HL*3*2*P*1;MAN*GM*000001;HL*4*3*I*0;LIN*1*SK*MUG-1;SN1*1*10*EA;"
    "HL*5*2*P*1;MAN*GM*000002;HL*6*5*I*0;LIN*1*SK*MUG-1;SN1*1*5*EA;CTT*6;"
)
NOTICED: list[tuple[str, list, list]] = [
    (HEAD_856.format(purpose="00") + TREE,
     [("supply.shipped", 15, "MUG-1", "SHIP-1", "PO-1:1", {})], []),
    (HEAD_856.format(purpose="01") + TREE,
     [("supply.shipped", 0, "MUG-1", "SHIP-1", "PO-1:1", {})], []),
    # the tree is by numbers, not by order
    (HEAD_856.format(purpose="00")
     + "HL*4*3*I*0;LIN*1*SK*MUG-1;SN1*1*10*EA;HL*3*2*P*1;HL*2*1*O*1;PRF*PO-1;"
     "HL*1**S*1;N1*ST*Main*92*DC1;CTT*4;",
     [("supply.shipped", 10, "MUG-1", "SHIP-1", "PO-1:1", {})], []),
    (HEAD_856.format(purpose="00") + TREE.replace("HL*4*3", "HL*4*9"), [], ["HIERARCHY"]),
    (HEAD_856.format(purpose="00") + TREE.replace("HL*4*3", "HL*3*2"), [], ["HIERARCHY"]),
    (HEAD_856.format(purpose="00") + TREE.replace("HL*2*1", "HL*2*3"), [], ["HIERARCHY"]),
    (HEAD_856.format(purpose="00") + TREE.replace("HL*1**", "HL*1*1*"), [], ["HIERARCHY"]),
    (HEAD_856.format(purpose="00") + TREE.replace("DC1", "DC7"), [],
     ["LOCATION_UNNAMED", "LOCATION_UNNAMED"]),
]  # fmt: skip


@pytest.mark.parametrize("body,facts,found", NOTICED)
def test_856(body, facts, found):
    got = meaning("856", body)
    assert (said(got), codes(got)) == (facts, found)
