"""What is owed to partners: deliveries with their attempts, retries, discards."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Moment, Shape, Text
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.operations import READ, WRITE
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.kernel.errors import Refusal
from stockbridge.outbox import operating
from stockbridge.store.sql import load

SQL = load("stockbridge.outbox")
_DIGITS_MAX = 18

State = Literal["waiting", "sending", "accepted", "confirmed", "rejected", "dead", "cancelled"]
IdleState = Literal["waiting", "accepted", "rejected", "dead"]
Name = Annotated[str, Meta(min_length=1, max_length=512)]


class DeliveriesQuery(PageQuery, frozen=True, kw_only=True):
    """Deliveries to a system, in a state, of an operation, an object, a correlation; owed when."""

    system: Name | None = None
    state: State | None = None
    operation: Name | None = None
    object: Name | None = None
    correlation_id: Name | None = None
    since: Moment | None = msgspec.field(name="from", default=None)
    until: Moment | None = msgspec.field(name="to", default=None)


class _Chosen(Shape, frozen=True, kw_only=True):
    system: Name | None = None
    state: IdleState | None = None
    operation: Name | None = None
    object: Name | None = None
    correlation_id: Name | None = None
    since: Moment | None = msgspec.field(name="from", default=None)
    until: Moment | None = msgspec.field(name="to", default=None)

    def selection(self) -> operating.Selection:
        """The same for the outbox."""
        return operating.Selection(
            None, self.state, self.system, self.operation, self.object, self.correlation_id,
            self.since, self.until,
        )  # fmt: skip


class RetryDeliveries(_Chosen, frozen=True, kw_only=True):
    """Which deliveries to try at once; without a state the failed ones, at least one condition.

    One that may be done is looked up first; `resend` says that somebody has looked: it is not.
    """

    resend: bool = False


class DiscardDeliveries(_Chosen, frozen=True, kw_only=True):
    """Which deliveries will not be made, and why; without a state the failed ones."""

    reason: Annotated[Text, Meta(min_length=1)]


class RetryDelivery(Shape, frozen=True):
    """`resend`: somebody has looked at the partner, and it is not done."""

    resend: bool = False


class DiscardDelivery(Shape, frozen=True):
    """Why it will not be made."""

    reason: Annotated[Text, Meta(min_length=1)]


class DeliverySummary(msgspec.Struct):
    """A delivery in a list; `reference` is what the partner calls it."""

    id: str
    system: str
    operation: str
    object: str
    state: State
    attempts: int
    due_at: datetime | None
    reference: str
    code: str
    detail: str
    created_at: datetime
    settled_at: datetime | None
    correlation_id: str
    cause: str


class Attempt(msgspec.Struct):
    """One call of a delivery, or a worker that was lost during one."""

    attempt: int
    at: datetime | None
    outcome: Literal["confirmed", "accepted", "rejected", "later", "unknown", "lost"]
    act: Literal["send", "probe", "give_up"] | None = None
    ms: int | None = None
    code: str = ""
    detail: str = ""


class DeliveryDocument(DeliverySummary, kw_only=True):
    """A delivery: what it says, its attempts, the earlier one of its object it waits for.

    `may_be_done`: it was sent and no answer is known; it is looked up before it is sent again.
    """

    idempotency_key: str
    payload: dict[str, Any]
    history: list[Attempt]
    may_be_done: bool
    waits_for: str | None


class DeliveriesChosen(msgspec.Struct):
    """How many deliveries were chosen; `more`: as many as one call takes, so ask again."""

    deliveries: int
    more: bool


def _number(call: Call) -> int | Refusal:
    text = call.path["delivery"]
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX:
        return int(text)
    return operating.unknown_delivery(text[:80])


async def list_deliveries(call: Call) -> Answer | Refusal:
    """Deliveries, newest first."""
    q: DeliveriesQuery = call.query
    filters = {"from": q.since, "to": q.until, "object": q.object}
    return await page(
        call, SQL.deliveries_page, number=True, system=q.system, state=q.state,
        operation=q.operation, correlation_id=q.correlation_id, **filters,
    )  # fmt: skip


async def get_delivery(call: Call) -> Answer | Refusal:
    """One delivery."""
    delivery_id = _number(call)
    if isinstance(delivery_id, Refusal):
        return delivery_id
    async with call.hub.pool.connection() as conn:
        values = {"delivery_id": delivery_id}
        row = await (await conn.execute(SQL.delivery_document, values)).fetchone()
    return Answer(200, row[0].encode()) if row else operating.unknown_delivery(str(delivery_id))


async def retry_delivery(call: Call) -> Answer | Refusal:
    """Try a delivery at once."""
    delivery_id = _number(call)
    if isinstance(delivery_id, Refusal):
        return delivery_id
    async with call.hub.pool.connection() as conn:
        count = await operating.retry(
            conn, operating.Selection(ids=(delivery_id,)), resend=call.body.resend,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
        if count == 0:
            return await operating.why_not(conn, delivery_id)
    return count if isinstance(count, Refusal) else await get_delivery(call)


async def discard_delivery(call: Call) -> Answer | Refusal:
    """Give a delivery up."""
    delivery_id = _number(call)
    if isinstance(delivery_id, Refusal):
        return delivery_id
    async with call.hub.pool.connection() as conn:
        count = await operating.discard(
            conn, operating.Selection(ids=(delivery_id,)), call.body.reason,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
        if count == 0:
            return await operating.why_not(conn, delivery_id)
    return count if isinstance(count, Refusal) else await get_delivery(call)


async def retry_deliveries(call: Call) -> Answer | Refusal:
    """Try deliveries at once."""
    body: RetryDeliveries = call.body
    async with call.hub.pool.connection() as conn:
        count = await operating.retry(
            conn, body.selection(), resend=body.resend,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    return _chosen(count)


async def discard_deliveries(call: Call) -> Answer | Refusal:
    """Give deliveries up."""
    body: DiscardDeliveries = call.body
    async with call.hub.pool.connection() as conn:
        count = await operating.discard(
            conn, body.selection(), body.reason,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    return _chosen(count)


def _chosen(count: int | Refusal) -> Answer | Refusal:
    if isinstance(count, Refusal):
        return count
    return answer_json(DeliveriesChosen(count, count >= operating.AT_ONCE_MAX))


_ONE = "/v1/deliveries/{delivery}"
_DOCUMENT = {200: DeliveryDocument}
_COUNT = {200: DeliveriesChosen}

ROUTES = (
    Route("GET", "/v1/deliveries", list_deliveries, "What is owed to partners, newest first", READ,
          {200: Page[DeliverySummary]}, query=DeliveriesQuery),
    Route("GET", _ONE, get_delivery, "A delivery with its attempts", READ, _DOCUMENT),
    Route("POST", f"{_ONE}/retry", retry_delivery, "Try it at once", WRITE, _DOCUMENT,
          body=RetryDelivery),
    Route("POST", f"{_ONE}/discard", discard_delivery, "Give it up, saying why", WRITE, _DOCUMENT,
          body=DiscardDelivery),
    Route("POST", "/v1/deliveries/retry", retry_deliveries, "Try deliveries at once", WRITE,
          _COUNT, body=RetryDeliveries),
    Route("POST", "/v1/deliveries/discard", discard_deliveries, "Give deliveries up", WRITE,
          _COUNT, body=DiscardDeliveries),
)  # fmt: skip
