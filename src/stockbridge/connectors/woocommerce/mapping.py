"""What WooCommerce's products, orders and refunds mean. Pure.

https://woocommerce.github.io/woocommerce-rest-api-docs/ : Orders, Order refunds, Products.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from stockbridge.connectors.kit.canonical import at, canonical, moment, parsed, rfc3339, whole
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
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment, ToldLine

PLACED: Final = "io.stockbridge.order.placed.v1"
CANCELLED: Final = "io.stockbridge.order.cancelled.v1"
UNPAID: Final = "pending"
_SOLD: Final = frozenset({"on-hold", "processing", "completed"})
_CALLED_OFF: Final = frozenset({"cancelled", "failed", "trash", "refunded"})
_PACKAGE: Final = "_stockbridge_package_"
_CANCELLATION: Final = "_stockbridge_cancellation_"
_KEPT: Final = ("id", "number", "status", "currency", "date_created_gmt", "date_modified_gmt",
                "date_paid_gmt", "customer_id")  # fmt: skip
_KEPT_LINE: Final = ("id", "product_id", "variation_id", "sku", "quantity", "price")
_KEPT_ADDRESS: Final = ("first_name", "last_name", "company", "address_1", "address_2", "city",
                        "state", "postcode", "country", "phone")  # fmt: skip


# Figures ------------------------------------------------------------------------------------


def item_of(product: int, variation: int = 0) -> str:
    """Our name for a product, `12`, or a variation of it, `12:34`."""
    return f"{product}:{variation}" if variation else str(product)


def parts_of(item: str) -> tuple[int, int]:
    """Product and variation (0: none) of an item; raises ValueError."""
    product, _, variation = item.partition(":")
    return int(product), int(variation or 0)


def by_parent(items: Iterable[str]) -> dict[int, list[int]]:
    """Ids under their parent: 0 for products, else the product whose variations they are."""
    found: dict[int, list[int]] = defaultdict(list)
    for item in dict.fromkeys(items):
        product, variation = parts_of(item)
        found[product if variation else 0].append(variation or product)
    return found


def batch_of(updates: Sequence[StockUpdate]) -> dict[str, Any]:
    """The body of a batch that sets figures."""
    return {
        "update": [
            {
                "id": max(parts_of(update.item)[1], 0) or parts_of(update.item)[0],
                "manage_stock": True,
                "stock_quantity": update.quantity,
            }
            for update in updates
        ]
    }


def row_outcomes(updates: Sequence[StockUpdate], answer: Any) -> list[Outcome]:
    """One outcome a row of a batch: the answer names each by id, a bad one with its error."""
    rows = at(answer, "update")
    said = {row.get("id"): row for row in rows or () if isinstance(row, dict)}
    return [_row_outcome(said.get(parts_of(update.item)[1] or parts_of(update.item)[0]), update)
            for update in updates]  # fmt: skip


def _row_outcome(row: Mapping[str, Any] | None, update: StockUpdate) -> Outcome:
    if row is None:
        return Outcome("unknown", "not_answered", "the batch's answer does not name the row")
    if row.get("error"):
        code, said = at(row, "error", "code"), at(row, "error", "message")
        return Outcome("rejected", str(code or "refused"), str(said or ""))
    shown = row.get("stock_quantity")
    if shown is None:
        detail = "the shop does not manage stock of it; is stock management switched on?"
        return Outcome("rejected", "stock_not_managed", detail)
    if shown != update.quantity:
        return Outcome("accepted", "other_figure", f"answered with {shown}", observed=int(shown))
    return Outcome("confirmed")


def observed(updates: Sequence[StockUpdate], products: Mapping[str, Any]) -> list[Observed]:
    """What the shop shows, from products and variations by our name for them."""
    return [_observed(update, products.get(update.item)) for update in updates]


def _observed(update: StockUpdate, product: Any) -> Observed:
    if product is None:
        return Observed(update.item, update.location, None, "the shop has no such product")
    shown = product.get("stock_quantity")
    if product.get("manage_stock") is not True or shown is None:
        why = "its stock is managed by its parent product" if product.get("manage_stock") else ""
        return Observed(update.item, update.location, None, why or "its stock is not managed")
    return Observed(update.item, update.location, whole(shown))


def entry_of(product: Mapping[str, Any], parent: int = 0) -> CatalogEntry:
    """A product, or a variation of `parent`, as the shop lists it."""
    own = int(product["id"])
    item = item_of(parent, own) if parent else item_of(own)
    gtin = str(product.get("global_unique_id") or "")
    return CatalogEntry(
        item, str(product.get("sku") or ""), str(product.get("name") or ""), gtin=gtin
    )


# Orders ------------------------------------------------------------------------------------


def changed_at(order: Mapping[str, Any]) -> datetime:
    """When the order was changed last; raises ValueError."""
    return moment(order.get("date_modified_gmt")).replace(tzinfo=UTC)


def incoming(order: Mapping[str, Any], refunds: Sequence[Mapping[str, Any]]) -> Incoming:
    """An order and its refunds as kept; the id is that of this content.

    The shop's clock has whole seconds, and an order may change twice in one: a digest of what
    concerns us tells the two apart. Names and streets of people are kept, e-mail is not.
    """
    content = {name: order.get(name) for name in _KEPT}
    content["shipping"] = {name: at(order, "shipping", name) for name in _KEPT_ADDRESS}
    content["line_items"] = [
        {name: line.get(name) for name in _KEPT_LINE} for line in order.get("line_items") or ()
    ]
    content["refunds"] = [_refund(refund) for refund in refunds]
    body = canonical(content)
    digest = sha256(body).hexdigest()[:16]
    return Incoming(
        f"orders/{order['id']}/{order.get('date_modified_gmt')}/{digest}", "order", body
    )


def _refund(refund: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": refund.get("id"),
        "reason": refund.get("reason") or "",
        "lines": [
            {"line": line, "quantity": quantity}
            for each in refund.get("line_items") or ()
            if (quantity := abs(whole(each.get("quantity") or 0)))
            and (line := _refunded_line(each)) is not None
        ],
    }


def _refunded_line(line: Mapping[str, Any]) -> str | None:
    for meta in line.get("meta_data") or ():
        if isinstance(meta, dict) and meta.get("key") == "_refunded_item_id":
            return str(meta.get("value"))
    return None


def deleted(order: int) -> Incoming:
    """An order that the shop deleted for good."""
    return Incoming(f"orders/{order}/deleted", "order_deleted", canonical({"id": order}))


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept message."""
    try:
        order = parsed(body)
        if not isinstance(order, dict) or not isinstance(order.get("id"), int):
            return Undecodable("invalid_message", "this is no order of WooCommerce: it has no id")
        if topic == "order_deleted":
            return [_whole(order, config, "deleted in the shop")]
        if topic == "order":
            return _order(order, config)
    except (ValueError, TypeError, AttributeError) as error:
        return Undecodable("invalid_message", f"this is no order of WooCommerce: {error}")
    return Undecodable("unknown_type", f"nothing here reads {topic}")


