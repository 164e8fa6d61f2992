"""The outbox: deliveries a second to a partner on loopback, beside the calls of a bare client."""

import asyncio
from time import perf_counter, process_time
from typing import Any

import aiohttp
import psycopg

from bench.lab import Lab, settle
from bench.load import spared_collector
from bench.model import Case, Figure, Measured, Target
from bench.partner import running_partner
from bench.runner import run_async
from stockbridge import outbox
from stockbridge.contracts.partners.manifest import Manifest, Operation
from stockbridge.contracts.partners.model import Delivery, Outcome
from stockbridge.domain.world.model import Owed
from stockbridge.outbox.deliveries import columns
from stockbridge.outbox.dispatcher import Dispatcher
from stockbridge.store.database import connect
from stockbridge.store.pipeline import run
from stockbridge.store.sql import load

AT_ONCE = 8
"""Calls under way at a time, of the bare client and of the connector."""
_OWED_AT_ONCE = 2_000
_SYSTEM = "SHOP"
SQL = load(outbox.__name__)
MANIFEST = Manifest(
    name="loopback", title="A partner that only answers", kind="storefront", version="1",
    summary="", operations=[Operation(name="sync", idempotent=True)], concurrency=AT_ONCE,
)  # fmt: skip


class Calling:
    """What a connector does: one POST with an idempotency key, and the answer read."""

    manifest = MANIFEST

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def connector(self, _system: str) -> Any:
        """Itself, as the open connection of every system."""
        return self

    async def orders_heard_at(self, _system: str) -> None:
        """Never."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Make the call."""
        headers = {"Idempotency-Key": delivery.idempotency_key}
        body = {"object": delivery.object_key, "lines": delivery.payload}
        async with self._session.post(self._url, json=body, headers=headers) as answer:
            said = await answer.json()
        return Outcome("confirmed", reference=said["reference"])


async def call_bare(url: str, count: int) -> float:
    """Seconds of so many calls, eight at a time, with nothing around them."""
    async with aiohttp.ClientSession() as session:
        calling = Calling(url, session)
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                key = f"00000000-0000-8000-a000-{number:012}"
                payload = {"sku": "S1", "quantity": number}
                await calling.send(Delivery(1, "sync", f"order/{number}", key, "c", 1, payload))

        began = perf_counter()
        await asyncio.gather(*[work() for _ in range(AT_ONCE)])
        return perf_counter() - began


async def owe(dsn: str, count: int) -> None:
    """Owe deliveries about as many orders."""
    async with await connect(dsn) as conn:
        for first in range(0, count, _OWED_AT_ONCE):
            owed = [
                Owed(_SYSTEM, "sync", f"order/{n}", f"k{n}", {"sku": "S1", "quantity": n}, "c")
                for n in range(first, min(first + _OWED_AT_ONCE, count))
            ]
            await run(conn, [(SQL.add_deliveries, columns(owed))])


async def deliver(dsn: str, url: str, count: int) -> float:
    """Seconds until so many waiting deliveries are confirmed."""
    confirmed, done = 0, asyncio.Event()

    def on_outcome(_system: str, _operation: str, state: str) -> None:
        nonlocal confirmed
        confirmed += state == "confirmed"
        if confirmed >= count:
            done.set()

    async with aiohttp.ClientSession() as session:
        dispatcher = Dispatcher(dsn, Calling(url, session), on_outcome=on_outcome)
        began = perf_counter()
        await dispatcher.start()
        await done.wait()
        seconds = perf_counter() - began
        await dispatcher.stop()
    return seconds


def bare(lab: Lab) -> Measured:
    """A client loop without the hub."""
    count = lab.sized(5_000, 20_000)
    with running_partner() as url:
        seconds = run_async(call_bare(url, count))
    return Measured({"": count / seconds}, {"calls": count, "at_once": AT_ONCE})


def dispatcher(lab: Lab) -> Measured:
    """Deliveries that wait already, each about its own order."""
    count = lab.sized(5_000, 20_000)
    with lab.database("dispatcher") as dsn, running_partner() as url:
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(
                b"INSERT INTO system (code, kind, lifecycle) VALUES ('SHOP', 'storefront', 'live')"
            )
        run_async(owe(dsn, count))
        settle(dsn)
        database, python = lab.database_cpu_seconds(), process_time()
        with spared_collector():
            seconds = run_async(deliver(dsn, url, count))
        used = lab.database_cpu_seconds()
        details: dict[str, Any] = {
            "deliveries": count,
            "at_once": AT_ONCE,
            "python_cpu_us": round((process_time() - python) / count * 1e6, 1),
        }
        if database is not None and used is not None:
            details["postgres_cpu_us"] = round((used - database) / count * 1e6, 1)
    return Measured({"": count / seconds}, details)


CASES = (
    Case(
        "floor_partner",
        {"": Figure("calls/s", "a bare client, eight calls at a time, against the same partner")},
        bare,
    ),
    Case(
        "dispatcher",
        {
            "": Figure(
                "deliveries/s",
                "claimed, called over HTTP, confirmed and settled by one process",
                "floor_partner",
                Target("at_least", 2_000),
            )
        },
        dispatcher,
    ),
)
