"""The wire of Square's APIs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from stockbridge.connectors.kit.canonical import at, key_of, rfc3339, segment
from stockbridge.connectors.kit.http import Fixed, Http
from stockbridge.connectors.kit.outcomes import Failed, Reply
from stockbridge.connectors.kit.signing import hmac_base64, is_signed
from stockbridge.connectors.square import mapping
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
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment

_PRODUCTION: Final = "https://connect.squareup.com"
_SANDBOX: Final = "https://connect.squareupsandbox.com"
_COUNTS_MAX: Final = 1_000
_ORDERS_MAX: Final = 500
_CONFLICTS_MAX: Final = 4
_SECOND: Final = timedelta(seconds=1)


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one seller."""
    return Seller(opened, http)


class Seller:
    """One seller, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._config, self._http = opened.config, http
        own = _SANDBOX if opened.environment == "sandbox" else _PRODUCTION
        self._url = str(opened.config.get("endpoint") or own).rstrip("/")
        self._places: Mapping[str, str] = opened.config["locations"]
        http.auth = Fixed(
            {
                "Authorization": f"Bearer {opened.secrets['access_token']}",
                "Square-Version": str(opened.config.get("api_version", "2026-09-16")),
            }
        )

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """The seller's locations, and whether those configured are among them and active."""
        answer = (await self._http.call("test", "GET", f"{self._url}/v2/locations")).json()
        active = {
            row["id"] for row in at(answer, "locations") or () if row.get("status") == "ACTIVE"
        }
        missing = sorted(theirs for theirs in self._places.values() if theirs not in active)
        detail = f"not an active location: {', '.join(missing)}" if missing else ""
        fix = f"correct `locations`; Square's active ones are {', '.join(sorted(active)) or 'none'}"
        return [
            Check("reads", True, f"{self._url} answers"),
            Check("locations", not missing, detail, fix),
        ]

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """Counts as of the moment they were compared: what is sold after that comes off them."""
        shown, as_of = await self._counts("publish", updates)
        found: dict[int, Outcome] = {}
        rows: list[StockUpdate] = []
        for update in updates:
            outcome = mapping.stale(update, shown.get(mapping.place_of(update)))
            if outcome is not None:
                found[update.listing_id] = outcome
            else:
                rows.append(update)
        await self._set(rows, as_of, found)
        return [found[update.listing_id] for update in updates]

    async def _set(self, rows: list[StockUpdate], as_of: str, found: dict[int, Outcome]) -> None:
        """One bad change fails the whole call: it is left out, and the others sent again."""
        while rows:
            try:
                reply = await self._post(
                    "publish", "/v2/inventory/changes/batch-create",
                    mapping.batch_of(rows, as_of), is_idempotent=True,
                )  # fmt: skip
                outcome = Outcome("confirmed" if at(reply.json(), "changes") else "accepted")
            except Failed as error:
                bad = mapping.bad_row(_said(error.reply)) if error.reply is not None else None
                if bad is not None and bad[0] < len(rows):
                    row = rows.pop(bad[0])
                    found[row.listing_id] = Outcome("rejected", bad[1], bad[2])
                    continue
                outcome = error.outcome
            found.update((row.listing_id, outcome) for row in rows)
            return

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """Counts in stock; which variations there are at all the catalog tells."""
        shown, _as_of = await self._counts("observe", updates)
        items = list(dict.fromkeys(update.item for update in updates))
        answer = (await self._post(
            "observe", "/v2/catalog/batch-retrieve", {"object_ids": items}, is_idempotent=True
        )).json()  # fmt: skip
        known = frozenset(
            row["id"] for row in at(answer, "objects") or () if not row.get("is_deleted")
        )
        return [mapping.observed(update, shown, known) for update in updates]

    async def _counts(
        self, operation: str, updates: Sequence[StockUpdate]
    ) -> tuple[dict[tuple[str, str], int], str]:
        """What Square counts, and the moment before it was asked."""
        body: dict[str, Any] = {
            "catalog_object_ids": list(dict.fromkeys(u.item for u in updates)),
            "location_ids": list(dict.fromkeys(u.location for u in updates)),
            "states": [mapping.IN_STOCK],
            "limit": _COUNTS_MAX,
        }
        found: dict[tuple[str, str], int] = {}
        as_of, asked_at = "", datetime.now(UTC)
        while True:
            reply = await self._post(
                operation, "/v2/inventory/counts/batch-retrieve", body, is_idempotent=True
            )
            as_of = as_of or _moment_of(asked_at, reply)
            found |= mapping.counts(reply.json())
            cursor = at(reply.json(), "cursor")
            if not cursor:
                return found, as_of
            body["cursor"] = cursor

    async def send(self, delivery: Delivery) -> Outcome:
        """Change the order; one changed by somebody else meanwhile is read and changed again."""
        for _ in range(_CONFLICTS_MAX):
            try:
                return await self._change(delivery)
            except Failed as error:
                code = at(_said(error.reply), "errors", 0, "code") if error.reply else None
                if code != "VERSION_MISMATCH":
                    raise
        return Outcome("later", "version_mismatch", "the order changes all the time")

    async def _change(self, delivery: Delivery) -> Outcome:
        match delivery.payload:
            case ConfirmShipment() as shipment:
                order = await self._order(shipment.order)
                if mapping.is_told(order, shipment.package):
                    return Outcome("confirmed")
                return await self._put(delivery, order, mapping.shipment_change(order, shipment))
            case CancelOrder() as cancellation:
                order = await self._order(cancellation.order)
                if order.get("state") == "CANCELED":
                    return Outcome("confirmed")
                if not mapping.is_whole(order, cancellation.lines):
                    detail = "Square calls off a part only by a refund: refund it at the register"
                    return Outcome("rejected", "partial_cancel", detail)
                return await self._put(delivery, order, mapping.cancel_change(order))
            case other:
                return Outcome("rejected", "not_supported", f"{type(other).__name__} is not taken")

    async def _order(self, number: str) -> Any:
        url = f"{self._url}/v2/orders/{segment(number)}"
        return at((await self._http.call("order", "GET", url)).json(), "order")

    async def _put(self, delivery: Delivery, order: Any, change: Mapping[str, Any]) -> Outcome:
        key = key_of(delivery.idempotency_key, order["version"])
        await self._http.call(
            delivery.operation, "PUT", f"{self._url}/v2/orders/{segment(order['id'])}",
            json={"idempotency_key": key, "order": change}, is_idempotent=True,
            correlation_id=delivery.correlation_id,
        )  # fmt: skip
        return Outcome("confirmed")

    async def probe(self, delivery: Delivery) -> Outcome:
        """Sending again is the way to find out: the order remembers what was done."""
        return Outcome("later", "repeat", f"{delivery.operation} may be sent again")

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """Signed over the notification URL and the body; events are thin: read the orders."""
        given = request.headers.get("x-square-hmacsha256-signature", "")
        signed = str(self._config["notification_url"]).encode() + request.body
        if not is_signed(given, secrets, lambda secret: hmac_base64(secret, signed)):
            return None
        return Received(feeds=["orders"])

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Orders by when they changed, oldest first; Square's cursor goes on where a page ended."""
        since = since or datetime.now(UTC) - timedelta(days=30)
        query = {
            "filter": {
                "date_time_filter": {"updated_at": {"start_at": rfc3339(since)}},
                "state_filter": {"states": ["OPEN", "COMPLETED", "CANCELED"]},
            },
            "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
        }
        body: dict[str, Any] = {
            "location_ids": sorted(self._places.values()), "query": query, "limit": _ORDERS_MAX,
        }  # fmt: skip
        if cursor is not None:
            body["query"] = _query_of(cursor, query)
            body["cursor"] = cursor.partition("\n")[2]
        answer = (await self._post(feed, "/v2/orders/search", body, is_idempotent=True)).json()
        orders = at(answer, "orders") or []
        following = at(answer, "cursor")
        start = body["query"]["filter"]["date_time_filter"]["updated_at"]["start_at"]
        messages: list[Incoming] = [mapping.incoming(order) for order in orders]
        newest = max((mapping.changed_at(order) for order in orders), default=None)
        return Page(messages, f"{start}\n{following}" if following else None, newest)

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Every variation of every item."""
        cursor = ""
        while True:
            params = {"types": "ITEM"} | ({"cursor": cursor} if cursor else {})
            url = f"{self._url}/v2/catalog/list"
            answer = (await self._http.call("catalog", "GET", url, params=params)).json()
            for item in at(answer, "objects") or ():
                for entry in mapping.entries(item):
                    yield entry
            cursor = at(answer, "cursor") or ""
            if not cursor:
                return

    async def _post(
        self, operation: str, path: str, body: Mapping[str, Any], *, is_idempotent: bool
    ) -> Reply:
        return await self._http.call(
            operation, "POST", self._url + path, json=body, is_idempotent=is_idempotent
        )


def _query_of(cursor: str, query: dict[str, Any]) -> dict[str, Any]:
    """The query a cursor belongs to: Square refuses a cursor with another one."""
    start = cursor.partition("\n")[0]
    times = {"date_time_filter": {"updated_at": {"start_at": start}}}
    return {**query, "filter": {**query["filter"], **times}}


def _moment_of(asked_at: datetime, reply: Reply) -> str:
    """When we asked, unless our clock is ahead of the partner's: a count is never in its future."""
    given = reply.headers.get("date")
    theirs = parsedate_to_datetime(given) if given else asked_at
    return rfc3339(asked_at if asked_at <= theirs + _SECOND else theirs)


def _said(reply: Reply) -> Any:
    try:
        return reply.json()
    except Failed:
        return None
