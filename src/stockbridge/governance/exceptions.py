"""The inbox of what a person must look at: assign it to a team, resolve it with a reason."""

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.governance import audit
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]


async def assign(
    conn: Connection, exception_id: int, owner_team: str, *, actor: str, correlation_id: str
) -> Refusal | None:
    """Give an open exception to a team."""
    values = {"exception_id": exception_id, "owner_team": owner_team}
    return await _act(conn, "assign", SQL.assign_exception, values, actor, correlation_id)


async def resolve(
    conn: Connection, exception_id: int, resolution: str, *, actor: str, correlation_id: str
) -> Refusal | None:
    """Close an open exception, saying how; it opens again if its cause comes back."""
    values = {"exception_id": exception_id, "resolution": resolution}
    return await _act(conn, "resolve", SQL.resolve_exception, values, actor, correlation_id)


async def _act(
    conn: Connection,
    act: str,
    statement: bytes,
    values: dict[str, object],
    actor: str,
    correlation_id: str,
) -> Refusal | None:
    exception_id = values["exception_id"]
    async with conn.transaction():
        row = await (await conn.execute(statement, values)).fetchone()
        if row is None:
            return await _why_not(conn, values)
        detail = {name: value for name, value in values.items() if name != "exception_id"}
        subject = f"exception/{exception_id}"
        await audit.record(conn, actor, f"exception.{act}", subject, detail, correlation_id)
    return None


async def _why_not(conn: Connection, values: dict[str, object]) -> Refusal:
    exception_id = values["exception_id"]
    row = await (await conn.execute(SQL.find_exception, {"exception_id": exception_id})).fetchone()
    if row is None:
        return Refusal("unknown_exception", f"no exception {exception_id}", 404)
    return Refusal("exception_resolved", f"exception {exception_id} is resolved already", 409)
