"""Reads UNB, UNG and UNH; what is wrong with their elements is found here."""

from typing import Any, Final

from stockbridge.connectors.edi.envelope import ITEM, TRAILER, Outline
from stockbridge.connectors.edi.events import Group, Interchange, SetHead
from stockbridge.connectors.edi.findings import Finding, Severity, finding
from stockbridge.connectors.edi.segments import Delimiters, Policy, Segment, at

_LATIN: Final = ("UNOC", "UNOD", "UNOE", "UNOF")
_TRAILERS: Final = {"UNS": TRAILER, "CNT": TRAILER}
MESSAGES: Final = {
    "CONTRL": {},
    "DESADV": {"CPS": ITEM, "CNT": TRAILER},
    "INSDES": {"LIN": ITEM, **_TRAILERS},
    "INVRPT": {"LIN": ITEM, "CNT": TRAILER},
    "ORDCHG": {"LIN": ITEM, **_TRAILERS},
    "ORDERS": {"LIN": ITEM, **_TRAILERS},
    "ORDRSP": {"LIN": ITEM, **_TRAILERS},
    "RECADV": {"LIN": ITEM, "CNT": TRAILER},
}
"""The messages that are mapped, and what cuts them into parts."""


def interchange_head(unb: Segment, delimiters: Delimiters) -> tuple[Interchange, list[Finding]]:
    """The interchange of a UNB."""
    needed = {1: 1, 2: 1, 3: 1, 4: 1, 5: 0}
    return Interchange(
        standard="edifact",
        segment=unb,
        delimiters=delimiters,
        sender=(at(unb, 2, 2), at(unb, 2, 1)),
        receiver=(at(unb, 3, 2), at(unb, 3, 1)),
        control=at(unb, 5),
        version=at(unb, 1).replace("\x1f", ":"),
        date=at(unb, 4, 1),
        time=at(unb, 4, 2),
        is_test=at(unb, 11) == "1",
        is_ack_requested=at(unb, 9) == "1",
        is_latin=at(unb, 1, 1) in _LATIN,
    ), _missing(unb, needed, "INTERCHANGE_ELEMENT")


def group_head(ung: Segment) -> tuple[Group, list[Finding]]:
    """The group of a UNG."""
    group = Group(
        segment=ung,
        functional_id=at(ung, 1),
        sender=at(ung, 2, 1),
        receiver=at(ung, 3, 1),
        control=at(ung, 5),
        version=at(ung, 7, 1) + at(ung, 7, 2),
        date=at(ung, 4, 1),
        time=at(ung, 4, 2),
    )
    return group, _missing(ung, {5: 0}, "GROUP_ELEMENT")


def set_head(unh: Segment, _group: Group | None) -> tuple[SetHead, list[Finding]]:
    """The message of a UNH; its version is release and all, as in D96A."""
    version = at(unh, 2, 2) + at(unh, 2, 3)
    head = SetHead(segment=unh, code=at(unh, 2, 1), control=at(unh, 1), version=version)
    return head, _missing(unh, {1: 0, 2: 1}, "SET_ELEMENT")


def outline(head: SetHead, _group: Group | None, policy: Policy, _element: str) -> Outline:
    """How a message is cut into parts; there are no tables to compare it with."""
    marks = MESSAGES.get(head.code)
    if marks is not None:
        return Outline(marks=marks)
    severities = {code: Severity(severity) for code, severity in policy.severities.items()}
    message = f"message {head.code!r} is not one that is read here"
    unknown = finding("SET_UNKNOWN", message, severities, segment="UNH", element=2)
    return Outline(marks={}, findings=(unknown,))


def _missing(segment: Segment, needed: dict[int, int], code: str) -> list[Finding]:
    """Elements (with their component, 0 for the whole) that are needed and not there."""
    tag = segment[0]
    where: dict[str, Any] = {"segment": tag, "position": 1}
    return [
        finding(code, f"{tag} lacks element {element}", **where, element=element)
        for element, component in needed.items()
        if not at(segment, element, component)
    ]
