"""What the hub's orders and movements are in Tryton, and Tryton's products in the hub. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from stockbridge.connectors.kit.canonical import (
    at,
    canonical,
    key_of,
    location_of,
    parsed,
    unknown_location,
)
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import Decoded, EventData, Incoming
from stockbridge.contracts.partners.operations import (
    BookedLine,
    BookOrder,
    PostedMovement,
    PostMovements,
)

PRICE_DIGITS: Final = Decimal("0.0001")
"""Tryton's own precision of prices, [product] price_decimal."""
OUT, IN = "stock.shipment.out", "stock.shipment.in"
BACK, INTERNAL = "stock.shipment.out.return", "stock.shipment.internal"
MODELS: Final[Mapping[str, str]] = {
    "ship": OUT,
    "receive": IN,
    "return_receive": BACK,
    "adjust": INTERNAL,
    "transfer_ship": INTERNAL,
    "transfer_receive": INTERNAL,
}
BUTTONS: Final[Mapping[str, Mapping[str, str]]] = {
    OUT: {
        "draft": "wait", "waiting": "assign_force", "assigned": "pick", "picked": "pack",
        "packed": "do", "shipped": "do",
    },
    IN: {"draft": "receive", "received": "do"},
    BACK: {"draft": "receive", "received": "do"},
    INTERNAL: {"draft": "wait", "waiting": "assign_force", "assigned": "do", "shipped": "do"},
}  # fmt: skip
"""The button that takes a document of a state to the next one, until it is done."""
MOVES: Final[Mapping[str, str]] = {
    OUT: "outgoing_moves", IN: "incoming_moves", BACK: "incoming_moves", INTERNAL: "moves",
}  # fmt: skip
"""The field of a document that holds the moves we post."""


class Product(NamedTuple):
    """A product: its id, its unit's, and its list price."""

    product_id: int
    unit_id: int
    list_price: Decimal


class Warehouse(NamedTuple):
    """A warehouse and the locations in it."""

    warehouse_id: int
    input_id: int
    output_id: int
    storage_id: int
    lost_found_id: int | None


class Party(NamedTuple):
    """A customer or supplier, its address, and where its goods are."""

    party_id: int
    address_id: int | None
    location_id: int


class Document(NamedTuple):
    """One shipment to make: its model, our reference, and what it moves.

    `quantity` of its lines is positive; `gains` tells an adjustment that finds goods.
    """

    model: str
    kind: str
    reference: str
    location: str
    day: date
    order: str
    gains: bool
    lines: tuple[PostedMovement, ...]


# Wire values ----------------------------------------------------------------------------------
def decimal(value: Decimal) -> dict[str, str]:
    """A Decimal as Tryton writes it."""
    return {"__class__": "Decimal", "decimal": str(value)}


def day(value: date) -> dict[str, Any]:
    """A date as Tryton writes it."""
    return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}


def moment(value: datetime) -> dict[str, Any]:
    """A moment as Tryton writes it, in UTC without saying so."""
    return {
        "__class__": "datetime", "year": value.year, "month": value.month, "day": value.day,
        "hour": value.hour, "minute": value.minute, "second": value.second,
        "microsecond": value.microsecond,
    }  # fmt: skip


def amount(value: Any) -> Decimal | None:
    """A number as Tryton writes it; None where it has none."""
    text = at(value, "decimal") if isinstance(value, dict) else value
    return None if text is None else Decimal(str(text))


def stamp(value: Any) -> str:
    """A moment of Tryton as RFC 3339 text, '' for none."""
    if not isinstance(value, dict):
        return ""
    parts = [int(value[name]) for name in ("year", "month", "day", "hour", "minute", "second")]
    found = datetime(*parts, int(value.get("microsecond", 0)))  # type: ignore[call-arg,arg-type]  # noqa: DTZ001 - UTC, said below
    return f"{found.isoformat()}Z"


