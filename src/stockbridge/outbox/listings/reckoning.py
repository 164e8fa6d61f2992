"""Sets what a partner sold off against what the hub has heard of, as one snapshot has it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from stockbridge.contracts.partners.manifest import Stock
from stockbridge.contracts.partners.model import Partners
from stockbridge.outbox.listings import rules
from stockbridge.outbox.listings.model import Figures, Row, Wanted
from stockbridge.store.arrays import ints, moments
from stockbridge.store.database import Pool
from stockbridge.store.snapshot import one_snapshot
from stockbridge.store.sql import load

SQL = load(__package__)


class Seen(NamedTuple):
    """A row, and what the partner was seen to show; None: not looked at."""

    row: Row
    observed: int | None


class Reckoner:
    """For one system: figures that are exact although some sales were not heard of."""

    def __init__(
        self, pool: Pool, figures: Figures, partners: Partners, system: str, stock: Stock
    ) -> None:
        self._pool = pool
        self._figures = figures
        self._partners = partners
        self._system = system
        self._stock = stock

    async def reckon(self, seen: Sequence[Seen]) -> list[Row]:
        """The rows with their figures as the store has them now, in order.

        Raises Retry or psycopg.Error where the database is away.
        """
        if not seen:
            return []
        heard_at = await self._partners.orders_heard_at(self._system)
        unshipped = {self._system} if self._stock.basis != "available" else set()
        async with self._pool.connection() as conn, one_snapshot(conn):
            items = ints({each.row.item_id for each in seen})
            rows = await (await conn.execute(SQL.listings_of, {"items": items})).fetchall()
            wanted = [Wanted(*row[:5]) for row in rows if row[1] == self._system]
            exact = await self._figures.read(conn, wanted, unshipped)
            found: list[Any] = await (await conn.execute(SQL.own_orders, _columns(seen))).fetchall()
        heard = {listing_id: units for listing_id, units, _ in found}
        now: datetime = found[0][2]
        most = self._stock.quantity_max
        return [
            rules.reckoned(
                row, observed, min(exact.get(row.listing_id, row.desired), most),
                heard[row.listing_id], now, heard_at,
            )
            for row, observed in seen
        ]  # fmt: skip


def _columns(seen: Sequence[Seen]) -> dict[str, Any]:
    rows = [each.row for each in seen]
    return {
        "ids": ints(row.listing_id for row in rows),
        "channels": ints(row.channel_id for row in rows),
        "items": ints(row.item_id for row in rows),
        "locations": ints(row.location_id for row in rows),
        "sinces": moments(row.heard_from or row.claimed_at for row in rows),
    }
