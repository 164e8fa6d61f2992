"""Laws of reading and writing X12, for anything at all."""

import string
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.events import InterchangeClosed
from stockbridge.connectors.edi.segments import COMPONENT, REPEAT, Delimiters, Policy, trimmed
from stockbridge.connectors.edi.tests.files import content, events, interchange
from stockbridge.connectors.edi.x12.reader import read
from stockbridge.connectors.edi.x12.writer import Envelope, Set, SetGroup, compose, render, rewrite

MARKS = Delimiters(element="*", component=">", repetition="^", terminator="~")
_WORD = st.text(alphabet=string.ascii_letters + string.digits + " .,:;-/äß€中", max_size=12)
_DATA = st.builds(lambda a, b: f"{a}{b}".rstrip(), st.sampled_from("AZ09"), _WORD)
_ELEMENT = st.one_of(
    st.just(""),
    _DATA,
    st.builds(COMPONENT.join, st.lists(_DATA, min_size=2, max_size=3)),
    st.builds(REPEAT.join, st.lists(_DATA, min_size=2, max_size=3)),
)
_TAG = st.sampled_from(["BIA", "LIN", "QTY", "N1", "REF", "CTT", "W12", "XX9"])
_SEGMENT = st.builds(
    lambda tag, elements: trimmed([tag, *elements]), _TAG, st.lists(_ELEMENT, max_size=6)
)
_SET = st.tuples(st.sampled_from(["846", "850", "999", "271"]), st.lists(_SEGMENT, max_size=8))
_MOMENT = datetime(2026, 1, 31, 12, 0)  # noqa: DTZ001


def _written(groups: list[list[tuple[str, list[list[str]]]]], newline: str) -> str:
    envelope = Envelope(
        sender=("ZZ", "US"), receiver=("01", "THEM"), app_sender="US", app_receiver="THEM",
        control=42, moment=_MOMENT, version="005010", isa_version="00501",
        delimiters=Delimiters(repetition="^", newline=newline),
    )  # fmt: skip
    return compose(
        envelope,
        [
            SetGroup(
                functional_id="IB",
                control=number,
                sets=[
                    Set(code=code, control=f"{at:04}", body=body)
                    for at, (code, body) in enumerate(sets, start=1)
                ],
            )
            for number, sets in enumerate(groups, start=1)
        ],
    )


@given(st.lists(st.lists(_SET, max_size=3), max_size=3), st.sampled_from(["", "\n", "\r\n"]))
def test_write_of_read_is_the_same(groups, newline):
    text = _written(groups, newline)
    got = events(text)
    assert "".join(rewrite(got)) == text
    assert content(got) == [one for group in groups for one in group]


@given(st.binary(max_size=400), st.integers(1, 9))
def test_reading_never_raises_on_bytes(data, size):
    for start in (b"", b"ISA*", b"ST*846*0001~", interchange("846~BIA*00*SI~").encode()[:200]):
        whole = start + data
        list(read([whole[i : i + size] for i in range(0, len(whole), size)]))


@given(st.data())
def test_reading_never_raises_on_a_damaged_file(data):
    text = interchange("846~BIA*00*SI*R*20260131~LIN*1*SK*A~QTY*33*1*EA~CTT*1~", "945~W06*F~")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        cut = data.draw(st.integers(0, 12))
        text = (
            text[:at]
            + data.draw(st.sampled_from(["", "*", "~", "ISA", "IEA", "\n", "SE*"]))
            + (text[at + cut :])
        )
    assert events(text)


@pytest.mark.parametrize("tail", ["P*A~", "P*>I", "P*> ", "P**~", "P*~~"])
def test_separators_that_cannot_be_are_found(tail):
    text = interchange("846~BIA*00*SI*R*20260131~CTT*0~").replace("P*>~", tail, 1)
    (closed,) = [event for event in events(text) if isinstance(event, InterchangeClosed)]
    found = [f.code for f in closed.result.findings if f.severity == "error"]
    assert "ISA_DELIMITERS" in found


@given(_SEGMENT.filter(lambda s: len(s) > 1), st.sampled_from("*~>^"))
def test_data_with_a_separator_is_refused(segment, mark):
    with pytest.raises(Unwritable, match="holds the separator"):
        render([*segment, f"A{mark}B"], MARKS)


@given(st.lists(_SET, min_size=1, max_size=3))
def test_what_is_validated_says_the_same_segments(sets):
    text = _written([sets], "")
    assert content(events(text, Policy(is_validated=False))) == content(events(text))
