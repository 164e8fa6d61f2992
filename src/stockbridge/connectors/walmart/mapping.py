"""What Walmart's inventory and orders mean. Pure.

https://developer.walmart.com : Inventory (multiple ship nodes), Orders, Feeds.
"""

from collections.abc import Iterator, Mapping, Sequence
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
RETURNED: Final = "io.stockbridge.stock.returned.v1"
_GONE: Final = ("Shipped", "Delivered")
_ADDRESS: Final = ("name", "address1", "address2", "city", "state", "postalCode", "country")
_COUNTRIES: Final[Mapping[str, str]] = {"USA": "US", "CAN": "CA", "MEX": "MX", "CHL": "CL"}


# Figures -------------------------------------------------------------------------------------


def each(quantity: int) -> dict[str, Any]:
    """So many units."""
    return {"unit": "EACH", "amount": quantity}


def node_update(update: StockUpdate) -> dict[str, Any]:
    """The body of PUT /v3/inventories/{sku}; the ship node is always named."""
    node = {"shipNode": update.location, "inputQty": each(update.quantity)}
    return {"inventories": {"nodes": [node]}}


def node_outcome(update: StockUpdate, answer: Any) -> Outcome:
    """Whether the node took the figure: 200 says only that the call was understood."""
    for node in at(answer, "nodes") or ():
        if at(node, "shipNode") == update.location:
            if at(node, "status") == "Success":
                return Outcome("confirmed")
            error = at(node, "errors", 0) or {}
            code = str(at(error, "code") or "refused")
            return Outcome("rejected", code, str(at(error, "description") or ""))
    return Outcome("unknown", "not_answered", f"the answer does not name node {update.location}")


def feed_of(updates: Sequence[StockUpdate]) -> dict[str, Any]:
    """An MP_INVENTORY feed, version 1.5: lower-case names, unlike the feed without nodes."""
    nodes: dict[str, list[dict[str, Any]]] = {}
    for update in updates:
        node = {"shipNode": update.location, "quantity": each(update.quantity)}
        nodes.setdefault(update.item, []).append(node)
    rows = [{"sku": sku, "shipNodes": found} for sku, found in nodes.items()]
    return {"inventoryHeader": {"version": "1.5"}, "inventory": rows}


def multipart(body: bytes, boundary: str) -> bytes:
    """The feed as a file of a form."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="feed.json"\r\n'
        f"Content-Type: application/json\r\n\r\n"
    )
    return head.encode() + body + f"\r\n--{boundary}--\r\n".encode()


def observed(update: StockUpdate, answer: Any, *, adds_unshipped: bool) -> Observed:
    """What the node has: what was put in, or what is left to sell of it."""
    name = "inputQty" if adds_unshipped else "availToSellQty"
    for node in at(answer, "nodes") or ():
        if at(node, "shipNode") == update.location:
            return Observed(update.item, update.location, whole(at(node, name, "amount")))
    return Observed(update.item, update.location, None, "not stocked at this ship node")


def entry_of(item: Any) -> CatalogEntry:
    """An item of the seller."""
    sku = str(at(item, "sku"))
    return CatalogEntry(
        sku, sku, str(at(item, "productName") or ""), gtin=str(at(item, "gtin") or "")
    )


# Orders --------------------------------------------------------------------------------------


def lines_of(order: Any) -> Sequence[Any]:
    """Its lines; Walmart wraps every list in an object."""
    return at(order, "orderLines", "orderLine") or ()


def statuses(line: Any) -> Iterator[tuple[str, int, Any]]:
    """Status, units and the entry itself of each part of a line."""
    for entry in at(line, "orderLineStatuses", "orderLineStatus") or ():
        yield str(at(entry, "status")), whole(at(entry, "statusQuantity", "amount")), entry


def units(line: Any, *wanted: str) -> int:
    """Units of a line in one of these statuses."""
    return sum(quantity for status, quantity, _entry in statuses(line) if status in wanted)


def changed_at(order: Any) -> datetime:
    """When a line changed last, or the order was made; milliseconds since 1970."""
    times = [at(line, "statusDate") for line in lines_of(order)] + [at(order, "orderDate")]
    newest = max(int(time) for time in times if time is not None)
    return datetime.fromtimestamp(newest / 1000, UTC)


def incoming(order: Any) -> Incoming:
    """An order as it is kept: what concerns us, without e-mail and phone; named by its content."""
    address = at(order, "shippingInfo", "postalAddress") or {}
    kept = {
        "purchaseOrderId": at(order, "purchaseOrderId"),
        "orderDate": at(order, "orderDate"),
        "shipTo": {name: address.get(name) for name in _ADDRESS},
        "orderLines": {"orderLine": [_kept_line(line) for line in lines_of(order)]},
    }
    body = canonical(kept)
    digest = sha256(body).hexdigest()[:16]
    return Incoming(f"orders/{kept['purchaseOrderId']}/{digest}", "order", body)


def _kept_line(line: Any) -> dict[str, Any]:
    return {
        "lineNumber": at(line, "lineNumber"),
        "item": {"sku": at(line, "item", "sku")},
        "orderLineQuantity": at(line, "orderLineQuantity"),
        "statusDate": at(line, "statusDate"),
        "price": next(
            (
                at(charge, "chargeAmount")
                for charge in at(line, "charges", "charge") or ()
                if at(charge, "chargeType") == "PRODUCT"
            ),
            None,
        ),
        "orderLineStatuses": {
            "orderLineStatus": [
                {"status": status, "statusQuantity": {"amount": str(quantity)}}
                for status, quantity, _entry in statuses(line)
            ]
        },
    }


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept order."""
    if topic not in ("order", "return"):
        return Undecodable("unknown_type", f"nothing here reads {topic}")
    try:
        order = parsed(body)
        if topic == "return":
            return _returned(order, config)
        if not at(order, "purchaseOrderId") or not lines_of(order):
            return Undecodable("invalid_message", "this is no order of Walmart: it has no lines")
        return _order(order, config)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        return Undecodable("invalid_message", f"this is no order of Walmart: {error!r}")


