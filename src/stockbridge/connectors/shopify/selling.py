"""A simulated shop's own life: what it lists, sells, refunds and takes back, and its webhooks."""

import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.signing import hmac_base64
from stockbridge.connectors.kit.simulator import Listed, Ordered, OrderLine
from stockbridge.connectors.shopify.mapping import gid, tail
from stockbridge.contracts.partners.model import WebhookRequest

LONDON: Final = "65536001"
LEEDS: Final = "65536002"
CLOSED: Final = "65536003"
SHOP: Final = "kettle-mill"


class Selling(simulator.Simulator):
    """A shop with two warehouses."""

    def __init__(self) -> None:
        super().__init__()
        self._ids = 1_000
        self._items: dict[str, dict[str, Any]] = {}
        self._orders: dict[str, dict[str, Any]] = {}
        self._due: list[tuple[str, dict[str, Any]]] = []
        self._secrets: dict[str, str] = {}
        self.access_token = ""
        """A token that stands, as custom apps of before 2026 have one."""
        self._tokens: set[str] = set()
        self.rotate()

    def config(self) -> dict[str, Any]:
        """Its address and places."""
        return {
            "shop": SHOP, "endpoint": self.url, "client_id": "4f1c0f9d8a7b", "channel": "shopify",
            "locations": {"LONDON": LONDON, "LEEDS": LEEDS},
        }  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """The app's secret."""
        return dict(self._secrets)

    def rotate(self) -> None:
        """A new secret; tokens of the old one end."""
        self._secrets = {"client_secret": f"shpss_{os.urandom(16).hex()}"}
        self.access_token = f"shpat_{os.urandom(16).hex()}"
        self._tokens = {self.access_token}

    def _id(self) -> str:
        self._ids += 1
        return str(self._ids)

    def _now(self) -> str:
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    # Items -------------------------------------------------------------------------------------

    def list_item(self, sku: str, quantity: int) -> Listed:
        """A tracked variant, stocked in London."""
        item = next((i for i, row in self._items.items() if row["sku"] == sku), None)
        if item is None:
            item = self._id()
            self._items[item] = {"sku": sku, "variant": self._id(), "tracked": True,
                                 "is_bundle": False, "levels": {}}  # fmt: skip
        self._items[item]["levels"][LONDON] = quantity
        return Listed(item, LONDON)

    def unlisted(self) -> Listed:
        """No such inventory item."""
        return Listed("999999999", LONDON)

    def shown(self, listed: Listed) -> int | None:
        """What is available at the location."""
        found: int | None = self._items[listed.item]["levels"].get(listed.location)
        return found

    def bundle(self, listed: Listed) -> None:
        """Staff make a bundle of it: its figures follow from its components."""
        self._items[listed.item]["is_bundle"] = True

    def untrack(self, listed: Listed) -> None:
        """Staff switch tracking off."""
        self._items[listed.item]["tracked"] = False

    # Orders ------------------------------------------------------------------------------------

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer pays an order: what is available falls at once."""
        items = {row["sku"]: item for item, row in self._items.items()}
        rows: dict[str, dict[str, Any]] = {}
        for sku, quantity in lines.items():
            self._items[items[sku]]["levels"][LONDON] -= quantity
            rows[self._id()] = {"sku": sku, "item": items[sku], "quantity": quantity,
                                "current": quantity, "unfulfillable": 0}  # fmt: skip
        number = self._id()
        self._orders[number] = {
            "lines": rows, "created": self._now(), "updated": self._now(), "cancelled": None,
            "reason": None, "status": "PAID", "test": False, "refunds": {}, "fulfillments": {},
            "metafields": {}, "returns": {}, "fulfillment_orders": {},
        }  # fmt: skip
        self._work(number, LONDON, {line: row["quantity"] for line, row in rows.items()})
        self._tell("orders/create", number)
        told = [OrderLine(line, row["sku"], row["quantity"]) for line, row in rows.items()]
        return Ordered(number, told)

    def _work(self, number: str, location: str, units: Mapping[str, int]) -> str:
        """A fulfillment order."""
        order = self._id()
        self._orders[number]["fulfillment_orders"][order] = {
            "status": "OPEN", "location": location,
            "lines": {self._id(): {"line": line, "remaining": n} for line, n in units.items()},
        }  # fmt: skip
        return order

    def move(self, number: str, line: str, quantity: int) -> None:
        """Staff let Leeds send a part."""
        self._take_open(number, line, quantity)
        self._work(number, LEEDS, {line: quantity})

    def hold(self, number: str, status: str = "ON_HOLD") -> None:
        """Staff put the order on hold, or release it with OPEN."""
        for each in self._orders[number]["fulfillment_orders"].values():
            each["status"] = status

    def _take_open(self, number: str, line: str, quantity: int) -> int:
        """Take units out of what is still to be sent; how many there were."""
        taken = 0
        for each in self._orders[number]["fulfillment_orders"].values():
            for row in each["lines"].values():
                if row["line"] == line:
                    now = min(quantity - taken, row["remaining"])
                    row["remaining"] -= now
                    taken += now
            if not any(row["remaining"] for row in each["lines"].values()):
                each["status"] = "CLOSED"
        return taken

    def cancel(self, number: str) -> None:
        """The customer calls it off; staff put the units back."""
        order = self._orders[number]
        for line, row in order["lines"].items():
            open_units = self._take_open(number, line, row["current"])
            self._items[row["item"]]["levels"][LONDON] += open_units
        self._call_off(number, "CUSTOMER")

    def _call_off(self, number: str, reason: str) -> None:
        order = self._orders[number]
        order["cancelled"], order["reason"] = self._now(), reason
        for line, row in order["lines"].items():
            row["unfulfillable"] += self._take_open(number, line, row["current"])
            row["current"] = 0
        self._touch(number, "orders/cancelled")

    def refund(self, number: str, units: Mapping[str, int], restock: str, note: str = "") -> str:
        """Staff refund units: CANCEL and RETURN put them back, NO_RESTOCK does not."""
        order, refund = self._orders[number], self._id()
        for line, quantity in units.items():
            row = order["lines"][line]
            row["current"] -= quantity
            if restock != "RETURN":
                row["unfulfillable"] += self._take_open(number, line, quantity)
            if restock != "NO_RESTOCK":
                self._items[row["item"]]["levels"][LONDON] += quantity
        order["refunds"][refund] = {"note": note, "at": self._now(), "restock": restock,
                                    "units": dict(units), "return": None}  # fmt: skip
        order["status"] = "PARTIALLY_REFUNDED"
        self._touch(number, "refunds/create")
        return refund

    def edit(self, number: str, line: str, quantity: int) -> None:
        """Staff edit units out of the order."""
        row = self._orders[number]["lines"][line]
        row["current"] -= quantity
        row["unfulfillable"] += self._take_open(number, line, quantity)
        self._touch(number, "orders/edited")

    def take_back(self, number: str, line: str, dispositions: Mapping[str, int]) -> None:
        """Staff book goods that came back, by what becomes of them."""
        rows = [{"id": gid("ReverseFulfillmentOrderDisposition", self._id()), "type": kind,
                 "quantity": quantity, "createdAt": self._now(),
                 "location": {"id": gid("Location", LONDON)}}
                for kind, quantity in dispositions.items()]  # fmt: skip
        self._orders[number]["returns"][self._id()] = {
            "reverse": self._id(), "line": line, "dispositions": rows
        }  # fmt: skip
        self._touch(number, "reverse_fulfillment_orders/dispose")

    def fulfill(self, number: str, units: Mapping[str, int], number_of_parcel: str = "") -> str:
        """Staff, or an app, ship units."""
        for line, quantity in units.items():
            self._take_open(number, line, quantity)
        return self._shipped(number, units, number_of_parcel)

    def _shipped(self, number: str, units: Mapping[str, int], tracking: str) -> str:
        made = self._id()
        self._orders[number]["fulfillments"][made] = {
            "status": "SUCCESS", "tracking": tracking, "units": dict(units)
        }  # fmt: skip
        self._touch(number, "orders/updated")
        return made

    def delete(self, number: str) -> None:
        """Staff delete an order."""
        del self._orders[number]
        self._due.append(("orders/delete", {"id": int(number)}))

    def age(self, number: str, moment: str) -> None:
        """Let the order have been changed last at a moment."""
        self._orders[number]["updated"] = moment

    def _touch(self, number: str, topic: str) -> None:
        self._orders[number]["updated"] = self._now()
        self._tell(topic, number)

    # Webhooks ------------------------------------------------------------------------------------

    def _tell(self, topic: str, number: str) -> None:
        """What a webhook carries is the order as it is now, however often and late it is sent."""
        order = self._orders[number]
        body = {
            "id": int(number), "admin_graphql_api_id": gid("Order", number),
            "name": f"#{number}", "created_at": order["created"], "updated_at": order["updated"],
            "cancelled_at": order["cancelled"],
            "line_items": [
                {"id": int(line), "sku": row["sku"], "quantity": row["quantity"],
                 "current_quantity": row["current"]}
                for line, row in order["lines"].items()
            ],
        }  # fmt: skip
        self._due.append((topic, body))

    def webhooks(self) -> list[WebhookRequest]:
        """Those due, signed with the app's secret."""
        due, self._due = self._due, []
        return [self._signed(topic, body) for topic, body in due]

    def _signed(self, topic: str, told: Mapping[str, Any]) -> WebhookRequest:
        body = msgspec.json.encode(told)
        headers = {
            "content-type": "application/json",
            "x-shopify-topic": topic,
            "x-shopify-shop-domain": f"{SHOP}.myshopify.com",
            "x-shopify-api-version": "2026-10",
            "x-shopify-webhook-id": os.urandom(16).hex(),
            "x-shopify-event-id": os.urandom(16).hex(),
            "x-shopify-triggered-at": self._now(),
            "x-shopify-hmac-sha256": hmac_base64(self._secrets["client_secret"], body),
        }
        return WebhookRequest("POST", "/v1/webhooks/shopify", "", headers, body)

    def _line_view(self, line: str, row: Mapping[str, Any]) -> dict[str, Any]:
        item = self._items[row["item"]]
        return {
            "id": gid("LineItem", line), "sku": row["sku"], "quantity": row["quantity"],
            "currentQuantity": row["current"], "nonFulfillableQuantity": row["unfulfillable"],
            "requiresShipping": True,
            "variant": {"inventoryItem": {"id": gid("InventoryItem", row["item"]),
                                          "tracked": item["tracked"]}},
        }  # fmt: skip

    def _order_view(self, number: str) -> dict[str, Any]:
        order = self._orders[number]
        return {
            "id": gid("Order", number), "test": order["test"], "createdAt": order["created"],
            "updatedAt": order["updated"], "processedAt": order["created"],
            "cancelledAt": order["cancelled"], "cancelReason": order["reason"],
            "currencyCode": "GBP", "displayFinancialStatus": order["status"],
            "shippingAddress": {
                "name": "A Customer", "company": None, "address1": "1 High Street",
                "address2": None, "city": "Leeds", "provinceCode": "ENG", "zip": "LS1 1AA",
                "countryCodeV2": "GB", "phone": None,
            },
        }  # fmt: skip

    def _refund_view(self, refund: str, row: Mapping[str, Any]) -> dict[str, Any]:
        is_back = row["restock"] != "NO_RESTOCK"
        place = {"id": gid("Location", LONDON)} if is_back else None
        rows = [
            {"quantity": quantity, "restockType": row["restock"], "restocked": is_back,
             "lineItem": {"id": gid("LineItem", line)}, "location": place}
            for line, quantity in row["units"].items()
        ]  # fmt: skip
        kind = row["return"] and {"id": gid("Return", row["return"])}
        return {"id": gid("Refund", refund), "note": row["note"], "createdAt": row["at"],
                "return": kind, "rows": rows}  # fmt: skip

    def _found(self, given: Any) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """An order by its global id."""
        number = tail(given)
        return (number, self._orders[number]) if number in self._orders else (None, None)
