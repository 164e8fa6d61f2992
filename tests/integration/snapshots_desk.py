"""A small enterprise whose partners send stock reports: hands for the tests of them."""

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from stockbridge.contracts.base import Document
from stockbridge.contracts.commands import (
    CountLine,
    QuantityLine,
    ReceiptLine,
    ReportCount,
    ReportReceipt,
    ReportShipment,
    ReserveLine,
    ReserveStock,
)
from stockbridge.contracts.masters import (
    Alias,
    KitComponent,
    PutChannel,
    PutItem,
    PutLocation,
    PutSystem,
)
from stockbridge.domain.snapshots.booking import accept
from stockbridge.domain.snapshots.intake import Taken, take_in
from stockbridge.domain.snapshots.model import Head
from stockbridge.domain.snapshots.work import work_on
from stockbridge.engine import Command, Engine
from stockbridge.kernel.errors import Refusal
from stockbridge.store.database import connect, open_pool

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)
"""The cut-off of most reports; yesterday's are recorded long after they occurred."""


def after(minutes: float) -> datetime:
    """So many minutes after the cut-off, before it when negative."""
    return NOON + timedelta(minutes=minutes)


class Desk:
    """Engine, pool and connection of a test; facts and reports in one line each."""

    def __init__(self, dsn: str, engine: Engine, pool: Any, conn: Any) -> None:
        self.dsn, self.engine, self.pool, self.conn = dsn, engine, pool, conn
        self._numbers = itertools.count(1)

    async def submit(self, body: Any) -> Any:
        outcome = await self.engine.submit(Command(body, "test"))
        assert outcome.status < 300, outcome.body
        return outcome.document

    async def masters(self) -> None:
        """WMS speaks for MAIN, TPL for EAST; ERP for nothing. Items A, B, C; K is a kit of A."""
        bodies = [
            *(PutSystem(code, kind="wms") for code in ("WMS", "TPL", "ERP")),
            PutLocation("MAIN", authority="WMS"),
            PutLocation("EAST", authority="TPL"),
            PutItem("A", aliases=[Alias("ERP", "100"), Alias("GS1", "00A")]),
            PutItem("B"),
            PutItem("C"),
            PutItem("K", components=[KitComponent("A", 2)]),
            PutChannel("web", sources=["MAIN", "EAST"]),
        ]
        for body in bodies:
            await self.submit(body)

    async def receive(self, sku: str, quantity: int, at: datetime, place: str = "MAIN") -> Any:
        line = ReceiptLine(sku=sku, quantity=quantity)
        document = Document("po", f"PO{next(self._numbers)}")
        body = ReportReceipt(document=document, location=place, lines=[line], occurred_at=at)
        return await self.submit(body)

    async def ship(self, sku: str, quantity: int, at: datetime, place: str = "MAIN") -> Any:
        line = QuantityLine(sku=sku, quantity=quantity)
        number = f"S{next(self._numbers)}"
        body = ReportShipment(shipment=number, location=place, lines=[line], occurred_at=at)
        return await self.submit(body)

    async def count(
        self, sku: str, quantity: int, at: datetime, state: Any = "available", place: str = "MAIN"
    ) -> Any:
        line = CountLine(sku=sku, quantity=quantity, state=state)
        number = f"C{next(self._numbers)}"
        body = ReportCount(count=number, location=place, lines=[line], occurred_at=at)
        return await self.submit(body)

    async def reserve(self, sku: str, quantity: int) -> Any:
        line = ReserveLine(sku, quantity)
        return await self.submit(ReserveStock("web", f"R{next(self._numbers)}", [line]))

    async def keep(
        self, rows: str | bytes, system: str = "WMS", at: datetime = NOON, **fields: Any
    ) -> Taken | Refusal:
        """Take in CSV, unless `form` says otherwise."""
        data = rows.encode() if isinstance(rows, str) else rows
        values: dict[str, Any] = {
            "number": f"N{next(self._numbers)}", "sequence": None, "meaning": "available",
            "is_authoritative": False, "format": "csv",
        }  # fmt: skip
        values |= fields
        head = Head(system=system, cutoff_at=at, principal="test", correlation_id="corr", **values)
        return await take_in(self.pool, head, pieces(data))

    async def report(self, rows: str | bytes, system: str = "WMS", **fields: Any) -> int:
        """Take a report in and work on it; its id."""
        taken = await self.keep(rows, system, **fields)
        assert isinstance(taken, Taken), taken
        await work_on(self.dsn, self.engine.submit, taken.snapshot_id)
        return taken.snapshot_id

    async def accept(self, snapshot_id: int, *codes: str) -> list[str]:
        found = await accept(self.conn, snapshot_id, codes)
        await work_on(self.dsn, self.engine.submit, snapshot_id)
        return found

    async def ask(self, query: str, *values: Any) -> list[Any]:
        return await (await self.conn.execute(query, values)).fetchall()

    async def outcomes(self, snapshot_id: int) -> dict[int, str]:
        rows = await self.ask(
            "SELECT row_number, outcome FROM snapshot_row WHERE snapshot_id = %s", snapshot_id
        )
        return dict(rows)

    async def state(self, snapshot_id: int) -> str:
        query = "SELECT state FROM snapshot WHERE snapshot_id = %s"
        return str((await self.ask(query, snapshot_id))[0][0])

    async def available(self, sku: str, place: str = "MAIN") -> int:
        rows = await self.ask(
            "SELECT available FROM balance JOIN item USING (item_id) JOIN location USING"
            " (location_id) WHERE sku = %s AND code = %s", sku, place,
        )  # fmt: skip
        return int(rows[0][0]) if rows else 0

    async def cases(self) -> list[tuple[str, str]]:
        """Open exceptions about reports."""
        return await self.ask(
            "SELECT kind, subject FROM exception WHERE resolved_at IS NULL"
            " AND subject LIKE 'snapshot:%%' ORDER BY 1, 2"
        )

    async def movements(self) -> int:
        return int((await self.ask("SELECT count(*) FROM movement"))[0][0])


async def pieces(data: bytes, size: int = 50_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def csv_of(rows: Iterable[Sequence[Any]], names: str = "sku,location,quantity") -> str:
    return "\n".join([names, *(",".join(map(str, row)) for row in rows)]) + "\n"


@asynccontextmanager
async def desk_on(dsn: str, *, furnished: bool = True) -> AsyncIterator[Desk]:
    engine = Engine(dsn)
    await engine.start()
    pool = await open_pool(dsn, 2)
    conn = await connect(dsn)
    try:
        desk = Desk(dsn, engine, pool, conn)
        if furnished:
            await desk.masters()
        yield desk
    finally:
        await conn.close()
        await pool.close()
        await engine.stop()
