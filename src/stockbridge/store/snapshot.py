"""Several reads as of one moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, IsolationLevel
from psycopg.pq import TransactionStatus


@asynccontextmanager
async def one_snapshot(conn: AsyncConnection[Any]) -> AsyncIterator[None]:
    """Everything read inside is as of one moment; `conn` must be in autocommit."""
    await conn.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    try:
        async with conn.transaction():
            yield
    finally:
        if conn.info.transaction_status == TransactionStatus.IDLE:
            await conn.set_isolation_level(None)
