"""What the overview shows, read at most every two seconds."""

import asyncio
import time
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
_ROWS: Final = 20
_FRESH_SECONDS: Final = 2.0


class Facts(NamedTuple):
    """What the page shows, as read from the store."""

    figures: tuple[int, ...]
    states: list[tuple[Any, ...]]
    movements: list[tuple[Any, ...]]
    exceptions: list[tuple[Any, ...]]


class Overview:
    """Reads the page's facts at most every two seconds, however many people look."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._facts: Facts | None = None
        self._read_at = 0.0

    async def facts(self, pool: Pool) -> Facts:
        """The newest facts, or those of a moment ago."""
        async with self._lock:
            if self._facts is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
                async with pool.connection() as conn:
                    self._facts = await read(conn)
                self._read_at = time.monotonic()
        return self._facts


async def read(conn: AsyncConnection[TupleRow]) -> Facts:
    """Read what the page shows."""
    figures = await (await conn.execute(SQL.figures)).fetchone()
    states = await (await conn.execute(SQL.units_by_state)).fetchall()
    movements = await (await conn.execute(SQL.newest_movements, {"limit": _ROWS})).fetchall()
    exceptions = await (await conn.execute(SQL.open_exceptions, {"limit": _ROWS})).fetchall()
    return Facts(tuple(figures or ()), states, movements, exceptions)
