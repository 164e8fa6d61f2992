"""Reports of facts for the law that order, repetition and mixture do not matter, and what is left.

Richer than facts.py: several systems tell of one fact, each with its own clock, count, numbering,
serial numbers; lots, disposals and supply too. `Told` is one report; those of equal `key` speak of
one fact. `remembered` and `stored` are all that must come out equal, in memory and in a database.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st
from psycopg import Connection

from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.domain.world.world import World

SOURCES = ("wms", "erp", "3pl")
WAYS = {
    "ship": ("allocated", "deallocated", "picked", "packed", "shipped"),
    "transfer": ("shipped", "received"),
    "receive": ("available", "quarantined"),
    "return": ("", "restock", "scrap"),
    "move": ("hold", "release", "restock", "scrap"),
    "count": ("available", "allocated", "picked", "quarantined"),
    "adjust": ("available", "quarantined"),
    "supply": ("on_order", "in_transit"),
}
PARCELLED = ("ship", "receive", "transfer", "return", "move")
UNITS_MAX = 5


class Told(NamedTuple):
    """One report of one fact."""

    kind: str
    number: str
    sku: str
    place: str
    way: str
    package: str | None = None
    lot: str | None = None
    is_total: bool = False
    minute: int = 0
    quantity: int = 1
    source: str = "wms"
    sequence: int | None = None
    serials: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the fact it is."""
        return self[:8]


@st.composite
def facts(draw: st.DrawFn) -> Told:
    """Few numbers, places, moments and lots, so that reports meet."""
    kind = draw(st.sampled_from(("ship", "ship", "ship", "count", *WAYS)))
    parcelled = kind in PARCELLED
    return Told(
        kind=kind,
        number=draw(st.sampled_from("12")),
        sku=draw(st.sampled_from("AB")),
        place=draw(st.sampled_from(("W1", "W1", "W2"))),
        way=draw(st.sampled_from(WAYS[kind])),
        package=draw(st.sampled_from((None, "p"))) if parcelled else None,
        lot=draw(st.sampled_from((None, None, "L1", "L2"))) if parcelled else None,
        is_total=parcelled and draw(st.integers(0, 4)) == 0,
    )


@st.composite
def reports(draw: st.DrawFn, fact: Told) -> Told:
    """Somebody tells of the fact, by his own count, clock and numbering."""
    quantity = draw(st.integers(1, UNITS_MAX))
    said = fact._replace(
        minute=draw(st.integers(0, 9)),
        quantity=quantity,
        source=draw(st.sampled_from(SOURCES)),
        sequence=draw(st.sampled_from((None, 1, 2))),
    )
    if fact.kind in PARCELLED and draw(st.integers(0, 2)) == 0:
        numbers = draw(st.permutations([f"s{n}" for n in range(UNITS_MAX + 1)]))
        said = said._replace(serials=tuple(numbers[:quantity]))
    return said


@st.composite
def stories(draw: st.DrawFn, facts_max: int = 6) -> tuple[list[Told], list[Told]]:
    """Reports of some facts, and the same in another order with some heard again."""
    known = draw(st.lists(facts(), min_size=1, max_size=facts_max, unique_by=lambda f: f.key))
    told = [draw(reports(fact)) for fact in known]
    told += [draw(reports(f)) for f in draw(st.lists(st.sampled_from(known), max_size=facts_max))]
    again = draw(st.permutations(told + draw(st.lists(st.sampled_from(told), max_size=3))))
    return told, list(again)


def body(told: Told, start: datetime, suffix: str = "") -> Any:
    """The report as a command; `suffix` makes SKU and numbers another example's."""
    number = f"{told.kind}{told.number}{suffix}"
    stamp: dict[str, Any] = {
        "occurred_at": start + timedelta(minutes=told.minute),
        "source": told.source,
        "sequence": told.sequence,
    }
    line: dict[str, Any] = {"sku": told.sku + suffix, "quantity": told.quantity, "line": "1"}
    if told.kind == "count":
        number += f"{told.way}{told.minute}{told.source}{told.sequence}"
        lines = [c.CountLine(**line, state=told.way)]  # type: ignore[arg-type]
        return c.ReportCount(count=number, location=told.place, lines=lines, **stamp)
    if told.kind == "adjust":
        line["quantity"] = told.quantity if told.number == "1" else -told.quantity
        wrong = [c.AdjustLine(**line, state=told.way)]  # type: ignore[arg-type]
        return c.AdjustStock(
            adjustment=number, location=told.place, reason="CORRECTION", lines=wrong, **stamp
        )
    mode = "cumulative" if told.is_total else "increment"
    if told.kind == "supply":
        stated = [c.SupplyLine(**line)]
        return c.RecordSupply(
            document=Document("po", f"receive{told.number}{suffix}"), location=told.place,
            state=told.way, lines=stated, expected_at=start + timedelta(days=told.quantity),  # type: ignore[arg-type]
            **stamp,
        )  # fmt: skip
    line |= {"package": told.package, "quantity_mode": mode, "lot": told.lot}
    line["serials"] = list(told.serials)
    return _moved(told, number, line, stamp)


