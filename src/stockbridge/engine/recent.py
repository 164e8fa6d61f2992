"""Balances as this process last read or decided them: what lets a batch be decided ahead.

Never trusted: every write that was decided on these rows is refused by the store if a row has
another version by then (see speculate.py). A stale row costs a second try, never a wrong promise.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from stockbridge.domain.world.model import VERSION
from stockbridge.domain.world.world import Place, World

PLACES_MAX = 400_000
"""Most rows kept, about 250 bytes each; beyond it all are forgotten."""

Row = list[Any]


class Recent:
    """Shared by the workers of one engine; every method is synchronous, so each is atomic."""

    def __init__(self, places_max: int = PLACES_MAX) -> None:
        self._rows: dict[Place, Row | None] = {}
        self._places_max = places_max
        self._ahead = timedelta(0)
        self._now = datetime.min.replace(tzinfo=UTC)
        self._careful = 0
        self._calm = asyncio.Event()
        self._calm.set()
        self.batch_ids: deque[int] = deque()
        self.last_turn: asyncio.Future[None] | None = None

    @property
    def is_calm(self) -> bool:
        """Whether no careful batch runs, so that recent rows are the newest of this process."""
        return self._careful == 0

    async def calm(self) -> None:
        """Wait until no careful batch runs."""
        await self._calm.wait()

    @asynccontextmanager
    async def careful(self) -> AsyncIterator[None]:
        """Around a careful batch: those decided ahead come first, and no more are decided."""
        self._careful += 1
        self._calm.clear()
        try:
            if self.last_turn is not None:
                await self.last_turn
            yield
        finally:
            self._careful -= 1
            if not self._careful:
                self._calm.set()

    def now(self) -> datetime:
        """The database's clock as last seen, carried forward by ours; never backwards."""
        self._now = max(self._now, datetime.now(UTC) + self._ahead)
        return self._now

    def missing(self, places: Iterable[Place]) -> list[Place]:
        """The places never read."""
        rows = self._rows
        return [place for place in places if place not in rows]

    def add(self, places: Iterable[Place], rows: Iterable[tuple[Any, ...]], location: int) -> None:
        """Take in rows read without a lock, where nothing newer is known; absence is known too."""
        if len(self._rows) > self._places_max:
            self._rows.clear()
        for row in rows:
            self._rows.setdefault((row[0], row[location]), list(row))
        for place in places:
            self._rows.setdefault(place, None)

    def take_batch_id(self, newest: int) -> int | None:
        """An id above `newest`, the highest version of the rows a batch stands on.

        Movements of one place must be in the order of their batches: that is the order in which
        the laws of the books are checked.
        """
        while self.batch_ids:
            batch_id = self.batch_ids.popleft()
            if batch_id > newest:
                return batch_id
        return None

    def rows(self, places: Iterable[Place]) -> list[Row | None]:
        """The row of each place, None where the pair has none or is not known."""
        return list(map(self._rows.get, places))

    def keep(self, world: World) -> None:
        """Take over what a batch decided, as its version; the batch keeps the one it stood on."""
        for place, balance in world.balances_changed.items():
            row = balance.q.copy()
            row[VERSION] = world.batch_id
            self._rows[place] = row

    def learn(self, world: World, clock: datetime) -> None:
        """Take over what a batch read under lock and committed; `clock` is ours at its lock."""
        self._ahead = world.now - clock
        for place, balance in world.balances.items():
            if balance.q[VERSION] is not None:
                self._rows[place] = balance.q
        self.keep(world)

    def forget(self, places: Iterable[Place]) -> None:
        """Drop rows that turned out to be stale."""
        for place in places:
            self._rows.pop(place, None)
