"""Real files, good and odd, and the kinds of error seen in them."""

import re

import pytest

from stockbridge.connectors.edi.events import InterchangeClosed, Part
from stockbridge.connectors.edi.findings import KINDS, Finding, Severity
from stockbridge.connectors.edi.segments import Limits, Policy
from stockbridge.connectors.edi.tests.files import (
    SAMPLES,
    codes,
    content,
    events,
    interchange,
    names,
    needs_samples,
    results,
)
from stockbridge.connectors.edi.x12.reader import read
from stockbridge.connectors.edi.x12.writer import rewrite

STOCK = "846~BIA*00*SI*R1*20260131~LIN*1*SK*A~QTY*33*5*EA~LIN*2*SK*B~QTY*33*0*EA~CTT*2~"

# What each odd sample must be found to be; others may be found beside it.
ODD = {
    "ediengine_940_Failed_SE01.edi": {"SET_COUNT", "ELEMENT_MISSING", "TERMINATOR_MISSING"},
    "ediengine_MultipleInterchangesAndGroups.edi": {"TERMINATOR_MISSING"},
    "edinet_x12.810b.edi": {"ISA_WIDTH"},
    "edinet_x12.832.edi": {"ISA_WIDTH", "SET_UNKNOWN", "SET_COUNT"},
    "edinet_x12.850a.edi": {"INTERCHANGE_CONTROL"},
    "edinet_x12.Issue88.edi": {"SET_UNKNOWN"},
    "x12types__850_test_1.edi": {"ISA_WIDTH", "INTERCHANGE_ELEMENT"},
    "x12types__850_test_12.edi": {"NO_INTERCHANGE"},
    "x12types__850_test_2.edi": {"ISA_WIDTH", "INTERCHANGE_ELEMENT"},
    "x12types__850_test_5.edi": {"NO_INTERCHANGE"},
    "x12types__850_test_8.edi": {"NO_INTERCHANGE"},
    "x12types__945_test_0.edi": {"ISA_WIDTH", "SET_COUNT", "ELEMENT_CONDITION"},
    "x12types__945_test_3.edi": {"NO_INTERCHANGE", "SET_COUNT", "ELEMENT_NUMBER"},
    "x12types_test_810_0.edi": {"ISA_WIDTH", "SET_COUNT"},
    "x12types_test_856_1.edi": {"ISA_WIDTH", "SET_COUNT"},
    "x12types_test_856_4.edi": {"SET_COUNT"},
    "x12types_test_856_7.edi": {"ISA_WIDTH"},
    "x12types_test_940_11.edi": {"ISA_ELEMENTS", "TRUNCATED"},
    "x12types_test_940_14.edi": {"ISA_ELEMENTS", "TRUNCATED"},
    "x12types_test_940_17.edi": {"INTERCHANGE_ELEMENT", "TRUNCATED"},
    "x12types_test_940_20.edi": {"INTERCHANGE_ELEMENT", "TRUNCATED"},
    "x12types_test_940_23.edi": {"ISA_DELIMITERS", "TRUNCATED"},
    "x12types_test_940_26.edi": {"TRUNCATED"},
    "x12types_test_940_29.edi": {"ISA_ELEMENTS", "SET_COUNT"},
    "x12types_test_940_31.edi": {"ISA_ELEMENTS", "SET_COUNT"},
    "x12types_test_940_34.edi": {"ISA_ELEMENTS", "INTERCHANGE_ELEMENT", "GROUP_ELEMENT"},
    "x12types_test_940_37.edi": {"ISA_ELEMENTS", "SET_COUNT"},
    "x12types_test_940_4.edi": {"ISA_ELEMENTS"},
    "x12types_test_940_42.edi": {"ISA_ELEMENTS", "TRUNCATED"},
    "x12types_test_940_7.edi": {"ISA_ELEMENTS", "INTERCHANGE_ELEMENT"},
    "x12types_test_997_0.edi": {"NO_INTERCHANGE"},
    "x12types_test_997_3.edi": {"NO_INTERCHANGE"},
    "x12types_v5010_846_ts.edi": {"NO_INTERCHANGE"},
    "x12types_v5010_943_ts.edi": {"NO_INTERCHANGE", "ELEMENT_NUMBER"},
}


@needs_samples
@pytest.mark.parametrize("name", names("x12"))
def test_valid_sample_holds_no_error_and_survives_writing(name):
    read_once = events((SAMPLES / "x12" / name).read_bytes())
    found = [e for e in read_once if isinstance(e, Finding)]
    found += [f for e in read_once if isinstance(e, InterchangeClosed) for f in e.result.everything]
    assert [one for one in found if one.severity is Severity.ERROR] == []
    again = events("".join(rewrite(read_once)))
    assert content(again) == content(read_once) != []
    assert "TERMINATOR_MISSING" not in codes(again)


@needs_samples
def test_every_odd_sample_is_in_the_table():
    assert sorted(ODD) == names("odd", without="edifact")


