"""What may be asked of the hub: one frozen shape for each command, the API's request bodies."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from stockbridge.contracts.base import (
    LINES_MAX,
    Code,
    Document,
    ItemLine,
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

TTL_SECONDS_MAX = 30 * 24 * 3600
Ttl = Annotated[int, Meta(ge=1, le=TTL_SECONDS_MAX)]
ReservationId = Annotated[str, Meta(min_length=5, max_length=24, pattern=r"^rsv_[0-9a-f]{1,16}$")]
ReserveMode = Literal["all_or_nothing", "partial", "backorder"]


# Promises -------------------------------------------------------------------------------------
class ReserveLine(Shape, frozen=True):
    """One wanted item; `location` restricts where it may come from."""

    sku: Sku
    quantity: Positive
    uom: Uom | None = None
    location: Code | None = None


class ReserveStock(Shape, frozen=True):
    """Promise stock to a channel for `ttl_seconds`, then confirm or release it."""

    channel: Code
    reference: Number
    lines: Annotated[list[ReserveLine], Meta(min_length=1, max_length=LINES_MAX)]
    mode: ReserveMode = "all_or_nothing"
    ttl_seconds: Ttl = 900


class ChangeLine(Shape, frozen=True):
    """New quantity of a line, counted from 1, in the unit it was asked in; 0 gives all back."""

    line: Positive
    quantity: NotNegative


class ChangeReservation(Shape, frozen=True):
    """Change quantities in any direction, or extend: the hold then ends `ttl_seconds` from now."""

    reservation: ReservationId
    lines: Annotated[list[ChangeLine], Meta(max_length=LINES_MAX)] = []
    ttl_seconds: Ttl | None = None


class ConfirmReservation(Shape, frozen=True):
    """The hold becomes an order's: it no longer expires."""

    reservation: ReservationId


class ReleaseReservation(Shape, frozen=True):
    """Give everything back."""

    reservation: ReservationId


class ExpireReservations(Shape, frozen=True):
    """End those of the reservations that are past their time; the sweeper's command."""

    reservations: Annotated[list[ReservationId], Meta(min_length=1, max_length=LINES_MAX)]


class FenceLine(Shape, frozen=True):
    """Units to set aside at a location; absolute."""

    sku: Sku
    location: Code
    quantity: NotNegative


class SetFences(Shape, frozen=True):
    """Set aside stock for a channel: nobody else can be promised it."""

    channel: Code
    lines: Annotated[list[FenceLine], Meta(min_length=1, max_length=LINES_MAX)]


# Facts ----------------------------------------------------------------------------------------
class QuantityLine(ItemLine, frozen=True, kw_only=True):
    """A moved quantity; `package` tells partial reports of one line apart.

    `quantity_mode` cumulative: `quantity` is the running total of the document line, so far.
    `lot` and `serials` name what moved; serials, where given, are one for each unit.
    """

    quantity: Positive
    package: Number | None = None
    quantity_mode: Literal["increment", "cumulative"] = "increment"
    lot: Number | None = None
    serials: Annotated[list[Number], Meta(max_length=LINES_MAX)] = []


class ReceiptLine(QuantityLine, frozen=True, kw_only=True):
    """A received quantity and the state it came in."""

    state: Literal["available", "quarantined"] = "available"


class ReportReceipt(Shape, frozen=True, kw_only=True):
    """Goods came in from a supplier."""

    document: Document
    location: Code
    lines: Annotated[list[ReceiptLine], Meta(min_length=1, max_length=LINES_MAX)]
    occurred_at: Moment | None = None
    source: Code | None = None
    sequence: NotNegative | None = None


class ReportShipment(Shape, frozen=True, kw_only=True):
    """A building's progress on a fulfilment; by default goods left for a customer.

    `reservation` or `document.number` (the reservation's reference) says whose promise it keeps.
    `carrier` and `tracking` are for whoever waits for the parcel.
    """

    shipment: Number
    location: Code
    lines: Annotated[list[QuantityLine], Meta(min_length=1, max_length=LINES_MAX)]
    stage: Literal["allocated", "deallocated", "picked", "packed", "shipped"] = "shipped"
    reservation: ReservationId | None = None
    document: Document | None = None
    carrier: Number | None = None
    tracking: Number | None = None
    tracking_url: Text | None = None
    occurred_at: Moment | None = None
    source: Code | None = None
    sequence: NotNegative | None = None


