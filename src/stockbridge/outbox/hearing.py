"""What partners tell of their limits, written to the budgets that all processes share."""

import asyncio

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.partners.model import LimitSeen, Partners
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.outbox.limits.gate import correct
from stockbridge.store.database import Pool

PERIOD_SECONDS = 0.1
"""Between two writes: every answer of some partners tells, and the newest is enough."""

log = structlog.get_logger()


class Hearing:
    """`hear` is called with every answer's words; the newest of a system's operation is kept."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], LimitSeen] = {}
        self._wake = asyncio.Event()

    def hear(self, system: str, seen: LimitSeen) -> None:
        """Have it written soon."""
        self._heard[system, seen.operation] = seen
        self._wake.set()

    async def write_forever(self, pool: Pool, partners: Partners) -> None:
        """Write what was heard, again and again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.write(pool, partners)
            await asyncio.sleep(PERIOD_SECONDS)

    async def write(self, pool: Pool, partners: Partners) -> None:
        """Write what was heard; what cannot be written now is told again by the next answer."""
        heard, self._heard = self._heard, {}
        for (system, _), seen in heard.items():
            try:
                connector = await partners.connector(system)
                async with pool.connection() as conn:
                    await correct(conn, system, connector.manifest.limits, seen)
            except (Misconfigured, Retry, psycopg.Error, PoolTimeout) as error:
                log.warning("outbox: a limit is not noted", system=system, cause=str(error))