@needs_samples
@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_sample_gives_its_findings(name):
    got = set(codes(events((SAMPLES / "odd" / name).read_bytes())))
    assert got >= ODD[name]
    assert got <= set(KINDS)


def _without_isa_blanks(text: str) -> str:
    head, _, rest = text.partition("~")
    return "*".join(part.strip() or " " for part in head.split("*")) + "~" + rest


FULL = interchange(STOCK)
KINDS_SEEN = [
    # what was done to a good file, the text, the finding, whether its set is still usable
    ("wrong SE01", interchange(STOCK, se="99"), "SET_COUNT", False),
    ("IEA02 is not ISA13", interchange(STOCK, iea="IEA*1*000000002~"), "INTERCHANGE_CONTROL", True),
    ("GE02 is not GS06", FULL.replace("GE*1*7~", "GE*1*8~"), "GROUP_CONTROL", True),
    ("GE01 wrong", FULL.replace("GE*1*7~", "GE*2*7~"), "GROUP_COUNT", True),
    ("IEA01 wrong", interchange(STOCK, iea="IEA*9*000000001~"), "INTERCHANGE_COUNT", True),
    ("collapsed ISA", _without_isa_blanks(FULL), "ISA_WIDTH", True),
    ("U in ISA11 of 00501", interchange(STOCK, isa="00501"), "ISA_REPETITION", True),
    ("no final terminator", FULL.removesuffix("~"), "TERMINATOR_MISSING", True),
    ("no IEA", FULL.partition("IEA")[0], "TRUNCATED", True),
    ("cut inside a set", FULL.partition("LIN*2")[0], "SET_UNCLOSED", False),
    ("bare set", FULL[FULL.index("ST*") : FULL.index("GE*")], "NO_INTERCHANGE", True),
    ("GS01 of another set", interchange(STOCK, gs="SW"), "GROUP_ID", True),
    ("SE02 is not ST02", FULL.replace("*0001~GE", "*0002~GE"), "SET_CONTROL", False),
    ("no GE", FULL.replace("GE*1*7~", ""), "GROUP_UNCLOSED", True),
    ("no SE", FULL.replace("SE*8*0001~", ""), "SET_UNCLOSED", False),
    ("no GS", re.sub(r"G[SE][*][^~]*~", "", FULL), "GROUP_MISSING", True),
    ("qualifier without id", interchange(STOCK.replace("LIN*1", "N1*WH*X*92~LIN*1")),
     "ELEMENT_CONDITION", True),
    ("W12 shifted", interchange("945~W06*F*1~N1*WH*X~LX*1~W12*CC*200*EA*VN*A~", gs="SW"),
     "ELEMENT_NUMBER", False),
    ("date in W1202", interchange("945~W06*F*1~N1*WH*X~LX*1~W12*CC*2026-01-31*5**EA**VN*A~",
                                  gs="SW"), "ELEMENT_NUMBER", False),
    ("W17 without its first", interchange("944~W17*20260131*R1*D1~N1*WH*X~W07*1*EA**VN*A~W14*1~",
                                          gs="RE"), "ELEMENT_DATE", False),
    ("W19 reason 1", interchange("947~W15*20260131*A1~N1*WH*X~W19*1*-5*EA**VN*A~", gs="AW"),
     "ELEMENT_CODE", True),
    ("W14 in a 945", interchange("945~W06*F*1~N1*WH*X~LX*1~W12*CC*1*1**EA**VN*A~W14*1~", gs="SW"),
     "SEGMENT_NOT_IN_SET", True),
    ("no such segment", interchange(STOCK.replace("CTT", "XYZ*1~CTT")), "SEGMENT_UNKNOWN", True),
    ("out of sequence", interchange(STOCK.replace("CTT", "BIA*00*SI*R1*20260131~CTT")),
     "SEGMENT_SEQUENCE", True),
    ("mandatory segment", interchange(STOCK.replace("BIA*00*SI*R1*20260131~", "")),
     "SEGMENT_MISSING", False),
    ("one too many", interchange(STOCK.replace("LIN*1", "CUR*SE*USD~CUR*SE*USD~LIN*1")),
     "SEGMENT_REPEATS", True),
    ("elements too many", interchange(STOCK.replace("CTT*2", "CTT*2******X*X")),
     "ELEMENT_TOO_MANY", True),
    ("not both", interchange(STOCK.replace("*5*EA", "*5*EA*FREE")), "ELEMENT_EXCLUSION", True),
    ("no date", interchange(STOCK.replace("20260131", "20260231")), "ELEMENT_DATE", False),
    ("no number", interchange(STOCK.replace("*5*EA", "*five*EA")), "ELEMENT_NUMBER", False),
    ("digits of another script", interchange(STOCK.replace("*5*EA", "*\u0665*EA")),
     "ELEMENT_NUMBER", False),
    ("control character", interchange(STOCK.replace("*SK*A~", "*SK*A\x07~")),
     "ELEMENT_CHARACTER", True),
    ("number used twice", interchange(STOCK, STOCK).replace("0002", "0001"), "SET_REPEATED", False),
    ("nothing", "", "NOT_EDI", True),
    ("something else", "<xml/>", "NOT_EDI", True),
    ("text between", FULL + "-- printed by FTPD --" + FULL, "STRAY_TEXT", True),
    ("ISA in the middle", FULL.partition("GE*")[0] + FULL, "TRUNCATED", True),
]  # fmt: skip


