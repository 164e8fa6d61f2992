"""Says for people what a file holds: its segments, and beside each what was found in it."""

from collections.abc import Iterable, Iterator
from typing import Final

from stockbridge.connectors.edi.events import (
    Event,
    GroupClosed,
    GroupOpened,
    Interchange,
    InterchangeClosed,
    InterchangeOpened,
    Part,
    SetClosed,
    SetOpened,
)
from stockbridge.connectors.edi.findings import Finding, Severity
from stockbridge.connectors.edi.segments import COMPONENT, REPEAT, Delimiters, Segment

_MARKS: Final = {Severity.ERROR: "!!", Severity.NOTED: " !", Severity.INFO: " ."}


def told(found: Finding) -> str:
    """A finding in a line: how bad, its code, where, and what."""
    place = f" {found.segment}{f'{found.element:02}' if found.element else ''}"
    at = f" at {found.position}" if found.position else ""
    return (
        f"{found.severity.value} {found.code}{place if found.segment else ''}{at}: {found.message}"
    )


def lines(events: Iterable[Event], segments_max: int) -> Iterator[str]:
    """The whole file, at most `segments_max` segments of each set."""
    marks = Delimiters()
    kept: list[Segment] = []
    passed = 0
    for event in events:
        match event:
            case Finding():
                yield f"{_MARKS[event.severity]} {told(event)}"
            case InterchangeOpened(interchange):
                marks = interchange.delimiters if interchange else marks
                yield _interchange(interchange)
            case GroupOpened(group) if group is not None:
                yield (
                    f"  group {group.control} {group.functional_id} {group.version}: "
                    f"{group.sender} -> {group.receiver}"
                )
            case SetOpened(head):
                kept, passed = [head.segment], 0
                yield f"    set {head.code} {head.control}"
            case Part():
                room = max(segments_max - len(kept), 0)
                kept += event.segments[:room]
                passed += max(len(event.segments) - room, 0)
            case SetClosed(result):
                yield from _set(kept, passed, result.findings, marks)
            case GroupClosed(result):
                yield from (f"{_MARKS[f.severity]} {told(f)}" for f in result.findings)
            case InterchangeClosed(result):
                yield from (f"{_MARKS[f.severity]} {told(f)}" for f in result.findings)


def _interchange(interchange: Interchange | None) -> str:
    if interchange is None:
        return "no interchange"
    sender, receiver = (
        ":".join(x for x in p if x) for p in (interchange.sender, interchange.receiver)
    )
    test = ", a test" if interchange.is_test else ""
    return (
        f"interchange {interchange.control} {interchange.standard} {interchange.version}: "
        f"{sender} -> {receiver}{test}"
    )


def _set(
    kept: list[Segment], passed: int, findings: list[Finding], marks: Delimiters
) -> Iterator[str]:
    places: dict[int, list[Finding]] = {}
    for found in findings:
        places.setdefault(min(found.position, len(kept) + 1), []).append(found)
    for position, segment in enumerate(kept, start=1):
        yield f"   {position:5}  {_plain(segment, marks)}"
        for found in places.pop(position, []):
            yield f"{_MARKS[found.severity]}          ^ {told(found)}"
    if passed:
        yield f"          ... {passed:,} more segments"
    for rest in places.values():
        yield from (f"{_MARKS[found.severity]}          {told(found)}" for found in rest)


def _plain(segment: Segment, marks: Delimiters) -> str:
    text = marks.element.join(segment)
    text = text.replace(COMPONENT, marks.component).replace(REPEAT, marks.repetition)
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
