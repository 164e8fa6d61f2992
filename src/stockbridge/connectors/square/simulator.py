"""A Square seller on loopback: counts by when things happened, orders with versions, traps."""

import base64
import itertools
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.canonical import at, moment, parsed, rfc3339, whole
from stockbridge.connectors.kit.signing import hmac_base64
from stockbridge.connectors.kit.simulator import Handler, Listed, Ordered, OrderLine, Served
from stockbridge.contracts.partners.model import WebhookRequest

_LOCATION: Final = "L88917AVBK2S5"
_URL: Final = "https://hub.example.com/v1/webhooks/square"
_DAY: Final = timedelta(hours=24)
_CHANGES_MAX: Final = 100


class Simulator(simulator.Simulator):
    """A seller with one shop."""

    name = "square"

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)
        self._skus: dict[str, str] = {}
        self._happened: dict[str, list[tuple[datetime, str, int]]] = {}
        self._keys: dict[str, bytes] = {}
        self._orders: dict[str, dict[str, Any]] = {}
        self._due: list[dict[str, Any]] = []
        self.rotate()

    def config(self) -> dict[str, Any]:
        """Its address and one location."""
        return {
            "endpoint": self.url, "channel": "stores", "locations": {"LEEDS": _LOCATION},
            "notification_url": _URL,
        }  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """Token and signature key."""
        return dict(self._secrets)

    def rotate(self) -> None:
        """New ones."""
        key = base64.urlsafe_b64encode(os.urandom(16)).decode()
        self._secrets = {"access_token": f"EAAA{os.urandom(24).hex()}", "webhook": key}

    # The seller's own life ---------------------------------------------------------------------

    def list_item(self, sku: str, quantity: int) -> Listed:
        """A variation, counted now."""
        item = next((item for item, known in self._skus.items() if known == sku), None)
        if item is None:
            item = f"VAR{next(self._numbers):06}"
            self._skus[item] = sku
        self._happened[item] = [(self.clock.now(), "count", quantity)]
        return Listed(item, _LOCATION)

    def unlisted(self) -> Listed:
        """No such variation."""
        return Listed("VAR999999", _LOCATION)

    def shown(self, listed: Listed) -> int | None:
        """The newest count by when it happened, and what was sold after it."""
        events = sorted(self._happened.get(listed.item, ()), key=lambda event: event[0])
        figure = None
        for _when, kind, quantity in events:
            figure = quantity if kind == "count" else (figure or 0) + quantity
        return figure

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer orders online, to be shipped: stock falls at once."""
        order = self._sell(lines, "OPEN")
        order["fulfillments"] = [
            {"uid": f"f{next(self._numbers)}", "type": "SHIPMENT", "state": "PROPOSED"}
        ]
        return Ordered(
            order["id"],
            [
                OrderLine(
                    line["uid"], self._skus[line["catalog_object_id"]], whole(line["quantity"])
                )
                for line in order["line_items"]
            ],
        )

    def ring_up(self, lines: Mapping[str, int]) -> str:
        """A customer pays at the register and carries the goods away."""
        order = self._sell(lines, "COMPLETED")
        order["closed_at"] = order["updated_at"]
        return str(order["id"])

    def give_back(self, lines: Mapping[str, int]) -> str:
        """A customer brings goods to the register."""
        order = self._order_of([], "COMPLETED")
        order["closed_at"] = order["updated_at"]
        order["returns"] = [{"uid": "r1", "return_line_items": self._lines(lines)}]
        self._tell(order)
        return str(order["id"])

    def _sell(self, lines: Mapping[str, int], state: str) -> dict[str, Any]:
        rows = self._lines(lines)
        for row in rows:
            sold = -whole(row["quantity"])
            self._happened[row["catalog_object_id"]].append((self.clock.now(), "sale", sold))
        order = self._order_of(rows, state)
        self._tell(order)
        return order

    def _lines(self, lines: Mapping[str, int]) -> list[dict[str, Any]]:
        items = {sku: item for item, sku in self._skus.items()}
        return [
            {"uid": f"l{next(self._numbers)}", "catalog_object_id": items[sku],
             "quantity": str(quantity), "name": sku}
            for sku, quantity in lines.items()
        ]  # fmt: skip

    def _order_of(self, rows: Sequence[Mapping[str, Any]], state: str) -> dict[str, Any]:
        now = rfc3339(self.clock.now())
        order: dict[str, Any] = {
            "id": f"ORD{next(self._numbers):08}", "location_id": _LOCATION, "state": state,
            "version": 1, "created_at": now, "updated_at": now, "line_items": list(rows),
        }  # fmt: skip
        self._orders[order["id"]] = order
        return order

    def cancel(self, number: str) -> None:
        """The seller calls an order off."""
        self._call_off(self._orders[number])

    def _call_off(self, order: dict[str, Any]) -> None:
        if order["state"] != "CANCELED":
            for line in order["line_items"]:
                back = (self.clock.now(), "sale", whole(line["quantity"]))
                self._happened[line["catalog_object_id"]].append(back)
        order["state"] = "CANCELED"
        self._touch(order)

    def edit(self, number: str) -> None:
        """Somebody changes the order in the dashboard: its version grows."""
        self._touch(self._orders[number])

    def _touch(self, order: dict[str, Any]) -> None:
        order["version"] += 1
        order["updated_at"] = rfc3339(self.clock.now())
        self._tell(order)

    def _tell(self, order: Mapping[str, Any]) -> None:
        self._due.append(
            {
                "merchant_id": "M1", "type": "order.updated", "event_id": os.urandom(8).hex(),
                "created_at": order["updated_at"],
                "data": {"type": "order_updated", "id": order["id"],
                         "object": {"order_updated": {"order_id": order["id"],
                                    "version": order["version"], "state": order["state"]}}},
            }
        )  # fmt: skip

    def webhooks(self) -> list[WebhookRequest]:
        """Those due: thin, signed over URL and body."""
        due, self._due = self._due, []
        return [self._signed(msgspec.json.encode(event)) for event in due]

    def _signed(self, body: bytes) -> WebhookRequest:
        signature = hmac_base64(self._secrets["webhook"], _URL.encode() + body)
        headers = {"x-square-hmacsha256-signature": signature, "content-type": "application/json"}
        return WebhookRequest("POST", "/v1/webhooks/square", "", headers, body)

    # The API ----------------------------------------------------------------------------------

    def served(self) -> Sequence[Served]:
        """What the connector calls."""
        return [
            Served("test", "GET", "/v2/locations", self._known(self._locations)),
            Served("publish", "POST", "/v2/inventory/changes/batch-create",
                   self._known(self._create)),
            Served("observe", "POST", "/v2/inventory/counts/batch-retrieve",
                   self._known(self._counts)),
            Served("variations", "POST", "/v2/catalog/batch-retrieve", self._known(self._objects)),
            Served("catalog", "GET", "/v2/catalog/list", self._known(self._list)),
            Served("orders", "POST", "/v2/orders/search", self._known(self._search)),
            Served("order", "GET", "/v2/orders/{order}", self._known(self._show)),
            Served("change", "PUT", "/v2/orders/{order}", self._known(self._change)),
        ]  # fmt: skip

    def operation_of(self, served: Served, body: bytes) -> str:
        """A change of an order is for what it changes."""
        if served.operation != "change":
            return served.operation
        is_off = at(parsed(body), "order", "state") == "CANCELED"
        return "cancel_order" if is_off else "confirm_shipment"

    def throttled(self, operation: str) -> Response:
        """429 RATE_LIMITED."""
        headers = {"Retry-After": str(self.retry_after_seconds)}
        return _refused(429, "RATE_LIMITED", f"too many calls of {operation}", headers=headers)

    def _known(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            given = request.headers.get("authorization")
            if given != f"Bearer {self._secrets['access_token']}":
                return _refused(401, "UNAUTHORIZED", "This request could not be authorized.")
            if "square-version" not in request.headers:
                return _refused(400, "BAD_REQUEST", "Square-Version is missing.")
            return await handler(request)

        return checked

    async def _locations(self, _request: Request) -> Response:
        return JSONResponse({"locations": [{"id": _LOCATION, "status": "ACTIVE", "name": "Leeds"}]})

    async def _create(self, request: Request) -> Response:
        """All or nothing; a known key is answered again, with another body it is refused."""
        raw = await request.body()
        body = msgspec.json.decode(raw)
        key = body["idempotency_key"]
        if self._keys.get(key, raw) != raw:
            detail = "The idempotency key was used with other parameters."
            return _refused(400, "IDEMPOTENCY_KEY_REUSED", detail)
        if len(body["changes"]) > _CHANGES_MAX:
            return _refused(400, "ARRAY_LENGTH_TOO_LONG", "At most 100 changes.", "changes")
        for place, change in enumerate(body["changes"]):
            fault = self._fault_of(change["physical_count"])
            if fault is not None:
                return _refused(
                    400, fault[0], fault[1], f"changes[{place}].physical_count.{fault[2]}"
                )
        if key not in self._keys:
            self._keys[key] = raw
            for change in body["changes"]:
                self._count(change["physical_count"])
        return JSONResponse({"counts": [], "changes": body["changes"]})

    def _fault_of(self, count: Mapping[str, Any]) -> tuple[str, str, str] | None:
        item, when = count["catalog_object_id"], moment(count["occurred_at"])
        if item in self.rejected:
            return self.rejected[item].upper(), "This variation cannot be counted.", "state"
        if item not in self._skus:
            return "NOT_FOUND", f"{item} does not exist.", "catalog_object_id"
        if not self.clock.now() - _DAY <= when <= self.clock.now() + timedelta(seconds=1):
            return "INVALID_TIME", "Must be within the past 24 hours.", "occurred_at"
        return None

    def _count(self, count: Mapping[str, Any]) -> None:
        if self.applies():
            item = count["catalog_object_id"]
            figure = (moment(count["occurred_at"]), "count", whole(count["quantity"]))
            self._happened[item].append(figure)
            self.did("publish", item, count["reference_id"])

    async def _counts(self, request: Request) -> Response:
        body = await request.json()
        items = [item for item in body["catalog_object_ids"] if item in self._skus]
        counts = [
            {"catalog_object_id": item, "catalog_object_type": "ITEM_VARIATION",
             "state": "IN_STOCK", "location_id": _LOCATION,
             "quantity": str(self.shown(Listed(item, _LOCATION))),
             "calculated_at": rfc3339(self.clock.now())}
            for item in items
        ]  # fmt: skip
        return self._paged(body, "counts", counts)

    def _paged(
        self, body: Mapping[str, Any], name: str, rows: Sequence[Mapping[str, Any]]
    ) -> Response:
        begin = int(body.get("cursor") or 0)
        end = begin + min(self.page_max, int(body.get("limit", 100)))
        following = {"cursor": str(end)} if end < len(rows) else {}
        return JSONResponse({name: list(rows[begin:end]), **following})

    async def _objects(self, request: Request) -> Response:
        wanted = (await request.json())["object_ids"]
        found = [{"type": "ITEM_VARIATION", "id": item} for item in wanted if item in self._skus]
        return JSONResponse({"objects": found})

    async def _list(self, request: Request) -> Response:
        rows = [
            {"type": "ITEM", "id": f"ITEM-{item}", "item_data": {"name": sku, "variations": [
                {"type": "ITEM_VARIATION", "id": item,
                 "item_variation_data": {"sku": sku, "name": "Regular"}}]}}
            for item, sku in self._skus.items()
        ]  # fmt: skip
        return self._paged(dict(request.query_params), "objects", rows)

    async def _search(self, request: Request) -> Response:
        """By when they changed; a cursor is a moment and an id, so that no order is hidden."""
        body = await request.json()
        start = body["query"]["filter"]["date_time_filter"]["updated_at"]["start_at"]
        rows = sorted(
            (moment(order["updated_at"]), order["id"])
            for order in self._orders.values()
            if moment(order["updated_at"]) >= moment(start)
        )
        if body.get("cursor"):
            when, _, number = body["cursor"].partition("|")
            rows = [row for row in rows if row > (moment(when), number)]
        size = min(self.page_max, int(body["limit"]))
        page = rows[:size]
        following = f"{rfc3339(page[-1][0])}|{page[-1][1]}" if len(rows) > size else None
        orders = [self._orders[number] for _when, number in page]
        return JSONResponse({"orders": orders} | ({"cursor": following} if following else {}))

    async def _show(self, request: Request) -> Response:
        order = self._orders.get(request.path_params["order"])
        if order is None:
            return _refused(404, "NOT_FOUND", "Order not found.")
        return JSONResponse({"order": order})

    async def _change(self, request: Request) -> Response:
        order = self._orders.get(request.path_params["order"])
        if order is None:
            return _refused(404, "NOT_FOUND", "Order not found.")
        change = (await request.json())["order"]
        if change["version"] != order["version"]:
            return _refused(400, "VERSION_MISMATCH", "Object version does not match latest.")
        if change.get("state") == "CANCELED":
            self.did("cancel_order", order["id"])
            self._call_off(order)
            return JSONResponse({"order": order})
        for key in change["metadata"].keys() - order.get("metadata", {}).keys():
            self.did("confirm_shipment", order["id"], key)
        order["metadata"] = change["metadata"]
        for wanted in change.get("fulfillments", ()):
            for each in order["fulfillments"]:
                if each["uid"] == wanted["uid"]:
                    each.update(wanted)
        self._touch(order)
        return JSONResponse({"order": order})


def _refused(
    status: int, code: str, detail: str, field: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    error = {"category": "INVALID_REQUEST_ERROR", "code": code, "detail": detail}
    return JSONResponse({"errors": [error | ({"field": field} if field else {})]}, status, headers)
