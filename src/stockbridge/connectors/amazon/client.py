"""The wire of the Selling Partner API: listings, feeds, orders."""

import zlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from stockbridge.connectors.amazon import mapping
from stockbridge.connectors.amazon.feeds import Unfinished
from stockbridge.connectors.amazon.limits import limit_seen, paced
from stockbridge.connectors.amazon.notifications import Notifications
from stockbridge.connectors.amazon.sqs import Credentials, Queue, region_of
from stockbridge.connectors.kit.canonical import at, moment, rfc3339, segment
from stockbridge.connectors.kit.http import Fixed, Http
from stockbridge.connectors.kit.outcomes import Failed, Reply, each
from stockbridge.connectors.kit.tokens import Tokens, oauth
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import (
    CatalogEntry,
    Check,
    Connector,
    Delivery,
    Observed,
    Opened,
    Outcome,
    Page,
    Received,
    StockUpdate,
    WebhookRequest,
)
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment
from stockbridge.kernel.errors import Misconfigured

_TOKENS: Final = "https://api.amazon.com"
_LISTINGS: Final = "/listings/2021-08-01/items"
_ORDERS: Final = "/orders/2026-01-01/orders"
_FEEDS: Final = "/feeds/2021-06-30"
_ORDERS_PAGE: Final = "100"
_LISTINGS_PAGE: Final = "20"
_BEGINNING: Final = timedelta(days=90)
_OPEN: Final = "PENDING_AVAILABILITY,PENDING,UNSHIPPED,PARTIALLY_SHIPPED,CANCELLED"
"""What a first reading asks for: what was shipped before is no concern of ours."""
_RESTARTS_MAX: Final = 3
_JSON: Final = "application/json; charset=UTF-8"
_XML: Final = "text/xml; charset=UTF-8"
_REPORT_CHARACTERS: Final = 2000
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 400, 403, 404
_LISTINGS_FIX: Final = (
    "set the credentials anew, or correct `seller`, `marketplace` and `region`; the application "
    "needs the role Product Listing"
)
_ORDERS_FIX: Final = (
    "set the credentials anew; the application needs the role Inventory and Order Tracking, and "
    "Direct-to-Consumer Delivery (Restricted) for `reads_addresses`"
)
_QUEUE_FIX: Final = (
    "correct `queue_url` and the aws secrets; their user may sqs:ReceiveMessage, DeleteMessage and "
    "GetQueueAttributes"
)


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one seller in one store."""
    return Seller(opened, http)


class Seller:
    """One seller account in one store, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._config, self._http = opened.config, http
        own = f"sellingpartnerapi-{opened.config['region']}.amazon.com"
        own = f"https://{'sandbox.' if opened.environment == 'sandbox' else ''}{own}"
        endpoint = str(opened.config.get("endpoint") or "").rstrip("/")
        self._url = endpoint or own
        form = {"grant_type": "refresh_token"}
        form |= {n: opened.secrets[n] for n in ("refresh_token", "client_id", "client_secret")}
        fetch = oauth(http, f"{endpoint or _TOKENS}/auth/o2/token", form)
        self._tokens = Tokens(http, fetch, header="x-amz-access-token", prefix="")
        http.auth, http.limits = self._tokens, limit_seen
        self._store = {"marketplaceIds": str(opened.config["marketplace"])}
        self._code = str(opened.config.get("channel_code") or "DEFAULT")
        self._queue = self._opened_queue(opened)
        self._notifications = Notifications(self._queue, self._changed)
        self._unfinished = Unfinished(self._feed_status)

    def _opened_queue(self, opened: Opened) -> Queue | None:
        queue_url = str(opened.config.get("queue_url") or "")
        if not queue_url:
            return None
        given = [opened.secrets.get(n, "") for n in ("aws_access_key_id", "aws_secret_access_key")]
        if not all(given):
            raise Misconfigured("queue_url needs aws_access_key_id and aws_secret_access_key")
        region = region_of(queue_url, str(opened.config.get("queue_region") or ""))
        return Queue(self._http, queue_url, Credentials(given[0], given[1], region))

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """Read a listing, an order and the queue's length."""
        listings = self._read("test", self._seller_path(), {**self._store, "pageSize": "1"})
        since = rfc3339(datetime.now(UTC) - timedelta(days=1))
        wanted = {**self._store, "lastUpdatedAfter": since, "maxResultsPerPage": "1",
                  "includedData": mapping.datasets(self._config)}  # fmt: skip
        checks = [
            await _check("listings", listings, _LISTINGS_FIX),
            await _check("orders", self._read("test", _ORDERS, wanted), _ORDERS_FIX),
        ]
        if self._queue is not None:
            checks.append(await _check("notifications", self._queue.check(), _QUEUE_FIX))
        return checks

    # Figures -----------------------------------------------------------------------------------

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """One PATCH a row."""
        return await each(updates, self._patch)

    async def _patch(self, update: StockUpdate) -> Outcome:
        """One way at a time for a listing; what falls goes at once, and again after the feed."""
        feed = await self._unfinished.feed_with(update.item)
        wait = Outcome("later", "feed_under_way", f"feed {feed} has this listing in it",
                       after_seconds=60.0)  # fmt: skip
        previous = update.previous or 0
        if feed and update.quantity and update.quantity >= previous:
            return wait
        reply = await self._call(
            "publish", "PATCH", f"{self._seller_path()}/{segment(update.item)}",
            params=self._store, json=mapping.patch_body(update, self._code), is_idempotent=True,
        )  # fmt: skip
        outcome = mapping.submitted(reply.json())
        return wait if feed and outcome.kind == "accepted" else outcome

    async def publish_bulk(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """One feed. It is worked later, row by row: what was not applied is found by reading."""
        body = msgspec.json.encode(
            mapping.feed_of(updates, str(self._config["seller"]), self._code)
        )
        try:
            feed = await self._submit("publish_bulk", mapping.LISTINGS_FEED, _JSON, body)
        except Failed as error:
            if error.outcome.kind == "unknown":
                self._unfinished.doubt({update.item for update in updates})
            return [error.outcome] * len(updates)
        self._unfinished.add(feed, {update.item for update in updates})
        return [Outcome("accepted", reference=feed)] * len(updates)

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """The figure of our channel, with what Amazon finds wrong."""
        return [await self._observe(update) for update in updates]

    async def _observe(self, update: StockUpdate) -> Observed:
        path = f"{self._seller_path()}/{segment(update.item)}"
        wanted = {**self._store, "includedData": "fulfillmentAvailability,issues"}
        try:
            reply = await self._read("observe", path, wanted)
        except Failed as error:
            if _status(error) == _NOT_FOUND:
                return Observed(update.item, update.location, None, "Amazon has no such listing")
            raise
        return mapping.observed(update, reply.json(), self._code)

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Every listing the seller ships.

        A search ends after a thousand listings, so it goes on from the newest seen; the same way
        when its token has died.
        """
        after, known = "", set[str]()
        while True:
            newest, count, total, fresh = after, 0, 0, 0
            seen: dict[str, str] = {}
            async for answer in self._search(after):
                total = int(at(answer, "numberOfResults") or 0)
                for item in at(answer, "items") or ():
                    count += 1
                    newest = str(at(item, "summaries", 0, "createdDate") or newest)
                    seen[str(item["sku"])] = newest
                    entry = mapping.entry_of(item, self._code)
                    if item["sku"] not in known:
                        fresh += 1
                        if entry is not None:
                            yield entry
            if count >= total:
                return
            if not fresh or newest == after:
                detail = f"more than a thousand listings were made at {newest}"
                raise Failed(Outcome("later", "catalog_cut", detail))
            after, known = newest, {sku for sku, made in seen.items() if made == newest}

    async def _search(self, after: str) -> AsyncIterator[Any]:
        """The pages of a search, oldest listings first, until its token ends."""
        params = {**self._store, "sortBy": "createdDate", "sortOrder": "ASC",
                  "pageSize": _LISTINGS_PAGE,
                  "includedData": "summaries,fulfillmentAvailability,productTypes"}  # fmt: skip
        if after:
            params["createdAfter"] = after
        while True:
            try:
                answer = (await self._read("catalog", self._seller_path(), params)).json()
            except Failed as error:
                if "pageToken" in params and _status(error) == _BAD_REQUEST:
                    return
                raise
            yield answer
            token = at(answer, "pagination", "nextToken")
            if not token:
                return
            params["pageToken"] = token

    # Orders ------------------------------------------------------------------------------------

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Orders changed since, or what the queue brings."""
        if feed == "notifications":
            return await self._notifications.poll(cursor)
        state = msgspec.json.decode(cursor, type=dict[str, str]) if cursor else {}
        if not state:
            state["lastUpdatedAfter"] = rfc3339(since or datetime.now(UTC) - _BEGINNING)
            if since is None:
                state["fulfillmentStatuses"] = _OPEN
        return await self._orders(state)

    async def _orders(self, state: dict[str, str]) -> Page:
        """A page; a token that died begins anew, what was told is known by its id."""
        restarts = state.pop("restarts", "0")
        params = {**self._store, **state, "fulfilledBy": "MERCHANT",
                  "includedData": mapping.datasets(self._config),
                  "maxResultsPerPage": _ORDERS_PAGE}  # fmt: skip
        try:
            answer = (await self._read("orders", _ORDERS, params)).json()
        except Failed as error:
            is_dead = "paginationToken" in state and _status(error) == _BAD_REQUEST
            if not is_dead or int(restarts) >= _RESTARTS_MAX:
                raise
            del state["paginationToken"]
            return await self._orders({**state, "restarts": str(int(restarts) + 1)})
        orders = [mapping.incoming(order) for order in answer["orders"]]
        newest = max((order["lastUpdatedTime"] for order in answer["orders"]), default=None)
        token = at(answer, "pagination", "nextToken")
        following = {**state, "paginationToken": str(token), "restarts": restarts}
        cursor = msgspec.json.encode(following).decode() if token else None
        return Page(orders, cursor, newest and moment(newest))

    async def _changed(self, number: str) -> Any:
        """An order that a notification names; None: there is none."""
        try:
            return await self._order(number, mapping.datasets(self._config))
        except Failed as error:
            if _status(error) != _NOT_FOUND:
                raise
        return None

    async def _order(self, number: str, included: str) -> Any:
        path = f"{_ORDERS}/{segment(number)}"
        return (await self._read("order", path, {"includedData": included})).json()["order"]

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """Amazon calls nobody: its notifications are read from the queue."""
        del request, secrets
        return None

    async def send(self, delivery: Delivery) -> Outcome:
        """Ship, cancel."""
        match delivery.payload:
            case ConfirmShipment() as shipment:
                return await self._ship(delivery, shipment)
            case CancelOrder() as cancellation:
                return await self._cancel(cancellation)
            case other:
                return Outcome("rejected", "not_supported", f"{type(other).__name__} is not taken")

    async def _ship(self, delivery: Delivery, shipment: ConfirmShipment) -> Outcome:
        if not shipment.tracking:
            detail = "Amazon needs a tracking number: report it with the shipment"
            return Outcome("rejected", "tracking_missing", detail)
        path = f"/orders/v0/orders/{segment(shipment.order)}/shipmentConfirmation"
        await self._call(
            "confirm_shipment", "POST", path, json=mapping.shipment_body(shipment, self._config),
            correlation_id=delivery.correlation_id,
        )  # fmt: skip
        return Outcome("confirmed", reference=mapping.package_reference(shipment))

    async def _cancel(self, cancellation: CancelOrder) -> Outcome:
        order = await self._order(cancellation.order, "FULFILLMENT,CANCELLATION")
        if mapping.is_cancelled(order, cancellation):
            return Outcome("confirmed")
        by_line = bool(self._config.get("cancels_lines"))
        reason = mapping.cannot_cancel(order, cancellation, by_line=by_line)
        if reason:
            detail = f"{reason}; do it in Seller Central"
            return Outcome("rejected", "not_cancellable", detail)
        body = mapping.cancel_feed(cancellation, self._config)
        feed = await self._submit("cancel_order", mapping.ACKNOWLEDGEMENT_FEED, _XML, body)
        return Outcome("accepted", reference=feed)

    async def probe(self, delivery: Delivery) -> Outcome:
        """Read the order: is the parcel there, is it called off? Else what the feed says."""
        match delivery.payload:
            case ConfirmShipment() as shipment:
                order = await self._order(shipment.order, "FULFILLMENT,PACKAGES")
                is_done = mapping.is_shipped(order, shipment)
            case CancelOrder() as cancellation:
                order = await self._order(cancellation.order, "FULFILLMENT,CANCELLATION")
                is_done = mapping.is_cancelled(order, cancellation)
            case _:
                is_done = False
        if is_done:
            return Outcome("confirmed")
        if isinstance(delivery.payload, CancelOrder) and delivery.reference:
            return await self._refused_feed(delivery.reference)
        return Outcome("later", "not_done", "not there")

    async def _refused_feed(self, feed: str) -> Outcome:
        """What became of a feed that did not do what it was to do."""
        found = await self._feed(feed)
        status = str(at(found, "processingStatus"))
        if status in ("IN_QUEUE", "IN_PROGRESS"):
            return Outcome("unknown", "feed_under_way", f"feed {feed} is {status}", feed, 120.0)
        if status == "CANCELLED":
            return Outcome("later", "feed_cancelled", f"feed {feed} was cancelled")
        report = at(found, "resultFeedDocumentId")
        said = await self._report(str(report)) if report else ""
        return Outcome("rejected", f"feed_{status.lower()}", said or f"feed {feed} is {status}")

    # Feeds -------------------------------------------------------------------------------------

    async def _submit(self, operation: str, kind: str, media: str, body: bytes) -> str:
        """Create a document, upload it, create the feed; only the last call does anything."""
        try:
            made = await self._call("feed_document", "POST", f"{_FEEDS}/documents",
                                    json={"contentType": media}, is_idempotent=True)  # fmt: skip
            document = made.json()
            await self._http.call("upload", "PUT", str(document["url"]), body=body,
                                  headers={"Content-Type": media}, is_idempotent=True,
                                  auth=Fixed({}))  # fmt: skip
        except Failed as error:
            kind_now = "later" if error.outcome.kind == "unknown" else error.outcome.kind
            raise Failed(
                msgspec.structs.replace(error.outcome, kind=kind_now), error.reply
            ) from None
        asked = {"feedType": kind, "marketplaceIds": [self._config["marketplace"]],
                 "inputFeedDocumentId": document["feedDocumentId"]}  # fmt: skip
        reply = await self._call(operation, "POST", f"{_FEEDS}/feeds", json=asked)
        feed = at(reply.json(), "feedId")
        if not feed:
            raise Failed(Outcome("unknown", "no_feed", "the answer names no feed"), reply)
        return str(feed)

    async def _feed(self, feed: str) -> Any:
        return (await self._read("feed", f"{_FEEDS}/feeds/{segment(feed)}")).json()

    async def _feed_status(self, feed: str) -> str:
        return str(at(await self._feed(feed), "processingStatus"))

    async def _report(self, document: str) -> str:
        """The beginning of a feed's result."""
        found = (await self._read("report", f"{_FEEDS}/documents/{segment(document)}")).json()
        reply = await self._http.call("download", "GET", str(found["url"]), auth=Fixed({}))
        body = reply.body
        if at(found, "compressionAlgorithm") == "GZIP":
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, _REPORT_CHARACTERS)
        return body[:_REPORT_CHARACTERS].decode("utf-8", "replace")

    # Calls -------------------------------------------------------------------------------------

    def _seller_path(self) -> str:
        return f"{_LISTINGS}/{segment(str(self._config['seller']))}"

    async def _read(
        self, operation: str, path: str, params: Mapping[str, str] | None = None
    ) -> Reply:
        return await self._call(operation, "GET", path, params=params)

    async def _call(self, operation: str, method: str, path: str, **more: Any) -> Reply:
        """A call; a token that Amazon takes for dead, which it answers by 403, is renewed once."""
        try:
            return await self._http.call(operation, method, self._url + path, **more)
        except Failed as error:
            if not _is_token_dead(error):
                raise paced(operation, error) from None
        self._tokens.renew(await self._tokens.headers())
        try:
            return await self._http.call(operation, method, self._url + path, **more)
        except Failed as error:
            raise paced(operation, error) from None


def _status(error: Failed) -> int:
    return error.reply.status if error.reply is not None else 0


def _is_token_dead(error: Failed) -> bool:
    reply = error.reply
    return reply is not None and reply.status == _FORBIDDEN and b"access token" in reply.body


async def _check(name: str, reading: Awaitable[Any], fix: str) -> Check:
    try:
        await reading
    except Failed as error:
        return Check(name, False, str(error), fix)
    return Check(name, True, "can be read")
