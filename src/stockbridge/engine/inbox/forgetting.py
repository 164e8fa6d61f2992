"""Old identities go: a message that was not heard of for long is a new one when it comes again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

from stockbridge.store.database import Pool
from stockbridge.store.sql import load

DAY_SECONDS: Final = 86_400.0
BLOCKS_AT_ONCE: Final = 4_096
"""Of the table, in one transaction: some 300,000 identities."""

SQL = load(__package__)
log = structlog.get_logger()
Conn = AsyncConnection[Any]


async def forget(conn: Conn, before: datetime, blocks: int = BLOCKS_AT_ONCE) -> int:
    """Delete the identities last seen before a moment; how many. On an autocommit connection.

    Goes once through the table in the order it is stored, so it needs no index of its own.
    """
    (size,) = await (await conn.execute(SQL.count_identity_blocks)).fetchone() or (0,)
    forgotten = 0
    for first in range(0, size, blocks):
        stretch = {"first": first, "end": first + blocks, "before": before}
        forgotten += (await conn.execute(SQL.forget_identities, stretch)).rowcount
    return forgotten


async def forget_daily(pool: Pool, days: int) -> None:
    """Delete every day what was not seen for so many days."""
    while True:
        try:
            async with pool.connection() as conn:
                forgotten = await forget(conn, datetime.now(UTC) - timedelta(days=days))
            if forgotten:
                log.info("inbox: old identities forgotten", count=forgotten)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("inbox: old identities stay", cause=str(error))
        await asyncio.sleep(DAY_SECONDS)
