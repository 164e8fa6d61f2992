"""The stock view against a real database: it answers what the store answers, and keeps up."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest
from msgspec.structs import asdict

from stockbridge.contracts.availability import Availability, AvailabilityList
from stockbridge.kernel.errors import Refusal
from stockbridge.store.database import connect
from stockbridge.views import keeper
from stockbridge.views.stock import StockView
from tests.integration.views_seed import (
    CHANNELS,
    ITEMS,
    KITS,
    NOW,
    SKUS,
    masters_changed,
    move,
    notify,
    seed,
    sku,
)

BEAT = 0.05


@pytest.fixture
def seeded(dsn):
    seed(dsn, 7)
    return dsn


@pytest.fixture
async def conn(seeded) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await connect(seeded) as opened:
        yield opened


@asynccontextmanager
async def running(dsn, pool, **settings):
    view = StockView(dsn, pool, **({"beat_seconds": BEAT} | settings))
    await view.start()
    try:
        assert await view.wait_loaded(10)
        await until(lambda: view.health().current)
        yield view
    finally:
        await view.stop()


@pytest.fixture
async def view(seeded, pool):
    async with running(seeded, pool) as opened:
        yield opened


@pytest.fixture
def store(seeded, pool):
    """A view that never started: every answer is read from the store."""
    return StockView(seeded, pool)


async def until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition at all, nothing to wait on
            await asyncio.sleep(0.005)


async def caught_up(view, conn, batch_id):
    """Wait until the view has applied everything committed so far and what that made it read."""
    sequence = view._keeper.changes
    await notify(conn, f"{batch_id} {time.time_ns() // 1000}")
    await until(lambda: sequence.sequence == batch_id and view.health().current)
    wake = view._keeper._wake
    await until(lambda: wake._waiters and not wake.is_set())


def bare(answer):
    left = asdict(answer)
    source, _, age = left.pop("source"), left.pop("as_of"), left.pop("feed_age_seconds")
    return left, source, age


def assert_same(one, other):
    mine, from_view, age = bare(one)
    theirs, from_store, other_age = bare(other)
    assert (mine, from_view, from_store) == (theirs, "view", "store")
    assert age is None if other_age is None else abs(age - other_age) <= 5


@pytest.mark.parametrize("channel", CHANNELS)
async def test_the_view_answers_what_the_store_answers(view, store, channel):
    mine, theirs = [await each.answer_many(channel, SKUS) for each in (view, store)]
    assert len(mine.items) == len(theirs.items) == ITEMS
    assert (mine.unknown, theirs.unknown) == ([], [])
    assert mine.stale == theirs.stale
    for one, other in zip(mine.items, theirs.items, strict=True):
        assert_same(one, other)
    assert len({item.available for item in mine.items}) > 5
    single = await view.answer(channel, SKUS[5])
    assert asdict(single) | {"as_of": ""} == asdict(mine.items[5]) | {
        "as_of": "",
        "feed_age_seconds": single.feed_age_seconds,
    }


@pytest.mark.parametrize("channel", CHANNELS)
async def test_dated_answers_agree_too(view, store, channel):
    by = NOW + timedelta(days=10)
    for item_id in [*range(1, 60), *KITS]:
        asked = (channel, sku(item_id), item_id % 30 + 1, by if item_id % 2 else None)
        one, other = await view.answer_dated(*asked), await store.answer_dated(*asked)
        if item_id % 2 or other.promisable_at is None or other.promisable_at > other.as_of:
            one.promisable_at = other.promisable_at = None
        assert (one.promisable_at is None) == (other.promisable_at is None)
        one.promisable_at = other.promisable_at = None
        assert_same(one, other)


async def test_what_is_unknown_is_refused_by_view_and_store(view, store):
    for each in (view, store):
        for channel, item, code in [
            ("NONE", SKUS[0], "unknown_channel"),
            ("WEB", "NONE", "unknown_sku"),
        ]:
            refused = await each.answer(channel, item)
            assert isinstance(refused, Refusal)
            assert (refused.code, refused.status) == (code, 404)
            assert (await each.answer_dated(channel, item)).code == code
        assert (await each.answer_many("NONE", SKUS)).code == "unknown_channel"
        assert (await each.subscribe("NONE")).code == "unknown_channel"
        many = await each.answer_many("WEB", [SKUS[0], "NONE", SKUS[1]])
        assert [item.sku for item in many.items] == SKUS[:2]
        assert many.unknown == ["NONE"]


async def test_random_changes_arrive(view, store, conn):
    chance = random.Random(3)
    for batch_id in range(1, 200):
        item_id = chance.randint(1, KITS[0] - 1)
        await move(conn, batch_id, item_id, chance.randint(1, 4), chance.randint(-5, 90))
    await caught_up(view, conn, 1000)
    for channel in CHANNELS:
        mine, theirs = [await each.answer_many(channel, SKUS) for each in (view, store)]
        for one, other in zip(mine.items, theirs.items, strict=True):
            assert_same(one, other)
    assert 0 < view.health().lag_seconds_last < 60
    assert view.health().lag_seconds_max >= view.health().lag_seconds_last


async def test_notices_that_come_while_loading_are_applied_after(seeded, pool, conn):
    async def write(view):
        for batch_id in range(1, 300):
            await move(conn, batch_id, batch_id % 40 + 1, 1, batch_id)
            if view.health().loads and batch_id > 100:
                return

    view = StockView(seeded, pool, beat_seconds=BEAT)
    await view.start()
    try:
        await write(view)
        assert await view.wait_loaded(10)
        await caught_up(view, conn, 1000)
        mine = await view.answer_many("WEB", SKUS)
        theirs = await StockView(seeded, pool).answer_many("WEB", SKUS)
        assert isinstance(mine, AvailabilityList)
        assert isinstance(theirs, AvailabilityList)
        for one, other in zip(mine.items, theirs.items, strict=True):
            assert_same(one, other)
    finally:
        await view.stop()


async def changed(view, conn, change, batch_id=1000):
    """Figures of WEB's first item before and after `change`, both from the view."""
    before = await view.answer("WEB", SKUS[0])
    await change()
    await caught_up(view, conn, batch_id)
    after = await view.answer("WEB", SKUS[0])
    assert (before.source, after.source) == ("view", "view")
    return before.available, after.available


