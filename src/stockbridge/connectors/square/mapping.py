"""What Square's counts, orders and returns mean. Pure.

https://developer.squareup.com/reference/square : Inventory, Orders, Catalog.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from stockbridge.connectors.kit.canonical import (
    at,
    canonical,
    key_of,
    location_of,
    moment,
    parsed,
    rfc3339,
    unknown_location,
    whole,
)
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import (
    CatalogEntry,
    Decoded,
    EventData,
    Incoming,
    Observed,
    Outcome,
    StockUpdate,
)
from stockbridge.contracts.partners.operations import ConfirmShipment, ToldLine

IN_STOCK: Final = "IN_STOCK"
PLACED: Final = "io.stockbridge.order.placed.v1"
CANCELLED: Final = "io.stockbridge.order.cancelled.v1"
SHIPPED: Final = "io.stockbridge.stock.shipped.v1"
RETURNED: Final = "io.stockbridge.stock.returned.v1"
_CARRIED: Final = frozenset({"SHIPMENT", "DELIVERY"})
"""Fulfillments that leave later; what is picked up is gone when it is completed."""
_KEPT: Final = ("id", "location_id", "state", "version", "created_at", "updated_at", "closed_at",
                "line_items", "returns", "customer_id")  # fmt: skip
_PACKAGE: Final = "sb_p_"
_METADATA_CHARACTERS: Final = 60


# Counts --------------------------------------------------------------------------------------


def place_of(update: StockUpdate) -> tuple[str, str]:
    """Variation and location."""
    return update.item, update.location


def counts(answer: Any) -> dict[tuple[str, str], int]:
    """Whole units in stock by variation and location, from an answer of batch-retrieve."""
    found: dict[tuple[str, str], int] = {}
    for row in at(answer, "counts") or ():
        if row.get("state") == IN_STOCK:
            found[row["catalog_object_id"], row["location_id"]] = whole(row["quantity"])
    return found


def change_of(update: StockUpdate, occurred_at: str) -> dict[str, Any]:
    """A physical count. Square applies what was sold after `occurred_at` on top of it."""
    return {
        "type": "PHYSICAL_COUNT",
        "physical_count": {
            "reference_id": f"SB-{update.listing_id}-{update.version}",
            "catalog_object_id": update.item,
            "location_id": update.location,
            "state": IN_STOCK,
            "quantity": str(update.quantity),
            "occurred_at": occurred_at,
        },
    }


def batch_of(updates: Sequence[StockUpdate], occurred_at: str) -> dict[str, Any]:
    """The body of batch-create. Its key is of this very body: Square refuses one with another."""
    changes = [change_of(update, occurred_at) for update in updates]
    return {
        "idempotency_key": key_of("counts", canonical(changes)),
        "ignore_unchanged_counts": True,
        "changes": changes,
    }


def bad_row(answer: Any) -> tuple[int, str, str] | None:
    """Which change an error is about, its code and text; None: about none of them."""
    for error in at(answer, "errors") or ():
        field = str(at(error, "field") or "")
        number, _, _rest = field.removeprefix("changes[").partition("]")
        if field.startswith("changes[") and number.isdigit():
            return int(number), str(at(error, "code")), str(at(error, "detail") or "")
    return None


def stale(update: StockUpdate, shown: int | None) -> Outcome | None:
    """Why a row is not sent: Square counts something else than we believed."""
    if update.previous is None or (shown or 0) == update.previous:
        return None
    detail = f"Square counts {shown or 0}, not {update.previous}"
    return Outcome("later", "stale", detail, observed=shown or 0)


def observed(
    update: StockUpdate, found: Mapping[tuple[str, str], int], known: frozenset[str]
) -> Observed:
    """What Square counts; a variation it does not have has no figure, one never counted has 0."""
    if update.item not in known:
        return Observed(update.item, update.location, None, "Square has no such variation")
    return Observed(update.item, update.location, found.get(place_of(update), 0))


def entries(item: Any) -> list[CatalogEntry]:
    """The variations of a catalog item."""
    data = at(item, "item_data")
    found = []
    for variation in at(data, "variations") or ():
        own = at(variation, "item_variation_data") or {}
        title = " ".join(filter(None, (at(data, "name"), own.get("name"))))
        found.append(
            CatalogEntry(variation["id"], own.get("sku") or "", title, gtin=own.get("upc") or "")
        )
    return found


# Orders --------------------------------------------------------------------------------------


def incoming(order: Mapping[str, Any]) -> Incoming:
    """An order as it is kept; `version` grows with each change, so it says which content it is.

    Customers' names and addresses are not kept: registers and shipping need none from us.
    """
    kept = {name: order.get(name) for name in _KEPT}
    kept["fulfillments"] = [
        {name: at(each, name) for name in ("uid", "type", "state")}
        for each in order.get("fulfillments") or ()
    ]
    return Incoming(f"orders/{order['id']}/{order.get('version')}", "order", canonical(kept))


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept order."""
    if topic != "order":
        return Undecodable("unknown_type", f"nothing here reads {topic}")
    try:
        order = parsed(body)
        if not isinstance(order, dict) or not order.get("id"):
            return Undecodable("invalid_message", "this is no order of Square: it has no id")
        return _order(order, config)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return Undecodable("invalid_message", f"this is no order of Square: {error!r}")


