"""The wire of WooCommerce's REST API v3."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from stockbridge.connectors.kit.canonical import at, parsed
from stockbridge.connectors.kit.http import Fixed, Http
from stockbridge.connectors.kit.outcomes import Failed, Reply
from stockbridge.connectors.kit.signing import basic, hmac_base64, is_signed
from stockbridge.connectors.woocommerce import mapping
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
from stockbridge.kernel.errors import Retry

_ROWS_MAX: Final = 100
_SEEN_MAX: Final = 400
_NEEDED: Final = ("order.created", "order.updated", "order.deleted")
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_OVERLAP: Final = timedelta(seconds=1)
"""The shop's clock has whole seconds: an order may follow in the second that a page ended in."""


class Place(msgspec.Struct, frozen=True):
    """How far a poll is: changes after this moment, but these orders, which were told."""

    after: datetime
    told: tuple[int, ...] = ()


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one shop."""
    return Shop(opened, http)


class Shop:
    """One shop, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._system, self._config, self._http = opened.system, opened.config, http
        self._url = f"{str(opened.config['url']).rstrip('/')}/wp-json/wc/v3"
        user, password = opened.secrets["consumer_key"], opened.secrets["consumer_secret"]
        http.auth = Fixed({"Authorization": basic(user, password)})

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """A read, an empty batch for the permission to write, and the shop's webhooks."""
        await self._read("test", "/products", per_page="1")
        found = [Check("reads", True, f"{self._url} answers")]
        await self._write("test", "POST", "/products/batch", {"update": []})
        found.append(Check("writes", True, "the key may write"))
        hooks = (await self._read("test", "/webhooks", per_page=str(_ROWS_MAX))).json()
        return [*found, self._webhooks(hooks)]

    def _webhooks(self, hooks: Any) -> Check:
        ours = [hook for hook in hooks if f"/v1/webhooks/{self._system}" in hook["delivery_url"]]
        active = {hook["topic"] for hook in ours if hook["status"] == "active"}
        lacking = ", ".join(topic for topic in _NEEDED if topic not in active)
        fix = (
            f"make or enable webhooks for {lacking} to /v1/webhooks/{self._system}; the shop "
            f"disables one after five deliveries that failed"
        )
        return Check("webhooks", not lacking, f"not active: {lacking}" if lacking else "", fix)

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """One batch for products, and one for each product whose variations are among the rows."""
        found: dict[int, Outcome] = {}
        for parent, ids in mapping.by_parent(update.item for update in updates).items():
            rows = [u for u in updates if self._is_in(u.item, parent, ids)]
            for update, outcome in zip(rows, await self._set(parent, rows), strict=True):
                found[update.listing_id] = outcome
        return [found[update.listing_id] for update in updates]

    def _is_in(self, item: str, parent: int, ids: Sequence[int]) -> bool:
        product, variation = mapping.parts_of(item)
        return (product if variation else 0) == parent and (variation or product) in ids

    async def _set(self, parent: int, rows: Sequence[StockUpdate]) -> Sequence[Outcome]:
        path = f"/products/{parent}/variations/batch" if parent else "/products/batch"
        try:
            reply = await self._write("publish", "POST", path, mapping.batch_of(rows), is_set=True)
            return mapping.row_outcomes(rows, reply.json())
        except Failed as error:
            return [error.outcome] * len(rows)

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """Products by id, variations by their product."""
        found: dict[str, Any] = {}
        for parent, ids in mapping.by_parent(update.item for update in updates).items():
            path = f"/products/{parent}/variations" if parent else "/products"
            try:
                reply = await self._read(
                    "observe", path, include=",".join(map(str, ids)), per_page=str(_ROWS_MAX)
                )
            except Failed as error:
                # The parent product is gone, and its variations with it.
                if parent and error.outcome.kind == "rejected":
                    continue
                raise
            for product in reply.json():
                found[mapping.item_of(parent, product["id"]) if parent else str(product["id"])] = (
                    product
                )
        return mapping.observed(updates, found)

    async def send(self, delivery: Delivery) -> Outcome:
        """Put it on the order, which remembers it, so that it is done once."""
        match delivery.payload:
            case ConfirmShipment() as shipment:
                return await self._ship(delivery, shipment)
            case CancelOrder() as cancellation:
                return await self._cancel(delivery, cancellation)
            case other:
                return Outcome("rejected", "not_supported", f"{type(other).__name__} is not taken")

    async def probe(self, delivery: Delivery) -> Outcome:
        """Sending again is the way to find out: the order remembers what was done."""
        return Outcome("later", "repeat", f"{delivery.operation} may be sent again")

    async def _ship(self, delivery: Delivery, shipment: ConfirmShipment) -> Outcome:
        path = f"/orders/{shipment.order}"
        order = (await self._read("order", path)).json()
        if mapping.has_meta(order, mapping.package_key(shipment.package)):
            return Outcome("confirmed")
        change = mapping.shipment_change(order, shipment)
        await self._write("confirm_shipment", "PUT", path, change, delivery, is_set=True)
        return await self._note(path, mapping.shipment_note(shipment), delivery, to_customer=True)

    async def _cancel(self, delivery: Delivery, cancellation: CancelOrder) -> Outcome:
        path = f"/orders/{cancellation.order}"
        order = (await self._read("order", path)).json()
        key = mapping.cancellation_key(cancellation.cancellation)
        if mapping.has_meta(order, key):
            return Outcome("confirmed")
        change: dict[str, Any] = {"meta_data": [{"key": key, "value": cancellation.reason}]}
        if mapping.is_whole(order, cancellation):
            change["status"] = "cancelled"
        await self._write("cancel_order", "PUT", path, change, delivery, is_set=True)
        note = mapping.cancellation_note(cancellation)
        return await self._note(path, note, delivery, to_customer=False)

    async def _note(
        self, path: str, text: str, delivery: Delivery, *, to_customer: bool
    ) -> Outcome:
        """Tell people. What is done is done: a note that fails is not a reason to do it again."""
        body = {"note": text, "customer_note": to_customer}
        try:
            await self._write("note", "POST", f"{path}/notes", body, delivery)
        except Failed as error:
            return Outcome("confirmed", "note_failed", f"done, but no note: {error}")
        return Outcome("confirmed")

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """A signed webhook is a hint to read the orders; a deletion cannot be read any more."""
        given = request.headers.get("x-wc-webhook-signature", "")
        if not is_signed(given, secrets, lambda secret: hmac_base64(secret, request.body)):
            return None
        if request.headers.get("x-wc-webhook-topic") == "order.deleted":
            try:
                order = at(parsed(request.body), "id")
            except ValueError:
                order = None
            if isinstance(order, int):
                return Received([mapping.deleted(order)])
        return Received(feeds=["orders"])

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Orders by when they changed; a page goes on after the one before, so nothing shifts."""
        place = msgspec.json.decode(cursor, type=Place) if cursor else Place(since or _BEGINNING)
        rows, is_last = await self._changed(feed, place)
        messages = [mapping.incoming(order, await self._refunds(order)) for order in rows]
        if not rows:
            return Page(messages, None)
        times = {order["id"]: mapping.changed_at(order) for order in rows}
        newest = max(times.values())
        following = None if is_last else msgspec.json.encode(self._next(place, times)).decode()
        return Page(messages, following, newest)

    async def _changed(self, feed: str, place: Place) -> tuple[list[dict[str, Any]], bool]:
        params = {
            "modified_after": place.after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "dates_are_gmt": "true",
            "orderby": str(self._config.get("orders_by", "modified")),
            "order": "asc",
            "per_page": str(_ROWS_MAX),
            "status": "any",
        }
        if place.told:
            params["exclude"] = ",".join(map(str, place.told))
        reply = await self._read(feed, "/orders", **params)
        rows = reply.json()
        total = reply.headers.get("x-wp-total", "")
        is_last = len(rows) >= int(total) if total.isdigit() else len(rows) < _ROWS_MAX
        return rows, is_last or not rows

    def _next(self, place: Place, times: Mapping[int, datetime]) -> Place:
        """After the page's newest change less its second; what was told of that is left out."""
        after = max(times.values()) - _OVERLAP
        if self._config.get("orders_by", "modified") == "modified" and after > place.after:
            return Place(after, tuple(order for order, when in times.items() if when > after))
        told = (*place.told, *times)
        if len(told) > _SEEN_MAX:
            raise Retry(
                f"more than {_SEEN_MAX} orders of one moment; set orders_by to modified", 60
            )
        return Place(place.after, told)

    async def _refunds(self, order: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What an order's refunds took back; an order names them, their lines stand elsewhere."""
        if not order.get("refunds"):
            return []
        reply = await self._read(
            "refunds", f"/orders/{order['id']}/refunds", per_page=str(_ROWS_MAX)
        )
        return sorted(reply.json(), key=lambda refund: int(refund["id"]))

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Every product, and every variation of those that have some."""
        async for product in self._all("/products"):
            if product.get("type") != "variable":
                yield mapping.entry_of(product)
                continue
            async for variation in self._all(f"/products/{product['id']}/variations"):
                yield mapping.entry_of(variation, int(product["id"]))

    async def _all(self, path: str) -> AsyncIterator[dict[str, Any]]:
        number, pages = 1, 1
        while number <= pages:
            reply = await self._read(
                "catalog", path, per_page=str(_ROWS_MAX), page=str(number), orderby="id",
                order="asc",
            )  # fmt: skip
            pages = int(reply.headers.get("x-wp-totalpages", "1"))
            for row in reply.json():
                yield row
            number += 1

    async def _read(self, operation: str, path: str, **params: str) -> Reply:
        return await self._http.call(operation, "GET", self._url + path, params=params)

    async def _write(
        self,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any],
        delivery: Delivery | None = None,
        *,
        is_set: bool = False,
    ) -> Reply:
        """Change something; `is_set`: doing it twice is doing it once."""
        correlation = delivery.correlation_id if delivery else ""
        return await self._http.call(
            operation, method, self._url + path, json=body, is_idempotent=is_set,
            correlation_id=correlation,
        )  # fmt: skip
