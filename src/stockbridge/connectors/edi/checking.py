"""Checks files as a whole: their findings, numbers across interchanges, and what to answer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from stockbridge.connectors.edi.answers import answer_group, answer_interchange
from stockbridge.connectors.edi.edifact import contrl
from stockbridge.connectors.edi.events import (
    Event,
    GroupOpened,
    InterchangeClosed,
    InterchangeOpened,
    InterchangeResult,
    Part,
    SetOpened,
)
from stockbridge.connectors.edi.findings import Finding
from stockbridge.connectors.edi.rules import Seen, judge_number
from stockbridge.connectors.edi.segments import COMPONENT, Segment
from stockbridge.connectors.edi.x12.acknowledge import body, ta1


@dataclass(slots=True)
class Checked:
    """What a file holds. `answers` are the segments we would answer, element by element."""

    sets: int = 0
    findings: list[Finding] = field(default_factory=list)
    answers: list[Segment] = field(default_factory=list)


class Desk:
    """Checks one file after another, and remembers which numbers each sender has used."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], Seen] = {}

    def check(self, events: Iterable[Event]) -> Checked:
        """Check a file."""
        checked = Checked()
        digest = sha256()
        for event in events:
            match event:
                case Finding():
                    checked.findings.append(event)
                case InterchangeOpened():
                    digest = sha256()
                case GroupOpened(group) if group is not None:
                    digest.update(repr(group.segment).encode())
                case SetOpened(head):
                    digest.update(repr(head.segment).encode())
                case Part():
                    digest.update(repr(event.segments).encode())
                case InterchangeClosed(result):
                    numbers = self._numbers(result, digest.hexdigest())
                    checked.findings += [*result.everything, *numbers]
                    checked.sets += sum(len(group.sets) for group in result.groups)
                    checked.answers += _answers(result, tuple(numbers))
        return checked

    def _numbers(self, result: InterchangeResult, digest: str) -> list[Finding]:
        interchange = result.interchange
        if interchange is None or not _is_number(interchange.control):
            return []
        key = (interchange.sender, interchange.receiver, interchange.is_test)
        seen = self._seen.get(key, Seen())
        number = int(interchange.control)
        verdict = judge_number(seen, number, digest)
        digests = {number: digest} | seen.digests
        self._seen[key] = Seen(last=verdict.last, digests=digests)
        return verdict.findings


def _answers(result: InterchangeResult, more: tuple[Finding, ...]) -> Iterator[Segment]:
    interchange = result.interchange
    if interchange is not None and interchange.standard == "edifact":
        yield from contrl.body(result, more)
        return
    answer = answer_interchange(result, more)
    if answer is not None and (answer.status == "rejected" or _asks(result)):
        yield ta1(answer)
        if answer.status == "rejected":
            return
    for group in result.groups:
        said = answer_group(group)
        if said is not None:
            yield from body(said)


def _is_number(control: str) -> bool:
    return control.isascii() and control.isdigit()


def _asks(result: InterchangeResult) -> bool:
    return result.interchange is not None and result.interchange.is_ack_requested


def plain(segment: Segment) -> str:
    """A segment for people."""
    return "*".join(segment).replace(COMPONENT, ":").rstrip("*")
