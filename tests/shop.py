"""A shop on loopback that keeps figures and sells of its own, and a connector that speaks to it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import aiohttp
from aiohttp import web

from stockbridge.contracts.partners.manifest import LimitRule, Manifest, Stock
from stockbridge.contracts.partners.model import Observed, Outcome, StockUpdate
from stockbridge.kernel.errors import Misconfigured, Retry

Place = tuple[str, str]


class Shop:
    """Figures by (item, location); switches make it misbehave."""

    def __init__(self, *, compares: bool = True) -> None:
        self.compares = compares
        self.figures: dict[Place, int] = {}
        self.writes: list[tuple[str, str, int]] = []
        self.wrote = asyncio.Event()
        self.calls: Counter[str] = Counter()
        self.refused: set[str] = set()
        self.unlisted: set[str] = set()
        self.is_down = False
        self.accepts = False
        self.ignores = 0
        self.loses_answers = 0
        self.before_write: list[Any] = []
        self.while_reading: list[Any] = []
        self.hangs: set[str] = set()
        self.call_seconds = 0.0
        self.url = ""

    def sell(self, item: str, units: int = 1, location: str = "") -> None:
        self.figures[item, location] -= units

    async def publish(self, request: web.Request) -> web.Response:
        rows = await request.json()
        self.calls["publish"] += 1
        if self.is_down:
            return web.Response(status=503)
        if self.hangs & {row["item"] for row in rows}:
            await asyncio.sleep(30)
        await asyncio.sleep(self.call_seconds)
        while self.before_write:
            self.before_write.pop()()
        answers = [self._set(row) for row in rows]
        self.wrote.set()
        if self.loses_answers:
            self.loses_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(answers)

    def _set(self, row: dict[str, Any]) -> dict[str, Any]:
        place = row["item"], row["location"]
        if row["item"] in self.refused:
            return {"kind": "rejected", "code": "bad_item", "detail": "not sold here any more"}
        shown = self.figures.get(place, 0)
        if self.compares and row["previous"] != shown:
            return {"kind": "later", "code": "stale", "observed": shown}
        if self.ignores:
            self.ignores -= 1
            return {"kind": "accepted"}
        self.figures[place] = row["quantity"]
        self.writes.append((*place, row["quantity"]))
        return {"kind": "accepted" if self.accepts else "confirmed"}

    async def observe(self, request: web.Request) -> web.Response:
        rows = await request.json()
        self.calls["observe"] += 1
        while self.while_reading:
            await self.while_reading.pop()()
        if self.is_down:
            return web.Response(status=503)
        return web.json_response(
            [
                None if row["item"] in self.unlisted
                else self.figures.get((row["item"], row["location"]), 0)
                for row in rows
            ]
        )  # fmt: skip


@contextlib.asynccontextmanager
async def serving(shop: Shop) -> AsyncIterator[Shop]:
    """The shop on a free port."""
    app = web.Application()
    app.router.add_post("/publish", shop.publish)
    app.router.add_post("/observe", shop.observe)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield shop
    finally:
        await runner.cleanup()


def manifest(limits: Sequence[LimitRule] = (), **stock: Any) -> Manifest:
    """A partner called `shop`."""
    told: dict[str, Any] = {
        "mode": "compare_and_set",
        "rows_max": 10,
        "observe_rows_max": 10,
    } | stock
    return Manifest(
        name="shop", title="Shop", kind="storefront", version="1", summary="For tests",
        stock=Stock(**told), limits=list(limits), timeout_seconds=1.0,
    )  # fmt: skip


class ShopConnector:
    """Speaks to one shop."""

    def __init__(self, shop: Shop, told: Manifest) -> None:
        self.manifest = told
        self._shop = shop
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1.0))

    async def close(self) -> None:
        await self._http.close()

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        rows = [_row(update) for update in updates]
        try:
            async with self._http.post(f"{self._shop.url}/publish", json=rows) as answer:
                if answer.status == 503:
                    return [Outcome("later", "down")] * len(rows)
                return [Outcome(**each) for each in await answer.json()]
        except (aiohttp.ClientError, TimeoutError) as error:
            return [Outcome("unknown", "no_answer", str(error))] * len(rows)

    async def publish_bulk(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        self._shop.calls["bulk"] += 1
        return await self.publish(updates)

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        rows = [_row(update) for update in updates]
        try:
            async with self._http.post(f"{self._shop.url}/observe", json=rows) as answer:
                if answer.status == 503:
                    raise Retry("the shop is down")
                figures = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Retry(str(error)) from error
        return [
            Observed(update.item, update.location, figure)
            for update, figure in zip(updates, figures, strict=True)
        ]


def _row(update: StockUpdate) -> dict[str, Any]:
    return {
        "item": update.item,
        "location": update.location,
        "quantity": update.quantity,
        "previous": update.previous,
    }


class ShopPartners:
    """The connections of a process: every system is the one shop."""

    def __init__(self, shop: Shop, told: Manifest) -> None:
        self.told = told
        self.heard_at: datetime | None = None
        self.is_open = True
        self._connector = ShopConnector(shop, told)

    async def connector(self, system: str) -> Any:
        if not self.is_open:
            raise Misconfigured(f"{system} is suspended")
        return self._connector

    async def orders_heard_at(self, _system: str) -> datetime | None:
        return self.heard_at

    async def close(self) -> None:
        await self._connector.close()

    # As Connectors -------------------------------------------------------------------------------
    def manifest(self, _name: str) -> Manifest:
        return self.told
