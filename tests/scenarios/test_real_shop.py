"""A real Vendure: the stories its simulator is told, and a day of a shop with the whole hub."""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.kit.simulator import Ordered
from stockbridge.connectors.vendure.tests.stories import STORIES, Desk
from stockbridge.contracts.partners.model import Opened
from tests.http_api import Client, serving, warehouse
from tests.vendure.install import NotInstallable, installed
from tests.vendure.shop import PASSWORD, Shop, open_shop

# The first run of a version installs some hundred packages.
pytestmark = pytest.mark.timeout(1_200)
SECONDS_MAX = 90.0
FEED = "/v1/systems/shop/feeds/orders"
SIGNS = f"whsec_{base64.b64encode(b'0123456789abcdef01234567').decode()}"


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return installed()
    except NotInstallable as error:
        pytest.skip(f"no real shop: {error}")


@pytest.fixture
def shop(folder, data_dir) -> Iterator[Shop]:
    with open_shop(folder, data_dir) as opened:
        yield opened


async def test_the_stories_are_true_of_a_real_shop(shop):
    failures: list[str] = []
    opened = Opened("shop", shop.config(), {"password": PASSWORD}, "sandbox")
    connector = Registry().open("vendure", opened)
    for number, story in enumerate(STORIES):
        desk = await asyncio.to_thread(Desk, shop, connector, f"SKU-{number}")
        try:
            await story(desk)
        except AssertionError as error:
            failures.append(f"{story.__name__}: {error}")
    await connector.close()
    assert failures == []


async def test_a_day_of_a_shop(folder, dsn, tmp_path, data_dir):
    """Stock to the shop, its sales back, never put back; a parcel, and an order called off."""
    async with (
        serving(dsn, tmp_path, secret_key="k" * 32) as hub,
        contextlib.AsyncExitStack() as on,
    ):
        hook = f"{hub.app.url}/v1/webhooks/shop"
        begun = open_shop(folder, data_dir, hook_url=hook, secret=SIGNS)
        shop = await asyncio.to_thread(begun.__enter__)
        on.push(begun.__exit__)
        day = Day(hub, shop)
        await day.opens()
        first = await day.sells(3)
        await day.hears(first, "released")
        await day.shows(22)

        # Unheard sales: the hub does not read orders, and gets more goods in the meantime.
        assert (await hub.put(FEED, {"paused": True})).status_code == 200
        unheard = await day.sells(4)
        await day.receives(5)
        await day.shows(23)
        assert (await day.listing())["unheard"] == 4
        assert (await hub.put(FEED, {"paused": False})).status_code == 200
        assert (await hub.post(f"{FEED}/poll", {})).status_code == 202
        await day.hears(unheard, "released")
        await day.until(day.is_reckoned, "sales that were heard are not counted any more")
        await day.shows(23)

        await day.ships(first)
        await day.until(lambda: day.is_in(first, "Shipped"), "the parcel is not in the shop")
        assert await asyncio.to_thread(shop.on_hand, day.item) == (27, 4)
        await day.shows(23)

        await asyncio.to_thread(shop.cancel, unheard.number)
        await day.hears(unheard, "cancelled")
        await day.shows(27)
        assert await day.exceptions() == []


class Day:
    """What happens between a hub and a shop that sells SKU-1 from MAIN."""

    def __init__(self, hub: Client, shop: Shop) -> None:
        self.hub, self.shop = hub, shop
        self.item = shop.list_item("SKU-1", 0)

    async def until(self, is_so: Callable[[], Awaitable[bool]], what: str) -> None:
        ends = monotonic() + SECONDS_MAX
        while not await is_so():
            assert monotonic() < ends, f"{what}: {await self.listing()} {await self.exceptions()}"
            await asyncio.sleep(0.1)

    async def opens(self) -> None:
        """Set the system up as a person would, and list what it sells."""
        await warehouse(self.hub)
        await self.hub.stock("SKU-1", MAIN=25)
        body = {"kind": "storefront", "connector": "vendure", "config": self.shop.config(),
                "lifecycle": "testing", "environment": "sandbox"}  # fmt: skip
        answer = await self.hub.put("/v1/systems/shop", body)
        assert answer.status_code == 201, answer.text
        for name, secret in (("password", PASSWORD), ("webhook", SIGNS)):
            kept = await self.hub.put(f"/v1/systems/shop/secrets/{name}", {"secret": secret})
            assert kept.status_code == 200, kept.text
        channel = {"system": "shop", "sources": ["MAIN"]}
        assert (await self.hub.put("/v1/channels/webshop", channel)).status_code == 201
        begun = await self.hub.post("/v1/systems/shop/discover", {"channel": "webshop"})
        assert begun.status_code == 202, begun.text
        await self.until(self._is_listed, "the shop's item is not listed")
        tested = (await self.hub.post("/v1/systems/shop/test", {})).json()
        assert [check for check in tested["checks"] if not check["is_good"]] == []
        await self.shows(25)

    async def _is_listed(self) -> bool:
        return bool(await self.listing())

    async def listing(self) -> dict[str, Any]:
        rows = (await self.hub.get("/v1/listings?system=shop")).json()["items"]
        return rows[0] if rows else {}

    async def exceptions(self) -> list[Any]:
        rows = (await self.hub.get("/v1/exceptions")).json()["items"]
        return [(row["kind"], row["subject"]) for row in rows if row.get("state") != "resolved"]

    async def shows(self, figure: int) -> None:
        """Customers can have so many, and it stays so once the hub has nothing to write."""

        async def is_so() -> bool:
            listing = await self.listing()
            at_rest = (listing["state"], listing["published"]) == ("ok", figure)
            return at_rest and await asyncio.to_thread(self.shop.shown, self.item) == figure

        await self.until(is_so, f"the shop does not show {figure}")

    async def sells(self, units: int) -> Ordered:
        return await asyncio.to_thread(self.shop.order, {"SKU-1": units})

    async def hears(self, ordered: Ordered, state: str) -> None:
        async def is_so() -> bool:
            return bool((await self._order(ordered)).get("state") == state)

        await self.until(is_so, f"{ordered.number} is not {state}")

    async def _order(self, ordered: Ordered) -> dict[str, Any]:
        found = await self.hub.get(f"/v1/channels/webshop/orders/{ordered.number}")
        return dict(found.json())

    async def receives(self, units: int) -> None:
        receipt = {"location": "MAIN",
                   "document": {"type": "purchase_order", "number": "PO-1"},
                   "lines": [{"sku": "SKU-1", "quantity": units}]}  # fmt: skip
        answer = await self.hub.post("/v1/receipts", receipt)
        assert answer.status_code == 201, answer.text

    async def ships(self, ordered: Ordered) -> None:
        parcel = {"shipment": "P-1", "location": "MAIN", "carrier": "DPD", "tracking": "1550",
                  "document": {"type": "order", "number": ordered.number},
                  "lines": [{"sku": "SKU-1", "quantity": line.quantity}
                            for line in ordered.lines]}  # fmt: skip
        answer = await self.hub.post("/v1/shipments", parcel)
        assert answer.status_code == 201, answer.text

    async def is_in(self, ordered: Ordered, state: str) -> bool:
        return await asyncio.to_thread(self.shop.state, ordered.number) == state

    async def is_reckoned(self) -> bool:
        return (await self.listing())["unheard"] == 0
