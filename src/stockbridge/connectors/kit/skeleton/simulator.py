"""The shop on loopback: tokens that end, versions of orders, shipments that may double."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.canonical import moment, rfc3339
from stockbridge.connectors.kit.signing import basic, hmac_hex
from stockbridge.connectors.kit.simulator import Listed, Ordered, OrderLine, Served
from stockbridge.contracts.partners.model import WebhookRequest

Handler = Callable[[Request], Awaitable[Response]]


class Simulator(simulator.Simulator):
    """A shop."""

    name = "skeleton"

    def __init__(self) -> None:
        super().__init__()
        self._products: dict[str, str] = {}
        self._figures: dict[str, int] = {}
        self._orders: dict[str, dict[str, Any]] = {}
        self._shipments: dict[str, list[dict[str, Any]]] = {}
        self._due: list[bytes] = []
        self.rotate()

    def config(self) -> dict[str, Any]:
        """Its address instead of the real one."""
        return {"endpoint": self.url, "channel": "web"}

    def secrets(self) -> dict[str, str]:
        """As they are now."""
        return dict(self._secrets)

    def rotate(self) -> None:
        """New secrets; tokens given out before end at once."""
        names = ("client_id", "client_secret", "webhook")
        self._secrets = {name: os.urandom(12).hex() for name in names}
        self._token = os.urandom(16).hex()
        self.issued.add(self._token)

    def list_item(self, sku: str, quantity: int) -> Listed:
        """Products have ids of their own."""
        product = self._products.setdefault(sku, f"prod_{len(self._products) + 1}")
        self._figures[product] = quantity
        return Listed(product, "")

    def shown(self, listed: Listed) -> int | None:
        """The figure in the shop."""
        return self._figures.get(listed.item)

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer orders."""
        number = str(1001 + len(self._orders))
        told = [OrderLine(f"{number}-{n}", sku, q) for n, (sku, q) in enumerate(lines.items(), 1)]
        for sku, quantity in lines.items():
            self._figures[self._products[sku]] -= quantity
        self._orders[number] = {
            "id": number,
            "version": 0,
            "status": "open",
            "created_at": rfc3339(self.clock.now()),
            "lines": [
                {"id": line.line, "product": self._products[line.sku], "quantity": line.quantity}
                for line in told
            ],
        }
        self._changed(number)
        return Ordered(number, told)

    def cancel(self, number: str) -> None:
        """The customer calls it off."""
        self._orders[number]["status"] = "cancelled"
        self._changed(number)

    def webhooks(self) -> list[WebhookRequest]:
        """Thin ones: the order's number only."""
        due, self._due = self._due, []
        secret = self._secrets["webhook"]
        return [
            WebhookRequest(
                "POST", "/v1/webhooks/skeleton", "", {"x-signature": hmac_hex(secret, body)}, body
            )
            for body in due
        ]

    def served(self) -> Sequence[Served]:
        """The shop's interface."""
        return [
            Served("token", "POST", "/oauth/token", self._give_token),
            Served("publish", "PUT", "/v1/stock/{product}", self._known(self._set)),
            Served("observe", "GET", "/v1/stock", self._known(self._stock)),
            Served("catalog", "GET", "/v1/products", self._known(self._list)),
            Served("orders", "GET", "/v1/orders", self._known(self._feed)),
            Served(
                "confirm_shipment", "POST", "/v1/orders/{order}/shipments", self._known(self._ship)
            ),
            Served("probe", "GET", "/v1/orders/{order}/shipments", self._known(self._shipped)),
            Served(
                "cancel_order", "POST", "/v1/orders/{order}/cancellation", self._known(self._end)
            ),
        ]

    def _changed(self, number: str) -> None:
        order = self._orders[number]
        order["version"] += 1
        order["changed_at"] = rfc3339(self.clock.now())
        self._due.append(msgspec.json.encode({"event": "order.changed", "order": number}))

    def _known(self, handler: Handler) -> Handler:
        """Only with a token that counts."""

        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {self._token}":
                return JSONResponse({"error": "token"}, 401)
            return await handler(request)

        return endpoint

    async def _give_token(self, request: Request) -> Response:
        wanted = basic(self._secrets["client_id"], self._secrets["client_secret"])
        if request.headers.get("authorization") != wanted:
            return JSONResponse({"error": "invalid_client"}, 401)
        return JSONResponse({"access_token": self._token, "expires_in": 900})

    async def _set(self, request: Request) -> Response:
        product = request.path_params["product"]
        if product in self.rejected or product not in self._figures:
            return JSONResponse({"error": self.rejected.get(product, "no such product")}, 422)
        if self.applies():
            self._figures[product] = (await request.json())["quantity"]
            self.did("publish", product, self._figures[product])
        return JSONResponse({"product": product}, headers={"X-RateLimit-Remaining": "59"})

    async def _stock(self, request: Request) -> Response:
        asked = request.query_params.get("ids", "").split(",")
        rows = [{"product": p, "quantity": self._figures[p]} for p in asked if p in self._figures]
        return JSONResponse({"stock": rows})

    async def _list(self, request: Request) -> Response:
        after = int(request.query_params.get("after", "0"))
        rows = [{"id": product, "sku": sku} for sku, product in self._products.items()]
        page, rest = rows[after : after + self.page_max], rows[after + self.page_max :]
        following = str(after + self.page_max) if rest else None
        return JSONResponse({"products": page, "after": following})

    async def _feed(self, request: Request) -> Response:
        """By (changed at, id), so that what changes between two pages comes again, at the end."""
        query = request.query_params
        since = moment(query["changed_since"]) if "changed_since" in query else None
        found = sorted(
            (f"{order['changed_at']}/{order['id']}", order)
            for order in self._orders.values()
            if since is None or moment(order["changed_at"]) >= since
        )
        rest = [(place, order) for place, order in found if place > query.get("after", "")]
        page = rest[: self.page_max]
        following = page[-1][0] if len(rest) > len(page) else None
        return JSONResponse({"orders": [order for _, order in page], "after": following})

    async def _ship(self, request: Request) -> Response:
        """Each call makes a shipment: the shop knows no repetition."""
        number, told = request.path_params["order"], await request.json()
        if number not in self._orders:
            return JSONResponse({"error": "no such order"}, 404)
        there = self._shipments.setdefault(number, [])
        there.append({"id": f"ship_{number}_{len(there) + 1}", "reference": told["reference"]})
        self.did("confirm_shipment", number, told["reference"])
        return JSONResponse({"id": there[-1]["id"]}, 201)

    async def _shipped(self, request: Request) -> Response:
        number = request.path_params["order"]
        return JSONResponse({"shipments": self._shipments.get(number, [])})

    async def _end(self, request: Request) -> Response:
        number = request.path_params["order"]
        if number not in self._orders:
            return JSONResponse({"error": "no such order"}, 404)
        if self._orders[number]["status"] != "cancelled":
            self.did("cancel_order", number)
            self.cancel(number)
        return JSONResponse({"id": number})
