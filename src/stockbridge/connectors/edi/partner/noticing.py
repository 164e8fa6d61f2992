"""856 and DESADV: what is on its way to us, from the tree of a shipping notice."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from stockbridge.connectors.edi.documents.model import Level, NoticeItem, ShipNotice
from stockbridge.connectors.edi.documents.parts import Line
from stockbridge.connectors.edi.partner.booking import Book, Booking
from stockbridge.connectors.edi.partner.naming import Words

SSCC_MARKS: Final = ("GM", "AA", "BJ")
CANCELLED: Final = ("01", "1")
_SHIPPED_AMOUNT: Final = "12"
_TO: Final = ("ST", "WH", "DP", "BY")
_EXPECTED: Final = ("017", "17", "002", "132")


class Packed(NamedTuple):
    """Units of an item in a notice: of which order, in which package, on their way where to."""

    order: str
    line: Line
    number: str
    quantity: Decimal | None
    unit: str
    packages: tuple[str, ...]
    levels: tuple[Level, ...]


def packed(notice: ShipNotice, words: Words) -> list[Packed]:
    """The items with what their ancestors say; a tree that is none is found, and gives nothing."""
    levels = {level.id: level for level in notice.levels}
    if len(levels) < len(notice.levels):
        words.find("HIERARCHY", "two levels have one number", segment="HL", element=1)
        return []
    found: list[Packed] = []
    for level in notice.levels:
        way = _way(level, levels, words)
        if way is None:
            return []
        found += _items(level, way)
    return found


def _way(level: Level, levels: dict[str, Level], words: Words) -> tuple[Level, ...] | None:
    """The level and its ancestors, nearest first."""
    way = [level]
    while way[-1].parent:
        parent = levels.get(way[-1].parent)
        if parent is None or len(way) > len(levels):
            wrong = "goes round in a circle" if parent else f"has no parent {way[-1].parent}"
            words.find("HIERARCHY", f"level {level.id} {wrong}", segment="HL", element=2)
            return None
        way.append(parent)
    return tuple(way)


def _items(level: Level, way: tuple[Level, ...]) -> Iterator[Packed]:
    order = next((one.order for one in way if one.order), "")
    packages = tuple(
        mark.value for one in way for mark in one.marks if mark.qualifier in SSCC_MARKS
    )
    if level.ids or level.shipped is not None:
        line = Line(line=level.line, ids=level.ids, references=level.references, dates=level.dates)
        number = level.shipped_line or level.line
        yield Packed(order, line, number, level.shipped, level.unit, packages, way)
    for item in level.items:
        amount = next((a for a in item.amounts if a.kind == _SHIPPED_AMOUNT), None)
        quantity, unit = (amount.quantity, amount.unit) if amount else (None, "")
        own = _order_of(item) or order
        yield Packed(own, item, item.line, quantity, unit, packages, way)


def _order_of(item: NoticeItem) -> str:
    return next((r.value for r in item.references if r.qualifier == "ON"), "")


def book_notice(notice: ShipNotice, words: Words) -> Booking:
    """Supply on its way, one for each (order, line, item); a cancelled notice takes it back."""
    book = Book(words)
    cancelled = notice.purpose in CANCELLED
    for one in packed(notice, words):
        what = f"order {one.order or '?'} line {one.number or '?'}"
        parties = [party for level in one.levels for party in level.parties]
        place = words.needed_place([*parties, *notice.parties], _TO)
        item, unit = words.item(one.line), words.unit(one.unit)
        quantity = words.whole(one.quantity, what)
        if place is None or item is None or unit is None or quantity is None:
            continue
        dates = [moment for level in one.levels for moment in level.dates]
        data = {
            **item,
            **unit,
            "location": place,
            "quantity": 0 if cancelled else quantity,
            "occurred_at": words.occurred_at(notice, ("011", "11")),
            "expected_at": words.expected_at([*dates, *notice.dates], _EXPECTED),
        }
        line = ":".join(filter(None, (one.order, one.number)))
        book.add("supply.shipped", data, type="asn", number=notice.number, line=line or None)
    return book.booking()
