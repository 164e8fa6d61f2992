"""Laws of what documents mean: nothing raises, order does not matter, a repeat is a repeat."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockbridge.connectors.edi import reading
from stockbridge.connectors.edi.documents.reading import documents
from stockbridge.connectors.edi.partner.deciding import meaning_of
from stockbridge.connectors.edi.tests.bodies import EDIFACT, X12, edifact_text, x12_text
from stockbridge.connectors.edi.tests.files import SAMPLES, interchange, names, needs_samples
from stockbridge.connectors.edi.tests.partners import ACME, meaning, profile, said
from stockbridge.connectors.edi.x12.dictionary import tables

TEXTS = [
    *(interchange(x12_text(code), gs=tables().sets[code].functional_id) for code in X12),
    *(edifact_text(code) for code in EDIFACT),
]
ODD_WORDS = st.sampled_from(
    ["", "*", "~", "'", "+", ":", "-1", "9" * 40, "1e9", "00000000", "99991231", "²", "\x1f", "EA",
     "HL*1*1*S~", "LIN~", "QTY*33~", "\n", "0", "ISA"]
)  # fmt: skip


@given(st.data())
def test_nothing_raises_on_a_damaged_document(data):
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(ODD_WORDS) + text[at + data.draw(st.integers(0, 9)) :]
    for read in documents(reading.read([text.encode()])):
        msgspec.json.encode(meaning_of(read, ACME))


@needs_samples
@pytest.mark.parametrize("name", [*(f"x12/{n}" for n in names("x12")),
                                  *(f"odd/{n}" for n in names("odd")),
                                  *(f"edifact/{n}" for n in names("edifact"))])  # fmt: skip
def test_no_sample_raises(name):
    for read in documents(reading.read([(SAMPLES / name).read_bytes()])):
        msgspec.json.encode(meaning_of(read, ACME))


@needs_samples
def test_a_945_with_shifted_columns_is_not_booked():
    (read,) = documents(reading.read([(SAMPLES / "odd" / "x12types__945_test_3.edi").read_bytes()]))
    assert not read.is_usable


_LINE = st.tuples(
    st.integers(1, 4),
    st.sampled_from(["10", "20"]),
    st.sampled_from(["MUG-1", "MUG-2"]),
    st.integers(0, 9),
    st.sampled_from(["", "L1", "L2"]),
)


def _group(rows):
    number, line, item, quantity, lot = rows
    return f"LX*{number};W12*SS*9*{quantity}**EA**SK*{item}*{lot};N9*LI*{line};"


def _booked(rows):
    head = "W06*F*SO-1*20260131*SH-1;N1*WH*Main*92*DC1;"
    return sorted(said(meaning("945", head + "".join(map(_group, rows)))), key=repr)


@given(st.lists(_LINE, max_size=8), st.randoms())
def test_the_order_of_packages_does_not_matter(rows, random):
    other = list(rows)
    random.shuffle(other)
    assert _booked(rows) == _booked(other)


@given(st.lists(_LINE, max_size=8))
def test_every_unit_shipped_is_in_one_fact(rows):
    facts = _booked(rows)
    assert sum(fact[1] for fact in facts) == sum(row[3] for row in rows)
    keys = [(*fact[2:5], fact[5].get("package"), fact[5].get("lot")) for fact in facts]
    assert len(set(keys)) == len(keys)


_CONDITION = st.tuples(st.integers(0, 9), st.sampled_from(["01", "04", "07", "08", "10"]))


@given(st.integers(0, 20), st.lists(_CONDITION, max_size=4), st.booleans())
def test_a_receipt_accounts_for_every_unit(received, conditions, is_included):
    body = "W17*F*20260131*RC-1*PO-1;N1*WH*Main*92*DC1;" + f"W07*{received}*EA**SK*MUG-1;"
    body += "".join(f"W13*{quantity}*EA*{code};" for quantity, code in conditions)
    got = meaning("944", f"{body}W14*{received};", profile(w13_included_in_w07=is_included))
    if got.is_refused:
        assert is_included
        assert sum(q for q, code in conditions if code != "07") > received
        return
    stocked = sum(fact[1] for fact in said(got))
    apart = sum(q for q, code in conditions if code in {"01", "04"})
    lost = sum(q for q, code in conditions if code in {"08", "10"})
    assert stocked == (received - lost if is_included else received + apart)