def _order(order: Any, config: Mapping[str, Any]) -> list[EventData]:
    """The order as it stands: cancelled units are out of it, all of them call it off.

    Called off it is so before it is placed, so that it never holds stock.
    """
    named = {"channel": config["channel"], "number": str(order["purchaseOrderId"])}
    left = [(line, _ordered(line) - units(line, "Cancelled")) for line in lines_of(order)]
    is_off = all(quantity <= 0 for _line, quantity in left)
    wanted = [
        _line(line, _ordered(line) if is_off else quantity)
        for line, quantity in left
        if is_off or quantity > 0
    ]
    event = {**named, "mode": "sold", "updated_at": rfc3339(changed_at(order)), "lines": wanted}
    if at(order, "orderDate") is not None:
        event["placed_at"] = rfc3339(datetime.fromtimestamp(int(order["orderDate"]) / 1000, UTC))
    address = _address(at(order, "shipTo") or {})
    placed = EventData(PLACED, event | ({"ship_to": address} if address else {}))
    if not is_off:
        return [placed]
    off = {**named, "by": "channel", "reason": "cancelled at Walmart"}
    return [EventData(CANCELLED, off), placed]


def _ordered(line: Any) -> int:
    return whole(at(line, "orderLineQuantity", "amount"))


def _line(line: Any, quantity: int) -> dict[str, Any]:
    found = {"line": str(line["lineNumber"]), "sku": at(line, "item", "sku"), "quantity": quantity}
    amount, currency = at(line, "price", "amount"), at(line, "price", "currency")
    if amount is not None and _ordered(line) == 1 and float(amount) >= 0:
        found |= {"unit_price": f"{float(amount):.2f}"}
    return found | ({"currency": currency} if currency else {})


def _address(given: Mapping[str, Any]) -> dict[str, Any]:
    street = [given[name] for name in ("address1", "address2") if given.get(name)]
    country = str(given.get("country") or "")
    country = _COUNTRIES.get(country, country if len(country) == len("US") else "")
    found = {"name": given.get("name"), "street": street, "city": given.get("city"),
             "region": given.get("state"), "postal_code": given.get("postalCode"),
             "country": country}  # fmt: skip
    return {name: value for name, value in found.items() if value}


# Returns -------------------------------------------------------------------------------------


