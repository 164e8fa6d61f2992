"""Sends deliveries: finds the systems that wait, works on each, takes back what a crash left."""

import asyncio
import contextlib
import os
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import structlog
from psycopg import AsyncConnection

from stockbridge.contracts.partners.model import Partners
from stockbridge.kernel.errors import Misconfigured
from stockbridge.outbox.lane import Lane
from stockbridge.outbox.limits.gate import LEASE_SECONDS, renew
from stockbridge.outbox.settle import Settler, Written
from stockbridge.store.arrays import ints
from stockbridge.store.database import Pool, connect, open_pool
from stockbridge.store.sql import load

TICK_SECONDS = 1.0
GRACE_SECONDS = 10.0
"""How long calls under way are waited for when the process stops."""
CONNECTIONS = 2

SQL = load(__package__)
log = structlog.get_logger()
Conn = AsyncConnection[Any]
OnOutcome = Callable[[str, str, str], None]
"""Hears of every outcome written: system, operation, state."""


class Dispatcher:
    """One in each working process; any number of them share the deliveries."""

    def __init__(
        self,
        dsn: str,
        partners: Partners,
        *,
        on_outcome: OnOutcome | None = None,
        lease_seconds: float = LEASE_SECONDS,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._partners = partners
        self._on_outcome = on_outcome
        self._lease_seconds = lease_seconds
        self._tick_seconds = tick_seconds
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self._lanes: dict[str, Lane] = {}
        self._settler = Settler(dsn, self._holder, self._written)
        self._pool: Pool | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_running(self) -> bool:
        """Whether deliveries are sent."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def start(self) -> None:
        """Begin with what is due; raises Misconfigured without a database."""
        self._pool = await open_pool(
            self._dsn, CONNECTIONS, application_name="stockbridge deliveries"
        )
        await self._settler.start()
        conn = await self._listen()
        self._tasks = [
            asyncio.create_task(self._watch(conn), name="deliveries"),
            asyncio.create_task(self._renew_forever(), name="delivery leases"),
        ]

    async def stop(self) -> None:
        """End the calls under way and write what became of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await asyncio.gather(*[lane.stop(GRACE_SECONDS) for lane in self._lanes.values()])
        await self._settler.stop()
        self._lanes.clear()
        if self._pool is not None:
            await self._pool.close()

    def wake(self, system: str) -> None:
        """Have a system's deliveries looked at."""
        if self._pool is None:
            return
        lane = self._lanes.get(system)
        if lane is None:
            lane = self._lanes[system] = Lane(
                system, pool=self._pool, partners=self._partners, settler=self._settler,
                holder=self._holder, lease_seconds=self._lease_seconds,
            )  # fmt: skip
        lane.wake()

    def _written(self, written: Sequence[Written]) -> None:
        by_system: dict[str, list[Written]] = defaultdict(list)
        for each in written:
            by_system[each.job.system].append(each)
            if self._on_outcome is not None:
                self._on_outcome(each.job.system, each.job.due.operation, each.next.state)
        for system, some in by_system.items():
            self._lanes[system].written(some)

    async def _listen(self) -> Conn:
        conn = await connect(self._dsn, application_name="stockbridge deliveries listener")
        await conn.execute(SQL.listen_deliveries)
        return conn

    async def _watch(self, conn: Conn) -> None:
        while True:
            try:
                async with conn:
                    while True:
                        await self._tick(conn)
                        async for notice in conn.notifies(timeout=self._tick_seconds):
                            self.wake(notice.payload)
            except (psycopg.Error, OSError) as error:
                log.warning("outbox: database lost; trying again", cause=str(error))
            except Exception:
                log.exception("outbox: a look at what is due failed; trying again")
            while conn.closed:
                await asyncio.sleep(self._tick_seconds)
                with contextlib.suppress(psycopg.Error, Misconfigured, OSError):
                    conn = await self._listen()

    async def _tick(self, conn: Conn) -> None:
        """Take back what nobody holds any more, and wake who has something due."""
        back = await (await conn.execute(SQL.take_back_deliveries)).fetchall()
        for system, count in Counter(row[0] for row in back).items():
            log.warning("outbox: deliveries of a lost worker", system=system, count=count)
        due = await (await conn.execute(SQL.waiting_systems)).fetchall()
        for system in {row[0] for row in (*back, *due)}:
            self.wake(system)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            held = [job for lane in self._lanes.values() for job in lane.held]
            if not held or self._pool is None:
                continue
            values = {
                "ids": ints(job.due.delivery_id for job in held),
                "holder": self._holder,
                "lease_seconds": self._lease_seconds,
            }
            keys = sorted({job.lease_key for job in held if job.lease_key is not None})
            try:
                async with self._pool.connection() as conn:
                    await conn.execute(SQL.renew_deliveries, values)
                    if keys:
                        await renew(conn, keys, self._lease_seconds)
            except (psycopg.Error, OSError) as error:
                log.warning("outbox: leases cannot be renewed", cause=str(error))
