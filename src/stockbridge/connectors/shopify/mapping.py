"""What Shopify's figures, orders, refunds and returns mean. Pure.

https://shopify.dev/docs/api/admin-graphql/2026-10 : Order, Refund, Return, inventorySetQuantities.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
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

PLACED: Final = "io.stockbridge.order.placed.v1"
EDITED: Final = "io.stockbridge.order.edited.v1"
CANCELLED: Final = "io.stockbridge.order.cancelled.v1"
RETURNED: Final = "io.stockbridge.stock.returned.v1"
OURS: Final = "stockbridge:"
"""How the notes of refunds begin that the hub made itself."""
_PAID: Final = frozenset({"PAID", "PARTIALLY_REFUNDED", "REFUNDED"})
_GTIN_DIGITS: Final = (8, 12, 13, 14)
_STALE: Final = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
_MAYBE_NOT_STOCKED: Final = frozenset({"ITEM_NOT_STOCKED_AT_LOCATION", "INVALID_LOCATION"})
_OF_ROWS: Final = frozenset({
    "INVALID_INVENTORY_ITEM", "INVALID_QUANTITY_NEGATIVE", "INVALID_QUANTITY_TOO_HIGH",
    "INVALID_QUANTITY_TOO_LOW", "NON_MUTABLE_INVENTORY_ITEM", "UNNAMED",
}) | _STALE | _MAYBE_NOT_STOCKED  # fmt: skip


def gid(kind: str, number: str) -> str:
    """Shopify's global id of the object that we name by its number."""
    return f"gid://shopify/{kind}/{number}"


def tail(value: Any) -> str:
    """The number at the end of a global id."""
    return str(value or "").rpartition("/")[2].partition("?")[0]


def faults(config: Mapping[str, Any]) -> Sequence[str]:
    """Locations that are no numbers: Shopify would know none of them."""
    table = config.get("locations")
    return [
        f"locations: {ours} is {theirs!r}, no number; take the one at the end of the location's "
        f"address in the admin"
        for ours, theirs in (table.items() if isinstance(table, Mapping) else ())
        if not str(theirs).isdigit()
    ]


# Figures -------------------------------------------------------------------------------------


def input_of(updates: Sequence[StockUpdate], key: str) -> dict[str, Any]:
    """The input of inventorySetQuantities: each row with the figure that it replaces."""
    return {
        "name": "available",
        "reason": "correction",
        "referenceDocumentUri": f"gid://stockbridge/Publish/{key}",
        "quantities": [
            {
                "inventoryItemId": gid("InventoryItem", update.item),
                "locationId": gid("Location", update.location),
                "quantity": update.quantity,
                "changeFromQuantity": update.previous,
            }
            for update in updates
        ],
    }


def publish_key(system: str, updates: Sequence[StockUpdate], attempt: int) -> str:
    """The same for the same rows: Shopify takes a key for one input only."""
    rows = [(u.listing_id, u.version, u.quantity, u.previous) for u in updates]
    return key_of("publish", system, rows, attempt)


def error_code(error: Any) -> str:
    """The code of a user error; that a place does not stock an item may stand in words only."""
    code, said = at(error, "code"), str(at(error, "message") or "").lower()
    if "not stocked" in said:
        return "ITEM_NOT_STOCKED_AT_LOCATION"
    return str(code or "UNNAMED")


def bad_rows(errors: Any, count: int) -> dict[int, tuple[str, str]]:
    """Rows that errors name by their place, with code and text."""
    found: dict[int, tuple[str, str]] = {}
    for error in errors or ():
        place = next((part for part in at(error, "field") or () if str(part).isdigit()), None)
        if place is not None and int(place) < count:
            found[int(place)] = (error_code(error), str(at(error, "message") or ""))
    return found


def is_of_rows(code: str) -> bool:
    """Whether an error that names no row is about one of them all the same."""
    return code in _OF_ROWS


def is_stale(code: str) -> bool:
    """Whether the figure before was another one."""
    return code in _STALE


def may_be_activated(code: str) -> bool:
    """Whether the item may not be stocked at the location."""
    return code in _MAYBE_NOT_STOCKED


