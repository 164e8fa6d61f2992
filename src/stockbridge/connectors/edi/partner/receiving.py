"""944, 861 and RECADV: what a building received; 943: what is on its way to one."""

from decimal import Decimal
from typing import Any, Final

from stockbridge.connectors.edi.documents.model import (
    Receipt,
    ReceivedLine,
    Transfer,
)
from stockbridge.connectors.edi.documents.parts import Document
from stockbridge.connectors.edi.partner import defaults
from stockbridge.connectors.edi.partner.booking import Book, Booking
from stockbridge.connectors.edi.partner.naming import RECEIVED, SHIPPED, Words
from stockbridge.connectors.edi.partner.shipping import is_report

CUSTOMER_RETURN: Final = "C"
REPORTS: Final = ("F", "J", "N", CUSTOMER_RETURN, "")
_RECEIVED_AMOUNTS: Final = ("194", "48")
"""EDIFACT 6063: received and accepted, else received."""
REVERSAL: Final = "2"
_AT_BUILDING: Final = ("WH", "ST", "DP")
_FROM: Final = ("SF",)
_EXPECTED: Final = ("17", "017", "02")


def book_receipt(receipt: Receipt, words: Words) -> Booking:
    """Received facts: what is good, and apart from it what is damaged or held."""
    book = Book(words)
    if not is_report(receipt.reporting, REPORTS, words):
        return book.booking()
    place = words.needed_place(receipt.parties, _roles(words))
    source = words.place(receipt.parties, _FROM)
    is_transfer = words.profile.receipt_is == "transfer"
    is_return = receipt.reporting == CUSTOMER_RETURN
    if is_transfer and not is_return and source is None:
        words.find("LOCATION_UNNAMED", "a transfer's receipt must say where it comes from (SF)")
    for number, line in enumerate(receipt.lines, start=1):
        if place is not None:
            _book_line(receipt, line, number, place, source, book)
    _check_total(receipt, words)
    return book.booking()


def _roles(words: Words) -> tuple[str, ...]:
    """The building itself; where goods come from is never where they arrived."""
    own = [role for role in words.profile.locations.roles if role not in _FROM]
    return (*dict.fromkeys((*own, *_AT_BUILDING)),)


def _book_line(
    receipt: Receipt, line: ReceivedLine, number: int, place: str, source: str | None, book: Book
) -> None:
    words = book.words
    what = f"line {words.line_of(line) or line.line or number}"
    if line.effect == REVERSAL:
        words.find("CODE_UNMAPPED", f"{what} reverses an earlier report (W0709 2)")
        return
    parts = _parts(line, what, words)
    _, unit_code = _received(line)
    item, unit = words.item(line), words.unit(unit_code)
    if item is None or unit is None or parts is None:
        return
    for state, quantity in parts.items():
        if quantity < 0:
            words.find("QUANTITY", f"{what}: {-quantity} more damaged than received")
        if quantity <= 0:
            continue
        data: dict[str, Any] = {
            **item,
            **unit,
            "location": place,
            "quantity": quantity,
            "occurred_at": words.occurred_at(receipt, RECEIVED),
            "package": receipt.number or None,
            "lot": line.lot or None,
            "serials": words.serials(line, quantity),
        }
        _book_part(receipt, line, data, state, source, book)


def _received(line: ReceivedLine) -> tuple[Decimal | None, str]:
    """(quantity, unit) of a line; of several amounts, what was accepted."""
    if line.received is not None:
        return line.received, line.unit
    for kind in _RECEIVED_AMOUNTS:
        for amount in line.amounts:
            if amount.kind == kind:
                return amount.quantity, amount.unit
    return None, line.unit


