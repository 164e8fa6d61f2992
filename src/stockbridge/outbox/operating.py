"""What operators do with deliveries: retry, discard, delete what is long settled."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from psycopg import AsyncConnection

from stockbridge.governance import audit
from stockbridge.kernel.errors import Refusal
from stockbridge.outbox.limits.gate import forget
from stockbridge.outbox.states import State
from stockbridge.store.sql import load

AT_ONCE_MAX: Final = 10_000
"""Deliveries of one retry or discard; the answer says when there may be more."""
IDLE: Final[tuple[State, ...]] = ("waiting", "accepted", "rejected", "dead")
"""The states in which nobody is sending and something can be done."""
FAILED: Final[tuple[State, ...]] = ("rejected", "dead")
_DELETED_AT_ONCE: Final = 5_000

SQL = load(__package__)
Conn = AsyncConnection[Any]


class Selection(NamedTuple):
    """Which deliveries: all conditions that are given hold; without `state` the failed ones."""

    ids: tuple[int, ...] | None = None
    state: State | None = None
    system: str | None = None
    operation: str | None = None
    object_key: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def refusal(self) -> Refusal | None:
        """Why nothing can be done with what is meant."""
        if self == Selection():
            detail = "say which deliveries: give at least one condition"
            return Refusal("selection_missing", detail)
        if self.state is not None and self.state not in IDLE:
            detail = f"a {self.state} delivery is not retried or discarded; give {', '.join(IDLE)}"
            return Refusal("delivery_not_idle", detail)
        return None

    def values(self) -> dict[str, Any]:
        """Parameters of the statements."""
        if self.state is not None:
            states: tuple[State, ...] = (self.state,)
        else:
            states = IDLE if self.ids is not None else FAILED
        return {
            "ids": None if self.ids is None else list(self.ids),
            "states": list(states),
            "system": self.system,
            "operation": self.operation,
            "object": self.object_key,
            "correlation_id": self.correlation_id,
            "from": self.since,
            "to": self.until,
            "limit": AT_ONCE_MAX,
        }


async def retry(
    conn: Conn, selection: Selection, *, resend: bool, actor: str, correlation_id: str = ""
) -> int | Refusal:
    """Make the selected deliveries due at once; how many, at most AT_ONCE_MAX.

    One that may be done is looked up first, unless `resend` says that somebody has looked.
    """
    values = {"resend": resend}
    return await _act(conn, selection, "retry", SQL.retry_deliveries, values, actor, correlation_id)


async def discard(
    conn: Conn, selection: Selection, reason: str, *, actor: str, correlation_id: str = ""
) -> int | Refusal:
    """Give the selected deliveries up; how many, at most AT_ONCE_MAX."""
    values = {"reason": reason}
    return await _act(
        conn, selection, "discard", SQL.discard_deliveries, values, actor, correlation_id
    )


async def _act(
    conn: Conn,
    selection: Selection,
    act: str,
    statement: bytes,
    more: dict[str, Any],
    actor: str,
    correlation_id: str,
) -> int | Refusal:
    refusal = selection.refusal()
    if refusal is not None:
        return refusal
    async with conn.transaction():
        found = await (await conn.execute(SQL.choose_deliveries, selection.values())).fetchall()
        chosen = {"chosen": [row[0] for row in found]}
        rows = await (await conn.execute(statement, chosen | more)).fetchall()
        systems = Counter(row[0] for row in rows)
        if systems:
            given: dict[str, Any] = msgspec.to_builtins(selection._asdict())
            detail = {name: value for name, value in given.items() if value is not None} | more
            detail["deliveries"] = sum(systems.values())
            subject = "delivery"
            if selection.ids is not None:
                detail["ids"] = [str(each) for each in selection.ids[:100]]
                subject = f"delivery/{selection.ids[0]}" if len(selection.ids) == 1 else subject
            await audit.record(conn, actor, f"delivery.{act}", subject, detail, correlation_id)
        # What was given up may have stood before others, so both acts wake those who send.
        for system in systems:
            await conn.execute(SQL.notify_deliveries, {"system": system})
    return sum(systems.values())


async def why_not(conn: Conn, delivery_id: int) -> Refusal:
    """Why nothing could be done with a delivery."""
    row = await (await conn.execute(SQL.state_of, {"delivery_id": delivery_id})).fetchone()
    if row is None:
        return unknown_delivery(str(delivery_id))
    return Refusal("delivery_not_idle", f"delivery {delivery_id} is {row[0]}", 409)


def unknown_delivery(name: str) -> Refusal:
    """There is no such delivery."""
    return Refusal("unknown_delivery", f"no delivery {name}", 404)


async def delete_settled(conn: Conn, now: datetime, days: int) -> int:
    """Delete what was settled so many days ago, and limits of objects that count no more."""
    deleted = 0
    values = {"before": now - timedelta(days=days), "limit": _DELETED_AT_ONCE}
    while True:
        rows = await (await conn.execute(SQL.delete_deliveries, values)).fetchall()
        deleted += len(rows)
        if len(rows) < _DELETED_AT_ONCE:
            break
    await forget(conn)
    return deleted