async def test_fences_pipeline_policies_and_feeds_arrive(view, conn):
    await conn.execute("UPDATE balance SET backordered = 0 WHERE item_id = 1")
    await move(conn, 1, 1, 1, 1000)
    await conn.execute("DELETE FROM fence WHERE item_id = 1")
    await conn.execute("DELETE FROM supply WHERE item_id = 1")
    await conn.execute("DELETE FROM policy WHERE channel_id = 1")
    await notify(conn, "fences")
    await notify(conn, "supply 1 2")
    await masters_changed(conn)
    await caught_up(view, conn, 2)

    async def fence():
        await conn.execute("INSERT INTO fence VALUES (1, 1, 2, 100)")
        await notify(conn, "fences")

    async def policy():
        await conn.execute(
            "INSERT INTO policy (channel_id, version, effective_from, author, body)"
            " VALUES (1, 2, now(), 'test', '{\"horizon_days\": 10}')"
        )
        await masters_changed(conn)

    async def supply():
        await conn.execute(
            "INSERT INTO supply VALUES (1, 1, 'purchase', 'PO', '1', 6, 70, now() + '1 day')"
        )
        await notify(conn, "supply 1")

    async def moment():
        await notify(conn, f"5 1\nfeed 4 {int(NOW.timestamp()) * 1_000_000}")

    before, after = await changed(view, conn, fence, 3)
    assert after == before - 100
    assert await changed(view, conn, policy, 4) == (after, after)
    assert await changed(view, conn, supply, 5) == (after, after + 70)
    assert (await view.answer("LATER", SKUS[0])).feed_age_seconds is None
    await moment()
    await caught_up(view, conn, 6)
    assert (await view.answer("LATER", SKUS[0])).feed_age_seconds >= 1200


async def test_a_new_item_is_found_at_once_and_then_lives_in_the_view(view, conn):
    await conn.execute("INSERT INTO item (item_id, sku) VALUES (5000, 'NEW'), (77000, 'ALSO')")
    await conn.execute("INSERT INTO balance (item_id, location_id, available) VALUES (5000, 1, 9)")
    found = await view.answer("WEB", "NEW")
    assert (found.available, found.source) == (9, "store")
    many = await view.answer_many("WEB", ["NEW", "ALSO", "NONE", SKUS[0]])
    assert [item.sku for item in many.items] == ["NEW", "ALSO", SKUS[0]]
    assert many.unknown == ["NONE"]
    await move(conn, 8, 5000, 2, 4)
    await masters_changed(conn)
    await caught_up(view, conn, 9)
    learnt = await view.answer("WEB", "ALSO")
    assert (learnt.available, learnt.source) == (0, "view")


