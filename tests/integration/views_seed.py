"""Rows for the tests of the views, written straight into the tables, and notices as batches do."""

import json
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

NOW = datetime.now(UTC)
LOCATIONS = 4
ITEMS = 300
KITS = range(291, 301)

CHANNELS: dict[str, dict[str, Any]] = {
    "WEB": {},
    "PLAIN": {"buffer_units": 2, "buffer_percent": 10, "cap": 40},
    "FENCED": {"kind": "ring_fenced"},
    "LATER": {"kind": "percent", "percent": 60, "horizon_days": 14, "safety_stock": 3},
    "FRESH": {"on_stale": "buffer", "stale_buffer_units": 5, "floor": 3},
}


def sku(item_id: int) -> str:
    return f"SKU-{item_id}"


SKUS = [sku(item_id) for item_id in range(1, ITEMS + 1)]


def seed(dsn: str, seed_number: int) -> None:
    """Items, kits, locations, five channels with different policies, stock, fences, pipeline."""
    chance = random.Random(seed_number)
    with psycopg.connect(dsn) as conn, conn.cursor() as cur:
        places = [(n, f"L{n}") for n in range(1, LOCATIONS + 1)]
        cur.executemany("INSERT INTO location (location_id, code) VALUES (%s, %s)", places)
        feeds = [(n, NOW - timedelta(seconds=n * 400)) for n in range(1, LOCATIONS)]
        cur.executemany("INSERT INTO location_feed VALUES (%s, %s)", feeds)
        items = [(n, sku(n)) for n in range(1, ITEMS + 1)]
        cur.executemany("INSERT INTO item (item_id, sku) VALUES (%s, %s)", items)
        _channels(cur, chance)
        _stock(cur, chance)


def _channels(cur, chance: random.Random) -> None:
    for number, (code, policy) in enumerate(CHANNELS.items(), 1):
        cur.execute(
            "INSERT INTO channel (channel_id, code, freshness_seconds_max) VALUES (%s, %s, %s)",
            (number, code, 1000 if code in ("FRESH", "PLAIN") else None),
        )
        # One channel draws on the location that never reported.
        first = 2 if code == "LATER" else 1
        sources = [(number, first + n, n) for n in range(3)]
        cur.executemany("INSERT INTO channel_source VALUES (%s, %s, %s)", sources)
        if policy:
            add_policy(cur, number, None, policy)
    for item_id in chance.sample(range(1, ITEMS), 30):
        add_policy(cur, 1, item_id, {"buffer_units": 4, "horizon_days": 3})


def add_policy(cur, channel_id: int, item_id: int | None, body: dict, version: int = 1) -> None:
    cur.execute(
        "INSERT INTO policy (channel_id, item_id, version, effective_from, author, body)"
        " VALUES (%s, %s, %s, %s, 'test', %s)",
        (channel_id, item_id, version, NOW - timedelta(days=1), json.dumps(body)),
    )


def _stock(cur, chance: random.Random) -> None:
    pairs = [
        (item, place)
        for item in range(1, KITS[0])
        for place in range(1, LOCATIONS + 1)
        if chance.random() < 0.7
    ]
    balances = [
        (*pair, chance.randint(-5, 60), chance.randint(0, 20), chance.choice((0, 0, 4)),
         chance.choice((0, 0, 3)))
        for pair in pairs
    ]  # fmt: skip
    cur.executemany(
        "INSERT INTO balance (item_id, location_id, available, reserved, safety_stock,"
        " backordered) VALUES (%s, %s, %s, %s, %s, %s)",
        balances,
    )
    fences = [(*pair, chance.choice((1, 3)), chance.randint(1, 15)) for pair in pairs[::4]]
    cur.executemany("INSERT INTO fence VALUES (%s, %s, %s, %s)", fences)
    days = [chance.randint(-2, 30) for _ in pairs[::3]]
    supply = [
        (*pair, f"PO{n}", chance.randint(1, 40), NOW + timedelta(days=days[n]))
        for n, pair in enumerate(pairs[::3])
    ]
    cur.executemany(
        "INSERT INTO supply (item_id, location_id, document_type, document_number, document_line,"
        " account, quantity, expected_at) VALUES (%s, %s, 'purchase', %s, '1', 6, %s, %s)",
        supply,
    )
    kits = [
        (kit, component, chance.randint(1, 3))
        for kit in KITS
        for component in chance.sample(range(1, KITS[0]), 2)
    ]
    cur.executemany("INSERT INTO kit_component VALUES (%s, %s, %s)", kits)


async def move(conn, batch_id: int, item_id: int, location_id: int, available: int) -> None:
    """Set a balance and send the notice, in one transaction, as a batch does."""
    async with conn.transaction():
        await conn.execute(
            "INSERT INTO balance (item_id, location_id, available) VALUES (%s, %s, %s)"
            " ON CONFLICT (item_id, location_id) DO UPDATE SET available = excluded.available",
            (item_id, location_id, available),
        )
        got = await conn.execute(
            "SELECT available, reserved, backordered, safety_stock FROM balance"
            " WHERE (item_id, location_id) = (%s, %s)",
            (item_id, location_id),
        )
        has, reserved, backordered, safety = await got.fetchone()
        line = f"{item_id} {location_id} {has} 0 0 0 0 0 {reserved} {backordered} {safety}"
        await notify(conn, f"{batch_id} {time.time_ns() // 1000}\n{line}")


async def notify(conn, payload: str, channel: str = "stockbridge_stock") -> None:
    await conn.execute("SELECT pg_notify(%s, %s)", (channel, payload))


async def masters_changed(conn) -> None:
    got = await conn.execute("UPDATE masters_epoch SET epoch = epoch + 1 RETURNING epoch::text")
    await notify(conn, (await got.fetchone())[0], "stockbridge_masters")
