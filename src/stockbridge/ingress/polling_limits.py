"""Reading feeds within a partner's limits, which all processes and all kinds of calls share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from stockbridge.contracts.partners.manifest import LimitRule
from stockbridge.kernel.errors import Retry
from stockbridge.outbox.limits.gate import ask_again, new_lease, release, take
from stockbridge.outbox.limits.model import NORMAL
from stockbridge.outbox.limits.rules import budgets
from stockbridge.store.database import Pool

WAIT_SECONDS_MAX: Final = 150.0
"""Who must wait longer for one call gives the feed back and comes again then."""
CALL_SECONDS: Final = 120.0


@contextlib.asynccontextmanager
async def one_call(
    pool: Pool, system: str, rules: Sequence[LimitRule], operation: str
) -> AsyncIterator[None]:
    """Time for one call of an operation, once it may go; raises Retry when that is far off."""
    under = budgets(rules, operation)
    lease = new_lease(CALL_SECONDS)
    waited = 0.0
    while under:
        async with pool.connection() as conn:
            grant = await take(conn, system, under, 1, share=NORMAL, lease=lease)
        if grant.granted:
            break
        wait = max(ask_again(under, grant), 0.01)
        waited += wait
        if waited > WAIT_SECONDS_MAX:
            raise Retry(f"{system}: no {operation} may go for {wait:.0f} s", wait)
        await asyncio.sleep(wait)
    try:
        yield
    finally:
        if any(budget.is_leased for budget in under):
            async with pool.connection() as conn:
                await release(conn, system, {lease.key: 1})
