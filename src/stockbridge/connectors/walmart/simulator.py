"""Walmart Marketplace on loopback: tokens of 900 s, ship nodes, feeds, orders, and its traps."""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.canonical import at, moment, rfc3339
from stockbridge.connectors.kit.signing import basic, hmac_base64
from stockbridge.connectors.kit.simulator import Handler, Listed, Ordered, OrderLine, Served
from stockbridge.connectors.walmart.mapping import signed_text
from stockbridge.contracts.partners.model import WebhookRequest

_NODE: Final = "10001234"
_DEFAULT_NODE: Final = "0"
_TOKEN_SECONDS: Final = 900
_PATH: Final = "/v1/webhooks/walmart"


class Simulator(simulator.Simulator):
    """A seller with one ship node, and the virtual one that figures go to that name none."""

    name = "walmart"

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)
        self._input: dict[tuple[str, str], int] = {}
        self._feeds: dict[str, list[Mapping[str, Any]]] = {}
        self._orders: dict[str, dict[str, Any]] = {}
        self._returns: list[dict[str, Any]] = []
        self._due: list[dict[str, Any]] = []
        self._tokens: dict[str, float] = {}
        self.rotate()

    def config(self) -> dict[str, Any]:
        """Its address and node."""
        return {
            "endpoint": self.url, "channel": "walmart-us", "locations": {"LONDON": _NODE},
            "returns_location": "LONDON",
        }  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """Client and webhook secret."""
        return dict(self._secrets)

    def rotate(self) -> None:
        """New ones; tokens given out before are void."""
        self._secrets = {name: os.urandom(12).hex() for name in ("client_id", "client_secret",
                                                                 "webhook")}  # fmt: skip
        self._tokens.clear()

    # The marketplace's own life ----------------------------------------------------------------

    def list_item(self, sku: str, quantity: int) -> Listed:
        """An item with a figure at the node."""
        self._input[sku, _NODE] = quantity
        return Listed(sku, _NODE)

    def unlisted(self) -> Listed:
        """No such item."""
        return Listed("NOT-LISTED", _NODE)

    def shown(self, listed: Listed) -> int | None:
        """What was put in; see `left_to_sell`."""
        return self._input.get((listed.item, listed.location))

    def left_to_sell(self, sku: str) -> int:
        """What customers can buy: what was put in less what is sold and not shipped."""
        return self._input.get((sku, _NODE), 0) - self._unshipped(sku)

    def _unshipped(self, sku: str) -> int:
        return sum(
            int(entry["statusQuantity"]["amount"])
            for order in self._orders.values()
            for line in order["orderLines"]["orderLine"]
            if line["item"]["sku"] == sku
            for entry in line["orderLineStatuses"]["orderLineStatus"]
            if entry["status"] in ("Created", "Acknowledged")
        )

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer orders."""
        number = f"{1_796_000_000_000 + next(self._numbers)}"
        rows = [
            {
                "lineNumber": str(place),
                "item": {"productName": sku, "sku": sku},
                "charges": {"charge": [{"chargeType": "PRODUCT",
                            "chargeAmount": {"currency": "USD", "amount": 9.98}}]},
                "orderLineQuantity": _each(quantity),
                "statusDate": self._millis(),
                "orderLineStatuses": {"orderLineStatus": [_status("Created", quantity)]},
            }
            for place, (sku, quantity) in enumerate(lines.items(), 1)
        ]  # fmt: skip
        self._orders[number] = {
            "purchaseOrderId": number, "customerOrderId": f"5{number}",
            "customerEmailId": "x@relay.walmart.com", "orderDate": self._millis(),
            "shippingInfo": {"phone": "2125550100", "postalAddress": {
                "name": "A Customer", "address1": "1 Main St", "address2": None,
                "city": "Bentonville", "state": "AR", "postalCode": "72712", "country": "USA"}},
            "orderLines": {"orderLine": rows},
        }  # fmt: skip
        self._tell("PO_CREATED", number)
        told = [OrderLine(str(p), sku, n) for p, (sku, n) in enumerate(lines.items(), 1)]
        return Ordered(number, told)

    def cancel(self, number: str) -> None:
        """Walmart calls off what was not shipped in time."""
        for line in self._orders[number]["orderLines"]["orderLine"]:
            self._move(line, int(line["orderLineQuantity"]["amount"]), "Cancelled")
        self._tell("PO_LINE_AUTOCANCELLED", number)

    def give_back(self, number: str, sku: str, quantity: int, status: str = "DELIVERED") -> None:
        """A customer sends goods of an order back."""
        now = rfc3339(self.clock.now())
        line = {
            "returnOrderLineNumber": 1, "purchaseOrderId": number, "item": {"sku": sku},
            "quantity": {"unitOfMeasure": "EACH", "measurementValue": quantity},
            "currentDeliveryStatus": status, "statusTime": now,
        }  # fmt: skip
        self._returns.append(
            {"returnOrderId": f"R{next(self._numbers)}", "returnOrderDate": now,
             "returnOrderLines": [line]}
        )  # fmt: skip

    def _move(
        self,
        line: dict[str, Any],
        quantity: int,
        status: str,
        extra: Mapping[str, Any] | None = None,
    ) -> int:
        """Move open units of a line to a status; how many could be."""
        entries = line["orderLineStatuses"]["orderLineStatus"]
        left = quantity
        for entry in list(entries):
            if entry["status"] in ("Created", "Acknowledged") and left:
                take = min(left, int(entry["statusQuantity"]["amount"]))
                left -= take
                rest = int(entry["statusQuantity"]["amount"]) - take
                entry["statusQuantity"] = _each(rest)
                if not rest:
                    entries.remove(entry)
        if quantity - left:
            entries.append(_status(status, quantity - left) | dict(extra or {}))
            line["statusDate"] = self._millis()
        return quantity - left

    def settle(self) -> None:
        """Work the feeds that were taken."""
        feeds, self._feeds = self._feeds, {}
        for rows in feeds.values():
            for row in rows:
                for node in row["shipNodes"]:
                    place = (row["sku"], node["shipNode"])
                    if place in self._input and row["sku"] not in self.rejected and self.applies():
                        self._input[place] = node["quantity"]["amount"]
                        self.did("publish", *place)

    def _millis(self) -> int:
        return int(self.clock.time() * 1000)

    def _tell(self, kind: str, number: str) -> None:
        source = {"eventType": kind, "eventTime": self._millis(), "eventId": os.urandom(8).hex()}
        self._due.append({"source": source, "payload": {"purchaseOrderId": number}})

    def webhooks(self) -> list[WebhookRequest]:
        """Those due, signed."""
        due, self._due = self._due, []
        return [self._signed(msgspec.json.encode(event)) for event in due]

    def _signed(self, body: bytes) -> WebhookRequest:
        stamp = str(self._millis())
        text = signed_text("POST", _PATH, "", stamp, body)
        signature = hmac_base64(self._secrets["webhook"], text)
        headers = {"wm_sec.signature": signature, "wm_sec.timestamp": stamp}
        return WebhookRequest("POST", _PATH, "", headers, body)

    # The API ----------------------------------------------------------------------------------

    def served(self) -> Sequence[Served]:
        """What the connector calls."""
        order = "/v3/orders/{order}"
        return [
            Served("token", "POST", "/v3/token", self._token),
            Served("publish", "PUT", "/v3/inventories/{sku:path}", self._known(self._put)),
            Served("observe", "GET", "/v3/inventories/{sku:path}", self._known(self._show)),
            Served("test", "GET", "/v3/inventories", self._known(self._first)),
            Served("publish_bulk", "POST", "/v3/feeds", self._known(self._feed)),
            Served("orders", "GET", "/v3/orders", self._known(self._list_orders)),
            Served("returns", "GET", "/v3/returns", self._known(self._list_returns)),
            Served("order", "GET", order, self._known(self._show_order)),
            Served("acknowledge_order", "POST", f"{order}/acknowledge",
                   self._known(self._acknowledge)),
            Served("confirm_shipment", "POST", f"{order}/shipping", self._known(self._ship)),
            Served("cancel_order", "POST", f"{order}/cancel", self._known(self._cancel)),
            Served("catalog", "GET", "/v3/items", self._known(self._items)),
        ]  # fmt: skip

    async def _token(self, request: Request) -> Response:
        wanted = basic(self._secrets["client_id"], self._secrets["client_secret"])
        if request.headers.get("authorization") != wanted:
            return _refused(401, "UNAUTHORIZED.GMP_GATEWAY_API", "Unauthorized")
        token = os.urandom(20).hex()
        self.issued.add(token)
        self._tokens[token] = self.clock.time() + _TOKEN_SECONDS
        body = {"access_token": token, "token_type": "Bearer", "expires_in": _TOKEN_SECONDS}
        return JSONResponse(body)

    def _known(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            token = request.headers.get("wm_sec.access_token", "")
            if self._tokens.get(token, 0) <= self.clock.time():
                return _refused(
                    401, "UNAUTHORIZED.GMP_GATEWAY_API", "Unauthorized token or incorrect"
                )
            if not request.headers.get("wm_qos.correlation_id"):
                detail = "WM_QOS.CORRELATION_ID set null or invalid"
                return _refused(400, "INVALID_REQUEST_HEADER.GMP_GATEWAY_API", detail)
            return await handler(request)

        return checked

    async def _put(self, request: Request) -> Response:
        """200 whatever became of the nodes; a figure without a node goes to the virtual one."""
        sku = request.path_params["sku"]
        if not any(known == sku for known, _node in self._input):
            return _refused(404, "CONTENT_NOT_FOUND.GMP_INVENTORY_API", f"Item {sku} not found")
        nodes = (await request.json())["inventories"]["nodes"]
        return JSONResponse({"sku": sku, "nodes": [self._set(sku, node) for node in nodes]})

    def _set(self, sku: str, node: Mapping[str, Any]) -> dict[str, Any]:
        place = node.get("shipNode", _DEFAULT_NODE)
        if sku in self.rejected:
            error = {"code": self.rejected[sku], "description": "The item cannot be changed"}
            return {"shipNode": place, "status": "Failed", "errors": [error]}
        if self.applies():
            self._input[sku, place] = node["inputQty"]["amount"]
            self.did("publish", sku, place, node["inputQty"]["amount"])
        return {"shipNode": place, "status": "Success"}

    async def _show(self, request: Request) -> Response:
        sku = request.path_params["sku"]
        nodes = self._nodes(sku)
        if not nodes:
            return _refused(404, "CONTENT_NOT_FOUND.GMP_INVENTORY_API", f"Item {sku} not found")
        return JSONResponse({"sku": sku, "nodes": nodes})

    def _nodes(self, sku: str) -> list[dict[str, Any]]:
        reserved = self._unshipped(sku)
        return [
            {"shipNode": node, "inputQty": {"unit": "EACH", "amount": quantity},
             "availToSellQty": {"unit": "EACH", "amount": max(0, quantity - reserved)},
             "reservedQty": {"unit": "EACH", "amount": reserved}}
            for (known, node), quantity in self._input.items()
            if known == sku
        ]  # fmt: skip

    async def _first(self, request: Request) -> Response:
        del request
        skus = sorted({sku for sku, _node in self._input})[:10]
        rows = [{"sku": sku, "nodes": self._nodes(sku)} for sku in skus]
        return JSONResponse({"elements": {"inventories": rows}, "meta": {"totalCount": len(rows)}})

    async def _feed(self, request: Request) -> Response:
        """Names are case-sensitive; what is taken is worked later (`settle`)."""
        body = await request.json()
        if request.query_params.get("feedType") != "MP_INVENTORY" or "inventory" not in body:
            return _refused(400, "ERR_EXT_DATA_0503009", "inventory is missing")
        name = f"F{next(self._numbers):032}"
        self._feeds[name] = body["inventory"]
        return JSONResponse({"feedId": name})

    async def _list_orders(self, request: Request) -> Response:
        """Offset pages in the order orders were made; the cursor is the next page's query."""
        query = dict(request.query_params)
        since = moment(query.get("lastModifiedStartDate") or query["createdStartDate"])
        by_change = "lastModifiedStartDate" in query
        rows = [
            order
            for order in self._orders.values()
            if self._stamp(order, by_change=by_change) >= since.timestamp() * 1000
        ]
        begin = int(query.get("soIndex", 0))
        size = min(self.page_max, int(query.get("limit", 100)))
        meta: dict[str, Any] = {"totalCount": len(rows), "limit": size}
        if begin + size < len(rows):
            following = {**query, "soIndex": str(begin + size), "hasMoreElements": "true"}
            meta["nextCursor"] = f"?{urlencode(following)}"
        page = rows[begin : begin + size]
        return JSONResponse({"list": {"meta": meta, "elements": {"order": page}}})

    async def _list_returns(self, request: Request) -> Response:
        query = dict(request.query_params)
        begin = int(query.get("soIndex", 0))
        end = begin + min(self.page_max, int(query.get("limit", 10)))
        meta: dict[str, Any] = {"totalCount": len(self._returns)}
        if end < len(self._returns):
            meta["nextCursor"] = f"?{urlencode({**query, 'soIndex': str(end)})}"
        return JSONResponse({"meta": meta, "returnOrders": self._returns[begin:end]})

    @staticmethod
    def _stamp(order: Mapping[str, Any], *, by_change: bool) -> int:
        changes = [line["statusDate"] for line in order["orderLines"]["orderLine"]]
        return max(changes) if by_change else int(order["orderDate"])

    def _named(self, request: Request) -> dict[str, Any] | None:
        return self._orders.get(request.path_params["order"])

    async def _show_order(self, request: Request) -> Response:
        order = self._named(request)
        if order is None:
            return _refused(404, "CONTENT_NOT_FOUND.GMP_ORDER_API", "No order found")
        return JSONResponse({"order": order})

    async def _acknowledge(self, request: Request) -> Response:
        order = self._named(request)
        if order is None:
            return _refused(404, "CONTENT_NOT_FOUND.GMP_ORDER_API", "No order found")
        for line in order["orderLines"]["orderLine"]:
            for entry in line["orderLineStatuses"]["orderLineStatus"]:
                if entry["status"] == "Created":
                    entry["status"] = "Acknowledged"
                    line["statusDate"] = self._millis()
        self.did("acknowledge_order", order["purchaseOrderId"])
        return JSONResponse({"order": order})

    async def _ship(self, request: Request) -> Response:
        body = (await request.json())["orderShipment"]
        return self._worked(request, body, "Shipped", "confirm_shipment")

    async def _cancel(self, request: Request) -> Response:
        body = (await request.json())["orderCancellation"]
        return self._worked(request, body, "Cancelled", "cancel_order")

    def _worked(
        self, request: Request, body: Mapping[str, Any], status: str, operation: str
    ) -> Response:
        """More units than are open are refused; what was not acknowledged cannot be shipped."""
        order = self._named(request)
        if order is None:
            return _refused(404, "CONTENT_NOT_FOUND.GMP_ORDER_API", "No order found")
        lines = {line["lineNumber"]: line for line in order["orderLines"]["orderLine"]}
        for told in body["orderLines"]["orderLine"]:
            entry = told["orderLineStatuses"]["orderLineStatus"][0]
            wanted = int(entry["statusQuantity"]["amount"])
            open_in = ("Acknowledged",) if status == "Shipped" else ("Created", "Acknowledged")
            is_open = sum(
                int(e["statusQuantity"]["amount"])
                for e in lines[told["lineNumber"]]["orderLineStatuses"]["orderLineStatus"]
                if e["status"] in open_in
            )
            if wanted > is_open:
                detail = f"line {told['lineNumber']}: {wanted} asked, {is_open} open"
                return _refused(400, "INVALID_REQUEST_CONTENT.GMP_ORDER_API", detail)
        for told in body["orderLines"]["orderLine"]:
            entry = told["orderLineStatuses"]["orderLineStatus"][0]
            extra = {name: entry[name] for name in ("trackingInfo",) if name in entry}
            wanted = int(entry["statusQuantity"]["amount"])
            line = lines[told["lineNumber"]]
            self._move(line, wanted, status, extra)
            if status == "Shipped":
                self._input[line["item"]["sku"], _NODE] -= wanted
        self.did(operation, order["purchaseOrderId"], msgspec.json.encode(body).decode())
        return JSONResponse({"order": order})

    async def _items(self, request: Request) -> Response:
        skus = sorted({sku for sku, _node in self._input})
        cursor = request.query_params.get("nextCursor", "*")
        begin = 0 if cursor == "*" else int(dict(parse_qsl(cursor))["at"])
        end = begin + min(self.page_max, int(request.query_params.get("limit", 20)))
        rows = [{"mart": "WALMART_US", "sku": sku, "productName": sku} for sku in skus[begin:end]]
        following = {"nextCursor": f"at={end}"} if end < len(skus) else {}
        return JSONResponse({"ItemResponse": rows, "totalItems": len(skus), **following})


def _each(quantity: int) -> dict[str, str]:
    return {"unitOfMeasurement": "EACH", "amount": str(quantity)}


def _status(status: str, quantity: int) -> dict[str, Any]:
    return {"status": status, "statusQuantity": _each(quantity)}


def _refused(status: int, code: str, description: str) -> Response:
    error = {"code": code, "description": description, "severity": "ERROR"}
    return JSONResponse({"error": [{**error, "info": at(error, "description")}]}, status)
