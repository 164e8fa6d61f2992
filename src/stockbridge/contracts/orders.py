"""What may be said of orders: placed, edited, cancelled, held, answered by a system.

An order is named by our `order` id, or by `channel` and `number` (the channel's own). Newer
statements stand: `version`, else `updated_at`, tells which of two is newer.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from stockbridge.contracts.base import (
    LINES_MAX,
    Code,
    ItemLine,
    Moment,
    NotNegative,
    Number,
    Positive,
    Shape,
    Text,
)
from stockbridge.contracts.commands import ReservationId
from stockbridge.kernel.clock import microseconds

OrderId = Annotated[str, Meta(min_length=5, max_length=24, pattern=r"^ord_[0-9a-f]{1,16}$")]
Version = Annotated[int, Meta(ge=0, le=2**62, description="The source's own numbering")]
Price = Annotated[str, Meta(pattern=r"^\d{1,12}(\.\d{1,6})?$", description="Exact decimal text")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
Name = Annotated[str, Meta(max_length=256)]
OrderMode = Literal["sold", "all_or_nothing", "partial", "backorder"]
CancelledBy = Literal["customer", "channel", "operations", "erp", "building"]
OrderReply = Literal["accepted", "rejected", "cancel_confirmed", "cancel_refused"]


class Address(Shape, frozen=True, kw_only=True):
    """Where an order goes; `country` is ISO 3166-1 alpha-2."""

    name: Name = ""
    street: Annotated[list[Name], Meta(max_length=5)] = []
    city: Name = ""
    region: Name = ""
    postal_code: Name = ""
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    phone: Name = ""
    email: Name = ""


class PlacedLine(ItemLine, frozen=True, kw_only=True):
    """An ordered line; `line` is the channel's own id of it, its place in the order if absent."""

    quantity: Positive
    unit_price: Price | None = None
    currency: Currency | None = None
    location: Code | None = None


class PlaceOrder(Shape, frozen=True, kw_only=True):
    """An order of a channel, whole; a newer one replaces it, the same one again does nothing.

    Mode `sold`: the channel has sold it, a fact that is never refused for lack of stock; what is
    missing is backordered and shown to an owner. The other modes ask for a promise.
    """

    channel: Code
    number: Number
    lines: Annotated[list[PlacedLine], Meta(min_length=1, max_length=LINES_MAX)]
    mode: OrderMode = "all_or_nothing"
    placed_at: Moment | None = None
    version: Version | None = None
    updated_at: Moment | None = None
    paid_at: Moment | None = None
    customer: Name | None = None
    currency: Currency | None = None
    ship_to: Address | None = None
    reservation: ReservationId | None = None

    def __post_init__(self) -> None:
        """Refuse an order that has two lines of one id."""
        names = [line.line for line in self.lines if line.line is not None]
        if len(set(names)) != len(names):
            msg = "two lines have the same `line`; give each its own"
            raise ValueError(msg)


class OrderNamed(Shape, frozen=True, kw_only=True):
    """Names an order: by our id, or by the channel and the channel's number."""

    order: OrderId | None = None
    channel: Code | None = None
    number: Number | None = None

    def __post_init__(self) -> None:
        """Refuse a statement that names no order, or two."""
        both = self.channel is not None and self.number is not None
        neither = self.channel is None and self.number is None
        if (self.order is None and not both) or (self.order is not None and not neither):
            msg = "give either `order`, or `channel` and `number`"
            raise ValueError(msg)


class EditLine(Shape, frozen=True):
    """The new quantity of a line, in the unit it was ordered in; 0 takes it out."""

    line: Number
    quantity: NotNegative


class EditOrder(OrderNamed, frozen=True, kw_only=True):
    """New quantities of lines, or that it was paid; what is older than what we know is ignored."""

    lines: Annotated[list[EditLine], Meta(max_length=LINES_MAX)] = []
    version: Version | None = None
    updated_at: Moment | None = None
    paid_at: Moment | None = None
    reason: Text = ""


class CancelLine(Shape, frozen=True):
    """Units of a line that are called off, in the unit it was ordered in."""

    line: Number
    quantity: Positive


class CancelOrder(OrderNamed, frozen=True, kw_only=True):
    """Call off an order, or quantities of its lines; only what has not left is called off.

    `cancellation` tells two cancellations apart: heard twice, one counts once.
    """

    cancellation: Number | None = None
    lines: Annotated[list[CancelLine], Meta(max_length=LINES_MAX)] = []
    by: CancelledBy | None = None
    reason: Text = ""

    def __post_init__(self) -> None:
        """Refuse a partial cancellation without an id of its own, or a line named twice."""
        super().__post_init__()
        if self.lines and self.cancellation is None:
            msg = "give `cancellation`, the id of this cancellation, with `lines`"
            raise ValueError(msg)
        if len({line.line for line in self.lines}) != len(self.lines):
            msg = "a line is named twice; give the units to call off once"
            raise ValueError(msg)


class HoldOrder(OrderNamed, frozen=True, kw_only=True):
    """Stop the order where it is: it keeps its stock and is not released."""

    reason: Text = ""


class ResumeOrder(OrderNamed, frozen=True, kw_only=True):
    """Let a held order go on."""

    reason: Text = ""


class ReleaseOrder(OrderNamed, frozen=True, kw_only=True):
    """Give the order to its buildings."""


class AnswerOrder(OrderNamed, frozen=True, kw_only=True):
    """What a system says to an order: the ERP to the order, a building to a cancellation.

    `reference` is the system's own number of it; the newest `occurred_at` stands.
    """

    answer: OrderReply
    cancellation: Number | None = None
    reference: Number | None = None
    reason: Text = ""
    occurred_at: Moment | None = None


class FillOrders(Shape, frozen=True):
    """Promise what has come in to orders that wait for it, in this order; the filler's command."""

    orders: Annotated[list[OrderId], Meta(min_length=1, max_length=LINES_MAX)]


def version_of(version: int | None, updated_at: datetime | None, otherwise: int) -> int:
    """Which of two statements is newer: the source's number, else microseconds of its clock."""
    if version is not None:
        return version
    return otherwise if updated_at is None else microseconds(updated_at)
