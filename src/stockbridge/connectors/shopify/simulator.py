"""A Shopify shop on loopback: the Admin GraphQL API with its costs, keys, jobs and traps."""

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.kit.canonical import at, canonical, moment, parsed
from stockbridge.connectors.kit.simulator import Listed, Served
from stockbridge.connectors.shopify.answers import (
    KEYED,
    connection,
    objects,
    refused,
    runtime_fault,
    ship_fault,
    work_view,
)
from stockbridge.connectors.shopify.mapping import gid, tail
from stockbridge.connectors.shopify.selling import CLOSED, LEEDS, LONDON, SHOP, Selling

Variables = Mapping[str, Any]

_POINTS_MAX: Final = 2_000.0
_POINTS_PER_SECOND: Final = 100.0
_OPERATIONS: Final[Mapping[str, str]] = {
    "Test": "test", "Observe": "observe", "Publish": "publish", "Activate": "activate",
    "Catalog": "catalog", "Orders": "orders", "Ship": "confirm_shipment",
    "Cancel": "cancel_order", "RefundUnits": "cancel_order",
}  # fmt: skip
_SCOPES: Final = (
    "read_products", "write_inventory", "read_locations", "write_orders", "read_returns",
    "write_merchant_managed_fulfillment_orders",
)  # fmt: skip


