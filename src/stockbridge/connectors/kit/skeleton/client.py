"""The partner's wire: REST with tokens, one figure a call, orders by the time they changed."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

from stockbridge.connectors.kit.canonical import at, moment, rfc3339, segment
from stockbridge.connectors.kit.http import Http
from stockbridge.connectors.kit.outcomes import Reply, each
from stockbridge.connectors.kit.signing import hmac_hex, is_signed
from stockbridge.connectors.kit.skeleton import mapping
from stockbridge.connectors.kit.tokens import Tokens, oauth
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import (
    CatalogEntry,
    Check,
    Connector,
    Delivery,
    LimitSeen,
    Observed,
    Opened,
    Outcome,
    Page,
    Received,
    StockUpdate,
    WebhookRequest,
)
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment
from stockbridge.kernel.errors import Retry

_ADDRESS: Final = "https://api.skeleton.example"


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one shop."""
    return Shop(opened, http)


class Shop:
    """One shop, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._http = http
        self._url = str(opened.config.get("endpoint") or _ADDRESS).rstrip("/")
        client = (opened.secrets["client_id"], opened.secrets["client_secret"])
        form = {"grant_type": "client_credentials"}
        http.auth = Tokens(http, oauth(http, f"{self._url}/oauth/token", form, client=client))
        http.limits = _limit

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """A token, and a read with it."""
        await self._http.call("test", "GET", f"{self._url}/v1/stock", params={"ids": ""})
        return [Check("connection", True, f"{self._url} answers and takes the credentials")]

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """One call an item: setting the same figure twice changes nothing."""
        return await each(updates, self._set)

    async def _set(self, update: StockUpdate) -> Outcome:
        address = f"{self._url}/v1/stock/{segment(update.item)}"
        wanted = {"quantity": update.quantity}
        reply = await self._http.call("publish", "PUT", address, json=wanted, is_idempotent=True)
        shown = at(reply.json(), "product")
        return Outcome("confirmed" if shown == update.item else "unknown")

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """One read for all rows; items the shop does not list are left out of its answer."""
        params = {"ids": ",".join(update.item for update in updates)}
        reply = await self._http.call("observe", "GET", f"{self._url}/v1/stock", params=params)
        rows = at(reply.json(), "stock") or []
        shown = {at(row, "product"): at(row, "quantity") for row in rows}
        return [Observed(each.item, each.location, shown.get(each.item)) for each in updates]

    async def send(self, delivery: Delivery) -> Outcome:
        """A shipment or a cancellation."""
        match delivery.payload:
            case ConfirmShipment(order=order) as told:
                body, path, is_idempotent = mapping.shipment(told), "shipments", False
            case CancelOrder(order=order, reason=reason):
                body, path, is_idempotent = {"reason": reason}, "cancellation", True
            case _:
                return Outcome("rejected", "unsupported", f"it takes no {delivery.operation}")
        reply = await self._http.call(
            delivery.operation, "POST", f"{self._url}/v1/orders/{segment(order)}/{path}",
            json=body, is_idempotent=is_idempotent, correlation_id=delivery.correlation_id,
        )  # fmt: skip
        return Outcome("confirmed", reference=str(at(reply.json(), "id") or ""))

    async def probe(self, delivery: Delivery) -> Outcome:
        """Look for the parcel among the order's shipments."""
        told: ConfirmShipment = delivery.payload
        address = f"{self._url}/v1/orders/{segment(told.order)}/shipments"
        reply = await self._http.call("probe", "GET", address)
        for shipment in at(reply.json(), "shipments") or []:
            if at(shipment, "reference") == told.package:
                return Outcome("confirmed", reference=str(at(shipment, "id")))
        return Outcome("later", "not_there", f"no shipment {told.package} is there")

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """A thin webhook: what changed is read from the feed."""
        given = request.headers.get("x-signature", "")
        if not is_signed(given, secrets, lambda secret: hmac_hex(secret, request.body)):
            return None
        return Received(feeds=["orders"])

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Orders by (changed at, id); the partner's cursor says after which."""
        params: dict[str, str] = {}
        if cursor is not None:
            params["after"] = cursor
        elif since is not None:
            params["changed_since"] = rfc3339(since)
        reply = await self._http.call(feed, "GET", f"{self._url}/v1/orders", params=params)
        answer = reply.json()
        orders = at(answer, "orders")
        if not isinstance(orders, list):
            raise Retry("the answer has no list of orders", 60.0)
        messages = [kept for order in orders if (kept := mapping.incoming(order)) is not None]
        changed = [moment(at(order, "changed_at")) for order in orders]
        following = at(answer, "after")
        return Page(messages, str(following) if following else None, max(changed, default=None))

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """All products, by cursor."""
        params: dict[str, str] = {}
        while True:
            answer: Any = (
                await self._http.call("catalog", "GET", f"{self._url}/v1/products", params=params)
            ).json()
            for row in at(answer, "products") or []:
                yield CatalogEntry(str(at(row, "id")), str(at(row, "sku")), at(row, "title") or "")
            following = at(answer, "after")
            if not following:
                return
            params = {"after": str(following)}


def _limit(_operation: str, reply: Reply) -> LimitSeen | None:
    """What the answer says of the window that all calls share."""
    left = reply.headers.get("x-ratelimit-remaining", "")
    wait = reply.headers.get("retry-after", "")
    if not left.isdigit():
        return None
    return LimitSeen("*", float(left), wait_seconds=float(wait) if wait.isdigit() else None)
