"""Facts that systems report: receipts, shipments, transfers, counts, returns, adjustments."""

from stockbridge.contracts.base import Shape
from stockbridge.contracts.commands import (
    AdjustStock,
    MoveState,
    RecordSupply,
    ReportCount,
    ReportReceipt,
    ReportReturn,
    ReportShipment,
    ReportTransfer,
)
from stockbridge.ingress.answers import FactAnswer
from stockbridge.ingress.call import Answer, Call, Route
from stockbridge.ingress.commands import own_location, submit
from stockbridge.kernel.errors import Refusal


async def report(call: Call) -> Answer | Refusal:
    """A fact is booked, never refused for contradicting what we believed."""
    body = call.body
    if isinstance(body, ReportTransfer):
        location = body.from_location if body.stage == "shipped" else body.to_location
    else:
        location = body.location
    return own_location(call, location) or await submit(call)


def _fact(
    path: str, body: type[Shape], summary: str, scope: str, *, key_required: bool = False
) -> Route:
    return Route(
        "POST",
        path,
        report,
        summary,
        (scope,),
        {201: FactAnswer, 200: FactAnswer},
        body=body,
        key_required=key_required,
        bound_keys=True,
        operation=_operation(body),
    )


def _operation(body: type[Shape]) -> str:
    """`ReportReceipt` -> `report_receipt`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in body.__name__).lstrip("_")


ROUTES = (
    _fact("/v1/receipts", ReportReceipt, "Goods came in from a supplier", "events:write"),
    _fact("/v1/shipments", ReportShipment, "A building's progress on goods going out",
          "shipments:write"),
    _fact("/v1/transfers", ReportTransfer, "Goods left for, or arrived at, another location",
          "events:write"),
    _fact("/v1/counts", ReportCount, "What was counted at a location", "events:write"),
    _fact("/v1/stock-holds", MoveState, "Put stock on hold, or release it", "events:write"),
    _fact("/v1/supplies", RecordSupply, "What is on order or on its way", "events:write"),
    _fact("/v1/returns", ReportReturn, "Goods came back from a customer", "returns:write",
          key_required=True),
    _fact("/v1/adjustments", AdjustStock, "Correct stock under a reason code",
          "adjustments:write", key_required=True),
)  # fmt: skip
