"""Orders in our words: 850, 860, ORDERS, ORDCHG, 940, INSDES; and answers: 855, 865, ORDRSP."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from stockbridge.connectors.edi.documents.model import (
    Answer,
    OrderLine,
    PurchaseOrder,
    WarehouseLine,
    WarehouseOrder,
)
from stockbridge.connectors.edi.documents.parts import Document, Party, Splits
from stockbridge.connectors.edi.findings import Finding, Severity, worst
from stockbridge.connectors.edi.partner.naming import Words

Action = Literal["place", "change", "replace", "cancel"]
LineAction = Literal["add", "change", "cancel"]
ANSWERS: Final = frozenset({"855", "865", "ORDRSP"})
CHANGES: Final = frozenset({"860", "ORDCHG"})
# Elements 353 (X12) and 1225 (EDIFACT), then 473 of the 940.
_ACTIONS: Final[dict[str, Action]] = {
    **dict.fromkeys(("00", "06", "9", "N", "B", "T", ""), "place"),
    **dict.fromkeys(("04", "4", "R", "C", "G", "L"), "change"),
    **dict.fromkeys(("05", "5"), "replace"),
    **dict.fromkeys(("01", "1", "F", "D"), "cancel"),
}
# Element 670, and EDIFACT 1229.
_LINE_ACTIONS: Final[dict[str, LineAction]] = {
    **dict.fromkeys(("AI", "1"), "add"),
    **dict.fromkeys(("DI", "2", "CF"), "cancel"),
}
_DAYS: Final = {
    "ship_on": ("010", "10", "2"),
    "deliver_on": ("002", "02", "69"),
    "not_before": ("037", "063", "64"),
    "cancel_after": ("001", "61", "038"),
}


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody, as the document describes them; `location` where it is one of ours."""

    id: str = ""
    qualifier: str = ""
    name: str = ""
    lines: list[str] = []
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    location: str | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line: the item by our `sku` or their `alias`, a whole quantity of its unit."""

    line: str
    quantity: int
    sku: str | None = None
    alias: str | None = None
    namespace: str | None = None
    uom: str | None = None
    action: LineAction = "add"
    price: Decimal | None = None
    lot: str = ""
    description: str = ""
    ship_on: dt.date | None = None
    deliver_on: dt.date | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order, or a change of one, in our words.

    `part` tells apart the orders that one document makes for several destinations.
    """

    kind: Literal["purchase", "warehouse"]
    action: Action
    number: str
    part: str = ""
    purchase_order: str = ""
    release: str = ""
    change_number: str = ""
    date: dt.date | None = None
    currency: str = ""
    buyer: Address | None = None
    ship_to: Address | None = None
    bill_to: Address | None = None
    ship_from: Address | None = None
    ship_on: dt.date | None = None
    deliver_on: dt.date | None = None
    not_before: dt.date | None = None
    cancel_after: dt.date | None = None
    carrier: str = ""
    service: str = ""
    terms: str = ""
    notes: list[str] = []
    lines: list[Wanted] = []


