"""What the hub asks of partners: the payloads of deliveries, in the hub's words."""

from typing import Any, Final, Literal

import msgspec

from stockbridge.contracts.base import Moment


class ToldLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the partner's order: its own line id, and how many in its unit.

    `uom` is our name of the unit, empty for the item's base unit.
    """

    line: str
    sku: str
    quantity: int
    uom: str = ""


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
    """These lines will not come; `reason` is a governed code. An ERP knows `order` by our id."""

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


class BookedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line for an ERP: base units of the item, and the price of one as exact decimal text."""

    line: str
    sku: str
    quantity: int
    unit_price: str = ""


class BookOrder(msgspec.Struct, frozen=True, omit_defaults=True, tag="book_order"):
    """The sales order, whole, for the ERP; `order` is our id, by which it is found again.

    Lines called off before are left out. `location` is our code of where most units are promised;
    `ship_to` has the fields of contracts/orders.py Address.
    """

    order: str
    channel: str
    number: str
    lines: list[BookedLine]
    booked_at: Moment
    location: str = ""
    customer: str = ""
    currency: str = ""
    placed_at: Moment | None = None
    ship_to: dict[str, Any] = {}


class ChangeOrder(msgspec.Struct, frozen=True, omit_defaults=True, tag="change_order"):
    """What an order booked before comes to now: every line, 0 for one that is called off.

    `change` counts the changes of the order, from 1; a later one replaces an earlier one.
    """

    order: str
    change: int
    lines: list[BookedLine]
    changed_at: Moment


MovementKind = Literal[
    "ship", "receive", "adjust", "transfer_ship", "transfer_receive", "return_receive"
]


class PostedMovement(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ledger movement as finance posts it.

    `quantity` in base units, signed for `adjust` only; `unit_cost` exact decimal text, '' where it
    is not known; `document` is the shipment, receipt, count, transfer or return it belongs to;
    `order` and `line` name the booked order, if there is one.
    """

    kind: MovementKind
    sku: str
    quantity: int
    location: str
    occurred_at: Moment
    document: str
    unit_cost: str = ""
    order: str = ""
    line: str = ""
    reason: str = ""


class PostMovements(msgspec.Struct, frozen=True, omit_defaults=True, tag="post_movements"):
    """Stock movements to post together; `posting` is their name, by which they are found again.

    `units` and `value` are control totals: the sums of the lines' absolute quantities, and of
    those times their unit cost. What does not add up is not posted.
    """

    posting: str
    lines: list[PostedMovement]
    units: int
    value: str


class ShipOrder(msgspec.Struct, frozen=True, omit_defaults=True, tag="ship_order"):
    """A building shall ship these base units of an order; `line` is what it says back.

    `times` counts what it was asked of the order: 2 is for what came in stock later. `ship_to` has
    the fields of contracts/orders.py Address.
    """

    order: str
    channel: str
    location: str
    times: int
    lines: list[ToldLine]
    released_at: Moment
    ship_to: dict[str, Any] = {}


Payload = (
    AcknowledgeOrder
    | ConfirmShipment
    | CancelOrder
    | ConfirmReturn
    | BookOrder
    | ChangeOrder
    | PostMovements
    | ShipOrder
)
OPERATIONS: Final[dict[str, type[Any]]] = {
    "acknowledge_order": AcknowledgeOrder,
    "confirm_shipment": ConfirmShipment,
    "cancel_order": CancelOrder,
    "confirm_return": ConfirmReturn,
    "book_order": BookOrder,
    "change_order": ChangeOrder,
    "post_movements": PostMovements,
    "ship_order": ShipOrder,
}
"""Operation names, as manifests claim them, and their payloads."""
