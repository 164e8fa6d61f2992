"""An inbox, an applier and an engine on one database, and the words tests use with them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from stockbridge.contracts.events import decode
from stockbridge.contracts.masters import PutItem, PutLocation, PutSystem
from stockbridge.engine import Command, Engine
from stockbridge.engine.inbox.accept import Inbox
from stockbridge.engine.inbox.apply import Applier
from stockbridge.engine.inbox.model import Accepted, Decode, Envelope
from stockbridge.store.database import connect

RECEIVED = "io.stockbridge.stock.received.v1"
SHIPPED = "io.stockbridge.stock.shipped.v1"
COUNTED = "io.stockbridge.stock.counted.v1"
ORDERED = "io.stockbridge.supply.ordered.v1"

SECONDS_MAX = 60.0
"""When a test gives up; nothing here needs more than a second or two on a machine of its own."""
LEDGER_TABLES = ("balance", "movement", "batch", "fact", "supply", "count_anchor", "lot_balance")


def fact(number: str, sku: str = "A", quantity: Any = 5, **more: Any) -> dict[str, Any]:
    return {
        "sku": sku,
        "location": "W1",
        "quantity": quantity,
        "occurred_at": "2026-11-20T10:00:00Z",
        "document": {"type": "po", "number": number},
    } | more


def envelope(
    source_id: str,
    data: Any = None,
    *,
    contract: str = RECEIVED,
    sequence: int | None = None,
    flow: str = "stock",
    system: str = "wms",
    correlation_id: str = "",
) -> Envelope:
    """A message of `wms`; its own receipt unless `data` says something else."""
    said = fact(f"PO-{source_id}") if data is None else data
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return Envelope(
        system, source_id, flow, sequence, correlation_id or f"c-{source_id}", None, "tester",
        "events", contract, "application/json", body,
    )  # fmt: skip


class Desk:
    """The services, and the store behind them."""

    def __init__(self, dsn: str, decode_with: Decode, grace_seconds: int) -> None:
        self.dsn = dsn
        self.engine = Engine(dsn)
        self.applier = Applier(dsn, self.engine, decode_with, lease_seconds=1, tick_seconds=0.05)
        self.inbox = Inbox(dsn, on_accepted=self.applier.offer, grace_seconds=grace_seconds)

    async def send(self, *envelopes: Envelope) -> list[Accepted]:
        return await self.inbox.accept(envelopes)

    async def master(self, body: Any) -> None:
        assert (await self.engine.submit(Command(body))).status < 300

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        async with await connect(self.dsn) as conn:
            return await (await conn.execute(statement.encode(), values)).fetchall()

    async def one(self, statement: str, *values: Any) -> Any:
        return (await self.rows(statement, *values))[0][0]

    async def status(self, message_id: int) -> tuple[str, str | None]:
        statement = "SELECT status, reason_code FROM message WHERE message_id = %s"
        return tuple((await self.rows(statement, message_id))[0])

    async def settle(
        self, *, busy: str = "received", seconds: float = SECONDS_MAX
    ) -> dict[str, int]:
        """Wait until no message has the status `busy`; how many have each."""
        give_up = monotonic() + seconds
        while True:
            found = dict(await self.rows("SELECT status, count(*) FROM message GROUP BY status"))
            if busy not in found:
                return found
            assert monotonic() < give_up, f"still {busy}: {found}"
            await asyncio.sleep(0.02)

    async def until(self, statement: str, wanted: Any, seconds: float = SECONDS_MAX) -> None:
        """Wait until the statement's value is `wanted`."""
        give_up = monotonic() + seconds
        while (found := await self.one(statement)) != wanted:
            assert monotonic() < give_up, f"{statement}: {found}, not {wanted}"
            await asyncio.sleep(0.02)

    async def available(self, sku: str = "A") -> int:
        statement = (
            "SELECT coalesce(sum(available), 0)::bigint FROM balance JOIN item USING (item_id)"
            " WHERE sku = %s"
        )
        return await self.one(statement, sku)

    async def dump(self) -> list[Any]:
        """Everything the ledger holds."""
        return [await self.rows(f"SELECT t::text FROM {t} t ORDER BY 1") for t in LEDGER_TABLES]


@contextlib.asynccontextmanager
async def desk(
    dsn: str, *, decode_with: Decode = decode, applying: bool = True, grace_seconds: int = 5
) -> AsyncIterator[Desk]:
    """Everything started, with item A and location W1."""
    made = Desk(dsn, decode_with, grace_seconds)
    await made.engine.start()
    await made.inbox.start()
    for body in (PutLocation("W1"), PutItem("A"), PutSystem("wms", kind="wms")):
        await made.master(body)
    if applying:
        await made.applier.start()
    try:
        yield made
    finally:
        await made.inbox.stop()
        await made.applier.stop()
        await made.engine.stop()