def _order(order: Mapping[str, Any], config: Mapping[str, Any]) -> list[EventData]:
    """What an order tells: that it was sold, what was called off of it; drafts tell nothing.

    One that is called off is so before it is placed, so that it never holds stock.
    """
    status = str(order.get("status"))
    if status in _CALLED_OFF:
        return [_whole(order, config, status), _placed(order, config)]
    if status not in _SOLD and not (status == UNPAID and config.get("takes_unpaid")):
        return []
    refunds = [_part(order, refund, config) for refund in order.get("refunds") or ()
               if refund.get("lines")]  # fmt: skip
    return [_placed(order, config), *refunds]


def _placed(order: Mapping[str, Any], config: Mapping[str, Any]) -> EventData:
    event: dict[str, Any] = {
        "channel": config["channel"],
        "number": str(order["id"]),
        "mode": "sold",
        "updated_at": rfc3339(changed_at(order)),
        "lines": [_line(line, order, config) for line in order.get("line_items") or ()],
    }
    for name, field in (("placed_at", "date_created_gmt"), ("paid_at", "date_paid_gmt")):
        if order.get(field):
            event[name] = rfc3339(moment(order[field]))
    if order.get("currency"):
        event["currency"] = order["currency"]
    if order.get("customer_id"):
        event["customer"] = str(order["customer_id"])
    address = _address(order.get("shipping") or {})
    return EventData(PLACED, event | ({"ship_to": address} if address else {}))