class Answered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of a line's units; `other` by status where the code promises nothing."""

    line: str
    sku: str | None = None
    alias: str | None = None
    namespace: str | None = None
    accepted: int = 0
    backordered: int = 0
    rejected: int = 0
    other: dict[str, int] = {}
    promised_on: dt.date | None = None


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A supplier's answer to our order, or to our change of it."""

    number: str
    answer: str
    change_number: str = ""
    lines: list[Answered] = []


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What an order document says; with an error among the findings, nothing of it holds."""

    orders: list[Order] = []
    answer: OrderAnswer | None = None
    findings: list[Finding] = []

    @property
    def is_refused(self) -> bool:
        """Whether a person must look at it first."""
        return worst(self.findings) is Severity.ERROR


def orders_of(document: PurchaseOrder | WarehouseOrder, code: str, words: Words) -> Orders:
    """The orders that a document makes: one for each destination its lines are split over."""
    if isinstance(document, WarehouseOrder):
        return Orders(orders=[_warehouse(document, words)], findings=words.findings)
    if code in ANSWERS:
        return Orders(answer=_answer(document, words), findings=words.findings)
    return Orders(orders=_purchase(document, code, words), findings=words.findings)


def _purchase(document: PurchaseOrder, code: str, words: Words) -> list[Order]:
    carriage = document.carriages[0] if document.carriages else None
    whole = Order(
        kind="purchase",
        action=_action(document.purpose, code, words),
        number=document.number,
        release=document.release,
        change_number=document.change_number,
        carrier=carriage.carrier if carriage else "",
        service=carriage.routing if carriage else "",
        **_common(document, words),
    )
    places: dict[str, list[Wanted]] = {}
    for at, line in enumerate(document.lines, start=1):
        wanted = _wanted(line, at, code, words)
        if wanted is None:
            continue
        for place, quantity in _destinations(line.splits, wanted.quantity, at, words):
            moved = msgspec.structs.replace(wanted, quantity=quantity)
            places.setdefault(place, []).append(moved)
    if set(places) <= {""}:
        return [msgspec.structs.replace(whole, lines=places.get("", []))]
    return [_for_place(whole, place, lines, document, words) for place, lines in places.items()]


def _for_place(
    whole: Order, place: str, lines: list[Wanted], document: PurchaseOrder, words: Words
) -> Order:
    if not place:
        return msgspec.structs.replace(whole, lines=lines)
    splits = next((s for line in document.lines for s in line.splits), None)
    location = words.profile.locations.table.get(place)
    ship_to = Address(id=place, qualifier=splits.qualifier if splits else "", location=location)
    return msgspec.structs.replace(whole, part=place, lines=lines, ship_to=ship_to)


def _destinations(
    splits: list[Splits], quantity: int, at: int, words: Words
) -> Iterator[tuple[str, int]]:
    """(place, quantity) of a line; the whole for '' when it is not split."""
    if not splits:
        yield "", quantity
        return
    rows = [row for one in splits for row in one.rows]
    if sum(row.quantity for row in rows) != quantity:
        said = sum(row.quantity for row in rows)
        words.find("TOTAL", f"line {at}: {quantity} ordered, {said} by destination")
    for row in rows:
        whole = words.whole(row.quantity, f"line {at} for {row.place}")
        if whole is not None:
            yield row.place, whole


def _wanted(line: OrderLine, at: int, code: str, words: Words) -> Wanted | None:
    item, unit = words.item(line), words.unit(line.unit)
    action: LineAction = "add"
    if code in CHANGES:
        action = _LINE_ACTIONS.get(line.change, "change")
    given = Decimal(0) if action == "cancel" and line.quantity is None else line.quantity
    quantity = words.whole(given, f"line {line.line or at}")
    if item is None or unit is None or quantity is None:
        return None
    if quantity <= 0 and action != "cancel":
        words.find("QUANTITY", f"line {line.line or at}: {quantity} ordered")
    return Wanted(
        line=line.line or str(at),
        quantity=quantity,
        action=action,
        price=line.price,
        description=next((note.text for note in line.descriptions if note.text), ""),
        ship_on=_day(line, "ship_on"),
        deliver_on=_day(line, "deliver_on"),
        **item,
        **unit,
    )


def _warehouse(document: WarehouseOrder, words: Words) -> Order:
    carriage = document.carriage
    lines = [*document.lines, *(line for group in document.groups for line in group.lines)]
    wanted = [_to_ship(line, at, words) for at, line in enumerate(lines, start=1)]
    total = sum(line.quantity or 0 for line in lines)
    if document.total is not None and document.total != total:
        message = f"W7601 says {document.total} units, the lines {total}"
        words.find("TOTAL", message, segment="W76", element=1)
    return Order(
        kind="warehouse",
        action=_action(document.purpose, "940", words),
        number=document.number,
        purchase_order=document.order,
        carrier=carriage.carrier if carriage else "",
        service=carriage.routing if carriage else "",
        terms=carriage.terms if carriage else "",
        lines=[line for line in wanted if line is not None],
        **_common(document, words),
    )


def _to_ship(line: WarehouseLine, at: int, words: Words) -> Wanted | None:
    item, unit = words.item(line), words.unit(line.unit)
    quantity = words.whole(line.quantity, f"line {at}")
    if item is None or unit is None or quantity is None:
        return None
    number = words.line_of(line) or line.line or str(at)
    return Wanted(line=number, quantity=quantity, lot=line.lot, **item, **unit)


def _action(purpose: str, code: str, words: Words) -> Action:
    action = _ACTIONS.get(purpose)
    if action is None:
        words.find("CODE_UNMAPPED", f"{code}: purpose {purpose!r} is not known")
        return "place"
    return "change" if code in CHANGES and action == "place" else action


def _common(document: Document, words: Words) -> dict[str, Any]:
    texts = [text for note in document.notes for text in (note.text, *note.messages) if text]
    return {
        "date": document.date or _own_date(document),
        "currency": document.currency,
        "notes": texts,
        "buyer": _address(document.parties, ("BY", "BU", "DE"), words),
        "ship_to": _address(document.parties, ("ST", "DP", "CN"), words),
        "bill_to": _address(document.parties, ("BT", "IV"), words),
        "ship_from": _address(document.parties, ("SF", "WH"), words),
        **{name: _day(document, name) for name in _DAYS},
    }


def _own_date(document: Document) -> dt.date | None:
    return next((m.date for m in document.dates if m.qualifier in {"137", "4"}), None)


def _day(of: Document | OrderLine, name: str) -> dt.date | None:
    return next(
        (m.date for q in _DAYS[name] for m in of.dates if m.qualifier == q and m.date), None
    )


def _address(parties: list[Party], roles: tuple[str, ...], words: Words) -> Address | None:
    party = next((p for role in roles for p in parties if p.role == role), None)
    if party is None:
        return None
    return Address(
        id=party.id,
        qualifier=party.qualifier,
        name=party.name or next(iter(party.names), ""),
        lines=[*(party.names if party.name else party.names[1:]), *party.address],
        city=party.city,
        region=party.region,
        postal_code=party.postal_code,
        country=party.country,
        location=words.profile.locations.table.get(party.id),
    )


# Element 668: what units with an answer's status become.
_BECOMES: Final = {
    **dict.fromkeys(("IA", "IC", "IP", "IQ", "DR", "IS", "AR", "AC", "IF"), "accepted"),
    **dict.fromkeys(("IB", "BP"), "backordered"),
    **dict.fromkeys(("IR", "ID"), "rejected"),
}


def _answer(document: PurchaseOrder, words: Words) -> OrderAnswer:
    return OrderAnswer(
        number=document.number,
        answer=document.answer or document.purpose,
        change_number=document.change_number,
        lines=[_answered(line, at, words) for at, line in enumerate(document.lines, start=1)],
    )


def _answered(line: OrderLine, at: int, words: Words) -> Answered:
    sums: dict[str, Any] = {"accepted": 0, "backordered": 0, "rejected": 0}
    other: dict[str, int] = {}
    for one in line.answers or _answers_of_message(line):
        quantity = words.whole(one.quantity, f"line {line.line or at}, {one.status}") or 0
        becomes = _BECOMES.get(one.status)
        if becomes is None:
            other[one.status] = other.get(one.status, 0) + quantity
        else:
            sums[becomes] += quantity
    promised = [a.date for a in line.answers if a.date and _BECOMES.get(a.status) == "accepted"]
    days = [promised[0] if promised else None, _day(line, "ship_on"), _day(line, "deliver_on")]
    return Answered(
        line=line.line or str(at),
        other=other,
        promised_on=next((day for day in days if day is not None), None),
        **sums,
        **(words.item(line) or {}),
    )


def _answers_of_message(line: OrderLine) -> list[Answer]:
    """The answers of an ORDRSP's line: 1229 says what becomes of the quantity, 83 is to follow."""
    meant = {"5": "IA", "6": "IC", "3": "IC", "7": "IR", "2": "ID"}
    found = []
    if line.quantity is not None:
        found.append(Answer(status=meant.get(line.change, line.change), quantity=line.quantity))
    waiting = [a.quantity for a in line.amounts if a.kind == "83"]
    return [*found, *(Answer(status="IB", quantity=quantity) for quantity in waiting)]