def figures(nodes: Any) -> dict[str, tuple[int | None, str]]:
    """Available units by item at the location asked for, or None and why there are none."""
    found: dict[str, tuple[int | None, str]] = {}
    for node in nodes or ():
        level = at(node, "inventoryLevel")
        available = at(level, "quantities", 0, "quantity")
        if not at(node, "tracked"):
            found[tail(at(node, "id"))] = None, "its inventory is not tracked"
        elif available is None:
            found[tail(at(node, "id"))] = None, "it is not stocked at the location"
        else:
            found[tail(at(node, "id"))] = whole(available), ""
    return found


def observed(update: StockUpdate, found: Mapping[str, tuple[int | None, str]]) -> Observed:
    """The figure of a row."""
    quantity, problem = found.get(update.item, (None, "Shopify has no such inventory item"))
    return Observed(update.item, update.location, quantity, problem)


def entry_of(variant: Mapping[str, Any]) -> CatalogEntry:
    """A variant as it is listed; its inventory item is what figures are set of."""
    barcode = str(variant.get("barcode") or "")
    is_gtin = barcode.isdigit() and len(barcode) in _GTIN_DIGITS
    return CatalogEntry(
        tail(at(variant, "inventoryItem", "id")),
        str(variant.get("sku") or ""),
        str(variant.get("displayName") or ""),
        gtin=barcode if is_gtin else "",
    )


# Answers -------------------------------------------------------------------------------------


def refusal(answer: Any, *, is_idempotent: bool) -> Outcome | None:
    """What the top of an answer at HTTP 200 means; None: it is good."""
    if not isinstance(answer, dict):
        return Outcome("unknown", "unreadable", "the answer is no object")
    errors = answer.get("errors")
    if not errors:
        return None if isinstance(answer.get("data"), dict) else Outcome("unknown", "no_data")
    first = at(errors, 0) or errors
    code = str(at(first, "extensions", "code") or "graphql")
    detail = str(at(first, "message") or first)[:300]
    if code == "THROTTLED":
        return Outcome("later", "throttled", detail, after_seconds=throttle_seconds(answer))
    if code == "ACCESS_DENIED":
        return Outcome("later", "forbidden", detail)
    if code in ("INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"):
        return Outcome("later" if is_idempotent else "unknown", code.lower(), detail)
    return Outcome("rejected", code.lower(), detail)


def refused(errors: Any) -> Outcome | None:
    """What user errors mean; None: there are none. Some have no codes, only words."""
    if not errors:
        return None
    code, said = str(at(errors, 0, "code") or "refused"), str(at(errors, 0, "message") or "")
    if code == "IDEMPOTENCY_CONCURRENT_REQUEST" or "in progress" in said:
        return Outcome("later", "concurrent", said, after_seconds=1.0)
    return Outcome("rejected", code.lower(), said)


def throttle_seconds(answer: Any) -> float:
    """How long the bucket takes to hold what the call asked for; at least a second."""
    cost = at(answer, "extensions", "cost")
    wanted = float(at(cost, "requestedQueryCost") or 0)
    available = float(at(cost, "throttleStatus", "currentlyAvailable") or 0)
    rate = float(at(cost, "throttleStatus", "restoreRate") or 1)
    return max(1.0, (wanted - available) / rate)


# Orders --------------------------------------------------------------------------------------


def changed_at(order: Mapping[str, Any]) -> datetime:
    """When the order was changed last; raises ValueError."""
    return moment(order.get("updatedAt"))


def incoming(
    order: Mapping[str, Any],
    lines: Sequence[Any],
    refunds: Sequence[Any],
    returns: Sequence[Any],
) -> Incoming:
    """An order, its lines, refunds and returns as kept; the id is that of this content.

    Shopify's clock has whole seconds, and an order may change twice in one: a digest tells the two
    apart. A webhook that is sent again, or late, leads to the same id.
    """
    content = {**order, "lineItems": lines, "refunds": refunds, "returns": returns}
    body = canonical(content)
    digest = sha256(body).hexdigest()[:16]
    message_id = f"orders/{tail(order['id'])}/{order.get('updatedAt')}/{digest}"
    return Incoming(message_id, "order", body)


