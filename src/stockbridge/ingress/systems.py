"""Which systems there are, as the doors know them."""

import asyncio
import time
from typing import Final

from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
_REREAD_SECONDS: Final = 0.2


class KnownSystems:
    """The codes of systems, read again when one is missed, at most every 200 ms."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._codes: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def named(self, source: str) -> str | None:
        """The system that a source URI names: by its whole, or by its last part."""
        names = (source, source.rstrip("/").replace("/", ":").rpartition(":")[2])
        found = self._known(names)
        if found is None:
            # Whoever comes during a read waits for it: a message is never taken for another's.
            async with self._reading:
                began = time.monotonic()
                if began - self._read_at > _REREAD_SECONDS:
                    await self._read()
                    self._read_at = began
            found = self._known(names)
        return found

    def _known(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in self._codes), None)

    async def _read(self) -> None:
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(SQL.system_codes)).fetchall()
        self._codes = frozenset(row[0] for row in rows)
