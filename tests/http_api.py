"""A whole API process on loopback for tests: real server, real database, an administrator's key."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from stockbridge.app import App, Role, first_key, running
from stockbridge.ingress.answers import Problem
from stockbridge.ingress.table import ROUTES
from stockbridge.kernel.errors import Refusal
from stockbridge.kernel.settings import Settings
from stockbridge.store.database import connect


def as_declared(method: str, path: str, answer: Any) -> None:
    """Check that a JSON answer has the shape that the table of routes declares for it."""
    if answer.status_code >= 400:
        if answer.headers["content-type"] == "application/problem+json":
            msgspec.json.decode(answer.content, type=Problem)
        return
    plain = path.partition("?")[0]
    for route in ROUTES:
        pattern = re.sub(r"\{\w+\}", "[^/]+", route.path)
        if route.method == method and re.fullmatch(pattern, plain):
            declared = route.answers[answer.status_code]
            options = declared if isinstance(declared, tuple) else (declared,)
            if None not in options:
                msgspec.json.decode(answer.content, type=options[0])
            return


class Client:
    """Calls the API as the holder of `token`; `last` is the newest answer."""

    def __init__(self, app: App, token: str) -> None:
        self.app = app
        self.token = token
        self.http = httpx2.AsyncClient(base_url=app.url, timeout=20)
        self._keys = 0

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send `body` as JSON with an idempotency key of its own unless one is given."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("authorization", f"Bearer {self.token}")
        if method != "GET" and "idempotency-key" not in named:
            self._keys += 1
            named["idempotency-key"] = f"test-{id(self)}-{self._keys}"
        answer = await self.http.request(method, path, json=body, headers=named)
        as_declared(method, path, answer)
        return answer

    async def raw(self, method: str, path: str, content: Any, **headers: str) -> Any:
        """Send bytes as they are."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("authorization", f"Bearer {self.token}")
        return await self.http.request(method, path, content=content, headers=named)

    async def get(self, path: str, **headers: str) -> Any:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return await self.call("POST", path, body, **headers)

    async def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return await self.call("PUT", path, body, **headers)

    async def key(self, *scopes: str, **bound: Any) -> "Client":
        """A client with a new key."""
        body = {"name": "test", "scopes": list(scopes), **bound}
        made = await self.post("/v1/keys", body)
        assert made.status_code == 201, made.text
        return Client(self.app, made.json()["token"])

    async def stock(self, sku: str, **at: int) -> None:
        """Make an item and count it at locations (`MAIN=5`)."""
        await self.put(f"/v1/items/{sku}", {})
        for code, quantity in at.items():
            count = {"count": f"C-{sku}-{code}", "location": code}
            body = count | {"lines": [{"sku": sku, "quantity": quantity}]}
            answer = await self.post("/v1/counts", body)
            assert answer.status_code == 201, answer.text
            await self._shown(sku, answer.json()["recorded_at"])

    async def _shown(self, sku: str, recorded_at: str) -> None:
        """Wait until the view holds what was recorded then; it follows within milliseconds."""
        moment = datetime.fromisoformat(recorded_at)
        for _ in range(500):
            answer = await self.app.view.answer("web", sku)
            if isinstance(answer, Refusal) or datetime.fromisoformat(answer.as_of) >= moment:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"the view does not show {sku} of {recorded_at}")


@contextlib.asynccontextmanager
async def serving(
    dsn: str, data_dir: Path, role: Role = "all", **settings: Any
) -> AsyncIterator[Client]:
    """A started process on a free port, and a client with the first administrator's key."""
    chosen = Settings(dsn=dsn, data_dir=data_dir, port=0, **settings)
    token = await first_key(dsn)
    assert token is not None
    async with running(chosen, role) as app:
        await app.view.wait_loaded(10)
        client = Client(app, token)
        try:
            yield client
        finally:
            await client.http.aclose()


async def warehouse(client: Client) -> None:
    """Location MAIN and channel web that draws on it."""
    assert (await client.put("/v1/locations/MAIN", {})).status_code == 201
    assert (await client.put("/v1/channels/web", {"sources": ["MAIN"]})).status_code == 201


async def scalar(dsn: str, statement: str) -> Any:
    """One value from the database."""
    async with await connect(dsn) as conn:
        row = await (await conn.execute(statement.encode())).fetchone()
        return row[0] if row else None
