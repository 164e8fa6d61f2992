"""Documents as commands: pure translation, with the idempotency keys of a replay."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from zlib import crc32

import msgspec

from stockbridge.contracts.base import Document as DocumentName
from stockbridge.contracts.commands import (
    AdjustLine,
    AdjustStock,
    CountLine,
    QuantityLine,
    ReceiptLine,
    RecordSupply,
    ReportCount,
    ReportReceipt,
    ReportReturn,
    ReportShipment,
    ReserveLine,
    ReserveStock,
    ReturnLine,
    SupplyLine,
)
from stockbridge.demo.plan import CHANNELS, LOCATIONS, MAIN, POLICIES, Plan, PurchaseOrder
from stockbridge.demo.retail import Document

TTL_SECONDS: Final = 24 * 3600
"""Long enough that a replay resumed on the same day still finds its holds."""
COUNT_LINES: Final = 500
SPLIT_ONE_IN: Final = 8
"""One order in so many leaves in two parcels, the second a day later."""


class Source(msgspec.Struct):
    """Where promised units come from."""

    location: str
    quantity: int


class PromisedLine(msgspec.Struct):
    """What the engine promised of one line."""

    sku: str
    reserved: int
    sources: list[Source]


class Promise(msgspec.Struct):
    """The part of a reservation's answer that the replay works on."""

    id: str
    lines: list[PromisedLine]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A shipment to report, its units, and the key it is reported under."""

    body: ReportShipment
    at: datetime
    units: int
    key: str


Keyed = tuple[Any, str]
"""A command's body and its idempotency key."""


def places(plan: Plan) -> Iterator[Keyed]:
    """Locations, then the channels that name them, then the channels' policies."""
    for location in LOCATIONS:
        yield location, f"location {location.code}"
    for channel in CHANNELS:
        yield channel, f"channel {channel.code}"
    for policy in POLICIES:
        body = msgspec.structs.replace(policy, effective_from=plan.begins_at)
        yield body, f"policy {policy.channel}"


def opening_counts(plan: Plan) -> Iterator[ReportCount]:
    """The opening stock, counted the moment the first day begins."""
    for location, stock in plan.opening.items():
        for part, start in enumerate(range(0, len(stock), COUNT_LINES), start=1):
            yield ReportCount(
                count=f"OPENING-{location}-{part}",
                location=location,
                occurred_at=plan.begins_at,
                lines=[
                    CountLine(sku=sku, quantity=units)
                    for sku, units in stock[start : start + COUNT_LINES]
                ],
            )


def supply(order: PurchaseOrder) -> RecordSupply:
    """The purchase order as open pipeline."""
    return RecordSupply(
        document=DocumentName("purchase_order", order.number),
        location=order.location,
        state="on_order",
        expected_at=order.received_at,
        occurred_at=order.ordered_at,
        lines=[
            SupplyLine(sku=sku, quantity=units, line=str(number))
            for number, (sku, units) in enumerate(order.lines, start=1)
        ],
    )


def receipt(order: PurchaseOrder) -> ReportReceipt:
    """The purchase order's goods coming in, all of them."""
    return ReportReceipt(
        document=DocumentName("purchase_order", order.number),
        location=order.location,
        occurred_at=order.received_at,
        lines=[
            ReceiptLine(sku=sku, quantity=units, line=str(number))
            for number, (sku, units) in enumerate(order.lines, start=1)
        ],
    )


def reservation(sale: Document) -> ReserveStock:
    """What the customer asked for: one line wholly or not at all, more as far as it goes."""
    return ReserveStock(
        channel=sale.channel,
        reference=sale.number,
        lines=[ReserveLine(line.sku, line.quantity) for line in sale.lines],
        mode="all_or_nothing" if len(sale.lines) == 1 else "partial",
        ttl_seconds=TTL_SECONDS,
    )


def parcels(sale: Document, promise: Promise) -> Iterator[Parcel]:
    """How the promised units leave: a parcel from each building, for some orders two."""
    split = crc32(sale.number.encode()) % SPLIT_ONE_IN == 0
    lines: dict[str, list[tuple[str, str, int]]] = {}
    for number, line in enumerate(promise.lines, start=1):
        for source in line.sources:
            entry = (line.sku, str(number), source.quantity)
            lines.setdefault(source.location, []).append(entry)
    for location, entries in lines.items():
        first = [(sku, line, -(-units // 2) if split else units) for sku, line, units in entries]
        rest = [(sku, line, units // 2) for sku, line, units in entries if split and units > 1]
        yield _parcel(sale, promise, location, 1, first)
        if rest:
            yield _parcel(sale, promise, location, 2, rest)


def _parcel(
    sale: Document, promise: Promise, location: str, part: int, lines: list[tuple[str, str, int]]
) -> Parcel:
    number = f"{sale.number}-{location}-{part}"
    at = sale.at + timedelta(days=part - 1)
    body = ReportShipment(
        shipment=number,
        location=location,
        reservation=promise.id,
        document=DocumentName("order", sale.number),
        occurred_at=at,
        lines=[
            QuantityLine(sku=sku, quantity=units, line=line, package=number)
            for sku, line, units in lines
        ],
    )
    return Parcel(body, at, sum(units for _, _, units in lines), f"parcel {number}")


def returned(document: Document) -> ReportReturn:
    """Goods that came back, with where they go."""
    disposition: Literal["scrap", "restock"] = "scrap" if document.scrap else "restock"
    return ReportReturn(
        rma=document.number,
        location=MAIN,
        occurred_at=document.at,
        lines=[
            ReturnLine(
                sku=line.sku, quantity=line.quantity, line=str(number), disposition=disposition
            )
            for number, line in enumerate(document.lines, start=1)
        ],
    )


def adjusted(document: Document) -> AdjustStock:
    """A stock keeper's correction."""
    return AdjustStock(
        adjustment=document.number,
        location=MAIN,
        reason=document.reason,
        occurred_at=document.at,
        lines=[
            AdjustLine(sku=line.sku, quantity=line.quantity, line=str(number))
            for number, line in enumerate(document.lines, start=1)
        ],
    )
