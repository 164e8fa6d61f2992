"""Reads segments into the fields that a sheet names."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from stockbridge.connectors.edi.documents.sheet import Field, Kind, Loop, Scope, Seg
from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.segments import COMPONENT, Segment, at

NUMBER_CHARS_MAX: Final = 24
YEARS: Final = range(1970, 2200)
"""Years that are no typing mistake."""


Placed = tuple[int, Segment]
"""A segment after its position in its set."""


class Reading:
    """Reads scopes, and keeps what was wrong and how many segments no sheet names."""

    def __init__(self, decimal: str = ".") -> None:
        self.decimal = decimal
        self.findings: list[Finding] = []
        self.unread = 0

    def read(self, scope: Scope, placed: Sequence[Placed]) -> dict[str, Any]:
        """The fields that the segments give."""
        found: dict[str, Any] = {}
        opened: list[tuple[Loop, list[Placed]]] = []
        inside: Loop | None = None
        for one in placed:
            segment = one[1]
            tag = segment[0]
            if inside is not None and tag != inside.first.tag and tag in inside.scope.tags:
                opened[-1][1].append(one)
                continue
            loops = scope.loops.get(tag)
            loop = _taking(loops, segment) if loops else None
            if loop is not None:
                inside = loop
                opened.append((loop, [one]))
                continue
            segs = scope.segs.get(tag)
            seg = next((n for n in segs if n.takes(segment)), None) if segs else None
            if seg is None:
                self.unread += 1
            else:
                self._put(found, seg.into, self._fields(seg, one), is_many=seg.is_many)
        for loop, inner in opened:
            is_alone = len(inner) == 1
            value = self._fields(loop.first, inner[0]) if is_alone else self.read(loop.scope, inner)
            self._put(found, loop.into, value, is_many=loop.is_many)
        return found

    @staticmethod
    def _put(found: dict[str, Any], into: str, value: dict[str, Any], *, is_many: bool) -> None:
        if is_many:
            found.setdefault(into, []).append(value)
        elif into:
            found.setdefault(into, {}).update(value)
        else:
            for name, one in value.items():
                # Lists go on in further segments; else the first of several speaks.
                if isinstance(one, list):
                    found.setdefault(name, []).extend(one)
                else:
                    found.setdefault(name, one)

    def _fields(self, seg: Seg, one: Placed) -> dict[str, Any]:
        values: dict[str, Any] = {}
        segment = one[1]
        size = len(segment)
        for name, field in seg.fields.items():
            if field.element >= size:
                continue
            if field.kind == "text" and not field.component:
                text = segment[field.element]
                if text:
                    values[name] = text
                continue
            value = self._value(field, one)
            if value is not None and value not in ("", []):
                values[name] = value
        return values

    def _value(self, field: Field, one: Placed) -> Any:
        if field.kind == "tuples":
            return list(self._tuples(field, one))
        if field.kind == "rest":
            return [value for value in one[1][field.element :] if value]
        if field.kind == "parts":
            return [text for text in at(one[1], field.element).split(COMPONENT) if text]
        return self._scalar(field, field.element, one)

    def _tuples(self, field: Field, one: Placed) -> Iterator[dict[str, Any]]:
        segment = one[1]
        for start in field.starts:
            if start >= len(segment):
                return
            values = {}
            for name, part in field.parts:
                value = self._scalar(part, start + part.element, one)
                if value is not None and value != "":
                    values[name] = value
            if len(values) == len(field.parts) or self._has_needed(field, values):
                yield values

    @staticmethod
    def _has_needed(field: Field, values: dict[str, Any]) -> bool:
        return all(name in values for name, _ in field.parts[: field.needed])

    def _scalar(self, field: Field, element: int, one: Placed) -> Any:
        """One value; None, and a finding, when it is not what it should be."""
        position, segment = one
        if element >= len(segment):
            return None
        text = at(segment, element, field.component) if field.component else segment[element]
        if not text or field.kind == "text":
            return text
        try:
            return _parsed(field.kind, text, self.decimal)
        except (InvalidOperation, ValueError):
            words = {"day": "date", "count": "whole number"}
            self.findings.append(
                finding(
                    "VALUE",
                    f"{text[:40]!r} is no {words.get(field.kind, 'number')}",
                    segment=segment[0],
                    position=position,
                    element=element,
                    component=field.component,
                    value=text[:80],
                )
            )
            return None


def _taking(loops: Sequence[Loop], segment: Segment) -> Loop | None:
    return next((loop for loop in loops if loop.first.takes(segment)), None)


def _parsed(kind: Kind, text: str, decimal: str) -> Any:
    if not text.isascii() or len(text) > NUMBER_CHARS_MAX:
        raise ValueError(text)
    if kind == "clock":
        return text[len("20260131") :]
    if kind == "day":
        full = text if len(text) >= len("20260131") else f"20{text}"
        found = date(int(full[:4]), int(full[4:6]), int(full[6:8]))
        if found.year not in YEARS:
            raise ValueError(text)
        return found
    plain = text if decimal == "." else text.replace(decimal, ".")
    if not plain.lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError(text)
    if kind == "count":
        return int(plain)
    value = Decimal(plain)
    return value.scaleb(-2) if kind == "cents" else value
