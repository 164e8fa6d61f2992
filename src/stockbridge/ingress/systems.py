"""Which systems there are, as the doors know them."""

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

    async def named(self, source: str) -> str | None:
        """The system that a source URI names: by its whole, or by its last part."""
        names = (source, source.rstrip("/").replace("/", ":").rpartition(":")[2])
        found = next((name for name in names if name in self._codes), None)
        if found is None and time.monotonic() - self._read_at > _REREAD_SECONDS:
            self._read_at = time.monotonic()
            async with self._pool.connection() as conn:
                rows = await (await conn.execute(SQL.system_codes)).fetchall()
            self._codes = frozenset(row[0] for row in rows)
            found = next((name for name in names if name in self._codes), None)
        return found
