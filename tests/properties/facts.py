"""Facts for the law that order, repetition and splitting do not matter."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document


class FactCase(NamedTuple):
    """One report; those of equal `key` speak of one fact (and may disagree on the quantity)."""

    kind: str
    number: str
    sku: str
    place: str
    package: str | None
    minute: int
    quantity: int
    source: str
    total: bool = False
    way: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the fact it is."""
        return (*self[:5], self.way, self.total)


WAYS = {
    "ship": ("allocated", "deallocated", "picked", "packed", "shipped"),
    "transfer": ("shipped", "received"),
    "receive": ("available", "quarantined"),
    "return": ("", "restock", "scrap"),
    "move": ("hold", "release"),
    "count": ("available", "allocated", "picked", "quarantined"),
    "adjust": ("available",),
}
HAS_TOTALS = ("ship", "receive", "transfer", "return")


@st.composite
def facts(draw: st.DrawFn) -> FactCase:
    """Few numbers, places and moments, so that reports meet."""
    kind = draw(st.sampled_from(("ship", "ship", "ship", "count", *WAYS)))
    return FactCase(
        kind=kind,
        number=draw(st.sampled_from("12")),
        sku=draw(st.sampled_from("AB")),
        place=draw(st.sampled_from(("W1", "W1", "W2"))),
        package=draw(st.sampled_from((None, "p"))) if kind in HAS_TOTALS else None,
        minute=draw(st.integers(0, 9)),
        quantity=draw(st.integers(1, 5)),
        source=draw(st.sampled_from(("wms", "erp"))),
        total=kind in HAS_TOTALS and draw(st.integers(0, 4)) == 0,
        way=draw(st.sampled_from(WAYS[kind])),
    )


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[FactCase], list[FactCase]]:
    """A set of facts, and the same in another order with some heard again.

    A fact has one moment, whoever reports it; only quantities may disagree.
    """
    known = draw(st.lists(facts(), min_size=1, max_size=7, unique_by=lambda fact: fact.key))
    told = [_report(draw, fact) for fact in known]
    told += [_report(draw, fact) for fact in draw(st.lists(st.sampled_from(known), max_size=6))]
    again = draw(st.permutations(told + draw(st.lists(st.sampled_from(told), max_size=4))))
    return told, list(again)


def _report(draw: st.DrawFn, fact: FactCase) -> FactCase:
    """Somebody tells of the fact, perhaps another quantity; a running total has its own time."""
    if fact.kind in ("count", "adjust"):
        return fact
    said = fact._replace(
        quantity=draw(st.integers(1, 5)), source=draw(st.sampled_from(("wms", "erp", "3pl")))
    )
    return said._replace(minute=draw(st.integers(0, 9))) if fact.total else said


def body(fact: FactCase, start: datetime, suffix: str = "") -> Any:
    """The fact as a command; `suffix` makes SKU and numbers another example's."""
    number = f"{fact.kind}{fact.number}{suffix}"
    sku, quantity = fact.sku + suffix, fact.quantity
    stamp: dict[str, Any] = {
        "occurred_at": start + timedelta(minutes=fact.minute),
        "source": fact.source,
    }
    mode: Any = "cumulative" if fact.total else "increment"
    line: dict[str, Any] = {"sku": sku, "quantity": quantity, "line": "1"}
    moved = {**line, "package": fact.package, "quantity_mode": mode}
    way: Any = fact.way
    if fact.kind == "ship":
        return c.ReportShipment(shipment=number, location=fact.place, stage=way,
                                lines=[c.QuantityLine(**moved)], **stamp)  # fmt: skip
    if fact.kind == "transfer":
        other = "W2" if fact.place == "W1" else "W1"
        return c.ReportTransfer(transfer=number, from_location=fact.place, to_location=other,
                                stage=way, lines=[c.QuantityLine(**moved)], **stamp)  # fmt: skip
    if fact.kind == "receive":
        return c.ReportReceipt(document=Document("po", number), location=fact.place,
                               lines=[c.ReceiptLine(**moved, state=way)], **stamp)  # fmt: skip
    if fact.kind == "return":
        lines = [c.ReturnLine(**moved, disposition=way or None)]
        return c.ReportReturn(rma=number, location=fact.place, lines=lines, **stamp)
    if fact.kind == "move":
        return c.MoveState(document=Document("qc", number), location=fact.place, movement=way,
                           lines=[c.QuantityLine(**line)], **stamp)  # fmt: skip
    if fact.kind == "count":
        return c.ReportCount(count=f"{number}{way}{fact.minute}", location=fact.place,
                             lines=[c.CountLine(**line, state=way)], **stamp)  # fmt: skip
    line["quantity"] = quantity if fact.number == "1" else -quantity
    return c.AdjustStock(adjustment=number, location=fact.place, reason="CORRECTION",
                         lines=[c.AdjustLine(**line)], **stamp)  # fmt: skip
