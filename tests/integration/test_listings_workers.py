"""Listings with several workers, killed workers and budgets."""

import asyncio
import time

from stockbridge.contracts.masters import PutPolicy
from stockbridge.contracts.partners.manifest import Bulk, DailyBudget, LimitRule, TokenBucket
from stockbridge.outbox.listings import making
from stockbridge.outbox.listings.desired import Desk
from stockbridge.outbox.listings.publisher import Publisher
from stockbridge.store.database import connect
from tests.integration.listings_desk import hub_and_shop, until
from tests.shop import manifest


async def in_the_hands_of_a_dead_worker(hub, quantity):
    """A worker claimed the listing of A to publish `quantity`, and was killed."""
    hub.partners.is_open = False
    await hub.count("A", quantity)

    async def wanted():
        return (await hub.state("A"))["desired"] == quantity

    await until(wanted)
    values = {"system": "SHOP", "risk": 3, "limit": 5, "lease_seconds": 0.5}
    async with await connect(hub.dsn) as conn:
        claimed = await (await conn.execute(making.SQL.claim, values)).fetchall()
    assert len(claimed) == 1


async def settled(hub, shop, quantity):
    async def is_right():
        row = await hub.state("A")
        return (row["state"], shop.figures["shop-A", ""]) == ("ok", quantity)

    await until(is_right)


async def begun(hub, shop, quantity=5):
    await hub.count("A", quantity)
    await hub.enlist("A")
    await until(lambda: ("shop-A", "") in shop.figures)
    await settled(hub, shop, quantity)


async def test_what_a_killed_worker_did_is_found_and_not_done_again(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await begun(hub, shop)
        await in_the_hands_of_a_dead_worker(hub, 9)
        shop.figures["shop-A", ""] = 9
        calls = shop.calls["publish"]
        hub.partners.is_open = True
        await settled(hub, shop, 9)
        assert shop.calls["publish"] == calls
        assert (await hub.state("A"))["unheard"] == 0


async def test_what_a_killed_worker_did_not_do_is_done(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await begun(hub, shop)
        await in_the_hands_of_a_dead_worker(hub, 9)
        hub.partners.is_open = True
        await settled(hub, shop, 9)


async def test_a_worker_that_is_stopped_ends_its_calls_first(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await begun(hub, shop)
        shop.call_seconds = 0.3
        calls = shop.calls["publish"]
        await hub.count("A", 9)
        await until(lambda: shop.calls["publish"] > calls)
    row = await hub.state("A")
    assert (row["state"], row["published"]) == ("ok", 9)


async def test_two_publishers_never_send_one_figure_twice(dsn):
    async with hub_and_shop(dsn, None, manifest(rows_max=1)) as (hub, shop):
        pool = hub.publisher._pool
        second = Publisher(dsn, pool, hub.partners, hub.publisher._figures)
        task = asyncio.create_task(second.run_forever())
        try:
            await begun(hub, shop)
            shop.writes.clear()
            for quantity in range(6, 16):
                await hub.count("A", quantity)
                await settled(hub, shop, quantity)
            figures = [quantity for _, _, quantity in shop.writes]
            assert figures == list(range(6, 16))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_hot_item_makes_as_many_calls_as_its_budget_and_ends_right(dsn):
    rule = LimitRule(operations=["publish"], limit=TokenBucket(burst=4, per_second=8))
    async with hub_and_shop(dsn, None, manifest([rule])) as (hub, shop):
        await begun(hub, shop, 1)
        began, calls = time.monotonic(), shop.calls["publish"]
        for quantity in range(2, 202):
            await hub.count("A", quantity)
        await settled(hub, shop, 201)
        elapsed = time.monotonic() - began
        assert shop.calls["publish"] - calls <= 4 + 8 * elapsed + 1


async def test_a_listing_with_a_budget_of_its_own_waits_alone(dsn):
    rule = LimitRule(operations=["publish"], limit=DailyBudget(calls=4))
    async with hub_and_shop(dsn, None, manifest([rule])) as (hub, shop):
        await begun(hub, shop, 1)
        for quantity in (2, 3, 4):
            await hub.count("A", quantity)
            await settled(hub, shop, quantity)
        await hub.count("A", 5)

        async def waits():
            row = await hub.state("A")
            in_work = row["state"] == "dirty" and row["attempts"] > 0
            return in_work and row["due_at"] > row["desired_at"]

        await until(waits)
        await hub.count("B", 6)
        await hub.enlist("B")
        await until(lambda: shop.figures.get(("shop-B", "")) == 6)
        assert shop.figures["shop-A", ""] < 5


async def test_many_rows_go_the_slower_way_and_zero_never(dsn):
    told = manifest(rows_max=1, bulk=Bulk(rows_min=3, rows_max=50, verify_after_seconds=1))
    async with hub_and_shop(dsn, None, told) as (hub, shop):
        hub.partners.is_open = False
        for sku in "ABC":
            await hub.count(sku, 4)
        await hub.enlist()

        async def wanted():
            return len(await hub.rows("SELECT 1 FROM listing WHERE desired = 4")) == 3

        await until(wanted)
        hub.partners.is_open = True
        await until(lambda: list(shop.figures.values()) == [4, 4, 4])
        assert (shop.calls["bulk"], shop.calls["publish"]) == (1, 1)
        await settled(hub, shop, 4)
        await hub.count("A", 0)
        await settled(hub, shop, 0)
        assert shop.calls["bulk"] == 1


async def test_another_process_leads_when_the_leader_is_gone(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await begun(hub, shop)
        second = Desk(dsn, hub.publisher._figures, hub.partners)
        task = asyncio.create_task(second.run_forever())
        try:
            await asyncio.sleep(0)
            assert hub.desk.counts.leads
            assert not second.counts.leads
            await hub.rows(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l"
                " JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory'"
                " AND l.granted AND a.application_name = 'stockbridge desired'"
                " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            await hub.count("A", 7)
            await settled(hub, shop, 7)
            await until(lambda: hub.desk.counts.leads or second.counts.leads)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_change_of_policy_changes_what_is_shown(dsn):
    async with hub_and_shop(dsn) as (hub, shop):
        await begun(hub, shop, 9)
        await hub.do(PutPolicy("web", cap=4))
        await settled(hub, shop, 4)
        await hub.do(PutPolicy("web", sku="A", buffer_units=7))
        await settled(hub, shop, 2)


async def test_own_orders_that_have_not_left_count_where_the_partner_counts_them(dsn):
    told = manifest(basis="available_and_own_unshipped")
    async with hub_and_shop(dsn, None, told) as (hub, shop):
        await begun(hub, shop, 9)
        await hub.order("A", 2, "other")
        await settled(hub, shop, 7)
        await hub.order("A", 3)
        await hub.count("B", 1)

        async def known():
            return (await hub.rows("SELECT reserved FROM balance WHERE reserved > 0"))[0][0] == 5

        await until(known)
        await hub.order("A", 1, "other")
        await settled(hub, shop, 6)
