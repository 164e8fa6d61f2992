"""What a reader says, in order: something opened, a part of a set, something closed.

A set comes in parts so that a stock report of any size is read in bounded memory: its header, one
part for each item loop (LIN, LX, W07, ...), its trailer. Whether it is sound is known only at the
end, in its SetClosed: whoever uses parts before that keeps them apart until then.
"""

from dataclasses import dataclass, field
from typing import Literal

from stockbridge.connectors.edi.findings import Finding, Severity, worst
from stockbridge.connectors.edi.segments import Delimiters, Segment

Standard = Literal["x12", "edifact"]
PartKind = Literal["header", "item", "trailer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interchange:
    """ISA or UNB: who sends to whom, under which number."""

    standard: Standard
    segment: Segment
    delimiters: Delimiters
    sender: tuple[str, str]
    receiver: tuple[str, str]
    control: str
    version: str
    date: str
    time: str
    is_test: bool = False
    is_ack_requested: bool = False
    is_latin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """GS or UNG."""

    segment: Segment
    functional_id: str
    sender: str
    receiver: str
    control: str
    version: str
    date: str = ""
    time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHead:
    """ST or UNH; `version` is the group's where the set gives none."""

    segment: Segment
    code: str
    control: str
    version: str


@dataclass(slots=True, kw_only=True)
class SetResult:
    """How a set ended. `segments` counts ST and SE."""

    head: SetHead
    segments: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def worst(self) -> Severity:
        """The worst that was found."""
        return worst(self.findings)


@dataclass(slots=True, kw_only=True)
class GroupResult:
    """How a group ended. `included` is what its trailer claims, -1 when that is no number."""

    group: Group | None
    sets: list[SetResult] = field(default_factory=list)
    included: int = -1
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class InterchangeResult:
    """How an interchange ended; `answers` are the TA1 segments that came inside it."""

    interchange: Interchange | None
    groups: list[GroupResult] = field(default_factory=list)
    answers: list[Segment] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    segments: int = 0
    group_count: int = 0

    @property
    def everything(self) -> list[Finding]:
        """The findings of all its levels, outermost first."""
        found = list(self.findings)
        for group in self.groups:
            found += group.findings
            for result in group.sets:
                found += result.findings
        return found


@dataclass(frozen=True, slots=True)
class InterchangeOpened:
    """An interchange begins; None when sets came without one."""

    interchange: Interchange | None


@dataclass(frozen=True, slots=True)
class GroupOpened:
    """A group begins; None when sets came without one."""

    group: Group | None


@dataclass(frozen=True, slots=True)
class SetOpened:
    """A set begins."""

    head: SetHead


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the open set, `position` of its first segment counted from ST as 1."""

    kind: PartKind
    segments: list[Segment]
    position: int


@dataclass(frozen=True, slots=True)
class SetClosed:
    """The open set is over."""

    result: SetResult


@dataclass(frozen=True, slots=True)
class GroupClosed:
    """The open group is over."""

    result: GroupResult


@dataclass(frozen=True, slots=True)
class InterchangeClosed:
    """The open interchange is over."""

    result: InterchangeResult


Event = (
    InterchangeOpened
    | GroupOpened
    | SetOpened
    | Part
    | SetClosed
    | GroupClosed
    | InterchangeClosed
    | Finding
)
"""A Finding stands alone when no interchange is open."""
