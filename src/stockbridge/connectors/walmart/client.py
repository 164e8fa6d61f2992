"""The wire of Walmart Marketplace's v3 APIs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec

from stockbridge.connectors.kit.canonical import at, rfc3339, segment
from stockbridge.connectors.kit.http import Http
from stockbridge.connectors.kit.outcomes import Failed, Reply, each
from stockbridge.connectors.kit.signing import basic, hmac_base64, is_signed
from stockbridge.connectors.kit.tokens import Tokens, oauth
from stockbridge.connectors.walmart import mapping
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
from stockbridge.contracts.partners.operations import (
    AcknowledgeOrder,
    CancelOrder,
    ConfirmShipment,
)

_PRODUCTION: Final = "https://marketplace.walmartapis.com"
_SANDBOX: Final = "https://sandbox.walmartapis.com"
_PAGE: Final = 200
_ITEMS: Final = 50
_NOT_FOUND: Final = 404
_SIGNED_SECONDS_MAX: Final = 300
_BEGINNING: Final = timedelta(days=180)
"""Walmart keeps orders readable for about that long."""


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one seller account."""
    return Seller(opened, http)


class Seller:
    """One seller account, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._config, self._http = opened.config, http
        own = _SANDBOX if opened.environment == "sandbox" else _PRODUCTION
        self._url = str(opened.config.get("endpoint") or own).rstrip("/")
        client = (opened.secrets["client_id"], opened.secrets["client_secret"])
        fetch = oauth(
            http, f"{self._url}/v3/token", {"grant_type": "client_credentials"},
            client=client, headers=_named(),
        )  # fmt: skip
        http.auth = Tokens(http, fetch, header="WM_SEC.ACCESS_TOKEN", prefix="")
        http.limits = limit_seen

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """A token, and a page of inventory, whose nodes should be those configured."""
        reply = await self._read("test", "/v3/inventories", {"limit": "10"})
        nodes = {
            str(at(node, "shipNode"))
            for row in at(reply.json(), "elements", "inventories") or ()
            for node in at(row, "nodes") or ()
        }
        ours = set(map(str, self._config["locations"].values()))
        unseen = ", ".join(sorted(ours - nodes)) if nodes else ""
        detail = f"the first items are not stocked at {unseen}" if unseen else ""
        fix = f"correct `locations`; the first items are at {', '.join(sorted(nodes)) or 'none'}"
        return [
            Check("reads", True, f"{self._url} answers"),
            Check("ship nodes", not unseen, detail, fix),
        ]

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """One PUT a row: the figure of one sku at one ship node."""
        return await each(updates, self._put)

    async def _put(self, update: StockUpdate) -> Outcome:
        reply = await self._http.call(
            "publish", "PUT", f"{self._url}/v3/inventories/{segment(update.item)}",
            json=mapping.node_update(update), headers=_named(), is_idempotent=True,
        )  # fmt: skip
        return mapping.node_outcome(update, reply.json())

    async def publish_bulk(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """One feed. It is worked later, row by row: what was not applied is found by reading."""
        body = msgspec.json.encode(mapping.feed_of(updates))
        kind = "application/json"
        if self._config.get("feed_encoding", "json") == "multipart":
            boundary = uuid4().hex
            body, kind = (
                mapping.multipart(body, boundary),
                f"multipart/form-data; boundary={boundary}",
            )
        reply = await self._http.call(
            "publish_bulk", "POST", f"{self._url}/v3/feeds", params={"feedType": "MP_INVENTORY"},
            body=body, headers={**_named(), "Content-Type": kind},
        )  # fmt: skip
        feed = at(reply.json(), "feedId")
        if not feed:
            return [Outcome("unknown", "no_feed", "the answer names no feed")] * len(updates)
        return [Outcome("accepted", reference=str(feed))] * len(updates)

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """All ship nodes of the sku."""
        return [await self._observe(update) for update in updates]

    async def _observe(self, update: StockUpdate) -> Observed:
        try:
            reply = await self._read("observe", f"/v3/inventories/{segment(update.item)}")
        except Failed as error:
            if error.reply is not None and error.reply.status == _NOT_FOUND:
                return Observed(update.item, update.location, None, "Walmart has no such item")
            raise
        adds = bool(self._config.get("adds_unshipped", True))
        return mapping.observed(update, reply.json(), adds_unshipped=adds)

    async def send(self, delivery: Delivery) -> Outcome:
        """Acknowledge, ship, cancel."""
        match delivery.payload:
            case AcknowledgeOrder() as told:
                if mapping.is_acknowledged(await self._order(told.order)):
                    return Outcome("confirmed")
                await self._post(delivery, told.order, "acknowledge", {}, is_idempotent=True)
                return Outcome("confirmed")
            case ConfirmShipment() as shipment:
                return await self._ship(delivery, shipment)
            case CancelOrder() as cancellation:
                return await self._cancel(delivery, cancellation)
            case other:
                return Outcome("rejected", "not_supported", f"{type(other).__name__} is not taken")

    async def _ship(self, delivery: Delivery, shipment: ConfirmShipment) -> Outcome:
        """A shipment charges the customer: it is never sent twice."""
        if not shipment.tracking:
            detail = "Walmart needs a tracking number: report it with the shipment"
            return Outcome("rejected", "tracking_missing", detail)
        if mapping.is_shipped(await self._order(shipment.order), shipment):
            return Outcome("confirmed")
        await self._post(delivery, shipment.order, "shipping", mapping.shipment_body(shipment))
        return Outcome("confirmed")

    async def _cancel(self, delivery: Delivery, cancellation: CancelOrder) -> Outcome:
        """Cancelled units have no name there: how many there were before is kept to compare."""
        before = mapping.cancelled(await self._order(cancellation.order))
        reference = delivery.reference or msgspec.json.encode(before).decode()
        body = mapping.cancel_body(cancellation)
        try:
            await self._post(delivery, cancellation.order, "cancel", body)
        except Failed as error:
            return msgspec.structs.replace(error.outcome, reference=reference)
        return Outcome("confirmed", reference=reference)

    async def probe(self, delivery: Delivery) -> Outcome:
        """Read the order: is the parcel, or are the cancelled units, there?"""
        match delivery.payload:
            case ConfirmShipment() as shipment:
                is_done = mapping.is_shipped(await self._order(shipment.order), shipment)
            case CancelOrder() as cancellation:
                before = msgspec.json.decode(delivery.reference or "{}", type=dict[str, int])
                order = await self._order(cancellation.order)
                is_done = mapping.is_cancelled(order, cancellation, before)
            case _:
                is_done = False
        return Outcome("confirmed") if is_done else Outcome("later", "not_done", "not there")

    async def _order(self, number: str) -> Any:
        reply = await self._read("order", f"/v3/orders/{segment(number)}")
        return at(reply.json(), "order")

    async def _post(
        self,
        delivery: Delivery,
        number: str,
        act: str,
        body: Mapping[str, Any],
        *,
        is_idempotent: bool = False,
    ) -> Reply:
        return await self._http.call(
            delivery.operation, "POST", f"{self._url}/v3/orders/{segment(number)}/{act}",
            json=body, headers=_named(), is_idempotent=is_idempotent,
            correlation_id=delivery.correlation_id,
        )  # fmt: skip

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """Verified by the way that was chosen when subscribing; events are hints."""
        if self._config.get("webhook_auth", "hmac") == "basic":
            given = request.headers.get("authorization", "")
            is_known = is_signed(given, secrets, lambda s: basic(*_split(s)))
        else:
            given = request.headers.get("wm_sec.signature", "")
            stamp = request.headers.get("wm_sec.timestamp", "")
            text = mapping.signed_text(
                request.method, request.path, request.query, stamp, request.body
            )
            is_known = is_signed(given, secrets, lambda s: hmac_base64(s, text)) and _is_now(stamp)
        return Received(feeds=["orders"]) if is_known else None

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Orders or returns changed since; Walmart's cursor is the query of the next page."""
        if feed == "returns":
            return await self._returns(since, cursor)
        params = {
            "limit": str(_PAGE),
            str(self._config.get("orders_since", "lastModifiedStartDate")): rfc3339(
                since or datetime.now(UTC) - _BEGINNING
            ),
        }
        if cursor:
            params = dict(parse_qsl(cursor.removeprefix("?")))
        answer = (await self._read(feed, "/v3/orders", params)).json()
        orders = at(answer, "list", "elements", "order") or []
        following = at(answer, "list", "meta", "nextCursor")
        newest = max(map(mapping.changed_at, orders), default=None)
        return Page([mapping.incoming(order) for order in orders], following or None, newest)

    async def _returns(self, since: datetime | None, cursor: str | None) -> Page:
        began = datetime.now(UTC)
        params = {
            "limit": str(_PAGE),
            "returnLastModifiedStartDate": rfc3339(since or began - _BEGINNING),
        }
        if cursor:
            params = dict(parse_qsl(cursor.removeprefix("?")))
        answer = (await self._read("returns", "/v3/returns", params)).json()
        found = at(answer, "returnOrders") or []
        following = at(answer, "meta", "nextCursor")
        # A return says when it was made, not when it changed: the next poll begins where this did.
        return Page([mapping.returned(each) for each in found], following or None, began)

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Every item of the seller."""
        cursor = "*"
        while cursor:
            answer = (
                await self._read(
                    "catalog", "/v3/items", {"limit": str(_ITEMS), "nextCursor": cursor}
                )
            ).json()
            for item in at(answer, "ItemResponse") or ():
                yield mapping.entry_of(item)
            cursor = at(answer, "nextCursor") or ""

    async def _read(
        self, operation: str, path: str, params: Mapping[str, str] | None = None
    ) -> Reply:
        return await self._http.call(
            operation, "GET", self._url + path, params=params, headers=_named()
        )


def limit_seen(operation: str, reply: Reply) -> LimitSeen | None:
    """What an answer's headers say of the operation's token bucket."""
    left = reply.headers.get("x-current-token-count", "")
    again = reply.headers.get("x-next-replenishment-time", "")
    if not left.lstrip("-").isdigit():
        return None
    wait = None
    if int(left) <= 0 and again.isdigit():
        wait = max(0.0, int(again) / 1000 - datetime.now(UTC).timestamp())
    return LimitSeen(operation, remaining=max(0.0, float(left)), wait_seconds=wait)


def _named() -> dict[str, str]:
    """A correlation id for each call: what Walmart's support asks for."""
    return {"WM_SVC.NAME": "Walmart Marketplace", "WM_QOS.CORRELATION_ID": str(uuid4())}


def _split(secret: str) -> tuple[str, str]:
    user, _, password = secret.partition(":")
    return user, password


def _is_now(stamp: str) -> bool:
    """Whether a timestamp in milliseconds is at most five minutes from now."""
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > len("1700000000000"):
        return False
    return abs(datetime.now(UTC).timestamp() - int(stamp) / 1000) <= _SIGNED_SECONDS_MAX
