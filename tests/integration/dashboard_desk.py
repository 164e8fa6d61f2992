"""A browser for tests of the control tower, and something in the store to look at."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import httpx2

from stockbridge.governance import users
from stockbridge.store.database import connect
from tests.doors import fact, settled, systems
from tests.http_api import Client, warehouse

PASSWORD = "correct horse battery"
SAME = {"sec-fetch-site": "same-origin"}
RECEIVED = "io.stockbridge.stock.received.v1"


class Browser:
    """Keeps a session, says where its requests come from, follows nothing by itself."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, api: Client) -> AsyncIterator["Browser"]:
        """A browser that looks at this process."""
        async with httpx2.AsyncClient(base_url=api.app.url, timeout=60) as http:
            yield cls(http)

    async def get(self, path: str, **headers: str) -> Any:
        return await self.http.get(path, headers=headers)

    async def page(self, path: str) -> str:
        """The text of a page that must be there, whole and well-formed."""
        answer = await self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        assert_well_formed(answer.text)
        return str(answer.text)

    async def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> Any:
        sent = {"content-type": "application/x-www-form-urlencoded"}
        sent |= SAME if headers is None else headers
        return await self.http.post(path, content=urlencode(form), headers=sent)

    async def sign_in(self, name: str, password: str = PASSWORD) -> Any:
        return await self.post("/login", name=name, password=password)


async def add_user(dsn: str, name: str, *roles: str) -> None:
    async with await connect(dsn) as conn:
        await users.put(conn, name, PASSWORD, roles, actor="test")


async def signed_in(browser: Browser, dsn: str, name: str, *roles: str) -> None:
    """Add a person with these roles and sign the browser in."""
    await add_user(dsn, name, *roles)
    answer = await browser.sign_in(name)
    assert answer.status_code == 303, answer.text


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "input", "br"}:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        inline = [name for name, _ in attrs if name == "style" or name.startswith("on")]
        assert not inline, f"{tag} has {inline}, which the policy forbids"

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> in {self.open}"


def assert_well_formed(text: str) -> None:
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids)), tags.ids
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)


async def filled(api: Client, dsn: str) -> None:
    """An order, messages applied and parked, deliveries, a listing, exceptions, a system."""
    await warehouse(api)
    await systems(api, "wms")
    await api.stock("MUG-1", MAIN=10)
    await tell(api, event("good", "MUG-1"), event("waits", "NOT-KNOWN"))
    await settled(dsn)
    placed = {"channel": "web", "number": "W-1", "lines": [{"sku": "MUG-1", "quantity": 3}]}
    answer = await api.post("/v1/orders", placed, x_correlation_id="c-order")
    assert answer.status_code in {200, 201}, answer.text
    async with await connect(dsn) as conn:
        for statement in _MORE:
            await conn.execute(statement)


def event(source_id: str, sku: str) -> dict[str, Any]:
    said = fact(f"PO-{source_id}", sku)
    base = {"specversion": "1.0", "id": source_id, "source": "wms", "type": RECEIVED}
    return base | {"correlationid": f"c-{source_id}", "data": said}


async def tell(api: Client, *events: dict[str, Any]) -> None:
    batch = "application/cloudevents-batch+json"
    answer = await api.raw("POST", "/v1/events", json.dumps(events), content_type=batch)
    assert answer.status_code == 202, answer.text


_MORE = (
    b"""INSERT INTO delivery (system, operation, object_key, idempotency_key, payload, state,
            attempts, correlation_id, detail, history)
        SELECT 'wms', 'cancel_order', 'order/W-' || n, gen_random_uuid(), '{"reason": "<b>"}', s,
            2, 'c-order', 'no answer', '[{"at": "2026-11-20T10:00:00Z", "attempt": 1,
            "outcome": "later", "act": "send", "ms": 12, "detail": "HTTP 503"}]'
        FROM unnest(ARRAY['dead', 'confirmed', 'rejected']) WITH ORDINALITY AS x (s, n)""",
    b"""INSERT INTO listing (system, channel_id, item_id, item, state, desired, published, verified,
            waiting_since, due_at, code, detail)
        SELECT 'wms', c.channel_id, i.item_id, 'shop-1', 'failed', 7, 10, 10,
            now() - interval '3 hours', 'infinity', 'gone', 'HTTP 404'
        FROM channel c, item i WHERE i.sku = 'MUG-1'""",
    b"""INSERT INTO exception (kind, subject, severity, owner_team, cause, action, opened_at,
            seen_at, correlation_id)
        SELECT 'drift_' || n % 2, 's' || n, n, 'stock', 'cause <b>' || n, 'count it', now(), now(),
            'c-order'
        FROM generate_series(1, 4) AS n""",
    b"INSERT INTO breaker (system, state, detail) VALUES ('wms', 'open', 'connection refused')",
)
