"""A portal on loopback: sells by itself, believes signed webhooks once, lists what it sent."""

import base64
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.canonical import at, moment, parsed, rfc3339
from stockbridge.connectors.kit.signing import is_standard, standard_headers
from stockbridge.connectors.kit.simulator import Listed, Ordered, OrderLine, Served
from stockbridge.contracts.partners.model import WebhookRequest

_OPERATIONS: Final[Mapping[str, str]] = {
    "order.acknowledged": "acknowledge_order",
    "shipment.confirmed": "confirm_shipment",
    "order.cancelled": "cancel_order",
    "return.confirmed": "confirm_return",
}
_KEYS: Final[Mapping[str, str]] = {
    "order.acknowledged": "order",
    "shipment.confirmed": "package",
    "order.cancelled": "cancellation",
    "return.confirmed": "returned",
}


class Simulator(simulator.Simulator):
    """A portal."""

    name = "generic"

    def __init__(self) -> None:
        super().__init__()
        self._figures: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._answers: dict[str, Any] = {}
        self._messages: list[dict[str, Any]] = []
        self._told = 0
        self._orders: dict[str, Ordered] = {}
        self.rotate()

    def config(self) -> dict[str, Any]:
        """Its address; our channel is `portal`."""
        return {"url": self.url, "channel": "portal", "locations": {"LONDON": "counter-1"}}

    def secrets(self) -> dict[str, str]:
        """The two signing secrets and the token."""
        return dict(self._secrets)

    def rotate(self) -> None:
        """New secrets."""
        self._secrets = {
            "signing": f"whsec_{base64.b64encode(os.urandom(24)).decode()}",
            "webhook": f"whsec_{base64.b64encode(os.urandom(24)).decode()}",
            "token": os.urandom(16).hex(),
        }

    def list_item(self, sku: str, quantity: int) -> Listed:
        """Its items have our skus."""
        self._figures[sku] = quantity
        return Listed(sku, "")

    def shown(self, listed: Listed) -> int | None:
        """The figure in the portal."""
        return self._figures.get(listed.item)

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer orders: the figures fall at once."""
        number = f"P-{len(self._orders) + 1}"
        ordered = Ordered(
            number,
            [OrderLine(str(place), sku, n) for place, (sku, n) in enumerate(lines.items(), 1)],
        )
        self._orders[number] = ordered
        for sku, quantity in lines.items():
            self._figures[sku] = self._figures.get(sku, 0) - quantity
        data = {
            "order": number,
            "placed_at": self._stamp(),
            "version": 1,
            "lines": [
                {"line": line.line, "item": line.sku, "quantity": line.quantity}
                for line in ordered.lines
            ],
        }
        self._tell("order.placed", number, data)
        return ordered

    def cancel(self, number: str) -> None:
        """The customer calls it off: the figures rise again."""
        for line in self._orders[number].lines:
            self._figures[line.sku] += line.quantity
        self._tell("order.cancelled", number, {"order": number, "by": "customer"})

    def give_back(self, number: str, lines: Mapping[str, int]) -> None:
        """A customer brings goods to the counter."""
        data = {
            "return": f"R-{number}",
            "order": number,
            "location": "counter-1",
            "received_at": self._stamp(),
            "lines": [
                {"line": str(place), "item": sku, "quantity": n}
                for place, (sku, n) in enumerate(lines.items(), 1)
            ],
        }
        self._tell("return.received", number, data)

    def webhooks(self) -> list[WebhookRequest]:
        """What happened since the last time, signed with the secret of now."""
        due, self._told = self._messages[self._told :], len(self._messages)
        return [self._signed(message) for message in due]

    def served(self) -> Sequence[Served]:
        """Webhooks in, three reads."""
        return [
            Served("webhooks", "POST", "/webhooks", self._hear),
            Served("observe", "GET", "/stock", self._stock),
            Served("orders", "GET", "/messages", self._feed),
            Served("catalog", "GET", "/items", self._items),
        ]

    def operation_of(self, served: Served, body: bytes) -> str:
        """A webhook is for what its type says."""
        if served.operation != "webhooks":
            return served.operation
        try:
            kind = at(parsed(body), "type")
        except ValueError:
            return served.operation
        return "publish" if kind == "stock.set" else _OPERATIONS.get(kind, "test")

    def _stamp(self) -> str:
        return rfc3339(self.clock.now())

    def _tell(self, kind: str, number: str, data: Mapping[str, Any]) -> None:
        name = f"{kind}/{number}/{len(self._messages)}"
        self._messages.append({"id": name, "type": kind, "timestamp": self._stamp(), "data": data})

    def _signed(self, message: Mapping[str, Any]) -> WebhookRequest:
        body = msgspec.json.encode(message)
        headers = standard_headers(
            [self._secrets["webhook"]], message["id"], int(time.time()), body
        )
        return WebhookRequest("POST", "/v1/webhooks/generic", "", headers, body)

    async def _hear(self, request: Request) -> Response:
        """Believe a signed message; one whose id is known gets the first answer again."""
        body = await request.body()
        if not is_standard(request.headers, body, [self._secrets["signing"]], time.time()):
            return JSONResponse({"error": "signature"}, 401)
        name = request.headers["webhook-id"]
        if name not in self._answers:
            self._answers[name] = self._take(msgspec.json.decode(body))
        return JSONResponse(self._answers[name])

    def _take(self, message: Mapping[str, Any]) -> dict[str, Any]:
        kind, data = message["type"], message["data"]
        if kind == "stock.set":
            return {"rows": [self._set(row) for row in data["rows"]]}
        if kind in _OPERATIONS:
            self.did(_OPERATIONS[kind], data["order"], data.get(_KEYS[kind], ""))
        return {}

    def _set(self, row: Mapping[str, Any]) -> dict[str, Any]:
        item, shown = row["item"], self._figures.get(row["item"])
        if item in self.rejected:
            return {"item": item, "status": "refused", "code": self.rejected[item]}
        if shown is None:
            return {"item": item, "status": "refused", "code": "unknown_item"}
        if row["version"] < self._versions.get(item, 0):
            return {"item": item, "status": "superseded"}
        if row["expected"] not in (None, shown):
            return {"item": item, "status": "stale", "quantity": shown}
        if self.applies():
            self._figures[item] = row["quantity"]
            self._versions[item] = row["version"]
            self.did("publish", item, row["version"])
        return {"item": item, "status": "applied"}

    def _is_known(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self._secrets['token']}"

    async def _stock(self, request: Request) -> Response:
        if not self._is_known(request):
            return JSONResponse({"error": "token"}, 401)
        asked = request.query_params.get("items", "").split(",")
        rows = [{"item": i, "quantity": self._figures[i]} for i in asked if i in self._figures]
        return JSONResponse({"rows": rows})

    async def _items(self, request: Request) -> Response:
        if not self._is_known(request):
            return JSONResponse({"error": "token"}, 401)
        found = sorted(self._figures)
        begin = int(request.query_params.get("cursor", "0"))
        page = [{"item": item, "title": item} for item in found[begin : begin + self.page_max]]
        following = str(begin + self.page_max) if begin + self.page_max < len(found) else None
        return JSONResponse({"items": page, "next_cursor": following})

    async def _feed(self, request: Request) -> Response:
        """Messages since a moment; the cursor is a place in the list, so pages do not shift."""
        if not self._is_known(request):
            return JSONResponse({"error": "token"}, 401)
        query = request.query_params
        if "cursor" in query:
            begin = int(query["cursor"])
        else:
            since = moment(query["since"]) if "since" in query else None
            begin = next(
                (
                    place
                    for place, message in enumerate(self._messages)
                    if since is None or moment(message["timestamp"]) >= since
                ),
                len(self._messages),
            )
        size = min(self.page_max, int(query.get("limit", "50")))
        page = self._messages[begin : begin + size]
        following = str(begin + size) if begin + size < len(self._messages) else None
        return JSONResponse({"messages": page, "next_cursor": following})
