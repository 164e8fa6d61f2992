"""What an order is, from everything stated of it: merging statements, states, the steps between.

Statements commute: of two about the same thing the newer stands, whichever is heard first, and
hearing one twice changes nothing. So a state is never stepped to, it is what the statements and
the buildings' reports come to.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from stockbridge.domain.masters.model import OrderFlow
from stockbridge.domain.orders.progress import LineView
from stockbridge.domain.world.order import (
    Cancel,
    ErpReply,
    OrderContent,
    Ordered,
    OrderLine,
)

RECEIVED: Final = "received"
RESERVED: Final = "reserved"
ERP_PENDING: Final = "erp_pending"
ACCEPTED: Final = "accepted"
RELEASED: Final = "released"
ON_HOLD: Final = "on_hold"
BACKORDERED: Final = "backordered"
REJECTED: Final = "rejected"
CANCELLED: Final = "cancelled"
COMPLETED: Final = "completed"
WAY: Final = (RECEIVED, "validated", RESERVED, ERP_PENDING, ACCEPTED, RELEASED)
"""The states an order passes one after the other until it is with its buildings."""
ENDED: Final = frozenset({COMPLETED, CANCELLED, REJECTED})
STATES: Final = (
    *WAY, "allocated", "picked", "packed", "shipped", COMPLETED, ON_HOLD, BACKORDERED, REJECTED,
    CANCELLED,
)  # fmt: skip

WHOLE: Final = "whole"
"""The id of a cancellation of everything that names none."""


class Placing(NamedTuple):
    """An order as it was placed; its lines have no line of the reservation yet (`line_no` 0)."""

    version: int
    lines: tuple[OrderLine, ...]
    mode: str
    head: dict[str, Any]
    placed_at: Any
    paid_at: Any
    flow: OrderFlow


class Stock(NamedTuple):
    """Units the order's reservation holds, in base units."""

    reserved: int
    backordered: int


# Statements -----------------------------------------------------------------------------------
def with_placing(content: OrderContent, placing: Placing) -> OrderContent:
    """The order placed, or placed again: the newest placing says which lines there are."""
    known = {line.name: line for line in content.lines}
    first = content.version is None
    newest = _is_newest(content, placing)
    said = {line.name for line in placing.lines}
    for line in placing.lines:
        mine = known.get(line.name)
        quantity = line.quantity
        if content.version is not None and not newest and line.name not in content.placed:
            quantity = max(quantity, Ordered(content.version, 0))
        if mine is None:
            known[line.name] = msgspec.structs.replace(line, quantity=quantity)
        else:
            known[line.name] = msgspec.structs.replace(mine, quantity=max(mine.quantity, quantity))
    if newest:
        for name in known.keys() - said:
            left = max(known[name].quantity, Ordered(placing.version, 0))
            known[name] = msgspec.structs.replace(known[name], quantity=left)
    changes: dict[str, Any] = {
        "lines": tuple(known.values()),
        "placed_at": _earlier(content.placed_at, placing.placed_at),
        "paid_at": _earlier(content.paid_at, placing.paid_at),
    }
    if newest:
        changes |= {"version": placing.version, "head": placing.head, "placed": tuple(sorted(said))}
    if first:
        changes |= {"mode": placing.mode, "flow": placing.flow}
    return msgspec.structs.replace(content, **changes)


def _is_newest(content: OrderContent, placing: Placing) -> bool:
    """Whether the placing replaces what was placed; of two of one version the same always wins."""
    if content.version is None or placing.version != content.version:
        return content.version is None or placing.version > content.version
    said = tuple(sorted(line.name for line in placing.lines))
    return (_words(placing.head), said) > (_words(content.head), content.placed)


def _words(head: dict[str, Any]) -> bytes:
    return msgspec.json.encode(head, order="deterministic")


def _earlier(known: Any, said: Any) -> Any:
    if known is None or said is None:
        return known or said
    return min(known, said)


def with_edits(
    content: OrderContent, edits: Mapping[str, Ordered], paid_at: Any = None
) -> OrderContent:
    """New quantities by line name; those older than what is known of the line are ignored."""
    known = dict(content.edits)
    for name, said in edits.items():
        known[name] = max(said, known.get(name, said))
    paid = _earlier(content.paid_at, paid_at)
    return msgspec.structs.replace(content, edits=known, paid_at=paid)


