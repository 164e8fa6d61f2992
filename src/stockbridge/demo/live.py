"""A trickle of orders for people who watch: the data's own orders again, as of now."""

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Final

import msgspec

from stockbridge.contracts.base import Document as DocumentName
from stockbridge.contracts.commands import ConfirmReservation, ReceiptLine, ReportReceipt
from stockbridge.demo import commands
from stockbridge.demo.commands import Promise
from stockbridge.demo.plan import MAIN, Plan
from stockbridge.demo.replay import ERROR, PRINCIPAL, Submits
from stockbridge.demo.retail import Document, Kind
from stockbridge.engine import Command, Outcome

PAUSE_SECONDS: Final = 0.5
LINES_MAX: Final = 25
SHIPS_AFTER_ORDERS: Final = 10
"""So many younger orders come in before an order leaves the building."""


async def trickle(engine: Submits, plan: Plan, *, pause_seconds: float = PAUSE_SECONDS) -> None:
    """Reserve, confirm and ship small orders until cancelled; what has left is bought again."""
    began = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    small = [d for d in plan.documents if d.kind is Kind.SALE and len(d.lines) <= LINES_MAX]
    packing: list[tuple[Document, Promise]] = []
    for number in itertools.count(1):
        sale = small[number % len(small)]
        name = f"LIVE-{began}-{number}"
        sale = Document(
            Kind.SALE, name, datetime.now(UTC), sale.channel, sale.lines, rows=sale.rows
        )
        outcome = await _submit(engine, commands.reservation(sale))
        if outcome.status < ERROR:
            promise = msgspec.json.decode(outcome.body, type=Promise)
            await _submit(engine, ConfirmReservation(promise.id))
            packing.append((sale, promise))
        if len(packing) > SHIPS_AFTER_ORDERS:
            await _leave(engine, *packing.pop(0))
        await asyncio.sleep(pause_seconds)


async def _leave(engine: Submits, sale: Document, promise: Promise) -> None:
    for parcel in commands.parcels(sale, promise):
        body = msgspec.structs.replace(parcel.body, occurred_at=datetime.now(UTC))
        await _submit(engine, body)
    bought = ReportReceipt(
        document=DocumentName("purchase_order", f"PO-{sale.number}"),
        location=MAIN,
        lines=[
            ReceiptLine(sku=line.sku, quantity=line.quantity, line=str(number))
            for number, line in enumerate(sale.lines, start=1)
        ],
    )
    await _submit(engine, bought)


async def _submit(engine: Submits, body: object) -> Outcome:
    return await engine.submit(Command(body, principal=PRINCIPAL, correlation_id="demo-live"))
