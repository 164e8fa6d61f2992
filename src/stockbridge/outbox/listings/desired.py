"""Says what every listing shall show, from the stock view, in the order of commits.

One process leads, by an advisory lock that its own connection holds: what it writes goes through
that connection, so whoever lost the lock can write nothing more. It is level-triggered: what
changed is looked up anew, and a sweep over everything, at the start, whenever everything may have
changed, and now and then for what changes by time alone, finds what a crash left out.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.contracts.partners.manifest import Stock
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.outbox.listings.model import Figures, Followed, Manifests, Wanted
from stockbridge.store.arrays import ints
from stockbridge.store.database import connect
from stockbridge.store.snapshot import one_snapshot
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
Connection = AsyncConnection[TupleRow]

ITEMS_AT_ONCE: Final = 500
SWEEP_SECONDS_MIN: Final = 30.0
SWEEP_SHARE: Final = 0.05
"""Sweeps take no more than this part of the time."""
_SYSTEMS_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.005
_BEHIND_SECONDS: Final = 0.05
_LEAD_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 0.5


@dataclass(slots=True)
class DeskCounts:
    """What the desk did since the process began."""

    leads: bool = False
    changed: int = 0
    sweeps: int = 0
    sweep_seconds: float = 0.0


@dataclass(slots=True)
class _Sweep:
    """How far a sweep is: items up to `after` are done; None: none is on."""

    after: int | None = 0
    began: float = 0.0
    due: float = field(default=float("-inf"))

    def start(self) -> None:
        self.after, self.began = 0, time.monotonic()


class Desk:
    """Keeps `listing.desired` true; run `run_forever` as a task of every worker process."""

    def __init__(self, dsn: str, figures: Figures, connectors: Manifests) -> None:
        self.counts = DeskCounts()
        self._dsn = dsn
        self._figures = figures
        self._connectors = connectors
        self._stock: dict[str, Stock] = {}
        self._stock_read = float("-inf")
        self._listed = asyncio.Event()

    async def run_forever(self) -> None:
        """Lead when no other process does; start anew after whatever goes wrong."""
        while True:
            try:
                async with await connect(self._dsn, application_name="stockbridge desired") as conn:
                    await self._lead(conn)
            except (psycopg.Error, Misconfigured, Retry, OSError) as error:
                LOG.warning("listings: what they shall show cannot be kept now", cause=str(error))
            self.counts.leads = False
            await asyncio.sleep(_LEAD_SECONDS)

    async def _lead(self, conn: Connection) -> None:
        while not await self._is_leader(conn):  # noqa: ASYNC110 - it becomes free elsewhere
            await asyncio.sleep(_LEAD_SECONDS)
        self.counts.leads = True
        followed = self._figures.follow()
        conn.add_notify_handler(lambda _: self._listed.set())
        await conn.execute(SQL.listen_listed)
        try:
            await self._keep(conn, followed)
        finally:
            followed.close()

    @staticmethod
    async def _is_leader(conn: Connection) -> bool:
        row = await (await conn.execute(SQL.lead)).fetchone()
        return bool(row and row[0])

    async def _keep(self, conn: Connection, followed: Followed) -> None:
        sweep = _Sweep()
        sweep.start()
        while True:
            if not self._figures.is_current():
                await asyncio.sleep(_BEHIND_SECONDS)
                await self._is_alive(conn)
                continue
            taken = followed.take()
            if taken is None or self._listed.is_set():
                self._listed.clear()
                # New listings may be the first of their system.
                self._stock_read = float("-inf")
                sweep.start()
            if taken is None:
                continue
            if taken:
                await self.refresh(conn, taken)
            await self._step(conn, sweep)
            if sweep.after is None:
                await self._rest(conn, followed, sweep)

    async def _step(self, conn: Connection, sweep: _Sweep) -> None:
        """The next part of a sweep; between parts, changes go first."""
        if sweep.after is None:
            return
        values = {"after": sweep.after, "limit": ITEMS_AT_ONCE}
        rows = await (await conn.execute(SQL.items_after, values)).fetchall()
        if rows:
            await self.refresh(conn, [row[0] for row in rows])
            sweep.after = rows[-1][0]
            return
        took = time.monotonic() - sweep.began
        sweep.after = None
        sweep.due = time.monotonic() + max(SWEEP_SECONDS_MIN, took / SWEEP_SHARE)
        self.counts.sweeps += 1
        self.counts.sweep_seconds = took

    async def _rest(self, conn: Connection, followed: Followed, sweep: _Sweep) -> None:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await followed.wait()
            # What comes together is looked up together.
            await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            await self._is_alive(conn)
        if time.monotonic() >= sweep.due:
            sweep.start()

    @staticmethod
    async def _is_alive(conn: Connection) -> None:
        await conn.execute(SQL.alive)

    async def refresh(self, conn: Connection, items: Collection[int]) -> None:
        """Say what the listings of these items shall show."""
        rows = await (await conn.execute(SQL.listings_of, {"items": ints(items)})).fetchall()
        if not rows:
            return
        await self._know_systems(conn)
        wanted = [Wanted(*row[:5]) for row in rows if row[1] in self._stock]
        unshipped = self._unshipped()
        found = self._figures.shown([each for each in wanted if each.system not in unshipped])
        exactly = [each for each in wanted if each.system in unshipped]
        if exactly:
            async with one_snapshot(conn):
                found |= await self._figures.read(conn, exactly, unshipped)
        now = {row[0]: row[5] for row in rows}
        differing = {
            each.listing_id: figure
            for each in wanted
            if (figure := self._bounded(each, found)) is not None and figure != now[each.listing_id]
        }
        if differing:
            values = {"ids": ints(differing), "desired": ints(differing.values())}
            await conn.execute(SQL.want, values)
            self.counts.changed += len(differing)

    def _bounded(self, wanted: Wanted, found: dict[int, int]) -> int | None:
        figure = found.get(wanted.listing_id)
        return None if figure is None else min(figure, self._stock[wanted.system].quantity_max)

    def _unshipped(self) -> set[str]:
        own = "available_and_own_unshipped"
        return {system for system, stock in self._stock.items() if stock.basis == own}

    async def _know_systems(self, conn: Connection) -> None:
        if time.monotonic() < self._stock_read + _SYSTEMS_SECONDS:
            return
        found: dict[str, Stock] = {}
        rows: list[Any] = await (await conn.execute(SQL.stock_systems)).fetchall()
        for system, connector in rows:
            try:
                stock = self._connectors.manifest(connector).stock
            except Misconfigured as error:
                LOG.warning("listings: unknown connector", system=system, cause=str(error))
                continue
            if stock is not None:
                found[system] = stock
        self._stock, self._stock_read = found, time.monotonic()
