"""Nesting of interchange, group and set, the same for both syntaxes; what does not fit is found.

A Syntax says what the envelope's segments are called and where their numbers stand; a Session
follows the segments of one interchange and says events. A set that is broken ends where the next
begins, so it never takes others with it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from stockbridge.connectors.edi.events import (
    Event,
    Group,
    GroupClosed,
    GroupOpened,
    GroupResult,
    Interchange,
    InterchangeClosed,
    InterchangeOpened,
    InterchangeResult,
    Part,
    SetClosed,
    SetHead,
    SetOpened,
    SetResult,
)
from stockbridge.connectors.edi.findings import Finding, Severity, finding
from stockbridge.connectors.edi.segments import Policy, Segment, at

PART_SEGMENTS_MAX: Final = 10_000
"""A part is handed on when it has so many segments, even inside an item loop."""
ITEM, TRAILER, INNER, OUTER = "item", "trailer", "inner", "outer"


class Checker(Protocol):
    """Compares the segments of one set with tables."""

    def check(self, segment: Segment, text: str, position: int) -> list[Finding] | None:
        """What is wrong with the next segment, written as `text`; None or empty: nothing."""

    def finish(self, position: int) -> list[Finding]:
        """What the set lacks, now that it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """How a set is cut into parts: `marks` of tags, and what compares it with its tables."""

    marks: Mapping[str, str]
    checker: Checker | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """The envelope's tags; each trailer gives (count, control) at elements 1 and 2.

    `group_head`, `set_head` read the openers and say what is wrong with them; `outline` knows the
    set of a head inside a group, its elements set apart by the last argument.
    """

    group: tuple[str, str]
    set: tuple[str, str]
    interchange_end: str
    answers: tuple[str, ...]
    is_group_needed: bool
    group_head: Callable[[Segment], tuple[Group, list[Finding]]]
    set_head: Callable[[Segment, Group | None], tuple[SetHead, list[Finding]]]
    outline: Callable[[SetHead, Group | None, Policy, str], Outline]


class _OpenSet:
    """The set being read."""

    def __init__(self, head: SetHead, outline: Outline, policy: Policy) -> None:
        self.result = SetResult(head=head, segments=1)
        self.marks = outline.marks
        self.checker = outline.checker
        self.kind = "header"
        self.part: list[Segment] = []
        self.start = 2
        self.is_inner = False
        self.policy = policy
        self.elements_max = policy.limits.elements
        self.note(outline.findings)

    def note(self, found: "list[Finding] | tuple[Finding, ...]") -> None:
        room = self.policy.limits.findings - len(self.result.findings)
        self.result.findings += found[: max(room, 0)]
        if room == 0 and found:
            message = f"only the first {self.policy.limits.findings} findings are kept"
            self.result.findings.append(finding("FINDINGS_CUT", message))

    def add(self, segment: Segment, text: str) -> Part | None:
        """Take a segment; the part before it when one is complete."""
        result = self.result
        result.segments = position = result.segments + 1
        mark = self.marks.get(segment[0])
        done = None
        if mark is not None:
            done = self._turn(mark, position)
        elif len(self.part) >= PART_SEGMENTS_MAX:
            done = self.cut(position)
        self.part.append(segment)
        if len(segment) > self.elements_max:
            self.note([_too_long(segment, position, self.policy)])
        elif self.checker is not None:
            found = self.checker.check(segment, text, position)
            if found:
                self.note(found)
        return done

    def _turn(self, mark: str, position: int) -> Part | None:
        if mark in {INNER, OUTER}:
            self.is_inner = mark == INNER
            return None
        if self.is_inner and mark == ITEM:
            return None
        done = self.cut(position)
        self.kind, self.is_inner = mark, False
        return done

    def cut(self, position: int) -> Part | None:
        """What has been collected up to the segment at `position`, which is not part of it."""
        if not self.part:
            return None
        done = Part(self.kind, self.part, self.start)  # type: ignore[arg-type]
        self.part, self.start = [], position
        return done


