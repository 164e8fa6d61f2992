"""What Vendure's stock levels and orders mean. Pure.

https://docs.vendure.io/guides/core-concepts/stock-control/ and .../orders/ : a shop sells what it
has on hand, less what its unshipped orders are allocated, less its out-of-stock threshold.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
PERMISSIONS: Final = ("ReadCatalog", "UpdateCatalog", "ReadOrder", "UpdateOrder",
                      "ReadStockLocation")  # fmt: skip
_OFF: Final = "Cancelled"
_LEFT: Final = frozenset({"Shipped", "Delivered"})
_UNPLACED: Final = frozenset({"Draft", "Created", "AddingItems", "ArrangingPayment"})
_HANDLER: Final = "manual-fulfillment"
_OURS: Final = re.compile(r"\(stockbridge [^()]+\)$")
_KEPT: Final = ("id", "code", "type", "state", "orderPlacedAt", "updatedAt", "currencyCode")
_TICK: Final = timedelta(milliseconds=1)
_COUNTRY: Final = re.compile("[A-Z]{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


# Figures ------------------------------------------------------------------------------------


def saleable(variant: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
    """What the shop may still sell of a variant; None: it does not count its stock."""
    tracked = variant.get("trackInventory")
    if tracked == "FALSE" or (tracked == "INHERIT" and not settings.get("trackInventory")):
        return None
    of = settings if variant.get("useGlobalOutOfStockThreshold") else variant
    free = sum(
        level["stockOnHand"] - level["stockAllocated"] for level in variant.get("stockLevels") or ()
    )
    return int(free - of["outOfStockThreshold"])


def planned(
    update: StockUpdate, variant: Mapping[str, Any] | None, settings: Mapping[str, Any], place: str
) -> int | Outcome:
    """The stock on hand to write at our location, or why a row is not written."""
    if variant is None:
        return Outcome("rejected", "not_listed", "the shop has no such variant")
    shown = saleable(variant, settings)
    if shown is None:
        detail = "the shop does not count stock of it; switch on Track inventory of the variant"
        return Outcome("rejected", "stock_not_tracked", detail)
    if update.previous is not None and shown != update.previous:
        detail = f"the shop may sell {shown}, not {update.previous}"
        return Outcome("later", "stale", detail, observed=shown)
    on_hand = _on_hand(variant, place) + update.quantity - shown
    elsewhere = sum(
        max(0, level["stockOnHand"] - level["stockAllocated"])
        for level in variant["stockLevels"]
        if level["stockLocationId"] != place
    )
    if on_hand < 0 < elsewhere:
        detail = f"other stock locations hold {elsewhere}; empty them, the hub writes only {place}"
        return Outcome("rejected", "stock_elsewhere", detail)
    return on_hand


def _on_hand(variant: Mapping[str, Any], place: str) -> int:
    return next(
        (int(level["stockOnHand"]) for level in variant.get("stockLevels") or ()
         if level["stockLocationId"] == place),
        0,
    )  # fmt: skip


def set_of(item: str, place: str, on_hand: int) -> dict[str, Any]:
    """One row of updateProductVariants."""
    return {"id": item, "stockLevels": [{"stockLocationId": place, "stockOnHand": on_hand}]}


def after(
    update: StockUpdate, variant: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> Outcome:
    """What a row that was written came to, by the answer.

    Less than written was sold in the meantime. More is a parcel that left in the meantime, whose
    allocation was read and is gone, or an order called off: it is compared and written again.
    """
    shown = None if variant is None else saleable(variant, settings)
    if shown is None:
        return Outcome("unknown", "not_answered", "the answer does not tell the row's stock")
    if shown > update.quantity:
        detail = f"a parcel left or an order was called off in between, it may sell {shown}"
        return Outcome("later", "stale", detail, observed=shown)
    if shown < update.quantity and shown == update.previous:
        return Outcome("accepted", "not_applied", f"answered with {shown}", observed=shown)
    return Outcome("confirmed")


def observed(
    update: StockUpdate, variant: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> Observed:
    """What the shop may sell; None where it has no such variant or does not count it."""
    if variant is None:
        return Observed(update.item, update.location, None, "the shop has no such variant")
    shown = saleable(variant, settings)
    problem = "" if shown is not None else "the shop does not count its stock"
    return Observed(update.item, update.location, shown, problem)


def entry_of(variant: Mapping[str, Any]) -> CatalogEntry:
    """A variant as the shop lists it."""
    return CatalogEntry(
        str(variant["id"]), str(variant.get("sku") or ""), str(variant.get("name") or "")
    )


# Orders ------------------------------------------------------------------------------------


def orders_after(
    since: datetime | None, cursor: str | None, config: Mapping[str, Any], most: int
) -> dict[str, Any]:
    """The options that list orders by when they changed, from `since` or a cursor on.

    Many orders may have changed at one moment of the shop's clock: a cursor names the moment, and
    those of it that were told.
    """
    kind = {"eq": "Seller"} if config.get("takes_seller_orders") else {"notEq": "Seller"}
    wanted: dict[str, Any] = {"orderPlacedAt": {"isNull": False}, "type": kind}
    if cursor is not None:
        text, _, told = cursor.partition("\n")
        since = moment(text)
        wanted["id"] = {"notIn": told.split(",")}
    if since is not None:
        wanted["updatedAt"] = {"after": rfc3339(since - _TICK)}
    return {"filter": wanted, "sort": {"updatedAt": "ASC", "id": "ASC"}, "take": most}


def cursor_after(orders: Sequence[Mapping[str, Any]], cursor: str | None) -> str:
    """Where a page that was not the last ended."""
    text = str(orders[-1]["updatedAt"])
    told = [str(order["id"]) for order in orders if order["updatedAt"] == text]
    before, _, known = (cursor or "").partition("\n")
    if before == text:
        told = [*known.split(","), *told]
    return f"{text}\n{','.join(told)}"


def incoming(order: Mapping[str, Any]) -> Incoming:
    """An order as kept; a digest of what concerns us tells apart changes of one moment.

    Names and streets of people are kept, e-mail is not.
    """
    content: dict[str, Any] = {name: order.get(name) for name in _KEPT}
    content["customer"] = at(order, "customer", "id")
    content["shippingAddress"] = order.get("shippingAddress")
    content["payments"] = order.get("payments") or []
    content["modifications"] = len(order.get("modifications") or ())
    content["lines"] = [
        {"id": line["id"], "variant": at(line, "productVariant", "id"),
         "sku": at(line, "productVariant", "sku"), "quantity": line["quantity"]}
        for line in order.get("lines") or ()
    ]  # fmt: skip
    content["cancellations"] = [
        {"id": entry["id"], "reason": at(entry, "data", "reason") or "",
         "lines": [{"line": str(row["orderLineId"]), "quantity": row["quantity"]}
                   for row in at(entry, "data", "lines") or ()]}
        for entry in at(order, "history", "items") or ()
    ]  # fmt: skip
    body = canonical(content)
    digest = sha256(body).hexdigest()[:16]
    return Incoming(f"orders/{order['id']}/{order['updatedAt']}/{digest}", "order", body)


def changed_at(order: Mapping[str, Any]) -> datetime:
    """When the order was changed last; raises ValueError."""
    return moment(order.get("updatedAt"))


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept message."""
    if topic != "order":
        return Undecodable("unknown_type", f"nothing here reads {topic}")
    try:
        order = parsed(body)
        if not isinstance(order, dict) or not order.get("code"):
            return Undecodable("invalid_message", "this is no order of Vendure: it has no code")
        return _order(order, config)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return Undecodable("invalid_message", f"this is no order of Vendure: {error!r}")


