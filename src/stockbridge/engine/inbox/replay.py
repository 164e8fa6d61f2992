"""Replay: put messages back to be applied again, or show what that would book; discard.

Applying again is safe: facts are recognised by their business keys, so what was booked before
moves nothing. A settled attempt is over, so its stored answers are not given again.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from psycopg import AsyncConnection

from stockbridge.engine.inbox import rules
from stockbridge.engine.inbox.apply import command_of
from stockbridge.engine.inbox.model import Decode, Message
from stockbridge.engine.simulate import Simulation, simulate
from stockbridge.governance import audit
from stockbridge.kernel.accounts import ACCOUNT_NAMES, KIND_NAMES
from stockbridge.kernel.errors import Refusal
from stockbridge.store.arrays import ints, texts
from stockbridge.store.sql import load

Status = Literal["received", "applied", "duplicate", "parked", "rejected", "dead"]
UNSETTLED: tuple[Status, ...] = ("parked", "rejected", "dead")
SETTLED: tuple[Status, ...] = ("applied", "duplicate")
AT_ONCE = 5_000
"""Messages of one transaction; a dry run looks at no more than these."""
DRY_RUN_COMMANDS_MAX = 5_000

SQL = load(__package__)
Conn = AsyncConnection[Any]


class Selection(NamedTuple):
    """Which messages: all conditions that are given hold.

    Without `status` it is those that were not applied; `force` adds the applied ones. What was
    discarded, or contradicts an earlier message of its id, is only replayed when `ids` name it.
    """

    ids: tuple[int, ...] | None = None
    status: Status | None = None
    system: str | None = None
    contract: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    force: bool = False

    @property
    def statuses(self) -> tuple[Status, ...]:
        """The statuses that are meant."""
        if self.status is not None:
            return (self.status,)
        return (*UNSETTLED, *SETTLED) if self.force else UNSETTLED

    def refusal(self) -> Refusal | None:
        """Why the selection cannot be replayed."""
        if self == Selection(force=self.force):
            return Refusal("selection_missing", "say which messages: give at least one condition")
        if self.status == "received":
            return Refusal("message_in_work", "received messages are applied anyway; wait")
        if self.status in SETTLED and not self.force:
            detail = f"{self.status} messages were booked already: say force to replay them"
            return Refusal("force_missing", detail)
        return None

    def values(self) -> dict[str, Any]:
        """Parameters of the statements."""
        return {
            "ids": None if self.ids is None else ints(self.ids),
            "statuses": texts(self.statuses),
            "system": self.system,
            "contract": self.contract,
            "correlation_id": self.correlation_id,
            "from": self.since,
            "to": self.until,
        }


class Difference(NamedTuple):
    """What a replay would do: messages by what would become of them, and the new movements."""

    messages: int
    outcomes: dict[str, int]
    movements: list[dict[str, Any]]
    is_complete: bool


async def replay(
    conn: Conn, selection: Selection, *, actor: str, correlation_id: str = ""
) -> int | Refusal:
    """Make the selected messages due again; how many. Running nodes apply them at once."""
    refusal = selection.refusal()
    if refusal is not None:
        return refusal
    after, count = 0, 0
    while True:
        async with conn.transaction():
            values = selection.values() | {"after": after, "limit": AT_ONCE}
            cursor = await conn.execute(SQL.replay_messages, values)
            ids = [row[0] for row in await cursor.fetchall()]
            if ids:
                await conn.execute(SQL.unpark_messages, {"ids": ints(ids)})
                detail = _detail(selection) | {"messages": len(ids), "first": str(min(ids))}
                subject = f"message/{ids[0]}" if len(ids) == 1 else "message"
                await audit.record(conn, actor, "message.replay", subject, detail, correlation_id)
                await conn.execute(SQL.notify_inbox)
        count += len(ids)
        if len(ids) < AT_ONCE:
            return count
        after = max(ids)


def _detail(selection: Selection) -> dict[str, Any]:
    named: dict[str, Any] = msgspec.to_builtins(selection._asdict())
    given = {name: value for name, value in named.items() if value is not None}
    if selection.ids is not None:
        given["ids"] = [str(each) for each in selection.ids[:100]]
    return given


async def dry_run(conn: Conn, decode: Decode, selection: Selection) -> Difference | Refusal:
    """What replaying the selection would book now; nothing is kept."""
    refusal = selection.refusal()
    if refusal is not None:
        return refusal
    values = selection.values() | {"after": 0, "limit": AT_ONCE + 1}
    rows = await (await conn.execute(SQL.select_messages, values)).fetchall()
    messages = [Message(*row) for row in rows]
    parts: list[tuple[Message, Any]] = []
    outcomes: dict[str, int] = {}
    taken = 0
    for message in messages[:AT_ONCE]:
        bodies = decode(message.contract, message.content_type, message.body)
        if not isinstance(bodies, list):
            _count(outcomes, rules.undecodable(bodies).status)
        elif len(parts) + len(bodies) > DRY_RUN_COMMANDS_MAX:
            break
        else:
            parts.extend((message, body) for body in bodies)
        taken += 1
    commands = [command_of(message, body, n) for n, (message, body) in enumerate(parts)]
    simulation = await simulate(conn, commands)
    for status in _statuses(parts, simulation):
        _count(outcomes, status)
    return Difference(taken, outcomes, _movements(simulation), taken == len(messages))


def _count(outcomes: dict[str, int], status: str) -> None:
    outcomes[status] = outcomes.get(status, 0) + 1


def _statuses(parts: list[tuple[Message, Any]], simulation: Simulation) -> Iterable[str]:
    results: dict[Message, list[rules.Result]] = {}
    for (message, _), outcome in zip(parts, simulation.outcomes, strict=True):
        results.setdefault(message, []).append(rules.Result(outcome.status, outcome.body))
    for message, some in results.items():
        settlement = rules.settle(message, some)
        yield settlement.status if settlement is not None else "received"


def _movements(simulation: Simulation) -> list[dict[str, Any]]:
    masters = simulation.masters
    return [
        {
            "message_id": m.message_id,
            "kind": KIND_NAMES[m.kind],
            "sku": masters.items_by_id[m.item_id].sku,
            "location": masters.locations_by_id[m.location_id].code,
            "from": ACCOUNT_NAMES[m.from_account],
            "to": ACCOUNT_NAMES[m.to_account],
            "quantity": m.quantity,
            "occurred_at": m.occurred_at,
            "document": {
                "type": m.document_type,
                "number": m.document_number,
                "line": m.document_line,
            },
        }
        for m in simulation.movements
    ]


async def discard(
    conn: Conn, message_id: int, reason: str, *, actor: str, correlation_id: str = ""
) -> Refusal | None:
    """Give a message up, with a reason; its bytes stay and it can still be replayed by id."""
    async with conn.transaction():
        values = {"message_id": message_id, "reason": reason}
        row = await (await conn.execute(SQL.discard_message, values)).fetchone()
        if row is None:
            return await why_not(conn, message_id)
        await conn.execute(SQL.unpark_messages, {"ids": ints([message_id])})
        detail = {"reason": reason}
        subject = f"message/{message_id}"
        await audit.record(conn, actor, "message.discard", subject, detail, correlation_id)
    return None


async def why_not(conn: Conn, message_id: int) -> Refusal:
    """Why nothing can be done about a message: it does not exist, or does not wait."""
    cursor = await conn.execute(SQL.find_source_id, {"message_id": message_id})
    if await cursor.fetchone() is None:
        return unknown_message(message_id)
    detail = f"message {message_id} is applied or in work; this is for those that are neither"
    return Refusal("message_not_waiting", detail, 409)


def unknown_message(message_id: int | str) -> Refusal:
    """The refusal that names a message that does not exist."""
    return Refusal("unknown_message", f"no message {message_id}", 404)