class Session:
    """One interchange being read: segments in, events out."""

    def __init__(self, syntax: Syntax, policy: Policy) -> None:
        self._syntax = syntax
        self._policy = policy
        self._severities = {code: Severity(s) for code, s in policy.severities.items()}
        self._set: _OpenSet | None = None
        self._group: GroupResult | None = None
        self._controls: set[str] = set()
        self._opened = 0
        self.is_closed = False
        self.result = InterchangeResult(interchange=None)
        self._roles = {
            syntax.group[0]: self._open_group,
            syntax.group[1]: self._close_group,
            syntax.set[0]: self._open_set,
            syntax.set[1]: self._close_set,
            syntax.interchange_end: self._close_interchange,
            **dict.fromkeys(syntax.answers, self._answer),
        }

    def open(self, interchange: Interchange | None, found: list[Finding]) -> Iterator[Event]:
        """Begin; `found` is what is wrong with the opener."""
        self.result = InterchangeResult(interchange=interchange, findings=self._judged(found))
        self.result.segments = 1 if interchange else 0
        yield InterchangeOpened(interchange)

    def take(self, segments: list[Segment], texts: list[str]) -> Iterator[Event]:
        """Follow the next segments, given also as they were written."""
        roles = self._roles
        for segment, text in zip(segments, texts, strict=True):
            self.result.segments += 1
            role = roles.get(segment[0])
            if role is not None:
                yield from role(segment)
            elif self._set is not None:
                part = self._set.add(segment, text)
                if part is not None:
                    yield part
                if self._set.result.segments > self._policy.limits.set_segments:
                    yield from self._end_set(
                        [self._find("LIMIT_SET_SEGMENTS", "too many segments")]
                    )
            elif segment != [""]:
                self._outside(segment)

    def end(self, found: list[Finding]) -> Iterator[Event]:
        """Close whatever is open, because nothing more comes; `found` says why."""
        if self.is_closed:
            self.result.findings += self._judged(found)
            return
        yield from self._end_group(is_expected=False)
        self.result.findings += self._judged(found)
        self.is_closed = True
        yield InterchangeClosed(self.result)

    def _find(self, code: str, message: str, **where: object) -> Finding:
        return finding(code, message, self._severities, **where)

    def _judged(self, found: "list[Finding] | tuple[Finding, ...]") -> list[Finding]:
        """Findings made elsewhere, with this partner's severities."""
        return [self._find(f.code, f.message, **_where(f)) for f in found]

    def _outside(self, segment: Segment) -> None:
        tag = segment[0][:8]
        if len(self.result.findings) < self._policy.limits.findings:
            self.result.findings.append(
                self._find(
                    "SEGMENT_OUTSIDE",
                    f"{tag!r} stands in no set",
                    segment=tag,
                    position=self.result.segments,
                )
            )

    def _open_group(self, segment: Segment) -> Iterator[Event]:
        yield from self._end_group(is_expected=False)
        if self._is_full():
            return
        group, found = self._syntax.group_head(segment)
        self._group = GroupResult(group=group, findings=self._judged(found))
        self._controls = set()
        self.result.groups.append(self._group)
        yield GroupOpened(group)

    def _close_group(self, segment: Segment) -> Iterator[Event]:
        tag = segment[0]
        if self._group is None or self._group.group is None:
            self._outside(segment)
            return
        yield from self._end_set()
        group = self._group
        group.included = _number(at(segment, 1))
        if group.included != len(group.sets):
            message = f"{tag} says {at(segment, 1)!r} sets, there are {len(group.sets)}"
            group.findings.append(self._find("GROUP_COUNT", message, segment=tag, element=1))
        if group.group is not None and not _same(at(segment, 2), group.group.control):
            message = f"{tag} has number {at(segment, 2)!r}, the group {group.group.control!r}"
            group.findings.append(self._find("GROUP_CONTROL", message, segment=tag, element=2))
        yield from self._end_group(is_expected=True)

    def _end_group(self, *, is_expected: bool) -> Iterator[Event]:
        yield from self._end_set()
        group, self._group = self._group, None
        if group is None:
            return
        if group.group is not None:
            self.result.group_count += 1
            if not is_expected:
                group.findings.append(self._find("GROUP_UNCLOSED", "the group has no trailer"))
        yield GroupClosed(group)

    def _is_full(self) -> bool:
        """Count one more group, set or answer; whether there are too many by now."""
        self._opened += 1
        most = self._policy.limits.sets
        if self._opened == most + 1:
            message = f"more than {most} groups and sets; what follows is not read"
            self.result.findings.append(self._find("LIMIT_SETS", message))
        return self._opened > most

    def _open_set(self, segment: Segment) -> Iterator[Event]:
        yield from self._end_set()
        if self._is_full():
            return
        if self._group is None:
            self._group = GroupResult(group=None)
            self._controls = set()
            self.result.groups.append(self._group)
            if self._syntax.is_group_needed:
                message = f"{segment[0]} stands in no group"
                self._group.findings.append(self._find("GROUP_MISSING", message))
            yield GroupOpened(None)
        head, found = self._syntax.set_head(segment, self._group.group)
        interchange = self.result.interchange
        element = interchange.delimiters.element if interchange else ""
        outline = self._syntax.outline(head, self._group.group, self._policy, element)
        self._set = _OpenSet(head, outline, self._policy)
        self._set.note(self._judged(found))
        if head.control in self._controls:
            message = f"number {head.control!r} comes twice in its group"
            self._set.note([self._find("SET_REPEATED", message, segment=segment[0], element=2)])
        self._controls.add(head.control)
        self._group.sets.append(self._set.result)
        yield SetOpened(head)

    def _close_set(self, segment: Segment) -> Iterator[Event]:
        if self._set is None:
            self._outside(segment)
            return
        current, tag = self._set, segment[0]
        current.result.segments += 1
        count, control = at(segment, 1), at(segment, 2)
        where = {"segment": tag, "position": current.result.segments}
        if _number(count) != current.result.segments:
            message = f"{tag} says {count!r} segments, there are {current.result.segments}"
            current.note([self._find("SET_COUNT", message, **where, element=1, value=count)])
        if control != current.result.head.control:
            message = f"{tag} has number {control!r}, the set {current.result.head.control!r}"
            current.note([self._find("SET_CONTROL", message, **where, element=2, value=control)])
        yield from self._end_set([])

    def _end_set(self, reasons: list[Finding] | None = None) -> Iterator[Event]:
        """Close the open set; without `reasons` because it should have been closed before."""
        current, self._set = self._set, None
        if current is None:
            return
        if reasons is None:
            reasons = [self._find("SET_UNCLOSED", "the set has no trailer")]
        if current.checker is not None:
            current.note(current.checker.finish(current.result.segments))
        current.note(reasons)
        part = current.cut(current.result.segments)
        if part is not None:
            yield part
        yield SetClosed(current.result)

    def _close_interchange(self, segment: Segment) -> Iterator[Event]:
        interchange, tag = self.result.interchange, segment[0]
        yield from self._end_group(is_expected=False)
        if interchange is None:
            self._outside(segment)
            return
        count, control = at(segment, 1), at(segment, 2)
        groups = self.result.group_count or sum(len(g.sets) for g in self.result.groups)
        if self._syntax.is_group_needed:
            groups = self.result.group_count
        if _number(count) != groups:
            message = f"{tag} says {count!r}, there are {groups}"
            self.result.findings.append(
                self._find("INTERCHANGE_COUNT", message, segment=tag, element=1, value=count)
            )
        if not _same(control, interchange.control):
            message = f"{tag} has number {control!r}, the interchange {interchange.control!r}"
            self.result.findings.append(
                self._find("INTERCHANGE_CONTROL", message, segment=tag, element=2, value=control)
            )
        self.is_closed = True
        yield InterchangeClosed(self.result)

    def _answer(self, segment: Segment) -> Iterator[Event]:
        if not self._is_full():
            self.result.answers.append(segment)
        yield from ()


def _where(found: Finding) -> dict[str, object]:
    return {
        "segment": found.segment,
        "position": found.position,
        "element": found.element,
        "component": found.component,
        "reference": found.reference,
        "value": found.value,
    }


def _too_long(segment: Segment, position: int, policy: Policy) -> Finding:
    message = f"{len(segment)} elements, at most {policy.limits.elements} are read"
    return finding("LIMIT_ELEMENTS", message, segment=segment[0][:8], position=position)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1  # noqa: PLR2004


def _same(first: str, second: str) -> bool:
    """Whether two control numbers are the same: leading zeros do not count in numbers."""
    if first == second:
        return True
    numbers = _number(first), _number(second)
    return numbers[0] == numbers[1] != -1