def _order(order: Mapping[str, Any], config: Mapping[str, Any]) -> list[EventData]:
    """What an order tells: that it was sold, and what the shop called off of it.

    What the hub called off itself is not told back to it. An order that is called off is so
    before it is placed, so that it never holds stock.
    """
    if order.get("state") in _UNPLACED or not order.get("orderPlacedAt"):
        return []
    placed = _placed(order, config)
    every = order.get("cancellations") or []
    theirs = [each for each in every if not _OURS.search(each["reason"]) and each["lines"]]
    is_left = any(whole(line["quantity"]) for line in order.get("lines") or ())
    if order.get("state") == _OFF and (theirs or is_left or not every):
        return [_whole(order, config, theirs), *placed]
    return [*placed, *(_part(order, each, config) for each in theirs)]


def _placed(order: Mapping[str, Any], config: Mapping[str, Any]) -> list[EventData]:
    """The order as if nothing had been called off: cancellations are told by themselves."""
    units: dict[str, int] = defaultdict(int)
    for cancellation in order.get("cancellations") or ():
        for row in cancellation["lines"]:
            units[row["line"]] += whole(row["quantity"])
    lines = [
        {"line": str(line["id"]), "alias": str(line["variant"]), "namespace": config["system"],
         "quantity": quantity}
        for line in order.get("lines") or ()
        if (quantity := whole(line["quantity"]) + units[str(line["id"])]) > 0
    ]  # fmt: skip
    if not lines:
        return []
    event: dict[str, Any] = {
        "channel": config["channel"],
        "number": order["code"],
        "mode": "sold",
        "version": _version(order),
        "placed_at": rfc3339(moment(order["orderPlacedAt"])),
        "lines": lines,
    }
    paid_at = _paid_at(order)
    if paid_at:
        event["paid_at"] = paid_at
    if order.get("currencyCode"):
        event["currency"] = order["currencyCode"]
    if order.get("customer"):
        event["customer"] = str(order["customer"])
    address = _address(order.get("shippingAddress") or {})
    return [EventData(PLACED, event | ({"ship_to": address} if address else {}))]


def _version(order: Mapping[str, Any]) -> int:
    """Microseconds of the last change, and the changes of lines within one tick of the clock."""
    since = changed_at(order) - _EPOCH
    return since // _MICROSECOND + whole(order.get("modifications") or 0)


