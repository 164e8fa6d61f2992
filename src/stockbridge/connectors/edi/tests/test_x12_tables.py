"""The tables are what the extract says, and checks made from them learn only what is good."""

import pytest

from stockbridge.connectors.edi.segments import Segment
from stockbridge.connectors.edi.tests import x12_tables
from stockbridge.connectors.edi.tests.files import codes, events, interchange
from stockbridge.connectors.edi.x12.dictionary import UNLIMITED, tables
from stockbridge.connectors.edi.x12.elements import SegmentCheck, segment_checks
from stockbridge.connectors.edi.x12.structure import Structure


@pytest.mark.skipif(not x12_tables.SOURCE.is_file(), reason="../shared is not beside the project")
def test_the_file_is_what_its_generator_writes():
    assert x12_tables.TARGET.read_text("utf-8") == x12_tables.text()


def test_a_set_has_its_loops_back():
    stock = tables().sets["846"]
    assert (stock.functional_id, stock.item, stock.trailers) == ("IB", "LIN", ("CTT",))
    (lines,) = [node for node in stock.root.nodes if node.tag == "LIN"]
    assert (lines.is_mandatory, lines.uses_max, lines.nodes[0].tag) == (True, 10_000, "LIN")
    (parties,) = [node for node in stock.root.nodes if node.tag == "N1"]
    assert [(n.tag, n.uses_max) for n in parties.nodes] == [
        ("N1", 1), ("N2", 2), ("N3", 2), ("N4", 1), ("REF", 12), ("PER", 3),
    ]  # fmt: skip
    assert tables().sets["850"].root.nodes[2].uses_max == UNLIMITED


def test_every_segment_of_every_set_is_known():
    for one in tables().sets.values():
        assert one.tags <= tables().tags


@pytest.mark.parametrize(
    "good,alike,unlike",
    [
        (["QTY", "33", "100", "EA"], ["QTY", "33", "7", "EA"], ["QTY", "33", "x", "EA"]),
        (["QTY", "33", "1.5", "EA"], ["QTY", "33", "27.5", "EA"], ["QTY", "33", "1.5.5", "EA"]),
        (["DTM", "405", "20260131"], ["DTM", "405", "20260131"], ["DTM", "405", "20260132"]),
        (["LIN", "1", "SK", "A"], ["LIN", "9", "SK", "other"], ["LIN", "1", "SK", "A\x1fB"]),
        (["LIN", "1", "SK", "A"], ["LIN", "2", "SK", "B"], ["LIN", "2", "??", "B"]),
        (["LIN", "1", "SK", "A"], ["LIN", "2", "SK", "B"], ["LIN", "x" * 21, "SK", "B"]),
    ],
)
def test_a_learned_shape_takes_what_is_as_good(good, alike, unlike):
    check = SegmentCheck(tables().segments[good[0]], "*", with_codes=True)

    def found(segment: Segment) -> bool:
        matches = check.match is not None and check.match("*".join(segment)) is not None
        return not matches and bool(check.check(segment, 1))

    assert not found(good)
    assert not found(alike)
    assert found(unlike)


def test_a_large_file_is_checked_by_what_its_first_segments_taught(monkeypatch):
    worked_out = []
    check, find = SegmentCheck.check, Structure._find

    def counted_check(self, segment, position):
        worked_out.append(segment)
        return check(self, segment, position)

    def counted_find(self, stand, tag):
        worked_out.append(tag)
        return find(self, stand, tag)

    monkeypatch.setattr(SegmentCheck, "check", counted_check)
    monkeypatch.setattr(Structure, "_find", counted_find)
    lines = "".join(
        f"LIN*{i}*SK*I{i}*UP*{i:012}~QTY*33*{i}*EA~QTY*17*{i * 7}*EA~" for i in range(2_000)
    )
    got = events(interchange(f"846~BIA*00*SI*R1*20260131~{lines}CTT*2000~"))
    assert codes(got) == []
    assert len(worked_out) < 100


def test_checks_with_and_without_codes_are_apart():
    segment = ["QTY", "ZZZ", "1", "EA"]
    strict = segment_checks("*", with_codes=True)["QTY"]
    loose = segment_checks("*", with_codes=False)["QTY"]
    assert "ELEMENT_CODE" in {f.code for f in strict.check(segment, 1)}
    assert "ELEMENT_CODE" not in {f.code for f in loose.check(segment, 1)}
