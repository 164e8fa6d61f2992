"""Figures of what leaves: backlog, age, outcomes, breakers."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import psycopg
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg_pool import PoolTimeout

from stockbridge.store.database import Pool
from stockbridge.store.sql import load

PERIOD_SECONDS = 10.0
BREAKER_STATES = ("closed", "half_open", "open")

SQL = load(__package__)
log = structlog.get_logger()


class DeliveryMetrics(Collector):
    """Outcomes of this process; backlog and breakers as the store has them, looked at regularly."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._outcomes: Counter[tuple[str, str, str]] = Counter()
        self._waiting: list[tuple[str, str, int, float]] = []
        self._breakers: list[tuple[str, str]] = []
        registry.register(self)

    def observe(self, system: str, operation: str, state: str) -> None:
        """Count one outcome."""
        self._outcomes[system, operation, state] += 1

    async def look(self, pool: Pool) -> None:
        """Read backlog and breakers once."""
        async with pool.connection() as conn:
            self._waiting = [
                (row[0], row[1], row[2], row[3])
                for row in await (await conn.execute(SQL.count_deliveries)).fetchall()
            ]
            self._breakers = [
                (row[0], row[1]) for row in await (await conn.execute(SQL.breakers)).fetchall()
            ]

    async def look_forever(self, pool: Pool) -> None:
        """Read them again and again."""
        while True:
            try:
                await self.look(pool)
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("outbox: the backlog is not known", cause=str(error))
            await asyncio.sleep(PERIOD_SECONDS)

    def describe(self) -> list[Metric]:
        """Nothing is known before a collection."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Outcomes, backlog, ages, breakers."""
        outcomes = CounterMetricFamily(
            "stockbridge_delivery_outcomes", "Calls by what the delivery became",
            labels=("system", "operation", "state"),
        )  # fmt: skip
        for labels, count in self._outcomes.items():
            outcomes.add_metric(labels, count)
        waiting = GaugeMetricFamily(
            "stockbridge_deliveries", "Unsettled deliveries", labels=("system", "state")
        )
        ages = GaugeMetricFamily(
            "stockbridge_delivery_age_seconds", "The oldest unsettled delivery",
            labels=("system", "state"),
        )  # fmt: skip
        for system, state, count, age in self._waiting:
            waiting.add_metric((system, state), count)
            ages.add_metric((system, state), age)
        breakers = GaugeMetricFamily(
            "stockbridge_partner_breaker", "0 closed, 1 half open, 2 open", labels=("system",)
        )
        for system, state in self._breakers:
            breakers.add_metric((system,), BREAKER_STATES.index(state))
        yield from (outcomes, waiting, ages, breakers)
