"""Files cut into interchanges, and those read again: what is kept, told and answered."""

import pytest

from stockbridge.connectors.edi.intake import MESSAGE_BYTES_MAX, pieces
from stockbridge.connectors.edi.mapping import decode, faults
from stockbridge.connectors.edi.ordering import order_named
from stockbridge.connectors.edi.tests.bodies import X12, edifact_text, x12_text
from stockbridge.connectors.edi.tests.files import interchange
from stockbridge.connectors.edi.tests.partners import ACME, PROFILE, profile
from stockbridge.contracts.events import Undecodable

CONFIG = {"profile": PROFILE, "system": "acme"}


def adjusted(quantity="-3", *, control="000000001"):
    body = f"947~W15*20260131*A1~N1*WH**92*DC1~W19*07*{quantity}*EA**SK*MUG-1~"
    return interchange(body, gs="AW", control=control)


def test_each_interchange_of_a_file_is_a_message_with_its_own_bytes():
    first, second = adjusted(), adjusted(control="000000002")
    found = list(pieces(f"{first}\r\n{second}".encode(), ACME))
    assert b"".join(piece.message.body for piece in found).replace(b"\r\n", b"") == (
        f"{first}{second}".encode()
    )
    assert [(p.message.message_id, p.message.sequence) for p in found] == [
        ("interchange/ZZ:SENDER/ZZ:RECEIVER/000000001", 1),
        ("interchange/ZZ:SENDER/ZZ:RECEIVER/000000002", 2),
    ]
    assert all(p.message.is_exact and p.is_sound for p in found)


def test_a_counter_that_may_start_again_is_told_apart_by_the_day():
    agreed = profile(sequence={"may_reset": True})
    (found,) = pieces(adjusted().encode(), agreed)
    assert found.message.message_id.endswith("/000000001/260131")


def test_the_parts_of_an_edifact_file_keep_their_service_strings():
    text = "UNA:+.? '" + edifact_text("INVRPT")
    found = list(pieces((text + text).encode(), ACME))
    assert [piece.message.body.decode() for piece in found] == [text, text]


@pytest.mark.parametrize(
    "agreed,sets,notes",
    [
        ({}, ["997"], []),
        ({"functional": "999"}, ["999"], []),
        ({"functional": "none"}, [], []),
        ({"ta1": True}, ["997"], ["TA1"]),
    ],
)
def test_what_is_answered_is_agreed(agreed, sets, notes):
    (found,) = pieces(adjusted().encode(), profile(acknowledge=agreed))
    assert [one.code for one in found.reply.sets] == sets
    assert [note[0] for note in found.reply.notes] == notes


def test_a_number_with_other_content_is_answered_by_a_ta1_alone():
    (found,) = pieces(adjusted().encode(), profile(acknowledge={"ta1": True}))
    assert found.conflict.sets == []
    assert [note[4:] for note in found.conflict.notes] == [["R", "025"]]
    (silent,) = pieces(adjusted().encode(), ACME)
    assert (silent.conflict.sets, silent.conflict.notes) == ([], [])


def test_a_large_report_is_taken_and_another_large_one_is_refused():
    lines = "".join(f"LIN*{n}*SK*SKU-{n:08}~QTY*33*{n}*EA~" for n in range(1, 40_001))
    report = f"846~BIA*00*SI*7*20260131~N1*WH**92*DC1~{lines}CTT*40000~"
    (found,) = pieces(interchange(report).encode(), ACME)
    assert len(found.message.body) < 1_000 < MESSAGE_BYTES_MAX
    (taken,) = found.reports
    assert taken.rows.count(b"\n") == 40_000
    assert decode(found.message.topic, found.message.body, CONFIG) == []
    moves = "".join(f"W19*07*-1*EA**SK*SKU-{n:08}~" for n in range(60_000))
    text = interchange(f"947~W15*20260131*A1~N1*WH**92*DC1~{moves}", gs="AW")
    (found,) = pieces(text.encode(), ACME)
    refused = decode(found.message.topic, found.message.body, CONFIG)
    assert isinstance(refused, Undecodable)
    assert "only stock reports" in refused.detail


@pytest.mark.parametrize("code", sorted(X12))
def test_every_set_is_read_without_raising(code):
    (found,) = pieces(interchange(x12_text(code)).encode(), ACME)
    config = CONFIG | {"channel": "b2b", "shorts_channel": "web"}
    told = decode(found.message.topic, found.message.body, config)
    assert told == decode(found.message.topic, found.message.body, config)


@pytest.mark.parametrize(
    "changes,field",
    [
        ({"profile": "name = 3"}, "profile"),
        ({"folder": ""}, "folder"),
        ({"transport": "sftp", "host": "h", "username": "u"}, "known_hosts"),
        ({}, None),
    ],
)
def test_what_a_manifest_cannot_say(changes, field):
    config = {"profile": PROFILE, "transport": "folder", "folder": "acme"} | changes
    found = faults(config)
    assert [text.partition(":")[0] for text in found] == ([field] if field else [])


def test_numbers_of_orders():
    assert order_named("PO-1#R2@009") == ("PO-1", "R2", "009")
    assert order_named("PO-1") == ("PO-1", "", "")
