"""Stories of channels: what partners' simulators show, sell and are told, the hub over HTTP."""

import pytest

from tests.http_api import scalar
from tests.scenarios.floor import trading, until

ALL = ("generic", "woocommerce", "square", "walmart")
AN_HOUR = "SET due_at = now() + interval '1 hour'"
pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("name", ALL)
async def test_pushing_never_readds_what_was_sold_and_not_heard(dsn, tmp_path, name):
    async with trading(dsn, tmp_path, name, MUG=10) as floor:
        (shop,) = floor.shops.values()
        await floor.shows(shop, "MUG", 10)
        assert shop.sell("MUG", 7) is not None
        # The hub has heard of nothing, and now has a reason to write.
        await floor.receive("MUG", 2)
        calls = len(shop.sim.called("publish"))
        await until(lambda: len(shop.sim.called("publish")) > calls, "a figure is sent")
        await until(lambda: shop.left("MUG") == 5, f"it shows 5, not {shop.left('MUG')}")
        await floor.poll(shop)
        await floor.shows(shop, "MUG", 5)
        assert shop.left("MUG") == floor.available("MUG") == 5


async def test_what_failed_for_its_credentials_is_tried_when_they_are_put(dsn, tmp_path):
    async with trading(dsn, tmp_path, "woocommerce", MUG=10) as floor:
        (shop,) = floor.shops.values()
        await floor.shows(shop, "MUG", 10)
        shop.sim.between(shop.sim.rotate)
        ordered = shop.sell("MUG", 1)
        assert ordered is not None
        await floor.receive("MUG", 5)
        await floor.ask("POST", "/v1/systems/woocommerce/feeds/orders/poll", {})

        async def is_refused() -> bool:
            feed, listing = await floor.feed(shop), await floor.listing(shop, "MUG")
            return bool(feed["failures"] and listing["attempts"])

        await until(is_refused, "feed and listing fail")
        await scalar(dsn, f"UPDATE poll_feed {AN_HOUR} RETURNING 1")
        await scalar(dsn, f"UPDATE listing {AN_HOUR} WHERE state = 'dirty' RETURNING 1")
        await scalar(dsn, "UPDATE breaker SET state = 'open', retry_at = 1e12 RETURNING 1")
        await floor.give_secrets(shop)
        await until(lambda: floor.knows(shop, ordered.number), "the order is read")
        await floor.shows(shop, "MUG", 14)
