"""Collects what a document asks the hub to book: events of the hub's own contracts."""

from typing import Any, Final

import msgspec

from stockbridge.connectors.edi.findings import Finding, Severity, worst
from stockbridge.connectors.edi.partner.naming import Words
from stockbridge.contracts.base import Shape
from stockbridge.contracts.events.registry import BY_NAME, PREFIX

_SAME: Final = (
    "location",
    "to_location",
    "from_location",
    "sku",
    "alias",
    "namespace",
    "uom",
    "package",
    "lot",
    "state",
    "disposition",
    "fulfillment",
    "reason",
)


class Fact(msgspec.Struct, frozen=True):
    """An event to report: its contract (`io.stockbridge.stock.shipped.v1`) and its data."""

    contract: str
    data: Shape


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """Units ordered and not shipped by this document; `is_closed` when they will not come.

    None when the status says neither. The order's sum over all its shipments decides.
    """

    order: str
    line: str | None
    item: dict[str, str]
    quantity: int
    status: str
    is_closed: bool | None


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """What a document comes to. With an error among the findings, nothing of it may be booked.

    `ships_all` names an order that was shipped just as it was ordered.
    """

    facts: list[Fact] = []
    shorts: list[Short] = []
    ships_all: str | None = None
    findings: list[Finding] = []

    @property
    def is_refused(self) -> bool:
        """Whether a person must look at it first."""
        return worst(self.findings) is Severity.ERROR


class Book:
    """Collects facts; lines that say the same of one thing are one fact."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.shorts: list[Short] = []
        self.ships_all: str | None = None
        self._facts: dict[tuple[object, ...], tuple[str, dict[str, Any]]] = {}

    def add(self, name: str, data: dict[str, Any], **document: str | None) -> None:
        """A fact of the event `name` (stock.shipped) about a document's line."""
        known = {key: value for key, value in document.items() if value is not None}
        key = (name, *known.items(), *(data.get(field) for field in _SAME))
        before = self._facts.get(key)
        if before is None:
            self._facts[key] = (name, data | {"document": known})
            return
        before[1]["quantity"] += data["quantity"]
        if before[1].get("serials") or data.get("serials"):
            both = [*before[1].get("serials", []), *data.get("serials", [])]
            before[1]["serials"] = both if len(both) == before[1]["quantity"] else []

    def booking(self) -> Booking:
        """Everything collected, in the document's order; what breaks a contract is found."""
        facts = []
        for name, data in self._facts.values():
            event = BY_NAME[f"{PREFIX}{name}"]
            plain = {field: value for field, value in data.items() if value not in (None, [])}
            try:
                facts.append(Fact(event.contract, msgspec.convert(plain, event.shape)))
            except msgspec.ValidationError as error:
                self.words.find("VALUE", f"{name}: {error}")
        return Booking(
            facts=facts,
            shorts=self.shorts,
            ships_all=self.ships_all,
            findings=self.words.findings,
        )
