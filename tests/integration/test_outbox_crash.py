"""Killed workers double nothing and lose nothing; four processes pass no limit."""

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from stockbridge import outbox
from stockbridge.domain.world.model import Owed
from stockbridge.outbox.deliveries import columns
from stockbridge.store.database import connect
from stockbridge.store.pipeline import run
from stockbridge.store.sql import load
from tests.partner.client import begin, server
from tests.partner.taker import FULL

SQL = load(outbox.__name__)
ROOT = Path(__file__).parents[2]
SECONDS_MAX = 90.0
COUNT = 30


@pytest.fixture(scope="module")
def partner_url():
    with server() as url:
        yield url


@contextmanager
def worker(*words):
    command = [sys.executable, "-m", "tests.partner.worker", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


async def confirmed(dsn):
    async with await connect(dsn) as conn:
        query = b"SELECT count(*) FROM delivery WHERE state = 'confirmed'"
        return (await (await conn.execute(query)).fetchall())[0][0]


async def all_confirmed(dsn):
    async with asyncio.timeout(SECONDS_MAX):
        while await confirmed(dsn) < COUNT:  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.05)


async def happens(look):
    async with asyncio.timeout(SECONDS_MAX):
        while not look():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)


async def owe(dsn):
    async with await connect(dsn) as conn:
        await conn.execute(
            b"INSERT INTO system (code, kind, lifecycle) VALUES ('SHOP', 'storefront', 'live')"
        )
        owed = [Owed("SHOP", "sync", f"order/{n % 10}", f"k{n}", {"n": n}) for n in range(COUNT)]
        await run(conn, [(SQL.add_deliveries, columns(owed))])


@pytest.mark.parametrize("ability", ["probe", "keys"])
@pytest.mark.parametrize("point", ["called", "answered", "written"])
async def test_a_killed_worker_loses_and_doubles_nothing(
    dsn, tmp_path, partner_url, ability, point
):
    shop = await begin(partner_url, tmp_path, knows_keys=ability == "keys")
    await owe(dsn)
    with worker(dsn, shop.url, ability, point) as first:
        assert await asyncio.to_thread(first.wait, SECONDS_MAX) == -9
    before = len(shop.effects())
    assert 0 < before < COUNT
    with worker(dsn, shop.url, ability, "never") as second:
        await all_confirmed(dsn)
        assert second.poll() is None
    assert len(shop.times()) == COUNT
    assert set(shop.times().values()) == {1}
    order = [key for key, item, _ in shop.effects() if item == "order/3"]
    async with await connect(dsn) as conn:
        query = (
            b"SELECT idempotency_key::text FROM delivery WHERE object_key = 'order/3' "
            b"ORDER BY delivery_id"
        )
        assert order == [row[0] for row in await (await conn.execute(query)).fetchall()]


async def test_workers_killed_during_calls_lose_and_double_nothing(dsn, tmp_path, partner_url):
    shop = await begin(partner_url, tmp_path)
    await owe(dsn)
    await shop.script(*["slow0.05"] * COUNT)
    for calls in (5, 12):
        with worker(dsn, shop.url, "probe", "never"):
            await happens(lambda calls=calls: len(shop.effects()) >= calls)
    assert await confirmed(dsn) < COUNT
    with worker(dsn, shop.url, "probe", "never"):
        await all_confirmed(dsn)
    assert len(shop.times()) == COUNT
    assert set(shop.times().values()) == {1}


def test_four_processes_pass_no_limit(dsn):
    command = [sys.executable, "-m", "tests.partner.taker", dsn]
    takers = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, cwd=ROOT, text=True)
        for seed in range(4)
    ]
    said = [taker.communicate(timeout=SECONDS_MAX)[0] for taker in takers]
    granted = [list(map(int, each.split())) for each in said]
    assert [sum(column) for column in zip(*granted, strict=True)] == list(FULL.values())
