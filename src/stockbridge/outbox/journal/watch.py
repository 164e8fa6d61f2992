"""Tells owners of what partners should have acknowledged by now."""

import asyncio
from typing import Final

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.domain.world.model import ExceptionCase
from stockbridge.outbox.cases import open_cases, owners
from stockbridge.outbox.journal.journal import UNACKNOWLEDGED, subject_of
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
PERIOD_SECONDS: Final = 30.0
_WARNING: Final = 3
log = structlog.get_logger()


async def tell_overdue(pool: Pool) -> int:
    """Open exceptions for what is late, and for what became a breach; how many."""
    async with pool.connection() as conn, conn.transaction():
        rows = await (await conn.execute(SQL.note_overdue)).fetchall()
        known = await owners(conn, sorted({row[0] for row in rows})) if rows else {}
        cases = []
        for system, counter, number, taken_at, key, is_breached in rows:
            owner = known[system]
            severity = owner.criticality if is_breached else max(_WARNING, owner.criticality)
            what = "is a breach" if is_breached else "is late"
            cause = (
                f"{system} has not acknowledged {counter} {number} ({key}), sent at "
                f"{taken_at.isoformat()}: this {what}"
            )
            action = "Ask the partner whether it came; if not, put its archived file there again"
            subject = subject_of(system, counter, number)
            cases.append(
                ExceptionCase(UNACKNOWLEDGED, subject, severity, owner.team, cause, action, "")
            )
        await open_cases(conn, cases)
    return len(rows)


async def watch_forever(pool: Pool) -> None:
    """Look now and then."""
    while True:
        try:
            await tell_overdue(pool)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("journal: overdue answers cannot be told", cause=str(error))
        await asyncio.sleep(PERIOD_SECONDS)
