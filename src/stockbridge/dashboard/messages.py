"""Messages: what came in, from the bytes to what they moved; retry, replay, discard."""

from typing import Final

from stockbridge.dashboard.desk import (
    SQL,
    Desk,
    fetch,
    filters,
    listed,
    missing,
    number,
    reason,
)
from stockbridge.dashboard.frame import address, render
from stockbridge.dashboard.web import Ask, Reply, see
from stockbridge.engine.inbox import reading, replay
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

INBOX_SQL = load("stockbridge.engine.inbox")
STATUSES: Final = ("received", "applied", "duplicate", "parked", "rejected", "dead")
_PLACE: Final = "/messages/{}"


async def list_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """What came in, newest first."""
    chosen = filters(ask, "status", "system", "contract", "correlation_id")
    after = number(ask.query.get("after"))
    values = {**chosen, "after": after, "from": None, "to": None}
    async with desk.pool.connection() as conn:
        found = await listed(conn, INBOX_SQL.messages_page, **values)
        counts = await fetch(conn, SQL.unsettled_messages)
    tabs = [("", "all", None), *((status, status, count) for status, count in counts)]
    return render(
        "messages.html", ask, "messages", found=found, filters=chosen, tabs=tabs, statuses=STATUSES
    )


def _id(ask: Ask) -> int | Refusal:
    found = number(ask.params["message"])
    return missing("message", ask.params["message"]) if found is None else found


async def detail_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """One message: envelope, bytes and what they say side by side, what it moved."""
    message_id = _id(ask)
    if isinstance(message_id, Refusal):
        return message_id
    async with desk.pool.connection() as conn:
        found = await reading.message_document(conn, message_id, desk.decode)
    if isinstance(found, Refusal):
        return found
    return render(
        "message.html", ask, "messages", message=found,
        waiting=found["status"] in replay.UNSETTLED, settled=found["status"] in replay.SETTLED,
    )  # fmt: skip


async def difference_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """What applying a message again would book now, before anybody does it."""
    message_id = _id(ask)
    if isinstance(message_id, Refusal):
        return message_id
    async with desk.pool.connection() as conn:
        selection = replay.Selection(ids=(message_id,), force=True)
        found = await replay.dry_run(conn, desk.decode, selection)
        if isinstance(found, Refusal):
            return found
        if found.messages == 0:
            return await replay.why_not(conn, message_id)
    return render("replay.html", ask, "messages", message_id=message_id, difference=found)


async def retry(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Apply a message again that was not applied."""
    return await _again(desk, ask, force=False)


async def replay_one(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Apply a message again, even one that was applied."""
    return await _again(desk, ask, force=True)


async def _again(desk: Desk, ask: Ask, *, force: bool) -> Reply | Refusal:
    message_id = _id(ask)
    if isinstance(message_id, Refusal):
        return message_id
    async with desk.pool.connection() as conn:
        count = await replay.replay(
            conn, replay.Selection(ids=(message_id,), force=force),
            actor=ask.actor, correlation_id=ask.correlation_id,
        )  # fmt: skip
        if count == 0:
            return await replay.why_not(conn, message_id)
    return count if isinstance(count, Refusal) else see(address(_PLACE, message_id))


async def discard(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Give a message up, saying why."""
    message_id, why = _id(ask), reason(ask)
    if isinstance(message_id, Refusal):
        return message_id
    if isinstance(why, Refusal):
        return why
    async with desk.pool.connection() as conn:
        refusal = await replay.discard(
            conn, message_id, why, actor=ask.actor, correlation_id=ask.correlation_id
        )
    return refusal or see(address(_PLACE, message_id))
