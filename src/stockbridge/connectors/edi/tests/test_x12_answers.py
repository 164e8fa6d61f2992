"""997, 999 and TA1: what is told of a file, and that what is told can be read again."""

import pytest

from stockbridge.connectors.edi.answers import answer_group, answer_interchange
from stockbridge.connectors.edi.events import GroupClosed, InterchangeClosed
from stockbridge.connectors.edi.findings import finding
from stockbridge.connectors.edi.tests.files import (
    SAMPLES,
    content,
    events,
    interchange,
    needs_samples,
)
from stockbridge.connectors.edi.x12.acknowledge import body, read_body, read_ta1, ta1

STOCK = "846~BIA*00*SI*R1*20260131~LIN*1*SK*A~QTY*33*5*EA~CTT*1~"
BAD = STOCK.replace("*5*EA", "*x*EA")
ODD = STOCK.replace("CTT", "XYZ*1~CTT")


def _answer(text):
    (closed,) = [event for event in events(text) if isinstance(event, GroupClosed)]
    return answer_group(closed.result)


ANSWERS = [
    # the file -> the 997 between ST and SE
    (interchange(STOCK), ["AK1*IB*7", "AK2*846*0001", "AK5*A", "AK9*A*1*1*1"]),
    (
        interchange(STOCK, BAD),
        ["AK1*IB*7", "AK2*846*0001", "AK5*A", "AK2*846*0002", "AK3*QTY*4**8", "AK4*2*380*6*x",
         "AK5*R*5", "AK9*P*2*2*1"],
    ),
    (interchange(BAD), ["AK1*IB*7", "AK2*846*0001", "AK3*QTY*4**8", "AK4*2*380*6*x", "AK5*R*5",
                        "AK9*R*1*1*0"]),
    (interchange(ODD), ["AK1*IB*7", "AK2*846*0001", "AK3*XYZ*5**1", "AK5*E*5", "AK9*E*1*1*1"]),
    (interchange(STOCK, se="99"), ["AK1*IB*7", "AK2*846*0001", "AK5*R*4", "AK9*R*1*1*0"]),
    (
        interchange(STOCK).replace("GE*1*7~", "GE*3*8~"),
        ["AK1*IB*7", "AK2*846*0001", "AK5*A", "AK9*R*3*1*0*5*4"],
    ),
    (
        interchange(STOCK.replace("LIN*1*SK*A", "LIN*1*SK*" + "A" * 50)),
        ["AK1*IB*7", "AK2*846*0001", "AK3*LIN*3**8", "AK4*3*234*5*" + "A" * 50, "AK5*E*5",
         "AK9*E*1*1*1"],
    ),
    (interchange("832~BCT*RC*X~", gs="SC"), ["AK1*SC*7", "AK2*832*0001", "AK5*R*1", "AK9*R*1*1*0"]),
]  # fmt: skip


@pytest.mark.parametrize("text,said", ANSWERS)
def test_997(text, said):
    answer = _answer(text)
    segments = body(answer)
    assert ["*".join(segment).rstrip("*") for segment in segments] == said
    group, found = read_body(segments)
    assert (group, found) == (answer.__class__(**_known(answer)), [])


def _known(answer):
    """A 997 says all of an answer but the version."""
    return {name: getattr(answer, name) for name in answer.__struct_fields__} | {"version": ""}


@pytest.mark.parametrize("text", [text for text, _ in ANSWERS])
def test_999_says_the_same_and_the_version(text):
    answer = _answer(text)
    segments = body(answer, "999")
    assert {s[0] for s in segments} <= {"AK1", "AK2", "IK3", "IK4", "IK5", "AK9"}
    assert read_body(segments) == (answer, [])


@pytest.mark.parametrize("dialect", ["997", "999"])
@pytest.mark.parametrize("text", [text for text, _ in ANSWERS])
def test_what_we_answer_is_sound_itself(text, dialect):
    lines = "".join("*".join(segment) + "~" for segment in body(_answer(text), dialect))
    version = "005010" if dialect == "999" else "004010"
    got = events(interchange(f"{dialect}~{lines}", gs="FA", version=version))
    (closed,) = [event for event in got if isinstance(event, InterchangeClosed)]
    assert [f for f in closed.result.everything if f.severity != "info"] == []
    assert _group(got) is None


def _group(got):
    (closed,) = [event for event in got if isinstance(event, GroupClosed)]
    return answer_group(closed.result)


@pytest.mark.parametrize(
    "text,status,code",
    [
        (interchange(STOCK), "A", "000"),
        (interchange(STOCK, iea="IEA*1*000000002~"), "R", "001"),
        (interchange(STOCK, iea="IEA*2*000000001~"), "E", "021"),
        (interchange(STOCK).partition("IEA")[0], "R", "023"),
        (interchange(STOCK).replace("*ZZ*SENDER", "*zz*SENDER"), "R", "005"),
        (interchange(STOCK).replace("*260131*", "*261331*"), "R", "014"),
        (interchange(STOCK, control="00000000A", iea="IEA*1*00000000A~"), "R", "018"),
    ],
)
def test_ta1(text, status, code):
    (closed,) = [event for event in events(text) if isinstance(event, InterchangeClosed)]
    answer = answer_interchange(closed.result)
    assert answer is not None
    segment = ta1(answer)
    assert (segment[4], segment[5]) == (status, code)
    assert read_ta1(segment) == answer


def test_a_number_that_came_before_is_told():
    (closed,) = [e for e in events(interchange(STOCK)) if isinstance(e, InterchangeClosed)]
    again = finding("DUPLICATE_CONTROL_DIFFERENT_CONTENT", "again")
    answer = answer_interchange(closed.result, (again,))
    assert answer is not None
    assert ta1(answer)[4:] == ["R", "025"]


def test_a_ta1_comes_between_isa_and_groups():
    text = interchange(STOCK).replace("~GS", "~TA1*000000009*260131*1200*A*000~GS")
    (closed,) = [event for event in events(text) if isinstance(event, InterchangeClosed)]
    (answer,) = [read_ta1(segment) for segment in closed.result.answers]
    assert answer is not None
    assert (answer.control, answer.status) == ("000000009", "accepted")


@needs_samples
def test_partners_997():
    sample = (SAMPLES / "odd" / "x12types_test_997_0.edi").read_bytes()
    group, found = read_body(content(events(sample))[0][1])
    assert found == []
    assert group is not None
    assert (group.functional_id, group.control, group.status) == ("PO", "2", "rejected")
    (one,) = group.sets
    assert (one.status, one.codes) == ("rejected", ["4", "5"])
    assert [(f.segment, f.position, f.element, f.code, f.value) for f in one.faults] == [
        ("REF", 3, 1, "7", "BM"),
        ("REF", 4, 1, "7", "DP"),
    ]


@pytest.mark.parametrize(
    "segments",
    [[], [["AK1", "PO", "1"]], [["AK1", "PO", "1"], ["AK9", "?"]], [["AK9", "A", "1", "1", "1"]]],
)
def test_an_answer_that_says_nothing_is_found(segments):
    group, found = read_body(segments)
    assert group is None
    assert [one.code for one in found] == ["VALUE"]
