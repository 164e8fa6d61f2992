"""From a reported event to the command that books it: one function for each shape."""

from collections.abc import Callable
from typing import Any, Literal

from stockbridge.contracts.base import Document, Shape
from stockbridge.contracts.commands import (
    AdjustLine,
    AdjustStock,
    CountLine,
    MoveState,
    QuantityLine,
    ReceiptLine,
    RecordSupply,
    ReportCount,
    ReportReceipt,
    ReportReturn,
    ReportShipment,
    ReportTransfer,
    ReturnLine,
    SupplyLine,
)
from stockbridge.contracts.events.model import (
    Fact,
    MovedFact,
    StageFact,
    StockAdjusted,
    StockCounted,
    StockDisposed,
    StockReceived,
    StockReturned,
    StockTransferredIn,
    StockTransferredOut,
    SupplyFact,
)

ToCommand = Callable[[Any], Shape]
Stage = Literal["allocated", "deallocated", "picked", "packed", "shipped"]


def _named(fact: Fact) -> dict[str, Any]:
    return {
        "sku": fact.sku,
        "alias": fact.alias,
        "namespace": fact.namespace,
        "uom": fact.uom,
        "line": fact.document.line,
    }


def _moved(fact: MovedFact) -> dict[str, Any]:
    return {
        **_named(fact),
        "quantity": fact.quantity,
        "quantity_mode": fact.quantity_mode,
        "package": fact.package,
        "lot": fact.lot,
        "serials": fact.serials,
    }


def _document(fact: Fact) -> Document:
    return Document(fact.document.type, fact.document.number)


def _dated(fact: Fact) -> dict[str, Any]:
    return {"occurred_at": fact.occurred_at, "sequence": fact.sequence}


def receipt(fact: StockReceived) -> ReportReceipt:
    """Goods in."""
    line = ReceiptLine(**_moved(fact), state=fact.state)
    return ReportReceipt(
        document=_document(fact), location=fact.location, lines=[line], **_dated(fact)
    )


def stage(name: Stage) -> Callable[[StageFact], ReportShipment]:
    """Progress of a fulfilment up to the stage `name`."""

    def shipment(fact: StageFact) -> ReportShipment:
        return ReportShipment(
            shipment=fact.fulfillment or fact.document.number,
            location=fact.location,
            lines=[QuantityLine(**_moved(fact))],
            stage=name,
            reservation=fact.reservation,
            document=_document(fact),
            carrier=fact.carrier,
            tracking=fact.tracking,
            tracking_url=fact.tracking_url,
            **_dated(fact),
        )

    return shipment


def transfer_out(fact: StockTransferredOut) -> ReportTransfer:
    """Goods left for another location of ours."""
    return ReportTransfer(
        transfer=fact.document.number,
        from_location=fact.location,
        to_location=fact.to_location,
        stage="shipped",
        lines=[QuantityLine(**_moved(fact))],
        expected_at=fact.expected_at,
        **_dated(fact),
    )


def transfer_in(fact: StockTransferredIn) -> ReportTransfer:
    """Goods arrived from another location of ours."""
    return ReportTransfer(
        transfer=fact.document.number,
        from_location=fact.from_location,
        to_location=fact.location,
        stage="received",
        lines=[QuantityLine(**_moved(fact))],
        **_dated(fact),
    )


def move(movement: Literal["hold", "release"]) -> Callable[[MovedFact], MoveState]:
    """On hold, or released."""

    def moved(fact: MovedFact) -> MoveState:
        return _move_state(fact, movement)

    return moved


def dispose(fact: StockDisposed) -> MoveState:
    """Out of quarantine, for good."""
    return _move_state(fact, fact.disposition)


def _move_state(
    fact: MovedFact, movement: Literal["hold", "release", "restock", "scrap"]
) -> MoveState:
    return MoveState(
        document=_document(fact),
        location=fact.location,
        movement=movement,
        lines=[QuantityLine(**_moved(fact))],
        **_dated(fact),
    )


def adjustment(fact: StockAdjusted) -> AdjustStock:
    """A correction."""
    return AdjustStock(
        adjustment=fact.document.number,
        location=fact.location,
        reason=fact.reason,
        lines=[AdjustLine(**_named(fact), quantity=fact.quantity, state=fact.state)],
        **_dated(fact),
    )


def count(fact: StockCounted) -> ReportCount:
    """A count."""
    return ReportCount(
        count=fact.document.number,
        location=fact.location,
        lines=[CountLine(**_named(fact), quantity=fact.quantity, state=fact.state)],
        **_dated(fact),
    )


def returned(fact: StockReturned) -> ReportReturn:
    """Goods back from a customer."""
    return ReportReturn(
        rma=fact.document.number,
        location=fact.location,
        lines=[ReturnLine(**_moved(fact), disposition=fact.disposition)],
        **_dated(fact),
    )


def supply(state: Literal["on_order", "in_transit"]) -> Callable[[SupplyFact], RecordSupply]:
    """What is ordered, or on its way."""

    def recorded(fact: SupplyFact) -> RecordSupply:
        return RecordSupply(
            document=_document(fact),
            location=fact.location,
            state=state,
            lines=[SupplyLine(**_named(fact), quantity=fact.quantity)],
            expected_at=fact.expected_at,
            **_dated(fact),
        )

    return recorded
