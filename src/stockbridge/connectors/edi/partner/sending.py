"""Writes documents to a partner: bodies by the sheets, envelopes by the profile."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from stockbridge.connectors.edi.documents.parts import Document
from stockbridge.connectors.edi.documents.writing import message_body, set_body
from stockbridge.connectors.edi.edifact import writer as edifact
from stockbridge.connectors.edi.partner.profile import Profile
from stockbridge.connectors.edi.segments import Delimiters, Segment
from stockbridge.connectors.edi.x12 import writer as x12

_FREE_TEXT: Final[dict[str, range]] = {
    "N1": range(2, 3),
    "N2": range(1, 3),
    "N3": range(1, 3),
    "N4": range(1, 2),
    "PER": range(2, 3),
    "NTE": range(2, 3),
    "MSG": range(1, 2),
    "G69": range(1, 2),
    "PID": range(5, 6),
}
"""Elements that people read, by segment: a separator in them may become a blank."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A set or message to send: a document, or a `body` that is made already (a 997, a CONTRL)."""

    code: str
    document: Document | None = None
    body: list[Segment] = []


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """Control numbers, taken from the partner's counters: the interchange's, the first group's."""

    interchange: int
    group: int


def compose(
    profile: Profile,
    numbers: Numbers,
    moment: datetime,
    sets: Sequence[Outgoing],
    answers: Sequence[Segment] = (),
) -> str:
    """One interchange; sets of one functional id go into one group. Unwritable says what cannot.

    `moment` is when it is sent, in any zone; the envelope has the partner's local time. Groups are
    numbered on from the first.
    """
    local = moment.astimezone(profile.zone)
    if profile.standard == "edifact":
        return _edifact(profile, numbers, local, sets)
    grouped: dict[str, list[Outgoing]] = {}
    for one in sets:
        grouped.setdefault(x12.functional_id(one.code), []).append(one)
    groups = [
        x12.SetGroup(
            functional_id=functional_id,
            control=numbers.group + at,
            sets=[
                x12.Set(code=one.code, control=f"{number:04}", body=_x12_body(one, profile.marks()))
                for number, one in enumerate(members, start=1)
            ],
        )
        for at, (functional_id, members) in enumerate(grouped.items())
    ]
    envelope = x12.Envelope(
        sender=(profile.us.qualifier, profile.us.id),
        receiver=(profile.partner.qualifier, profile.partner.id),
        app_sender=profile.us.app_id or profile.us.id,
        app_receiver=profile.partner.app_id or profile.partner.id,
        control=numbers.interchange,
        moment=local,
        version=profile.version,
        isa_version=profile.isa_version,
        is_test=profile.is_test,
        is_ack_requested=profile.acknowledge.ta1,
        delimiters=profile.marks(),
    )
    return x12.compose(envelope, groups, answers)


def _x12_body(one: Outgoing, marks: Delimiters) -> list[Segment]:
    body = one.body if one.document is None else set_body(one.code, one.document)
    return [_readable(segment, marks) for segment in body]


def _readable(segment: Segment, marks: Delimiters) -> Segment:
    """The segment with what its free text cannot hold as blanks; ids and codes stay as they are."""
    places = _FREE_TEXT.get(segment[0])
    if places is None:
        return segment
    said = list(segment)
    for place in places:
        if place < len(said) and not x12.is_sayable(said[place], marks):
            text = (" " if c in marks.all or not c.isprintable() else c for c in said[place])
            said[place] = " ".join("".join(text).split())
    return said


def _edifact(profile: Profile, numbers: Numbers, local: datetime, sets: Sequence[Outgoing]) -> str:
    envelope = edifact.Envelope(
        sender=(profile.us.qualifier, profile.us.id),
        receiver=(profile.partner.qualifier, profile.partner.id),
        control=str(numbers.interchange),
        moment=local,
        is_test=profile.is_test,
        is_ack_requested=profile.acknowledge.functional == "contrl",
        delimiters=profile.marks(),
    )
    decimal = profile.delimiters.decimal
    messages = [
        edifact.Message(
            code=one.code,
            control=str(number),
            version=profile.version,
            body=one.body
            if one.document is None
            else message_body(one.code, one.document, decimal),
        )
        for number, one in enumerate(sets, start=1)
    ]
    return edifact.compose(envelope, messages)
