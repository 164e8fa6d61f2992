"""A WooCommerce shop on loopback: products, orders, refunds, webhooks, and its traps."""

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.canonical import at, parsed
from stockbridge.connectors.kit.signing import basic, hmac_base64
from stockbridge.connectors.kit.simulator import Handler, Listed, Ordered, OrderLine, Served
from stockbridge.contracts.partners.model import WebhookRequest

_ROOT: Final = "/wp-json/wc/v3"
_DISABLED_AFTER: Final = 5


class Simulator(simulator.Simulator):
    """A shop that sells mugs."""

    name = "woocommerce"

    def __init__(self) -> None:
        super().__init__()
        self.failed_deliveries = 0
        """Webhooks that failed one after the other; with the fifth the shop gives up for good."""
        self._products: dict[int, dict[str, Any]] = {}
        self._orders: dict[int, dict[str, Any]] = {}
        self._refunds: dict[int, list[dict[str, Any]]] = {}
        self._due: list[tuple[str, dict[str, Any]]] = []
        self._ids = 100
        self.rotate()

    def config(self) -> dict[str, Any]:
        """Its address."""
        return {"url": self.url, "channel": "webshop"}

    def secrets(self) -> dict[str, str]:
        """Key, secret, and what signs webhooks."""
        return dict(self._secrets)

    def rotate(self) -> None:
        """New keys."""
        self._secrets = {
            "consumer_key": f"ck_{os.urandom(20).hex()}",
            "consumer_secret": f"cs_{os.urandom(20).hex()}",
            "webhook": base64.b64encode(os.urandom(24)).decode(),
        }

    # The shop's own life ---------------------------------------------------------------------

    def _id(self) -> int:
        self._ids += 1
        return self._ids

    def _now(self) -> str:
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%S")

    def list_item(self, sku: str, quantity: int) -> Listed:
        """A simple product."""
        known = next((p for p in self._products.values() if p["sku"] == sku), None)
        product = known or self._product(sku, 0)
        product["stock_quantity"] = quantity
        return Listed(_item(product), "")

    def list_variation(self, sku: str, quantity: int) -> Listed:
        """A variation of a product of its own."""
        parent = self._product("", 0)
        parent["type"] = "variable"
        variation = self._product(sku, parent["id"])
        variation["stock_quantity"] = quantity
        return Listed(_item(variation), "")

    def _product(self, sku: str, parent: int) -> dict[str, Any]:
        number = self._id()
        product = {
            "id": number, "parent_id": parent, "name": f"Item {sku}", "sku": sku,
            "type": "variation" if parent else "simple", "manage_stock": True,
            "stock_quantity": None, "stock_status": "instock", "backorders": "no",
            "global_unique_id": "",
        }  # fmt: skip
        self._products[number] = product
        return product

    def manage_by_parent(self, listed: Listed) -> None:
        """Somebody switches the stock management of one variation off."""
        self._by_item(listed.item).update(manage_stock="parent", stock_quantity=None)

    def shown(self, listed: Listed) -> int | None:
        """The stock quantity in the shop."""
        found: int | None = self._by_item(listed.item).get("stock_quantity")
        return found

    def unlisted(self) -> Listed:
        """No product has this id."""
        return Listed("999999", "")

    def _by_item(self, item: str) -> dict[str, Any]:
        return self._products.get(int(item.rpartition(":")[2]), {})

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer pays an order: stock falls, a webhook is due."""
        by_sku = {product["sku"]: product for product in self._products.values()}
        rows = []
        for sku, quantity in lines.items():
            product = by_sku[sku]
            product["stock_quantity"] -= quantity
            parent = product["parent_id"]
            rows.append(
                {
                    "id": self._id(), "product_id": parent or product["id"],
                    "variation_id": product["id"] if parent else 0, "sku": sku,
                    "quantity": quantity, "price": 12.5, "total": str(12.5 * quantity),
                }
            )  # fmt: skip
        order = self._order_of(rows)
        self._tell("order.created", order)
        told = [OrderLine(str(row["id"]), row["sku"], row["quantity"]) for row in rows]
        return Ordered(str(order["id"]), told)

    def _order_of(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        number = self._id()
        order = {
            "id": number, "number": str(number), "status": "processing", "currency": "GBP",
            "date_created_gmt": self._now(), "date_modified_gmt": self._now(),
            "date_paid_gmt": self._now(), "customer_id": 0, "line_items": list(rows),
            "shipping": {"first_name": "A", "last_name": "Customer", "company": "",
                         "address_1": "1 High Street", "address_2": "", "city": "Leeds",
                         "state": "", "postcode": "LS1 1AA", "country": "GB", "phone": ""},
            "refunds": [], "meta_data": [],
        }  # fmt: skip
        self._orders[number] = order
        self._refunds[number] = []
        return order

    def cancel(self, number: str) -> None:
        """The shop calls it off and puts the stock back."""
        self._change(int(number), "cancelled")

    def refund(self, number: str, lines: Mapping[str, int]) -> None:
        """Staff refund units of lines, without restocking."""
        order = self._orders[int(number)]
        refund = {
            "id": self._id(), "reason": "damaged", "amount": "1.00",
            "line_items": [
                {"id": self._id(), "quantity": -quantity,
                 "meta_data": [{"id": self._id(), "key": "_refunded_item_id", "value": line}]}
                for line, quantity in lines.items()
            ],
        }  # fmt: skip
        self._refunds[order["id"]].append(refund)
        summary = {"id": refund["id"], "reason": refund["reason"], "total": "-1.00"}
        order["refunds"].append(summary)
        self._touch(order, "order.updated")

    def delete(self, number: str) -> None:
        """Staff delete an order for good."""
        order = self._orders.pop(int(number))
        self._due.append(("order.deleted", {"id": order["id"]}))

    def _change(self, number: int, status: str) -> None:
        order = self._orders[number]
        if status == "cancelled" and order["status"] not in ("cancelled", "refunded"):
            for line in order["line_items"]:
                product = self._products[line["variation_id"] or line["product_id"]]
                product["stock_quantity"] += line["quantity"]
        order["status"] = status
        self._touch(order, "order.updated")

    def _touch(self, order: dict[str, Any], topic: str) -> None:
        order["date_modified_gmt"] = self._now()
        self._tell(topic, order)

    def _tell(self, topic: str, order: Mapping[str, Any]) -> None:
        self._due.append((topic, dict(order)))

    @property
    def is_disabled(self) -> bool:
        """Whether the shop has given its webhooks up."""
        return self.failed_deliveries >= _DISABLED_AFTER

    def webhooks(self) -> list[WebhookRequest]:
        """Those due, signed; none once they are disabled."""
        due, self._due = self._due, []
        return [] if self.is_disabled else [self._signed(topic, body) for topic, body in due]

    def _signed(self, topic: str, order: Mapping[str, Any]) -> WebhookRequest:
        body = msgspec.json.encode(order)
        resource, _, event = topic.partition(".")
        headers = {
            "content-type": "application/json",
            "x-wc-webhook-source": f"{self.url}/",
            "x-wc-webhook-topic": topic,
            "x-wc-webhook-resource": resource,
            "x-wc-webhook-event": event,
            "x-wc-webhook-signature": hmac_base64(self._secrets["webhook"], body),
            "x-wc-webhook-id": "7",
            "x-wc-webhook-delivery-id": os.urandom(16).hex(),
        }
        return WebhookRequest("POST", "/v1/webhooks/woocommerce", "", headers, body)

    # The API --------------------------------------------------------------------------------

    def served(self) -> Sequence[Served]:
        """What the connector calls."""
        order, products = f"{_ROOT}/orders/{{order:int}}", f"{_ROOT}/products"
        return [
            Served("observe", "GET", products, self._known(self._list_products)),
            Served("publish", "POST", f"{products}/batch", self._known(self._batch)),
            Served("observe", "GET", f"{products}/{{parent:int}}/variations",
                   self._known(self._list_products)),
            Served("publish", "POST", f"{products}/{{parent:int}}/variations/batch",
                   self._known(self._batch)),
            Served("orders", "GET", f"{_ROOT}/orders", self._known(self._list_orders)),
            Served("order", "GET", order, self._known(self._show_order)),
            Served("change", "PUT", order, self._known(self._change_order)),
            Served("note", "POST", f"{order}/notes", self._known(self._write_note)),
            Served("refunds", "GET", f"{order}/refunds", self._known(self._list_refunds)),
            Served("test", "GET", f"{_ROOT}/webhooks", self._known(self._list_webhooks)),
        ]  # fmt: skip

    def operation_of(self, served: Served, body: bytes) -> str:
        """A change of an order is for what it notes down; an empty batch is a test."""
        if served.operation == "change":
            key = str(at(parsed(body), "meta_data", 0, "key"))
            return "confirm_shipment" if "_package_" in key else "cancel_order"
        if served.operation == "publish" and not at(parsed(body), "update"):
            return "test"
        return served.operation

    def _known(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            user, password = self._secrets["consumer_key"], self._secrets["consumer_secret"]
            if request.headers.get("authorization") == basic(user, password):
                return await handler(request)
            return _refused(
                "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.", 401
            )

        return checked

    def _paged(self, request: Request, rows: Sequence[Mapping[str, Any]]) -> Response:
        size = min(int(request.query_params.get("per_page", "10")), self.page_max)
        begin = (int(request.query_params.get("page", "1")) - 1) * size
        pages = -(-len(rows) // size)
        headers = {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(pages)}
        return JSONResponse(list(rows[begin : begin + size]), headers=headers)

    async def _list_products(self, request: Request) -> Response:
        parent = request.path_params.get("parent", 0)
        if parent and parent not in self._products:
            return _refused("woocommerce_rest_product_invalid_id", "Invalid ID.", 404)
        wanted = _ids(request.query_params.get("include"))
        rows = [p for p in self._products.values() if p["parent_id"] == parent]
        return self._paged(request, [p for p in rows if wanted is None or p["id"] in wanted])

    async def _batch(self, request: Request) -> Response:
        """Each row by itself: a bad one is answered with its error, the others are done."""
        rows = (await request.json()).get("update", [])
        if len(rows) > 100:  # noqa: PLR2004 - the documented limit
            message = "Unable to accept more than 100 items for this request."
            return _refused("woocommerce_rest_request_entity_too_large", message, 413)
        parent = request.path_params.get("parent", 0)
        return JSONResponse({"update": [self._set(row, parent) for row in rows]})

    def _set(self, row: Mapping[str, Any], parent: int) -> dict[str, Any]:
        product = self._products.get(row["id"])
        if product is None or product["parent_id"] != parent:
            return _row_error(row["id"], "woocommerce_rest_product_invalid_id", "Invalid ID.")
        item = _item(product)
        if item in self.rejected:
            return _row_error(row["id"], self.rejected[item], "This product cannot be changed.")
        if self.applies():
            product["manage_stock"] = row["manage_stock"]
            product["stock_quantity"] = row["stock_quantity"]
            self.did("publish", item, row["stock_quantity"])
        # The shop answers with what was asked for, also where a plugin keeps the old figure.
        return {**product, "stock_quantity": row["stock_quantity"]}

    async def _list_orders(self, request: Request) -> Response:
        query = request.query_params
        if query.get("orderby") not in ("modified", "id", "date"):
            return _refused("rest_invalid_param", "Invalid parameter(s): orderby", 400)
        left_out = _ids(query.get("exclude")) or set()
        rows = [
            order
            for order in self._orders.values()
            if order["date_modified_gmt"] > query.get("modified_after", "")
            and order["id"] not in left_out
        ]
        by = {"modified": "date_modified_gmt", "id": "id", "date": "date_created_gmt"}
        rows.sort(key=lambda order: (order[by[query["orderby"]]], order["id"]))
        return self._paged(request, rows)

    async def _show_order(self, request: Request) -> Response:
        order = self._orders.get(request.path_params["order"])
        if order is None:
            return _refused("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 404)
        return JSONResponse(order)

    async def _change_order(self, request: Request) -> Response:
        order = self._orders.get(request.path_params["order"])
        if order is None:
            return _refused("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 404)
        change = await request.json()
        for meta in change.get("meta_data", []):
            if all(entry["key"] != meta["key"] for entry in order["meta_data"]):
                operation = "confirm_shipment" if "_package_" in meta["key"] else "cancel_order"
                self.did(operation, order["id"], meta["key"])
                order["meta_data"].append({"id": self._id(), **meta})
        if "status" in change:
            self._change(order["id"], change["status"])
        return JSONResponse(order)

    async def _write_note(self, request: Request) -> Response:
        return JSONResponse({"id": self._id(), **(await request.json())}, 201)

    async def _list_refunds(self, request: Request) -> Response:
        return self._paged(request, self._refunds.get(request.path_params["order"], []))

    async def _list_webhooks(self, request: Request) -> Response:
        status = "disabled" if self.is_disabled else "active"
        rows = [
            {"id": place, "topic": topic, "status": status,
             "delivery_url": self.delivers_to}
            for place, topic in enumerate(("order.created", "order.updated", "order.deleted"), 1)
        ]  # fmt: skip
        return self._paged(request, rows)


def _item(product: Mapping[str, Any]) -> str:
    own, parent = product["id"], product["parent_id"]
    return f"{parent}:{own}" if parent else str(own)


def _ids(text: str | None) -> set[int] | None:
    return None if text is None else {int(each) for each in text.split(",") if each}


def _refused(code: str, message: str, status: int) -> Response:
    return JSONResponse({"code": code, "message": message, "data": {"status": status}}, status)


def _row_error(number: int, code: str, message: str) -> dict[str, Any]:
    return {"id": number, "error": {"code": code, "message": message, "data": {"status": 400}}}
