"""Stories of channels: what partners' simulators show, sell and are told, the hub over HTTP."""

from typing import Any

import pytest

from tests.http_api import scalar
from tests.scenarios.floor import Floor, trading, until

ALL = ("generic", "woocommerce", "square", "walmart", "shopify", "vendure", "amazon")
MUG = "ALL.MUG"
AN_HOUR = "SET due_at = now() + interval '1 hour'"
pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("name", ALL)
async def test_pushing_never_readds_what_was_sold_and_not_heard(dsn, tmp_path, name):
    async with trading(dsn, tmp_path, [name], {MUG: 10}) as floor:
        (shop,) = floor.shops.values()
        await floor.shows(shop, MUG, 10)
        assert shop.sell(MUG, 7) is not None
        # The hub has heard of nothing, and now has a reason to write.
        await floor.receive(MUG, 2)
        calls = len(shop.sim.called("publish"))
        await until(lambda: len(shop.sim.called("publish")) > calls, "a figure is sent")
        await until(lambda: shop.left(MUG) == 5, f"it shows 5, not {shop.left(MUG)}")
        await floor.poll(shop)
        await floor.shows(shop, MUG, 5)
        assert shop.left(MUG) == floor.available(MUG) == 5


async def test_what_failed_for_its_credentials_is_tried_when_they_are_put(dsn, tmp_path):
    async with trading(dsn, tmp_path, ["woocommerce"], {MUG: 10}) as floor:
        (shop,) = floor.shops.values()
        await floor.shows(shop, MUG, 10)
        shop.sim.between(shop.sim.rotate)
        ordered = shop.sell(MUG, 1)
        assert ordered is not None
        await floor.receive(MUG, 5)
        await floor.ask("POST", "/v1/systems/woocommerce/feeds/orders/poll", {})

        async def is_refused() -> bool:
            feed, listing = await floor.feed(shop), await floor.listing(shop, MUG)
            return bool(feed["failures"] and listing["attempts"])

        await until(is_refused, "feed and listing fail")
        await scalar(dsn, f"UPDATE poll_feed {AN_HOUR} RETURNING 1")
        await scalar(dsn, f"UPDATE listing {AN_HOUR} WHERE state = 'dirty' RETURNING 1")
        await scalar(dsn, "UPDATE breaker SET state = 'open', retry_at = 1e12 RETURNING 1")
        await floor.give_secrets(shop.code, shop.sim.secrets())
        await until(lambda: floor.knows(shop, ordered.number), "the order is read")
        await floor.shows(shop, MUG, 14)


@pytest.mark.parametrize("name", ["woocommerce", "square", "walmart", "vendure"])
async def test_what_a_partner_does_itself_when_told_is_read(dsn, tmp_path, name):
    async with trading(dsn, tmp_path, [name], {MUG: 10}) as floor:
        (shop,) = floor.shops.values()
        gone, off = shop.sell(MUG, 2), shop.sell(MUG, 3)
        assert gone is not None
        assert off is not None
        await floor.poll(shop)
        await floor.shows(shop, MUG, 5)
        await floor.ship(shop, gone.number)
        order = (await floor.order(shop, off.number))["id"]
        await floor.ask("POST", f"/v1/orders/{order}/cancel", {"reason": "broken"})
        shop.off.add(off.number)
        await floor.told()
        times = {o: len(shop.sim.called(o)) for o in ("confirm_shipment", "cancel_order")}
        assert times == {"confirm_shipment": 1, "cancel_order": 1}
        # It changed its own figure, or not; the hub looks, and nobody asks it to.
        await until(lambda: shop.left(MUG) == 8, f"it shows 8, not {shop.left(MUG)}")
        await floor.settled()


@pytest.mark.parametrize("name", ["generic", "walmart", "shopify"])
async def test_what_was_sold_in_a_webhook_outage_is_known_exactly(dsn, tmp_path, name):
    async with trading(dsn, tmp_path, [name], {MUG: 20}) as floor:
        (shop,) = floor.shops.values()
        for _ in range(3):
            shop.sell(MUG)
        sent = await shop.hears(floor.api)
        assert {status // 100 for status in sent.statuses} == {2}
        await floor.poll(shop)
        await floor.told()
        # What the partner was told of them may have changed them there.
        await floor.poll(shop)
        before = {row["message"] for row in await missed(floor, name)}
        heard = set(shop.orders)
        for units in (1, 2, 3, 1):
            shop.sell(MUG, units)
        late = shop.sim.between(shop.sim.webhooks)
        await floor.poll(shop)
        news = [row for row in await missed(floor, name) if row["message"] not in before]
        numbers = sorted(row["source_message_id"].split("/")[1] for row in news)
        assert numbers == sorted(shop.orders.keys() - heard)
        await shop.hears(floor.api, late=late)
        await floor.settled()


async def missed(floor: Floor, name: str) -> list[dict[str, str]]:
    return await floor.all(f"/v1/systems/{name}/feeds/orders/missed?limit=100")


async def test_the_last_one_is_sold_once(dsn, tmp_path):
    async with trading(dsn, tmp_path, ALL[:6], {MUG: 1}) as floor:
        shops = list(floor.shops.values())
        assert shops[0].sell(MUG) is not None
        await shops[0].hears(floor.api)
        await until(lambda: not any(shop.left(MUG) for shop in shops), "nobody shows it")
        assert [shop.sell(MUG) for shop in shops] == [None] * len(shops)
        await floor.settled()
        assert not await floor.open_cases("oversold")


WRONG: dict[str, tuple[str, dict[str, Any], dict[str, str], str]] = {
    "no secret": ("walmart", {}, {"client_id": ""}, "secret client_id"),
    "another secret": ("walmart", {}, {"client_secret": "stale"}, "connection"),
    "a place of ours that is none": (
        "walmart", {"locations": {"LODNON": "10001234"}}, {}, "locations",
    ),
    "a place of theirs that is none": ("square", {"locations": {"LONDON": "L0"}}, {}, "locations"),
    "a place that is not mapped": (
        "square", {"locations": {"LEEDS": "L88917AVBK2S5"}}, {}, "locations mapped",
    ),
    "a channel of nobody": ("square", {"channel": "strores"}, {}, "channel"),
    "nobody at the address": ("woocommerce", {"url": "http://127.0.0.1:9"}, {}, "connection"),
    "another key": ("woocommerce", {}, {"consumer_key": "ck_0"}, "connection"),
}  # fmt: skip


async def test_a_wrong_setting_is_found_before_the_first_message(dsn, tmp_path):
    async with trading(dsn, tmp_path, ["walmart", "square", "woocommerce"], {}) as floor:
        await floor.ask("PUT", "/v1/locations/LEEDS", {})
        for number, (what, (name, config, secrets, check)) in enumerate(WRONG.items()):
            code, shop = f"second-{number}", floor.shops[name]
            # Another system for the same partner: it is not called before it is certified.
            await floor.add(shop, code, config, secrets)
            told = await floor.ask("POST", f"/v1/systems/{code}/test", {})
            fixes = {each["name"]: each["fix"] for each in told["checks"] if not each["is_good"]}
            assert fixes.get(check), f"{what}: {told['checks']}"
            refused = await floor.api.post(f"/v1/systems/{code}/certify", {})
            assert (refused.status_code, refused.json()["code"]) == (409, "test_needed"), what
            feeds = await floor.all(f"/v1/systems/{code}/feeds?limit=10")
            assert {feed["polled_at"] for feed in feeds} == {None}, what
