"""Listings against a real shop on loopback: every figure arrives, and none is put back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stockbridge.contracts.partners.manifest import Concurrency, LimitRule
from stockbridge.outbox.limits.gate import CROWDED_SECONDS
from stockbridge.outbox.listings import making
from stockbridge.outbox.listings.permits import OBSERVE, PUBLISH, Permits
from stockbridge.store.database import connect
from tests.integration.listings_desk import hub_and_shop, until
from tests.shop import Shop, manifest

MODES: dict[str, Any] = {
    "compare_and_set": (Shop, {"mode": "compare_and_set"}),
    "absolute": (lambda: Shop(compares=False), {"mode": "absolute"}),
}


async def listed(hub, shop, **figures):
    """Stock the items, list them, and wait until the shop shows them."""
    for sku, quantity in figures.items():
        await hub.count(sku, quantity)
    await hub.enlist(*figures)
    await shows(hub, shop, **figures)


async def shows(hub, shop, **figures):
    def shown():
        return all(shop.figures.get((f"shop-{s}", "")) == n for s, n in figures.items())

    async def settled():
        return shown() and all([(await hub.state(sku))["state"] == "ok" for sku in figures])

    await until(settled)


@pytest.mark.parametrize("mode", MODES)
async def test_a_change_of_stock_reaches_the_shop(dsn, mode):
    make, told = MODES[mode]
    async with hub_and_shop(dsn, make(), manifest(**told)) as (hub, shop):
        await listed(hub, shop, A=7, B=3)
        await hub.count("A", 9)
        await hub.count("B", 0)
        await shows(hub, shop, A=9, B=0)
        row = await hub.state("B")
        assert (row["desired"], row["published"], row["waiting_since"]) == (0, 0, None)
        assert row["published_version"] == row["desired_version"]


@pytest.mark.parametrize("mode", MODES)
async def test_units_sold_there_and_not_heard_of_are_not_put_back(dsn, mode):
    make, told = MODES[mode]
    async with hub_and_shop(dsn, make(), manifest(**told)) as (hub, shop):
        await listed(hub, shop, A=10)
        shop.sell("shop-A", 3)
        shop.writes.clear()
        await hub.order("A", 1, "other")
        await shows(hub, shop, A=6)
        assert all(quantity <= 6 for _, _, quantity in shop.writes)
        row = await hub.state("A")
        assert (row["desired"], row["unheard"]) == (9, 3)
        await hub.order("A", 3)

        async def heard():
            row = await hub.state("A")
            return (row["desired"], row["unheard"], row["published"]) == (6, 0, 6)

        await until(heard)
        assert shop.figures["shop-A", ""] == 6


async def test_a_sale_while_a_call_is_under_way_is_not_put_back(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await listed(hub, shop, A=10)
        shop.before_write.append(lambda: shop.sell("shop-A", 2))
        await hub.count("A", 20)
        await shows(hub, shop, A=18)


async def test_orders_read_to_their_end_end_what_was_unheard(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await listed(hub, shop, A=10)
        shop.sell("shop-A", 4)
        await hub.count("A", 11)
        await shows(hub, shop, A=7)
        hub.partners.heard_at = datetime.now(UTC)
        await shows(hub, shop, A=11)
        assert (await hub.state("A"))["unheard"] == 0


async def test_a_figure_changed_by_hand_is_found_and_corrected(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await listed(hub, shop, A=5)
        shop.figures["shop-A", ""] = 50
        assert await hub.act(making.verify, sku="A") == 1
        await shows(hub, shop, A=5)


async def test_the_rolling_sample_finds_it_by_itself(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await listed(hub, shop, A=5)
        shop.figures["shop-A", ""] = 50
        await shows(hub, shop, A=5)

        async def verified():
            return (await hub.state("A"))["verified"] == 5

        await until(verified)


async def test_what_is_accepted_and_not_applied_is_published_again(dsn):
    shop = Shop()
    shop.accepts = True
    told = manifest(is_async=True, verify_after_seconds=1)
    async with hub_and_shop(dsn, shop, told) as (hub, shop):
        await hub.count("A", 5)
        shop.ignores = 1
        await hub.enlist("A")
        await shows(hub, shop, A=5)
        assert shop.calls["publish"] == 2
        assert (await hub.state("A"))["verified"] == 5


async def test_what_is_never_applied_has_an_owner_after_three_times(dsn):
    shop = Shop()
    told = manifest(is_async=True, verify_after_seconds=1)
    async with hub_and_shop(dsn, shop, told) as (hub, shop):
        await hub.count("A", 5)
        shop.ignores = 3
        await hub.enlist("A")
        query = "SELECT subject, owner_team, resolved_at IS NULL FROM exception WHERE kind = %s"

        async def cases():
            return await hub.rows(query, "listing_failed")

        await until(cases)
        assert await cases() == [("SHOP/not_applied", "operations", True)]
        assert (await hub.state("A"))["state"] == "failed"
        assert await hub.act(making.retry, system="SHOP") == 1
        await shows(hub, shop, A=5)

        async def resolved():
            return await cases() == [("SHOP/not_applied", "operations", False)]

        await until(resolved)


async def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await listed(hub, shop, A=5)
        shop.loses_answers = 1
        before = shop.calls["publish"]
        await hub.count("A", 6)
        await shows(hub, shop, A=6)
        assert shop.calls["publish"] == before + 1


async def test_a_row_that_is_refused_fails_alone(dsn):
    shop = Shop()
    shop.refused = {"shop-B"}
    async with hub_and_shop(dsn, shop) as (hub, shop):
        for sku in "ABC":
            await hub.count(sku, 4)
        await hub.enlist()
        await shows(hub, shop, A=4, C=4)

        async def failed():
            row = await hub.state("B")
            return (row["state"], row["code"]) == ("failed", "bad_item")

        await until(failed)


async def test_an_item_that_is_not_listed_there_fails(dsn):
    shop = Shop()
    shop.unlisted = {"shop-A"}
    async with hub_and_shop(dsn, shop) as (hub, shop):
        await hub.enlist("A")

        async def failed():
            row = await hub.state("A")
            return (row["state"], row["code"]) == ("failed", "not_listed")

        await until(failed)


async def test_an_ended_listing_is_taken_to_zero_first(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await listed(hub, shop, A=5)
        assert await hub.act(making.end, sku="A", to_zero=True) == 1

        async def ended():
            return (await hub.state("A"))["state"] == "suspended"

        await until(ended)
        assert shop.figures["shop-A", ""] == 0
        await hub.count("A", 8)
        assert (await hub.enlist("A")).added == 1
        await shows(hub, shop, A=8)


async def test_a_partner_outage_is_one_exception_and_heals_by_itself(dsn):
    async with hub_and_shop(dsn, freshness_seconds_max=1) as (hub, shop):
        await listed(hub, shop, A=5, B=5, C=5)
        shop.is_down = True
        for sku in "ABC":
            await hub.count(sku, 7)
        query = "SELECT subject, resolved_at IS NULL FROM exception WHERE kind = %s"

        async def opened():
            return await hub.rows(query, "stale_listings") == [("SHOP", True)]

        await until(opened)
        shop.is_down = False
        await shows(hub, shop, A=7, B=7, C=7)

        async def resolved():
            return await hub.rows(query, "stale_listings") == [("SHOP", False)]

        await until(resolved)


async def test_a_partner_that_keeps_stock_by_location_is_told_by_location(dsn):
    told = manifest(per_location=True)
    async with hub_and_shop(dsn, None, told, sources=["MAIN", "SIDE"]) as (hub, shop):
        await hub.count("A", 5)
        await hub.count("A", 2, "SIDE")
        assert (await hub.enlist("A")).added == 2
        await until(lambda: shop.figures == {("shop-A", "m"): 5, ("shop-A", "s"): 2})
        await hub.order("A", 5)
        await until(lambda: shop.figures == {("shop-A", "m"): 0, ("shop-A", "s"): 2})


async def test_what_goes_to_zero_is_not_delayed_by_calls_that_hang(dsn):
    told = manifest(rows_max=1)
    async with hub_and_shop(dsn, None, told) as (hub, shop):
        await listed(hub, shop, A=5, B=5, C=5)
        shop.hangs = {"shop-B", "shop-C"}
        await hub.count("B", 6)
        await hub.count("C", 6)
        await until(lambda: shop.calls["publish"] >= 5)
        await hub.count("A", 0)
        await until(lambda: shop.figures["shop-A", ""] == 0, seconds=10)


async def test_entries_of_a_catalog_are_listed_where_they_are_kept(dsn):
    told = manifest(per_location=True)
    async with hub_and_shop(dsn, None, told, sources=["MAIN", "SIDE"]) as (hub, shop):
        await hub.count("A", 5)
        entries = [
            making.Entry("A", "their-a", "MAIN", {"lead": "3"}),
            making.Entry("A", "their-a", "NOWHERE"),
            making.Entry("X", "their-x", "MAIN"),
        ]
        async with await connect(dsn) as conn:
            got = await making.add_entries(conn, hub.partners, "web", entries, actor="test")
        assert got == making.Listed(1, ["X"])
        await until(lambda: shop.figures == {("their-a", "m"): 5})
        # The partner gives its id to another item.
        await hub.count("B", 2)
        async with await connect(dsn) as conn:
            entries = [making.Entry("B", "their-a", "MAIN")]
            await making.add_entries(conn, hub.partners, "web", entries, actor="test")
        await until(lambda: shop.figures == {("their-a", "m"): 2})


async def test_less_is_sent_when_it_became_less_while_the_shop_was_read(dsn):
    async with hub_and_shop(dsn, Shop(compares=False), manifest(**MODES["absolute"][1])) as (
        hub, shop,
    ):  # fmt: skip
        await listed(hub, shop, A=7)

        async def falls():
            await hub.count("A", 4)

            async def is_wanted():
                return (await hub.state("A"))["desired"] == 4

            await until(is_wanted)

        shop.while_reading.append(falls)
        shop.writes.clear()
        await hub.count("A", 9)
        await shows(hub, shop, A=4)
        assert ("shop-A", "", 9) not in shop.writes


async def test_a_chunk_needs_one_place_for_all_its_calls(dsn, pool):
    at_once = [LimitRule(operations=["*"], limit=Concurrency(calls=1))]
    async with await connect(dsn) as conn:
        await conn.execute(
            b"INSERT INTO system (code, kind, lifecycle) VALUES ('SHOP', 'storefront', 'live')"
        )
    mine, other = [Permits(pool, "SHOP", at_once, 60.0, urgent=False) for _ in range(2)]
    assert [await mine.take(each) for each in (OBSERVE, PUBLISH)] == [0.0, 0.0]
    # The place is given back long before its lease ends, so who waits looks often.
    assert 0 < await other.take(OBSERVE) <= CROWDED_SECONDS
    await mine.give_back()
    assert await other.take(OBSERVE) == 0.0
