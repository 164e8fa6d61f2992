"""Collects the parts of sets into documents, each with what was wrong in it.

A stock or activity report of any size comes in pieces of at most `LINES_MAX` lines, all with the
same header; every other document comes whole.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from stockbridge.connectors.edi.documents import model
from stockbridge.connectors.edi.documents.edifact_sheets import MESSAGES
from stockbridge.connectors.edi.documents.parts import Document
from stockbridge.connectors.edi.documents.sheet import Sheet
from stockbridge.connectors.edi.documents.sheet_reading import Reading
from stockbridge.connectors.edi.documents.x12_sheets import SHEETS
from stockbridge.connectors.edi.events import (
    Event,
    Group,
    GroupOpened,
    Interchange,
    InterchangeOpened,
    Part,
    SetClosed,
    SetHead,
    SetOpened,
    SetResult,
)
from stockbridge.connectors.edi.findings import Finding, Severity, finding, worst
from stockbridge.connectors.edi.segments import Segment

LINES_MAX: Final = 1_000
_IN_PIECES: Final = (model.StockReport, model.ActivityReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A document, or a piece of one, as its set said it.

    `document` is None for sets without a sheet and for those that make no sense; `segments` holds
    those of a set without a sheet. `result` is the set's verdict, None until its last piece.
    `unread` counts segments that the sheet does not name.
    """

    interchange: Interchange | None
    group: Group | None
    head: SetHead
    piece: int
    document: Document | None
    findings: list[Finding]
    result: SetResult | None
    segments: list[Segment] = field(default_factory=list)
    unread: int = 0

    @property
    def is_usable(self) -> bool:
        """Whether it is the last piece of a set in which no error was found."""
        if self.document is None or self.result is None:
            return False
        found = [*self.findings, *self.result.findings]
        return worst(found) is not Severity.ERROR


def sheet_of(standard: str, code: str) -> Sheet | None:
    """The sheet of a set or message."""
    return (MESSAGES if standard == "edifact" else SHEETS).get(code)


class _Open:
    """The set being collected."""

    def __init__(self, head: SetHead, sheet: Sheet | None, decimal: str) -> None:
        self.head = head
        self.sheet = sheet
        self.reading = Reading(decimal)
        self.header: dict[str, Any] = {}
        self.items: list[Any] = []
        self.segments: list[Segment] = []
        self.piece = 0

    def take(self, part: Part) -> bool:
        """Read a part; true when there is enough for a piece."""
        if self.sheet is None:
            self.segments += part.segments
            return False
        placed = list(enumerate(part.segments, start=part.position))
        if part.kind == "item":
            for values in self.reading.read(self.sheet.items, placed).get(self.sheet.into, ()):
                self._add_item(values, self.sheet, part)
        elif part.kind == "header":
            self.header |= self.reading.read(self.sheet.header, placed)
        else:
            trailer = self.reading.read(self.sheet.trailer, placed)
            for name, value in trailer.items():
                if isinstance(value, list):
                    self.header[name] = [*self.header.get(name, []), *value]
                else:
                    self.header[name] = value
        return self.sheet.shape in _IN_PIECES and len(self.items) >= LINES_MAX

    def _add_item(self, values: dict[str, Any], sheet: Sheet, part: Part) -> None:
        try:
            self.items.append(msgspec.convert(values, sheet.item_shape))
        except msgspec.ValidationError as error:
            where: dict[str, Any] = {"segment": part.segments[0][0], "position": part.position}
            self.reading.findings.append(finding("VALUE", f"{self.head.code}: {error}", **where))

    def document(self) -> Document | None:
        """The document of what was read since the last piece."""
        if self.sheet is None:
            return None
        content, self.items = self.header | {self.sheet.into: self.items}, []
        try:
            return msgspec.convert(content, self.sheet.shape)
        except msgspec.ValidationError as error:
            self.reading.findings.append(finding("VALUE", f"{self.head.code}: {error}"))
            return None


def documents(events: Iterable[Event]) -> Iterator[Read]:
    """The documents of a file, in its order. Events without one are passed over."""
    interchange: Interchange | None = None
    group: Group | None = None
    opened: _Open | None = None
    for event in events:
        match event:
            case InterchangeOpened():
                interchange = event.interchange
            case GroupOpened():
                group = event.group
            case SetOpened(head):
                standard = interchange.standard if interchange else _standard_of(head)
                decimal = interchange.delimiters.decimal if interchange else "."
                opened = _Open(head, sheet_of(standard, head.code), decimal)
            case Part() if opened is not None:
                if opened.take(event):
                    yield _read(opened, interchange, group, None)
            case SetClosed(result) if opened is not None:
                yield _read(opened, interchange, group, result)
                opened = None
            case _:
                pass


def _standard_of(head: SetHead) -> str:
    return "edifact" if head.segment[0] == "UNH" else "x12"


def _read(
    opened: _Open, interchange: Interchange | None, group: Group | None, result: SetResult | None
) -> Read:
    document = opened.document()
    findings, opened.reading.findings = opened.reading.findings, []
    opened.piece += 1
    return Read(
        interchange=interchange,
        group=group,
        head=opened.head,
        piece=opened.piece,
        document=document,
        findings=findings,
        result=result,
        segments=opened.segments,
        unread=opened.reading.unread,
    )
