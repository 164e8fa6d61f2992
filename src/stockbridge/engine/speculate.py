"""Deciding ahead: promises are decided on recent rows and written if nothing changed meanwhile.

The careful way (batch.py) holds the items' locks while Python decides, so two batches that share
an item take turns from reading to commit. Here a batch is decided at once on the rows the batch
before it decided, its own rows are inserted while that one still commits, and the locks are held
only for the guarded update of the balances. The guard compares the version of every row and the
masters' epoch; when it fails, the batch is rolled back and run the careful way.

Batches that decide ahead commit in the order they were decided (`last_turn`), since each may
stand on the one before.
"""

import asyncio
from typing import Any

import psycopg
from psycopg import AsyncConnection

from stockbridge.contracts.commands import ReserveStock
from stockbridge.domain import ledger
from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.world.model import LOCATION, VERSION, Balance
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.world import Place, World
from stockbridge.engine.recent import Recent
from stockbridge.engine.registry import HANDLERS
from stockbridge.engine.request import Outcome, Request, encode
from stockbridge.engine.save import notice_writes, record_writes, unchanged_balance_writes
from stockbridge.store.arrays import ints
from stockbridge.store.pipeline import rollback, run
from stockbridge.store.sql import load

LEDGER_SQL = load(ledger.__name__)
IDS_AHEAD = 64

Conn = AsyncConnection[Any]
Answered = list[tuple[Request, Outcome]]

CONFLICTS = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
)
"""What tells that another process was faster, or that a key was used before."""


async def run_ahead(
    conn: Conn, masters: Masters, requests: list[Request], recent: Recent
) -> list[Outcome] | None:
    """Outcomes, committed; None when the batch must be run the careful way."""
    if not masters.epoch or any(type(r.command.body) is not ReserveStock for r in requests):
        return None
    needs = Needs()
    for request in requests:
        HANDLERS[ReserveStock].names(request.command.body, needs)
    await masters.fetch(conn, needs.skus)
    for request in requests:
        HANDLERS[ReserveStock].rows(request.command.body, masters, needs)
    if needs.fences or not _all_shared(masters, requests):
        return None
    places = [(item, place) for item in needs.item_ids for place in needs.locations]
    await recent.calm()
    await _read_missing(conn, recent, places)
    decided = _decide(masters, requests, recent, places)
    if decided is None:
        return None
    world, answered, turn, before = decided
    try:
        return await _commit(conn, world, answered, before)
    except CONFLICTS:
        recent.forget(world.balances_changed)
        await rollback(conn)
        return None
    except BaseException:
        recent.forget(world.balances_changed)
        raise
    finally:
        turn.set_result(None)


def _all_shared(masters: Masters, requests: list[Request]) -> bool:
    """Whether no channel's share depends on rows that a batch reads without writing them."""
    channels = [masters.channels.get(code) for code in {r.command.body.channel for r in requests}]
    return all(
        channel is None
        or (not channel.item_policies and all(p.kind == "shared" for p in channel.policies))
        for channel in channels
    )


async def _read_missing(conn: Conn, recent: Recent, places: list[Place]) -> None:
    missing = recent.missing(places)
    if missing:
        items = {item for item, _ in missing}
        locations = {place for _, place in missing}
        values = {"items": ints(items), "locations": ints(locations)}
        rows = await run(conn, [(LEDGER_SQL.read_balances, values)])
        recent.add(missing, rows[0], LOCATION)
    if not recent.batch_ids:
        rows = await run(conn, [(LEDGER_SQL.next_batches, {"count": IDS_AHEAD})])
        recent.batch_ids.extend(row[0] for row in rows[0])


Decided = tuple[World, Answered, "asyncio.Future[None]", "asyncio.Future[None] | None"]


def _decide(
    masters: Masters, requests: list[Request], recent: Recent, places: list[Place]
) -> Decided | None:
    """Decide and take a turn, in one step nobody can come between; None when stock is short.

    A shortage needs the careful way: due reservations may have to end first, and a refusal must
    stand on locked rows.
    """
    if not recent.is_calm:
        return None
    rows = zip(places, recent.rows(places), strict=True)
    known = [(place, row) for place, row in rows if row is not None]
    batch_id = recent.take_batch_id(max([row[VERSION] for _, row in known], default=0))
    if batch_id is None:
        return None
    world = World(batch_id, recent.now(), masters)
    world.balances = {place: Balance(row.copy()) for place, row in known}
    decide = HANDLERS[ReserveStock].decide
    answered = [(r, encode(decide(r.command, world))) for r in requests]
    if world.short_items or not world.balances_changed:
        return None
    before = recent.last_turn
    turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    recent.last_turn = turn
    recent.keep(world)
    return world, answered, turn, before


async def _commit(
    conn: Conn, world: World, answered: Answered, before: "asyncio.Future[None] | None"
) -> list[Outcome]:
    """Insert what is ours, wait for the batch before, then write the balances under the guard."""
    await run(conn, [(b"BEGIN", {}), *record_writes(world, answered)])
    if before is not None:
        await before
    writes = [*unchanged_balance_writes(world), *notice_writes(world), (b"COMMIT", {})]
    await run(conn, writes)
    return [outcome for _, outcome in answered]
