"""What a stock report is made of: its head, its rows, and what became of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Code, NotNegative, Number, Shape, Sku
from stockbridge.kernel.accounts import ALLOCATED, AVAILABLE, PICKED, QUARANTINED

State = Literal["available", "allocated", "picked", "quarantined"]
Meaning = Literal["available", "on_hand", "available_net_of_promises"]
Format = Literal["csv", "ndjson", "json"]
Outcome = Literal[
    "unchanged", "in_flight", "drift", "counted", "counted_later", "superseded",
    "superseded_row", "bad",
]  # fmt: skip
"""What became of a row: `counted` was booked as a count, `counted_later` is settled by a newer
count of that state, `superseded` by a newer snapshot, `superseded_row` by a later row."""

STATE_ACCOUNTS: Final[dict[str, int]] = {
    "available": AVAILABLE,
    "allocated": ALLOCATED,
    "picked": PICKED,
    "quarantined": QUARANTINED,
}
ACCOUNT_STATES: Final[dict[int, State]] = {
    AVAILABLE: "available",
    ALLOCATED: "allocated",
    PICKED: "picked",
    QUARANTINED: "quarantined",
}


class ReportedRow(Shape, frozen=True, kw_only=True):
    """One figure of a report: an item by our `sku`, or by `alias` in `namespace`.

    Without a namespace the alias is the reporting system's own word.
    """

    location: Code
    quantity: NotNegative
    sku: Sku | None = None
    alias: Sku | None = None
    namespace: Code | None = None
    state: State = "available"

    def __post_init__(self) -> None:
        """Refuse a row that names no item, or two."""
        if (self.sku is None) == (self.alias is None):
            msg = "give either `sku` or `alias`"
            raise ValueError(msg)
        if self.namespace is not None and self.alias is None:
            msg = "`namespace` goes with `alias`"
            raise ValueError(msg)


class ReportDocument(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A whole report as one JSON document; its rows are read one by one."""

    rows: list[msgspec.Raw]
    system: Code | None = None
    number: Number | None = None
    cutoff_at: Annotated[datetime, Meta(tz=True)] | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A report as it is announced; `sequence` is the system's own numbering."""

    system: str
    number: str
    cutoff_at: datetime
    sequence: int | None
    meaning: Meaning
    is_authoritative: bool
    format: Format
    principal: str
    correlation_id: str


class Read(NamedTuple):
    """One row as read; a bad one has a `reason`, and its text in `sku`."""

    number: int
    sku: str | None
    namespace: str | None
    alias: str | None
    location: str | None
    state: str | None
    quantity: int | None
    reason: str | None


class Place(NamedTuple):
    """A location of a report with its open drift."""

    location: str
    rows: int
    units: int


class Difference(NamedTuple):
    """A row to be booked: `stated` units of the state at the cut-off."""

    row_number: int
    sku: str
    state: State
    stated: int
