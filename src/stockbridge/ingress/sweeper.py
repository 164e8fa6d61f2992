"""The timer that ends promises past their time.

Correctness does not need it: a decision that finds too little stock ends what is due first. The
timer gives stock back to the shown figures soon after.
"""

import asyncio
import random

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.commands import ExpireReservations
from stockbridge.domain.reservations.rules import public_id
from stockbridge.engine import Command, Engine
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
PERIOD_SECONDS = 1.0
_AT_ONCE = 500
_IN_FLIGHT = 8


async def sweep(engine: Engine, pool: Pool) -> int:
    """End every promise that is due now; returns how many were asked to end."""
    async with pool.connection() as conn:
        cursor = await conn.execute(SQL.due_reservations, {"limit": _AT_ONCE * _IN_FLIGHT})
        due = [public_id(row[0]) for row in await cursor.fetchall()]
    groups = [due[start : start + _AT_ONCE] for start in range(0, len(due), _AT_ONCE)]
    commands = [Command(ExpireReservations(group), principal="sweeper") for group in groups]
    await asyncio.gather(*(engine.submit(command) for command in commands))
    return len(due)


async def sweep_forever(engine: Engine, pool: Pool, period_seconds: float = PERIOD_SECONDS) -> None:
    """Sweep every period, at moments spread by chance so that processes do not meet."""
    while True:
        await asyncio.sleep(period_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        try:
            await sweep(engine, pool)
        except (psycopg.OperationalError, PoolTimeout) as error:
            LOG.warning("sweeper: database away", cause=str(error))
