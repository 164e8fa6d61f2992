"""Finds the separators in an ISA, also in one that is not the 106 characters it should be.

Source: X12.5 (the ISA is fixed in width, its element separator is character 4, the component
separator ISA16, the terminator what follows); what is tolerated beside that was seen in files.
"""

import re
from typing import Final

from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.scanning import LOOK_CHARS, Heading
from stockbridge.connectors.edi.segments import Delimiters, Segment

_SEPARATORS: Final = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)
_SEPARATORS_MIN: Final = 13
_REPETITION_FROM: Final = "00402"


def detect(text: str) -> Heading | None:
    """Read the ISA that `text` begins with; None when it is cut off or none at all."""
    if len(text) < len("ISA*") or text[3].isalnum() or text[3].isspace():
        return None
    separator = text[3]
    end, findings = _last_separator(text, separator)
    if end < 0:
        return None
    isa = ["ISA", *text[4:end].split(separator)]
    component, terminator, chars, faults = _tail(text, end + 1, separator)
    findings += faults
    if not terminator:
        return None
    repetition = _repetition(isa, findings)
    following = text[chars : chars + 2]
    newline = next((n for n in ("\r\n", "\n", "\r") if following.startswith(n)), "")
    delimiters = Delimiters(
        element=separator,
        component=component,
        repetition=repetition,
        terminator=terminator,
        newline="" if terminator in "\r\n" and newline != "\n" else newline,
    )
    marks = delimiters.all
    if len(set(marks)) < len(marks) or any(mark.isalnum() or mark == " " for mark in marks):
        message = f"{marks!r} are not all different and no letters, digits or blanks"
        findings.append(finding("ISA_DELIMITERS", message))
    return Heading([*isa, component], delimiters, chars, findings)


def _last_separator(text: str, separator: str) -> tuple[int, list[Finding]]:
    """Where the 16th separator stands, by width or else by counting; -1: nowhere."""
    right = sum(text[offset : offset + 1] == separator for offset in _SEPARATORS)
    if right == len(_SEPARATORS):
        return _SEPARATORS[-1], []
    if right >= _SEPARATORS_MIN and text[_SEPARATORS[-1]] == separator:
        message = f"{len(_SEPARATORS) - right} of 16 separators are not where they belong"
        return _SEPARATORS[-1], [finding("ISA_ELEMENTS", message, segment="ISA", position=1)]
    end = -1
    for _ in _SEPARATORS:
        end = text.find(separator, end + 1, LOOK_CHARS)
        if end < 0:
            return -1, []
    message = "the ISA has not its fixed width; separators were counted instead"
    return end, [finding("ISA_WIDTH", message, segment="ISA", position=1)]


def _tail(text: str, start: int, separator: str) -> tuple[str, str, int, list[Finding]]:
    """(component separator, terminator, characters of the ISA, findings) of what ends an ISA."""
    ahead = re.compile(rf"(?s)(.{{2,24}}?)\s*(?=(?:GS|TA1|IEA){re.escape(separator)})")
    match = ahead.match(text, start)
    tail = match[1] if match else text[start : start + 2]
    component, terminator = tail[:1], tail[-1:] if len(tail) > 1 else ""
    chars = start + len(tail)
    if not terminator or (terminator in "\r\n" and _ends_with(text, chars, component)):
        message = "ISA16 is missing: the terminator stands in its place"
        found = finding("ISA_ELEMENTS", message, segment="ISA", position=1, element=16)
        return "", component, start + 1, [found]
    if len(tail) > len("~>"):
        message = f"ISA16 is one character, not {tail[:-1]!r}"
        found = finding(
            "ISA_ELEMENTS", message, segment="ISA", position=1, element=16, value=tail[:-1]
        )
        return component, terminator, chars, [found]
    return component, terminator, chars, []


def _ends_with(text: str, start: int, component: str) -> bool:
    """Whether the line after the ISA ends with what looked like the component separator."""
    line = text[start:].lstrip("\r\n").partition("\n")[0]
    return line.rstrip("\r").endswith(component)


def _repetition(isa: Segment, findings: list[Finding]) -> str:
    """ISA11 is a repetition separator since 00402; before, and often after, it is a letter."""
    if len(isa) < len(_SEPARATORS) or isa[12] < _REPETITION_FROM or not isa[12].isdigit():
        return ""
    mark = isa[11]
    if len(mark) != 1 or mark.isalnum() or mark.isspace():
        message = f"ISA11 {mark!r} is no repetition separator; none is used"
        findings.append(
            finding("ISA_REPETITION", message, segment="ISA", position=1, element=11, value=mark)
        )
        return ""
    return mark