class Simulator(Selling):
    """A shop, its API and what goes wrong with it."""

    name = "shopify"

    def __init__(self) -> None:
        super().__init__()
        self.scopes = list(_SCOPES)
        self.served_version = ""
        """The version it answers with when the one asked for is withdrawn."""
        self.hides_bad_rows = False
        """Whether the error of a bad row names no row."""
        self.concurrent_calls = 0
        """So many calls with a key find the same one still running."""
        self.failed_keys = 0
        """So many first attempts under a key have failed before."""
        self.jobs_wait = False
        """Whether cancelling takes its time, until settle()."""
        self.status = 200
        """Another status for every call, as of a shop that is frozen."""
        self.lines_max = 20
        self.answers: list[tuple[bytes, Any]] = []
        """What was asked, and the data that was answered."""
        self._keys: dict[str, bytes] = {}
        self._said: dict[str, Any] = {}
        self._jobs: dict[str, tuple[str, str]] = {}
        self._points, self._points_at = _POINTS_MAX, self.clock.time()
        self._asked: Mapping[str, Callable[[Variables], Any]] = {
            "Test": self._test, "Observe": self._observe, "Publish": self._publish,
            "Activate": self._activate, "Catalog": self._catalog, "Orders": self._list,
            "Lines": self._lines, "Refunds": self._refunds, "Refund": self._show_refund,
            "Returns": self._returns, "Returned": self._returned, "Parcel": self._parcel,
            "Fulfillment": self._fulfillment, "FulfillmentOrders": self._fulfillment_orders,
            "FulfillmentOrderLines": self._work_lines, "Remember": self._remember,
            "Ship": self._ship, "Cancel": self._cancel, "RefundUnits": self._refund_units,
            "Cancelled": self._show_cancelled, "Job": self._job,
        }  # fmt: skip

    def served(self) -> Sequence[Served]:
        """One address for everything, and one for tokens."""
        return [
            Served("graphql", "POST", "/admin/api/{version}/graphql.json", self._graphql),
            Served("token", "POST", "/admin/oauth/access_token", self._token),
        ]

    def operation_of(self, served: Served, body: bytes) -> str:
        """By the name of the document's operation."""
        if served.operation != "graphql":
            return served.operation
        name = str(at(parsed(body), "operationName"))
        return _OPERATIONS.get(name, name.lower())

    def throttled(self, operation: str) -> Response:
        """THROTTLED at HTTP 200, with what the bucket holds."""
        del operation
        cost = self._cost(_POINTS_PER_SECOND * self.retry_after_seconds, None, 0.0)
        return refused("THROTTLED", "Throttled", cost)

    def settle(self) -> None:
        """Let every job end."""
        for job, (order, reason) in list(self._jobs.items()):
            if order and self._orders[order]["cancelled"] is None:
                self._call_off(order, reason)
            self._jobs[job] = ("", "")

    def fail_jobs(self) -> None:
        """Every job ends, and has done nothing."""
        self._jobs = dict.fromkeys(self._jobs, ("", ""))

    # Doors -------------------------------------------------------------------------------------

    async def _token(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        wanted = {"grant_type": "client_credentials", "client_id": self.config()["client_id"],
                  **self._secrets}  # fmt: skip
        if {name: values[0] for name, values in form.items()} != wanted:
            return JSONResponse({"error": "invalid_client"}, 400)
        token = f"shpat_{os.urandom(16).hex()}"
        self._tokens.add(token)
        self.issued.add(token)
        return JSONResponse({"access_token": token, "scope": "", "expires_in": 86_399})

    async def _graphql(self, request: Request) -> Response:
        if self.status != 200:  # noqa: PLR2004 - HTTP's own figure
            return JSONResponse({"errors": "Unavailable Shop"}, self.status)
        if request.headers.get("x-shopify-access-token") not in self._tokens:
            said = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return JSONResponse({"errors": said}, 401)
        raw = await request.body()
        body = parsed(raw)
        name, variables = body["operationName"], body["variables"]
        is_change = body["query"].lstrip().startswith("mutation")
        wanted = 10.0 if is_change else 100.0
        self._refill()
        if self._points < wanted:
            return refused("THROTTLED", "Throttled", self._cost(wanted, None, self._points))
        fault = runtime_fault(name, body["query"], variables)
        if fault:
            return refused("BAD_REQUEST", fault, self._cost(wanted, None, self._points))
        data = self._once(name, variables) if name in KEYED else self._asked[name](variables)
        actual = 10.0 if is_change else float(objects(data))
        self._points -= actual
        self.answers.append((raw, data))
        version = self.served_version or request.path_params["version"]
        cost = self._cost(wanted, actual, self._points)
        answer = {"data": data, "extensions": {"cost": cost}}
        return JSONResponse(answer, headers={"X-Shopify-API-Version": version})

    def _refill(self) -> None:
        now = self.clock.time()
        self._points = min(_POINTS_MAX, self._points + (now - self._points_at) * _POINTS_PER_SECOND)
        self._points_at = now

    def _cost(self, wanted: float, actual: float | None, available: float) -> dict[str, Any]:
        return {
            "requestedQueryCost": wanted, "actualQueryCost": actual,
            "throttleStatus": {"maximumAvailable": _POINTS_MAX, "currentlyAvailable": available,
                               "restoreRate": _POINTS_PER_SECOND},
        }  # fmt: skip

    def _once(self, name: str, variables: Variables) -> Any:
        """The same key with the same variables is done once; with others it is refused."""
        key, asked = variables["key"], canonical(variables)
        field = {"Publish": "inventorySetQuantities", "Activate": "inventoryActivate",
                 "RefundUnits": "refundCreate"}[name]  # fmt: skip
        code = ""
        if self._keys.get(key, asked) != asked:
            code = "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
        elif self.concurrent_calls:
            self.concurrent_calls -= 1
            code = "IDEMPOTENCY_CONCURRENT_REQUEST"
        elif self.failed_keys:
            self.failed_keys -= 1
            code = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
        if code:
            running = "This request is currently in progress, please try again."
            error: dict[str, Any] = {"field": None, "message": running if "CONC" in code else code}
            # Only figures have errors with codes.
            coded = {"code": code} if name == "Publish" else {}
            made = {"refund": None} if name == "RefundUnits" else {}
            return {field: {"userErrors": [error | coded], **made}}
        self._keys[key] = asked
        if key not in self._said:
            data = self._asked[name](variables)
            if at(data, field, "userErrors"):
                return data
            self._said[key] = data
        return self._said[key]

    def _test(self, _variables: Variables) -> Any:
        places = {LONDON: "London", LEEDS: "Leeds", CLOSED: "Bristol"}
        return {
            "shop": {"myshopifyDomain": f"{SHOP}.myshopify.com"},
            "currentAppInstallation": {"accessScopes": [{"handle": s} for s in self.scopes]},
            "locations": {
                "nodes": [{"id": gid("Location", place), "name": name, "isActive": place != CLOSED}
                          for place, name in places.items()]
            },
        }  # fmt: skip

    # Figures -------------------------------------------------------------------------------------

    def _observe(self, variables: Variables) -> Any:
        place = tail(variables["location"])
        nodes: list[Any] = []
        for item in map(tail, variables["items"]):
            row = self._items.get(item)
            level = row["levels"].get(place) if row else None
            shown = None if level is None else {"quantities": [{"quantity": level}]}
            nodes.append(
                row and {"__typename": "InventoryItem", "id": gid("InventoryItem", item),
                         "tracked": row["tracked"], "inventoryLevel": shown}
            )  # fmt: skip
        return {"nodes": nodes}

    def _publish(self, variables: Variables) -> Any:
        """All or nothing: one bad row fails every other."""
        rows = variables["input"]["quantities"]
        errors = [
            {"code": fault[0], "message": fault[1],
             "field": ["input"] if self.hides_bad_rows else
             ["input", "quantities", str(place), fault[2]]}
            for place, row in enumerate(rows) if (fault := self._fault_of(row)) is not None
        ]  # fmt: skip
        for row in () if errors else rows:
            item, place = tail(row["inventoryItemId"]), tail(row["locationId"])
            if self.applies():
                self._items[item]["levels"][place] = row["quantity"]
                self.did("publish", item, place, variables["key"])
        return {"inventorySetQuantities": {"userErrors": errors}}

    def _fault_of(self, row: Mapping[str, Any]) -> tuple[str | None, str, str] | None:
        item, place = tail(row["inventoryItemId"]), tail(row["locationId"])
        listed = self._items.get(item)
        if listed is None:
            said = "The specified inventory item could not be found."
            return "INVALID_INVENTORY_ITEM", said, "inventoryItemId"
        if item in self.rejected or listed["is_bundle"] or not listed["tracked"]:
            said = "The specified inventory item is not allowed to be adjusted via API."
            return "NON_MUTABLE_INVENTORY_ITEM", said, "inventoryItemId"
        if place not in listed["levels"]:
            # The schema of 2026-10 has no code for it.
            return (
                None,
                "The specified inventory item is not stocked at the location.",
                "locationId",
            )
        if row["changeFromQuantity"] not in (None, listed["levels"][place]):
            said = "The changeFromQuantity value does not match persisted value."
            return "CHANGE_FROM_QUANTITY_STALE", said, "changeFromQuantity"
        return None

    def _activate(self, variables: Variables) -> Any:
        item, place = tail(variables["item"]), tail(variables["location"])
        levels = self._items[item]["levels"]
        errors = []
        if place in levels or place not in (LONDON, LEEDS):
            said = "Not allowed to set available quantity when the item is already active."
            errors = [{"field": ["available"], "message": said}]
        else:
            levels[place] = variables["available"]
            self.did("publish", item, place, variables["key"])
        return {"inventoryActivate": {"userErrors": errors}}

    def _catalog(self, variables: Variables) -> Any:
        after = int(variables["after"].removeprefix("id:>"))
        rows = [(int(row["variant"]), item, row) for item, row in self._items.items()]
        rows = sorted((each for each in rows if each[0] > after), key=lambda each: each[0])
        size = min(variables["first"], self.page_max)
        nodes = [
            {"id": gid("ProductVariant", str(variant)), "sku": row["sku"], "barcode": None,
             "displayName": f"Item {row['sku']}", "inventoryItem": {"id": gid("InventoryItem", i)}}
            for variant, i, row in rows[:size]
        ]  # fmt: skip
        return {"productVariants": {"nodes": nodes, "pageInfo": {"hasNextPage": len(rows) > size}}}

    # Orders --------------------------------------------------------------------------------------

    def _list(self, variables: Variables) -> Any:
        """By change and id; a cursor is a place in that order, so a changed order comes again."""
        since = moment(variables["changed"].removeprefix("updated_at:>='").rstrip("'"))
        rows = sorted(
            (row["updated"], int(number))
            for number, row in self._orders.items()
            if moment(row["updated"]) >= since.replace(microsecond=0)
        )
        if variables["after"]:
            when, _, number = base64.b64decode(variables["after"]).decode().partition("|")
            rows = [row for row in rows if row > (when, int(number))]
        size = min(variables["first"], self.page_max)
        page = rows[:size]
        cursor = (
            base64.b64encode(f"{page[-1][0]}|{page[-1][1]}".encode()).decode() if page else None
        )
        following = {"hasNextPage": len(rows) > size, "endCursor": cursor}
        nodes = [self._page_view(str(number), variables) for _when, number in page]
        return {"orders": {"nodes": nodes, "pageInfo": following}}

    def _page_view(self, number: str, variables: Variables) -> dict[str, Any]:
        order, view = self._orders[number], self._order_view(number)
        if not variables["hasAddress"]:
            del view["shippingAddress"]
        rows = [self._line_view(line, row) for line, row in order["lines"].items()]
        view["lineItems"] = connection(rows, None, self.lines_max)
        view["refunds"] = [{"id": gid("Refund", refund)} for refund in order["refunds"]][:10]
        returns = [{"id": gid("Return", each)} for each in order["returns"]]
        return view | {"returns": {"nodes": returns[:1]}}

    def _lines(self, variables: Variables) -> Any:
        _number, order = self._found(variables["order"])
        rows = [self._line_view(line, row) for line, row in (order or {})["lines"].items()]
        return {"order": {"lineItems": connection(rows, variables["after"], 200)}}

    def _refunds(self, variables: Variables) -> Any:
        _number, order = self._found(variables["order"])
        rows = [{"id": gid("Refund", refund)} for refund in (order or {})["refunds"]]
        return {"order": {"refunds": rows}}

    def _show_refund(self, variables: Variables) -> Any:
        wanted = tail(variables["refund"])
        row = next(o["refunds"][wanted] for o in self._orders.values() if wanted in o["refunds"])
        view = self._refund_view(wanted, row)
        rows = view.pop("rows")
        return {"refund": view | {"refundLineItems": connection(rows, variables["after"], 100)}}

    def _returns(self, variables: Variables) -> Any:
        _number, order = self._found(variables["order"])
        rows = [
            {"id": gid("Return", each), "reverseFulfillmentOrders": {
                "nodes": [{"id": gid("ReverseFulfillmentOrder", row["reverse"])}]}}
            for each, row in (order or {})["returns"].items()
        ]  # fmt: skip
        return {"order": {"returns": connection(rows, variables["after"], 20)}}

    def _returned(self, variables: Variables) -> Any:
        rows = [
            {"fulfillmentLineItem": {"lineItem": {"id": gid("LineItem", row["line"])}},
             "dispositions": row["dispositions"]}
            for order in self._orders.values() for row in order["returns"].values()
            if row["reverse"] == tail(variables["id"])
        ]  # fmt: skip
        found = {"lineItems": connection(rows, variables["after"], 150)}
        return {"reverseFulfillmentOrder": found}

    # Shipments -----------------------------------------------------------------------------------

    def _parcel(self, variables: Variables) -> Any:
        _number, order = self._found(variables["order"])
        if order is None:
            return {"order": None}
        value = order["metafields"].get(variables["key"])
        made = [
            {"id": gid("Fulfillment", each), "status": row["status"],
             "trackingInfo": [{"number": row["tracking"]}] if row["tracking"] else []}
            for each, row in order["fulfillments"].items()
        ]  # fmt: skip
        return {"order": {"cancelledAt": order["cancelled"], "fulfillments": made,
                          "metafield": None if value is None else {"value": value}}}  # fmt: skip

    def _fulfillment(self, variables: Variables) -> Any:
        wanted = tail(variables["id"])
        units = next(
            order["fulfillments"][wanted]["units"]
            for order in self._orders.values() if wanted in order["fulfillments"]
        )  # fmt: skip
        rows = [{"quantity": n, "lineItem": {"id": gid("LineItem", i)}} for i, n in units.items()]
        return {"fulfillment": {"fulfillmentLineItems": connection(rows, variables["after"], 250)}}

    def _fulfillment_orders(self, variables: Variables) -> Any:
        _number, order = self._found(variables["order"])
        rows = [
            {"id": gid("FulfillmentOrder", each), "status": row["status"],
             "assignedLocation": {"location": {"id": gid("Location", row["location"])}},
             "lineItems": connection(work_view(row), None, self.lines_max)}
            for each, row in (order or {})["fulfillment_orders"].items()
        ]  # fmt: skip
        return {"order": {"fulfillmentOrders": connection(rows, variables["after"], 8)}}

    def _work_lines(self, variables: Variables) -> Any:
        rows = work_view(self._work_of(variables["id"]))
        return {"fulfillmentOrder": {"lineItems": connection(rows, variables["after"], 200)}}

    def _work_of(self, given: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            order["fulfillment_orders"][tail(given)]
            for order in self._orders.values() if tail(given) in order["fulfillment_orders"]
        )  # fmt: skip
        return found

    def _remember(self, variables: Variables) -> Any:
        for each in variables["metafields"]:
            number, order = self._found(each["ownerId"])
            if number is not None and order is not None:
                order["metafields"][each["key"]] = each["value"]
                self._touch(number, "orders/updated")
        return {"metafieldsSet": {"userErrors": []}}

    def _ship(self, variables: Variables) -> Any:
        """A fulfillment order without lines goes out whole."""
        fulfillment = variables["fulfillment"]
        asked = fulfillment["lineItemsByFulfillmentOrder"]
        works = {each["fulfillmentOrderId"]: self._work_of(each["fulfillmentOrderId"])
                 for each in asked}  # fmt: skip
        taken: list[tuple[dict[str, Any], int]] = []
        for each in asked:
            work = works[each["fulfillmentOrderId"]]
            wanted = each.get("fulfillmentOrderLineItems") or [
                {"id": gid("FulfillmentOrderLineItem", row), "quantity": kept["remaining"]}
                for row, kept in work["lines"].items()
            ]
            taken += [(work["lines"][tail(row["id"])], row["quantity"]) for row in wanted]
        said = ship_fault(asked, list(works.values()), taken)
        if said:
            errors = [{"field": ["fulfillment"], "message": said}]
            return {"fulfillmentCreate": {"fulfillment": None, "userErrors": errors}}
        units: dict[str, int] = {}
        for row, quantity in taken:
            row["remaining"] -= quantity
            units[row["line"]] = units.get(row["line"], 0) + quantity
        for work in works.values():
            if not any(row["remaining"] for row in work["lines"].values()):
                work["status"] = "CLOSED"
        number = next(n for n, o in self._orders.items() if units.keys() <= o["lines"].keys())
        made = self._shipped(number, units, at(fulfillment, "trackingInfo", "number") or "")
        self.did("confirm_shipment", number, made)
        found = {"id": gid("Fulfillment", made)}
        return {"fulfillmentCreate": {"fulfillment": found, "userErrors": []}}

    # Cancellations -------------------------------------------------------------------------------

    def _show_cancelled(self, variables: Variables) -> Any:
        _number, order = self._found(variables["order"])
        if order is None:
            return {"order": None}
        return {"order": {
            "cancelledAt": order["cancelled"],
            "fulfillments": [{"status": row["status"]} for row in order["fulfillments"].values()],
            "refunds": [{"id": gid("Refund", refund), "note": row["note"]}
                        for refund, row in order["refunds"].items()],
        }}  # fmt: skip

    def _cancel(self, variables: Variables) -> Any:
        number, order = self._found(variables["order"])
        is_busy = any(number == waiting for waiting, _reason in self._jobs.values())
        if number is None or order is None or order["cancelled"] or is_busy:
            error = {"code": "INVALID", "field": ["orderId"],
                     "message": "Order has already been canceled."}  # fmt: skip
            return {"orderCancel": {"job": None, "orderCancelUserErrors": [error]}}
        job = gid("Job", os.urandom(8).hex())
        self._jobs[job] = (number, variables["reason"])
        self.did("cancel_order", number)
        if not self.jobs_wait:
            self.settle()
        return {"orderCancel": {"job": {"id": job, "done": False}, "orderCancelUserErrors": []}}

    def _job(self, variables: Variables) -> Any:
        is_done = not self._jobs[variables["id"]][0]
        return {"job": {"id": variables["id"], "done": is_done}}

    def _refund_units(self, variables: Variables) -> Any:
        asked = variables["input"]
        number = tail(asked["orderId"])
        rows = {tail(row["lineItemId"]): row["quantity"] for row in asked["refundLineItems"]}
        order = self._orders[number]
        if any(order["lines"][line]["current"] < quantity for line, quantity in rows.items()):
            errors = [{"field": ["refundLineItems"], "message": "Quantity cannot refund more."}]
            return {"refundCreate": {"refund": None, "userErrors": errors}}
        made = self.refund(number, rows, asked["refundLineItems"][0]["restockType"], asked["note"])
        self.did("cancel_order", number, asked["note"])
        return {"refundCreate": {"refund": {"id": gid("Refund", made)}, "userErrors": []}}

    def unstock(self, listed: Listed) -> None:
        """Staff stop stocking it at the location."""
        del self._items[listed.item]["levels"][listed.location]