def _parts(line: ReceivedLine, what: str, words: Words) -> dict[str, int] | None:
    """Whole quantities by state: available, quarantined."""
    quantity, unit = _received(line)
    received = words.whole(quantity, what)
    if received is None:
        return None
    apart = {"quarantined": Decimal(0), "not_stocked": Decimal(0)}
    for one in line.conditions:
        if one.unit and one.unit != unit:
            words.find("UNIT_UNMAPPED", f"{what}: received in {unit}, apart from it in {one.unit}")
            return None
        handling = defaults.handling(words.profile, one.condition)
        if handling is None:
            words.find("CODE_UNMAPPED", f"{what}: condition {one.condition!r} is not agreed")
            return None
        if handling == "discrepancy":
            message = f"{what}: {one.quantity} differ, condition {one.condition}"
            words.find("DISCREPANCY", message)
        elif handling != "good":
            apart[handling] += one.quantity
    quarantined = words.whole(apart["quarantined"], what)
    not_stocked = words.whole(apart["not_stocked"], what)
    if quarantined is None or not_stocked is None:
        return None
    if not_stocked:
        words.find("NOT_BOOKED", f"{what}: {not_stocked} were not put into stock")
    inside = quarantined + not_stocked if words.profile.w13_included_in_w07 else 0
    return {"available": received - inside, "quarantined": quarantined}


def _book_part(
    receipt: Receipt,
    line: ReceivedLine,
    data: dict[str, Any],
    state: str,
    source: str | None,
    book: Book,
) -> None:
    words = book.words
    number = words.line_of(line)
    order = line.order or receipt.order or _reference(receipt, "ON", "PO") or receipt.number
    if receipt.reporting == CUSTOMER_RETURN:
        rma = _reference(receipt, "RM") or order
        # What comes back waits in quarantine until it is inspected, whatever its condition.
        book.add("stock.returned", data, type="rma", number=rma, line=number)
    elif words.profile.receipt_is == "transfer":
        if source is None:
            return
        moved = data | {"from_location": source}
        book.add("stock.transferred_in", moved, type="transfer", number=order, line=number)
        if state == "quarantined":
            held = data | {"reason": "DAMAGED"}
            book.add("stock.held", held, type="receipt", number=receipt.number, line=number)
    else:
        stated = data | {"state": state}
        book.add("stock.received", stated, type="purchase_order", number=order, line=number)


def _reference(document: Document, *qualifiers: str) -> str | None:
    found = [r.value for q in qualifiers for r in document.references if r.qualifier == q]
    return found[0] if found else None


def _check_total(receipt: Receipt, words: Words) -> None:
    lines = sum(line.received or 0 for line in receipt.lines)
    if receipt.total is not None and lines != receipt.total:
        message = f"W1401 says {receipt.total} units, the lines {lines}"
        words.find("TOTAL", message, segment="W14", element=1)


def book_transfer(transfer: Transfer, words: Words) -> Booking:
    """Goods that left one of our locations for another."""
    book = Book(words)
    if not is_report(transfer.reporting, REPORTS, words):
        return book.booking()
    source = words.needed_place(transfer.parties, _FROM)
    target = words.needed_place(transfer.parties, _AT_BUILDING)
    if source is None or target is None:
        return book.booking()
    for number, line in enumerate(transfer.lines, start=1):
        quantity = words.whole(line.quantity, f"line {number}")
        item, unit = words.item(line), words.unit(line.unit)
        if item is None or unit is None or quantity is None:
            continue
        lot = next((r.value for r in line.references if r.qualifier == "LT"), None)
        book.add(
            "stock.transferred_out",
            {
                **item,
                **unit,
                "location": source,
                "to_location": target,
                "quantity": quantity,
                "occurred_at": words.occurred_at(transfer, SHIPPED),
                "expected_at": words.expected_at(transfer.dates, _EXPECTED),
                "package": transfer.shipment or None,
                "lot": lot,
                "serials": words.serials(line, quantity),
            },
            type="transfer",
            number=transfer.number or transfer.shipment,
            line=words.line_of(line),
        )
    return book.booking()
