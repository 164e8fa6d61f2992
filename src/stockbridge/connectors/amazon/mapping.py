"""What Amazon's listings, orders and notifications mean. Pure.

https://github.com/amzn/selling-partner-api-models : listingsItems_2021-08-01, orders_2026-01-01,
ordersV0 (shipments), feeds_2021-06-30, schemas/notifications.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from xml.sax.saxutils import escape

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
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment

PLACED: Final = "io.stockbridge.order.placed.v1"
CANCELLED: Final = "io.stockbridge.order.cancelled.v1"
LISTINGS_FEED: Final = "JSON_LISTINGS_FEED"
ACKNOWLEDGEMENT_FEED: Final = "POST_ORDER_ACKNOWLEDGEMENT_DATA"
ORDER_CHANGE: Final = "ORDER_CHANGE"
QUANTITY_CHANGE: Final = "LISTINGS_ITEM_MFN_QUANTITY_CHANGE"
_UNPAID: Final = ("PENDING", "PENDING_AVAILABILITY")
_PRODUCT: Final = "PRODUCT"
_NO_INVENTORY: Final = "NoInventory"
_REFERENCES: Final = 10**9
_MONEY_CHARACTERS: Final = "0123456789."
_CARRIERS: Final = (
    "UPS", "USPS", "FedEx", "DHL", "Amazon Shipping", "OnTrac", "Royal Mail", "DPD", "GLS",
    "Hermes", "TNT", "Parcelforce", "Yodel", "Canada Post", "Colissimo",
)  # fmt: skip
_ADDRESS: Final = ("name", "companyName", "addressLine1", "addressLine2", "addressLine3", "city",
                   "stateOrRegion", "postalCode", "countryCode")  # fmt: skip


# Figures -------------------------------------------------------------------------------------


def patches(update: StockUpdate, code: str) -> list[dict[str, Any]]:
    """Set the figure and nothing else: `replace` would drop lead time and restock date."""
    value = {"fulfillment_channel_code": code, "quantity": update.quantity}
    path = "/attributes/fulfillment_availability"
    return [{"op": "merge", "path": path, "value": [value]}]


def patch_body(update: StockUpdate, code: str) -> dict[str, Any]:
    """The body of patchListingsItem."""
    kind = update.attributes.get("product_type") or _PRODUCT
    return {"productType": kind, "patches": patches(update, code)}


def feed_of(updates: Sequence[StockUpdate], seller: str, code: str) -> dict[str, Any]:
    """A JSON_LISTINGS_FEED: a message a row, numbered from one."""
    messages = [
        {"messageId": number, "sku": update.item, "operationType": "PATCH",
         **patch_body(update, code)}
        for number, update in enumerate(updates, 1)
    ]  # fmt: skip
    return {"header": {"sellerId": seller, "version": "2.0"}, "messages": messages}


def submitted(answer: Any) -> Outcome:
    """What became of a submission: 200 says only that it was read."""
    status, reference = str(at(answer, "status")), str(at(answer, "submissionId") or "")
    code, detail = issue_of(at(answer, "issues") or ())
    if status == "ACCEPTED":
        return Outcome("accepted", code, detail, reference=reference)
    if status == "INVALID":
        return Outcome("rejected", code or "invalid", detail, reference=reference)
    return Outcome("unknown", "not_answered", f"the submission's status is {status}")


def issue_of(issues: Iterable[Any]) -> tuple[str, str]:
    """The gravest of issues, as code and text."""
    ranks = ("ERROR", "WARNING", "INFO")
    known = [issue for issue in issues if at(issue, "severity") in ranks]
    first = min(known, key=lambda issue: ranks.index(issue["severity"]), default=None)
    if first is None:
        return "", ""
    names = ", ".join(map(str, at(first, "attributeNames") or ()))
    text = str(at(first, "message") or "")
    return str(at(first, "code") or ""), f"{text} ({names})" if names else text


def observed(update: StockUpdate, answer: Any, code: str) -> Observed:
    """The figure of our channel, and what Amazon finds wrong with the listing."""
    errors = [each for each in at(answer, "issues") or () if at(each, "severity") == "ERROR"]
    problem = ": ".join(filter(None, issue_of(errors)))
    for entry in at(answer, "fulfillmentAvailability") or ():
        if at(entry, "fulfillmentChannelCode") == code:
            # A figure that was never set is left out.
            shown = whole(at(entry, "quantity") or 0)
            return Observed(update.item, update.location, shown, problem)
    return Observed(update.item, update.location, None, f"the listing has no channel {code}")


def entry_of(item: Any, code: str) -> CatalogEntry | None:
    """A listing that the seller ships; None: Amazon does, a figure would add a channel to it."""
    codes = [
        at(entry, "fulfillmentChannelCode") for entry in at(item, "fulfillmentAvailability") or ()
    ]
    if code not in codes:
        return None
    sku, kind = str(at(item, "sku")), at(item, "productTypes", 0, "productType")
    title = str(at(item, "summaries", 0, "itemName") or "")
    return CatalogEntry(sku, sku, title, attributes={"product_type": str(kind)} if kind else {})


# Orders --------------------------------------------------------------------------------------


def datasets(config: Mapping[str, Any]) -> str:
    """What is read of orders: no buyer, and the recipient only where it is wanted."""
    return "FULFILLMENT,CANCELLATION" + (",RECIPIENT" if config.get("reads_addresses") else "")


def incoming(order: Any) -> Incoming:
    """An order as it is kept: what concerns us; named by its content, whoever brought it."""
    address = at(order, "recipient", "deliveryAddress") or {}
    kept = {
        "orderId": order["orderId"],
        "createdTime": order["createdTime"],
        "lastUpdatedTime": order["lastUpdatedTime"],
        "fulfillment": {
            name: at(order, "fulfillment", name) for name in ("fulfillmentStatus", "fulfilledBy")
        },
        "shipTo": {name: address[name] for name in _ADDRESS if address.get(name)},
        "orderItems": [_kept(item) for item in order["orderItems"]],
    }
    body = canonical(kept)
    return Incoming(f"orders/{kept['orderId']}/{sha256(body).hexdigest()[:16]}", "order", body)


def _kept(item: Any) -> dict[str, Any]:
    return {
        "orderItemId": item["orderItemId"],
        "quantityOrdered": item["quantityOrdered"],
        "product": {
            "sellerSku": at(item, "product", "sellerSku"),
            "price": {"unitPrice": at(item, "product", "price", "unitPrice")},
        },
        "fulfillment": {
            name: at(item, "fulfillment", name)
            for name in ("quantityFulfilled", "quantityUnfulfilled")
        },
        "cancellation": at(item, "cancellation"),
    }


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept message; notifications tell nothing that the order does not."""
    try:
        value = parsed(body)
        if topic == "order":
            return _order(value, config)
        if topic in ("order_change", "quantity_change", "notification"):
            return _told(value)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return Undecodable("invalid_message", f"this is no {topic} of Amazon: {error!r}")
    return Undecodable("unknown_type", f"nothing here reads {topic}")


