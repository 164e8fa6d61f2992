"""Compares a set with the 004010 tables while it is read, and cuts it into parts.

Other versions (004030, 005010, ...) differ from the tables in places, so what is found in them is
for people to see, and code lists are not asked at all.
"""

from functools import cache
from typing import Any, Final

import msgspec

from stockbridge.connectors.edi.envelope import INNER, ITEM, OUTER, TRAILER, Outline
from stockbridge.connectors.edi.events import Group, SetHead
from stockbridge.connectors.edi.findings import Finding, Severity, finding
from stockbridge.connectors.edi.segments import Policy, Segment
from stockbridge.connectors.edi.x12.dictionary import VERSION, tables
from stockbridge.connectors.edi.x12.elements import segment_checks
from stockbridge.connectors.edi.x12.structure import Step, structure_of

_OWN_VERSIONS: Final = ("753", "754", "999")
_DEPTH_MAX: Final = 16
_BOUNDS: Final = {"LS": INNER, "LE": OUTER}


def outline(head: SetHead, group: Group | None, policy: Policy, element: str) -> Outline:
    """How the set that begins with `head` is cut and compared."""
    table = tables().sets.get(head.code)
    if table is None:
        message = f"there is no table for set {head.code!r}"
        unknown = finding("SET_UNKNOWN", message, _severities(policy), segment="ST", element=1)
        return Outline(marks={}, findings=(unknown,))
    found = []
    if group is not None and group.functional_id != table.functional_id:
        message = (
            f"a {head.code} belongs to a {table.functional_id} group, not {group.functional_id}"
        )
        found.append(finding("GROUP_ID", message, _severities(policy), segment="ST", element=1))
    is_ours = head.version.startswith(VERSION) or not head.version
    if not is_ours and head.code not in _OWN_VERSIONS:
        message = f"version {head.version} is compared with the tables of {VERSION}, as notes"
        found.append(finding("SET_VERSION", message, _severities(policy)))
    checker = (
        SetChecker(head.code, policy, element, is_ours=is_ours) if policy.is_validated else None
    )
    return Outline(marks=marks(head.code), checker=checker, findings=tuple(found))


@cache
def marks(code: str) -> dict[str, str]:
    """The segments that cut a set into parts."""
    table = tables().sets[code]
    return {table.item: ITEM, **dict.fromkeys(table.trailers, TRAILER), **_BOUNDS}


def _severities(policy: Policy) -> dict[str, Severity]:
    return {code: Severity(severity) for code, severity in policy.severities.items()}


class SetChecker:
    """Compares one set, segment by segment."""

    def __init__(self, code: str, policy: Policy, element: str, *, is_ours: bool) -> None:
        self._structure = structure_of(code)
        self._checks = segment_checks(element, with_codes=is_ours)
        self._is_ours = is_ours
        self._severities = _severities(policy)
        self._stand = self._structure.start
        self._uses = 1
        self._same_at = 0
        self._rounds = [0] * _DEPTH_MAX

    def check(self, segment: Segment, text: str, position: int) -> list[Finding] | None:
        """What is wrong with the next segment."""
        tag = segment[0]
        step = self._stand.steps.get(tag) or self._structure.step(self._stand, tag)
        found = None
        depth = step.depth
        if depth:
            rounds = self._rounds
            rounds[depth] = count = rounds[depth] + 1 if step.is_round else 1
            if count == step.rounds_max + 1:
                found = [_too_many_rounds(step, tag, position)]
        if step.is_told:
            found = [*(found or ()), *self._told(step, tag, position)]
        self._stand = step.to
        check = self._checks.get(tag)
        if check is not None and (check.match is None or check.match(text) is None):
            found = [*(found or ()), *check.check(segment, position)]
        return self._judged(found) if found else None

    def finish(self, position: int) -> list[Finding]:
        """Mandatory segments that never came."""
        missing = self._structure.missing_at_end(self._stand)
        return self._judged([_missing(tag, position) for tag in missing])

    def _told(self, step: Step, tag: str, position: int) -> list[Finding]:
        """What the step itself says: a fault, what was passed over, a segment once too often."""
        where: dict[str, Any] = {"segment": tag[:8], "position": position}
        found = [_missing(name, position) for name in step.missing]
        if step.fault:
            found.append(finding(step.fault, f"{tag[:8]!r} {_FAULT_SAYS[step.fault]}", **where))
        if step.is_same:
            self._uses = self._uses + 1 if self._same_at == position - 1 else 2
            self._same_at = position
            if self._uses == step.uses_max + 1:
                message = f"{tag} comes more than {step.uses_max} times"
                found.append(finding("SEGMENT_REPEATS", message, **where))
        return found

    def _judged(self, found: list[Finding]) -> list[Finding]:
        if self._is_ours and not self._severities:
            return found
        return [self._graded(one) for one in found]

    def _graded(self, one: Finding) -> Finding:
        severity = self._severities.get(one.code, one.severity)
        if not self._is_ours and severity is Severity.NOTED:
            severity = Severity.INFO
        return msgspec.structs.replace(one, severity=severity)


_FAULT_SAYS: Final = {
    "SEGMENT_SEQUENCE": "is out of its sequence",
    "SEGMENT_NOT_IN_SET": "does not belong to this set",
    "SEGMENT_UNKNOWN": "is no segment of X12",
}


def _too_many_rounds(step: Step, tag: str, position: int) -> Finding:
    message = f"the loop of {tag} comes more than {step.rounds_max} times"
    return finding("LOOP_REPEATS", message, segment=tag, position=position)


def _missing(tag: str, position: int) -> Finding:
    return finding("SEGMENT_MISSING", f"{tag} is mandatory", segment=tag, position=position)
