"""Files checked one after another: their numbers, and what they would be answered."""

from stockbridge.connectors.edi.checking import Desk, plain
from stockbridge.connectors.edi.showing import lines, told
from stockbridge.connectors.edi.tests.files import events, interchange

STOCK = "846~BIA*00*SI*R1*20260131~LIN*1*SK*A~QTY*33*5*EA~CTT*1~"
BAD = STOCK.replace("*5*EA", "*x*EA")


def _numbered(number, body=STOCK):
    return events(interchange(body, control=f"{number:09}"))


def test_numbers_are_followed_from_file_to_file():
    desk = Desk()
    story = [
        (_numbered(1), []),
        (_numbered(2), []),
        (_numbered(5), ["SEQ_GAP"]),
        (_numbered(4), ["SEQ_LATE"]),
        (_numbered(5), ["DUPLICATE_CONTROL"]),
        (_numbered(4, STOCK.replace("*5*", "*6*")), ["DUPLICATE_CONTROL_DIFFERENT_CONTENT"]),
        (_numbered(6), []),
    ]
    assert [[f.code for f in desk.check(file).findings] for file, _ in story] == [
        found for _, found in story
    ]


def test_a_refused_number_is_answered_by_a_ta1_alone():
    desk = Desk()
    desk.check(_numbered(1))
    answers = desk.check(_numbered(1, STOCK.replace("*5*", "*6*"))).answers
    assert [plain(segment) for segment in answers] == ["TA1*000000001*260131*1200*R*025"]


def test_a_good_file_is_answered_by_a_997():
    answers = Desk().check(_numbered(1)).answers
    assert [plain(segment) for segment in answers] == [
        "AK1*IB*7", "AK2*846*0001", "AK5*A", "AK9*A*1*1*1",
    ]  # fmt: skip


def test_findings_stand_beside_their_segments():
    shown = list(lines(events(interchange(BAD)), 100))
    at = next(i for i, line in enumerate(shown) if "QTY*33*x*EA" in line)
    assert shown[at + 1].startswith("!!")
    assert "ELEMENT_NUMBER QTY02 at 4" in shown[at + 1]


def test_a_long_set_is_cut_and_its_findings_are_still_told():
    shown = list(lines(events(interchange(BAD)), 2))
    assert any("3 more segments" in line for line in shown)
    assert any("ELEMENT_NUMBER" in line for line in shown)


def test_a_finding_reads_as_a_sentence():
    (found,) = Desk().check(events(interchange(BAD))).findings
    assert told(found) == "error ELEMENT_NUMBER QTY02 at 4: 'x' is no number"
