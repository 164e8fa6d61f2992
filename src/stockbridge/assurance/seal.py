"""The sealer: chains committed batches, so that no movement can be changed unnoticed.

Any number of processes may run it; whoever holds the chain's lock seals, the others find nothing.
"""

import asyncio
import random

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.domain.ledger.sealing import BATCHES_MAX, add_seal
from stockbridge.store.database import Pool

LOG = structlog.get_logger(__name__)
PERIOD_SECONDS = 1.0


async def seal_all(pool: Pool, limit: int = BATCHES_MAX) -> int:
    """Seal until nothing is left, `limit` batches under each seal; how many batches."""
    sealed = 0
    async with pool.connection() as conn:
        while seal := await add_seal(conn, limit):
            sealed += seal.batches
    return sealed


async def seal_forever(pool: Pool, period_seconds: float = PERIOD_SECONDS) -> None:
    """Seal every period, at moments spread by chance so that processes do not meet."""
    while True:
        await asyncio.sleep(period_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        try:
            await seal_all(pool)
        except (psycopg.OperationalError, PoolTimeout) as error:
            LOG.warning("sealer: database away", cause=str(error))
