"""Shipments and cancellations in Shopify's words. Values in, values out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stockbridge.connectors.kit.canonical import at, canonical, key_of, parsed, whole
from stockbridge.connectors.shopify.mapping import OURS, gid, tail
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment, ToldLine

_DEAD: Final = frozenset({"CANCELLED", "ERROR", "FAILURE"})
_OPEN: Final = frozenset({"OPEN", "IN_PROGRESS"})
_WAITS: Final = frozenset({"ON_HOLD", "SCHEDULED"})
_REASONS: Final[Mapping[str, str]] = {
    "out_of_stock": "INVENTORY", "lost": "INVENTORY", "damaged": "INVENTORY",
    "customer": "CUSTOMER", "fraud": "FRAUD", "declined": "DECLINED",
}  # fmt: skip

Units = Mapping[str, int]


class Batch(NamedTuple):
    """Fulfillment orders of one location, with the units to take of each of their lines."""

    location: str
    orders: Mapping[str, Mapping[str, int]]


def units_of(lines: Iterable[ToldLine]) -> dict[str, int]:
    """Units by the order's line."""
    units: dict[str, int] = defaultdict(int)
    for line in lines:
        units[line.line] += line.quantity
    return dict(units)


def parcel_key(package: str) -> str:
    """The name under which an order remembers what it had before a parcel."""
    return f"parcel-{key_of('parcel', package)}"


def memory_of(order: str, package: str, before: Iterable[str]) -> dict[str, Any]:
    """The metafield that remembers the fulfillments there were before a parcel was told."""
    value = canonical(sorted(before)).decode()
    return {"ownerId": gid("Order", order), "key": parcel_key(package), "type": "json",
            "value": value}  # fmt: skip


def remembered(order: Any) -> frozenset[str] | None:
    """What was remembered; None: nothing was ever sent of the parcel."""
    value = at(order, "metafield", "value")
    return None if value is None else frozenset(parsed(str(value).encode()))


def living(order: Any) -> dict[str, frozenset[str]]:
    """The order's fulfillments that stand, with their tracking numbers."""
    return {
        each["id"]: frozenset(str(at(info, "number")) for info in each["trackingInfo"]
                              if at(info, "number"))
        for each in at(order, "fulfillments") or ()
        if each.get("status") not in _DEAD
    }  # fmt: skip


def candidates(order: Any, before: frozenset[str], tracking: str) -> list[str]:
    """Fulfillments that may be the parcel's: newer ones, with its tracking number if it has one."""
    return [
        each
        for each, numbers in living(order).items()
        if each not in before and (tracking in numbers if tracking else not numbers)
    ]


def less(told: Units, done: Iterable[Any]) -> dict[str, int]:
    """What of the parcel is not told yet, given the lines of fulfillments that are its."""
    left = dict(told)
    for row in done:
        line = tail(at(row, "lineItem", "id"))
        if line in left:
            left[line] -= whole(row["quantity"])
    return {line: quantity for line, quantity in left.items() if quantity > 0}


def batches(
    left: Units, orders: Sequence[Mapping[str, Any]], location: str
) -> tuple[list[Batch], dict[str, int]]:
    """What to fulfill, the given location first, and what is not open there or anywhere."""
    wanted = dict(left)
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    ranked = sorted(orders, key=lambda each: (_place(each) != location, int(tail(each["id"]))))
    for each in ranked:
        if each.get("status") not in _OPEN:
            continue
        for row in each["lineItems"]:
            line = tail(at(row, "lineItem", "id"))
            quantity = min(wanted.get(line, 0), whole(row["remainingQuantity"]))
            if quantity > 0:
                found[_place(each)][each["id"]][row["id"]] = quantity
                wanted[line] -= quantity
    missing = {line: quantity for line, quantity in wanted.items() if quantity > 0}
    return [Batch(place, rows) for place, rows in found.items()], missing


def waits(orders: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some of the order is on hold, or not due yet."""
    return any(each.get("status") in _WAITS for each in orders)


def _place(order: Mapping[str, Any]) -> str:
    return tail(at(order, "assignedLocation", "location", "id"))


def fulfillment_of(batch: Batch, shipment: ConfirmShipment, *, notifies: bool) -> dict[str, Any]:
    """The input of fulfillmentCreate. Without its lines a fulfillment order would go out whole."""
    tracking = {"number": shipment.tracking, "company": shipment.carrier}
    if shipment.tracking:
        tracking["url"] = shipment.tracking_url
    given = {name: value for name, value in tracking.items() if value}
    rows = [
        {
            "fulfillmentOrderId": order,
            "fulfillmentOrderLineItems": [
                {"id": line, "quantity": quantity} for line, quantity in lines.items()
            ],
        }
        for order, lines in batch.orders.items()
        if lines
    ]
    return {"lineItemsByFulfillmentOrder": rows, "notifyCustomer": notifies,
            **({"trackingInfo": given} if given else {})}  # fmt: skip


# Cancellations -------------------------------------------------------------------------------


def mark(cancellation: str) -> str:
    """How the note of a refund begins that the hub made for a cancellation."""
    return f"{OURS}{cancellation} ("


def is_cancelled(order: Any, cancellation: str) -> bool:
    """Whether the order is called off, or remembers the cancellation in a refund's note."""
    notes = [str(at(refund, "note") or "") for refund in at(order, "refunds") or ()]
    return bool(at(order, "cancelledAt")) or any(n.startswith(mark(cancellation)) for n in notes)


def is_whole(order: Any, lines: Sequence[Any], units: Units) -> bool:
    """Whether every unit of an order of which nothing has left is called off."""
    live = [f for f in at(order, "fulfillments") or () if f.get("status") not in _DEAD]
    return not live and all(
        units.get(tail(line["id"]), 0) >= whole(line["currentQuantity"])
        for line in lines
        if line.get("requiresShipping") or at(line, "variant", "inventoryItem", "tracked")
    )


def reason_of(cancellation: CancelOrder) -> str:
    """Shopify's reason."""
    return _REASONS.get(cancellation.reason.lower(), "OTHER")


def note_of(cancellation: CancelOrder) -> str:
    """What staff reads, and how the cancellation is found again."""
    return f"{mark(cancellation.cancellation)}{cancellation.reason})"[:255]


def refund_of(cancellation: CancelOrder, *, notifies: bool) -> dict[str, Any]:
    """The input of refundCreate: units that will not come, nothing restocked, no money moved."""
    return {
        "orderId": gid("Order", cancellation.order),
        "note": note_of(cancellation),
        "notify": notifies,
        "refundLineItems": [
            {"lineItemId": gid("LineItem", line), "quantity": quantity, "restockType": "NO_RESTOCK"}
            for line, quantity in units_of(cancellation.lines).items()
        ],
        "transactions": [],
    }