class ReportTransfer(Shape, frozen=True, kw_only=True):
    """Goods left `from_location` for `to_location`, or arrived there."""

    transfer: Number
    from_location: Code
    to_location: Code
    stage: Literal["shipped", "received"]
    lines: Annotated[list[QuantityLine], Meta(min_length=1, max_length=LINES_MAX)]
    expected_at: Moment | None = None
    occurred_at: Moment | None = None
    source: Code | None = None
    sequence: NotNegative | None = None


class CountLine(ItemLine, frozen=True, kw_only=True):
    """What was counted; zero is a count too."""

    quantity: NotNegative
    state: Literal["available", "allocated", "picked", "quarantined"] = "available"


class ReportCount(Shape, frozen=True, kw_only=True):
    """At `occurred_at` there were so many: anchors the balances from then on."""

    count: Number
    location: Code
    lines: Annotated[list[CountLine], Meta(min_length=1, max_length=LINES_MAX)]
    occurred_at: Moment | None = None
    source: Code | None = None
    sequence: NotNegative | None = None


class ReturnLine(QuantityLine, frozen=True, kw_only=True):
    """A returned quantity; without a disposition it waits in quarantine."""

    disposition: Literal["restock", "scrap"] | None = None


class ReportReturn(Shape, frozen=True, kw_only=True):
    """Goods came back from a customer."""

    rma: Number
    location: Code
    lines: Annotated[list[ReturnLine], Meta(min_length=1, max_length=LINES_MAX)]
    occurred_at: Moment | None = None
    source: Code | None = None
    sequence: NotNegative | None = None


class AdjustLine(ItemLine, frozen=True, kw_only=True):
    """A signed correction; never zero."""

    quantity: Signed
    state: Literal["available", "quarantined"] = "available"


class AdjustStock(Shape, frozen=True, kw_only=True):
    """Correct stock under a governed reason code."""

    adjustment: Number
    location: Code
    reason: Code
    lines: Annotated[list[AdjustLine], Meta(min_length=1, max_length=LINES_MAX)]
    occurred_at: Moment | None = None
    source: Code | None = None
    sequence: NotNegative | None = None


class MoveState(Shape, frozen=True, kw_only=True):
    """Put stock on hold (available to quarantined), release it, or dispose of what came back."""

    document: Document
    location: Code
    movement: Literal["hold", "release", "restock", "scrap"]
    lines: Annotated[list[QuantityLine], Meta(min_length=1, max_length=LINES_MAX)]
    occurred_at: Moment | None = None
    source: Code | None = None
    sequence: NotNegative | None = None


class SupplyLine(ItemLine, frozen=True, kw_only=True):
    """Open quantity of a pipeline line: absolute, 0 cancels it."""

    quantity: NotNegative


class RecordSupply(Shape, frozen=True, kw_only=True):
    """What is ordered from a supplier, or on its way, for a location and when it is expected."""

    document: Document
    location: Code
    state: Literal["on_order", "in_transit"]
    lines: Annotated[list[SupplyLine], Meta(min_length=1, max_length=LINES_MAX)]
    expected_at: Moment | None = None
    occurred_at: Moment | None = None
    source: Code | None = None
    sequence: NotNegative | None = None


class ReverseFact(Shape, frozen=True, kw_only=True):
    """Take a reported fact back: `fact` is its report, in the shape and words it came in.

    Not for what states a figure (counts, supply, running totals): a newer figure corrects those.
    """

    fact: Any
    reason: Text
    corrected_by: Annotated[list[Number], Meta(max_length=LINES_MAX)] = []


class SafetyLine(Shape, frozen=True):
    """Units never promised at this location."""

    sku: Sku
    location: Code
    quantity: NotNegative


class SetSafetyStock(Shape, frozen=True):
    """Set safety stock by item and location; absolute."""

    lines: Annotated[list[SafetyLine], Meta(min_length=1, max_length=LINES_MAX)]
