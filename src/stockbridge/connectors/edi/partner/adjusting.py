"""947, and INVRPT with movements: what a building corrected, held or released."""

from decimal import Decimal
from typing import Any

from stockbridge.connectors.edi.documents.model import Adjustment, StockReport
from stockbridge.connectors.edi.documents.parts import Line
from stockbridge.connectors.edi.partner import defaults
from stockbridge.connectors.edi.partner.booking import Book, Booking
from stockbridge.connectors.edi.partner.naming import RECEIVED, Words
from stockbridge.connectors.edi.partner.profile import Rule

OUT, IN = "1", "2"


def book_adjustment(adjustment: Adjustment, words: Words) -> Booking:
    """Facts by the reason of each line; the line's place in the document is its number."""
    book = Book(words)
    place = words.needed_place(adjustment.parties)
    number = adjustment.number or adjustment.depositor_number
    if not number:
        words.find("VALUE", "neither W1502 nor W1503 numbers the adjustment", segment="W15")
    for at, line in enumerate(adjustment.lines, start=1):
        rule = defaults.adjustment(words.profile, line.reason)
        if not _is_clear(rule, line.reason, at, words) or place is None or not number:
            continue
        data: dict[str, Any] = {
            "location": place,
            "occurred_at": words.occurred_at(adjustment, RECEIVED),
            "lot": line.lot or None,
        }
        _book(rule, line, line.quantity, line.unit, data, book, number=number, at=at)
    return book.booking()


def book_movements(report: StockReport, words: Words) -> Booking:
    """Facts of an INVRPT whose lines say movements (INV), not balances."""
    book = Book(words)
    place = words.needed_place(report.parties)
    at = 0
    for line in report.lines:
        for one in line.movements:
            at += 1
            rule = defaults.movement(words.profile, one.reason)
            state = defaults.INVENTORY_STATUS.get(one.status)
            state = words.profile.stock.inventory_status.get(one.status, state)
            is_clear = _is_clear(rule, one.reason, at, words)
            if state is None or one.direction not in {OUT, IN}:
                message = f"movement {at}: status {one.status!r}, direction {one.direction!r}"
                words.find("CODE_UNMAPPED", message)
                continue
            if place is None or not is_clear:
                continue
            amount = sum((a.quantity for a in one.amounts), Decimal(0))
            unit = one.amounts[0].unit if one.amounts else ""
            signed = -amount if one.direction == OUT else amount
            data = {"location": place, "occurred_at": words.occurred_at(report, ()), "state": state}
            _book(rule, line, signed, unit, data, book, number=report.number, at=at)
    return book.booking()


def _is_clear(rule: Rule | None, reason: str, at: int, words: Words) -> bool:
    if rule is None or rule.books == "ask":
        words.find("CODE_UNMAPPED", f"line {at}: a person decides what reason {reason!r} means")
        return False
    return True


def _book(
    rule: Rule | None,
    line: Line,
    quantity: Decimal,
    unit_code: str,
    data: dict[str, Any],
    book: Book,
    *,
    number: str,
    at: int,
) -> None:
    words = book.words
    item, unit = words.item(line), words.unit(unit_code)
    whole = words.whole(quantity, f"line {at}")
    if rule is None or item is None or unit is None or whole is None:
        return
    if rule.books == "skip" or not whole:
        words.find("NOT_BOOKED", f"line {at} books nothing")
        return
    named = {**item, **unit, **data, "reason": rule.reason}
    if rule.books == "adjust":
        named.pop("lot", None)
        state = data.get("state", rule.state)
        fact = named | {"quantity": whole, "state": state}
        book.add("stock.adjusted", fact, type="adjustment", number=number, line=str(at))
        return
    named.pop("state", None)
    if not words.profile.hold_one_line and whole < 0:
        # A hold comes as minus here and plus there: the plus line says it.
        words.find("NOT_BOOKED", f"line {at} is the other half of a change of status")
        return
    name = "stock.held" if rule.books == "hold" else "stock.released"
    fact = named | {"quantity": abs(whole), "serials": words.serials(line, abs(whole))}
    book.add(name, fact, type="adjustment", number=number, line=str(at))
