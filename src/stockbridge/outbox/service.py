"""The outbox of a process: sends deliveries, hears of limits, counts, deletes what is old."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog
from prometheus_client import CollectorRegistry
from psycopg_pool import PoolTimeout

from stockbridge.contracts.partners.model import Partners
from stockbridge.outbox.dispatcher import Dispatcher
from stockbridge.outbox.hearing import Hearing
from stockbridge.outbox.journal.watch import watch_forever
from stockbridge.outbox.metrics import DeliveryMetrics
from stockbridge.outbox.operating import delete_settled
from stockbridge.store.database import Pool

DAY_SECONDS = 86_400.0

log = structlog.get_logger()


class Outbox:
    """Put together once, started where work is done; `hearing` is what connections tell."""

    def __init__(
        self,
        dsn: str,
        pool: Pool,
        partners: Partners,
        hearing: Hearing,
        registry: CollectorRegistry,
        *,
        days_kept: int,
    ) -> None:
        self._pool = pool
        self._partners = partners
        self._hearing = hearing
        self._days_kept = days_kept
        self._metrics = DeliveryMetrics(registry)
        self._dispatcher = Dispatcher(dsn, partners, on_outcome=self._metrics.observe)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_running(self) -> bool:
        """Whether deliveries are sent."""
        return self._dispatcher.is_running

    async def start(self) -> None:
        """Begin with what is due; raises Misconfigured without a database."""
        await self._dispatcher.start()
        self._run(self._hearing.write_forever(self._pool, self._partners), "limits heard")
        self._run(self._metrics.look_forever(self._pool), "delivery metrics")
        self._run(self._delete_daily(), "old deliveries")
        self._run(watch_forever(self._pool), "acknowledgements")

    async def stop(self) -> None:
        """End the calls under way; nothing is begun any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._dispatcher.stop()

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _delete_daily(self) -> None:
        while True:
            try:
                async with self._pool.connection() as conn:
                    deleted = await delete_settled(conn, datetime.now(UTC), self._days_kept)
                if deleted:
                    log.info("old deliveries deleted", count=deleted)
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("outbox: old deliveries stay", cause=str(error))
            await asyncio.sleep(DAY_SECONDS)
