"""The rows a batch works on. Plain mutable records: rules change them, the engine writes them."""

from datetime import datetime
from typing import Any, NamedTuple

from stockbridge.kernel.accounts import AVAILABLE, RESERVED

SAFETY = 9
LOCATION = 10
COUNTED_AT = 11
VERSION = 12


class Balance:
    """One (item, location), as the row was read, in a list for speed.

    `q[account]` for accounts 1 to 8 is the quantity in base units; 0 is the item id, SAFETY,
    LOCATION, COUNTED_AT follow; VERSION is the batch that wrote the row, None for a new row.
    """

    __slots__ = ("q",)

    def __init__(self, q: list[Any]) -> None:
        self.q = q

    @classmethod
    def empty(cls, item_id: int, location_id: int) -> "Balance":
        """A pair that has no row yet."""
        return cls([item_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, location_id, None, None])

    @property
    def item_id(self) -> int:
        """The item."""
        return int(self.q[0])

    @property
    def location_id(self) -> int:
        """The location."""
        return int(self.q[LOCATION])

    @property
    def safety_stock(self) -> int:
        """Units never promised here."""
        return int(self.q[SAFETY])

    @safety_stock.setter
    def safety_stock(self, units: int) -> None:
        self.q[SAFETY] = units

    @property
    def free(self) -> int:
        """Available minus reserved: bound to nobody; negative when facts overtook promises."""
        return int(self.q[AVAILABLE] - self.q[RESERVED])


class Movement(NamedTuple):
    """One ledger entry: `quantity` base units leave `from_account` and enter `to_account`."""

    kind: int
    item_id: int
    location_id: int
    from_account: int
    to_account: int
    quantity: int
    occurred_at: datetime
    document_type: str
    document_number: str
    document_line: str
    correlation_id: str
    reason: str | None = None
    unit_cost: str | None = None
    message_id: str | None = None
    reverses: int | None = None
    """The id of a stored entry, or ~n for entry n of the same batch."""
    lot: str | None = None
    serials: tuple[str, ...] = ()


class Booked(NamedTuple):
    """A ledger entry that was read, as far as a reversal must know it."""

    movement_id: int
    item_id: int
    location_id: int
    from_account: int
    to_account: int
    quantity: int
    document_number: str
    document_line: str
    reverses: int | None


class Hold:
    """Open promised quantity of a reservation line at a location, reserved or backordered."""

    __slots__ = (
        "account", "fenced", "item_id", "line_no", "location_id", "quantity", "reservation_id",
    )  # fmt: skip

    def __init__(
        self,
        reservation_id: int,
        line_no: int,
        item_id: int,
        location_id: int,
        account: int,
        quantity: int,
        fenced: int = 0,
    ) -> None:
        self.reservation_id = reservation_id
        self.line_no = line_no
        self.item_id = item_id
        self.location_id = location_id
        self.account = account
        self.quantity = quantity
        self.fenced = fenced

    @property
    def key(self) -> tuple[int, int, int, int, int]:
        """Primary key of the row."""
        return (self.reservation_id, self.line_no, self.item_id, self.location_id, self.account)


class ReservationLine(NamedTuple):
    """What was asked: `quantity` in `uom`, `units` in base units of the item.

    `parts` are what one unit takes: (item id, base units each), the item itself unless a kit.
    """

    line_no: int
    item_id: int
    sku: str
    quantity: int
    uom: str | None
    units: int
    location_id: int | None
    parts: tuple[tuple[int, int], ...]


class Promised(NamedTuple):
    """What was promised in all of a line at a place, and how much of it came from the fence."""

    line_no: int
    item_id: int
    location_id: int
    account: int
    quantity: int
    fenced: int


