"""The stock view: what one process answers availability questions from.

In memory where it is known to be current, from the store by the same rules where it is not:
while it loads, when its last heartbeat is too old, and for names it does not know.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout

from stockbridge.contracts.availability import Availability, AvailabilityDated, AvailabilityList
from stockbridge.domain.masters.cache import Masters
from stockbridge.kernel.errors import Refusal, Retry
from stockbridge.store.database import Pool
from stockbridge.store.snapshot import one_snapshot
from stockbridge.views.answers import Desk, text_of, unknown_channel, unknown_sku
from stockbridge.views.keeper import Keeper, now_us
from stockbridge.views.loading import SQL, load_some, rows_of
from stockbridge.views.shelves import Plan
from stockbridge.views.stream import Change, Subscription

VIEW_AGE_SECONDS_MAX: Final = 2.0
BEAT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class ViewHealth:
    """How the view does.

    `age_seconds`: since it was last known to hold everything; None while loading. Lag: from a
    batch's recorded_at to its figures being shown here, the last and the worst of a minute.
    """

    current: bool
    age_seconds: float | None
    lag_seconds_last: float
    lag_seconds_max: float
    items: int
    loads: int
    load_seconds: float


class StockView:
    """Answers for one process; `start`, then ask, then `stop`.

    `pool` serves the questions that must go to the store; its connections are in autocommit.
    """

    def __init__(
        self,
        dsn: str,
        pool: Pool,
        *,
        view_age_seconds_max: float = VIEW_AGE_SECONDS_MAX,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._keeper = Keeper(dsn, view_age_seconds_max, beat_seconds)
        self._pool = pool
        self._as_of = (0, "")

    async def start(self, *, wait_seconds: float = 0) -> None:
        """Begin to load and listen; with `wait_seconds`, return when loaded or when they are up."""
        self._keeper.start()
        if wait_seconds:
            await self.wait_loaded(wait_seconds)

    async def stop(self) -> None:
        """Stop listening; questions still asked go to the store."""
        await self._keeper.stop()

    @property
    def keeper(self) -> Keeper:
        """What keeps the view; for other reads of the same memory."""
        return self._keeper

    async def wait_loaded(self, seconds: float) -> bool:
        """Wait until everything is loaded and current; False when it took more than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._keeper.loaded.wait()
                await self._keeper.proved.wait()
        except TimeoutError:
            return False
        return True

    def health(self) -> ViewHealth:
        """For readiness, metrics and the overview."""
        keeper = self._keeper
        return ViewHealth(
            current=keeper.current,
            age_seconds=keeper.age_seconds if keeper.loaded.is_set() else None,
            lag_seconds_last=keeper.lag.last,
            lag_seconds_max=keeper.lag.peak(time.monotonic()),
            items=len(keeper.shelves.ids),
            loads=keeper.loads,
            load_seconds=keeper.load_seconds,
        )

    def known(self, channel: str, sku: str) -> Availability | None:
        """How many of `sku` the channel may show, from memory; None: the store must be asked."""
        desk = self._desk(channel)
        item_id = desk.shelves.ids.get(sku) if desk is not None else None
        return None if desk is None or item_id is None else desk.one(sku, item_id)

    async def answer(self, channel: str, sku: str) -> Availability | Refusal:
        """How many of `sku` the channel may show. Raises Retry when the store is away."""
        shown = self.known(channel, sku)
        if shown is not None:
            return shown
        found = await self._find(channel, sku)
        return found if isinstance(found, Refusal) else found[0].one(sku, found[1])

    async def answer_dated(
        self, channel: str, sku: str, quantity: int | None = None, by: datetime | None = None
    ) -> AvailabilityDated | Refusal:
        """The same; whether `quantity` (1 if None) can be had by `by`, and when at the earliest.

        Without `by` the shown figure must suffice. Raises Retry when the store is away.
        """
        desk = self._desk(channel)
        item_id = desk.shelves.ids.get(sku) if desk is not None else None
        if desk is not None and item_id is not None:
            return desk.dated(sku, item_id, quantity, by)
        found = await self._find(channel, sku)
        if isinstance(found, Refusal):
            return found
        return found[0].dated(sku, found[1], quantity, by)

    async def answer_many(self, channel: str, skus: Sequence[str]) -> AvailabilityList | Refusal:
        """The figures of many SKUs, all as of one moment. Raises Retry when the store is away."""
        desk = self._desk(channel)
        if desk is not None:
            answered = desk.many(skus)
            if not answered.unknown or await self._nobodys(channel, answered.unknown):
                return answered
        read = await self._from_store(channel, skus)
        return read if isinstance(read, Refusal) else read.many(skus)

    async def _nobodys(self, channel: str, skus: Sequence[str]) -> bool:
        """Does the store, too, know none of these SKUs? Those it knows are learnt."""
        read = await self._from_store(channel, skus)
        if isinstance(read, Refusal):
            return False
        self._learn(read)
        return not read.shelves.ids

    async def subscribe(self, channel: str, after: int | None = None) -> Subscription | Refusal:
        """Changes of the channel's figures, from batch `after` on if that is still remembered.

        Otherwise it begins with the mark to query everything (a `Change` with sku None).
        """
        if self._keeper.plan(channel, now_us()) is None:
            desk = await self._from_store(channel, ())
            if isinstance(desk, Refusal):
                return desk

        def current(item_id: int) -> Change | None:
            desk = self._desk(channel)
            sku = self._keeper.shelves.names.get(item_id)
            if desk is None or sku is None:
                return None
            return Change(self._keeper.changes.sequence, sku, desk.one(sku, item_id).available)

        remembered = after if self._keeper.current else None
        return self._keeper.changes.subscribe(channel, remembered, current)

    def _desk(self, channel: str) -> Desk | None:
        """The view's own desk; None when it must not answer for this channel now."""
        keeper = self._keeper
        if not keeper.current:
            return None
        now = now_us()
        plan = keeper.plan(channel, now)
        if plan is None:
            return None
        if self._as_of[0] != keeper.as_of:
            self._as_of = (keeper.as_of, text_of(keeper.as_of))
        return Desk(keeper.shelves, plan, now, self._as_of[1], "view")

    async def _find(self, channel: str, sku: str) -> tuple[Desk, int] | Refusal:
        desk = await self._from_store(channel, (sku,))
        if isinstance(desk, Refusal):
            return desk
        item_id = desk.shelves.ids.get(sku)
        if item_id is None:
            return unknown_sku(sku)
        self._learn(desk)
        return desk, item_id

    def _learn(self, desk: Desk) -> None:
        names = self._keeper.shelves.names
        for item_id in desk.shelves.names:
            if self._keeper.loaded.is_set() and item_id not in names:
                self._keeper.want_item(item_id)

    async def _from_store(self, channel: str, skus: Sequence[str]) -> Desk | Refusal:
        """A desk with the items of `skus` that exist, read in one snapshot."""
        try:
            async with self._pool.connection() as conn, one_snapshot(conn):
                epoch, now = (await rows_of(conn, SQL.epoch_and_moment))[0]
                masters = self._keeper.masters
                if masters.epoch != epoch:
                    masters = Masters()
                    await masters.reload(conn)
                found = masters.channels.get(channel)
                if found is None:
                    return unknown_channel(channel)
                shelves = await load_some(conn, skus)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise Retry(
                "availability cannot be read: the stock view is not current and the database "
                "does not answer; try again shortly"
            ) from error
        return Desk(shelves, Plan.of(found, now), now, text_of(now), "store")
