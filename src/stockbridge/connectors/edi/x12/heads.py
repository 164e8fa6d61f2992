"""Reads ISA, GS and ST; what is wrong with their elements is found here."""

import re
from typing import Final

from stockbridge.connectors.edi.events import Group, Interchange, SetHead
from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.segments import Delimiters, Segment, at

_ISA: Final = {
    5: re.compile(r"[0-9A-Z]{2}"),
    6: re.compile(r".*\S.*"),
    7: re.compile(r"[0-9A-Z]{2}"),
    8: re.compile(r".*\S.*"),
    9: re.compile(r"\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    10: re.compile(r"([01]\d|2[0-3])[0-5]\d"),
    12: re.compile(r"\d{5}"),
    13: re.compile(r"\d{9}"),
    14: re.compile(r"[01]"),
    15: re.compile(r"[IPT]"),
}
_GS: Final = {
    1: re.compile(r"[A-Z]{2}"),
    2: re.compile(r".{1,15}"),
    3: re.compile(r".{1,15}"),
    4: re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    5: re.compile(r"([01]\d|2[0-3])[0-5]\d([0-5]\d(\d{1,2})?)?"),
    6: re.compile(r"\d{1,9}"),
    7: re.compile(r"[TX]"),
    8: re.compile(r"\d{6}[0-9A-Z]{0,6}"),
}
_ST: Final = {1: re.compile(r"\d{3}"), 2: re.compile(r"[0-9A-Za-z]{4,9}")}


def interchange_head(isa: Segment, delimiters: Delimiters) -> tuple[Interchange, list[Finding]]:
    """The interchange of an ISA."""
    found = _faults(isa, _ISA, "INTERCHANGE_ELEMENT")
    return Interchange(
        standard="x12",
        segment=isa,
        delimiters=delimiters,
        sender=(at(isa, 5), at(isa, 6).rstrip()),
        receiver=(at(isa, 7), at(isa, 8).rstrip()),
        control=at(isa, 13),
        version=at(isa, 12),
        date=at(isa, 9),
        time=at(isa, 10),
        is_test=at(isa, 15) == "T",
        is_ack_requested=at(isa, 14) == "1",
    ), found


def group_head(segment: Segment) -> tuple[Group, list[Finding]]:
    """The group of a GS."""
    group = Group(
        segment=segment,
        functional_id=at(segment, 1),
        sender=at(segment, 2),
        receiver=at(segment, 3),
        control=at(segment, 6),
        version=at(segment, 8),
        date=at(segment, 4),
        time=at(segment, 5),
    )
    return group, _faults(segment, _GS, "GROUP_ELEMENT")


def set_head(segment: Segment, group: Group | None) -> tuple[SetHead, list[Finding]]:
    """The set of an ST; since 5010 its third element may name a version of its own."""
    version = at(segment, 3) or (group.version if group else "")
    head = SetHead(segment=segment, code=at(segment, 1), control=at(segment, 2), version=version)
    return head, _faults(segment, _ST, "SET_ELEMENT")


def _faults(segment: Segment, patterns: dict[int, re.Pattern[str]], code: str) -> list[Finding]:
    tag = segment[0]
    return [
        finding(
            code,
            f"{tag}{element:02} cannot be {at(segment, element)!r}",
            segment=tag,
            position=1,
            element=element,
            value=at(segment, element),
        )
        for element, pattern in patterns.items()
        if not pattern.fullmatch(at(segment, element))
    ]