def deleted(order: int) -> Incoming:
    """An order that was deleted: it cannot be read any more."""
    return Incoming(f"orders/{order}/deleted", "order_deleted", canonical({"id": order}))


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept message."""
    try:
        order = parsed(body)
        if not isinstance(order, dict) or not order.get("id"):
            return Undecodable("invalid_message", "this is no order of Shopify: it has no id")
        if topic == "order_deleted":
            return [_whole(order, config, "channel", "deleted in the shop")]
        if topic == "order":
            return _order(order, config)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return Undecodable("invalid_message", f"this is no order of Shopify: {error!r}")
    return Undecodable("unknown_type", f"nothing here reads {topic}")


def _order(order: Mapping[str, Any], config: Mapping[str, Any]) -> Decoded:
    """An order that is called off is so before it is placed, so that it never holds stock."""
    goods = {
        tail(line["id"]): line for line in order.get("lineItems") or () if _is_goods(line, config)
    }
    if not goods or (order.get("test") and not config.get("takes_test_orders")):
        return []
    events: list[EventData] = []
    if order.get("cancelledAt"):
        reason = str(order.get("cancelReason") or "cancelled").lower()
        by = "customer" if reason == "customer" else "channel"
        events.append(_whole(order, config, by, reason))
        events.append(
            _placed(order, config, {line: whole(g["quantity"]) for line, g in goods.items()})
        )
    else:
        removed = _removed(order, goods)
        units = {line: whole(g["quantity"]) - removed[line] for line, g in goods.items()}
        events.append(_placed(order, config, units))
        events += _called_off(order, config, goods, removed)
    for returned in _returned(order, config, goods):
        if isinstance(returned, Undecodable):
            return returned
        events.append(returned)
    return events


def _is_goods(line: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Tips, gift cards and services are no goods; of a variant that was deleted its sku is left."""
    item = at(line, "variant", "inventoryItem")
    is_kept = at(item, "tracked")
    if not is_kept and (item is None or config.get("takes_untracked", True)):
        is_kept = line.get("requiresShipping")
    return bool(is_kept and (item or line.get("sku")) and whole(line["quantity"]) > 0)


def _refund_lines(order: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, Any]]:
    """Every refund, oldest first, with each of its lines."""
    for refund in sorted(order.get("refunds") or (), key=lambda each: int(tail(each["id"]))):
        for row in refund.get("refundLineItems") or ():
            yield refund, tail(row["lineItem"]["id"]), row


def _removed(order: Mapping[str, Any], goods: Mapping[str, Any]) -> dict[str, int]:
    """Units by line that somebody edited out of the order; refunded ones are told as such."""
    refunded: dict[str, int] = defaultdict(int)
    for _refund, line, row in _refund_lines(order):
        refunded[line] += whole(row["quantity"])
    return {
        line: max(0, whole(each["quantity"]) - whole(each["currentQuantity"]) - refunded[line])
        for line, each in goods.items()
    }


