"""Orders: place, read, change, cancel, hold, release, and what systems answer to them."""

from typing import Literal

from stockbridge.contracts.base import Code, Number
from stockbridge.contracts.masters import PutOrderFlow
from stockbridge.contracts.orders import (
    AnswerOrder,
    CancelOrder,
    EditOrder,
    HoldOrder,
    PlaceOrder,
    ReleaseOrder,
    ResumeOrder,
)
from stockbridge.domain.orders.answers import PREFIX, internal_order
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.commands import own_channel, submit
from stockbridge.ingress.masters import READ as MASTERS_READ
from stockbridge.ingress.masters import WRITE as MASTERS_WRITE
from stockbridge.ingress.order_answers import AwaitingErp, Order, OrderFlow, OrderSummary
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load
from stockbridge.views.orders import order_read

SQL = load(__package__)
WRITE = ("orders:write",)
READ = ("orders:write", "ops:read")
_ID_DIGITS_MAX = 15
OrderState = Literal[
    "received", "validated", "reserved", "erp_pending", "accepted", "released", "allocated",
    "picked", "packed", "shipped", "completed", "on_hold", "backordered", "rejected", "cancelled",
]  # fmt: skip


class OrdersQuery(PageQuery, frozen=True):
    """Orders of a channel, in a state, of a number; open or ended ones."""

    channel: Code | None = None
    state: OrderState | None = None
    number: Number | None = None
    open: bool | None = None


class AwaitingQuery(PageQuery, frozen=True):
    """Orders of a channel, waiting for an ERP."""

    channel: Code | None = None
    system: Code | None = None


async def place_order(call: Call) -> Answer | Refusal:
    """Place an order."""
    return own_channel(call, call.body.channel) or await submit(call)


async def get_order(call: Call) -> Answer | Refusal:
    """An order with its timeline."""
    barred = await _barred(call)
    if barred is not None:
        return barred
    async with call.hub.pool.connection() as conn:
        found = await order_read(conn, order_id=internal_order(call.path["order"]))
    return found if isinstance(found, Refusal) else answer_json(found)


async def get_channel_order(call: Call) -> Answer | Refusal:
    """An order by its channel's own number."""
    channel, number = call.path["channel"], call.path["number"]
    barred = own_channel(call, channel)
    if barred is not None:
        return barred
    async with call.hub.pool.connection() as conn:
        found = await order_read(conn, channel=channel, number=number)
    return found if isinstance(found, Refusal) else answer_json(found)


async def list_orders(call: Call) -> Answer | Refusal:
    """Orders, newest first; a bound key sees its own."""
    query, own = call.query, call.key.channels
    return await page(
        call, SQL.orders_page, number=True, own=None if own is None else sorted(own),
        channel=query.channel, state=query.state, number_is=query.number, open=query.open,
    )  # fmt: skip


async def awaiting_erp(call: Call) -> Answer | Refusal:
    """Which orders wait for their ERP, and what did it answer last? A bound key sees its own."""
    query, own = call.query, call.key.channels
    return await page(
        call, SQL.orders_awaiting_erp, number=True, own=None if own is None else sorted(own),
        channel=query.channel, system=query.system,
    )  # fmt: skip


async def act(call: Call) -> Answer | Refusal:
    """Change, cancel, hold, resume, release, or answer."""
    return await _barred(call) or await submit(call)


async def get_order_flow(call: Call) -> Answer | Refusal:
    """The way a channel's orders take."""
    channel = call.path["channel"]
    async with call.hub.pool.connection() as conn:
        cursor = await conn.execute(SQL.order_flow_document, {"channel": channel})
        row = await cursor.fetchone()
    if row is None:
        detail = f"channel {channel} has no order flow of its own"
        return Refusal("unknown_order_flow", detail, 404)
    return Answer(200, row[0].encode())


async def _barred(call: Call) -> Refusal | None:
    """404 for what is no order id, 403 for another channel's."""
    public = call.path["order"]
    digits = public.removeprefix(PREFIX)
    unknown = Refusal("unknown_order", f"there is no order {public}", 404)
    is_id = digits != public and 0 < len(digits) <= _ID_DIGITS_MAX
    if not is_id or digits.strip("0123456789abcdef"):
        return unknown
    if call.key.channels is None:
        return None
    async with call.hub.pool.connection() as conn:
        cursor = await conn.execute(SQL.order_channel, {"order_id": internal_order(public)})
        row = await cursor.fetchone()
    if row is None:
        return unknown
    if isinstance(call.body, AnswerOrder) and call.key.system is not None:
        return None
    return own_channel(call, row[0])


_ONE = "/v1/orders/{order}"
_ID = ("order",)
_ANSWER = {200: Order}
_FLOW = "/v1/order-flows/{channel}"


def _act(path: str, body: type, summary: str, operation: str) -> Route:
    return Route(
        "POST", f"{_ONE}/{path}", act, summary, WRITE, _ANSWER, body=body, path_fields=_ID,
        key_required=True, bound_keys=True, operation=operation,
    )  # fmt: skip


ROUTES = (
    Route("POST", "/v1/orders", place_order, "Place an order", WRITE, {201: Order, 200: Order},
          body=PlaceOrder, key_required=True, bound_keys=True),
    Route("GET", "/v1/orders", list_orders, "Orders, newest first", READ,
          {200: Page[OrderSummary]}, query=OrdersQuery, bound_keys=True),
    Route("GET", "/v1/questions/orders-awaiting-erp", awaiting_erp,
          "Orders that wait for their ERP", READ, {200: Page[AwaitingErp]}, query=AwaitingQuery,
          bound_keys=True),
    Route("GET", _ONE, get_order, "An order with its timeline", READ, _ANSWER, bound_keys=True),
    Route("GET", "/v1/channels/{channel}/orders/{number}", get_channel_order,
          "An order by its channel's own number", READ, _ANSWER, bound_keys=True),
    Route("PATCH", _ONE, act, "Change quantities of an order's lines", WRITE, _ANSWER,
          body=EditOrder, path_fields=_ID, key_required=True, bound_keys=True,
          operation="edit_order"),
    _act("cancel", CancelOrder, "Call off an order, or quantities of its lines", "cancel_order"),
    _act("hold", HoldOrder, "Stop an order; it keeps its stock", "hold_order"),
    _act("resume", ResumeOrder, "Let a held order go on", "resume_order"),
    _act("release", ReleaseOrder, "Give an order to its buildings", "release_order"),
    _act("answer", AnswerOrder, "What the ERP or a building says to it", "answer_order"),
    Route("PUT", _FLOW, submit, "A new version of the way a channel's orders take", MASTERS_WRITE,
          {201: OrderFlow}, body=PutOrderFlow, path_fields=("channel",),
          operation="put_order_flow"),
    Route("GET", _FLOW, get_order_flow, "The way a channel's orders take", MASTERS_READ,
          {200: OrderFlow}),
)  # fmt: skip