def _line(
    line: Mapping[str, Any], order: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    found = {
        "line": str(line["id"]),
        "alias": item_of(int(line["product_id"]), int(line.get("variation_id") or 0)),
        "namespace": config["system"],
        "quantity": whole(line["quantity"]),
    }
    if order.get("currency"):
        found["currency"] = order["currency"]
    return found


def _address(shipping: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that are given; a shop of downloads gives none."""
    person = " ".join(filter(None, (shipping.get("first_name"), shipping.get("last_name"))))
    street = [
        shipping[name] for name in ("company", "address_1", "address_2") if shipping.get(name)
    ]
    found = {"name": person, "street": street, "city": shipping.get("city"),
             "region": shipping.get("state"), "postal_code": shipping.get("postcode"),
             "country": shipping.get("country"), "phone": shipping.get("phone")}  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _whole(order: Mapping[str, Any], config: Mapping[str, Any], reason: str) -> EventData:
    said = {"channel": config["channel"], "number": str(order["id"]), "by": "channel"}
    return EventData(CANCELLED, said | {"reason": reason})


def _part(
    order: Mapping[str, Any], refund: Mapping[str, Any], config: Mapping[str, Any]
) -> EventData:
    """A refund calls its units off where they have not left; what has left comes back by itself."""
    units: dict[str, int] = defaultdict(int)
    for line in refund["lines"]:
        units[str(line["line"])] += int(line["quantity"])
    lines = [{"line": line, "quantity": quantity} for line, quantity in units.items()]
    event = {"channel": config["channel"], "number": str(order["id"]), "by": "channel",
             "cancellation": f"refund-{refund['id']}", "lines": lines,
             "reason": str(refund.get("reason") or "refunded")}  # fmt: skip
    return EventData(CANCELLED, event)


# Shipments and cancellations ------------------------------------------------------------------


def package_key(package: str) -> str:
    """The meta key under which an order remembers a parcel."""
    return f"{_PACKAGE}{package}"


def cancellation_key(cancellation: str) -> str:
    """The meta key under which an order remembers a cancellation."""
    return f"{_CANCELLATION}{cancellation}"


def has_meta(order: Any, key: str) -> bool:
    """Whether the order remembers it."""
    return any(at(entry, "key") == key for entry in at(order, "meta_data") or ())


def shipment_change(order: Any, shipment: ConfirmShipment) -> dict[str, Any]:
    """What is put on the order: the parcel, and `completed` when nothing is left to send."""
    value = {"lines": {line.line: line.quantity for line in shipment.lines},
             "carrier": shipment.carrier, "tracking": shipment.tracking,
             "url": shipment.tracking_url, "at": rfc3339(shipment.shipped_at)}  # fmt: skip
    change: dict[str, Any] = {"meta_data": [{"key": package_key(shipment.package), "value": value}]}
    if _is_all(order, shipment.lines):
        change["status"] = "completed"
    return change


def _is_all(order: Any, now: Sequence[ToldLine]) -> bool:
    """Whether these lines are the last: sent before, refunded and these make up the order."""
    gone: dict[str, int] = defaultdict(int)
    for entry in at(order, "meta_data") or ():
        if str(at(entry, "key")).startswith(_PACKAGE):
            for line, quantity in (at(entry, "value", "lines") or {}).items():
                gone[line] += int(quantity)
    for line in now:
        gone[line.line] += line.quantity
    left = {str(line["id"]): whole(line["quantity"]) for line in at(order, "line_items") or ()}
    return all(gone[line] >= quantity for line, quantity in left.items())


def shipment_note(shipment: ConfirmShipment) -> str:
    """What the customer reads."""
    said = " ".join(filter(None, (shipment.carrier, shipment.tracking, shipment.tracking_url)))
    return f"Parcel {shipment.package} is on its way. {said}".strip()


def is_whole(order: Any, cancellation: CancelOrder) -> bool:
    """Whether every unit of the order is called off."""
    units: dict[str, int] = defaultdict(int)
    for line in cancellation.lines:
        units[line.line] += line.quantity
    lines = at(order, "line_items") or ()
    return all(units[str(line["id"])] >= whole(line["quantity"]) for line in lines)


def cancellation_note(cancellation: CancelOrder) -> str:
    """What the shop's staff reads: these will not come, refund them."""
    lines = ", ".join(f"{line.quantity} x {line.sku}" for line in cancellation.lines)
    return (
        f"Cannot be delivered ({cancellation.reason}): {lines}. Refund these, without restocking."
    )
