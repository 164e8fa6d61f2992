"""Deliveries: what is owed to partners, with every attempt; retry, discard."""

from typing import Final

import msgspec

from stockbridge.dashboard.desk import SQL, Desk, fetch, filters, listed, missing, number, reason
from stockbridge.dashboard.frame import address, render
from stockbridge.dashboard.web import Ask, Reply, see
from stockbridge.kernel.errors import Refusal
from stockbridge.outbox import operating
from stockbridge.store.sql import load

OUTBOX_SQL = load("stockbridge.outbox")
STATES: Final = ("waiting", "sending", "accepted", "confirmed", "rejected", "dead", "cancelled")
_PLACE: Final = "/deliveries/{}"


async def list_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """What is owed to partners, newest first."""
    chosen = filters(ask, "state", "system", "operation", "object", "correlation_id")
    values = {**chosen, "after": number(ask.query.get("after")), "from": None, "to": None}
    async with desk.pool.connection() as conn:
        found = await listed(conn, OUTBOX_SQL.deliveries_page, **values)
        counts = await fetch(conn, SQL.unsettled_deliveries)
    tabs = [("", "all", None), *((state, state, count) for state, count in counts)]
    return render(
        "deliveries.html", ask, "deliveries", found=found, filters=chosen, tabs=tabs, states=STATES
    )


def _id(ask: Ask) -> int | Refusal:
    found = number(ask.params["delivery"])
    return missing("delivery", ask.params["delivery"]) if found is None else found


async def detail_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """One delivery: what it says, its attempts, what it waits for."""
    delivery_id = _id(ask)
    if isinstance(delivery_id, Refusal):
        return delivery_id
    async with desk.pool.connection() as conn:
        rows = await fetch(conn, OUTBOX_SQL.delivery_document, delivery_id=delivery_id)
    if not rows:
        return missing("delivery", str(delivery_id))
    found = msgspec.json.decode(rows[0][0])
    return render(
        "delivery.html", ask, "deliveries", delivery=found, idle=found["state"] in operating.IDLE
    )


async def retry(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Try a delivery at once; `resend`: somebody has looked at the partner, it is not done."""
    delivery_id = _id(ask)
    if isinstance(delivery_id, Refusal):
        return delivery_id
    async with desk.pool.connection() as conn:
        count = await operating.retry(
            conn, operating.Selection(ids=(delivery_id,)), resend=ask.form.get("resend") == "yes",
            actor=ask.actor, correlation_id=ask.correlation_id,
        )  # fmt: skip
        if count == 0:
            return await operating.why_not(conn, delivery_id)
    return count if isinstance(count, Refusal) else see(address(_PLACE, delivery_id))


async def discard(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Give a delivery up, saying why."""
    delivery_id, why = _id(ask), reason(ask)
    if isinstance(delivery_id, Refusal):
        return delivery_id
    if isinstance(why, Refusal):
        return why
    async with desk.pool.connection() as conn:
        count = await operating.discard(
            conn, operating.Selection(ids=(delivery_id,)), why,
            actor=ask.actor, correlation_id=ask.correlation_id,
        )  # fmt: skip
        if count == 0:
            return await operating.why_not(conn, delivery_id)
    return count if isinstance(count, Refusal) else see(address(_PLACE, delivery_id))
