"""The three tasks of listings in one worker process, and their figures for metrics."""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from stockbridge.contracts.partners.model import Partners
from stockbridge.outbox.listings.desired import Desk
from stockbridge.outbox.listings.model import Figures, Manifests
from stockbridge.outbox.listings.publisher import Publisher
from stockbridge.outbox.listings.watch import Watch
from stockbridge.store.database import Pool, open_pool

CONNECTIONS: Final = 4
_CLASSES: Final = ("to zero", "down", "to read", "up")


class Listings:
    """Started with the process, stopped before its figures and partners are."""

    def __init__(
        self, dsn: str, partners: Partners, connectors: Manifests, figures: Figures
    ) -> None:
        self._dsn = dsn
        self._partners = partners
        self._figures = figures
        self._pool: Pool | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.desk = Desk(dsn, figures, connectors)
        self.watch = Watch(dsn, partners)
        self.publisher: Publisher | None = None

    @property
    def is_running(self) -> bool:
        """Whether figures are kept and published."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def start(self) -> None:
        """Begin; raises Misconfigured when the database cannot be reached."""
        self._pool = await open_pool(self._dsn, CONNECTIONS, application_name="stockbridge publish")
        self.publisher = Publisher(self._dsn, self._pool, self._partners, self._figures)
        steps = {
            "desired": self.desk.run_forever(),
            "publisher": self.publisher.run_forever(),
            "watch": self.watch.run_forever(),
        }
        self._tasks = [
            asyncio.create_task(step, name=f"listings {name}") for name, step in steps.items()
        ]

    async def stop(self) -> None:
        """End; what was under way is looked after when its lease ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._pool is not None:
            await self._pool.close()

    def measured_by(self, registry: CollectorRegistry) -> None:
        """Show the figures in a registry."""
        registry.register(self)

    def describe(self) -> list[Metric]:
        """Nothing is known before a collection."""
        return []

    def collect(self) -> list[Metric]:
        """What waits, how long, and what became of calls."""
        waiting = GaugeMetricFamily(
            "stockbridge_listings_waiting", "Listings to work on",
            labels=("system", "risk", "state"),
        )  # fmt: skip
        age = GaugeMetricFamily(
            "stockbridge_listings_age_seconds", "The listing that waits longest",
            labels=("system", "risk", "state"),
        )  # fmt: skip
        for backlog in self.watch.backlogs:
            labels = (backlog.system, _CLASSES[backlog.risk], backlog.state)
            waiting.add_metric(labels, backlog.listings)
            age.add_metric(labels, backlog.age_seconds or 0.0)
        outcomes = CounterMetricFamily(
            "stockbridge_listings_outcomes", "Rows published, by outcome",
            labels=("system", "outcome"),
        )  # fmt: skip
        counted = {} if self.publisher is None else self.publisher.outcomes
        for (system, kind), count in list(counted.items()):
            outcomes.add_metric((system, kind), count)
        changed = CounterMetricFamily(
            "stockbridge_listings_desired_changes", "Figures that became others",
            value=self.desk.counts.changed,
        )  # fmt: skip
        return [waiting, age, outcomes, changed]
