"""The wire of portals and headless shops: Standard Webhooks out, three plain reads."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from stockbridge.connectors.generic import mapping
from stockbridge.connectors.kit.canonical import at, moment, parsed, rfc3339
from stockbridge.connectors.kit.http import Auth, Fixed, Http
from stockbridge.connectors.kit.outcomes import Reply
from stockbridge.connectors.kit.signing import is_standard, standard_headers, standard_key
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
from stockbridge.kernel.errors import Retry

_PAGE: Final = "200"
_ACCEPTED: Final = 202


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one portal."""
    return Portal(opened, http)


class Portal:
    """One portal, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._opened, self._http = opened, http
        self._url = str(opened.config["url"]).rstrip("/")
        self._reading: Auth = Fixed({"Authorization": f"Bearer {opened.secrets['token']}"})

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """The secrets' form, a read, and an empty webhook."""
        wrong = [
            name
            for name in ("signing", "webhook")
            if standard_key(self._opened.secrets[name]) is None
        ]
        if wrong:
            fix = f"set {', '.join(wrong)} to whsec_ and 24 to 64 random bytes in base64"
            return [Check("secrets", False, "not a Standard Webhooks secret", fix)]
        await self._read("/stock", {"items": ""}, "test")
        read = Check("reads", True, f"{self._url}/stock answers")
        await self._post("test", "ping", {}, f"ping-{time.time_ns()}")
        return [Check("secrets", True), read, Check("webhooks", True, "a ping was believed")]

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """stock.set for all rows; the answer may judge each."""
        key = mapping.stock_key(self._opened.system, updates)
        reply = await self._post("publish", "stock.set", mapping.stock_set(updates), key)
        if not reply.body:
            kind = Outcome("accepted" if reply.status == _ACCEPTED else "confirmed")
            return [kind] * len(updates)
        return mapping.row_outcomes(updates, reply.json())

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """GET /stock."""
        items = ",".join(update.item for update in updates)
        answer = await self._read("/stock", {"items": items}, "observe")
        return mapping.observed(updates, answer)

    async def send(self, delivery: Delivery) -> Outcome:
        """A webhook whose id is the delivery's key, so that a repetition is known as one."""
        kind, data = mapping.told(delivery)
        reply = await self._post(
            delivery.operation, kind, data, delivery.idempotency_key, delivery.correlation_id
        )
        return Outcome("accepted" if reply.status == _ACCEPTED else "confirmed")

    async def probe(self, delivery: Delivery) -> Outcome:
        """Sending again is the way to find out: the id makes it harmless."""
        return Outcome("later", "repeat", f"{delivery.operation} may be sent again")

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """A Standard Webhook; the message says its id itself, as the feed does."""
        if not is_standard(request.headers, request.body, secrets, time.time()):
            return None
        name = request.headers["webhook-id"]
        try:
            message = parsed(request.body)
        except ValueError:
            # The sender is known; what it says waits for somebody who can read it.
            return Received([Incoming(name, "message", request.body)])
        kept = mapping.incoming({**message, "id": name} if isinstance(message, dict) else message)
        return Received([kept or Incoming(name, "message", request.body)])

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """GET /messages, by cursor until the partner gives none."""
        params: dict[str, str] = {"limit": _PAGE}
        if cursor is not None:
            params["cursor"] = cursor
        elif since is not None:
            params["since"] = rfc3339(since)
        answer = await self._read("/messages", params, feed)
        found = at(answer, "messages")
        if not isinstance(found, list):
            raise Retry(f"{self._url}/messages: the answer has no list `messages`", 60.0)
        kept = [kept for each in found if (kept := mapping.incoming(each)) is not None]
        following = at(answer, "next_cursor")
        stamps = [moment(at(each, "timestamp")) for each in found if at(each, "timestamp")]
        return Page(kept, str(following) if following else None, max(stamps, default=None))

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """GET /items, by cursor."""
        params: dict[str, str] = {}
        while True:
            answer = await self._read("/items", params, "catalog")
            for row in at(answer, "items") or ():
                yield CatalogEntry(
                    str(at(row, "item")), str(at(row, "item")), at(row, "title") or ""
                )
            following = at(answer, "next_cursor")
            if not following:
                return
            params = {"cursor": str(following)}

    async def _read(self, path: str, params: Mapping[str, str], operation: str) -> Any:
        reply = await self._http.call(
            operation, "GET", self._url + path, params=params, auth=self._reading
        )
        return reply.json()

    async def _post(
        self, operation: str, kind: str, data: Mapping[str, Any], key: str, correlation: str = ""
    ) -> Reply:
        now = datetime.now(UTC)
        body = mapping.message(kind, key, now, data)
        headers = standard_headers(
            [self._opened.secrets["signing"]], key, int(now.timestamp()), body
        )
        return await self._http.call(
            operation, "POST", f"{self._url}/webhooks", body=body, is_idempotent=True,
            headers={**headers, "Content-Type": "application/json"}, correlation_id=correlation,
        )  # fmt: skip