def _paid_at(order: Mapping[str, Any]) -> str:
    """When the last payment was made, once all that stand are settled; what is free is paid."""
    stand = [each for each in order.get("payments") or ()
             if each["state"] not in ("Declined", "Cancelled", "Error")]  # fmt: skip
    if any(each["state"] != "Settled" for each in stand):
        return ""
    if not stand:
        return rfc3339(moment(order["orderPlacedAt"]))
    return rfc3339(max(moment(each["createdAt"]) for each in stand))


def _address(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that are given; an order of downloads gives none."""
    street = [given[name] for name in ("company", "streetLine1", "streetLine2") if given.get(name)]
    country = str(given.get("countryCode") or "")
    found = {"name": given.get("fullName"), "street": street, "city": given.get("city"),
             "region": given.get("province"), "postal_code": given.get("postalCode"),
             "country": country if _COUNTRY.fullmatch(country) else "",
             "phone": given.get("phoneNumber")}  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _whole(
    order: Mapping[str, Any], config: Mapping[str, Any], theirs: Sequence[Mapping[str, Any]]
) -> EventData:
    said = {"channel": config["channel"], "number": order["code"], "by": "channel"}
    reason = next((each["reason"] for each in reversed(theirs) if each["reason"]), "cancelled")
    return EventData(CANCELLED, said | {"reason": reason})


def _part(
    order: Mapping[str, Any], cancellation: Mapping[str, Any], config: Mapping[str, Any]
) -> EventData:
    """Units called off in the shop; of them what has left comes back by itself."""
    event = {"channel": config["channel"], "number": order["code"], "by": "channel",
             "cancellation": f"history-{cancellation['id']}",
             "lines": list(cancellation["lines"]),
             "reason": cancellation["reason"] or "cancelled"}  # fmt: skip
    return EventData(CANCELLED, event)


# Shipments and cancellations ------------------------------------------------------------------


def method_of(shipment: ConfirmShipment) -> str:
    """The name of a parcel's fulfillment: customers read the carrier, we find the parcel again."""
    return f"{shipment.carrier or 'Parcel'} ({shipment.package})"


def fulfillment_of(order: Any, shipment: ConfirmShipment) -> Any:
    """The fulfillment that stands for the parcel, if there is one."""
    for each in at(order, "fulfillments") or ():
        if each.get("state") != _OFF and each.get("method") == method_of(shipment):
            return each
    return None


def has_left(fulfillment: Any) -> bool:
    """Whether the shop has it as shipped."""
    return at(fulfillment, "state") in _LEFT


def fulfillment_input(shipment: ConfirmShipment) -> dict[str, Any]:
    """The input of addFulfillmentToOrder."""
    arguments = {"method": method_of(shipment), "trackingCode": shipment.tracking}
    return {
        "lines": _lines({line.line: line.quantity for line in shipment.lines}),
        "handler": {
            "code": _HANDLER,
            "arguments": [{"name": name, "value": text} for name, text in arguments.items()],
        },
    }


def _lines(units: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"orderLineId": line, "quantity": n} for line, n in units.items()]


def reason_of(cancellation: CancelOrder) -> str:
    """The reason as the order's history keeps it, our cancellation's name at its end."""
    return f"{cancellation.reason} (stockbridge {cancellation.cancellation})"


def is_called_off(order: Any, cancellation: CancelOrder) -> bool:
    """Whether the order's history has the cancellation."""
    reason = reason_of(cancellation)
    return any(
        at(entry, "data", "reason") == reason for entry in at(order, "history", "items") or ()
    )


def strange_lines(order: Any, lines: Sequence[ToldLine]) -> list[str]:
    """Lines that are none of the order's."""
    known = {str(line["id"]) for line in at(order, "lines") or ()}
    return sorted({line.line for line in lines} - known)


def cancel_input(order: Any, cancellation: CancelOrder) -> dict[str, Any] | None:
    """The input of cancelOrder, no more than is left of a line; None: nothing is left."""
    left = {str(line["id"]): int(line["quantity"]) for line in at(order, "lines") or ()}
    units = {line: min(n, left.get(line, 0)) for line, n in _told(cancellation.lines).items()}
    lines = _lines({line: n for line, n in units.items() if n})
    if not lines:
        return None
    is_whole = all(units.get(line, 0) == n for line, n in left.items())
    return {
        "orderId": order["id"], "lines": lines, "reason": reason_of(cancellation),
        "cancelShipping": is_whole,
    }  # fmt: skip


def _told(lines: Sequence[ToldLine]) -> dict[str, int]:
    units: dict[str, int] = defaultdict(int)
    for line in lines:
        units[line.line] += line.quantity
    return units


def refusal(said: Any) -> Outcome:
    """What an error result means. Stock on hand is put right by the next figure."""
    kind, detail = str(at(said, "__typename")), str(at(said, "message") or "")
    detail = " ".join(filter(None, (detail, at(said, "transitionError"))))
    if kind == "InsufficientStockOnHandError":
        held = f"{at(said, 'stockOnHand')} on hand of variant {at(said, 'productVariantId')}"
        return Outcome("later", "insufficient_stock_on_hand", f"{held}: {detail}")
    if kind == "OrderStateTransitionError":
        return Outcome("later", "order_state", detail)
    return Outcome("rejected", str(at(said, "errorCode") or kind).lower(), detail)
