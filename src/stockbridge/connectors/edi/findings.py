"""What is wrong with a file, as values: a reader never raises on what a partner sent.

`KINDS` is the whole list: the code, what it is about, and how bad it is unless a partner's profile
says otherwise. ERROR refuses the set (or group, interchange); NOTED is acknowledged as "accepted,
with errors noted"; INFO is for people only.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec


class Severity(StrEnum):
    """How bad a finding is."""

    INFO = "info"
    NOTED = "noted"
    ERROR = "error"


class Level(StrEnum):
    """What a finding is about, outermost first."""

    FILE = "file"
    INTERCHANGE = "interchange"
    GROUP = "group"
    SET = "set"
    SEGMENT = "segment"
    ELEMENT = "element"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong, and where.

    `position` counts segments: inside a set from its first (ST, UNH) as 1, else from the
    interchange's first. `element` and `component` count from 1, 0 is the segment itself.
    """

    code: str
    severity: Severity
    level: Level
    message: str
    segment: str = ""
    position: int = 0
    element: int = 0
    component: int = 0
    reference: str = ""
    value: str = ""


_I, _N, _E = Severity.INFO, Severity.NOTED, Severity.ERROR

KINDS: Final[Mapping[str, tuple[Level, Severity]]] = {
    # The bytes.
    "NOT_EDI": (Level.FILE, _E),
    "NO_INTERCHANGE": (Level.FILE, _E),
    "STRAY_TEXT": (Level.FILE, _N),
    "ENCODING": (Level.FILE, _N),
    "TRUNCATED": (Level.INTERCHANGE, _E),
    "TERMINATOR_MISSING": (Level.INTERCHANGE, _N),
    "LIMIT_SEGMENT_CHARS": (Level.INTERCHANGE, _E),
    "LIMIT_INTERCHANGE_CHARS": (Level.INTERCHANGE, _E),
    "LIMIT_ELEMENTS": (Level.SEGMENT, _E),
    "LIMIT_SET_SEGMENTS": (Level.SET, _E),
    "LIMIT_SETS": (Level.INTERCHANGE, _E),
    "FINDINGS_CUT": (Level.SET, _N),
    # The envelope.
    "ISA_WIDTH": (Level.INTERCHANGE, _N),
    "ISA_ELEMENTS": (Level.INTERCHANGE, _E),
    "ISA_DELIMITERS": (Level.INTERCHANGE, _E),
    "ISA_REPETITION": (Level.INTERCHANGE, _I),
    "SERVICE_STRING": (Level.INTERCHANGE, _E),
    "INTERCHANGE_ELEMENT": (Level.INTERCHANGE, _E),
    "INTERCHANGE_CONTROL": (Level.INTERCHANGE, _E),
    "INTERCHANGE_COUNT": (Level.INTERCHANGE, _N),
    "GROUP_ELEMENT": (Level.GROUP, _E),
    "GROUP_CONTROL": (Level.GROUP, _E),
    "GROUP_COUNT": (Level.GROUP, _N),
    "GROUP_UNCLOSED": (Level.GROUP, _E),
    "GROUP_MISSING": (Level.GROUP, _N),
    "GROUP_ID": (Level.GROUP, _N),
    "SET_ELEMENT": (Level.SET, _E),
    "SET_CONTROL": (Level.SET, _E),
    "SET_COUNT": (Level.SET, _E),
    "SET_UNCLOSED": (Level.SET, _E),
    "SET_REPEATED": (Level.SET, _E),
    "SET_UNKNOWN": (Level.SET, _E),
    "SET_VERSION": (Level.SET, _I),
    "SEGMENT_OUTSIDE": (Level.INTERCHANGE, _E),
    # A set against its tables.
    "SEGMENT_UNKNOWN": (Level.SEGMENT, _N),
    "SEGMENT_NOT_IN_SET": (Level.SEGMENT, _N),
    "SEGMENT_SEQUENCE": (Level.SEGMENT, _N),
    "SEGMENT_MISSING": (Level.SEGMENT, _E),
    "SEGMENT_REPEATS": (Level.SEGMENT, _N),
    "LOOP_REPEATS": (Level.SEGMENT, _I),
    "ELEMENT_MISSING": (Level.ELEMENT, _E),
    "ELEMENT_CONDITION": (Level.ELEMENT, _N),
    "ELEMENT_EXCLUSION": (Level.ELEMENT, _N),
    "ELEMENT_TOO_MANY": (Level.ELEMENT, _N),
    "ELEMENT_SHORT": (Level.ELEMENT, _N),
    "ELEMENT_LONG": (Level.ELEMENT, _N),
    "ELEMENT_CHARACTER": (Level.ELEMENT, _N),
    "ELEMENT_NUMBER": (Level.ELEMENT, _E),
    "ELEMENT_CODE": (Level.ELEMENT, _N),
    "ELEMENT_DATE": (Level.ELEMENT, _E),
    "ELEMENT_TIME": (Level.ELEMENT, _N),
    # Numbers that must follow one another.
    "SEQ_GAP": (Level.GROUP, _N),
    "SEQ_LATE": (Level.GROUP, _I),
    "SEQ_RESET": (Level.GROUP, _N),
    "DUPLICATE_CONTROL": (Level.INTERCHANGE, _N),
    "DUPLICATE_CONTROL_DIFFERENT_CONTENT": (Level.INTERCHANGE, _E),
    "BUSINESS_DUPLICATE": (Level.SET, _N),
    "BUSINESS_CONFLICT": (Level.SET, _E),
    # What a set says.
    "VALUE": (Level.SET, _E),
    "TOTAL": (Level.SET, _N),
    "HIERARCHY": (Level.SET, _E),
    "ITEM_UNNAMED": (Level.SET, _E),
    "CODE_UNMAPPED": (Level.SET, _E),
    "UNIT_UNMAPPED": (Level.SET, _E),
    "LOCATION_UNNAMED": (Level.SET, _E),
    "QUANTITY": (Level.SET, _E),
    "DISCREPANCY": (Level.SET, _N),
    "NOT_BOOKED": (Level.SET, _I),
}

Severities = Mapping[str, Severity]
"""A partner's exceptions to the severities in `KINDS`."""


def finding(code: str, message: str, severities: Severities | None = None, **where: Any) -> Finding:
    """A finding of a kind in `KINDS`; `where` are the other fields of Finding."""
    level, severity = KINDS[code]
    if severities:
        severity = severities.get(code, severity)
    return Finding(code=code, severity=severity, level=level, message=message, **where)


def worst(findings: "list[Finding] | tuple[Finding, ...]") -> Severity:
    """The worst severity among findings; INFO when there are none."""
    grades = {found.severity for found in findings}
    return next((grade for grade in (_E, _N) if grade in grades), _I)
