"""What nobody asks for: rolling read-backs, the end of sales not heard of, exceptions by system."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.contracts.partners.model import Partners
from stockbridge.domain.world.model import ExceptionCase
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.outbox.cases import Owner, close_cases, open_cases, owners
from stockbridge.outbox.listings.rules import sample_size
from stockbridge.store.database import connect
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
Connection = AsyncConnection[TupleRow]
PERIOD_SECONDS: Final = 10.0
STALE: Final = "stale_listings"
FAILED: Final = "listing_failed"


class Backlog(NamedTuple):
    """Listings of a system to work on: of a class, in a state; the one that waits longest."""

    system: str
    risk: int
    state: str
    listings: int
    age_seconds: float | None


class Watch:
    """One process's rounds; another's are held back by a lock. Run `run_forever` as a task."""

    def __init__(
        self, dsn: str, partners: Partners, period_seconds: float = PERIOD_SECONDS
    ) -> None:
        self.backlogs: list[Backlog] = []
        self._dsn = dsn
        self._partners = partners
        self._period_seconds = period_seconds
        self._sampled: dict[str, int] = {}
        self._told_since: datetime | None = None

    async def run_forever(self) -> None:
        """A round every period."""
        while True:
            try:
                async with await connect(
                    self._dsn, application_name="stockbridge listings"
                ) as conn:
                    while True:
                        await self.round(conn)
                        await asyncio.sleep(self._period_seconds)
            except (psycopg.Error, Misconfigured, OSError) as error:
                LOG.warning("listings: cannot be watched now", cause=str(error))
            await asyncio.sleep(self._period_seconds)

    async def round(self, conn: Connection) -> None:
        """Everything once; the counts are every process's, the rest one process's."""
        self.backlogs = [Backlog(*row) for row in await _rows(conn, SQL.listing_counts)]
        if not (await _rows(conn, SQL.watch))[0][0]:
            return
        for (system,) in await _rows(conn, SQL.unheard_systems):
            await self._hear(conn, system)
        told = await _rows(conn, SQL.read_told, since=self._told_since)
        self._told_since = told[0][0]
        for (system,) in await _rows(conn, SQL.publishing_systems):
            await self._sample(conn, system)
        await _tell(conn, STALE, await _stale(conn))
        await _tell(conn, FAILED, await _failed(conn))

    async def _hear(self, conn: Connection, system: str) -> None:
        """Have listings read whose sales must have been heard of by now."""
        try:
            heard_at = await self._partners.orders_heard_at(system)
        except Retry:
            return
        await conn.execute(SQL.read_heard, {"system": system, "heard_at": heard_at})
        await conn.execute(SQL.notify_listings, {"systems": [system]})

    async def _sample(self, conn: Connection, system: str) -> None:
        """Mark the next few to be read back, while few wait for that."""
        try:
            stock = (await self._partners.connector(system)).manifest.stock
        except (Misconfigured, Retry):
            return
        waiting = sum(each.listings for each in self.backlogs if each.system == system)
        limit = sample_size(stock, waiting)
        if limit:
            values = {"system": system, "after": self._sampled.get(system, 0), "limit": limit}
            _, last = (await _rows(conn, SQL.read_sample, **values))[0]
            self._sampled[system] = last or 0


async def _rows(conn: Connection, statement: bytes, **values: Any) -> list[Any]:
    return await (await conn.execute(statement, values)).fetchall()


async def _tell(conn: Connection, kind: str, cases: Sequence[ExceptionCase]) -> None:
    """Open what is new; close what is over. One that stays is not counted again and again."""
    open_now = {row[0] for row in await _rows(conn, SQL.open_subjects, kind=kind)}
    await open_cases(conn, [case for case in cases if case.subject not in open_now])
    over = sorted(open_now - {case.subject for case in cases})
    if over:
        await close_cases(conn, kind, over, "the listings show what they shall again")


async def _stale(conn: Connection) -> list[ExceptionCase]:
    late = [row for row in await _rows(conn, SQL.late_listings) if row[1]]
    owned = await owners(conn, [row[0] for row in late])
    return [_case_of_stale(system, owned[system], *rest) for system, *rest in late]


def _case_of_stale(system: str, owner: Owner, listings: int, seconds: float) -> ExceptionCase:
    cause = (
        f"{listings} listings of {system} show another figure than they shall for longer than "
        f"their channel allows, the first for {round(seconds)} s"
    )
    action = f"see GET /v1/questions/stale-listings?system={system}; they are tried by themselves"
    return ExceptionCase(STALE, system, owner.criticality, owner.team, cause, action, "")


async def _failed(conn: Connection) -> list[ExceptionCase]:
    failed = await _rows(conn, SQL.failed_listings)
    owned = await owners(conn, [row[0] for row in failed])
    return [_case_of_failed(system, owned[system], *rest) for system, *rest in failed]


def _case_of_failed(
    system: str, owner: Owner, code: str, listings: int, sku: str, detail: str
) -> ExceptionCase:
    cause = f"{system} does not take {listings} listings ({code}), for one {sku}: {detail}"
    action = "correct the items there or here, then POST /v1/listings/retry"
    subject = f"{system}/{code}"
    return ExceptionCase(FAILED, subject, owner.criticality, owner.team, cause, action, "")
