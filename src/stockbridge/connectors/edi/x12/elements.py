"""Checks a segment's elements: presence, length, type, code, and the syntax notes between them.

A segment that was good teaches its shape, so that most segments of a large file cost one match of
a regular expression.
"""

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Any, Final

from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.segments import COMPONENT, CONTROL, REPEAT, Segment
from stockbridge.connectors.edi.x12.dictionary import Element, Note, SegmentTable, Used, tables

_INTEGER: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)")
_DATE: Final = re.compile(r"(?:\d{2})?\d{6}")
_COMMON_DATE: Final = r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|1[0-9]|2[0-8])"
_TIME: Final = re.compile(r"([01]\d|2[0-3])[0-5]\d([0-5]\d(\d{1,2})?)?")
_SHAPES_MAX: Final = 24


class SegmentCheck:
    """Checks segments of one tag, their elements set apart by `element`.

    A segment in which nothing is wrong teaches a shape: its codes as they are, its texts and
    numbers by what they may be. `match` recognises all that has a learned shape, at once.
    """

    def __init__(self, table: SegmentTable, element: str, *, with_codes: bool) -> None:
        self.table = table
        self.match: Callable[[str], object] | None = None
        self._element = element
        self._with_codes = with_codes
        self._shapes: list[str] = []

    def check(self, segment: Segment, position: int) -> list[Finding]:
        """What is wrong with it."""
        found: list[Finding] = []
        for index, used in enumerate(self.table.elements, 1):
            value = segment[index] if index < len(segment) else ""
            if not value and not used.is_mandatory:
                continue
            where: dict[str, Any] = {
                "segment": self.table.tag,
                "position": position,
                "element": index,
                "reference": used.number.lstrip("0"),
                "value": value[:80],
            }
            if not value:
                name = f"{self.table.tag}{index:02}"
                found.append(finding("ELEMENT_MISSING", f"{name} is mandatory", **where))
                continue
            found += [
                finding(code, message, **where)
                for code, message in _faults(value, used)
                if self._with_codes or code != "ELEMENT_CODE"
            ]
        found += self._surplus(segment, position)
        found += self._broken(segment, position)
        if not found:
            self._learn(segment)
        return found

    def _surplus(self, segment: Segment, position: int) -> list[Finding]:
        most = len(self.table.elements)
        if len(segment) - 1 <= most:
            return []
        message = f"{len(segment) - 1} elements, at most {most} are defined"
        where: dict[str, Any] = {"segment": self.table.tag, "position": position}
        return [finding("ELEMENT_TOO_MANY", message, element=most + 1, **where)]

    def _learn(self, segment: Segment) -> None:
        if not self._element or len(self._shapes) >= _SHAPES_MAX:
            return
        shapes = [
            _shape(value, used, self._element)
            for value, used in zip(segment[1:], self.table.elements, strict=False)
        ]
        if None in shapes:
            return
        whole = re.escape(self._element).join([re.escape(segment[0]), *map(str, shapes)])
        self._shapes.append(whole)
        self.match = re.compile("|".join(self._shapes)).fullmatch

    def _broken(self, segment: Segment, position: int) -> list[Finding]:
        found = []
        for note in self.table.notes:
            code = _breaks(note, segment)
            if code:
                names = ", ".join(f"{self.table.tag}{e:02}" for e in note.elements)
                message = f"{_SAYS[note.kind]}: {names}"
                where: dict[str, Any] = {"segment": self.table.tag, "position": position}
                found.append(finding(code, message, **where, element=_lacking(note, segment)))
        return found


_SAYS: Final = {
    "P": "all or none of these",
    "R": "at least one of these",
    "E": "at most one of these",
    "C": "the first asks for all the others",
    "L": "the first asks for one of the others",
}


