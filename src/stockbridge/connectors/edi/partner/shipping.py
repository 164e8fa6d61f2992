"""945: what a building shipped. The shipped quantity is believed, not the status code."""

from typing import Final

from stockbridge.connectors.edi.documents.model import Shipment, ShippedGroup, ShippedLine
from stockbridge.connectors.edi.partner import defaults
from stockbridge.connectors.edi.partner.booking import Book, Booking, Short
from stockbridge.connectors.edi.partner.naming import SHIPPED, Words

NO_EXCEPTIONS: Final = "N"
REPORTS: Final = ("F", "J", "N", "")
"""Element 514 of reports whose lines are what was shipped. X names exceptions only, R replaces an
earlier report, A to C and P are other events: a person looks at those."""
SIMULATED: Final = "K"
REVERSAL: Final = "2"
PACKAGE_MARKS: Final = ("GM", "AA", "BJ", "CP", "CA")


def book_shipment(shipment: Shipment, words: Words) -> Booking:
    """Shipped facts, one for each (line, item, package, lot), and what came short."""
    book = Book(words)
    if not is_report(shipment.reporting, REPORTS, words):
        return book.booking()
    if not shipment.order:
        words.find("VALUE", "W0602 names no order of ours", segment="W06", element=2)
    lines = [(group, line) for group in shipment.groups for line in group.lines]
    if not lines:
        _all_as_ordered(shipment, book)
        return book.booking()
    place = words.needed_place(shipment.parties)
    for group, line in lines:
        if place is not None and shipment.order:
            _book_line(shipment, group, line, place, book)
    _check_total(shipment, words)
    return book.booking()


def is_report(reporting: str, reports: tuple[str, ...], words: Words) -> bool:
    """Whether a warehouse document tells what happened, by its element 514."""
    if reporting in reports:
        return True
    if reporting == SIMULATED:
        words.find("NOT_BOOKED", "a simulation (K) books nothing")
    else:
        words.find("CODE_UNMAPPED", f"a person decides what reporting code {reporting!r} means")
    return False


def _all_as_ordered(shipment: Shipment, book: Book) -> None:
    if shipment.reporting == NO_EXCEPTIONS and book.words.profile.w06_n_means_all:
        book.ships_all = shipment.order or None
    else:
        book.words.find("VALUE", "there are no lines, and it was not agreed that this means all")


def _book_line(
    shipment: Shipment, group: ShippedGroup, line: ShippedLine, place: str, book: Book
) -> None:
    words = book.words
    item, unit = words.item(line), words.unit(line.unit)
    what = f"line {words.line_of(line) or group.number or '?'}"
    if line.effect == REVERSAL:
        words.find("CODE_UNMAPPED", f"{what} reverses an earlier report (W1220 2)")
        return
    shipped = 0 if line.shipped is None else words.whole(line.shipped, what)
    if item is None or unit is None or shipped is None:
        return
    _note_short(shipment, line, shipped, item, book)
    if shipped < 0:
        words.find("QUANTITY", f"{what}: {shipped} shipped is below zero")
    if shipped <= 0:
        return
    book.add(
        "stock.shipped",
        {
            **item,
            **unit,
            "location": place,
            "quantity": shipped,
            "occurred_at": words.occurred_at(shipment, SHIPPED),
            "fulfillment": shipment.number or None,
            "package": _package(group),
            "lot": line.lot or None,
            "serials": words.serials(line, shipped),
        },
        type="order",
        number=shipment.order,
        line=words.line_of(line),
    )


def _note_short(
    shipment: Shipment, line: ShippedLine, shipped: int, item: dict[str, str], book: Book
) -> None:
    words = book.words
    if line.ordered is None:
        return
    ordered = words.whole(line.ordered, "W1202")
    status = defaults.status(words.profile, line.status)
    if ordered is None or ordered <= shipped:
        return
    book.shorts.append(
        Short(
            order=shipment.order,
            line=words.line_of(line),
            item=item,
            quantity=ordered - shipped,
            status=line.status,
            is_closed=None if status is None else status == "closed",
        )
    )


def _package(group: ShippedGroup) -> str | None:
    """The package's own number, else the group's: partial reports of a line must stay apart."""
    for wanted in PACKAGE_MARKS:
        for mark in group.marks:
            if mark.qualifier == wanted:
                return mark.value
    return f"LX{group.number}" if group.number else None


def _check_total(shipment: Shipment, words: Words) -> None:
    if shipment.total is None:
        return
    lines = [line.shipped or 0 for group in shipment.groups for line in group.lines]
    if sum(lines) != shipment.total:
        message = f"W0301 says {shipment.total} units, the lines {sum(lines)}"
        words.find("TOTAL", message, segment="W03", element=1)