def _told(value: Any) -> Decoded:
    if not at(value, "NotificationType"):
        return Undecodable("invalid_message", "this is no notification of Amazon")
    return []


def _order(order: Any, config: Mapping[str, Any]) -> Decoded:
    """The order as it stands: what is called off is out of it, all of it calls it off.

    Called off it is so before it is placed, so that it never holds stock.
    """
    if at(order, "fulfillment", "fulfilledBy") == "AMAZON":
        return []
    status, items = str(at(order, "fulfillment", "fulfillmentStatus")), order["orderItems"]
    named = {"channel": config["channel"], "number": str(order["orderId"])}
    left = [(item, units_left(item)) for item in items]
    is_off = status == "CANCELLED" or not any(quantity for _item, quantity in left)
    if is_off:
        left = [(item, whole(item["quantityOrdered"])) for item in items]
    lines = [_line(item, quantity, config) for item, quantity in left if quantity > 0]
    event = {**named, "mode": "sold", "updated_at": rfc3339(moment(order["lastUpdatedTime"])),
             "placed_at": rfc3339(moment(order["createdTime"])), "lines": lines}  # fmt: skip
    if status not in _UNPAID and not is_off:
        # Amazon says that it is paid, not when.
        event["paid_at"] = event["placed_at"]
    address = _address(at(order, "shipTo") or {})
    placed = [EventData(PLACED, event | ({"ship_to": address} if address else {}))] if lines else []
    if not is_off:
        return placed
    off = {**named, "by": "channel", "reason": _reason(items)}
    return [EventData(CANCELLED, off), *placed]


