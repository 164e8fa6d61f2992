"""What listings shall show: figures by item and location, from the stock view or the store."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from stockbridge.domain.availability import rules
from stockbridge.domain.availability.split import split
from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.masters.model import Channel
from stockbridge.outbox.listings.model import Wanted
from stockbridge.views.keeper import Keeper, now_us
from stockbridge.views.loading import SQL, Connection, load_items, rows_of
from stockbridge.views.shelves import Plan, Shelves
from stockbridge.views.stock import StockView
from stockbridge.views.stream import Follower

Group = tuple[str, int, int]
"""(system, channel id, item id): listings that share one figure."""


class StoredFigures:
    """Figures as a snapshot of the store has them; for a process without a stock view."""

    async def read(
        self, conn: Connection, wanted: Sequence[Wanted], unshipped: Collection[str]
    ) -> dict[int, int]:
        """Figures by listing id; inside `one_snapshot`."""
        masters = Masters()
        await masters.reload(conn)
        now: int = (await rows_of(conn, SQL.epoch_and_moment))[0][1]
        shelves = await load_items(conn, {each.item_id for each in wanted})
        found = _figures(shelves, masters.channels_by_id, wanted, now, {})
        own = await _unshipped(conn, [each for each in wanted if each.system in unshipped])
        return {listing_id: units + own.get(listing_id, 0) for listing_id, units in found.items()}


class ViewFigures(StoredFigures):
    """Figures from the memory of a stock view, and from the store where they must be exact."""

    def __init__(self, view: StockView) -> None:
        self._keeper: Keeper = view.keeper
        self._plans: dict[int, Plan] = {}

    def follow(self) -> "Following":
        """Hear which items' stock changes."""
        return Following(self._keeper)

    def is_current(self) -> bool:
        """Whether memory is known to hold everything committed."""
        return self._keeper.current

    def shown(self, wanted: Sequence[Wanted]) -> dict[int, int]:
        """Figures by listing id."""
        keeper, now = self._keeper, now_us()
        channels = keeper.masters.channels_by_id
        plans = {
            channel_id: plan
            for channel_id in {each.channel_id for each in wanted}
            if channel_id in channels
            and (plan := keeper.plan(channels[channel_id].code, now)) is not None
        }
        return _figures(keeper.shelves, channels, wanted, now, plans)


class Following:
    """The items that changed, until they are taken."""

    def __init__(self, keeper: Keeper) -> None:
        self._changes = keeper.changes
        self._changed = asyncio.Event()
        self._items: set[int] = set()
        self._everything = True
        self._changed.set()
        self._follower: Follower = self._hear
        self._changes.followers.add(self._follower)

    def close(self) -> None:
        """Hear nothing more."""
        self._changes.followers.discard(self._follower)

    async def wait(self) -> None:
        """Wait until something changed."""
        await self._changed.wait()

    def take(self) -> set[int] | None:
        """The items that changed since the last call; None: everything may have."""
        items, everything = self._items, self._everything
        self._items, self._everything = set(), False
        self._changed.clear()
        return None if everything else items

    def _hear(self, items: Collection[int] | None) -> None:
        if items is None:
            self._everything = True
        else:
            self._items.update(items)
        self._changed.set()


def _figures(
    shelves: Shelves,
    channels: dict[int, Channel],
    wanted: Iterable[Wanted],
    now: int,
    plans: dict[int, Plan],
) -> dict[int, int]:
    located: dict[Group, list[Wanted]] = defaultdict(list)
    figures: dict[int, int] = {}
    for each in wanted:
        channel = channels.get(each.channel_id)
        if channel is None:
            continue
        plan = plans.get(each.channel_id)
        if plan is None:
            plan = plans[each.channel_id] = Plan.of(channel, now)
        if each.location_id:
            located[each.system, each.channel_id, each.item_id].append(each)
        else:
            figures[each.listing_id] = shelves.look_up(plan, each.item_id, now)[0]
    for (_, channel_id, item_id), rows in located.items():
        shares = _shares(shelves, plans[channel_id], item_id, now, {r.location_id for r in rows})
        figures.update((row.listing_id, shares[row.location_id]) for row in rows)
    return figures


def _shares(
    shelves: Shelves, plan: Plan, item_id: int, now: int, kept: Collection[int]
) -> dict[int, int]:
    parts, policy, freshness = shelves.question(plan, item_id, now)
    until = rules.horizon_end(policy, now)
    return split(parts, policy, freshness.stale, until, plan.channel.sources, kept)


async def _unshipped(conn: Connection, wanted: Sequence[Wanted]) -> dict[int, int]:
    if not wanted:
        return {}
    columns: dict[str, Any] = {
        "ids": [each.listing_id for each in wanted],
        "channels": [each.channel_id for each in wanted],
        "items": [each.item_id for each in wanted],
        "locations": [each.location_id for each in wanted],
    }
    return dict(await rows_of(conn, SQL.own_unshipped, **columns))
