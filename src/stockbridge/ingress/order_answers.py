"""Shapes of answers about orders; OpenAPI and the tests read them."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from stockbridge.contracts.orders import Address, OrderMode
from stockbridge.ingress.answers import Source


class OrderLine(msgspec.Struct):
    """A line as ordered (`quantity` in `uom`); all else in base units, of a kit whole kits."""

    line: str
    sku: str
    quantity: int
    uom: str | None
    units: int
    unit_price: str | None
    currency: str | None
    cancelled: int
    reserved: int
    backordered: int
    allocated: int
    picked: int
    packed: int
    shipped: int
    sources: list[Source]


class CancelledLine(msgspec.Struct):
    """Units of a line called off, in its unit."""

    line: str
    quantity: int


class Cancellation(msgspec.Struct):
    """What was called off, everything without `lines`: done, asked of the building, or refused."""

    cancellation: str
    state: str
    by: str | None
    reason: str
    lines: list[CancelledLine] | None


class ErpReply(msgspec.Struct):
    """What the ERP said; `reference` is its own number of the order."""

    accepted: bool
    reference: str
    reason: str


class OrderEvent(msgspec.Struct):
    """What was done, by whom, and the state it left the order in."""

    what: str
    state: str
    recorded_at: datetime
    principal: str
    system: str | None
    message_id: str | None
    correlation_id: str
    detail: str


class Order(msgspec.Struct):
    """An order and how far it is; `hold` says why it was stopped."""

    id: str
    channel: str
    number: str
    state: str
    mode: OrderMode
    version: int | None
    placed_at: datetime | None
    paid_at: datetime | None
    released_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime
    reservation: str | None
    customer: str | None
    currency: str | None
    ship_to: Address | None
    hold: str | None
    erp: ErpReply | None
    lines: list[OrderLine]
    cancellations: list[Cancellation]
    correlation_id: str
    timeline: list[OrderEvent] | UnsetType = UNSET


class OrderSummary(msgspec.Struct):
    """An order in a list."""

    id: str
    channel: str
    number: str
    state: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    correlation_id: str


class AwaitingErp(msgspec.Struct):
    """An order that waits for its ERP's word; `code` and `detail` are what it answered last.

    `delivery` is null where the ERP is not told by us and answers by itself.
    """

    id: str
    channel: str
    number: str
    erp: str
    created_at: datetime
    waiting_seconds: int
    delivery: str | None
    delivery_state: str | None
    attempts: int | None
    due_at: datetime | None
    code: str | None
    detail: str | None
    correlation_id: str


class OrderFlow(msgspec.Struct):
    """One version of the way a channel's orders take."""

    channel: str
    version: int
    erp: str | None
    release: str
    needs_payment: bool
    asks_building: bool
    author: str
    recorded_at: datetime
    correlation_id: str