def returned(order: Any) -> Incoming:
    """A return order as it is kept, named by its content."""
    kept = {
        "returnOrderId": at(order, "returnOrderId"),
        "lines": [
            {
                "line": at(line, "returnOrderLineNumber"),
                "sku": at(line, "item", "sku"),
                "quantity": at(line, "quantity", "measurementValue"),
                "delivery": at(line, "currentDeliveryStatus"),
                "changed": at(line, "statusTime") or at(order, "returnOrderDate"),
            }
            for line in at(order, "returnOrderLines") or ()
        ],
    }
    body = canonical(kept)
    digest = sha256(body).hexdigest()[:16]
    return Incoming(f"returns/{kept['returnOrderId']}/{digest}", "return", body)


def _returned(order: Any, config: Mapping[str, Any]) -> Decoded:
    """Lines that arrived, where a location of ours takes them in; they wait there for a look."""
    if not at(order, "returnOrderId"):
        return Undecodable("invalid_message", "this is no return of Walmart: it has no id")
    place = config.get("returns_location")
    return [
        EventData(
            RETURNED,
            {
                "sku": line["sku"], "quantity": whole(line["quantity"]), "location": place,
                "occurred_at": rfc3339(moment(line["changed"])),
                "document": {"type": "return", "number": str(order["returnOrderId"]),
                             "line": str(line["line"])},
            },
        )
        for line in at(order, "lines") or ()
        if place and line["delivery"] == "DELIVERED"
    ]  # fmt: skip


# Shipments and cancellations -----------------------------------------------------------------


def is_acknowledged(order: Any) -> bool:
    """Whether no unit waits to be acknowledged."""
    return not any(units(line, "Created") for line in lines_of(order))


def shipment_body(shipment: ConfirmShipment) -> dict[str, Any]:
    """The body of POST /v3/orders/{po}/shipping."""
    tracking = {
        "shipDateTime": int(shipment.shipped_at.timestamp() * 1000),
        "carrierName": {"carrier": shipment.carrier or "Other"},
        "methodCode": "Standard",
        "trackingNumber": shipment.tracking,
        **({"trackingURL": shipment.tracking_url} if shipment.tracking_url else {}),
    }
    lines = [
        {
            "lineNumber": line.line,
            "sellerOrderId": shipment.order,
            "orderLineStatuses": {
                "orderLineStatus": [_status(line, "Shipped") | {"trackingInfo": tracking}]
            },
        }
        for line in shipment.lines
    ]
    return {"orderShipment": {"orderLines": {"orderLine": lines}}}


def _status(line: ToldLine, status: str) -> dict[str, Any]:
    quantity = {"unitOfMeasurement": "EACH", "amount": str(line.quantity)}
    return {"status": status, "statusQuantity": quantity}


def is_shipped(order: Any, shipment: ConfirmShipment) -> bool:
    """Whether every line of the parcel went out under its tracking number."""
    known = {str(at(line, "lineNumber")): line for line in lines_of(order)}
    return all(
        any(
            status in _GONE
            and at(entry, "trackingInfo", "trackingNumber") == shipment.tracking
            and quantity >= told.quantity
            for status, quantity, entry in statuses(known.get(told.line))
        )
        for told in shipment.lines
    )


def cancel_body(cancellation: CancelOrder) -> dict[str, Any]:
    """The body of POST /v3/orders/{po}/cancel."""
    lines = [
        {
            "lineNumber": line.line,
            "orderLineStatuses": {
                "orderLineStatus": [
                    _status(line, "Cancelled") | {"cancellationReason": "CANCEL_BY_SELLER"}
                ]
            },
        }
        for line in cancellation.lines
    ]
    return {"orderCancellation": {"orderLines": {"orderLine": lines}}}


def cancelled(order: Any) -> dict[str, int]:
    """Units called off, by line."""
    return {str(at(line, "lineNumber")): units(line, "Cancelled") for line in lines_of(order)}


def is_cancelled(order: Any, cancellation: CancelOrder, before: Mapping[str, int]) -> bool:
    """Whether these units were called off since `before`."""
    now = cancelled(order)
    return all(
        now.get(line.line, 0) >= before.get(line.line, 0) + line.quantity
        for line in cancellation.lines
    )


def signed_text(method: str, path: str, query: str, timestamp: str, body: bytes) -> bytes:
    """What an event's signature covers."""
    where = f"{path}?{query}" if query else path
    return f"{method}\n{where}\n{timestamp}\n{sha256(body).hexdigest()}".encode()