@pytest.mark.parametrize(
    "text,code,usable", [k[1:] for k in KINDS_SEEN], ids=[k[0] for k in KINDS_SEEN]
)
def test_kind_of_error(text, code, usable):
    got = events(text)
    assert code in codes(got)
    refused = [r for r in results(got) if r.worst is Severity.ERROR]
    assert bool(refused) is not usable


def test_one_bad_set_leaves_the_others_whole():
    broken = STOCK.replace("*5*EA", "*x*EA")
    got = results(events(interchange(STOCK, broken, STOCK)))
    assert [r.worst for r in got] == [Severity.INFO, Severity.ERROR, Severity.INFO]


def test_a_file_has_many_interchanges_each_with_its_separators():
    second = FULL.replace("*", "|").replace(">~", ":~").replace("~", "'")
    got = events(f"{FULL}\r\n\r\n{second}\n")
    assert codes(got) == []
    assert content(got)[0] == content(got)[1]


@pytest.mark.parametrize("terminator", ["\n", "\r\n", "~\r\n", "~\n", "'", "\x1c"])
def test_terminators(terminator):
    assert codes(events(FULL.replace("~", terminator))) == []


def test_blanks_before_a_segment_go_and_inside_data_stay():
    text = FULL.replace("LIN*1", "\r\n   LIN*1").replace("*SK*A~", "*SK* A B ~")
    assert ["LIN", "1", "SK", " A B "] in content(events(text))[0][1]


def test_parts_are_header_item_loops_and_trailer():
    parts = [e for e in events(FULL) if isinstance(e, Part)]
    assert [(p.kind, p.position, [s[0] for s in p.segments]) for p in parts] == [
        ("header", 2, ["BIA"]),
        ("item", 3, ["LIN", "QTY"]),
        ("item", 5, ["LIN", "QTY"]),
        ("trailer", 7, ["CTT"]),
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_chunks_of_any_size_say_the_same(size):
    data = (FULL + "\n" + FULL.replace("'", "~")).encode()
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(read(chunks)) == events(data)


def test_bytes_that_are_not_utf8_are_read_as_latin_1():
    got = events(FULL.replace("*SK*A~", "*SK*Caf\xe9~").encode("latin-1"))
    assert ["LIN", "1", "SK", "Caf\xe9"] in content(got)[0][1]
    assert codes(got) == ["ENCODING"]


@pytest.mark.parametrize(
    "limits,code",
    [
        (Limits(segment_chars=150), "LIMIT_SEGMENT_CHARS"),
        (Limits(interchange_chars=600), "LIMIT_INTERCHANGE_CHARS"),
        (Limits(elements=3), "LIMIT_ELEMENTS"),
        (Limits(set_segments=20), "LIMIT_SET_SEGMENTS"),
        (Limits(sets=1), "LIMIT_SETS"),
        (Limits(findings=2), "FINDINGS_CUT"),
    ],
)
def test_limits_are_kept(limits, code):
    many = STOCK.replace("CTT", "LIN*3*SK*C~QTY*xx*1*EA~" * 30 + f"N9*ZZ*{'x' * 200}~CTT")
    data = interchange(STOCK, many).encode()
    chunks = [data[i : i + 100] for i in range(0, len(data), 100)]
    assert code in codes(read(chunks, Policy(limits=limits)))


def test_a_partner_may_be_lenient_or_strict():
    lenient = Policy(severities={"SET_COUNT": "info"})
    assert results(events(interchange(STOCK, se="99"), lenient))[0].worst is Severity.INFO
    strict = Policy(severities={"ELEMENT_CODE": "error"})
    body = STOCK.replace("QTY*33", "QTY*§§")
    assert results(events(interchange(body), strict))[0].worst is Severity.ERROR


def test_a_large_report_is_read_in_bounded_memory():
    def chunks():
        head, rest = FULL.encode().split(b"LIN*1", 1)
        yield head
        for number in range(40_000):
            yield b"LIN*%d*SK*ITEM%07d~QTY*33*%d*EA~" % (number, number, number % 977)
        yield b"LIN*1" + rest

    held = most = 0
    for event in read(chunks()):
        held = len(event.segments) if isinstance(event, Part) else 0
        most = max(most, held)
        if isinstance(event, InterchangeClosed):
            assert [f.code for f in event.result.everything] == ["LOOP_REPEATS", "SET_COUNT"]
    assert most == 2
