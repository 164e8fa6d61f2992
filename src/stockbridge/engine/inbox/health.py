"""How much waits to be applied, and for how long: for readiness and metrics."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import psycopg
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

from stockbridge.store.database import Pool
from stockbridge.store.sql import load

PERIOD_SECONDS: Final = 10.0
COUNTED_MAX: Final = 100_000

SQL = load(__package__)
log = structlog.get_logger()


class Backlog(NamedTuple):
    """Messages received and not settled, counted up to a limit; since when the first waits."""

    messages: int
    oldest_seconds: float


async def backlog(conn: AsyncConnection[Any], counted_max: int = COUNTED_MAX) -> Backlog:
    """What waits in the store, whichever process is to apply it."""
    cursor = await conn.execute(SQL.count_backlog, {"limit": counted_max})
    return Backlog(*(await cursor.fetchone() or (0, 0.0)))


class InboxMetrics(Collector):
    """The backlog as the store has it, looked at regularly."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._found: Backlog | None = None
        registry.register(self)

    async def look(self, pool: Pool) -> None:
        """Read the backlog once."""
        async with pool.connection() as conn:
            self._found = await backlog(conn)

    async def look_forever(self, pool: Pool) -> None:
        """Read it again and again."""
        while True:
            try:
                await self.look(pool)
            except (psycopg.Error, PoolTimeout) as error:
                self._found = None
                log.warning("inbox: the backlog is not known", cause=str(error))
            await asyncio.sleep(PERIOD_SECONDS)

    def describe(self) -> list[Metric]:
        """Nothing is known before a look."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Backlog and age, unless they are not known."""
        if self._found is None:
            return
        name = "stockbridge_inbox_backlog"
        text = f"Messages received and not settled, at most {COUNTED_MAX} counted"
        yield GaugeMetricFamily(name, text, value=self._found.messages)
        name, text = "stockbridge_inbox_backlog_age_seconds", "How long the oldest of them waits"
        yield GaugeMetricFamily(name, text, value=self._found.oldest_seconds)
