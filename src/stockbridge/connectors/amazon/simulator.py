"""Amazon on loopback: LWA tokens, listings, feeds, orders, a queue, and its traps."""

import itertools
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.amazon.mapping import ACKNOWLEDGEMENT_FEED, LISTINGS_FEED
from stockbridge.connectors.amazon.simulated_feeds import SimulatedFeeds, errors
from stockbridge.connectors.amazon.simulated_queue import SimulatedQueue, notification, order_change
from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.canonical import moment, rfc3339
from stockbridge.connectors.kit.simulator import Handler, Listed, Ordered, OrderLine, Served

STORE: Final = "ATVPDKIKX0DER"
SELLER: Final = "A3TH9S8BH6GOGM"
_CODE: Final = "DEFAULT"
_TOKEN_SECONDS: Final = 3600
_SEARCH_MAX: Final = 1000
_LISTINGS: Final = "/listings/2021-08-01/items/{seller}"
_ORDERS: Final = "/orders/2026-01-01/orders"
_FEEDS: Final = "/feeds/2021-06-30"
_SECRETS: Final = ("client_id", "client_secret", "refresh_token", "aws_access_key_id",
                   "aws_secret_access_key")  # fmt: skip
_RATES: Final = {"publish": "5.0", "observe": "5.0", "orders": "0.0056", "order": "0.5"}
_OPTIONAL: Final = {"cancellation": "CANCELLATION", "fulfillment": "FULFILLMENT"}


class Answer(NamedTuple):
    """A call of the API and what it was answered, for those who compare with the models."""

    method: str
    path: str
    status: int
    body: bytes


