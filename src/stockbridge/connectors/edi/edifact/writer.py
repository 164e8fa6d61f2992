"""Writes EDIFACT; what would read as a separator is escaped, so any text can be said."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from stockbridge.connectors.edi.edifact.service import DEFAULT, escaped
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


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message to write: the segments between UNH and UNT; `version` like D96A."""

    code: str
    control: str
    version: str
    body: list[Segment]
    association: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes to whom; ids as (qualifier, id); `moment` is the writer's local time."""

    sender: tuple[str, str]
    receiver: tuple[str, str]
    control: str
    moment: datetime
    syntax: str = "UNOC"
    syntax_version: str = "3"
    is_test: bool = False
    is_ack_requested: bool = False
    delimiters: Delimiters = DEFAULT


def compose(envelope: Envelope, messages: Sequence[Message]) -> str:
    """The interchange, with its service string."""
    marks = envelope.delimiters
    unb = [
        "UNB",
        COMPONENT.join((envelope.syntax, envelope.syntax_version)),
        _party(envelope.sender),
        _party(envelope.receiver),
        f"{envelope.moment:%y%m%d}{COMPONENT}{envelope.moment:%H%M}",
        envelope.control,
        *("", "", ""),
        "1" if envelope.is_ack_requested else "",
        "",
        "1" if envelope.is_test else "",
    ]
    lines = [service_string(marks), render(unb, marks)]
    for one in messages:
        kind = [one.code, one.version[:1], one.version[1:], "UN", one.association]
        lines.append(render(["UNH", one.control, COMPONENT.join(kind)], marks))
        lines += [render(segment, marks) for segment in one.body]
        lines.append(render(["UNT", str(len(one.body) + 2), one.control], marks))
    lines.append(render(["UNZ", str(len(messages)), envelope.control], marks))
    return "".join(lines)


def _party(party: tuple[str, str]) -> str:
    return COMPONENT.join((party[1], party[0]))


def service_string(marks: Delimiters) -> str:
    """The UNA."""
    signs = (marks.component, marks.element, marks.decimal, marks.release or " ")
    return f"UNA{''.join(signs)}{marks.repetition or ' '}{marks.terminator}{marks.newline}"


def render(segment: Segment, marks: Delimiters) -> str:
    """A segment with its terminator; Unwritable when it holds what no escape can say."""
    kept = trimmed(segment)
    words = []
    for number, value in enumerate(kept):
        if CONTROL.search(value):
            raise Unwritable(f"{kept[0]} element {number} {value[:40]!r} holds a control character")
        if REPEAT in value and not marks.repetition:
            raise Unwritable(
                f"{kept[0]} element {number} is repeated, and this syntax repeats none"
            )
        words.append(
            escaped(value, marks)
            .replace(COMPONENT, marks.component)
            .replace(REPEAT, marks.repetition)
        )
    return marks.element.join(words) + marks.terminator + marks.newline


def rewrite(events: Iterable[Event]) -> Iterator[str]:
    """What was read, written again with right counts and numbers in its trailers."""
    marks = DEFAULT
    for event in events:
        if isinstance(event, InterchangeOpened) and event.interchange is not None:
            marks = event.interchange.delimiters
            yield service_string(marks)
            yield render(event.interchange.segment, marks)
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
            return [["UNT", str(result.segments), result.head.control]]
        case GroupClosed(result) if result.group is not None:
            return [["UNE", str(len(result.sets)), result.group.control]]
        case InterchangeClosed(result) if result.interchange is not None:
            sets = sum(len(group.sets) for group in result.groups)
            return [["UNZ", str(result.group_count or sets), result.interchange.control]]
        case _:
            return []
