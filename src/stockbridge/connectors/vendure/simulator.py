"""A Vendure shop on loopback: its Admin API by operation names, answers as of Vendure 3.7."""

import base64
import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.canonical import at, moment, parsed
from stockbridge.connectors.kit.signing import standard_headers
from stockbridge.connectors.kit.simulator import Listed, Ordered, OrderLine, Served
from stockbridge.contracts.partners.model import WebhookRequest

_LIST_MAX: Final = 1000
_INT_END: Final = 2**31
_PLACE: Final = "1"
_USER: Final = "hub@example.com"
_OPERATIONS: Final[Mapping[str, str]] = {
    "Login": "token", "About": "test", "Figures": "observe", "SetFigures": "publish",
    "Catalog": "catalog", "Orders": "orders", "OneOrder": "order",
    "Fulfill": "confirm_shipment", "Transit": "ship", "Cancel": "cancel_order",
}  # fmt: skip
_Data = dict[str, Any]


class GraphqlError(Exception):
    """An error that ends a query: nothing of it stays."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Simulator(simulator.Simulator):
    """A shop with one channel and one stock location."""

    name = "vendure"

    def __init__(self) -> None:
        super().__init__()
        self.settings: _Data = {"trackInventory": True, "outOfStockThreshold": 0}
        self.permissions = ["Authenticated", "SuperAdmin"]
        self._numbers = itertools.count(1)
        self._variants: dict[str, _Data] = {}
        self._orders: dict[str, _Data] = {}
        self._sessions: set[str] = set()
        self._due: list[_Data] = []
        self.rotate()

    def config(self) -> _Data:
        """Its Admin API."""
        return {"url": f"{self.url}/admin-api", "channel": "webshop", "username": _USER}

    def secrets(self) -> dict[str, str]:
        """The administrator's password, and what the plugin signs with."""
        return dict(self._secrets)

    def rotate(self) -> None:
        """Another password; sessions end."""
        self._sessions.clear()
        self._secrets = {
            "password": os.urandom(12).hex(),
            "webhook": f"whsec_{base64.b64encode(os.urandom(24)).decode()}",
        }

    # The shop's own life ---------------------------------------------------------------------

    def list_item(self, sku: str, quantity: int) -> Listed:
        """A variant whose stock is counted."""
        variant = next((v for v in self._variants.values() if v["sku"] == sku), None)
        if variant is None:
            variant = {
                "id": self._id(), "sku": sku, "name": f"A {sku}", "trackInventory": "INHERIT",
                "outOfStockThreshold": 0, "useGlobalOutOfStockThreshold": True,
            }  # fmt: skip
            self._variants[variant["id"]] = variant
        level = {"stockLocationId": _PLACE, "stockOnHand": quantity, "stockAllocated": 0}
        variant["stockLevels"] = [level]
        return Listed(variant["id"], "")

    def change(self, listed: Listed, **fields: Any) -> None:
        """Somebody sets fields of a variant."""
        self._variants[listed.item].update(fields)

    def unlisted(self) -> Listed:
        """No such variant."""
        return Listed("999999", "")

    def shown(self, listed: Listed) -> int | None:
        """What customers may still buy."""
        variant = self._variants.get(listed.item)
        if variant is None:
            return None
        of = self.settings if variant["useGlobalOutOfStockThreshold"] else variant
        free = sum(v["stockOnHand"] - v["stockAllocated"] for v in variant["stockLevels"])
        return int(free - of["outOfStockThreshold"])

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer orders and pays: the stock is allocated, on hand it stays."""
        variants = {variant["sku"]: variant for variant in self._variants.values()}
        now = self._now()
        rows: list[_Data] = [
            {"id": self._id(), "quantity": n, "orderPlacedQuantity": n,
             "productVariant": {"id": variants[sku]["id"], "sku": sku}}
            for sku, n in lines.items()
        ]  # fmt: skip
        order: _Data = {
            "id": self._id(), "code": os.urandom(8).hex().upper(), "type": "Regular",
            "state": "PaymentSettled", "active": False, "orderPlacedAt": now, "updatedAt": now,
            "currencyCode": "GBP", "customer": {"id": "7"}, "lines": rows, "fulfillments": [],
            "payments": [{"state": "Settled", "createdAt": now}], "modifications": [],
            "history": {"items": []},
            "shippingAddress": {"fullName": "A B", "company": None, "streetLine1": "1 Road",
                                "streetLine2": None, "city": "London", "province": None,
                                "postalCode": "N1", "countryCode": "GB", "phoneNumber": None},
        }  # fmt: skip
        self._orders[order["id"]] = order
        for row in rows:
            self._level(row)["stockAllocated"] += row["quantity"]
        self._tell(order)
        return Ordered(order["code"], [OrderLine(r["id"], r["productVariant"]["sku"], r["quantity"])
                                       for r in rows])  # fmt: skip

    def cancel(self, number: str) -> None:
        """The shop's staff call an order off."""
        order = self._by_code(number)
        self._call_off(order, {line["id"]: line["quantity"] for line in order["lines"]}, None)

    def cancel_part(self, number: str, units: Mapping[str, int]) -> None:
        """They call off units by line."""
        self._call_off(self._by_code(number), units, "customer")

    def fulfill(self, number: str, units: Mapping[str, int]) -> None:
        """They ship units by line themselves."""
        self._fulfill(self._by_code(number), units, "By hand", "")

    def state(self, number: str) -> str:
        """Where an order is."""
        return str(self._by_code(number)["state"])

    def _by_code(self, number: str) -> _Data:
        return next(order for order in self._orders.values() if order["code"] == number)

    def _level(self, line: Mapping[str, Any]) -> _Data:
        return self._variants[line["productVariant"]["id"]]["stockLevels"][0]  # type: ignore[no-any-return]

    def _id(self) -> str:
        return str(next(self._numbers))

    def _now(self) -> str:
        """Whole seconds, as with SQLite."""
        return f"{self.clock.now():%Y-%m-%dT%H:%M:%S}.000Z"

    def _tell(self, order: _Data) -> None:
        order["updatedAt"] = self._now()
        self._due.append({"type": "order", "code": order["code"], "state": order["state"]})

    def webhooks(self) -> list[WebhookRequest]:
        """The plugin's hints that are due."""
        due, self._due = self._due, []
        return [self._signed(msgspec.json.encode(event)) for event in due]

    def _signed(self, body: bytes) -> WebhookRequest:
        stamp = int(time.time())
        headers = standard_headers([self._secrets["webhook"]], os.urandom(8).hex(), stamp, body)
        return WebhookRequest("POST", "/v1/webhooks/shop", "", headers, body)

    # The API ---------------------------------------------------------------------------------

    def served(self) -> Sequence[Served]:
        """One address for everything."""
        return [Served("query", "POST", "/admin-api", self._answer_query)]

    def operation_of(self, served: Served, body: bytes) -> str:
        """By the query's name."""
        try:
            return _OPERATIONS.get(str(at(parsed(body), "operationName")), served.operation)
        except ValueError:
            return served.operation

    async def _answer_query(self, request: Request) -> Response:
        body = parsed(await request.body())
        name, given = str(body.get("operationName")), body.get("variables") or {}
        if name == "Login":
            return self._login(given)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._sessions:
            message = "You are not currently authorized to perform this action"
            return _errors(GraphqlError("FORBIDDEN", message))
        resolvers: dict[str, Callable[[_Data], _Data]] = {
            "About": self._about, "Figures": self._figures, "SetFigures": self._set,
            "Catalog": self._catalog, "Orders": self._list_orders, "OneOrder": self._list_orders,
            "Fulfill": self._add_fulfillment, "Transit": self._transit, "Cancel": self._cancel,
        }  # fmt: skip
        try:
            return JSONResponse({"data": resolvers[name](given)})
        except GraphqlError as error:
            return _errors(error)

    def _login(self, given: _Data) -> Response:
        if given != {"username": _USER, "password": self._secrets["password"]}:
            refused = _result("InvalidCredentialsError", "The provided credentials are invalid")
            return JSONResponse({"data": {"login": refused}})
        token = os.urandom(32).hex()
        self._sessions.add(token)
        self.issued.add(token)
        said = {"data": {"login": {"__typename": "CurrentUser"}}}
        return JSONResponse(said, headers={"vendure-auth-token": token})

    def _about(self, _given: _Data) -> _Data:
        channel = {"id": "1", "code": "__default_channel__"}
        token = {"token": "5eheurtfbcj5zojhv3cd"}
        return {
            "activeChannel": channel | token,
            "globalSettings": self.settings,
            "stockLocations": {"items": [{"id": _PLACE, "name": "Default Stock Location"}]},
            "me": {"identifier": _USER,
                   "channels": [{**channel, "permissions": self.permissions}]},
        }  # fmt: skip

    def _figures(self, given: _Data) -> _Data:
        wanted = given["options"]["filter"]["id"]["in"]
        rows = [self._variants[item] for item in sorted(wanted) if item in self._variants]
        return {
            "globalSettings": self.settings,
            "productVariants": self._page(rows, given["options"]),
        }

    def _page(self, rows: Sequence[_Data], options: Mapping[str, Any]) -> _Data:
        if options.get("take", 0) > _LIST_MAX:
            message = f"Cannot take more than {_LIST_MAX} results from a list query"
            raise GraphqlError("USER_INPUT_ERROR", message)
        begin = options.get("skip", 0)
        end = begin + options.get("take", _LIST_MAX)
        return {"totalItems": len(rows), "items": list(rows[begin:end])}

    def _set(self, given: _Data) -> _Data:
        """All or nothing."""
        rows = given["input"]
        for row in rows:
            if row["id"] not in self._variants:
                message = f'No ProductVariant with the id "{row["id"]}" could be found'
                raise GraphqlError("ENTITY_NOT_FOUND", message)
            if row["stockLevels"][0]["stockOnHand"] >= _INT_END:
                raise GraphqlError("BAD_USER_INPUT", "Int cannot represent non 32-bit integer")
            if row["id"] in self.rejected:
                raise GraphqlError("USER_INPUT_ERROR", self.rejected[row["id"]])
        for row in rows:
            if self.applies():
                level = self._variants[row["id"]]["stockLevels"][0]
                level["stockOnHand"] = row["stockLevels"][0]["stockOnHand"]
                self.did("publish", row["id"], level["stockOnHand"])
        return {"updateProductVariants": [self._variants[row["id"]] for row in rows]}

    def _catalog(self, given: _Data) -> _Data:
        rows = sorted(self._variants.values(), key=lambda variant: int(variant["id"]))
        return {"productVariants": self._page(rows, self._capped(given["options"]))}

    def _capped(self, options: Mapping[str, Any]) -> _Data:
        return {**options, "take": min(options["take"], self.page_max)}

    def _list_orders(self, given: _Data) -> _Data:
        wanted = given["options"]["filter"]
        since = at(wanted, "updatedAt", "after")
        rows = [
            order
            for order in self._orders.values()
            if order["code"] == at(wanted, "code", "eq")
            or ("code" not in wanted
                and order["type"] != at(wanted, "type", "notEq")
                and order["id"] not in (at(wanted, "id", "notIn") or ())
                and (since is None or moment(order["updatedAt"]) > moment(since)))
        ]  # fmt: skip
        rows.sort(key=lambda order: (order["updatedAt"], int(order["id"])))
        return {"orders": self._page(rows, self._capped(given["options"]))}

    def _line(self, number: str) -> tuple[_Data, _Data]:
        for order in self._orders.values():
            for line in order["lines"]:
                if line["id"] == number:
                    return order, line
        message = f'No OrderLine with the id "{number}" could be found'
        raise GraphqlError("ENTITY_NOT_FOUND", message)

    def _add_fulfillment(self, given: _Data) -> _Data:
        units = {row["orderLineId"]: row["quantity"] for row in given["input"]["lines"]}
        given_by = {a["name"]: a["value"] for a in given["input"]["handler"]["arguments"]}
        order = self._line(next(iter(units)))[0]
        for number, quantity in units.items():
            line = self._line(number)[1]
            if quantity > line["quantity"] - _gone(order, number):
                message = "One or more OrderItems are already part of a Fulfillment"
                return {"addFulfillmentToOrder": _result("ItemsAlreadyFulfilledError", message)}
            on_hand = self._level(line)["stockOnHand"]
            if on_hand < quantity:
                refused = _result("InsufficientStockOnHandError", f"only {on_hand} on hand")
                told = {"productVariantId": line["productVariant"]["id"], "stockOnHand": on_hand}
                return {"addFulfillmentToOrder": refused | told}
        made = self._fulfill(order, units, given_by["method"], given_by["trackingCode"])
        self.did("confirm_shipment", order["id"], given_by["method"])
        return {"addFulfillmentToOrder": {"__typename": "Fulfillment", **made}}

    def _fulfill(
        self, order: _Data, units: Mapping[str, int], method: str, tracking: str
    ) -> _Data:  # fmt: skip
        """Pending at once: what it takes is no longer allocated, nor on hand."""
        for number, quantity in units.items():
            level = self._level(self._line(number)[1])
            level["stockAllocated"] -= quantity
            level["stockOnHand"] -= quantity
        lines = [{"orderLineId": number, "quantity": n} for number, n in units.items()]
        made = {"id": self._id(), "state": "Pending", "method": method, "trackingCode": tracking,
                "lines": lines}  # fmt: skip
        order["fulfillments"].append(made)
        return made

    def _transit(self, given: _Data) -> _Data:
        for order in self._orders.values():
            for each in order["fulfillments"]:
                if each["id"] == given["id"]:
                    return {"transitionFulfillmentToState": self._ship(order, each)}
        raise GraphqlError("ENTITY_NOT_FOUND", "No Fulfillment with this id could be found")

    def _ship(self, order: _Data, made: _Data) -> _Data:
        if made["state"] != "Pending":
            refused = _result("FulfillmentStateTransitionError", "")
            state = made["state"]
            told = f'Cannot transition Fulfillment from "{state}" to "Shipped"'
            return refused | {"transitionError": told}
        made["state"] = "Shipped"
        is_all = all(_gone(order, line["id"]) >= line["quantity"] for line in order["lines"])
        order["state"] = "Shipped" if is_all else "PartiallyShipped"
        self._tell(order)
        return {"__typename": "Fulfillment", **made}

    def _cancel(self, given: _Data) -> _Data:
        asked = given["input"]
        order = self._orders[asked["orderId"]]
        units = {row["orderLineId"]: row["quantity"] for row in asked["lines"]}
        for number, quantity in units.items():
            if quantity > self._line(number)[1]["quantity"]:
                message = "The specified quantity is greater than the available OrderItems"
                return {"cancelOrder": _result("QuantityTooGreatError", message)}
        self._call_off(order, units, asked["reason"])
        self.did("cancel_order", order["id"], asked["reason"])
        return {"cancelOrder": {"__typename": "Order", "id": order["id"], "state": order["state"]}}

    def _call_off(self, order: _Data, units: Mapping[str, int], reason: str | None) -> None:
        """What is allocated is given free; what has left is put back on hand."""
        for number, quantity in units.items():
            line = self._line(number)[1]
            gone = _gone(order, number)
            level = self._level(line)
            freed = min(quantity, line["quantity"] - gone)
            level["stockAllocated"] -= freed
            level["stockOnHand"] += min(quantity, gone)
            line["quantity"] -= quantity
        lines = [{"orderLineId": int(number), "quantity": n} for number, n in units.items()]
        data = {"lines": lines, "shippingCancelled": False}
        data |= {"reason": reason} if reason is not None else {}
        order["history"]["items"].append({"id": self._id(), "data": data})
        if not any(line["quantity"] for line in order["lines"]):
            order["state"] = "Cancelled"
        self._tell(order)

    def edit(self, number: str, sku: str, quantity: int) -> str:
        """The shop's staff add an item to an order; the line's id."""
        order = self._by_code(number)
        variant = next(v for v in self._variants.values() if v["sku"] == sku)
        line = {"id": self._id(), "quantity": quantity, "orderPlacedQuantity": 0,
                "productVariant": {"id": variant["id"], "sku": sku}}  # fmt: skip
        order["lines"].append(line)
        self._level(line)["stockAllocated"] += quantity
        order["modifications"].append({"id": self._id()})
        self._tell(order)
        return str(line["id"])


def _gone(order: Mapping[str, Any], number: str) -> int:
    """Units of a line that are in a fulfillment."""
    return sum(
        row["quantity"]
        for each in order["fulfillments"]
        for row in each["lines"]
        if row["orderLineId"] == number and each["state"] != "Cancelled"
    )


def _result(kind: str, message: str) -> _Data:
    """An error as a member of a union."""
    words = "".join(f"_{c}" if c.isupper() else c for c in kind).strip("_").upper()
    return {"__typename": kind, "errorCode": words, "message": message}


def _errors(error: GraphqlError) -> Response:
    """Errors come with status 200, and no data."""
    said = {"message": str(error), "extensions": {"code": error.code}}
    return JSONResponse({"errors": [said], "data": None})
