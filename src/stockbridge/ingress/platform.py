"""The process itself: health, readiness, metrics, contract and reference."""

import asyncio
import math
import time
from functools import cache
from typing import Any

import msgspec
import psycopg
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg.rows import dict_row
from psycopg_pool import PoolTimeout

from stockbridge import store
from stockbridge.engine.inbox.health import backlog
from stockbridge.ingress import docs
from stockbridge.ingress.answers import Check, Health, Readiness
from stockbridge.ingress.call import Answer, Call, Hub, Route, answer_json
from stockbridge.ingress.wire import PAGE
from stockbridge.kernel.errors import Refusal, StockbridgeError
from stockbridge.store.doctor import check_outbox
from stockbridge.store.migrate import pending
from stockbridge.store.sql import load

SQL = load(__package__)
DOCTOR_SQL = load(store.__name__)
_DATABASE_SECONDS_MAX = 2.0
_BACKLOG_COUNTED_MAX = 10_000
_HTML = b"text/html; charset=utf-8"


async def health(_call: Call) -> Answer | Refusal:
    """The process answers; nothing else is looked at."""
    return answer_json(Health("ok"))


async def ready(call: Call) -> Answer | Refusal:
    """Whether to send requests here: 503 if not. Tells of what waits and who is away, too."""
    checks = await readiness(call.hub)
    good = all(check.ok for check in checks.values())
    return answer_json(Readiness(good, checks), 200 if good else 503)


async def readiness(hub: Hub) -> dict[str, Check]:
    """Every condition of readiness by name."""
    database = await _database(hub)
    checks = {"database": database, "migrations": Check(False, "unknown without the database")}
    if database.ok:
        checks["migrations"] = await _migrations(hub)
        checks["inbox"] = await _inbox(hub)
        checks |= await _outbox(hub)
    checks["applier"] = _applier(hub)
    running = hub.engine.is_running
    waiting = f"{hub.engine.depth} commands waiting"
    checks["engine"] = Check(running, waiting if running else "does not accept commands")
    checks["view"] = _view(hub)
    listening = hub.keyring.live
    checks["keys"] = Check(listening, "in memory, listening" if listening else "database away")
    if hub.closing.is_set():
        checks["process"] = Check(False, "is stopping")
    return checks


async def _database(hub: Hub) -> Check:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_DATABASE_SECONDS_MAX), hub.pool.connection() as conn:
            await conn.execute(SQL.ping)
    except (psycopg.Error, PoolTimeout, TimeoutError) as error:
        return Check(False, f"no answer within {_DATABASE_SECONDS_MAX} s: {error}".rstrip(": "))
    return Check(True, f"answered in {(time.perf_counter() - began) * 1000:.1f} ms")


async def _inbox(hub: Hub) -> Check:
    """Taking messages is what makes it ready; a backlog is told, as others could not take less."""
    if not hub.inbox.is_running:
        return Check(False, "does not take messages")
    try:
        async with asyncio.timeout(_DATABASE_SECONDS_MAX), hub.pool.connection() as conn:
            found = await backlog(conn, _BACKLOG_COUNTED_MAX)
    except (psycopg.Error, PoolTimeout, TimeoutError) as error:
        return Check(False, f"the backlog is not known: {error}".rstrip(": "))
    more = " or more" if found.messages == _BACKLOG_COUNTED_MAX else ""
    detail = f"{hub.inbox.depth} waiting to be kept, {found.messages:,}{more} to be applied"
    return Check(True, f"{detail}, the oldest for {found.oldest_seconds:.1f} s")


async def _outbox(hub: Hub) -> dict[str, Check]:
    """What leaves. That a partner is away, or much is due, is told: requests may come here."""
    try:
        async with (
            asyncio.timeout(_DATABASE_SECONDS_MAX),
            hub.pool.connection() as conn,
            conn.cursor(row_factory=dict_row) as cursor,
        ):
            await cursor.execute(DOCTOR_SQL.outbox_health)
            found = check_outbox(await cursor.fetchone() or {})
    except (psycopg.Error, PoolTimeout, TimeoutError) as error:
        return {"partners": Check(False, f"what is due is not known: {error}".rstrip(": "))}
    checks = {each.name: Check(True, each.detail) for each in found}
    for name, own in (("deliveries", hub.outbox), ("listings", hub.listings)):
        if own is not None and not own.is_running:
            checks[name] = Check(False, f"does not see to {name}")
    return checks


def _applier(hub: Hub) -> Check:
    if hub.applier is None:
        return Check(True, "other processes apply what this one takes")
    if not hub.applier.is_running:
        return Check(False, "does not apply messages")
    return Check(True, f"{hub.applier.depth} messages in memory")


def _view(hub: Hub) -> Check:
    health = hub.view.health()
    if health.age_seconds is None:
        return Check(False, f"loading, {health.items:,} items so far")
    if not health.current or math.isinf(health.age_seconds):
        return Check(False, f"{health.age_seconds:.1f} s old; answers come from the store")
    lag_ms = health.lag_seconds_last * 1000
    return Check(True, f"{health.items:,} items, {lag_ms:.1f} ms behind the last commit")


async def _migrations(hub: Hub) -> Check:
    try:
        names = await asyncio.to_thread(pending, hub.dsn)
    except (StockbridgeError, psycopg.Error) as error:
        return Check(False, str(error))
    if names:
        return Check(False, f"pending: {', '.join(names)}; run `stockbridge migrate`")
    return Check(True, "current")


async def metrics(call: Call) -> Answer | Refusal:
    """Prometheus text."""
    text = await asyncio.to_thread(generate_latest, call.hub.registry)
    return Answer(200, text, CONTENT_TYPE_LATEST.encode())


async def openapi(_call: Call) -> Answer | Refusal:
    """The contract as OpenAPI 3.1."""
    return Answer(200, msgspec.json.encode(contract()))


async def reference(_call: Call) -> Answer | Refusal:
    """The contract as a page."""
    return Answer(200, docs.page(contract()).encode(), _HTML, PAGE)


@cache
def contract() -> dict[str, Any]:
    """The OpenAPI document of the whole table."""
    from stockbridge.ingress.openapi import document  # noqa: PLC0415 - the table names this module
    from stockbridge.ingress.table import ROUTES as TABLE  # noqa: PLC0415 - same

    return document(TABLE)


ROUTES = (
    Route("GET", "/healthz", health, "The process answers", (), {200: Health}),
    Route("GET", "/readyz", ready, "Whether to send requests here", (),
          {200: Readiness, 503: Readiness}),
    Route("GET", "/metrics", metrics, "Prometheus metrics", (), {200: None}),
    Route("GET", "/openapi.json", openapi, "This contract", (), {200: dict[str, Any]}),
    Route("GET", "/docs", reference, "This contract as a page", (), {200: None}),
)  # fmt: skip
