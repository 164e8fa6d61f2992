"""Orders: the list, and one order's way through all systems as one timeline."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from stockbridge.dashboard.desk import (
    SQL,
    Connection,
    Desk,
    fetch,
    filters,
    listed,
    missing,
    number,
)
from stockbridge.dashboard.frame import address, render
from stockbridge.dashboard.web import Ask, Reply
from stockbridge.domain.orders.rules import ENDED, STATES
from stockbridge.kernel.errors import Refusal
from stockbridge.views.orders import order_read

_PREFIX: Final = "ord_"
_BIGINT_MAX: Final = 2**63 - 1
_DIGITS: Final = frozenset("0123456789abcdef")


class Event(NamedTuple):
    """A moment of the timeline; `lane` is what kind of thing happened, `place` where to read on."""

    at: datetime
    lane: str
    system: str
    what: str
    state: str
    place: str
    detail: str = ""


async def list_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Orders, newest first."""
    chosen = filters(ask, "state", "channel", "number", "open")
    async with desk.pool.connection() as conn:
        found = await listed(
            conn, SQL.orders_list, after=number(ask.query.get("after")), **chosen | _open(chosen)
        )
    return render("orders.html", ask, "orders", found=found, filters=chosen, states=STATES)


def _open(chosen: dict[str, str | None]) -> dict[str, bool | None]:
    """Whether the orders meant are open: a state tells, and leads to the smaller index."""
    if chosen["state"] is not None:
        return {"open": chosen["state"] not in ENDED}
    return {"open": True if chosen["open"] else None}


async def detail_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """One order: how far each line is, and everything that happened to it anywhere."""
    order_id = number_of(ask.params["order"])
    if order_id is None:
        return missing("order", ask.params["order"])
    async with desk.pool.connection() as conn:
        order = await order_read(conn, order_id=order_id)
        if isinstance(order, Refusal):
            return order
        events = await _timeline(conn, order)
    return render("order.html", ask, "orders", order=order, events=events)


def number_of(public_id: str) -> int | None:
    """Our number of an order by the id that is shown."""
    digits = public_id.removeprefix(_PREFIX)
    if not public_id.startswith(_PREFIX) or not digits or not set(digits) <= _DIGITS:
        return None
    found = int(digits, 16)
    return found if found <= _BIGINT_MAX else None


async def _timeline(conn: Connection, order: dict[str, Any]) -> list[Event]:
    changes = order["timeline"]
    correlations = sorted({change["correlation_id"] for change in changes} - {""})
    ids = sorted({found for change in changes if (found := number(change["message_id"]))})
    messages = await fetch(conn, SQL.messages_behind, ids=ids, correlations=correlations)
    deliveries = await fetch(conn, SQL.deliveries_behind, correlations=correlations)
    own = [
        Event(
            datetime.fromisoformat(change["recorded_at"]), "order",
            change["system"] or change["principal"], change["what"], change["state"],
            address("/trace/{}", change["correlation_id"]), change["detail"],
        )
        for change in changes
    ]  # fmt: skip
    return merged(own, messages, deliveries)


def merged(
    events: Iterable[Event], messages: list[tuple[Any, ...]], deliveries: list[tuple[Any, ...]]
) -> list[Event]:
    """What happened, what came in and what went out, by time."""
    came = [
        Event(
            received_at, "message", system, contract, status,
            address("/messages/{}", message_id), f"by {door}",
        )
        for message_id, received_at, system, contract, status, door, _ in messages
    ]  # fmt: skip
    went = [
        Event(
            created_at, "delivery", system, operation, state,
            address("/deliveries/{}", delivery_id), detail or object_key,
        )
        for delivery_id, created_at, _, system, operation, object_key, state, _, detail, _
        in deliveries
    ]  # fmt: skip
    return sorted([*events, *came, *went], key=lambda event: event.at)


async def trace_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Everything that carries one correlation id, by time."""
    correlation = ask.params["correlation"]
    async with desk.pool.connection() as conn:
        rows = await fetch(conn, SQL.events_behind, correlation=correlation)
        messages = await fetch(conn, SQL.messages_behind, ids=[], correlations=[correlation])
        deliveries = await fetch(conn, SQL.deliveries_behind, correlations=[correlation])
    own = [
        Event(
            at, "order", system or principal, f"{channel} {name}: {what}", state,
            address("/orders/{}", public_id), detail,
        )
        for at, public_id, channel, name, what, state, system, principal, detail in rows
    ]  # fmt: skip
    events = merged(own, messages, deliveries)
    return render("trace.html", ask, "", correlation=correlation, events=events)
