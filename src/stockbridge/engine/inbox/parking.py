"""Parked messages: joined when what they miss exists, shown to an owner when it does not come."""

from typing import Any

from psycopg import AsyncConnection

from stockbridge import governance
from stockbridge.engine.inbox.settle import Case, case_values
from stockbridge.store.arrays import ints, moments, texts
from stockbridge.store.sql import load

OVERDUE = "parked_past_deadline"

SQL = load(__package__)
GOVERNANCE_SQL = load(governance.__name__)
Conn = AsyncConnection[Any]


async def any_parked(conn: Conn) -> bool:
    """Whether anything is parked."""
    return bool((await (await conn.execute(SQL.any_parked)).fetchall())[0][0])


async def join(conn: Conn) -> int:
    """Make every message due that waits for nothing any more; how many."""
    met = [row[0] for row in await (await conn.execute(SQL.met_keys)).fetchall()]
    if not met:
        return 0
    async with conn.transaction():
        keys = {"keys": texts(met)}
        waited = await (await conn.execute(SQL.unpark_keys, keys)).fetchall()
        cases = await (await conn.execute(SQL.overdue_exceptions, keys)).fetchall()
        for (exception_id,) in cases:
            values = {"exception_id": exception_id, "resolution": "What was missing has come"}
            await conn.execute(GOVERNANCE_SQL.resolve_exception, values)
        return await _release(conn, [(row[0], row[1]) for row in waited])


async def pass_deadlines(conn: Conn) -> int:
    """Let messages pass a gap that was not filled in time, and tell owners of all that is late.

    Returns how many messages became due.
    """
    async with conn.transaction():
        gaps = await (await conn.execute(SQL.pass_gaps)).fetchall()
        late = await (await conn.execute(SQL.overdue)).fetchall()
        cases = [_overdue(*row) for row in late]
        cases += [_gap(key) for key in sorted({row[0] for row in gaps})]
        if cases:
            await conn.execute(GOVERNANCE_SQL.open_exceptions, case_values(cases))
        return await _release(conn, [(row[1], row[2]) for row in gaps])


async def _release(conn: Conn, messages: list[tuple[int, Any]]) -> int:
    if not messages:
        return 0
    ids, received = zip(*messages, strict=True)
    values = {"ids": ints(ids), "received": moments(received)}
    return (await conn.execute(SQL.join_messages, values)).rowcount


def _overdue(
    key: str, systems: str, since: Any, count: int, example: int, correlation_id: str, team: str
) -> Case:
    kind, _, name = key.partition(":")
    cause = (
        f"{count} messages of {systems} wait for {kind} {name} since {since:%Y-%m-%d %H:%M} UTC, "
        f"the first is {example}"
    )
    action = f"Make {kind} {name}, or discard the messages with a reason"
    return Case(OVERDUE, key, 2, team, cause, action, correlation_id)


def _gap(key: str) -> Case:
    number = key.rpartition(":")[2]
    source = key.removeprefix("sequence:").removesuffix(f":{number}")
    cause = f"{source}: number {number} did not come in time, later ones were applied without it"
    action = f"Ask the source to send number {number} again"
    return Case("sequence_gap", key, 2, "operations", cause, action, "")