# Sales ----------------------------------------------------------------------------------------
def sale(
    order: BookOrder,
    party: Party,
    warehouse: int | None,
    currency: int | None,
    products: Mapping[str, Product],
    config: Mapping[str, Any],
    company: int,
) -> dict[str, Any]:
    """A sale: its reference is our order id; shipments are ours to make, not Tryton's."""
    values: dict[str, Any] = {
        "company": company,
        "party": party.party_id,
        "invoice_address": party.address_id,
        "shipment_address": party.address_id,
        "reference": order.order,
        "description": f"{order.channel} {order.number}",
        "invoice_method": config["invoices"],
        "shipment_method": "manual",
        "lines": [["create", [sale_line(line, products[line.sku]) for line in order.lines]]],
    }
    if currency is not None:
        values["currency"] = currency
    if warehouse is not None:
        values["warehouse"] = warehouse
    return values


def sale_line(line: BookedLine, product: Product) -> dict[str, Any]:
    """A line; its note is our line's id. Without a price it has the list price."""
    price = Decimal(line.unit_price) if line.unit_price else product.list_price
    return {
        "type": "line",
        "product": product.product_id,
        "unit": product.unit_id,
        "quantity": float(line.quantity),
        "unit_price": decimal(price.quantize(PRICE_DIGITS)),
        "note": line.line,
    }


def line_changes(
    lines: Sequence[BookedLine],
    known: Sequence[Mapping[str, Any]],
    products: Mapping[str, Product],
) -> list[list[Any]]:
    """What makes a sale's lines (`known`: id, note, quantity) equal to ours; [] if they are."""
    ids = {str(row["note"]): row for row in known}
    changes: list[list[Any]] = []
    for line in lines:
        row = ids.get(line.line)
        if row is None and line.quantity:
            changes.append(["create", [sale_line(line, products[line.sku])]])
        elif row is not None and not line.quantity:
            changes.append(["delete", [row["id"]]])
        elif row is not None and float(row["quantity"]) != line.quantity:
            changes.append(["write", [row["id"]], {"quantity": float(line.quantity)}])
    return changes


# Movements ------------------------------------------------------------------------------------
def total_fault(posting: PostMovements) -> str | None:
    """Why a posting's control totals are not those of its lines; None when they are."""
    units = sum(abs(line.quantity) for line in posting.lines)
    value = sum(
        (abs(line.quantity) * Decimal(line.unit_cost or "0") for line in posting.lines), Decimal()
    )
    if units != posting.units:
        return f"the lines move {units} units, the posting says {posting.units}"
    if value != Decimal(posting.value):
        return f"the lines are worth {value}, the posting says {posting.value}"
    return None


def documents(posting: PostMovements) -> list[Document]:
    """The documents of a posting, always the same ones with the same references."""
    groups: dict[tuple[Any, ...], list[PostedMovement]] = defaultdict(list)
    for line in posting.lines:
        gains = line.kind == "adjust" and line.quantity > 0
        day_of = line.occurred_at.date()
        groups[line.kind, line.location, line.order, line.document, day_of, gains].append(line)
    return [
        Document(
            MODELS[kind], kind, f"{posting.posting}:{number}", place, day_of, order, gains,
            tuple(lines),
        )
        for number, ((kind, place, order, _, day_of, gains), lines) in enumerate(groups.items(), 1)
    ]  # fmt: skip


class Places(NamedTuple):
    """Everything a document's moves need to be named."""

    warehouse: Warehouse
    party: Party | None
    transit_id: int | None
    company: int
    currency: int
    products: Mapping[str, Product]
    sale_lines: Mapping[tuple[str, str, int], int]
    """Ids of sale lines by our order, line, and product; a kit's parts have none."""


def shipment(document: Document, places: Places) -> dict[str, Any]:
    """The values of a document with its moves."""
    here = places.warehouse
    values: dict[str, Any] = {"company": places.company, "reference": document.reference}
    values["effective_date"] = day(document.day)
    begin, end = _ends(document, places)
    if document.model == INTERNAL:
        values |= {"from_location": begin, "to_location": end}
    else:
        values |= {"warehouse": here.warehouse_id, "warehouse_storage": here.storage_id}
        name = "warehouse_output" if document.model == OUT else "warehouse_input"
        values[name] = here.output_id if document.model == OUT else here.input_id
        values |= _parties(document, places.party)
    moves = [_move(document, line, begin, end, places) for line in document.lines]
    return {**values, MOVES[document.model]: [["create", moves]]}


def _parties(document: Document, party: Party | None) -> dict[str, Any]:
    if party is None:
        return {}
    if document.model == IN:
        return {"supplier": party.party_id}
    address = "delivery_address" if document.model == OUT else "contact_address"
    return {"customer": party.party_id, address: party.address_id}


