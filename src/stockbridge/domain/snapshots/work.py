"""The work on a report after it is kept: compare, book, tell; one report of a system at a time."""

import asyncio

import psycopg
import structlog

from stockbridge.domain.snapshots.booking import Booking, Conn, Submit, close_cases, open_cases
from stockbridge.domain.snapshots.compare import compare_snapshot
from stockbridge.domain.snapshots.reader import Unreadable
from stockbridge.domain.snapshots.rules import unreadable_case
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.store.database import connect
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
PERIOD_SECONDS = 30.0


async def work_on(dsn: str, submit: Submit, snapshot_id: int) -> None:
    """Bring a report to its end; does nothing for one that is there.

    Raises Retry, Misconfigured or psycopg.Error when it cannot go on now: the report keeps its
    state, and work can begin again.
    """
    own = {"snapshot_id": snapshot_id}
    conn = await connect(dsn, application_name="stockbridge snapshots")
    async with conn:
        head = await (await conn.execute(SQL.head, own)).fetchone()
        if head is None:
            return
        await conn.execute(SQL.lock_system, {"system": head[0]})
        head = await (await conn.execute(SQL.head, own)).fetchone()
        if head is None or head[4] not in {"loading", "booking"}:
            return
        if head[4] == "booking" or await _compare(conn, dsn, snapshot_id, head):
            await Booking(conn, submit, snapshot_id, head).run()


async def _compare(conn: Conn, dsn: str, snapshot_id: int, head: tuple[object, ...]) -> bool:
    """Whether the report could be read and is compared now."""
    system, number, correlation_id = str(head[0]), str(head[1]), str(head[5])
    try:
        superseded = await asyncio.to_thread(compare_snapshot, dsn, snapshot_id)
    except Unreadable as error:
        case = unreadable_case(snapshot_id, system, number, correlation_id, str(error))
        async with conn.transaction():
            values = {"snapshot_id": snapshot_id, "detail": str(error)}
            await conn.execute(SQL.set_failed, values)
            await open_cases(conn, [case])
        return False
    await close_cases(conn, superseded, f"superseded by snapshot {snapshot_id}", correlation_id)
    return True


async def work_on_all(dsn: str, submit: Submit) -> int:
    """Work on every report that is unfinished, oldest first; how many there were."""
    async with await connect(dsn, application_name="stockbridge snapshots") as conn:
        rows = await (await conn.execute(SQL.unfinished)).fetchall()
    for (snapshot_id,) in rows:
        await work_on(dsn, submit, snapshot_id)
    return len(rows)


async def work_forever(dsn: str, submit: Submit, period_seconds: float = PERIOD_SECONDS) -> None:
    """Take up what a process that ended left, at start and every period."""
    while True:
        try:
            await work_on_all(dsn, submit)
        except (psycopg.Error, Misconfigured, Retry) as error:
            LOG.warning("snapshots: cannot go on now", cause=str(error))
        await asyncio.sleep(period_seconds)
