"""EDIFACT: files good and odd, escapes, CONTRL, and the laws X12 has."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockbridge.connectors.edi import reading
from stockbridge.connectors.edi.edifact import contrl
from stockbridge.connectors.edi.edifact.reader import read
from stockbridge.connectors.edi.edifact.service import DEFAULT
from stockbridge.connectors.edi.edifact.writer import Envelope, Message, compose, render, rewrite
from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.events import InterchangeClosed, InterchangeOpened, Part
from stockbridge.connectors.edi.segments import COMPONENT, Delimiters, trimmed
from stockbridge.connectors.edi.tests.files import SAMPLES, codes, content, names, needs_samples

HEAD = "UNB+UNOC:3+5412345000013:14+4012345000009:14+260131:1200+REF1'"
STOCK = "UNH+1+INVRPT:D:96A:UN'BGM+35+R1+9'LIN+1++4000862141404:EN'QTY+145:7'UNT+5+1'"
FULL = f"{HEAD}{STOCK}UNZ+1+REF1'"
_MOMENT = datetime(2026, 1, 31, 12, 0)  # noqa: DTZ001


def _events(text):
    return list(read([text.encode()]))


SAMPLE_FINDINGS = {
    "edifact/edinet_edifact.01.edi": {"SET_UNKNOWN", "SET_COUNT", "INTERCHANGE_CONTROL"},
    "edifact/edinet_edifact.01.multi-message.edi": {"SET_REPEATED", "SET_COUNT"},
    "edifact/edinet_edifact.ORDRSP-formatted.edi": {"SET_COUNT", "SET_CONTROL"},
    "edifact/edinet_edifact.ORDRSP.edi": {"SET_COUNT", "SET_CONTROL"},
    "odd/edinet_edifact.Issue174.edi": {"INTERCHANGE_ELEMENT", "SET_ELEMENT"},
    "odd/edinet_edifact.Issue203.edi": {"SET_UNKNOWN", "SET_COUNT"},
}


@needs_samples
def test_every_sample_is_in_the_table():
    odd = [f"odd/{name}" for name in names("odd") if "edifact" in name]
    assert sorted(SAMPLE_FINDINGS) == sorted([*(f"edifact/{n}" for n in names("edifact")), *odd])


@needs_samples
@pytest.mark.parametrize("name", sorted(SAMPLE_FINDINGS))
def test_sample_gives_its_findings_and_survives_writing(name):
    got = list(reading.read([(SAMPLES / name).read_bytes()]))
    assert set(codes(got)) >= SAMPLE_FINDINGS[name]
    again = list(reading.read(["".join(reading.rewrite(got)).encode()]))
    assert content(again) == content(got) != []


@pytest.mark.parametrize(
    "text,found",
    [
        (FULL, []),
        (f"UNA:+.? '{FULL}", []),
        (f"\ufeff{FULL}", []),
        (FULL.replace("'", "'\r\n  "), []),
        (FULL.replace("UNT+5", "UNT+6"), ["SET_COUNT"]),
        (FULL.replace("UNT+5+1", "UNT+5+2"), ["SET_CONTROL"]),
        (FULL.replace("UNZ+1", "UNZ+2"), ["INTERCHANGE_COUNT"]),
        (FULL.replace("UNZ+1+REF1", "UNZ+1+REF2"), ["INTERCHANGE_CONTROL"]),
        (FULL.removesuffix("'"), ["TERMINATOR_MISSING"]),
        (FULL.partition("UNZ")[0], ["TRUNCATED"]),
        (FULL.replace("UNT+5+1'", ""), ["SET_UNCLOSED"]),
        (FULL.replace("INVRPT", "SLSRPT"), ["SET_UNKNOWN"]),
        (STOCK, ["NO_INTERCHANGE"]),
        (HEAD.replace("'", "")[:30], ["TRUNCATED"]),
        (f"{HEAD}UNG+INVRPT+A+B+260131:1200+9+UN+D:96A'{STOCK}UNE+1+9'UNZ+1+REF1'", []),
        (f"{HEAD}UNG+INVRPT+A+B+260131:1200+9+UN+D:96A'{STOCK}UNE+2+8'UNZ+1+REF1'",
         ["GROUP_COUNT", "GROUP_CONTROL"]),
        (FULL + "UNA:*.! ~" + FULL.replace("+", "*").replace("'", "~"), []),
    ],
)  # fmt: skip
def test_findings(text, found):
    assert codes(_events(text)) == found


def test_a_service_string_that_names_a_character_twice_is_found():
    assert "SERVICE_STRING" in codes(_events("UNA::.? '" + FULL))


@pytest.mark.parametrize(
    "written,said",
    [
        ("FTX+AAI+++It?'s 1?+1?: a ??'", ["FTX", "AAI", "", "", "It's 1+1: a ?"]),
        ("FTX+A?B'", ["FTX", "AB"]),
        ("NAD+BY+1:2::9'", ["NAD", "BY", COMPONENT.join(["1", "2", "", "9"])]),
        ("FTX+?+?+:??'", ["FTX", f"++{COMPONENT}?"]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_escapes(written, said, size):
    data = f"{HEAD}UNH+1+INVRPT:D:96A:UN'{written}UNT+3+1'UNZ+1+REF1'".encode()
    got = list(read([data[i : i + size] for i in range(0, len(data), size)]))
    assert content(got) == [("INVRPT", [said])]
    assert codes(got) == []


def test_a_decimal_comma_is_told_with_the_separators():
    (opened,) = [e for e in _events(f"UNA:+,? '{FULL}") if isinstance(e, InterchangeOpened)]
    assert opened.interchange is not None
    assert opened.interchange.delimiters.decimal == ","


def test_parts_are_cut_at_items_and_trailer():
    text = FULL.replace("UNT+5", "LIN+2++A:SA'QTY+145:1'CNT+2:2'UNT+8")
    kinds = [(e.kind, e.position) for e in _events(text) if isinstance(e, Part)]
    assert kinds == [("header", 2), ("item", 3), ("item", 5), ("trailer", 7)]


def test_latin_1_is_what_unoc_means():
    got = list(read([FULL.replace("R1", "Caf\xe9").encode("latin-1")]))
    assert codes(got) == []
    assert content(got)[0][1][0] == ["BGM", "35", "Caf\xe9", "9"]


_TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co")), min_size=1, max_size=10
).map(lambda text: f"x{text}x")
_VALUE = st.one_of(
    st.just(""), _TEXT, st.builds(COMPONENT.join, st.lists(_TEXT, min_size=2, max_size=3))
)
_SEGMENT = st.builds(
    lambda tag, values: trimmed([tag, *values]),
    st.sampled_from(["FTX", "LIN", "QTY", "XYZ"]),
    st.lists(_VALUE, max_size=4),
)
_MARKS = st.sampled_from(
    [DEFAULT, Delimiters(element="*", component=">", terminator="~", release="!", newline="\n")]
)


@given(st.lists(st.lists(_SEGMENT, max_size=5), max_size=3), _MARKS)
def test_write_of_read_is_the_same(bodies, marks):
    envelope = Envelope(
        sender=("14", "US"), receiver=("", "THEM"), control="R'1", moment=_MOMENT, delimiters=marks
    )
    messages = [
        Message(code="INVRPT", control=str(number), version="D96A", body=body)
        for number, body in enumerate(bodies, start=1)
    ]
    text = compose(envelope, messages)
    got = _events(text)
    assert codes(got) == []
    assert content(got) == [("INVRPT", body) for body in bodies]
    assert "".join(rewrite(got)) == text


@given(st.binary(max_size=300), st.integers(1, 9))
def test_reading_never_raises(data, size):
    for start in (b"", b"UNA", b"UNB+", FULL.encode()[:90]):
        whole = start + data
        list(reading.read([whole[i : i + size] for i in range(0, len(whole), size)]))


def test_a_control_character_cannot_be_said():
    with pytest.raises(Unwritable, match="control character"):
        render(["FTX", "a\x07b"], DEFAULT)


BAD = FULL.replace("UNT+5", "UNT+6")


@pytest.mark.parametrize(
    "text,said,status,refused",
    [
        (FULL, ["UCI+REF1+5412345000013:14+4012345000009:14+7"], "accepted", []),
        (
            FULL.replace("UNZ+1+REF1", "UNZ+1+REF9"),
            ["UCI+REF1+5412345000013:14+4012345000009:14+4+28"],
            "rejected",
            [],
        ),
        (
            BAD,
            ["UCI+REF1+5412345000013:14+4012345000009:14+7", "UCM+1+INVRPT:D:96A:UN+4+29"],
            "accepted",
            ["1"],
        ),
    ],
)
def test_contrl(text, said, status, refused):
    (closed,) = [event for event in _events(text) if isinstance(event, InterchangeClosed)]
    body = contrl.body(closed.result)
    assert [render(segment, DEFAULT).rstrip("'") for segment in body] == said
    answer, sets, found = contrl.read_body(body)
    assert found == []
    assert answer is not None
    assert (answer.control, answer.status) == ("REF1", status)
    assert [(one.control, one.status) for one in sets] == [(ref, "rejected") for ref in refused]


def test_nobody_answers_an_answer():
    text = f"{HEAD}UNH+1+CONTRL:D:3:UN'UCI+X+A+B+7'UNT+3+1'UNZ+1+REF1'"
    (closed,) = [event for event in _events(text) if isinstance(event, InterchangeClosed)]
    assert contrl.body(closed.result) == []


@pytest.mark.parametrize("segments", [[], [["UCI", "1", "A", "B", "9"]], [["UCM", "1"]]])
def test_a_contrl_that_says_nothing_is_found(segments):
    answer, sets, found = contrl.read_body(segments)
    assert (answer, sets, [one.code for one in found]) == (None, [], ["VALUE"])
