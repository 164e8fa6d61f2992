"""Writes 997, 999 and TA1 from answers, and reads answers from them.

Source: X12 004010 set 997 and segment TA1; set 999 of 005010, whose IK3, IK4 and IK5 say what AK3,
AK4 and AK5 do.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal

from stockbridge.connectors.edi.answers import (
    Fault,
    GroupAnswer,
    InterchangeAnswer,
    SetAnswer,
    Status,
)
from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.segments import COMPONENT, Segment, at

Dialect = Literal["997", "999"]
_LETTERS: Final[dict[Status, str]] = {
    "accepted": "A",
    "noted": "E",
    "partial": "P",
    "rejected": "R",
}
# M, W and X refuse for security reasons.
_STATUSES: Final[dict[str, Status]] = {
    **{letter: status for status, letter in _LETTERS.items()},
    **dict.fromkeys("MWX", "rejected"),
}
_TAGS: Final = {"997": ("AK3", "AK4", "AK5"), "999": ("IK3", "IK4", "IK5")}
_HAS_ELEMENTS: Final = "8"
_SAFE: Final = re.compile(r"[0-9A-Za-z .,/-]{1,99}")


def body(answer: GroupAnswer, dialect: Dialect = "997") -> list[Segment]:
    """The segments between ST and SE of a 997 or 999."""
    version = [answer.version] if dialect == "999" and answer.version else []
    said: list[Segment] = [["AK1", answer.functional_id, answer.control, *version]]
    for one in answer.sets:
        said.append(["AK2", one.code, one.control])
        said += _faults(one.faults, dialect)
        said.append([_TAGS[dialect][2], _LETTERS[one.status], *one.codes])
    counts = (answer.included, answer.received, answer.accepted)
    said.append(["AK9", _LETTERS[answer.status], *map(str, counts), *answer.codes])
    return said


def _faults(faults: list[Fault], dialect: Dialect) -> Iterator[Segment]:
    segment_tag, element_tag, _ = _TAGS[dialect]
    place: tuple[str, int] | None = None
    for fault in sorted(faults, key=lambda f: (f.position, f.segment, f.element != 0)):
        if not fault.element:
            yield [segment_tag, fault.segment, str(fault.position), "", fault.code]
            continue
        if place != (fault.segment, fault.position):
            place = (fault.segment, fault.position)
            yield [segment_tag, fault.segment, str(fault.position), "", _HAS_ELEMENTS]
        element = str(fault.element)
        if fault.component:
            element += f"{COMPONENT}{fault.component}"
        value = fault.value if _SAFE.fullmatch(fault.value) else ""
        reference = fault.reference if fault.reference.isdigit() else ""
        yield [element_tag, element, reference, fault.code, value]


def read_body(segments: list[Segment]) -> tuple[GroupAnswer | None, list[Finding]]:
    """The answer that the segments of a 997 or 999 give, and what is wrong with them."""
    heads = [segment for segment in segments if segment[0] == "AK1"]
    tails = [segment for segment in segments if segment[0] == "AK9"]
    if not heads or not tails:
        return None, [finding("VALUE", "an acknowledgement needs AK1 and AK9")]
    head, tail = heads[0], tails[-1]
    status = _STATUSES.get(at(tail, 1))
    if status is None:
        return None, [finding("VALUE", f"AK901 {at(tail, 1)!r} is no status", segment="AK9")]
    sets, found = _sets(segments)
    return GroupAnswer(
        functional_id=at(head, 1),
        control=at(head, 2),
        version=at(head, 3),
        status=status,
        included=_count(at(tail, 2)),
        received=_count(at(tail, 3)),
        accepted=_count(at(tail, 4)),
        codes=[code for code in tail[5:] if code],
        sets=sets,
    ), found


def _sets(segments: list[Segment]) -> tuple[list[SetAnswer], list[Finding]]:
    sets: list[SetAnswer] = []
    found: list[Finding] = []
    head: Segment = []
    place: Segment = []
    faults: list[Fault] = []
    for segment in segments:
        tag = segment[0]
        if tag == "AK2":
            head, faults, place = segment, [], []
        elif tag in {"AK3", "IK3"}:
            place = segment
            if at(segment, 4) not in {"", _HAS_ELEMENTS}:
                faults.append(_fault(place, at(segment, 4)))
        elif tag in {"AK4", "IK4"} and place:
            faults.append(_element_fault(place, segment))
        elif tag in {"AK5", "IK5"} and head:
            status = _STATUSES.get(at(segment, 1))
            if status is None:
                message = f"{tag}01 {at(segment, 1)!r} is no status"
                found.append(finding("VALUE", message, segment=tag))
                continue
            codes = [code for code in segment[2:] if code]
            sets.append(
                SetAnswer(
                    code=at(head, 1),
                    control=at(head, 2),
                    status=status,
                    codes=codes,
                    faults=faults,
                )
            )
            head = []
    return sets, found


def _fault(place: Segment, code: str) -> Fault:
    return Fault(segment=at(place, 1), position=_count(at(place, 2)), code=code)


def _element_fault(place: Segment, segment: Segment) -> Fault:
    return Fault(
        segment=at(place, 1),
        position=_count(at(place, 2)),
        code=at(segment, 3),
        element=_count(at(segment, 1, 1)),
        component=_count(at(segment, 1, 2)),
        reference=at(segment, 2),
        value=at(segment, 4),
    )


def ta1(answer: InterchangeAnswer) -> Segment:
    """The TA1 that answers an interchange."""
    letter = _LETTERS[answer.status]
    return ["TA1", answer.control, answer.date, answer.time, letter, answer.code]


def read_ta1(segment: Segment) -> InterchangeAnswer | None:
    """The answer of a TA1; None when its status is none."""
    status = _STATUSES.get(at(segment, 4))
    if status is None:
        return None
    return InterchangeAnswer(
        control=at(segment, 1),
        date=at(segment, 2),
        time=at(segment, 3),
        status=status,
        code=at(segment, 5) or "000",
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004
