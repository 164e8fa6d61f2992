"""Deliveries against a partner on loopback in a process of its own."""

import asyncio
import contextlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from stockbridge import outbox
from stockbridge.contracts.partners.manifest import (
    Concurrency,
    DailyBudget,
    LimitRule,
    TokenBucket,
)
from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.world.model import Owed
from stockbridge.domain.world.world import World
from stockbridge.engine.save import record_writes, save
from stockbridge.outbox.deliveries import columns
from stockbridge.outbox.dispatcher import Dispatcher
from stockbridge.store.database import connect
from stockbridge.store.pipeline import run
from stockbridge.store.sql import load
from tests.partner.client import Book, Loopback, begin, manifest_of, server

SQL = load(outbox.__name__)
PATIENCE_SECONDS = 100.0


@pytest.fixture(scope="module")
def partner_url():
    with server() as url:
        yield url


@pytest.fixture
async def shop(partner_url, tmp_path):
    return await begin(partner_url, tmp_path)


@pytest.fixture
async def conn(dsn):
    async with await connect(dsn) as opened:
        await opened.execute(
            b"INSERT INTO system (code, kind, lifecycle, owner_team, criticality) "
            b"VALUES ('SHOP', 'storefront', 'live', 'ecommerce', 2)"
        )
        yield opened


@asynccontextmanager
async def dispatching(dsn, connector, **options):
    book = Book({"SHOP": connector})
    dispatcher = Dispatcher(dsn, book, **options)
    await dispatcher.start()
    try:
        yield dispatcher
    finally:
        await dispatcher.stop()
        await book.close()
        await connector.close()


async def owe(conn, *objects, operation="sync", first=0):
    owed = [
        Owed("SHOP", operation, name, f"{name}/{first + number}", {"number": number}, "c-1", "test")
        for number, name in enumerate(objects)
    ]
    await run(conn, [(SQL.add_deliveries, columns(owed))])


async def rows(conn, text="delivery_id, state"):
    query = f"SELECT {text} FROM delivery ORDER BY delivery_id"
    return await (await conn.execute(query.encode())).fetchall()


async def until(conn, *states, every=0.02):
    """Wait until every delivery is in one of the states; else tell how the others stand."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = [row[1] for row in await rows(conn)]
                if found and set(found) <= set(states):
                    return found
                await asyncio.sleep(every)
    columns = (
        "delivery_id, object_key, state, attempts, holder, due_at - now(), code, history::text"
    )
    left = [row for row in await rows(conn, columns) if row[2] not in states]
    raise AssertionError(f"{len(left)} deliveries are left: {left[:5]}")


async def happens(look):
    """Wait until `look()` is true; what it is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await look()):  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.02)
    return found


async def done(shop, count):
    return len(shop.effects()) >= count


async def cases(conn):
    query = (
        b"SELECT kind, subject, owner_team, severity, occurrences, resolved_at IS NULL "
        b"FROM exception ORDER BY 1, 2"
    )
    return await (await conn.execute(query)).fetchall()


async def test_deliveries_are_confirmed_with_the_partners_reference(dsn, conn, shop):
    async with dispatching(dsn, Loopback(shop.url, manifest_of())):
        await owe(conn, *[f"order/{n}" for n in range(300)])
        await until(conn, "confirmed")
    assert len(shop.effects()) == 300
    assert set(shop.times().values()) == {1}
    found = await rows(
        conn,
        "delivery_id, attempts, reference <> '', started_at <= settled_at, history->0->>'outcome'",
    )
    assert {row[1:] for row in found} == {(1, True, True, "confirmed")}


async def test_owed_twice_is_one_delivery(conn, dsn):
    await owe(conn, "order/1")
    await owe(conn, "order/1")
    assert len(await rows(conn)) == 1