class Simulator(simulator.Simulator):
    """A seller in one store; nothing the seller ships is at Amazon."""

    name = "amazon"

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.holds = False
        """Accept figures and apply them only when they settle."""
        self.page_token_seconds = 86_400.0
        self.search_max = _SEARCH_MAX
        self.hides_seconds = 0.0
        """Orders changed so lately are not found yet."""
        self.tells_rates = True
        self.is_pending = False
        """New orders are not paid yet."""
        self._numbers = itertools.count(1)
        self._listings: dict[str, dict[str, Any]] = {}
        self._waiting: list[tuple[str, list[Any]]] = []
        self._orders: dict[str, dict[str, Any]] = {}
        works = {LISTINGS_FEED: self._work_listings,
                 ACKNOWLEDGEMENT_FEED: self._work_acknowledgement}  # fmt: skip
        self._feeds = SimulatedFeeds(self.clock, lambda: self.url, works)
        self._tokens: dict[str, float] = {}
        self._pages: dict[str, tuple[float, list[str]]] = {}
        self._queue = SimulatedQueue(self.clock, self._sqs_key)
        self.rotate()

    def config(self) -> dict[str, Any]:
        """Its address, store and queue."""
        return {"endpoint": self.url, "channel": "amazon-us", "region": "na", "marketplace": STORE,
                "seller": SELLER, "queue_url": f"{self.url}/123456789012/amazon"}  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """Of the application, the seller and the queue."""
        return dict(self._secrets)

    def rotate(self) -> None:
        """New ones; tokens given out before are void."""
        self._secrets = {name: os.urandom(12).hex() for name in _SECRETS}
        self._tokens.clear()

    def throttled(self, operation: str) -> Response:
        """Without a Retry-After; the rate only sometimes."""
        headers = {}
        if self.tells_rates and operation in _RATES:
            headers["x-amzn-RateLimit-Limit"] = _RATES[operation]
        return errors(429, "QuotaExceeded", "You exceeded your quota", headers)

    # The seller's and the customers' doing -----------------------------------------------------

    def list_item(self, sku: str, quantity: int) -> Listed:
        """A listing the seller ships, in three days at most."""
        availability = {"fulfillment_channel_code": _CODE, "quantity": quantity,
                        "lead_time_to_ship_max_days": 3}  # fmt: skip
        # Seconds apart, so that a search can go on after one of them.
        made = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=len(self._listings))
        created = self._listings.get(sku, {}).get("created", rfc3339(made))
        self._listings[sku] = {"created": created, "issues": [], "availability": [availability]}
        return Listed(sku, "")

    def list_at_amazon(self, sku: str) -> None:
        """A listing that Amazon ships."""
        self.list_item(sku, 0)
        self._listings[sku]["availability"] = [{"fulfillment_channel_code": "AMAZON_NA"}]

    def unlisted(self) -> Listed:
        """No such listing."""
        return Listed("NOT-LISTED", "")

    def shown(self, listed: Listed) -> int | None:
        """What customers can buy."""
        return self.availability(listed.item).get("quantity")

    def availability(self, sku: str, code: str = _CODE) -> dict[str, Any]:
        """What the listing says of a channel."""
        entries = self._listings.get(sku, {}).get("availability", [])
        return next((e for e in entries if e["fulfillment_channel_code"] == code), {})

    def finds_wrong(self, sku: str, code: str, message: str) -> None:
        """Amazon finds an issue after it had accepted."""
        issue = {"code": code, "message": message, "severity": "ERROR",
                 "attributeNames": ["fulfillment_availability"], "categories": []}  # fmt: skip
        self._listings[sku]["issues"].append(issue)

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer orders; figures fall at once."""
        number = f"111-{next(self._numbers):07}-0000001"
        items: list[dict[str, Any]] = [
            {
                "orderItemId": f"{int(number[4:11])}{place:03}",
                "quantityOrdered": quantity,
                "product": {"asin": "B08N5WRWNW", "title": sku, "sellerSku": sku, "price": {
                    "unitPrice": {"amount": "49.99", "currencyCode": "USD"}}},
                "fulfillment": {"quantityFulfilled": 0, "quantityUnfulfilled": quantity},
            }
            for place, (sku, quantity) in enumerate(lines.items(), 1)
        ]  # fmt: skip
        status = "PENDING" if self.is_pending else "UNSHIPPED"
        self._orders[number] = {
            "orderId": number, "createdTime": self._now(), "lastUpdatedTime": self._now(),
            "salesChannel": {"channelName": "AMAZON", "marketplaceId": STORE},
            "recipient": {"deliveryAddress": {"name": "A Customer", "addressLine1": "1 Main St",
                          "city": "Seattle", "stateOrRegion": "WA", "postalCode": "98101",
                          "countryCode": "US"}},
            "fulfillment": {"fulfillmentStatus": status, "fulfilledBy": "MERCHANT"},
            "orderItems": items, "packages": [],
        }  # fmt: skip
        for sku, quantity in lines.items():
            self._sold(sku, quantity)
        self._tell_order(number, "OrderStatusChange")
        told = [OrderLine(item["orderItemId"], item["product"]["sellerSku"],
                          item["quantityOrdered"]) for item in items]  # fmt: skip
        return Ordered(number, told)

    def _sold(self, sku: str, quantity: int) -> None:
        entry = self.availability(sku)
        if entry:
            entry["quantity"] = max(0, entry["quantity"] - quantity)
            payload = {"SellerId": SELLER, "FulfillmentChannelCode": _CODE, "Sku": sku,
                       "Quantity": entry["quantity"]}  # fmt: skip
            self._tell("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", payload)

    def pay(self, number: str) -> None:
        """The payment of an order is authorized."""
        self._orders[number]["fulfillment"]["fulfillmentStatus"] = "UNSHIPPED"
        self._changed(number)

    def asks_to_cancel(self, number: str) -> None:
        """The buyer asks the seller to call it off, which changes nothing yet."""
        for item in self._orders[number]["orderItems"]:
            request = {"requester": "BUYER", "cancelReason": "Changed mind"}
            item["cancellation"] = {"cancellationRequest": request}
        self._changed(number, "BuyerRequestedChange")

    def cancel(self, number: str) -> None:
        """The customer calls it off while it is pending; the units can be bought again."""
        self._call_off(number, "BUYER", "BuyerCanceled")

    def _call_off(self, number: str, who: str, reason: str, lines: Sequence[str] = ()) -> None:
        order = self._orders[number]
        for item in order["orderItems"]:
            if lines and item["orderItemId"] not in lines:
                continue
            done = {"cancelledBy": who, "cancelReason": reason}
            item["cancellation"] = {"cancellationExecution": done}
            if reason != "NoInventory":
                self._sold(
                    item["product"]["sellerSku"], -item["fulfillment"]["quantityUnfulfilled"]
                )
            item["fulfillment"]["quantityUnfulfilled"] = 0
        if not any(item["fulfillment"]["quantityUnfulfilled"] for item in order["orderItems"]):
            order["fulfillment"]["fulfillmentStatus"] = "CANCELLED"
        self._changed(number)

    def _changed(self, number: str, kind: str = "OrderStatusChange") -> None:
        self._orders[number]["lastUpdatedTime"] = self._now()
        self._tell_order(number, kind)

    def _now(self) -> str:
        return rfc3339(self.clock.now())

    def settle(self) -> None:
        """Apply what was accepted, and work all feeds."""
        waiting, self._waiting = self._waiting, []
        for sku, patches in waiting:
            self._apply(sku, patches)
        self._feeds.settle()

    # The queue ---------------------------------------------------------------------------------

    def _tell_order(self, number: str, kind: str) -> None:
        self._tell("ORDER_CHANGE", order_change(self._orders[number], SELLER, kind, self._now()))

    def _tell(self, kind: str, payload: Any) -> None:
        self.enqueue(notification(kind, payload, self._now()))

    @property
    def feeds(self) -> "SimulatedFeeds":
        """The feeds, to let them take their time."""
        return self._feeds

    def enqueue(self, body: str) -> None:
        """Put a message on the queue."""
        self._queue.put(body)

    def notifications(self) -> list[str]:
        """The bodies of all messages still there."""
        return self._queue.bodies()

    def _sqs_key(self) -> tuple[str, str, str]:
        """The host that signatures name, and the key that makes them."""
        names = ("aws_access_key_id", "aws_secret_access_key")
        return urlsplit(self.url).netloc, self._secrets[names[0]], self._secrets[names[1]]

    # The API ----------------------------------------------------------------------------------

    def served(self) -> Sequence[Served]:
        """What the connector calls."""
        listing = f"{_LISTINGS}/{{sku:path}}"
        feeds = self._feeds
        confirmation = "/orders/v0/orders/{order}/shipmentConfirmation"
        return [
            Served("token", "POST", "/auth/o2/token", self._token),
            Served("publish", "PATCH", listing, self._known("publish", self._patch)),
            Served("observe", "GET", listing, self._known("observe", self._show)),
            Served("catalog", "GET", _LISTINGS, self._known("catalog", self._search)),
            Served("orders", "GET", _ORDERS, self._known("orders", self._search_orders)),
            Served("order", "GET", f"{_ORDERS}/{{order}}", self._known("order", self._show_order)),
            Served("confirm_shipment", "POST", confirmation, self._known("", self._confirm)),
            Served("feed_document", "POST", f"{_FEEDS}/documents", self._known("", feeds.document)),
            Served("report", "GET", f"{_FEEDS}/documents/{{name}}", self._known("", feeds.told)),
            Served("publish_bulk", "POST", f"{_FEEDS}/feeds", self._known("", feeds.create)),
            Served("feed", "GET", f"{_FEEDS}/feeds/{{feed}}", self._known("", feeds.show)),
            Served("upload", "PUT", "/documents/{name}", self._feeds.upload),
            Served("download", "GET", "/documents/{name}", self._feeds.download),
            Served("notifications", "POST", "/", self._queue.answer),
        ]  # fmt: skip

    def operation_of(self, served: Served, body: bytes) -> str:
        """Feeds and the queue do many things at one address."""
        if served.operation == "publish_bulk" and b"ACKNOWLEDGEMENT" in body:
            return "cancel_order"
        if served.operation == "notifications" and b'"MaxNumberOfMessages"' not in body:
            return "delete" if b'"Entries"' in body else "test"
        return served.operation

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        wanted = {name: self._secrets[name] for name in _SECRETS[:3]}
        if form != {"grant_type": "refresh_token", **wanted}:
            error = {"error": "invalid_grant", "error_description": "The request has an invalid "
                     "grant parameter : refresh_token"}  # fmt: skip
            return JSONResponse(error, 400)
        token = f"Atza|{os.urandom(20).hex()}"
        self.issued.add(token)
        self._tokens[token] = self.clock.time() + _TOKEN_SECONDS
        return JSONResponse({"access_token": token, "token_type": "bearer",
                             "expires_in": _TOKEN_SECONDS})  # fmt: skip

    def _known(self, rated: str, handler: Handler) -> Handler:
        """A token that is none, or has ended, is answered by 403."""

        async def checked(request: Request) -> Response:
            token = request.headers.get("x-amz-access-token", "")
            if self._tokens.get(token, 0) <= self.clock.time():
                details = "The access token you provided is revoked, malformed or invalid."
                return errors(403, "Unauthorized", "Access to requested resource is denied.",
                               details=details)  # fmt: skip
            response = await handler(request)
            if self.tells_rates and rated in _RATES:
                response.headers["x-amzn-RateLimit-Limit"] = _RATES[rated]
            response.headers["x-amzn-RequestId"] = os.urandom(8).hex()
            answer = Answer(request.method, request.url.path, response.status_code,
                            bytes(response.body))  # fmt: skip
            self.answers.append(answer)
            return response

        return checked

    async def _patch(self, request: Request) -> Response:
        """200 whatever becomes of it; only what is accepted is applied, some time."""
        sku, body = request.path_params["sku"], await request.json()
        if sku not in self._listings:
            return errors(400, "InvalidInput", f"SKU '{sku}' not found in marketplace {STORE}")
        status, issues = "ACCEPTED", self._wrong_with(sku, body["patches"])
        if issues:
            status = "INVALID"
        elif self.holds:
            self._waiting.append((sku, body["patches"]))
        else:
            self._apply(sku, body["patches"])
        return JSONResponse({"sku": sku, "status": status, "issues": issues,
                             "submissionId": os.urandom(8).hex()})  # fmt: skip

    def _wrong_with(self, sku: str, patches: Sequence[Any]) -> list[dict[str, Any]]:
        code, message = self.rejected.get(sku, ""), "The listing cannot be changed"
        for patch in patches:
            if not all(v.get("fulfillment_channel_code") for v in patch["value"]):
                code, message = "90220", "'fulfillment_channel_code' is required but missing"
        if not code:
            return []
        return [{"code": code, "message": message, "severity": "ERROR", "categories": [],
                 "attributeNames": ["fulfillment_availability"]}]  # fmt: skip

    def _apply(self, sku: str, patches: Sequence[Any]) -> None:
        """`merge` changes what it names, `replace` drops what it does not name."""
        if not self.applies():
            return
        for patch in patches:
            entries = self._listings[sku]["availability"]
            if patch["op"] == "replace":
                entries.clear()
            for value in patch["value"]:
                entry = self.availability(sku, value["fulfillment_channel_code"])
                if not entry:
                    entries.append(entry)
                entry.update(value)
                self.did("publish", sku, value["quantity"])

    async def _show(self, request: Request) -> Response:
        sku = request.path_params["sku"]
        if sku not in self._listings:
            return errors(404, "NOT_FOUND", f"SKU '{sku}' not found in marketplace {STORE}")
        return JSONResponse(self._item(sku, request.query_params.get("includedData", "summaries")))

    def _item(self, sku: str, included: str) -> dict[str, Any]:
        listing = self._listings[sku]
        summary = {"marketplaceId": STORE, "productType": "LUGGAGE", "status": ["BUYABLE"],
                   "itemName": sku, "createdDate": listing["created"],
                   "lastUpdatedDate": listing["created"]}  # fmt: skip
        figures = [
            {"fulfillmentChannelCode": e["fulfillment_channel_code"],
             **({"quantity": e["quantity"]} if "quantity" in e else {})}
            for e in listing["availability"]
        ]  # fmt: skip
        every = {"summaries": [summary], "issues": listing["issues"],
                 "fulfillmentAvailability": figures,
                 "productTypes": [{"marketplaceId": STORE, "productType": "LUGGAGE"}]}  # fmt: skip
        return {"sku": sku} | {name: every[name] for name in included.split(",") if name in every}

    async def _search(self, request: Request) -> Response:
        """At most a thousand listings of a search can be paged through."""
        query = request.query_params
        after = query.get("createdAfter", "")
        wanted = sorted((e["created"], sku) for sku, e in self._listings.items())
        skus = [sku for created, sku in wanted if not after or created >= after]
        size = min(self.page_max, int(query.get("pageSize", "10")))
        page, token = self._page(query.get("pageToken"), skus[: self.search_max], size)
        if page is None:
            return errors(400, "InvalidInput", "Invalid 'pageToken' provided.")
        items = [self._item(sku, query.get("includedData", "summaries")) for sku in page]
        pagination = {"pagination": {"nextToken": token}} if token else {}
        return JSONResponse({"numberOfResults": len(skus), "items": items, **pagination})

    def _page(self, token: str | None, found: list[str], size: int) -> tuple[list[str] | None, str]:
        """A page of what was found when the search began; tokens die."""
        if token is not None:
            until, found = self._pages.get(token, (0.0, []))
            if until <= self.clock.time():
                return None, ""
        rest, following = found[size:], ""
        if rest:
            following = os.urandom(12).hex()
            self._pages[following] = (self.clock.time() + self.page_token_seconds, rest)
        return found[:size], following

    async def _search_orders(self, request: Request) -> Response:
        query = request.query_params
        since = moment(query["lastUpdatedAfter"])
        until = self.clock.now() - timedelta(seconds=self.hides_seconds)
        statuses = query.get("fulfillmentStatuses", "").split(",")
        found = [
            number for number, order in self._orders.items()
            if since <= moment(order["lastUpdatedTime"]) <= until
        ]  # fmt: skip
        size = min(self.page_max, int(query.get("maxResultsPerPage", "100")))
        page, token = self._page(query.get("paginationToken"), found, size)
        if page is None:
            return errors(400, "InvalidInput", "The paginationToken has expired.")
        orders = [self._orders[number] for number in page]
        shown = [
            self._shown(order, query.get("includedData", "")) for order in orders
            if statuses == [""] or order["fulfillment"]["fulfillmentStatus"] in statuses
        ]  # fmt: skip
        pagination = {"pagination": {"nextToken": token}} if token else {}
        return JSONResponse({"orders": shown, "lastUpdatedBefore": rfc3339(until), **pagination})

    async def _show_order(self, request: Request) -> Response:
        order = self._orders.get(request.path_params["order"])
        if order is None:
            return errors(404, "NotFound", "The order was not found.")
        included = request.query_params.get("includedData", "")
        return JSONResponse({"order": self._shown(order, included)})

    @staticmethod
    def _shown(order: Mapping[str, Any], included: str) -> dict[str, Any]:
        """Only what was asked for."""
        wanted = included.split(",")
        hidden = [name for name, dataset in _OPTIONAL.items() if dataset not in wanted]
        found = {name: value for name, value in order.items() if name not in hidden}
        for name, dataset in (("recipient", "RECIPIENT"), ("packages", "PACKAGES")):
            if dataset not in wanted:
                found.pop(name)
        found["orderItems"] = [
            {name: value for name, value in item.items() if name not in hidden}
            for item in order["orderItems"]
        ]
        return found

    async def _confirm(self, request: Request) -> Response:
        """A package is known by its number: told again it is the same one."""
        order = self._orders.get(request.path_params["order"])
        if order is None:
            return errors(404, "NotFound", "The order was not found.")
        if order["fulfillment"]["fulfillmentStatus"] not in ("UNSHIPPED", "PARTIALLY_SHIPPED"):
            known = [p["packageReferenceId"] for p in order["packages"]]
            if (await request.json())["packageDetail"]["packageReferenceId"] not in known:
                return errors(400, "InvalidInput", "The order cannot be shipped.")
        detail = (await request.json())["packageDetail"]
        if not detail["packageReferenceId"].isdigit():
            return errors(400, "InvalidInput", "packageReferenceId must be a positive number.")
        if detail["carrierCode"] == "Other" and not detail.get("carrierName"):
            return errors(400, "InvalidInput", "carrierName is required.")
        if detail["packageReferenceId"] not in [p["packageReferenceId"] for p in order["packages"]]:
            self._ship(order, detail)
        return Response(status_code=204)

    def _ship(self, order: dict[str, Any], detail: Mapping[str, Any]) -> None:
        items = {item["orderItemId"]: item["fulfillment"] for item in order["orderItems"]}
        for told in detail["orderItems"]:
            items[told["orderItemId"]]["quantityFulfilled"] += told["quantity"]
            items[told["orderItemId"]]["quantityUnfulfilled"] -= told["quantity"]
        is_all = not any(each["quantityUnfulfilled"] for each in items.values())
        order["fulfillment"]["fulfillmentStatus"] = "SHIPPED" if is_all else "PARTIALLY_SHIPPED"
        order["packages"].append({
            "packageReferenceId": detail["packageReferenceId"],
            "carrier": detail.get("carrierName", detail["carrierCode"]),
            "trackingNumber": detail["trackingNumber"], "shipTime": detail["shipDate"],
            "packageItems": detail["orderItems"],
        })  # fmt: skip
        self.did("confirm_shipment", order["orderId"], detail["packageReferenceId"])
        self._changed(order["orderId"])

    # Feeds -------------------------------------------------------------------------------------

    def _work_listings(self, body: bytes) -> str:
        refused = 0
        for message in msgspec.json.decode(body)["messages"]:
            sku = message["sku"]
            if sku not in self._listings or self._wrong_with(sku, message["patches"]):
                refused += 1
                continue
            self._apply(sku, message["patches"])
        return msgspec.json.encode({"summary": {"errors": refused}}).decode()

    def _work_acknowledgement(self, body: bytes) -> str:
        envelope = ET.fromstring(body)  # noqa: S314 - reads what the connector wrote
        told = envelope.find("Message/OrderAcknowledgement")
        order = self._orders.get(_text(told, "AmazonOrderID")) if told is not None else None
        if told is None or order is None or _text(told, "StatusCode") != "Failure":
            return "no such order"
        status = order["fulfillment"]["fulfillmentStatus"]
        if status not in ("PENDING", "UNSHIPPED"):
            return f"The order is {status} and cannot be cancelled."
        items = told.findall("Item")
        lines = [_text(item, "AmazonOrderItemCode") for item in items]
        self._call_off(order["orderId"], "MERCHANT", _text(items[0], "CancelReason"), lines)
        self.did("cancel_order", order["orderId"], ",".join(lines))
        return "done"


def _text(element: Any, name: str) -> str:
    return str(element.findtext(name) or "")