def units_left(item: Any) -> int:
    """Units of an item that were ordered and not called off."""
    if at(item, "cancellation", "cancellationExecution") is None:
        return whole(item["quantityOrdered"])
    counted = [
        at(item, "fulfillment", name) for name in ("quantityFulfilled", "quantityUnfulfilled")
    ]
    return sum(whole(units) for units in counted if units is not None)


def _reason(items: Iterable[Any]) -> str:
    for item in items:
        said = at(item, "cancellation", "cancellationExecution")
        if said is not None:
            who, why = at(said, "cancelledBy"), at(said, "cancelReason")
            return f"cancelled at Amazon by {who}: {why}"[:200]
    return "cancelled at Amazon"


def _line(item: Any, quantity: int, config: Mapping[str, Any]) -> dict[str, Any]:
    found = {"line": str(item["orderItemId"]), "alias": str(item["product"]["sellerSku"]),
             "namespace": config["system"], "quantity": quantity}  # fmt: skip
    price = at(item, "product", "price", "unitPrice") or {}
    amount, currency = str(price.get("amount") or ""), price.get("currencyCode")
    if amount and set(amount) <= set(_MONEY_CHARACTERS):
        found["unit_price"] = amount
    return found | ({"currency": currency} if currency else {})


def _address(given: Mapping[str, Any]) -> dict[str, Any]:
    street = ("companyName", "addressLine1", "addressLine2", "addressLine3")
    found = {"name": given.get("name"), "street": [given[n] for n in street if given.get(n)],
             "city": given.get("city"), "region": given.get("stateOrRegion"),
             "postal_code": given.get("postalCode"),
             "country": given.get("countryCode")}  # fmt: skip
    return {name: value for name, value in found.items() if value}


# Notifications -------------------------------------------------------------------------------


def notified(body: str, fallback: str) -> tuple[Incoming, str, str]:
    """A notification as it is kept, its id, and the order it speaks of ('' for none).

    Some types write their names in lower case. What cannot be read is kept as it is, by
    `fallback`, the queue's own id of the message.
    """
    try:
        told = parsed(body.encode())
    except ValueError:
        told = None
    kind, named = _either(told, "NotificationType"), _either(told, "NotificationMetadata")
    number = str(_either(named, "NotificationId") or "")
    if not isinstance(kind, str) or not number:
        found = Incoming(f"notifications/queue/{fallback}", "notification", body.encode())
        return found, fallback, ""
    payload = _either(told, "Payload")
    kept = {"NotificationType": kind, "EventTime": _either(told, "EventTime")}
    topic, order = "notification", ""
    if kind == ORDER_CHANGE:
        change = at(payload, "OrderChangeNotification")
        topic, order, kept["Payload"] = "order_change", _order_of(change), _change(change)
    elif kind == QUANTITY_CHANGE:
        topic, kept["Payload"] = "quantity_change", payload
    return Incoming(f"notifications/{number}", topic, canonical(kept)), number, order


def _either(value: Any, name: str) -> Any:
    found = at(value, name)
    return at(value, name[0].lower() + name[1:]) if found is None else found


def _order_of(change: Any) -> str:
    is_ours = at(change, "Summary", "FulfillmentType") in ("MFN", None)
    return str(at(change, "AmazonOrderId") or "") if is_ours else ""


def _change(change: Any) -> dict[str, Any]:
    """What changed, without the postal code."""
    names = ("OrderItemId", "SellerSKU", "OrderItemStatus", "Quantity", "QuantityShipped",
             "IsBuyerRequestedCancel")  # fmt: skip
    return {
        "AmazonOrderId": at(change, "AmazonOrderId"),
        "OrderChangeType": at(change, "OrderChangeType"),
        "OrderChangeTrigger": at(change, "OrderChangeTrigger"),
        "OrderStatus": at(change, "Summary", "OrderStatus"),
        "OrderItems": [
            {name: at(item, name) for name in names if at(item, name) is not None}
            for item in at(change, "Summary", "OrderItems") or ()
        ],
    }


# Shipments and cancellations -----------------------------------------------------------------


