"""Writes CONTRL about an interchange, and reads what a partner's CONTRL says of ours.

Source: ISO 9735 CONTRL; codes of data element 0085, actions of 0083 (4 rejected, 7 acknowledged, 8
received). Only what is wrong is listed message by message: 7 speaks for all that is not.
"""

from typing import Final

from stockbridge.connectors.edi.answers import InterchangeAnswer, SetAnswer, Status
from stockbridge.connectors.edi.events import InterchangeResult, SetResult
from stockbridge.connectors.edi.findings import Finding, Severity, finding, worst
from stockbridge.connectors.edi.segments import COMPONENT, Segment, at

REJECTED: Final = "4"
ACKNOWLEDGED: Final = "7"
RECEIVED: Final = "8"
ERROR_CODES: Final = {
    "INTERCHANGE_ELEMENT": "13",
    "INTERCHANGE_CONTROL": "28",
    "INTERCHANGE_COUNT": "29",
    "TRUNCATED": "13",
    "SERVICE_STRING": "22",
    "DUPLICATE_CONTROL": "26",
    "DUPLICATE_CONTROL_DIFFERENT_CONTENT": "26",
    "SET_ELEMENT": "13",
    "SET_UNKNOWN": "14",
    "SET_UNCLOSED": "13",
    "SET_CONTROL": "28",
    "SET_COUNT": "29",
    "SET_REPEATED": "26",
}
_UNSPECIFIED: Final = "18"
_STATUSES: Final[dict[str, Status]] = {
    REJECTED: "rejected",
    ACKNOWLEDGED: "accepted",
    RECEIVED: "accepted",
}


def body(result: InterchangeResult, more: tuple[Finding, ...] = ()) -> list[Segment]:
    """The segments between UNH and UNT of a CONTRL; empty for an interchange of answers."""
    interchange = result.interchange
    sets = [one for group in result.groups for one in group.sets]
    if interchange is None or (sets and all(one.head.code == "CONTRL" for one in sets)):
        return []
    refused = [f for f in (*result.findings, *more) if f.severity is Severity.ERROR]
    uci = [
        "UCI",
        interchange.control,
        _party(interchange.sender),
        _party(interchange.receiver),
        REJECTED if refused else ACKNOWLEDGED,
        *([ERROR_CODES.get(refused[0].code, _UNSPECIFIED)] if refused else []),
    ]
    return [uci, *(_message(one) for one in sets if worst(one.findings) is Severity.ERROR)]


def _party(party: tuple[str, str]) -> str:
    return COMPONENT.join((party[1], party[0])).rstrip(COMPONENT)


def _message(one: SetResult) -> Segment:
    kind = at(one.head.segment, 2)
    code = next(f.code for f in one.findings if f.severity is Severity.ERROR)
    return ["UCM", one.head.control, kind, REJECTED, ERROR_CODES.get(code, _UNSPECIFIED)]


def read_body(
    segments: list[Segment],
) -> tuple[InterchangeAnswer | None, list[SetAnswer], list[Finding]]:
    """What a CONTRL says of our interchange, and of the messages it names."""
    uci = next((segment for segment in segments if segment[0] == "UCI"), None)
    if uci is None:
        return None, [], [finding("VALUE", "a CONTRL needs a UCI")]
    status = _STATUSES.get(at(uci, 4))
    if status is None:
        return None, [], [finding("VALUE", f"action {at(uci, 4)!r} is none", segment="UCI")]
    answer = InterchangeAnswer(control=at(uci, 1), status=status, code=at(uci, 5) or "000")
    sets = [
        SetAnswer(
            code=at(segment, 2, 1),
            control=at(segment, 1),
            status=_STATUSES.get(at(segment, 3), "rejected"),
            codes=[at(segment, 4)] if at(segment, 4) else [],
        )
        for segment in segments
        if segment[0] == "UCM"
    ]
    return answer, sets, []