def _order(order: Mapping[str, Any], config: Mapping[str, Any]) -> Decoded:
    """Drafts tell nothing; a sale is placed, and shipped too when the goods are gone."""
    theirs = str(order.get("location_id"))
    ours = location_of(config, theirs)
    if ours is None:
        return unknown_location(config, theirs)
    events: list[EventData] = []
    state = order.get("state")
    if state == "CANCELED":
        said = {"channel": config["channel"], "number": order["id"], "by": "channel"}
        events.append(EventData(CANCELLED, {**said, "reason": "cancelled"}))
    if state in ("OPEN", "COMPLETED", "CANCELED") and _lines(order):
        events.append(_placed(order, ours, config))
    if state == "COMPLETED" and not _is_carried(order):
        events += [_shipped(line, order, ours, config) for line in _lines(order)]
    if state == "COMPLETED":
        events += _returned(order, ours, config)
    return events


def _lines(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Lines of the catalog; an amount keyed in at the register is no item."""
    return [
        line
        for line in order.get("line_items") or ()
        if line.get("catalog_object_id") and whole(line["quantity"]) > 0
    ]


def _is_carried(order: Mapping[str, Any]) -> bool:
    return any(each.get("type") in _CARRIED for each in order.get("fulfillments") or ())


def _placed(order: Mapping[str, Any], ours: str, config: Mapping[str, Any]) -> EventData:
    event = {
        "channel": config["channel"],
        "number": order["id"],
        "mode": "sold",
        "version": int(order["version"]),
        "placed_at": rfc3339(moment(order["created_at"])),
        "lines": [
            {"line": line["uid"], "alias": line["catalog_object_id"],
             "namespace": config["system"], "quantity": whole(line["quantity"]), "location": ours}
            for line in _lines(order)
        ],
    }  # fmt: skip
    if order.get("closed_at") and order.get("state") == "COMPLETED":
        event["paid_at"] = rfc3339(moment(order["closed_at"]))
    return EventData(PLACED, event)


def _shipped(
    line: Mapping[str, Any], order: Mapping[str, Any], ours: str, config: Mapping[str, Any]
) -> EventData:
    """Carried out of the shop: a parcel of the order's own name."""
    event = {
        "alias": line["catalog_object_id"],
        "namespace": config["system"],
        "location": ours,
        "quantity": whole(line["quantity"]),
        "quantity_mode": "cumulative",
        "occurred_at": rfc3339(moment(order.get("closed_at") or order["updated_at"])),
        "document": {"type": "order", "number": order["id"], "line": line["uid"]},
        "fulfillment": order["id"],
    }
    return EventData(SHIPPED, event)


def _returned(order: Mapping[str, Any], ours: str, config: Mapping[str, Any]) -> list[EventData]:
    disposition = {"disposition": "restock"} if config.get("restocks_returns") else {}
    return [
        EventData(
            RETURNED,
            {
                "alias": line["catalog_object_id"], "namespace": config["system"],
                "location": ours, "quantity": whole(line["quantity"]),
                "occurred_at": rfc3339(moment(order.get("closed_at") or order["updated_at"])),
                "document": {"type": "return", "number": order["id"], "line": line["uid"]},
                **disposition,
            },
        )
        for each in order.get("returns") or ()
        for line in at(each, "return_line_items") or ()
        if line.get("catalog_object_id") and whole(line["quantity"]) > 0
    ]  # fmt: skip


# Shipments -----------------------------------------------------------------------------------


def package_key(package: str) -> str:
    """The metadata key of a parcel; Square takes 60 characters, a longer name is digested."""
    key = f"{_PACKAGE}{package}"
    return key if len(key) <= _METADATA_CHARACTERS else f"{_PACKAGE}{key_of('package', package)}"


def is_told(order: Any, package: str) -> bool:
    """Whether the order knows the parcel."""
    return at(order, "metadata", package_key(package)) is not None


def shipment_change(order: Any, shipment: ConfirmShipment) -> dict[str, Any]:
    """A sparse order: the parcel in the metadata, the fulfillment completed with the last one."""
    units = ",".join(f"{line.line}:{line.quantity}" for line in shipment.lines)[:255]
    change: dict[str, Any] = {
        "version": order["version"],
        "location_id": order["location_id"],
        "metadata": {**(order.get("metadata") or {}), package_key(shipment.package): units},
    }
    carried = [f for f in order.get("fulfillments") or () if f.get("type") in _CARRIED]
    if carried and _is_all(order, shipment.lines):
        details = {"carrier": shipment.carrier, "tracking_number": shipment.tracking,
                   "tracking_url": shipment.tracking_url}  # fmt: skip
        given = {name: value for name, value in details.items() if value}
        change["fulfillments"] = [
            {"uid": each["uid"], "state": "COMPLETED", "shipment_details": given}
            for each in carried
        ]
    return change


def _is_all(order: Any, now: Sequence[ToldLine]) -> bool:
    gone: dict[str, int] = defaultdict(int)
    for key, value in (order.get("metadata") or {}).items():
        if key.startswith(_PACKAGE):
            for part in value.split(","):
                line, _, quantity = part.rpartition(":")
                gone[line] += int(quantity) if quantity.isdigit() else 0
    for told in now:
        gone[told.line] += told.quantity
    return all(gone[line["uid"]] >= whole(line["quantity"]) for line in _lines(order))


def is_whole(order: Any, lines: Sequence[ToldLine]) -> bool:
    """Whether every unit of the order is called off."""
    units: dict[str, int] = defaultdict(int)
    for line in lines:
        units[line.line] += line.quantity
    return all(units[line["uid"]] >= whole(line["quantity"]) for line in _lines(order))


def cancel_change(order: Any) -> dict[str, Any]:
    """A sparse order that is called off, its open fulfillments with it."""
    return {
        "version": order["version"],
        "location_id": order["location_id"],
        "state": "CANCELED",
        "fulfillments": [
            {"uid": each["uid"], "state": "CANCELED"}
            for each in order.get("fulfillments") or ()
            if each.get("state") not in ("COMPLETED", "CANCELED", "FAILED")
        ],
    }


def changed_at(order: Mapping[str, Any]) -> datetime:
    """When the order was changed last; raises ValueError."""
    return moment(order.get("updated_at"))
