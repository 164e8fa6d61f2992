"""One batch: prefetch, decide, commit. Nothing is acknowledged before its commit."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog
from psycopg import AsyncConnection

from stockbridge.domain import reservations
from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.reservations.rules import expire_due
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.world import World
from stockbridge.engine.load import Answers, covers, find_documents, load_world
from stockbridge.engine.recent import Recent
from stockbridge.engine.registry import HANDLERS
from stockbridge.engine.request import KEY_REUSED, Outcome, Request, encode
from stockbridge.engine.save import save
from stockbridge.engine.speculate import run_ahead
from stockbridge.store.arrays import ints
from stockbridge.store.pipeline import rollback
from stockbridge.store.sql import load

ATTEMPTS_MAX = 50
DUE_MAX = 500
"""Reservations expired at a time to make room for a batch that found too little stock."""

RESERVATIONS_SQL = load(reservations.__name__)
log = structlog.get_logger()
Conn = AsyncConnection[Any]


async def run_batch(
    conn: Conn, masters: Masters, requests: list[Request], recent: Recent
) -> list[Outcome]:
    """Outcomes in the order of the requests, all committed."""
    ahead = await run_ahead(conn, masters, requests, recent)
    if ahead is not None:
        return ahead
    async with recent.careful():
        return await _run_careful(conn, masters, requests, recent)


async def _run_careful(
    conn: Conn, masters: Masters, requests: list[Request], recent: Recent
) -> list[Outcome]:
    """Lock, read, decide, write; again while masters change or expired promises make room."""
    due: set[int] = set()
    for _ in range(ATTEMPTS_MAX):
        needs = await needs_of(conn, masters, requests, due)
        clock = datetime.now(UTC)
        world, epoch, known = await load_world(conn, needs, [r.key for r in requests], masters)
        if epoch != masters.epoch:
            await rollback(conn)
            await masters.reload(conn)
            continue
        if not covers(needs, world):
            await rollback(conn)
            continue
        outcomes, fresh = decide_all(world, requests, known)
        more = await find_more(conn, world, due)
        if more:
            await rollback(conn)
            due |= more
            continue
        await save(conn, world, fresh)
        recent.learn(world, clock)
        return outcomes
    msg = f"masters or expiries changed {ATTEMPTS_MAX} times while a batch was being prepared"
    raise RuntimeError(msg)


async def needs_of(conn: Conn, masters: Masters, requests: list[Request], due: set[int]) -> Needs:
    """Everything the batch must lock and read."""
    needs = Needs()
    for request in requests:
        HANDLERS[type(request.command.body)].names(request.command.body, needs)
    if due:
        needs.reservations |= due
        needs.all_locations = True
        needs.fences = needs.fences or masters.has_fences
    if needs.reservations or needs.references or needs.orders or needs.order_numbers:
        await find_documents(conn, needs)
    await masters.fetch(conn, needs.skus, needs.aliases, needs.item_ids)
    for request in requests:
        HANDLERS[type(request.command.body)].rows(request.command.body, masters, needs)
    return needs


def decide_all(
    world: World, requests: list[Request], known: Answers
) -> tuple[list[Outcome], list[tuple[Request, Outcome]]]:
    """All outcomes, and those that are new and must be kept."""
    if world.reservations:
        expire_due(world, "expiry")
    outcomes: list[Outcome] = []
    fresh: list[tuple[Request, Outcome]] = []
    for request in requests:
        first = known.get(request.key)
        if first is None:
            command = request.command
            outcome = encode(HANDLERS[type(command.body)].decide(command, world))
            fresh.append((request, outcome))
        elif first[0] == request.body_hash:
            outcome = Outcome(first[1], first[2], replayed=True)
        else:
            outcome = encode(KEY_REUSED)
        outcomes.append(outcome)
    return outcomes, fresh


async def find_more(conn: Conn, world: World, done: set[int]) -> set[int]:
    """Reservations the batch must read after all.

    Those a fulfilment named, and those past their time that hold items the batch found short.
    """
    if not world.short_items:
        return world.wanted - done
    found = await find_due(conn, world.now, sorted(world.short_items))
    return (found | world.wanted) - done


async def find_due(
    conn: Conn, now: datetime, items: list[int] | None = None, limit: int = DUE_MAX
) -> set[int]:
    """Ids of held reservations past their time, oldest first, of the items or of all."""
    values = {"now": now, "items": None if items is None else ints(items), "limit": limit}
    cursor = await conn.execute(RESERVATIONS_SQL.due_reservations, values)
    return {row[0] for row in await cursor.fetchall()}


async def isolate(
    conn: Conn, masters: Masters, requests: list[Request], recent: Recent
) -> list[Outcome | None]:
    """After a batch failed: run its commands one by one; None where a command itself fails."""
    outcomes: list[Outcome | None] = []
    for request in requests:
        try:
            outcomes.extend(await run_batch(conn, masters, [request], recent))
        except asyncio.CancelledError:
            raise
        except Exception:
            if conn.closed:
                raise
            await rollback(conn)
            kind = type(request.command.body).__name__
            correlation_id = request.command.correlation_id
            log.exception("poison command", kind=kind, correlation_id=correlation_id)
            outcomes.append(None)
    return outcomes