def package_reference(shipment: ConfirmShipment) -> str:
    """The parcel's number at Amazon, which takes only positive figures: always the same."""
    digest = sha256(f"{shipment.order}\x1f{shipment.package}".encode()).digest()
    return str(int.from_bytes(digest[:8]) % _REFERENCES + 1)


def carrier_of(name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Amazon's code of a carrier, or Other with its name."""
    table: Mapping[str, str] = config.get("carriers") or {}
    codes = {code.casefold(): code for code in _CARRIERS}
    codes |= {ours.casefold(): theirs for ours, theirs in table.items()}
    code = codes.get(name.casefold())
    return (
        {"carrierCode": code} if code else {"carrierCode": "Other", "carrierName": name or "Other"}
    )


def shipment_body(shipment: ConfirmShipment, config: Mapping[str, Any]) -> dict[str, Any]:
    """The body of confirmShipment."""
    source = (config.get("supply_sources") or {}).get(shipment.location)
    items = [{"orderItemId": line.line, "quantity": line.quantity} for line in shipment.lines]
    detail = {
        "packageReferenceId": package_reference(shipment),
        **carrier_of(shipment.carrier, config),
        "trackingNumber": shipment.tracking,
        "shipDate": rfc3339(shipment.shipped_at),
        **({"shipFromSupplySourceId": source} if source else {}),
        "orderItems": items,
    }
    return {"marketplaceId": config["marketplace"], "packageDetail": detail}


def is_shipped(order: Any, shipment: ConfirmShipment) -> bool:
    """Whether the order has the parcel, by its number or its tracking number."""
    reference = package_reference(shipment)
    return any(
        at(package, "packageReferenceId") == reference
        or at(package, "trackingNumber") == shipment.tracking
        for package in at(order, "packages") or ()
    )


def is_cancelled(order: Any, cancellation: CancelOrder) -> bool:
    """Whether the order, or each of these lines, is called off."""
    if at(order, "fulfillment", "fulfillmentStatus") == "CANCELLED":
        return True
    items = {str(item["orderItemId"]): item for item in at(order, "orderItems") or ()}
    return all(
        at(items.get(line.line), "cancellation", "cancellationExecution") is not None
        for line in cancellation.lines
    )


def cannot_cancel(order: Any, cancellation: CancelOrder, *, by_line: bool) -> str:
    """Why Amazon's feed cannot do this; '' when it can.

    After a part has left it would pay the whole order back.
    """
    told = {line.line: line.quantity for line in cancellation.lines}
    items = {str(item["orderItemId"]): item for item in at(order, "orderItems") or ()}
    if any(whole(at(item, "fulfillment", "quantityFulfilled") or 0) for item in items.values()):
        return "a part of the order has left"
    for line, quantity in told.items():
        if line not in items:
            return f"the order has no item {line}"
        if quantity < units_left(items[line]):
            return f"only all {units_left(items[line])} units of item {line} can be called off"
    others = [line for line, item in items.items() if line not in told and units_left(item)]
    if others and not by_line:
        return f"only whole orders can be called off, and {', '.join(others)} stays"
    return ""


def cancel_feed(cancellation: CancelOrder, config: Mapping[str, Any]) -> bytes:
    """An order acknowledgement with status Failure, which calls off."""
    reasons: Mapping[str, str] = config.get("cancel_reasons") or {}
    reason = escape(reasons.get(cancellation.reason, _NO_INVENTORY))
    items = "".join(
        f"<Item><AmazonOrderItemCode>{escape(line.line)}</AmazonOrderItemCode>"
        f"<CancelReason>{reason}</CancelReason></Item>"
        for line in cancellation.lines
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<AmazonEnvelope '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="amzn-envelope.xsd"><Header>'
        "<DocumentVersion>1.01</DocumentVersion>"
        f"<MerchantIdentifier>{escape(config['seller'])}</MerchantIdentifier></Header>"
        "<MessageType>OrderAcknowledgement</MessageType><Message><MessageID>1</MessageID>"
        f"<OrderAcknowledgement><AmazonOrderID>{escape(cancellation.order)}</AmazonOrderID>"
        f"<StatusCode>Failure</StatusCode>{items}</OrderAcknowledgement></Message></AmazonEnvelope>"
    ).encode()
