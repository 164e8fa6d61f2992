"""Masters in memory: the small tables whole, items as they are asked for.

The epoch tells whether the cache is current: it is read first, so what follows is never older.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from stockbridge.domain.masters.model import (
    Catalog,
    Channel,
    Item,
    Location,
    OrderFlow,
    Policy,
    ReasonCode,
    System,
)
from stockbridge.store.sql import load

SQL = load(__package__)
GLN_PREFIX = "gln:"
"""Before a GLN that stands for a location's code."""
ITEMS_MAX = 500_000
"""Most items kept; beyond it they are forgotten and fetched again as they are asked for."""

Versions = dict[int, dict[int | None, list[Policy]]]


class Masters(Catalog):
    """One process's copy of the masters; not safe to reload and fetch at the same time."""

    def __init__(self, items_max: int = ITEMS_MAX) -> None:
        super().__init__()
        self._items_max = items_max

    async def reload(self, conn: AsyncConnection[Any]) -> None:
        """Read the epoch and the small tables again and forget every item."""
        epoch = (await _rows(conn, SQL.masters_epoch))[0][0]
        locations = [Location(*row) for row in await _rows(conn, SQL.all_locations)]
        channels = await _channels(conn)
        reasons = [ReasonCode(*row) for row in await _rows(conn, SQL.all_reason_codes)]
        rows = await _rows(conn, SQL.all_systems)
        systems = [System(*(*row[:-1], tuple(row[-1]))) for row in rows]
        self.has_fences = bool((await _rows(conn, SQL.any_fences))[0][0])
        self.locations = {location.code: location for location in locations}
        for location in locations:
            if location.gln is not None:
                self.locations.setdefault(GLN_PREFIX + location.gln, location)
        self.locations_by_id = {location.location_id: location for location in locations}
        self.channels = {channel.code: channel for channel in channels}
        self.channels_by_id = {channel.channel_id: channel for channel in channels}
        self.reason_codes = {reason.code: reason for reason in reasons}
        self.systems = {system.code: system for system in systems}
        self.items, self.items_by_id, self.aliases = {}, {}, {}
        self.epoch = epoch

    async def fetch(
        self,
        conn: AsyncConnection[Any],
        skus: Collection[str],
        aliases: Collection[tuple[str, str]] = (),
        item_ids: Collection[int] = (),
    ) -> None:
        """Fill in what is not known yet, kit components included; unknown names stay absent.

        Everything asked for stays until the next fetch; beyond the bound all else is forgotten.
        """
        if len(self.items_by_id) > self._items_max:
            self.items, self.items_by_id, self.aliases = {}, {}, {}
        if (
            not aliases
            and self.items.keys() >= set(skus)
            and self.items_by_id.keys() >= set(item_ids)
        ):
            return
        missing_skus = [sku for sku in skus if sku not in self.items]
        missing_aliases = [alias for alias in aliases if alias not in self.aliases]
        known = {self.items[sku].item_id for sku in skus if sku in self.items}
        known |= {self.aliases[alias] for alias in aliases if alias in self.aliases}
        asked = known.union(item_ids)
        for item in [self.items_by_id[i] for i in asked if i in self.items_by_id]:
            asked.update(component for component, _ in item.components)
        missing_ids = [item_id for item_id in asked if item_id not in self.items_by_id]
        if not (missing_skus or missing_aliases or missing_ids):
            return
        names = _columns(missing_aliases)
        rows = await _rows(
            conn, SQL.fetch_items, {"skus": missing_skus, "item_ids": missing_ids, **names}
        )
        found = [_item(row) for row in rows]
        for item in found:
            self.items[item.sku] = item
            self.items_by_id[item.item_id] = item
        if missing_aliases:
            for namespace, alias, item_id in await _rows(conn, SQL.fetch_aliases, names):
                self.aliases[namespace, alias] = item_id


async def _rows(
    conn: AsyncConnection[Any], statement: bytes, values: dict[str, Any] | None = None
) -> list[Any]:
    return await (await conn.execute(statement, values)).fetchall()


def _columns(aliases: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    pairs = list(aliases)
    return {"namespaces": [pair[0] for pair in pairs], "aliases": [pair[1] for pair in pairs]}


def _item(row: tuple[Any, ...]) -> Item:
    item_id, sku, base_uom, status, tracking, cost, uoms, components = row
    units = {uom: (ratio[0], ratio[1]) for uom, ratio in (uoms or {}).items()}
    parts = tuple((part[0], part[1]) for part in components or ())
    return Item(item_id, sku, base_uom, status, tracking, cost, units, parts)


async def _channels(conn: AsyncConnection[Any]) -> list[Channel]:
    versions: Versions = defaultdict(lambda: defaultdict(list))
    for channel_id, item_id, *version in await _rows(conn, SQL.all_policies):
        versions[channel_id][item_id].append(_policy(*version))
    flows = {row[0]: OrderFlow(*row[1:]) for row in await _rows(conn, SQL.all_order_flows)}
    channels = await _rows(conn, SQL.all_channels)
    return [_channel(row, versions[row[0]], flows.get(row[0], OrderFlow())) for row in channels]


def _channel(
    row: tuple[Any, ...], versions: dict[int | None, list[Policy]], flow: OrderFlow
) -> Channel:
    channel_id, code, sourcing, sources, freshness_seconds_max, system, name = row
    return Channel(
        channel_id,
        code,
        sourcing,
        tuple(sources),
        freshness_seconds_max,
        policies=tuple(versions.get(None, ())),
        item_policies={i: tuple(v) for i, v in versions.items() if i is not None},
        system=system,
        name=name,
        flow=flow,
    )


def _policy(version: int, effective_from: datetime, author: str, body: dict[str, Any]) -> Policy:
    return Policy(version=version, effective_from=effective_from, author=author, **body)
