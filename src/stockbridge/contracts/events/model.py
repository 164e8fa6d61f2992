"""Events that systems report to the hub: one shape for each type, sharing the fields of a fact."""

from typing import Annotated, Literal

from msgspec import Meta

from stockbridge.contracts.base import (
    LINES_MAX,
    Code,
    Moment,
    NotNegative,
    Number,
    Positive,
    Shape,
    Signed,
    Sku,
    Text,
    Uom,
)
from stockbridge.contracts.commands import ReservationId

Line = Annotated[str, Meta(min_length=1, max_length=128, description="A line of the document")]
Sequence = Annotated[int, Meta(ge=0, le=2**63 - 1, description="The source's own numbering")]


class EventDocument(Shape, frozen=True):
    """The business document a fact belongs to, in its owner's numbering, and its line."""

    type: Code
    number: Number
    line: Line | None = None


class Fact(Shape, frozen=True, kw_only=True):
    """What happened to one item at one place; named by `sku`, or by `alias` in `namespace`."""

    sku: Sku | None = None
    alias: Sku | None = None
    namespace: Code | None = None
    location: Code
    uom: Uom | None = None
    occurred_at: Moment
    document: EventDocument
    reason: Code | None = None
    sequence: Sequence | None = None


class MovedFact(Fact, frozen=True, kw_only=True):
    """A moved quantity. `quantity_mode` cumulative: the running total of the line so far.

    `package` tells partial reports of one line apart; `serials`, where given, are one a unit.
    """

    quantity: Positive
    quantity_mode: Literal["increment", "cumulative"] = "increment"
    package: Number | None = None
    lot: Number | None = None
    serials: Annotated[list[Number], Meta(max_length=LINES_MAX)] = []


class StockReceived(MovedFact, frozen=True, kw_only=True):
    """Goods came in from a supplier."""

    state: Literal["available", "quarantined"] = "available"


class StageFact(MovedFact, frozen=True, kw_only=True):
    """A building's progress; `fulfillment` names the parcel or wave, else the document does."""

    fulfillment: Number | None = None
    reservation: ReservationId | None = None
    carrier: Number | None = None
    tracking: Number | None = None
    tracking_url: Text | None = None


class StockAllocated(StageFact, frozen=True, kw_only=True):
    """The building bound stock to an order."""


class StockDeallocated(StageFact, frozen=True, kw_only=True):
    """The building gave bound stock back."""


class StockPicked(StageFact, frozen=True, kw_only=True):
    """The goods were taken from their place."""


class StockPacked(StageFact, frozen=True, kw_only=True):
    """The goods were packed, and wait to leave."""


class StockShipped(StageFact, frozen=True, kw_only=True):
    """The goods left for a customer."""


class StockTransferredOut(MovedFact, frozen=True, kw_only=True):
    """Goods left `location` for `to_location`; the document is the transfer."""

    to_location: Code
    expected_at: Moment | None = None


class StockTransferredIn(MovedFact, frozen=True, kw_only=True):
    """Goods from `from_location` arrived at `location`; the document is the transfer."""

    from_location: Code


class StockHeld(MovedFact, frozen=True, kw_only=True):
    """Sellable stock was put on hold: quality control, damage, recall."""


class StockReleased(MovedFact, frozen=True, kw_only=True):
    """Held stock became sellable again."""


class StockAdjusted(Fact, frozen=True, kw_only=True):
    """A signed correction under a governed reason code; the document is the adjustment."""

    quantity: Signed
    reason: Code
    state: Literal["available", "quarantined"] = "available"


class StockCounted(Fact, frozen=True, kw_only=True):
    """At `occurred_at` there were so many; zero is a count too. The document is the count."""

    quantity: NotNegative
    state: Literal["available", "allocated", "picked", "quarantined"] = "available"


class StockReturned(MovedFact, frozen=True, kw_only=True):
    """Goods came back from a customer; without a disposition they wait in quarantine."""

    disposition: Literal["restock", "scrap"] | None = None


class StockDisposed(MovedFact, frozen=True, kw_only=True):
    """It was decided what becomes of goods in quarantine."""

    disposition: Literal["restock", "scrap"]


class SupplyFact(Fact, frozen=True, kw_only=True):
    """Open quantity of a pipeline line: absolute, 0 cancels it."""

    quantity: NotNegative
    expected_at: Moment | None = None


class SupplyOrdered(SupplyFact, frozen=True, kw_only=True):
    """Ordered from a supplier, not yet on its way."""


class SupplyShipped(SupplyFact, frozen=True, kw_only=True):
    """On its way from a supplier."""
