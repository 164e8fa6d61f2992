"""Makes every partner show what it shall: for each system two lanes of work, most at risk first.

What goes to zero has a lane, claims and a share of the budget of its own, so that nothing that is
stuck, throttled or failing in the other delays it.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection, Notify
from psycopg.rows import TupleRow
from psycopg_pool import PoolTimeout

from stockbridge.contracts.partners.manifest import Stock
from stockbridge.contracts.partners.model import Connector, Partners
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.outbox import breaker, breakers
from stockbridge.outbox.listings import rules
from stockbridge.outbox.listings.model import READ, ZERO, Figures, Row
from stockbridge.outbox.listings.permits import (
    OBSERVE,
    PUBLISH,
    PUBLISH_BULK,
    Permits,
    is_by_object,
)
from stockbridge.outbox.listings.reckoning import Reckoner
from stockbridge.outbox.listings.work import Work
from stockbridge.store.database import Pool, connect
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
Connection = AsyncConnection[TupleRow]

SYSTEMS_SECONDS: Final = 2.0
LEASE_SECONDS_MIN: Final = 60.0
_LEASE_CALLS: Final = 4
_MARGIN_SECONDS: Final = 10.0
_IDLE_SECONDS_MAX: Final = 2.0
_THROTTLED_SECONDS_MAX: Final = 1.0
_AWAY_SECONDS: Final = 1.0
_FINISH_SECONDS: Final = 3.0
_CLOSED_SECONDS: Final = 2.0
_AWAY = (psycopg.Error, PoolTimeout, OSError)


class Publisher:
    """All systems' lanes in this process; run `run_forever` as a task of every worker.

    `pool` is the publisher's own: a call never holds one of its connections.
    """

    def __init__(self, dsn: str, pool: Pool, partners: Partners, figures: Figures) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._dsn = dsn
        self._pool = pool
        self._partners = partners
        self._figures = figures
        self._lanes: dict[str, tuple[Lane, ...]] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    async def run_forever(self) -> None:
        """Listen for what became due; begin and end lanes as systems come and go."""
        try:
            while True:
                try:
                    await self._follow()
                except (*_AWAY, Misconfigured, TimeoutError) as error:
                    LOG.warning("listings: cannot listen now", cause=str(error))
                await asyncio.sleep(_AWAY_SECONDS)
        finally:
            await self._end(list(self._tasks))

    async def _follow(self) -> None:
        async with await connect(self._dsn, application_name="stockbridge publisher") as conn:
            await conn.execute(SQL.listen_listings)
            while True:
                rows = await (await conn.execute(SQL.publishing_systems)).fetchall()
                await self._use([row[0] for row in rows])
                async for notify in conn.notifies(timeout=SYSTEMS_SECONDS):
                    if self._wake(notify):
                        break

    def _wake(self, notify: Notify) -> bool:
        """Wake a system's lanes; True when it has none yet."""
        for lane in self._lanes.get(notify.payload, ()):
            lane.wake.set()
        return notify.payload not in self._lanes

    async def _use(self, systems: Sequence[str]) -> None:
        await self._end([system for system in self._tasks if system not in systems])
        for system in systems:
            if system not in self._lanes:
                parts = (self._pool, self._partners, self._figures, self._count)
                lanes = (Lane(system, *parts, urgent=True), Lane(system, *parts, urgent=False))
                self._lanes[system] = lanes
                self._tasks[system] = [
                    asyncio.create_task(lane.run_forever(), name=f"listings {system}")
                    for lane in lanes
                ]

    async def _end(self, systems: Sequence[str]) -> None:
        tasks = [task for system in systems for task in self._tasks.pop(system, ())]
        for system in systems:
            self._lanes.pop(system, None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _count(self, system: str, kinds: Sequence[str]) -> None:
        for kind in kinds:
            self.outcomes[system, kind] += 1


class _Way(NamedTuple):
    """A call was taken for the operation `held`; `operation` is how figures are sent."""

    held: str
    rows_max: int
    stock: Stock
    operation: str
    wait_seconds: float = 0.0


class Lane:
    """One system's work of some classes, so many chunks at a time."""

    def __init__(
        self,
        system: str,
        pool: Pool,
        partners: Partners,
        figures: Figures,
        count: Callable[[str, Sequence[str]], None],
        *,
        urgent: bool,
    ) -> None:
        self.wake = asyncio.Event()
        self._system = system
        self._pool = pool
        self._partners = partners
        self._figures = figures
        self._count = count
        self._urgent = urgent
        self._turn = 0
        self._busy: set[asyncio.Task[None]] = set()

    async def run_forever(self) -> None:
        """Work while there is work; wait for it or for its time where there is none."""
        cause = ""
        try:
            while True:
                try:
                    await self._rest(await self._next())
                    cause = ""
                except (*_AWAY, Retry, Misconfigured) as error:
                    if str(error) != cause:
                        cause = str(error)
                        LOG.warning("listings: cannot go on", system=self._system, cause=cause)
                    # No wake-up ends this wait: work is not what it waits for.
                    closed = isinstance(error, Misconfigured)
                    await asyncio.sleep(_CLOSED_SECONDS if closed else _AWAY_SECONDS)
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """Let calls under way end, so that nobody must look after them; not for long."""
        if self._busy:
            await asyncio.wait(self._busy, timeout=_FINISH_SECONDS)
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.wake.wait()

    async def _next(self) -> float:
        """Begin one chunk; in how many seconds to look again (a wake-up comes before)."""
        connector = await self._partners.connector(self._system)
        stock = connector.manifest.stock
        if stock is None:
            raise Misconfigured(f"{connector.manifest.name} takes no figures: end its listings")
        await self._room(connector)
        self.wake.clear()
        self._turn += 1
        classes = (ZERO,) if self._urgent else rules.order_of_classes(self._turn)
        risk, wait = await self._due(classes)
        if risk is None:
            return wait
        permit = await self._permit()
        if permit.calls == 0:
            return await self._throttled(permit.wait_seconds)
        seconds = connector.manifest.timeout_seconds * _LEASE_CALLS
        lease = max(LEASE_SECONDS_MIN, seconds + _MARGIN_SECONDS)
        limits = connector.manifest.limits
        permits = Permits(self._pool, self._system, limits, lease, urgent=self._urgent)
        way = await self._way(permits, connector, risk)
        if way.wait_seconds:
            return await self._throttled(way.wait_seconds)
        rows = await self._claim(risk, way.rows_max, lease)
        reckoner = Reckoner(self._pool, self._figures, self._partners, self._system, stock)
        parts = (self._pool, connector, way.stock, reckoner, permits)
        work = Work(*parts, way.held, seconds / 2, way.operation)
        task = asyncio.create_task(self._do(work, permits, rows, risk, permit))
        self._busy.add(task)
        task.add_done_callback(self._done)
        return 0.0

    async def _way(self, permits: Permits, connector: Connector, risk: int) -> "_Way":
        """How work of a class is done now, one call taken for it where that is known before."""
        stock = connector.manifest.stock or Stock()
        if risk == READ:
            wait = await permits.take(OBSERVE)
            return _Way(OBSERVE, stock.observe_rows_max, stock, PUBLISH, wait)
        bulk = stock.bulk
        if bulk is not None and risk != ZERO and await self._many(risk, bulk.rows_min):
            more = msgspec.structs.replace(
                stock, rows_max=bulk.rows_max, verify_after_seconds=bulk.verify_after_seconds
            )
            if not await permits.take(PUBLISH_BULK):
                return _Way(PUBLISH_BULK, bulk.rows_max, more, PUBLISH_BULK)
        if is_by_object(connector.manifest.limits):
            return _Way("", 1, stock, PUBLISH)
        return _Way(PUBLISH, stock.rows_max, stock, PUBLISH, await permits.take(PUBLISH))

    async def _many(self, risk: int, least: int) -> bool:
        values = {"system": self._system, "risk": risk, "least": least}
        async with self._pool.connection() as conn:
            row = await (await conn.execute(SQL.many_due, values)).fetchone()
        return bool(row and row[0])

    async def _permit(self) -> breaker.Permit:
        """Whether the partner is believed to be there; an open breaker lets one chunk try."""
        async with self._pool.connection() as conn, conn.transaction():
            return await breakers.permits(conn, self._system)

    @staticmethod
    async def _throttled(seconds: float) -> float:
        # New work does not end this wait: it is the partner's time that must pass.
        await asyncio.sleep(min(seconds, _THROTTLED_SECONDS_MAX))
        return 0.0

    def _done(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        self.wake.set()

    async def _room(self, connector: Connector) -> None:
        """Wait until one more chunk may run: a part of the connector's is kept for zero-outs."""
        together = connector.manifest.concurrency
        urgent = max(1, together // 2)
        most = urgent if self._urgent else max(1, together - urgent)
        while len(self._busy) >= most:
            await asyncio.wait(self._busy, return_when=asyncio.FIRST_COMPLETED)

    async def _due(self, classes: Sequence[int]) -> tuple[int | None, float]:
        """The first class with work that is due, else None and when there will be some."""
        values = {"system": self._system, "risks": "{" + ",".join(map(str, classes)) + "}"}
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(SQL.peek, values)).fetchall()
        waits: dict[int, float | None] = dict(rows)
        for risk in classes:
            wait = waits[risk]
            if wait is not None and wait <= 0:
                return risk, 0.0
        soonest = min((wait for wait in waits.values() if wait is not None), default=None)
        return None, _IDLE_SECONDS_MAX if soonest is None else min(soonest, _IDLE_SECONDS_MAX)

    async def _claim(self, risk: int, limit: int, lease_seconds: float) -> list[Row]:
        values = {
            "system": self._system, "risk": risk, "limit": limit, "lease_seconds": lease_seconds,
        }  # fmt: skip
        async with self._pool.connection() as conn:
            rows: list[Any] = await (await conn.execute(SQL.claim, values)).fetchall()
        return [Row(*row) for row in rows]

    async def _do(
        self,
        work: Work,
        permits: Permits,
        rows: list[Row],
        risk: int,
        permit: breaker.Permit,
    ) -> None:
        try:
            try:
                if rows:
                    await work.run(rows, risk)
            finally:
                await permits.give_back()
            await self._note(work, permit)
        except (*_AWAY, Retry, Misconfigured) as error:
            # Their lease ends, and then they are looked after.
            LOG.warning("listings: work was cut off", system=self._system, cause=str(error))
        except Exception:
            LOG.exception("listings: work failed", system=self._system)
        self._count(self._system, work.kinds)

    async def _note(self, work: Work, permit: breaker.Permit) -> None:
        """Tell the breaker, where it had not closed or something did not reach the partner."""
        if not work.unreached and permit.breaker == breaker.Breaker():
            return
        async with self._pool.connection() as conn, conn.transaction():
            await breakers.note(
                conn, self._system,
                good=work.reached, bad=len(work.unreached), detail="".join(work.unreached[-1:]),
            )  # fmt: skip
