"""Writes X12: segments to text, sets into groups into interchanges, and what was read once more.

X12 has no escape, so data that holds a separator cannot be said; it is refused, by its place.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.events import (
    Event,
    GroupClosed,
    GroupOpened,
    InterchangeClosed,
    InterchangeOpened,
    Part,
    SetClosed,
    SetOpened,
)
from stockbridge.connectors.edi.segments import (
    COMPONENT,
    CONTROL,
    REPEAT,
    Delimiters,
    Segment,
    trimmed,
)
from stockbridge.connectors.edi.x12.dictionary import tables

_ISA_WIDTHS: Final = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
_VERSION_WITH_REPETITION: Final = "00402"


class Set(msgspec.Struct, frozen=True, kw_only=True):
    """A set to write: the segments between ST and SE."""

    code: str
    control: str
    body: list[Segment]
    version: str = ""


class SetGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Sets of one functional id, under one group number."""

    functional_id: str
    control: int
    sets: list[Set]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes to whom, as what; `moment` is the writer's local time."""

    sender: tuple[str, str]
    receiver: tuple[str, str]
    app_sender: str
    app_receiver: str
    control: int
    moment: datetime
    version: str = "004010"
    isa_version: str = "00401"
    is_test: bool = False
    is_ack_requested: bool = False
    delimiters: Delimiters = Delimiters()


def compose(envelope: Envelope, groups: Sequence[SetGroup], answers: Sequence[Segment] = ()) -> str:
    """The interchange; `answers` are TA1 segments. Unwritable names what cannot be said."""
    marks = envelope.delimiters
    isa = _isa_of(envelope)
    lines = [isa_text(isa, marks), *(render(answer, marks) for answer in answers)]
    moment = envelope.moment
    for group in groups:
        number = str(group.control)
        lines.append(
            render(
                [
                    "GS",
                    group.functional_id,
                    envelope.app_sender,
                    envelope.app_receiver,
                    f"{moment:%Y%m%d}",
                    f"{moment:%H%M}",
                    number,
                    "X",
                    envelope.version,
                ],
                marks,
            )
        )
        for one in group.sets:
            lines += _set_lines(one, marks)
        lines.append(render(["GE", str(len(group.sets)), number], marks))
    lines.append(render(["IEA", str(len(groups)), isa[13]], marks))
    return "".join(lines)


def _set_lines(one: Set, marks: Delimiters) -> list[str]:
    head = ["ST", one.code, one.control, *([one.version] if one.version else [])]
    tail = ["SE", str(len(one.body) + 2), one.control]
    return [render(segment, marks) for segment in (head, *one.body, tail)]


def _isa_of(envelope: Envelope) -> Segment:
    marks = envelope.delimiters
    has_repetition = envelope.isa_version >= _VERSION_WITH_REPETITION and marks.repetition
    return [
        "ISA",
        *("00", "", "00", ""),
        *envelope.sender,
        *envelope.receiver,
        f"{envelope.moment:%y%m%d}",
        f"{envelope.moment:%H%M}",
        marks.repetition if has_repetition else "U",
        envelope.isa_version,
        f"{envelope.control:09}",
        "1" if envelope.is_ack_requested else "0",
        "T" if envelope.is_test else "P",
        marks.component,
    ]


def isa_text(isa: Segment, marks: Delimiters) -> str:
    """An ISA in its fixed width."""
    values = [*isa[1:16], marks.component or ">"]
    padded = [value.ljust(width) for value, width in zip(values, _ISA_WIDTHS, strict=True)]
    for number, (value, width) in enumerate(zip(padded, _ISA_WIDTHS, strict=True), start=1):
        if len(value) > width:
            raise Unwritable(f"ISA{number:02} {value!r} has more than {width} characters")
    return marks.element.join(["ISA", *padded]) + marks.terminator + marks.newline


def render(segment: Segment, marks: Delimiters) -> str:
    """A segment with its terminator, without trailing empty elements."""
    kept = trimmed(segment)
    for number, value in enumerate(kept):
        bad = next((c for c in marks.all if c in value), None)
        if bad is not None:
            raise Unwritable(f"{kept[0]}{number:02} {value[:40]!r} holds the separator {bad!r}")
    text = marks.element.join(kept)
    if COMPONENT in text or REPEAT in text:
        if (COMPONENT in text and not marks.component) or (REPEAT in text and not marks.repetition):
            raise Unwritable(f"{kept[0]} has parts, and the partner's format no separator for them")
        text = text.replace(COMPONENT, marks.component).replace(REPEAT, marks.repetition)
    return text + marks.terminator + marks.newline


def is_sayable(value: str, marks: Delimiters) -> bool:
    """Whether an element can hold `value` as it is."""
    return not CONTROL.search(value) and not any(c in value for c in marks.all)


def rewrite(events: Iterable[Event]) -> Iterator[str]:
    """What was read, written again with right counts and numbers in its trailers."""
    marks = Delimiters()
    for event in events:
        if isinstance(event, InterchangeOpened) and event.interchange is not None:
            marks = event.interchange.delimiters
            yield isa_text(event.interchange.segment, marks)
        else:
            yield from (render(segment, marks) for segment in _said(event))


def _said(event: Event) -> list[Segment]:
    """The segments an event stands for."""
    match event:
        case GroupOpened(group) if group is not None:
            return [group.segment]
        case SetOpened(head):
            return [head.segment]
        case Part():
            return event.segments
        case SetClosed(result):
            return [["SE", str(result.segments), result.head.control]]
        case GroupClosed(result) if result.group is not None:
            return [["GE", str(len(result.sets)), result.group.control]]
        case InterchangeClosed(result) if result.interchange is not None:
            end = ["IEA", str(result.group_count), result.interchange.control]
            return [*result.answers, end]
        case _:
            return []


def functional_id(code: str) -> str:
    """The GS01 of a set."""
    table = tables().sets.get(code)
    if table is None:
        raise Unwritable(f"there is no table for set {code!r}")
    return table.functional_id
