"""After what kept a partner from being called was put right, nobody waits out an old pause."""

from typing import Any, Final

from psycopg import AsyncConnection

from stockbridge import outbox
from stockbridge.ingress.connections import FRESH_SECONDS
from stockbridge.outbox import listings
from stockbridge.store.sql import load

SQL = load(__package__)
OUTBOX_SQL = load(outbox.__name__)
LISTINGS_SQL = load(listings.__name__)
SOON_SECONDS: Final = FRESH_SECONDS + 0.5
"""When every process works with what was put."""


async def try_soon(conn: AsyncConnection[Any], system: str) -> None:
    """Have feeds, deliveries and listings of a system tried that wait after failures."""
    values = {"system": system, "seconds": SOON_SECONDS}
    async with conn.transaction():
        await conn.execute(SQL.try_feeds, values)
        await conn.execute(OUTBOX_SQL.try_breaker, values)
        await conn.execute(OUTBOX_SQL.wake_deliveries, values)
        await conn.execute(LISTINGS_SQL.wake_listings, values)
