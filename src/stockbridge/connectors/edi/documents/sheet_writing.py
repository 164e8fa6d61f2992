"""Writes a document's fields where a sheet says."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from stockbridge.connectors.edi.documents.sheet import Field, Kind, Loop, Scope, Seg
from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.segments import COMPONENT, Segment


def write(scope: Scope, document: msgspec.Struct, decimal: str = ".") -> Iterator[Segment]:
    """The segments that say `document`, in the sheet's order."""
    for node in scope.nodes:
        for value in _values(node, document):
            if isinstance(node, Loop):
                yield from write(node.scope, value, decimal)
            else:
                yield from _segments(node, value, decimal)


def _values(node: Seg | Loop, document: msgspec.Struct) -> Sequence[Any]:
    if not node.into:
        return [document]
    value = getattr(document, node.into)
    if node.is_many:
        return list(value)
    return [] if value is None else [value]


def _segments(seg: Seg, value: msgspec.Struct, decimal: str) -> Iterator[Segment]:
    """One segment, or as many as the longest of its lists needs."""
    start = 0
    while True:
        segment = _segment(seg, value, decimal, start)
        if segment is None:
            return
        yield segment
        start += 1
        most = [
            (name, f.most, f.skip) for name, f in seg.fields.items() if f.most and not f.is_first
        ]
        if all(len(getattr(value, n)) <= start * size + skip for n, size, skip in most):
            return


def _segment(seg: Seg, value: msgspec.Struct, decimal: str, start: int) -> Segment | None:
    cells: dict[tuple[int, int], str] = {}
    for name, field in seg.fields.items():
        moved = field._replace(skip=field.skip + start * field.most)
        cells.update(_cells(moved, value, name, decimal))
    if not any(cells.values()) and seg.fields:
        return None
    for place, options in seg.when.items():
        cells.setdefault(place, options[0])
        if cells[place] not in options:
            return None
    for place, text in seg.also.items():
        if not cells.get(place):
            cells[place] = text
    return [seg.tag, *_elements(cells)]


def _elements(cells: dict[tuple[int, int], str]) -> list[str]:
    last = max((element for element, _ in cells), default=0)
    elements = []
    for element in range(1, last + 1):
        parts = {component: text for (e, component), text in cells.items() if e == element}
        whole = parts.pop(0, "")
        if parts:
            texts = [parts.get(number, "") for number in range(1, max(parts) + 1)]
            whole = COMPONENT.join(texts).rstrip(COMPONENT)
        elements.append(whole)
    return elements


def _cells(
    field: Field, value: msgspec.Struct, name: str, decimal: str
) -> dict[tuple[int, int], str]:
    if field.kind == "count":
        return {(field.element, field.component): str(len(getattr(value, field.of)))}
    content = getattr(value, name)
    if content is None or content in ("", []):
        return {}
    if field.skip or field.most:
        content = content[field.skip : field.skip + field.most if field.most else None]
    if field.kind == "tuples":
        if len(content) > len(field.starts):
            raise Unwritable(f"{name} has {len(content)} entries, at most {len(field.starts)} fit")
        cells = {}
        for start, one in zip(field.starts, content, strict=False):
            for part, where in field.parts:
                at_start = where._replace(element=start + where.element)
                cells.update(_cells(at_start, one, part, decimal))
        return cells
    if field.kind == "parts":
        return {(field.element, 0): COMPONENT.join(content)}
    if field.kind == "clock":
        formats = {len("1200"): "203", len("120000"): "204"}
        when = f"{getattr(value, field.of):%Y%m%d}{content}"
        place = (field.element, field.component)
        return {place: when, (field.element, field.component + 1): formats.get(len(content), "203")}
    if field.kind == "rest":
        return {(field.element + i, 0): text for i, text in enumerate(content)}
    return {(field.element, field.component): _said(field.kind, content, decimal)}


def _said(kind: Kind, content: Any, decimal: str) -> str:
    if kind == "day":
        return f"{content:%Y%m%d}"
    if kind == "cents":
        scaled = content.scaleb(2)
        if scaled != scaled.to_integral_value():
            raise Unwritable(f"{content} has more than two decimals")
        return _plain(scaled.to_integral_value())
    if kind == "number":
        return _plain(content).replace(".", decimal)
    return str(content)


def _plain(value: Decimal) -> str:
    """A number without an exponent."""
    return format(value, "f")
