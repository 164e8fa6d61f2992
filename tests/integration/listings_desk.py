"""A hub with one shop: engine, view, desk and publisher as a worker runs them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from stockbridge.contracts.commands import (
    ConfirmReservation,
    CountLine,
    ReportCount,
    ReserveLine,
    ReserveStock,
)
from stockbridge.contracts.masters import PutChannel, PutItem, PutLocation
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.engine import Command, Engine
from stockbridge.kernel.errors import Refusal
from stockbridge.outbox.listings import making
from stockbridge.outbox.listings.desired import Desk
from stockbridge.outbox.listings.publisher import Publisher
from stockbridge.outbox.listings.watch import Watch
from stockbridge.store.database import connect, open_pool
from stockbridge.views.figures import ViewFigures
from stockbridge.views.stock import StockView
from tests.shop import Shop, ShopPartners, manifest, serving

SECONDS_MAX = 30.0
PERIOD_SECONDS = 0.1


class Hub:
    """What a test does and sees."""

    publisher: Publisher
    desk: Desk
    watch: Watch

    def __init__(self, dsn: str, engine: Engine, partners: ShopPartners) -> None:
        self.dsn = dsn
        self.engine = engine
        self.partners = partners
        self._counts = 0

    async def do(self, body: Any, channel: str | None = None) -> dict[str, Any]:
        outcome = await self.engine.submit(Command(body, principal="test", channel=channel))
        assert outcome.status < 400, outcome.body
        return msgspec.json.decode(outcome.body)

    async def count(self, sku: str, quantity: int, location: str = "MAIN") -> None:
        self._counts += 1
        lines = [CountLine(sku=sku, quantity=quantity)]
        await self.do(ReportCount(count=f"C{self._counts}", location=location, lines=lines))

    async def order(self, sku: str, quantity: int = 1, channel: str = "web") -> None:
        """An order of the channel becomes known to the hub."""
        self._counts += 1
        lines = [ReserveLine(sku, quantity)]
        made = await self.do(ReserveStock(channel, f"O{self._counts}", lines))
        await self.do(ConfirmReservation(made["id"]))

    async def enlist(self, *skus: str, channel: str = "web") -> Any:
        async with await connect(self.dsn) as conn:
            got = await making.add(conn, self.partners, channel, skus or None, actor="test")
            assert not isinstance(got, Refusal), got
            return got

    async def rows(self, query: str, *values: Any) -> list[Any]:
        async with await connect(self.dsn) as conn:
            return await (await conn.execute(query.encode(), values)).fetchall()

    async def state(self, sku: str) -> dict[str, Any]:
        """The listing of an item."""
        async with await connect(self.dsn) as conn:
            values = dict.fromkeys(
                ("after", "id", "system", "channels", "channel", "state", "stale")
            )
            cursor = await conn.execute(making.SQL.listings_page, values | {"sku": sku, "limit": 9})
            row = await cursor.fetchone()
            assert row is not None
            return msgspec.json.decode(row[1])

    async def act(self, act: Any, **chosen: Any) -> int:
        more = {"to_zero": chosen.pop("to_zero")} if "to_zero" in chosen else {}
        async with await connect(self.dsn) as conn:
            return await act(conn, making.Selection(**chosen), actor="test", **more)


async def until(condition: Callable[[], Any], seconds: float = SECONDS_MAX) -> None:
    """Wait until it holds; a condition may be a coroutine."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def hub_and_shop(
    dsn: str, shop: Shop | None = None, told: Manifest | None = None, **channel: Any
) -> AsyncIterator[tuple[Hub, Shop]]:
    """Location MAIN, channel web of system SHOP, nothing listed; everything runs."""
    async with serving(shop or Shop()) as served:
        partners = ShopPartners(served, told or manifest())
        engine = Engine(dsn)
        await engine.start()
        hub = Hub(dsn, engine, partners)
        await _masters(hub, channel)
        pool = await open_pool(dsn, 4)
        view = StockView(dsn, pool, beat_seconds=0.1)
        await view.start(wait_seconds=SECONDS_MAX)
        figures = ViewFigures(view)
        desk = Desk(dsn, figures, partners)
        publisher = Publisher(dsn, pool, partners, figures)
        watch = Watch(dsn, partners, PERIOD_SECONDS)
        tasks = [asyncio.create_task(each.run_forever()) for each in (desk, publisher, watch)]
        hub.publisher, hub.desk, hub.watch = publisher, desk, watch
        try:
            yield hub, served
            assert not [task for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await view.stop()
            await pool.close()
            await engine.stop()
            await partners.close()


async def _masters(hub: Hub, channel: dict[str, Any]) -> None:
    for code in ("MAIN", "SIDE"):
        await hub.do(PutLocation(code))
    for sku in ("A", "B", "C"):
        await hub.do(PutItem(sku))
    await hub.rows(
        "INSERT INTO system (code, kind, connector, config, lifecycle, operations)"
        " VALUES ('SHOP', 'storefront', 'shop',"
        ' \'{"locations": {"MAIN": "m", "SIDE": "s"}}\', \'live\', \'{publish}\')'
        " RETURNING code"
    )
    aliases = ", ".join(f"('SHOP', 'shop-{sku}', '{sku}')" for sku in "ABC")
    await hub.rows(
        "INSERT INTO item_alias SELECT a.namespace, a.alias, i.item_id"
        f" FROM (VALUES {aliases}) AS a (namespace, alias, sku) JOIN item i USING (sku)"
        " RETURNING alias"
    )
    body = {"code": "web", "system": "SHOP", "sources": ["MAIN"]} | channel
    await hub.do(PutChannel(**body))
    await hub.do(PutChannel("other", sources=["MAIN"]))
