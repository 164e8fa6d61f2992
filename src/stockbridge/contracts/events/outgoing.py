"""Events that the hub tells others: promises, availability, orders, exceptions."""

from stockbridge.contracts.base import Code, Moment, NotNegative, Number, Positive, Shape, Sku
from stockbridge.contracts.commands import ReservationId


class PromisedSource(Shape, frozen=True):
    """Base units promised from one location."""

    location: Code
    quantity: Positive


class PromisedLine(Shape, frozen=True, kw_only=True):
    """A line of a promise, in base units."""

    sku: Sku
    quantity: NotNegative
    reserved: NotNegative
    backordered: NotNegative = 0
    sources: list[PromisedSource] = []


class ReservationEvent(Shape, frozen=True, kw_only=True):
    """A promise and what it holds."""

    reservation: ReservationId
    channel: Code
    reference: Number
    lines: list[PromisedLine]
    occurred_at: Moment


class ReservationMade(ReservationEvent, frozen=True, kw_only=True):
    """Stock was promised; the hold ends by itself at `expires_at`."""

    expires_at: Moment | None = None


class ReservationConfirmed(ReservationEvent, frozen=True, kw_only=True):
    """The hold became an order's."""


class ReservationReleased(ReservationEvent, frozen=True, kw_only=True):
    """Everything was given back."""


class ReservationExpired(ReservationEvent, frozen=True, kw_only=True):
    """The hold ran out and was given back."""


class AvailabilityChanged(Shape, frozen=True, kw_only=True):
    """What a channel may show of an item from `as_of` on, in base units; absolute."""

    channel: Code
    sku: Sku
    available: NotNegative
    as_of: Moment
    stale: bool = False


class ExceptionEvent(Shape, frozen=True, kw_only=True):
    """Something a person must look at."""

    exception: Positive
    kind: Code
    subject: str
    severity: int
    owner_team: Code
    occurred_at: Moment


class ExceptionOpened(ExceptionEvent, frozen=True, kw_only=True):
    """It came up, for this reason; `action` is what to do."""

    cause: str
    action: str = ""


class ExceptionResolved(ExceptionEvent, frozen=True, kw_only=True):
    """It was dealt with, in this way."""

    resolution: str


class OrderLine(Shape, frozen=True, kw_only=True):
    """A line of an order, in base units."""

    line: Number
    sku: Sku
    quantity: Positive
    reserved: NotNegative = 0
    backordered: NotNegative = 0
    shipped: NotNegative = 0


class OrderEvent(Shape, frozen=True, kw_only=True):
    """An order and how far its lines are."""

    order: Number
    channel: Code
    reference: Number
    lines: list[OrderLine]
    occurred_at: Moment


class OrderAccepted(OrderEvent, frozen=True, kw_only=True):
    """The ERP took it."""


class OrderRejected(OrderEvent, frozen=True, kw_only=True):
    """It will not be fulfilled, for this reason."""

    code: Code
    detail: str = ""


class OrderReleased(OrderEvent, frozen=True, kw_only=True):
    """It was sent to the building."""


class OrderCompleted(OrderEvent, frozen=True, kw_only=True):
    """Everything left."""


class OrderBackordered(OrderEvent, frozen=True, kw_only=True):
    """Lines of it wait for supply; `expected_at` is when it can be promised."""

    expected_at: Moment | None = None