def _moved(told: Told, number: str, line: dict[str, Any], stamp: dict[str, Any]) -> Any:
    way: Any = told.way
    if told.kind == "ship":
        return c.ReportShipment(
            shipment=number, location=told.place, stage=way, lines=[c.QuantityLine(**line)],
            **stamp,
        )  # fmt: skip
    if told.kind == "transfer":
        other = "W2" if told.place == "W1" else "W1"
        return c.ReportTransfer(
            transfer=number, from_location=told.place, to_location=other, stage=way,
            lines=[c.QuantityLine(**line)], **stamp,
        )  # fmt: skip
    if told.kind == "receive":
        lines = [c.ReceiptLine(**line, state=way)]
        return c.ReportReceipt(
            document=Document("po", number), location=told.place, lines=lines, **stamp
        )
    if told.kind == "return":
        back = [c.ReturnLine(**line, disposition=way or None)]
        return c.ReportReturn(rma=number, location=told.place, lines=back, **stamp)
    return c.MoveState(
        document=Document("qc", number), location=told.place, movement=way,
        lines=[c.QuantityLine(**line)], **stamp,
    )  # fmt: skip


EVENTS = {
    "ship": {way: way for way in WAYS["ship"]},
    "transfer": {"shipped": "transferred_out", "received": "transferred_in"},
    "receive": dict.fromkeys(WAYS["receive"], "received"),
    "return": dict.fromkeys(WAYS["return"], "returned"),
    "move": {"hold": "held", "release": "released", "restock": "disposed", "scrap": "disposed"},
    "count": dict.fromkeys(WAYS["count"], "counted"),
    "adjust": dict.fromkeys(WAYS["adjust"], "adjusted"),
    "supply": {"on_order": "ordered", "in_transit": "shipped"},
}


def event(told: Told, start: datetime, suffix: str) -> tuple[str, bytes]:
    """The report as its system sends it: contract and data; the same fact as `body` makes."""
    said = msgspec.to_builtins(body(told, start, suffix))
    (line,) = said.pop("lines")
    number = f"{told.kind}{told.number}{suffix}"
    document = said.pop("document", {"type": told.kind, "number": said.get("count", number)})
    optional = ("occurred_at", "sequence", "reason", "expected_at")
    kept = {name: said[name] for name in optional if name in said}
    data = line | kept | {"location": told.place, "document": document | {"line": line.pop("line")}}
    data.pop("line")
    if told.kind == "transfer":
        out = told.way == "shipped"
        data["location"] = said["from_location" if out else "to_location"]
        data["to_location" if out else "from_location"] = said[
            "to_location" if out else "from_location"
        ]
    if EVENTS[told.kind][told.way] == "disposed":
        data["disposition"] = told.way
    about = "supply" if told.kind == "supply" else "stock"
    contract = f"io.stockbridge.{about}.{EVENTS[told.kind][told.way]}.v1"
    return contract, msgspec.json.encode(data)


Seen = dict[str, list[tuple[Any, ...]]]


def remembered(world: World) -> Seen:
    """Balances, lots, serial numbers, fulfilments and what stands, of a world in memory."""
    names, places = world.masters.items_by_id, world.masters.locations_by_id

    def at(item_id: int, location_id: int) -> tuple[str, str]:
        return names[item_id].sku, places[location_id].code

    balances = {place: balance.q[1:7] for place, balance in world.balances.items()}
    return {
        "balances": sorted((*at(*place), *q) for place, q in balances.items() if any(q)),
        "lots": sorted(
            (*at(item, place), lot, *q[1:5])
            for (item, place, lot), q in world.lots_changed.items()
            if any(q[1:5])
        ),
        "supplies": sorted(
            (*at(*key[:2]), key[3], key[5], supply.quantity, supply.expected_at)
            for key, supply in world.supplies.items()
            if supply.quantity
        ),
        "serials": sorted(
            (names[item].sku, serial, places[place].code, account, occurred_at)
            for (item, serial), (place, account, occurred_at) in world.serials_changed.items()
        ),
        "fulfilments": sorted(
            (f.fulfilment, *at(f.item_id, f.location_id),
             f.allocated, f.deallocated, f.picked, f.packed, f.shipped)
            for f in world.fulfilment.values()
        ),
        "facts": sorted(
            (f.kind, *at(f.item_id, f.location_id), f.document_number, f.quantity, f.source)
            for f in world.facts.values()
        ),
    }  # fmt: skip


STORED = {
    "balances": "SELECT sku, code, available, allocated, picked, quarantined, in_transit, on_order"
    " FROM balance",
    "lots": "SELECT sku, code, lot, available, allocated, picked, quarantined FROM lot_balance",
    "supplies": "SELECT sku, code, document_number, account, quantity, expected_at"
    " FROM (SELECT * FROM supply WHERE quantity <> 0) open",
    "serials": "SELECT sku, serial, code, account, occurred_at FROM serial_unit",
    "fulfilments": "SELECT fulfilment, sku, code, allocated, deallocated, picked, packed, shipped"
    " FROM fulfilment_line",
    "facts": "SELECT fact.kind, sku, code, document_number, quantity, source FROM fact",
}


def stored(conn: Connection[Any], suffix: str) -> Seen:
    """The same of one example's items in the store, without the suffix."""
    found: Seen = {}
    for name, statement in STORED.items():
        named = " JOIN item USING (item_id) JOIN location USING (location_id) WHERE sku LIKE %s"
        rows = conn.execute((statement + named).encode(), (f"%{suffix}",)).fetchall()
        plain = [tuple(_without(value, suffix) for value in row) for row in rows]
        zeros = slice({"balances": 2, "lots": 3}.get(name, 0), None)
        found[name] = sorted(row for row in plain if any(row[zeros]))
    return found


def _without(value: Any, suffix: str) -> Any:
    return value.replace(suffix, "") if isinstance(value, str) else value
