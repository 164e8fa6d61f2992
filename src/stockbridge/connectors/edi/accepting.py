"""Which sets of an interchange may be believed: those that our acknowledgement accepts. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stockbridge.connectors.edi.documents.reading import Read, documents
from stockbridge.connectors.edi.events import (
    Event,
    GroupClosed,
    Interchange,
    InterchangeClosed,
    InterchangeResult,
    SetClosed,
    SetResult,
)
from stockbridge.connectors.edi.findings import Finding, Severity, worst
from stockbridge.connectors.edi.partner.deciding import Meaning, meaning_of
from stockbridge.connectors.edi.partner.profile import Profile


@dataclass(slots=True)
class Judged:
    """An interchange as a whole. `refused` are its sets that were refused, by what was found.

    `faults` speak of the whole interchange: with one that is an error, none of its sets holds.
    """

    result: InterchangeResult | None = None
    interchange: Interchange | None = None
    faults: list[Finding] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    groups: dict[int, list[Finding]] = field(default_factory=dict)
    meanings: dict[int, Meaning | None] = field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        """Whether nothing of the interchange may be booked."""
        return worst(self.faults) is Severity.ERROR

    def meaning(self, read: Read, profile: Profile) -> Meaning | None:
        """What a document means, worked out once."""
        if id(read) not in self.meanings:
            self.meanings[id(read)] = meaning_of(read, profile)
        return self.meanings[id(read)]

    def errors_of(self, read: Read) -> list[Finding]:
        """Why a set may not be booked: its own errors, and those of its group."""
        result = read.result
        own = [*read.findings, *(result.findings if result else [])]
        if result is not None:
            own += self.groups.get(id(result), [])
        return [found for found in own if found.severity is Severity.ERROR]


def judge(events: Iterable[Event]) -> Judged:
    """Everything that the bytes of one interchange hold, with the verdicts over it."""
    judged = Judged()
    for read in documents(_noting(events, judged)):
        judged.interchange = read.interchange
        judged.reads.append(read)
    if judged.result is not None:
        judged.interchange = judged.result.interchange
        judged.faults += judged.result.findings
    return judged


def _noting(events: Iterable[Event], judged: Judged) -> Iterator[Event]:
    """The same events; closings and what stands alone are noted on their way."""
    open_sets: list[SetResult] = []
    for event in events:
        match event:
            case Finding():
                judged.faults.append(event)
            case SetClosed(result):
                open_sets.append(result)
            case GroupClosed(result):
                for one in open_sets:
                    judged.groups[id(one)] = result.findings
                open_sets = []
            case InterchangeClosed(result):
                judged.result = result
            case _:
                pass
        yield event


def stranger(interchange: Interchange, profile: Profile) -> str:
    """Why an interchange is not one of this partner's to us; '' when it is."""
    for what, given, agreed in (
        ("sender", interchange.sender, profile.partner),
        ("receiver", interchange.receiver, profile.us),
    ):
        qualifier, name = (part.strip() for part in given)
        if name != agreed.id or qualifier != agreed.qualifier:
            return f"its {what} is {qualifier} {name}, agreed is {agreed.qualifier} {agreed.id}"
    if interchange.is_test != profile.is_test:
        kind = {True: "a test", False: "production"}
        return f"it is {kind[interchange.is_test]}, agreed is {kind[profile.is_test]}"
    return ""
