"""Orders as rows: everything stated of one, in a form that does not depend on who spoke first.

What was stated is kept, immutable; what it comes to (quantities, states) is worked out from it
and from what the buildings reported (domain/orders/rules.py).
"""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from stockbridge.domain.masters.model import OrderFlow


class Ordered(NamedTuple):
    """A quantity and how new its statement is; the larger of two stands."""

    version: int
    quantity: int


class OrderLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line as the channel calls it (`name`), and the reservation's line that holds its stock.

    `quantity` in `uom`, one of which is `numerator`/`denominator` base units; `parts` are what one
    base unit takes: (item id, base units each), the item itself unless a kit.
    """

    name: str
    line_no: int
    item_id: int
    sku: str
    quantity: Ordered
    parts: tuple[tuple[int, int], ...]
    uom: str | None = None
    numerator: int = 1
    denominator: int = 1
    location_id: int | None = None
    unit_price: str | None = None
    currency: str | None = None

    def units(self, quantity: int) -> int:
        """Base units of a quantity of this line; what is not whole is left out."""
        return quantity * self.numerator // self.denominator

    def in_uom(self, units: int) -> int:
        """Whole quantity of base units, in the line's unit."""
        return units * self.denominator // self.numerator


class Cancel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cancellation: of `lines` (name: quantity), or of everything.

    `known` is false where only a building's answer to it was heard; `asks` tells that it counts
    only if the building agrees; `agreed` is what the building said.
    """

    lines: dict[str, int] | None = None
    known: bool = True
    asks: bool = False
    agreed: bool | None = None
    by: str | None = None
    reason: str = ""

    @property
    def stands(self) -> bool:
        """Whether it counts."""
        if not self.known or self.agreed is False:
            return False
        return not self.asks or self.agreed is True


class Held(NamedTuple):
    """Whether a person stopped the order, and why."""

    on: bool
    reason: str = ""


class ErpReply(NamedTuple):
    """What the ERP said to the order, at which moment of its clock (microseconds)."""

    at: int
    accepted: bool
    reference: str = ""
    reason: str = ""


class OrderContent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything stated of an order. `version` is of the newest placing; None: not placed yet.

    `placed` names the lines of that placing, `edits` holds the newest edit of each line, also of
    lines nobody has named yet. `head` is what only people read: customer, address, currency.
    """

    mode: str = "sold"
    version: int | None = None
    placed: tuple[str, ...] = ()
    placed_at: datetime | None = None
    paid_at: datetime | None = None
    head: dict[str, Any] = {}
    lines: tuple[OrderLine, ...] = ()
    edits: dict[str, Ordered] = {}
    cancels: dict[str, Cancel] = {}
    held: Held | None = None
    erp: ErpReply | None = None
    released_at: datetime | None = None
    flow: OrderFlow = OrderFlow()


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the channel's system was told, or will be: deliveries already owed to it.

    Quantities are by line, in the line's unit; `parcels` counts how often a parcel's name was used.
    `asked` are base units asked of buildings, by location/sku/line, and how often, by location.
    The ERP has the lines as `booked`, in base units, changed so many times, and what left `posted`
    by fulfilment/line/item/location.
    """

    acknowledged: bool = False
    shipped: dict[str, int] = {}
    off: dict[str, int] = {}
    parcels: dict[str, int] = {}
    asked: dict[str, int] = {}
    booked: dict[str, int] = {}
    changes: int = 0
    posted: dict[str, int] = {}


class Order:
    """One order: its row."""

    __slots__ = (
        "channel_id", "content", "correlation_id", "created_at", "ended_at", "events", "number",
        "order_id", "reservation_id", "state", "told", "updated_at",
    )  # fmt: skip

    def __init__(
        self,
        order_id: int,
        channel_id: int,
        number: str,
        state: str,
        reservation_id: int | None,
        content: OrderContent,
        events: int,
        created_at: datetime,
        updated_at: datetime,
        ended_at: datetime | None,
        correlation_id: str,
        told: Told | None = None,
    ) -> None:
        self.order_id = order_id
        self.channel_id = channel_id
        self.number = number
        self.state = state
        self.reservation_id = reservation_id
        self.content = content
        self.events = events
        self.created_at = created_at
        self.updated_at = updated_at
        self.ended_at = ended_at
        self.correlation_id = correlation_id
        self.told = Told() if told is None else told


class OrderEvent(NamedTuple):
    """One entry of an order's timeline: `what` was done, and the state it left the order in."""

    order_id: int
    event_no: int
    what: str
    state: str
    recorded_at: datetime
    principal: str
    system: str | None
    message_id: str | None
    correlation_id: str
    detail: str
