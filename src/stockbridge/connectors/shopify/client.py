"""The wire of Shopify's Admin GraphQL API."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from stockbridge.connectors.kit.canonical import at, key_of, parsed, rfc3339
from stockbridge.connectors.kit.http import Fixed, Http
from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.connectors.kit.signing import hmac_base64, is_signed
from stockbridge.connectors.kit.tokens import Tokens, oauth
from stockbridge.connectors.shopify import documents, mapping
from stockbridge.connectors.shopify.delivering import Deliveries
from stockbridge.connectors.shopify.mapping import gid, tail
from stockbridge.connectors.shopify.wire import Wire
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import (
    CatalogEntry,
    Check,
    Connector,
    Delivery,
    Incoming,
    Observed,
    Opened,
    Outcome,
    Page,
    Received,
    StockUpdate,
    WebhookRequest,
)
from stockbridge.kernel.errors import Misconfigured

_TOKEN: Final = "X-Shopify-Access-Token"  # noqa: S105 - the name of a header
_ORDERS_MAX: Final = 10
_REFUNDS_MAX: Final = 10
_VARIANTS_MAX: Final = 200
_PAGED_MAX: Final = 20_000
"""Shopify pages through 25,000 objects of one query; then a new one goes on."""
_KEYS_MAX: Final = 4
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SCOPES: Final = (
    "read_inventory", "write_inventory", "read_locations", "read_products", "read_orders",
    "write_orders", "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders", "read_returns",
)  # fmt: skip


class Place(msgspec.Struct, frozen=True):
    """How far a poll is: Shopify's cursor in the orders changed since; `told`: under it so far."""

    since: datetime
    after: str | None = None
    told: int = 0


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one shop; raises Misconfigured without credentials."""
    return Shop(opened, http)


class Shop:
    """One shop, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._config, self._system = opened.config, opened.system
        self._wire = Wire(http, _url_of(opened), str(opened.config.get("api_version", "2026-10")))
        self._deliveries = Deliveries(self._wire, opened.config)
        token, client = opened.secrets.get("access_token"), opened.config.get("client_id")
        if client:
            form = {"grant_type": "client_credentials", "client_id": str(client),
                    "client_secret": opened.secrets["client_secret"]}  # fmt: skip
            url = f"{_url_of(opened)}/admin/oauth/access_token"
            http.auth = Tokens(http, oauth(http, url, form), header=_TOKEN, prefix="")
        elif token:
            http.auth = Fixed({_TOKEN: token})
        else:
            raise Misconfigured("client_id: missing; give it, or the secret access_token")

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """The shop, the app's scopes, its locations, and whether the API version still stands."""
        reply, data = await self._wire.answer("test", documents.TEST, {})
        scopes = {scope["handle"] for scope in at(data, "currentAppInstallation", "accessScopes")}
        lacking = [
            scope for scope in _SCOPES if not scopes & {scope, scope.replace("read", "write")}
        ]
        active = {tail(row["id"]): row["name"] for row in at(data, "locations", "nodes")
                  if row["isActive"]}  # fmt: skip
        missing = sorted({str(t) for t in self._config["locations"].values()} - active.keys())
        named = ", ".join(f"{number} ({name})" for number, name in sorted(active.items()))
        served = reply.headers.get("x-shopify-api-version", self._wire.version)
        return [
            Check("reads", True, f"{at(data, 'shop', 'myshopifyDomain')} answers"),
            Check("scopes", not lacking, f"lacking: {', '.join(lacking)}" if lacking else "",
                  f"give the app {', '.join(lacking)}, release it and accept it in the shop"),
            Check("locations", not missing,
                  f"not an active location: {', '.join(missing)}" if missing else "",
                  f"correct `locations`; the shop's active ones are {named or 'none'}"),
            Check("version", served == self._wire.version,
                  f"Shopify serves {served} instead of {self._wire.version}",
                  "set `api_version` to one that Shopify supports"),
        ]  # fmt: skip

    # Figures -----------------------------------------------------------------------------------

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """All rows in one call; one that is refused is left out, and the others sent again."""
        found: dict[int, Outcome] = {}
        try:
            await self._set(list(updates), found)
        except Failed as error:
            for update in updates:
                found.setdefault(update.listing_id, error.outcome)
        await self._look(updates, found)
        return [found[update.listing_id] for update in updates]

    async def _set(self, rows: list[StockUpdate], found: dict[int, Outcome]) -> None:
        while rows:
            errors = await self._send_rows(rows)
            bad = mapping.bad_rows(errors, len(rows))
            if bad:
                for place in sorted(bad, reverse=True):
                    await self._refused(rows.pop(place), *bad[place], found)
                continue
            if errors and len(rows) > 1 and mapping.is_of_rows(mapping.error_code(errors[0])):
                # One of them is bad, and nobody says which: halves find it.
                half = len(rows) // 2
                await self._set(rows[:half], found)
                rows = rows[half:]
                continue
            for row in rows:
                if errors:
                    code, said = mapping.error_code(errors[0]), str(at(errors, 0, "message"))
                    await self._refused(row, code, said, found)
                else:
                    found[row.listing_id] = Outcome("confirmed")
            return

    async def _send_rows(self, rows: Sequence[StockUpdate]) -> Any:
        """The call's user errors; a key whose first attempt failed gives way to another."""
        for attempt in range(_KEYS_MAX):
            key = mapping.publish_key(self._system, rows, attempt)
            variables = {"input": mapping.input_of(rows, key), "key": key}
            data = await self._wire.change("publish", documents.PUBLISH, variables)
            errors = at(data, "inventorySetQuantities", "userErrors") or []
            refused = mapping.refused(errors)
            if refused is not None and refused.code == "concurrent":
                raise Failed(refused)
            if at(errors, 0, "code") != "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED":
                return errors
        raise Failed(Outcome("later", "previous_attempt_failed", "several keys failed before"))

    async def _refused(
        self, row: StockUpdate, code: str, said: str, found: dict[int, Outcome]
    ) -> None:
        """What becomes of a row that was refused; one not stocked there is activated."""
        if mapping.is_stale(code):
            found[row.listing_id] = Outcome("later", "stale", said)
        elif mapping.may_be_activated(code) and self._config.get("activates", True):
            found[row.listing_id] = await self._activate(row)
        else:
            found[row.listing_id] = Outcome("rejected", code.lower(), said)

    async def _activate(self, row: StockUpdate) -> Outcome:
        key = key_of("activate", self._system, row.listing_id, row.version, row.quantity)
        variables = {
            "item": gid("InventoryItem", row.item), "location": gid("Location", row.location),
            "available": row.quantity, "key": key,
        }  # fmt: skip
        try:
            data = await self._wire.change("publish", documents.ACTIVATE, variables)
        except Failed as error:
            return error.outcome
        refused = mapping.refused(at(data, "inventoryActivate", "userErrors"))
        return Outcome("confirmed", "activated") if refused is None else refused

    async def _look(self, updates: Sequence[StockUpdate], found: dict[int, Outcome]) -> None:
        """Say of stale rows what the shop shows; without that they come again unchanged."""
        rows = [u for u in updates if found[u.listing_id].code == "stale"]
        try:
            seen = await self.observe(rows)
        except Failed as error:
            found.update((row.listing_id, error.outcome) for row in rows)
            return
        for row, figure in zip(rows, seen, strict=True):
            outcome = msgspec.structs.replace(found[row.listing_id], observed=figure.quantity)
            found[row.listing_id] = outcome

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """One call for each location."""
        items: dict[str, list[str]] = defaultdict(list)
        for update in updates:
            items[update.location].append(gid("InventoryItem", update.item))
        found: dict[str, Mapping[str, tuple[int | None, str]]] = {}
        for location, wanted in items.items():
            variables = {
                "items": list(dict.fromkeys(wanted)),
                "location": gid("Location", location),
            }
            data = await self._wire.read("observe", documents.OBSERVE, variables)
            found[location] = mapping.figures(at(data, "nodes"))
        return [mapping.observed(update, found[update.location]) for update in updates]

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Every variant by its id, page after page, however many there are."""
        last = "0"
        while True:
            variables = {"first": _VARIANTS_MAX, "after": f"id:>{last}"}
            data = await self._wire.read("catalog", documents.CATALOG, variables)
            for variant in at(data, "productVariants", "nodes"):
                yield mapping.entry_of(variant)
                last = tail(variant["id"])
            if not at(data, "productVariants", "pageInfo", "hasNextPage"):
                return

    # Deliveries --------------------------------------------------------------------------------

    async def send(self, delivery: Delivery) -> Outcome:
        """Do it, unless it is done."""
        return await self._deliveries.send(delivery)

    async def probe(self, delivery: Delivery) -> Outcome:
        """Whether it was done."""
        return await self._deliveries.probe(delivery)

    # Orders ------------------------------------------------------------------------------------

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """A signed webhook of this shop is a hint to read the orders, whatever it says.

        It may come twice, late, or with what was true before a newer one. Only that an order was
        deleted cannot be read any more.
        """
        given = request.headers.get("x-shopify-hmac-sha256", "")
        if not is_signed(given, secrets, lambda secret: hmac_base64(secret, request.body)):
            return None
        domain = request.headers.get("x-shopify-shop-domain", "")
        if domain != f"{self._config['shop']}.myshopify.com":
            return None
        if request.headers.get("x-shopify-topic") == "orders/delete":
            try:
                order = at(parsed(request.body), "id")
            except ValueError:
                order = None
            if isinstance(order, int):
                return Received([mapping.deleted(order)])
        return Received(feeds=["orders"])

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Orders by when they changed; one that changes meanwhile comes again at the end."""
        place = msgspec.json.decode(cursor, type=Place) if cursor else Place(since or _BEGINNING)
        variables = {
            "first": _ORDERS_MAX, "changed": f"updated_at:>='{rfc3339(place.since)}'",
            "after": place.after, "hasAddress": bool(self._config.get("reads_addresses", True)),
        }  # fmt: skip
        data = await self._wire.read(feed, documents.ORDERS, variables)
        orders = at(data, "orders", "nodes")
        messages = [await self._complete(feed, order) for order in orders]
        newest = max((mapping.changed_at(order) for order in orders), default=None)
        page = at(data, "orders", "pageInfo")
        if not page["hasNextPage"] or newest is None:
            return Page(messages, None, newest)
        told = place.told + len(orders)
        following = Place(place.since, page["endCursor"], told)
        if told >= _PAGED_MAX and newest > place.since:
            following = Place(newest)
        return Page(messages, msgspec.json.encode(following).decode(), newest)

    async def _complete(self, feed: str, order: Mapping[str, Any]) -> Incoming:
        """An order with all that did not fit on the page."""
        lines = list(at(order, "lineItems", "nodes"))
        page = at(order, "lineItems", "pageInfo")
        if page["hasNextPage"]:
            lines += await self._wire.all(
                feed, documents.LINES, {"order": order["id"]}, ("order", "lineItems"),
                page["endCursor"],
            )  # fmt: skip
        refunds = [refund["id"] for refund in order["refunds"]]
        if len(refunds) >= _REFUNDS_MAX:
            data = await self._wire.read(feed, documents.REFUNDS, {"order": order["id"]})
            refunds = [refund["id"] for refund in at(data, "order", "refunds")]
        returns = await self._returns(feed, order) if at(order, "returns", "nodes") else []
        return mapping.incoming(
            order, lines, [await self._refund(feed, refund) for refund in refunds], returns
        )

    async def _returns(self, feed: str, order: Mapping[str, Any]) -> list[Any]:
        """The order's returns, each with what was decided of its goods."""
        found: list[Any] = []
        for each in await self._wire.all(
            feed, documents.RETURNS, {"order": order["id"]}, ("order", "returns")
        ):
            rows: list[Any] = []
            for reverse in at(each, "reverseFulfillmentOrders", "nodes"):
                rows += await self._wire.all(
                    feed, documents.RETURNED, {"id": reverse["id"]},
                    ("reverseFulfillmentOrder", "lineItems"),
                )  # fmt: skip
            found.append({"id": each["id"], "lineItems": rows})
        return found

    async def _refund(self, feed: str, refund: str) -> Any:
        data = await self._wire.read(feed, documents.REFUND, {"refund": refund, "after": None})
        found = at(data, "refund")
        rows, page = found["refundLineItems"]["nodes"], found["refundLineItems"]["pageInfo"]
        if page["hasNextPage"]:
            rows += await self._wire.all(
                feed, documents.REFUND, {"refund": refund}, ("refund", "refundLineItems"),
                page["endCursor"],
            )  # fmt: skip
        return {**found, "refundLineItems": rows}


def _url_of(opened: Opened) -> str:
    own = f"https://{opened.config['shop']}.myshopify.com"
    return str(opened.config.get("endpoint") or own).rstrip("/")
