"""Circuit breakers as they are kept: asked before a partner is called, told afterwards."""

from typing import Any

from psycopg import AsyncConnection

from stockbridge.domain.world.model import ExceptionCase
from stockbridge.outbox.breaker import Breaker, Permit, permit
from stockbridge.outbox.breaker import after as breaker_after
from stockbridge.outbox.cases import close_cases, open_cases, owners
from stockbridge.store.sql import load

SQL = load(__package__)
Conn = AsyncConnection[Any]
DOWN = "partner_down"


async def permits(conn: Conn, system: str) -> Permit:
    """Whether the system may be called now, in the transaction that makes the calls certain.

    Of an open breaker whose time has come one call is allowed: whoever makes it says so by
    `begin_trial` in the same transaction, and all others wait for what becomes of it.
    """
    row = await (await conn.execute(SQL.read_breaker, {"system": system})).fetchone()
    if row is None or row[0] == "closed":
        return Permit(None, 0.0, Breaker(*row[:4]) if row else Breaker())
    row = await (await conn.execute(SQL.lock_breaker, {"system": system})).fetchone()
    return Permit(None, 0.0, Breaker()) if row is None else permit(Breaker(*row[:4]), row[4])


async def begin_trial(conn: Conn, system: str, allowed: Permit) -> None:
    """Note that the one call is made."""
    await _put(conn, system, allowed.breaker, "one call tries")


async def note(conn: Conn, system: str, *, good: int, bad: int, detail: str = "") -> Breaker:
    """Tell what became of calls: how many reached the partner, how many did not.

    Opening opens one exception; closing resolves it and wakes what waits.
    """
    await conn.execute(SQL.open_breaker_row, {"system": system})
    row = await (await conn.execute(SQL.lock_breaker, {"system": system})).fetchone()
    if row is None:
        return Breaker()
    before = Breaker(*row[:4])
    after = breaker_after(before, good, bad, row[4])
    if after == before:
        return after
    await _put(conn, system, after, detail)
    if after.state == "open" and before.state != "open":
        await _tell(conn, system, after, detail)
    if after.state == "closed" and before.state != "closed":
        await close_cases(conn, DOWN, [system], "a call reached the partner again")
        await conn.execute(SQL.wake_deliveries, {"system": system, "seconds": 0.0})
        await conn.execute(SQL.notify_deliveries, {"system": system})
    return after


async def _put(conn: Conn, system: str, after: Breaker, detail: str) -> None:
    values = {**after._asdict(), "system": system, "detail": detail[:500]}
    await conn.execute(SQL.put_breaker, values)


async def _tell(conn: Conn, system: str, after: Breaker, detail: str) -> None:
    owner = (await owners(conn, [system]))[system]
    cause = f"{after.failures} calls in a row did not reach {system}; the last: {detail}"
    action = "Nothing is lost and it is tried again by itself; see that the partner works"
    case = ExceptionCase(DOWN, system, owner.criticality, owner.team, cause, action, "")
    await open_cases(conn, [case])
