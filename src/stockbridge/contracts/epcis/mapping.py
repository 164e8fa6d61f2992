"""From an EPCIS event to the commands that book it. Pure.

What is taken out of an event is its business step, its disposition where that decides, its items,
its place and its documents. Steps that say nothing of stock are noted and book nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

from stockbridge.contracts.base import Document, Shape
from stockbridge.contracts.commands import (
    AdjustLine,
    AdjustStock,
    CountLine,
    MoveState,
    QuantityLine,
    ReceiptLine,
    ReportCount,
    ReportReceipt,
    ReportReturn,
    ReportShipment,
    ReportTransfer,
    ReturnLine,
    ReverseFact,
)
from stockbridge.contracts.epcis.identifiers import place, thing, word
from stockbridge.contracts.epcis.model import Event, Quantity

REASON: Final = "TRANSFORMATION"
"""Reason code under which a transformation consumes and produces."""
UNSELLABLE: Final = {
    "damaged", "expired", "recalled", "non_sellable_other", "returned", "needs_replacement",
    "stolen", "destroyed", "disposed", "mismatch_quantity", "mismatch_instance", "non_conformant",
}  # fmt: skip
RETURNS: Final = ("rma",)
_NUMBER_CHARS: Final = 128


class Unbookable(Exception):
    """The event says something of stock that cannot be booked; the text says what is missing."""


class Line(NamedTuple):
    """Units of one item, lot and unit of measure."""

    namespace: str
    alias: str
    lot: str | None
    uom: str | None
    units: int
    serials: tuple[str, ...]

    def named(self) -> dict[str, Any]:
        """The fields that name the item."""
        return {"alias": self.alias, "namespace": self.namespace, "uom": self.uom}

    def moved(self) -> dict[str, Any]:
        """The fields of a moved quantity."""
        serials = list(self.serials)
        return self.named() | {"quantity": self.units, "lot": self.lot, "serials": serials}


def commands_of(event: Event, event_id: str) -> list[Shape]:
    """What the event asks for; empty when it says nothing of stock. Raises Unbookable."""
    if event.type == "TransformationEvent":
        found = _transformation(event, event_id)
    elif event.type in ("ObjectEvent", "TransactionEvent"):
        step = word(event.biz_step) if event.biz_step else ""
        book = _STEPS.get(step)
        made = book(_Said(event, event_id)) if book is not None else None
        found = [made] if made is not None else []
    else:
        found = []
    declared = event.error_declaration
    if declared is None:
        return found
    reason = word(declared.reason) if declared.reason else "error_declared"
    corrected = declared.corrective_event_ids
    return [
        # What a reversal takes back is not reversed again by the error of its declaration.
        ReverseFact(fact=each, reason=reason, corrected_by=corrected)
        for each in found
        if not isinstance(each, ReverseFact)
    ]


class _Said:
    """An event with its parts looked up."""

    def __init__(self, event: Event, event_id: str) -> None:
        self.event = event
        self.event_id = event_id
        self.disposition = word(event.disposition) if event.disposition else ""

    @property
    def dated(self) -> dict[str, Any]:
        return {"occurred_at": self.event.event_time}

    @property
    def lines(self) -> list[Line]:
        return lines_of(self.event.epc_list, self.event.quantity_list)

    @property
    def location(self) -> str:
        return location_of(self.event)

    def document(self, *wanted: str) -> Document:
        """The first document of a wanted type, else the first, else the event itself."""
        listed = self.event.biz_transaction_list
        typed = [(word(each.type or "") or "document", each.biz_transaction) for each in listed]
        chosen = next((each for kind in wanted for each in typed if each[0] == kind), None)
        kind, uri = chosen or (typed[0] if typed else ("epcis", self.event_id))
        return Document(kind[:64], number_of(uri))

    def between(self) -> tuple[str, str] | None:
        """The two locations of ours that goods move between, where both are named."""
        sources = [s.source for s in self.event.source_list if word(s.type) == "location"]
        ends = [d.destination for d in self.event.destination_list if word(d.type) == "location"]
        return (place(sources[0]), place(ends[0])) if sources and ends else None


def location_of(event: Event) -> str:
    """Where it happened: the business location, else the read point."""
    found = event.biz_location or event.read_point
    if found is None:
        raise Unbookable("names no bizLocation or readPoint, so nobody knows whose stock it is")
    return place(found.id)


def number_of(uri: str) -> str:
    """A document's number in its owner's numbering: what follows the last colon or slash."""
    tail = uri.rstrip("/:").replace("/", ":").rpartition(":")[2]
    return (tail or uri)[-_NUMBER_CHARS:]


def lines_of(epcs: Sequence[str], quantities: Sequence[Quantity]) -> list[Line]:
    """Units by item, lot and unit: single EPCs count one each. Raises Unbookable."""
    units: dict[tuple[str, str, str | None, str | None], int] = defaultdict(int)
    serials: dict[tuple[str, str, str | None, str | None], list[str]] = defaultdict(list)
    seen = 0
    for uri in dict.fromkeys(epcs):
        named = thing(uri)
        if isinstance(named, str):
            raise Unbookable(named)
        if named is not None:
            key = (named.namespace, named.alias, named.lot, None)
            units[key] += 1
            serials[key] += [named.serial] if named.serial is not None else []
    for quantity in quantities:
        named = thing(quantity.epc_class)
        if isinstance(named, str):
            raise Unbookable(named)
        if named is not None:
            seen += 1
            units[named.namespace, named.alias, named.lot, quantity.uom] += _whole(quantity)
    if not units:
        raise Unbookable(
            "names no trade item (SGTIN, LGTIN or GTIN): a logistic unit does not say what is in "
            "it; list its content in quantityList or epcList"
        )
    return [
        Line(*key, number, tuple(serials[key]) if len(serials[key]) == number else ())
        for key, number in units.items()
    ]


def _whole(quantity: Quantity) -> int:
    given = quantity.quantity
    if given is None:
        raise Unbookable(f"{quantity.epc_class[:80]} has no quantity")
    if not float(given).is_integer():
        raise Unbookable(
            f"{quantity.epc_class[:80]}: {given} {quantity.uom or ''} is no whole number; "
            "send it in a smaller unit"
        )
    return int(given)


# Steps ----------------------------------------------------------------------------------------
Stage = Literal["allocated", "deallocated", "picked", "packed", "shipped"]
Movement = Literal["hold", "release", "restock", "scrap"]


def _receiving(said: _Said) -> Shape:
    kinds = {word(each.type or "") for each in said.event.biz_transaction_list}
    if said.disposition == "returned" or kinds & set(RETURNS):
        return _returning(said)
    between = said.between()
    if between is not None:
        return _transfer(said, between, "received")
    state: Any = "quarantined" if said.disposition in UNSELLABLE else "available"
    lines = [ReceiptLine(**line.moved(), state=state) for line in said.lines]
    document = said.document("po", "recadv", "desadv")
    return ReportReceipt(document=document, location=said.location, lines=lines, **said.dated)


def _transfer(
    said: _Said, between: tuple[str, str], stage: Literal["shipped", "received"]
) -> Shape:
    lines = [QuantityLine(**line.moved()) for line in said.lines]
    return ReportTransfer(
        transfer=said.document("desadv", "bol", "po").number, from_location=between[0],
        to_location=between[1], stage=stage, lines=lines, **said.dated,
    )  # fmt: skip


def _shipping(said: _Said) -> Shape:
    between = said.between()
    return _transfer(said, between, "shipped") if between is not None else _stage(said, "shipped")


def _stage(said: _Said, stage: Stage) -> Shape:
    lines = [QuantityLine(**line.moved()) for line in said.lines]
    return ReportShipment(
        shipment=said.document("desadv", "bol", "po").number, location=said.location,
        lines=lines, stage=stage, document=said.document("po", "inv"), **said.dated,
    )  # fmt: skip


def _staged(stage: Stage) -> Callable[[_Said], Shape]:
    return lambda said: _stage(said, stage)


def _void_shipping(said: _Said) -> Shape:
    if not said.event.biz_transaction_list:
        raise Unbookable("void_shipping names no document, so nobody knows which shipment it voids")
    return ReverseFact(fact=_shipping(said), reason="void_shipping")


def _returning(said: _Said) -> Shape:
    lines = [ReturnLine(**line.moved()) for line in said.lines]
    number = said.document("rma").number
    return ReportReturn(rma=number, location=said.location, lines=lines, **said.dated)


def _moved(said: _Said, movement: Movement) -> Shape:
    return MoveState(
        document=said.document(), location=said.location, movement=movement,
        lines=[QuantityLine(**line.moved()) for line in said.lines], **said.dated,
    )  # fmt: skip


def _inspecting(said: _Said) -> Shape | None:
    """What was found unsellable is held; what was found good is where it was."""
    return _moved(said, "hold") if said.disposition in UNSELLABLE else None


def _counting(said: _Said) -> Shape:
    lines = [CountLine(**line.named(), quantity=line.units) for line in said.lines]
    return ReportCount(
        count=number_of(said.event_id), location=said.location, lines=lines, **said.dated
    )


_STEPS: Final[dict[str, Callable[[_Said], Shape | None]]] = {
    "receiving": _receiving,
    "accepting": _receiving,
    "reserving": _staged("allocated"),
    "picking": _staged("picked"),
    "packing": _staged("packed"),
    "staging_outbound": _staged("packed"),
    "shipping": _shipping,
    "departing": _shipping,
    "retail_selling": _staged("shipped"),
    "dispensing": _staged("shipped"),
    "void_shipping": _void_shipping,
    "returning": _returning,
    "inspecting": _inspecting,
    "holding": lambda said: _moved(said, "hold"),
    "destroying": lambda said: _moved(said, "scrap"),
    "cycle_counting": _counting,
    "stock_taking": _counting,
}
"""Business steps that say something of stock; all others are noted."""


def _transformation(event: Event, event_id: str) -> list[Shape]:
    """What was consumed and what was produced, one adjustment of several lines."""
    signed: list[tuple[int, Line]] = []
    for sign, epcs, quantities in (
        (-1, event.input_epc_list, event.input_quantity_list),
        (1, event.output_epc_list, event.output_quantity_list),
    ):
        if epcs or quantities:
            signed += [(sign, line) for line in lines_of(epcs, quantities)]
    if not signed:
        raise Unbookable("transforms nothing: it lists neither inputs nor outputs")
    lines = [
        AdjustLine(
            **line.named(), quantity=sign * line.units, line=f"{'out' if sign > 0 else 'in'}{n}"
        )
        for n, (sign, line) in enumerate(signed, 1)
    ]
    number = number_of(event.transformation_id or event_id)
    return [
        AdjustStock(
            adjustment=number, location=location_of(event), reason=REASON, lines=lines,
            occurred_at=event.event_time,
        )
    ]  # fmt: skip