def _said(order: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    return {"channel": config["channel"], "number": tail(order["id"])}


def _placed(
    order: Mapping[str, Any], config: Mapping[str, Any], units: Mapping[str, int]
) -> EventData:
    """The order, whole; edited until nothing is left of it, it still is an order."""
    event = {**_said(order, config), "updated_at": rfc3339(changed_at(order))}
    if not any(units.values()):
        lines: list[dict[str, Any]] = [{"line": line, "quantity": 0} for line in units]
        return EventData(EDITED, event | {"lines": lines, "reason": "edited in the shop"})
    goods = {tail(line["id"]): line for line in order["lineItems"]}
    event["mode"] = "sold"
    event["placed_at"] = rfc3339(moment(order["createdAt"]))
    event["lines"] = [
        {"line": line, **_item(goods[line], config), "quantity": quantity}
        for line, quantity in units.items()
        if quantity > 0
    ]
    if order.get("displayFinancialStatus") in _PAID:
        event["paid_at"] = rfc3339(moment(order["processedAt"]))
    if order.get("currencyCode"):
        event["currency"] = order["currencyCode"]
    address = _address(order.get("shippingAddress") or {})
    return EventData(PLACED, event | ({"ship_to": address} if address else {}))


def _item(line: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    item = at(line, "variant", "inventoryItem", "id")
    return {"alias": tail(item), "namespace": config["system"]} if item else {"sku": line["sku"]}


def _address(given: Mapping[str, Any]) -> dict[str, Any]:
    street = [given[name] for name in ("company", "address1", "address2") if given.get(name)]
    found = {"name": given.get("name"), "street": street, "city": given.get("city"),
             "region": given.get("provinceCode"), "postal_code": given.get("zip"),
             "country": given.get("countryCodeV2"), "phone": given.get("phone")}  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _whole(order: Mapping[str, Any], config: Mapping[str, Any], by: str, reason: str) -> EventData:
    return EventData(CANCELLED, {**_said(order, config), "by": by, "reason": reason})


def _called_off(
    order: Mapping[str, Any],
    config: Mapping[str, Any],
    goods: Mapping[str, Any],
    removed: Mapping[str, int],
) -> list[EventData]:
    """Units of refunds that will never leave: a cancellation for each refund but the hub's own.

    CANCEL says so, RETURN says they had left. What restocks nothing says neither: of those units
    as many are called off as Shopify counts as not to be fulfilled for no other reason.
    """
    left = {line: whole(each.get("nonFulfillableQuantity") or 0) - removed[line]
            for line, each in goods.items()}  # fmt: skip
    how = config.get("unrestocked", "open")
    for _refund, line, row in _refund_lines(order):
        if line in left and row["restockType"] == "CANCEL":
            left[line] -= whole(row["quantity"])
    units: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    notes: dict[str, str] = {}
    for refund, line, row in _refund_lines(order):
        quantity = whole(row["quantity"])
        if line not in goods or row["restockType"] == "RETURN":
            continue
        if row["restockType"] != "CANCEL" and how != "all":
            quantity = min(quantity, max(0, left[line])) if how == "open" else 0
            left[line] -= quantity
        notes[tail(refund["id"])] = str(refund.get("note") or "")
        if quantity:
            units[tail(refund["id"])][line] += quantity
    return [
        EventData(
            CANCELLED,
            {**_said(order, config), "cancellation": f"refund-{refund}", "by": "channel",
             "reason": notes[refund][:2_000] or "refunded",
             "lines": [{"line": line, "quantity": n} for line, n in lines.items()]},
        )
        for refund, lines in units.items()
        if not notes[refund].startswith(OURS)
    ]  # fmt: skip


# Returns -------------------------------------------------------------------------------------


def _returned(
    order: Mapping[str, Any], config: Mapping[str, Any], goods: Mapping[str, Any]
) -> Iterator[EventData | Undecodable]:
    """Goods that are back by a refund that restocked them, or by what was decided of a return."""
    if not config.get("takes_returns", True):
        return
    for refund, line, row in _refund_lines(order):
        # The refund of a return says again what the return's dispositions say.
        if row["restockType"] == "RETURN" and not refund.get("return") and line in goods:
            place = tail(at(row, "location", "id"))
            yield _back(
                goods[line], place, whole(row["quantity"]), refund["createdAt"], config,
                {"number": tail(refund["id"]), "line": f"{line}-{place}"}, is_good=True,
            )  # fmt: skip
    for each in order.get("returns") or ():
        for line, disposition in _dispositions(each):
            place = tail(at(disposition, "location", "id"))
            if line in goods and place and disposition["type"] != "MISSING":
                yield _back(
                    goods[line], place, whole(disposition["quantity"]), disposition["createdAt"],
                    config, {"number": tail(each["id"]), "line": tail(disposition["id"])},
                    is_good=disposition["type"] == "RESTOCKED",
                )  # fmt: skip


def _dispositions(returned: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in returned.get("lineItems") or ():
        line = tail(at(row, "fulfillmentLineItem", "lineItem", "id"))
        for disposition in row.get("dispositions") or ():
            yield line, disposition


def _back(
    line: Mapping[str, Any],
    place: str,
    quantity: int,
    when: Any,
    config: Mapping[str, Any],
    document: Mapping[str, str],
    *,
    is_good: bool,
) -> EventData | Undecodable:
    ours = location_of(config, place)
    if ours is None:
        return unknown_location(config, place)
    event = {
        **_item(line, config), "location": ours, "quantity": quantity,
        "occurred_at": rfc3339(moment(when)), "document": {"type": "return", **document},
    }  # fmt: skip
    is_sellable = is_good and config.get("restocks_returns")
    return EventData(RETURNED, event | ({"disposition": "restock"} if is_sellable else {}))
