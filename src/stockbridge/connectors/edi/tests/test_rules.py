"""Control numbers and business keys, one line a story."""

import pytest

from stockbridge.connectors.edi.rules import CONTROL_MAX, Seen, judge_document, judge_number

SEEN = Seen(last=7, digests={5: "five", 7: "seven"})

NUMBERS = [
    # what is known, number, content, may reset -> outcome, highest, missing, findings
    (Seen(), 1, "a", False, "first", 1, [], []),
    (Seen(), 500, "a", False, "first", 500, [], []),
    (SEEN, 8, "a", False, "first", 8, [], []),
    (SEEN, 9, "a", False, "first", 9, [8], ["SEQ_GAP"]),
    (SEEN, 12, "a", False, "first", 12, [8, 9, 10, 11], ["SEQ_GAP"]),
    (SEEN, 6, "a", False, "first", 7, [], ["SEQ_LATE"]),
    (SEEN, 7, "seven", False, "retransmission", 7, [], ["DUPLICATE_CONTROL"]),
    (SEEN, 5, "five", True, "retransmission", 7, [], ["DUPLICATE_CONTROL"]),
    (SEEN, 5, "else", False, "conflict", 7, [], ["DUPLICATE_CONTROL_DIFFERENT_CONTENT"]),
    (SEEN, 5, "else", True, "first", 5, [], ["SEQ_RESET"]),
    (SEEN, 1, "a", True, "first", 1, [], ["SEQ_RESET"]),
    (SEEN, 1, "a", False, "first", 7, [], ["SEQ_LATE"]),
    (Seen(last=CONTROL_MAX), 1, "a", False, "first", 1, [], ["SEQ_RESET"]),
]


@pytest.mark.parametrize("seen,number,digest,may_reset,outcome,last,missing,codes", NUMBERS)
def test_number(seen, number, digest, may_reset, outcome, last, missing, codes):
    got = judge_number(seen, number, digest, may_reset=may_reset)
    assert (got.outcome, got.last, got.missing) == (outcome, last, missing)
    assert [found.code for found in got.findings] == codes


def test_a_wide_gap_is_told_by_its_ends():
    got = judge_number(Seen(last=1), 900_000, "a")
    assert len(got.missing) == 1_000
    assert "numbers 2 to 899999" in got.findings[0].message


@pytest.mark.parametrize(
    "purpose,digest,known,action,codes",
    [
        ("00", "a", None, "apply", []),
        ("", "a", None, "apply", []),
        ("00", "a", "a", "duplicate", ["BUSINESS_DUPLICATE"]),
        ("00", "a", "b", "conflict", ["BUSINESS_CONFLICT"]),
        ("05", "a", "b", "replace", []),
        ("05", "a", None, "replace", []),
        ("01", "a", "b", "cancel", []),
        ("04", "a", "b", "change", []),
        ("07", "a", None, "duplicate", []),
    ],
)
def test_document(purpose, digest, known, action, codes):
    got, found = judge_document("PO 1", purpose, digest, known)
    assert (got, [one.code for one in found]) == (action, codes)