def _ends(document: Document, places: Places) -> tuple[int | None, int | None]:
    """From which location to which one the goods go."""
    here, outside = places.warehouse, places.party.location_id if places.party else None
    if document.kind == "ship":
        return here.output_id, outside
    if document.kind in ("receive", "return_receive"):
        return outside, here.input_id
    if document.kind == "transfer_ship":
        return here.storage_id, places.transit_id
    if document.kind == "transfer_receive":
        return places.transit_id, here.storage_id
    ends = (here.storage_id, here.lost_found_id)
    return ends[::-1] if document.gains else ends


def _move(
    document: Document, line: PostedMovement, begin: int | None, end: int | None, places: Places
) -> dict[str, Any]:
    product = places.products[line.sku]
    values: dict[str, Any] = {
        "product": product.product_id,
        "unit": product.unit_id,
        "quantity": float(abs(line.quantity)),
        "from_location": begin,
        "to_location": end,
        "company": places.company,
    }
    if document.model != INTERNAL:
        sells = document.model in (OUT, BACK)
        price = product.list_price if sells or not line.unit_cost else Decimal(line.unit_cost)
        values |= {"unit_price": decimal(price.quantize(PRICE_DIGITS))}
        values["currency"] = places.currency
    origin = places.sale_lines.get((line.order, line.line, product.product_id))
    if origin is not None and document.model == OUT:
        values["origin"] = f"sale.line,{origin}"
    return values


# Products -------------------------------------------------------------------------------------
PRODUCT_FIELDS: Final = (
    "code", "active", "cost_price", "list_price_used", "write_date", "create_date",
    "template.name", "template.write_date", "cost_prices.write_date", "cost_prices.create_date",
)  # fmt: skip


def item_message(row: Mapping[str, Any]) -> Incoming | None:
    """A product as it is kept; one without a code is no item of ours.

    A cost that changes does not mark its product, so its own stamps count too.
    """
    code = row.get("code")
    if not code:
        return None
    template = row.get("template.") or {}
    cost, price = amount(row.get("cost_price")), amount(row.get("list_price_used"))
    said = {
        "id": row["id"],
        "code": code,
        "name": template.get("name") or "",
        "active": bool(row.get("active", True)),
        "cost": None if cost is None else str(cost),
        "price": None if price is None else str(price),
    }
    dated = [row, template, *(row.get("cost_prices.") or ())]
    changed = max(stamp(each.get(name)) for each in dated for name in ("write_date", "create_date"))
    name = f"item/{row['id']}/{changed}/{key_of(canonical(said).decode())[:8]}"
    return Incoming(message_id=name, topic="item", body=canonical({**said, "changed": changed}))


def location_message(row: Mapping[str, Any]) -> Incoming:
    """A warehouse as it is kept."""
    changed = max(stamp(row.get("write_date")), stamp(row.get("create_date")))
    said = {"id": row["id"], "code": row["code"], "name": row["name"], "changed": changed}
    name = f"location/{row['id']}/{changed}"
    return Incoming(message_id=name, topic="location", body=canonical(said))


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The event of a kept message: an item or a location as the ERP has it."""
    if topic not in ("item", "location"):
        return Undecodable("unknown_type", f"nothing here reads {topic}")
    try:
        said = parsed(body)
    except ValueError as error:
        return Undecodable("invalid_message", str(error))
    code = at(said, "code")
    if not isinstance(code, str):
        return Undecodable("invalid_message", f"the {topic} has no code")
    if topic == "location":
        ours = location_of(config, code)
        if ours is None:
            return unknown_location(config, code)
        data = {"code": ours, "name": at(said, "name") or ""}
        return [EventData("io.stockbridge.location.changed.v1", data)]
    return [EventData("io.stockbridge.item.changed.v1", _item(code, said))]


def _item(code: str, said: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "sku": code,
        "description": at(said, "name") or "",
        "status": "active" if at(said, "active") else "discontinued",
    }
    if at(said, "cost") is not None:
        data["standard_cost"] = at(said, "cost")
    if at(said, "price") is not None:
        data["attributes"] = {"list_price": at(said, "price")}
    return data
