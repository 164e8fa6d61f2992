"""The timer that promises what has come in to orders that wait for it, oldest first.

Each round goes through all of them in pages, so that one that cannot be filled (its stock is set
aside for others, say) does not stand in the way of those behind it.
"""

import asyncio
import random

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.orders import FillOrders
from stockbridge.domain.orders.answers import internal_order, public_order
from stockbridge.engine import Command, Engine
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
PERIOD_SECONDS = 1.0
AT_ONCE = 50
"""Orders of one command, and so of one transaction at most."""
_PAGE = 500


async def fill(engine: Engine, pool: Pool, page: int = _PAGE) -> int:
    """One round over every order that might be filled now; returns how many were tried."""
    tried, after = 0, 0
    while waiting := await _waiting(pool, after, page):
        for start in range(0, len(waiting), AT_ONCE):
            # One after the other: the oldest is served before the next is looked at.
            await engine.submit(Command(FillOrders(waiting[start : start + AT_ONCE]), "filler"))
        tried += len(waiting)
        after = internal_order(waiting[-1])
    return tried


async def _waiting(pool: Pool, after: int, limit: int) -> list[str]:
    async with pool.connection() as conn:
        cursor = await conn.execute(SQL.fillable_orders, {"after": after, "limit": limit})
        return [public_order(row[0]) for row in await cursor.fetchall()]


async def fill_forever(engine: Engine, pool: Pool, period_seconds: float = PERIOD_SECONDS) -> None:
    """Fill every period, at moments spread by chance so that processes do not meet."""
    while True:
        await asyncio.sleep(period_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        try:
            await fill(engine, pool)
        except (psycopg.OperationalError, PoolTimeout) as error:
            LOG.warning("filler: database away", cause=str(error))