async def test_a_decision_owes_in_its_own_transaction_and_its_notice_wakes(dsn, conn, shop):
    async with dispatching(dsn, Loopback(shop.url, manifest_of()), tick_seconds=3_600.0):
        for number in (1, 2):
            world = World(number, datetime.now(UTC), Masters())
            world.owe(Owed("SHOP", "sync", "order/1", f"k{number}", {}, "c-1", "test"))
            await run(conn, [(b"BEGIN", {})])
            if number == 1:
                await run(conn, list(record_writes(world, [])))
                await run(conn, [(b"ROLLBACK", {})])
            else:
                await save(conn, world, [])
        await until(conn, "confirmed")
    assert len(shop.effects()) == 1
    assert await rows(conn, "object_key, correlation_id, cause") == [("order/1", "c-1", "test")]


async def test_lost_connections_lose_and_double_nothing(dsn, conn, shop):
    await shop.script(*["slow0.02"] * 60)
    async with dispatching(dsn, Loopback(shop.url, manifest_of()), lease_seconds=3.0):
        await owe(conn, *[f"order/{n}" for n in range(60)])
        for count in (10, 30):
            await happens(lambda count=count: done(shop, count))
            await conn.execute(
                b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                b"WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await until(conn, "confirmed")
    assert len(shop.effects()) == 60
    assert set(shop.times().values()) == {1}


async def test_deliveries_of_one_object_go_in_their_order(dsn, conn, shop):
    await shop.script("fail_before", "throttle", "", "silent_after", "fail_after")
    names = [f"order/{n % 3}" for n in range(30)]
    async with dispatching(dsn, Loopback(shop.url, manifest_of(concurrency=8))):
        await owe(conn, *names)
        await until(conn, "confirmed")
    keys = {row[0]: row[1] for row in await rows(conn, "idempotency_key::text, object_key")}
    order = [row[0] for row in await rows(conn, "idempotency_key::text")]
    for name in set(names):
        done = [key for key, item, _ in shop.effects() if item == name]
        assert done == [key for key in order if keys[key] == name]


@pytest.mark.parametrize("fault", ["silent_after", "fail_after", "drop_after"])
async def test_an_unknown_is_looked_up_and_not_done_twice(dsn, conn, shop, fault):
    await shop.script(fault, fault)
    async with dispatching(dsn, Loopback(shop.url, manifest_of())):
        await owe(conn, "order/1", "order/2", "order/3")
        await until(conn, "confirmed")
    assert sorted(shop.times().values()) == [1, 1, 1]
    acts = [row[0] for row in await rows(conn, "history->1->>'act'")]
    assert sorted(filter(None, acts)) == ["probe", "probe"]


async def test_an_unknown_that_was_not_done_is_sent_after_the_look(dsn, conn, shop):
    await owe(conn, "order/1")
    await conn.execute(
        b"UPDATE delivery SET state = 'sending', attempts = 1, started_at = now(), "
        b"leased_until = now(), holder = 'gone'"
    )
    async with dispatching(dsn, Loopback(shop.url, manifest_of())):
        await until(conn, "confirmed")
    assert list(shop.times().values()) == [1]
    history = (await rows(conn, "history"))[0][0]
    told = [(entry.get("act"), entry["outcome"]) for entry in history]
    assert told == [(None, "lost"), ("probe", "later"), ("send", "confirmed")]


async def test_an_unknown_nobody_can_look_up_is_given_to_its_owner(dsn, conn, shop):
    await shop.script("fail_after")
    async with dispatching(dsn, Loopback(shop.url, manifest_of(probe=False))):
        await owe(conn, "order/1")
        await until(conn, "dead")
        assert len(shop.effects()) == 1
        assert (await cases(conn))[0][:4] == ("delivery_dead", "SHOP/sync/failed", "ecommerce", 2)
        # One whose worker is gone is not even tried.
        await owe(conn, "order/2")
        await until(conn, "dead", "confirmed")
        await conn.execute(
            b"UPDATE delivery SET state = 'sending', holder = 'gone', leased_until = now(), "
            b"settled_at = NULL WHERE object_key = 'order/2'"
        )
        await until(conn, "dead")
    assert len(shop.effects()) == 2


async def test_a_partner_that_knows_keys_is_sent_it_again(dsn, conn, partner_url, tmp_path):
    shop = await begin(partner_url, tmp_path, knows_keys=True)
    await shop.script("fail_after", "drop_after")
    async with dispatching(dsn, Loopback(shop.url, manifest_of(probe=False, idempotent=True))):
        await owe(conn, "order/1", "order/2")
        await until(conn, "confirmed")
    assert sorted(shop.times().values()) == [1, 1]
    assert (await shop.counts())["calls"] == 4


async def test_accepted_is_looked_up_until_it_is_done(dsn, conn, shop):
    await shop.script("accept")
    async with dispatching(dsn, Loopback(shop.url, manifest_of())):
        await owe(conn, "order/1", "order/1")
        await until(conn, "confirmed")
    history = (await rows(conn, "history"))[0][0]
    told = [(entry["act"], entry["outcome"]) for entry in history]
    assert told == [("send", "accepted"), ("probe", "accepted"), ("probe", "confirmed")]
    assert (await rows(conn, "reference"))[0] == ("ref-later",)


async def test_what_a_partner_does_not_offer_or_cannot_be_read_is_refused_unsent(dsn, conn, shop):
    async with dispatching(dsn, Loopback(shop.url, manifest_of())):
        await owe(conn, "order/1", operation="open_drawer")
        await owe(conn, "order/2", operation="cancel_order")
        await until(conn, "rejected")
    assert (await shop.counts())["calls"] == 0
    codes = {row[0] for row in await rows(conn, "code")}
    assert codes == {"operation_not_offered", "payload_invalid"}


async def test_refusals_are_one_exception_a_reason(dsn, conn, shop):
    await shop.script(*["refuse"] * 7)
    async with dispatching(dsn, Loopback(shop.url, manifest_of())):
        await owe(conn, *[f"order/{n}" for n in range(8)])
        found = await until(conn, "confirmed", "rejected")
    assert sorted(found) == ["confirmed", *["rejected"] * 7]
    told = await cases(conn)
    assert [each[:4] for each in told] == [
        ("delivery_rejected", "SHOP/sync/invalid", "ecommerce", 2)
    ]


async def test_a_partner_that_is_down_is_one_exception_and_heals_by_itself(dsn, conn, shop):
    good, gone = Loopback(shop.url, manifest_of()), Loopback("http://127.0.0.1:9", manifest_of())
    async with dispatching(dsn, gone) as dispatcher:
        await owe(conn, *[f"order/{n}" for n in range(50)])
        await happens(lambda: cases(conn))
        assert await cases(conn) == [("partner_down", "SHOP", "ecommerce", 2, 1, True)]
        await asyncio.sleep(0.2)
        tried = sum(row[0] for row in await rows(conn, "attempts"))
        dispatcher._partners.connectors["SHOP"] = good
        await conn.execute(b"UPDATE breaker SET retry_at = 0")
        dispatcher.wake("SHOP")
        await until(conn, "confirmed")
    assert tried <= 100
    assert await cases(conn) == [("partner_down", "SHOP", "ecommerce", 2, 1, False)]
    assert len(shop.effects()) == 50
    await gone.close()


async def test_half_open_lets_one_call_through(dsn, conn, shop):
    async def second_trip():
        return await (await conn.execute(b"SELECT 1 FROM breaker WHERE trips = 2")).fetchone()

    await conn.execute(
        b"INSERT INTO breaker (system, state, failures, trips, retry_at) "
        b"VALUES ('SHOP', 'open', 5, 1, 0)"
    )
    await shop.script("fail_before")
    async with dispatching(dsn, Loopback(shop.url, manifest_of())):
        await owe(conn, *[f"order/{n}" for n in range(20)])
        await happens(second_trip)
        assert (await shop.counts())["calls"] == 1


async def test_a_throttled_partner_is_left_alone_for_as_long_as_it_asks(dsn, conn, shop):
    await shop.script(*["throttle"] * 2)
    async with dispatching(dsn, Loopback(shop.url, manifest_of(concurrency=1))):
        await owe(conn, *[f"order/{n}" for n in range(5)])
        await until(conn, "confirmed")
    assert await cases(conn) == []
    assert set(shop.times().values()) == {1}


async def test_limits_hold_and_nothing_is_lost_behind_them(dsn, conn, shop):
    limits = [
        LimitRule(operations=["sync"], limit=TokenBucket(burst=5, per_second=40)),
        LimitRule(operations=["*"], limit=Concurrency(calls=2)),
    ]
    manifest = manifest_of(limits=limits, concurrency=8)
    await shop.script(*["slow0.02"] * 30)
    loop = asyncio.get_running_loop()
    async with dispatching(dsn, Loopback(shop.url, manifest)):
        began = loop.time()
        await owe(conn, *[f"order/{n}" for n in range(30)])
        await until(conn, "confirmed")
        took = loop.time() - began
    assert took >= 25 / 40
    assert (await shop.counts())["most_running"] <= 2
    left = await (
        await conn.execute(b"SELECT keys FROM throttle WHERE name LIKE 'at_once%'")
    ).fetchall()
    assert left == [([],)]


async def test_what_an_object_has_for_a_day_holds_back_only_that_object(dsn, conn, shop):
    limits = [LimitRule(operations=["sync"], limit=DailyBudget(calls=2))]
    async with dispatching(dsn, Loopback(shop.url, manifest_of(limits=limits))):
        await owe(conn, "item/1", "item/1", "item/1", "item/2")
        await happens(lambda: done(shop, 3))
        await asyncio.sleep(0.1)
        found = await until(conn, "confirmed", "waiting")
    assert sorted(found) == ["confirmed", "confirmed", "confirmed", "waiting"]


async def test_a_system_that_cannot_be_called_is_shown_to_its_owner(dsn, conn, shop):
    async with dispatching(dsn, Loopback(shop.url, manifest_of())) as dispatcher:
        connector = dispatcher._partners.connectors.pop("SHOP")
        await owe(conn, "order/1")
        await happens(lambda: cases(conn))
        assert await cases(conn) == [("partner_unusable", "SHOP", "ecommerce", 2, 1, True)]
        dispatcher._partners.connectors["SHOP"] = connector
        dispatcher.wake("SHOP")
        await until(conn, "confirmed")
    assert (await cases(conn))[0][-1] is False


async def test_stopping_puts_back_what_was_not_called(dsn, conn, shop):
    await shop.script(*["slow0.1"] * 4)
    async with dispatching(dsn, Loopback(shop.url, manifest_of(concurrency=2))):
        await owe(conn, *[f"order/{n}" for n in range(40)])
        await happens(lambda: done(shop, 1))
    found = await rows(conn, "state, attempts, started_at IS NULL")
    assert {row for row in found if row[0] != "confirmed"} == {("waiting", 0, True)}
    assert sum(row[0] == "confirmed" for row in found) == len(shop.effects())


async def test_a_long_call_keeps_its_lease(dsn, conn, shop):
    await shop.script("slow0.8")
    connector = Loopback(shop.url, manifest_of())
    async with (
        dispatching(dsn, connector, lease_seconds=0.3, tick_seconds=0.05),
        dispatching(dsn, connector, lease_seconds=0.3, tick_seconds=0.05),
    ):
        await owe(conn, "order/1")
        await until(conn, "confirmed")
    assert len(shop.effects()) == 1
    assert (await rows(conn, "attempts"))[0] == (1,)


async def test_two_processes_share_the_work_and_double_nothing(dsn, conn, shop):
    one, two = (Loopback(shop.url, manifest_of()) for _ in range(2))
    async with dispatching(dsn, one), dispatching(dsn, two):
        for first in range(0, 400, 100):
            await owe(conn, *[f"order/{n % 50}" for n in range(100)], first=first)
        await until(conn, "confirmed")
    assert len(shop.effects()) == 400
    assert set(shop.times().values()) == {1}