async def test_stock_of_an_item_with_a_low_id_made_late(view, conn):
    await conn.execute("INSERT INTO item (item_id, sku) VALUES (-5, 'LOW')")
    await move(conn, 8, -5, 2, 4)
    await caught_up(view, conn, 9)
    found = await view.answer("WEB", "LOW")
    assert (found.available, found.source) == (4, "view")


async def test_an_import_makes_it_load_again_and_the_store_answers_meanwhile(view, conn):
    await conn.execute("UPDATE balance SET available = 777 WHERE location_id = 1")
    await notify(conn, "reload")
    await until(lambda: not view.health().current)
    meanwhile = await view.answer("WEB", SKUS[0])
    assert meanwhile.source == "store"
    await until(lambda: view.health().loads == 2 and view.health().current)
    after = await view.answer("WEB", SKUS[0])
    assert after.source == "view"
    assert after.available == meanwhile.available


async def test_a_notice_nobody_understands_makes_it_load_again(view, conn):
    await notify(conn, "7 7\n1 2 three")
    await until(lambda: view.health().loads == 2 and view.health().current)


async def test_without_heartbeats_the_store_answers(seeded, pool):
    async with running(seeded, pool, view_age_seconds_max=0.3) as view:
        assert (await view.answer("WEB", SKUS[0])).source == "view"
        beat = next(task for task in view._keeper._tasks if task.get_name().endswith("beat"))
        beat.cancel()
        await until(lambda: not view.health().current)
        assert view.health().age_seconds > 0.3
        assert (await view.answer("WEB", SKUS[0])).source == "store"


async def test_a_connection_that_went_silent_is_replaced(seeded, pool, monkeypatch):
    monkeypatch.setattr(keeper, "_SILENCE_SECONDS_MAX", 0.2)
    async with running(seeded, pool) as view:
        await asyncio.sleep(0.5)
        assert view.health().loads == 1
        # What a half-open connection is like: beats are committed, and none comes back.
        monkeypatch.setattr(view._keeper, "_hear_beat", lambda _: None)
        await until(lambda: view.health().loads >= 2, 10)


async def test_a_lost_connection_comes_back_and_misses_nothing(view, conn, seeded):
    before = await view.answer("WEB", SKUS[0])
    await conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'stockbridge view%%' AND datname = current_database()"
    )
    # Nobody listens while this is committed, so only loading again can show it.
    await conn.execute("UPDATE balance SET available = available + 50 WHERE item_id = 1")
    await until(lambda: view.health().loads == 2 and view.health().current, 10)
    after = await view.answer("WEB", SKUS[0])
    assert isinstance(after, Availability)
    assert after.source == "view"
    assert after.available > before.available


async def test_subscribers_hear_what_changed(view, conn):
    await conn.execute("DELETE FROM kit_component")
    await masters_changed(conn)
    await move(conn, 10, 1, 1, 500)
    await caught_up(view, conn, 11)
    stream = await view.subscribe("PLAIN")
    assert await anext(stream) == (11, None, None)
    await move(conn, 12, 1, 1, 8)
    await move(conn, 13, 1, 1, 8)
    await move(conn, 14, 2, 1, 500)
    first, second = await anext(stream), await anext(stream)
    assert (first.sequence, first.sku) == (12, SKUS[0])
    assert (second.sequence, second.sku, second.available) == (14, SKUS[1], 40)
    stream.close()

    resumed = await view.subscribe("PLAIN", after=12)
    assert {(await anext(resumed)).sku for _ in range(2)} == {SKUS[0], SKUS[1]}
    forgotten = await view.subscribe("PLAIN", after=3)
    assert (await anext(forgotten)).sku is None
    await notify(conn, "reload")
    assert (await anext(resumed)).sku is None
    resumed.close()
    forgotten.close()
    assert not view._keeper.changes.channels


async def test_a_kit_changes_with_its_component(view, conn):
    await conn.execute("DELETE FROM kit_component")
    await conn.execute("DELETE FROM fence")
    await conn.execute("INSERT INTO kit_component VALUES (295, 1, 2), (295, 2, 1)")
    await masters_changed(conn)
    await notify(conn, "fences")
    for item_id, available in [(1, 600), (2, 900)]:
        await move(conn, 20 + item_id, item_id, 1, available)
    await caught_up(view, conn, 30)
    stream = await view.subscribe("WEB")
    assert (await anext(stream)).sku is None
    await move(conn, 31, 1, 1, 400)
    heard = {(change := await anext(stream)).sku: change.available for _ in range(2)}
    kit = await view.answer("WEB", sku(295))
    assert heard == {
        SKUS[0]: (await view.answer("WEB", SKUS[0])).available,
        sku(295): kit.available,
    }
    stream.close()
