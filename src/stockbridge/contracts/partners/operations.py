"""What the hub asks of partners: the payloads of deliveries, in the hub's words."""

from typing import Any, Final

import msgspec

from stockbridge.contracts.base import Moment


class ToldLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the partner's order: its own line id, and how many in its unit."""

    line: str
    sku: str
    quantity: int


class AcknowledgeOrder(msgspec.Struct, frozen=True, omit_defaults=True, tag="acknowledge_order"):
    """The hub has the order and will work it."""

    order: str
    lines: list[ToldLine]
    acknowledged_at: Moment


class ConfirmShipment(msgspec.Struct, frozen=True, omit_defaults=True, tag="confirm_shipment"):
    """A parcel of the order left; `package` is the same on every attempt, and one parcel's."""

    order: str
    package: str
    lines: list[ToldLine]
    shipped_at: Moment
    location: str
    carrier: str = ""
    tracking: str = ""
    tracking_url: str = ""


class CancelOrder(msgspec.Struct, frozen=True, omit_defaults=True, tag="cancel_order"):
    """These lines will not come; `reason` is a governed code."""

    order: str
    cancellation: str
    lines: list[ToldLine]
    cancelled_at: Moment
    reason: str


class ConfirmReturn(msgspec.Struct, frozen=True, omit_defaults=True, tag="confirm_return"):
    """Goods came back and were looked at; the partner refunds, and must not restock itself."""

    order: str
    returned: str
    lines: list[ToldLine]
    received_at: Moment
    is_restocked: bool


Payload = AcknowledgeOrder | ConfirmShipment | CancelOrder | ConfirmReturn
OPERATIONS: Final[dict[str, type[Any]]] = {
    "acknowledge_order": AcknowledgeOrder,
    "confirm_shipment": ConfirmShipment,
    "cancel_order": CancelOrder,
    "confirm_return": ConfirmReturn,
}
"""Operation names, as manifests claim them, and their payloads."""