def with_cancel(content: OrderContent, key: str, cancel: Cancel) -> OrderContent:
    """A cancellation under its id; heard again it changes nothing.

    After the release one asks the building, where the channel's flow says so.
    """
    known = content.cancels.get(key)
    if known is not None and known.known:
        return content
    asks = content.flow.asks_building and content.released_at is not None
    agreed = None if known is None else known.agreed
    made = msgspec.structs.replace(cancel, asks=asks, agreed=agreed)
    return msgspec.structs.replace(content, cancels={**content.cancels, key: made})


def with_answer(content: OrderContent, key: str, agreed: bool) -> OrderContent:
    """What the building said to a cancellation, which may not have been heard of yet."""
    known = content.cancels.get(key, Cancel(known=False))
    made = msgspec.structs.replace(known, agreed=agreed)
    return msgspec.structs.replace(content, cancels={**content.cancels, key: made})


def with_erp_reply(content: OrderContent, reply: ErpReply) -> OrderContent:
    """What the ERP said; its newest word stands."""
    known = content.erp
    if known is not None and reply <= known:
        return content
    return msgspec.structs.replace(content, erp=reply)


# States ---------------------------------------------------------------------------------------
def may_release(content: OrderContent, views: list[LineView], stock: Stock) -> bool:
    """Whether the order is ready to be given to its buildings by itself."""
    flow = content.flow
    return flow.release != "manual" and release_bar(content, views, stock) is None


def release_bar(content: OrderContent, views: list[LineView], stock: Stock) -> str | None:
    """Why the order cannot be released now; None when it can."""
    flow, reply = content.flow, content.erp
    if content.version is None:
        return "it has not been placed yet"
    if not any(view.left for view in views):
        return "nothing of it is left to do"
    if content.held is not None and content.held.on:
        return "it is on hold; resume it first"
    if flow.erp is not None and (reply is None or not reply.accepted):
        return f"{flow.erp} has not accepted it"
    if flow.needs_payment and content.paid_at is None:
        return "it has not been paid"
    if flow.release == "complete" and stock.backordered:
        return "some of it waits for stock, and it is to leave complete"
    if not stock.reserved and stock.backordered:
        return "all of it waits for stock"
    return None


def state_of(content: OrderContent, views: list[LineView], stock: Stock) -> str:
    """The state everything comes to."""
    if content.version is None:
        return CANCELLED if _called_off(content) else RECEIVED
    shipped = any(view.shipped for view in views)
    rejected = content.erp is not None and not content.erp.accepted
    if not any(view.left for view in views):
        return COMPLETED if shipped else REJECTED if rejected else CANCELLED
    if content.held is not None and content.held.on:
        return ON_HOLD
    for stage in ("shipped", "packed", "picked", "allocated"):
        if any(getattr(view, stage) for view in views):
            return stage
    if content.flow.erp is not None and content.erp is None:
        return ERP_PENDING
    waits = stock.backordered and (not stock.reserved or content.flow.release == "complete")
    if content.released_at is not None:
        return BACKORDERED if stock.backordered and not stock.reserved else RELEASED
    return BACKORDERED if waits else ACCEPTED


def _called_off(content: OrderContent) -> bool:
    """Whether everything was called off before anybody said what there was."""
    return any(cancel.stands and cancel.lines is None for cancel in content.cancels.values())


def steps(before: str | None, after: str, flow: OrderFlow) -> list[str]:
    """The states passed on the way, `after` last; none when nothing changes.

    The ERP's step is only passed where there is an ERP; an order that waits for stock was never
    reserved in full.
    """
    if after == before:
        return []
    if after in WAY:
        goal, skipped = after, {ERP_PENDING}
    elif after == BACKORDERED:
        goal, skipped = ACCEPTED, {ERP_PENDING, RESERVED}
    elif before is None:
        goal, skipped = RECEIVED, set[str]()
    else:
        return [after]
    if flow.erp is not None:
        skipped.discard(ERP_PENDING)
    begun = -1 if before is None else WAY.index(before) if before in WAY else len(WAY)
    way = WAY[begun + 1 : WAY.index(goal) + 1]
    return [*[state for state in way if state not in skipped and state != after], after]