def _breaks(note: Note, segment: Segment) -> str:
    """The finding's code when `segment` does not keep the note, else ''."""
    there = [e < len(segment) and segment[e] != "" for e in note.elements]
    kind = note.kind
    if kind == "E":
        return "ELEMENT_EXCLUSION" if sum(there) > 1 else ""
    broken = (
        (kind == "P" and any(there) and not all(there))
        or (kind == "R" and not any(there))
        or (kind == "C" and there[0] and not all(there))
        or (kind == "L" and there[0] and not any(there[1:]))
    )
    return "ELEMENT_CONDITION" if broken else ""


def _lacking(note: Note, segment: Segment) -> int:
    return next((e for e in note.elements if e >= len(segment) or not segment[e]), note.elements[0])


def _shape(value: str, used: Used, separator: str) -> str | None:
    """A pattern of values as good as this good one; None when there is none that is safe."""
    element = used.element
    if not value or element is None or used.is_composite:
        return re.escape(value)
    least, most = element.chars_min, element.chars_max
    if element.kind == "AN" or (element.kind == "ID" and not element.codes):
        return rf"[^{re.escape(separator)}\x00-\x1f\x7f]{{{least},{most}}}"
    if element.kind == "DT":
        return _COMMON_DATE if re.fullmatch(_COMMON_DATE, value) else None
    if element.kind == "R" or element.kind[0] == "N":
        decimals = len(value.partition(".")[2])
        if "." in value and not 0 < decimals < most:
            return None
        whole = rf"-?[0-9]{{{max(least - decimals, 1)},{most - decimals}}}"
        return rf"{whole}\.[0-9]{{{decimals}}}" if decimals else whole
    return re.escape(value)


def _faults(value: str, used: Used) -> list[tuple[str, str]]:
    """(code, message) of each thing wrong with a value that is there."""
    element = used.element
    if element is None:
        return []
    if used.is_composite:
        value = value.partition(REPEAT)[0].partition(COMPONENT)[0]
        if not value:
            return []
    elif COMPONENT in value or REPEAT in value or CONTROL.search(value):
        return [("ELEMENT_CHARACTER", "holds a separator or a control character")]
    kind = element.kind
    if kind == "R" or kind[0] == "N":
        return _number_faults(value, element)
    found = _length_faults(len(value), element)
    if kind == "DT" and not _is_date(value):
        return [("ELEMENT_DATE", f"{value!r} is no date")]
    if kind == "TM" and not _TIME.fullmatch(value):
        return [*found, ("ELEMENT_TIME", f"{value!r} is no time of day")]
    if kind == "ID" and element.codes and value.rstrip() not in element.codes:
        return [*found, ("ELEMENT_CODE", f"{value!r} is no code of element {element.number}")]
    return found


def _number_faults(value: str, element: Element) -> list[tuple[str, str]]:
    pattern = _DECIMAL if element.kind == "R" else _INTEGER
    if not value.isascii() or not pattern.fullmatch(value):
        return [("ELEMENT_NUMBER", f"{value!r} is no number")]
    digits = len(value) - value.count("-") - value.count(".")
    return _length_faults(digits, element)


def _length_faults(chars: int, element: Element) -> list[tuple[str, str]]:
    if chars < element.chars_min:
        return [("ELEMENT_SHORT", f"{chars} characters, at least {element.chars_min}")]
    if chars > element.chars_max:
        return [("ELEMENT_LONG", f"{chars} characters, at most {element.chars_max}")]
    return []


def _is_date(value: str) -> bool:
    if not value.isascii() or not _DATE.fullmatch(value):
        return False
    full = value if len(value) == len("20260131") else f"20{value}"
    try:
        date(int(full[:4]), int(full[4:6]), int(full[6:]))
    except ValueError:
        return False
    return True


@cache
def segment_checks(element: str, *, with_codes: bool) -> dict[str, SegmentCheck]:
    """A check for each segment in the tables; what they learn lasts as long as the process."""
    return {
        tag: SegmentCheck(table, element, with_codes=with_codes)
        for tag, table in tables().segments.items()
    }
