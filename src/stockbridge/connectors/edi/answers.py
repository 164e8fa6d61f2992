"""What one side tells the other about its syntax: the content of 997, 999, TA1 and CONTRL.

An answer is about syntax only. That an item is unknown, or an order refused, is said by a business
document (855, 824, ORDRSP) or not at all.
"""

from typing import Literal

import msgspec

from stockbridge.connectors.edi.events import GroupResult, InterchangeResult, SetResult
from stockbridge.connectors.edi.findings import Finding, Severity, worst

Status = Literal["accepted", "noted", "partial", "rejected"]


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something wrong in a set, under X12's number for it; `element` 0 is the segment itself."""

    segment: str
    position: int
    code: str
    element: int = 0
    component: int = 0
    reference: str = ""
    value: str = ""


class SetAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one set."""

    code: str
    control: str
    status: Status
    codes: list[str] = []
    faults: list[Fault] = []


class GroupAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one group: `included` by its trailer, `received`, `accepted` sets."""

    functional_id: str
    control: str
    version: str = ""
    status: Status
    included: int
    received: int
    accepted: int
    codes: list[str] = []
    sets: list[SetAnswer] = []


class InterchangeAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an interchange's envelope; `date` and `time` as the interchange had them."""

    control: str
    date: str = ""
    time: str = ""
    status: Status
    code: str = "000"


# Element 718, 720, 723, 716 and I18 (X12 004010), by our findings.
SET_CODES = {
    "SET_UNKNOWN": "1",
    "SET_UNCLOSED": "2",
    "SET_CONTROL": "3",
    "SET_COUNT": "4",
    "SET_ELEMENT": "7",
    "SET_REPEATED": "23",
    "LIMIT_SET_SEGMENTS": "5",
    "LIMIT_SETS": "5",
}
SEGMENT_CODES = {
    "SEGMENT_UNKNOWN": "1",
    "SEGMENT_MISSING": "3",
    "LOOP_REPEATS": "4",
    "SEGMENT_REPEATS": "5",
    "SEGMENT_NOT_IN_SET": "6",
    "SEGMENT_SEQUENCE": "7",
    "LIMIT_ELEMENTS": "8",
}
ELEMENT_CODES = {
    "ELEMENT_MISSING": "1",
    "ELEMENT_CONDITION": "2",
    "ELEMENT_TOO_MANY": "3",
    "ELEMENT_SHORT": "4",
    "ELEMENT_LONG": "5",
    "ELEMENT_CHARACTER": "6",
    "ELEMENT_NUMBER": "6",
    "ELEMENT_CODE": "7",
    "ELEMENT_DATE": "8",
    "ELEMENT_TIME": "9",
    "ELEMENT_EXCLUSION": "10",
}
GROUP_CODES = {
    "GROUP_UNCLOSED": "3",
    "GROUP_CONTROL": "4",
    "GROUP_COUNT": "5",
    "GROUP_ELEMENT": "6",
}
INTERCHANGE_CODES = {
    "TRUNCATED": "023",
    "INTERCHANGE_CONTROL": "001",
    "INTERCHANGE_COUNT": "021",
    "ISA_WIDTH": "022",
    "ISA_ELEMENTS": "022",
    "ISA_DELIMITERS": "026",
    "SEGMENT_OUTSIDE": "024",
    "LIMIT_SEGMENT_CHARS": "024",
    "LIMIT_INTERCHANGE_CHARS": "024",
    "DUPLICATE_CONTROL": "025",
    "DUPLICATE_CONTROL_DIFFERENT_CONTENT": "025",
}
INTERCHANGE_ELEMENT_CODES = {
    5: "005",
    6: "006",
    7: "007",
    8: "008",
    9: "014",
    10: "015",
    12: "017",
    13: "018",
    14: "019",
    15: "020",
}
CODES_MAX = 5
FAULTS_MAX = 999


def answer_group(result: GroupResult) -> GroupAnswer | None:
    """The answer to a group; None for a group of answers, which nobody answers, and for none."""
    group = result.group
    if group is None or group.functional_id in {"FA", "CONTRL"}:
        return None
    sets = [answer_set(one) for one in result.sets]
    accepted = sum(one.status != "rejected" for one in sets)
    is_refused = worst(result.findings) is Severity.ERROR
    if is_refused:
        accepted = 0
    status: Status
    if is_refused or not accepted:
        status = "rejected"
    elif accepted < len(sets):
        status = "partial"
    else:
        noted = any(one.status == "noted" for one in sets)
        status = "noted" if noted or worst(result.findings) is Severity.NOTED else "accepted"
    return GroupAnswer(
        functional_id=group.functional_id,
        control=group.control,
        version=group.version,
        status=status,
        included=result.included if result.included >= 0 else len(sets),
        received=len(sets),
        accepted=accepted,
        codes=_codes(result.findings, GROUP_CODES),
        sets=sets,
    )


def answer_set(result: SetResult) -> SetAnswer:
    """The answer to a set."""
    faults = [fault for found in result.findings for fault in _faults(found)][:FAULTS_MAX]
    codes = _codes(result.findings, SET_CODES)
    if faults and "5" not in codes:
        codes = [*codes, "5"][:CODES_MAX]
    statuses: dict[Severity, Status] = {Severity.ERROR: "rejected", Severity.NOTED: "noted"}
    status = statuses.get(worst(_about_syntax(result.findings)), "accepted")
    return SetAnswer(
        code=result.head.code,
        control=result.head.control,
        status=status,
        codes=codes,
        faults=faults,
    )


def answer_interchange(
    result: InterchangeResult, more: tuple[Finding, ...] = ()
) -> InterchangeAnswer | None:
    """The answer to an envelope; `more` was found outside, such as that its number came before."""
    interchange = result.interchange
    if interchange is None:
        return None
    findings = [f for f in (*result.findings, *more) if f.severity is not Severity.INFO]
    grade = worst(findings)
    code = next((_interchange_code(f) for f in findings if f.severity is grade), "000")
    statuses: dict[Severity, Status] = {Severity.ERROR: "rejected", Severity.NOTED: "noted"}
    return InterchangeAnswer(
        control=interchange.control,
        date=interchange.date,
        time=interchange.time,
        status=statuses.get(grade, "accepted"),
        code=code,
    )


def _about_syntax(findings: list[Finding]) -> list[Finding]:
    known = SET_CODES.keys() | SEGMENT_CODES.keys() | ELEMENT_CODES.keys()
    return [found for found in findings if found.code in known]


def _interchange_code(found: Finding) -> str:
    if found.code == "INTERCHANGE_ELEMENT":
        return INTERCHANGE_ELEMENT_CODES.get(found.element, "022")
    return INTERCHANGE_CODES.get(found.code, "000")


def _codes(findings: list[Finding], numbers: dict[str, str]) -> list[str]:
    told = [f for f in findings if f.severity is not Severity.INFO and f.code in numbers]
    return list(dict.fromkeys(numbers[found.code] for found in told))[:CODES_MAX]


def _faults(found: Finding) -> list[Fault]:
    if found.severity is Severity.INFO:
        return []
    number = SEGMENT_CODES.get(found.code) or ELEMENT_CODES.get(found.code)
    if number is None:
        return []
    is_element = found.code in ELEMENT_CODES
    return [
        Fault(
            segment=found.segment,
            position=found.position,
            code=number,
            element=found.element if is_element else 0,
            component=found.component,
            reference=found.reference if is_element else "",
            value=found.value if is_element else "",
        )
    ]