class Reservation:
    """A promise and its state: held, confirmed, fulfilled, released or expired.

    `promised` is None until a building reports on it; the holds are all there was till then.
    """

    __slots__ = (
        "channel_id", "correlation_id", "created_at", "ended_at", "expires_at", "lines", "mode",
        "principal", "promised", "reference", "reservation_id", "state",
    )  # fmt: skip

    def __init__(
        self,
        reservation_id: int,
        channel_id: int,
        reference: str,
        state: str,
        mode: str,
        expires_at: datetime | None,
        lines: list[ReservationLine],
        created_at: datetime,
        ended_at: datetime | None,
        principal: str,
        correlation_id: str,
        promised: list[Promised] | None = None,
    ) -> None:
        self.reservation_id = reservation_id
        self.channel_id = channel_id
        self.reference = reference
        self.state = state
        self.mode = mode
        self.expires_at = expires_at
        self.lines = lines
        self.created_at = created_at
        self.ended_at = ended_at
        self.principal = principal
        self.correlation_id = correlation_id
        self.promised = promised

    @property
    def is_open(self) -> bool:
        """Held or confirmed: still binds stock."""
        return self.state in ("held", "confirmed")


class FulfilmentLine:
    """Totals reported for each stage of one fulfilment line at one location, in base units."""

    __slots__ = (
        "allocated", "deallocated", "fulfilment", "item_id", "line", "location_id", "packed",
        "picked", "reservation_id", "shipped",
    )  # fmt: skip

    def __init__(
        self,
        fulfilment: str,
        line: str,
        item_id: int,
        location_id: int,
        reservation_id: int | None = None,
        allocated: int = 0,
        picked: int = 0,
        packed: int = 0,
        shipped: int = 0,
        deallocated: int = 0,
    ) -> None:
        self.fulfilment = fulfilment
        self.line = line
        self.item_id = item_id
        self.location_id = location_id
        self.reservation_id = reservation_id
        self.allocated = allocated
        self.picked = picked
        self.packed = packed
        self.shipped = shipped
        self.deallocated = deallocated

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Primary key of the row."""
        return (self.fulfilment, self.line, self.item_id, self.location_id)

    @property
    def bound(self) -> int:
        """Units the building has bound to the order, and not given back."""
        return max(self.allocated - self.deallocated, self.picked, self.packed, self.shipped)


class Fact(NamedTuple):
    """A business key that was booked: the quantity that stands and the source that reported it.

    Of two reports that disagree the one with the lower `rank` stands, in whatever order they came.
    """

    kind: str
    item_id: int
    location_id: int
    quantity: int
    source: str
    document_number: str
    rank: str = ""


class Stated(NamedTuple):
    """Of a statement of open supply: whose it is, its number there, when the goods are expected.

    `flow` is the source's stream that the number counts in; statements without one have none.
    """

    source: str
    sequence: int | None
    expected_at: int | None
    """Microseconds since 1970."""
    flow: str = ""


class Report(NamedTuple):
    """One report of a document line: `units` of a stage (`track`) at `at`, microseconds since 1970.

    A running total says how many there were in all by then: of its lot, where it names one. A
    statement says how many were open then.
    """

    track: int
    at: int
    units: int
    is_total: bool = False
    lot: str | None = None
    stated: Stated | None = None


Reports = dict[str, Report]
"""Everything reported of a document line, by business key."""


class Serial(NamedTuple):
    """Where a serial number was last, by the source's clock."""

    location_id: int
    account: int
    occurred_at: datetime


class ExceptionCase(NamedTuple):
    """Something a person must look at; one stays open for each (kind, subject)."""

    kind: str
    subject: str
    severity: int
    owner_team: str
    cause: str
    action: str
    correlation_id: str


class Owed(NamedTuple):
    """A delivery that a decision owes to a system (contracts/partners/operations.py).

    Deliveries of one `object_key` are made in the order they were owed. `key` is the business
    key, unique in system and operation: owed again, it is the same delivery. `cause` says which
    decision owes it.
    """

    system: str
    operation: str
    object_key: str
    key: str
    payload: Any
    correlation_id: str = ""
    cause: str = ""


SupplyKey = tuple[int, int, str, str, str, int]
"""(item id, location id, document type, number, line, account)."""


class Supply(NamedTuple):
    """Open pipeline of one document line, and when it is expected."""

    quantity: int
    expected_at: datetime | None
