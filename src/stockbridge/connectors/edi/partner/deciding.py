"""What a document means to the hub: facts to book, a report to compare, an order, or nothing."""

from collections.abc import Callable
from typing import Any

from stockbridge.connectors.edi.documents import model
from stockbridge.connectors.edi.documents.parts import Document
from stockbridge.connectors.edi.documents.reading import Read
from stockbridge.connectors.edi.findings import finding
from stockbridge.connectors.edi.partner import adjusting, noticing, receiving, reporting, shipping
from stockbridge.connectors.edi.partner.booking import Booking
from stockbridge.connectors.edi.partner.naming import Words, sent_at
from stockbridge.connectors.edi.partner.ordering import Orders, orders_of
from stockbridge.connectors.edi.partner.profile import Profile

Meaning = Booking | reporting.Snapshot | Orders


_BOOKS: dict[type[Document], Callable[[Any, Words], Booking]] = {
    model.Adjustment: adjusting.book_adjustment,
    model.Receipt: receiving.book_receipt,
    model.ShipNotice: noticing.book_notice,
    model.Shipment: shipping.book_shipment,
    model.Transfer: receiving.book_transfer,
}


def meaning_of(read: Read, profile: Profile) -> Meaning | None:
    """What `read` means; None for documents that ask nothing of stock or orders.

    A document in which an error was found means nothing yet: a Booking with those findings.
    """
    if read.document is None or read.interchange is None:
        return None
    try:
        moment = sent_at(read.interchange.date, read.interchange.time, profile)
    except ValueError:
        message = f"{read.interchange.date!r} {read.interchange.time!r} is no moment"
        return Booking(findings=[finding("VALUE", f"the envelope's {message}")])
    words = Words(profile, moment)
    words.findings += read.findings
    document = read.document
    if isinstance(document, model.PurchaseOrder | model.WarehouseOrder):
        return orders_of(document, read.head.code, words)
    if isinstance(document, model.StockReport):
        has_movements = any(line.movements for line in document.lines)
        report = adjusting.book_movements if has_movements else reporting.snapshot
        return report(document, words)
    booked = _BOOKS.get(type(document))
    return booked(document, words) if booked else None
