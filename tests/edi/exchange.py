"""A hub with one EDI partner over a folder, and what the partner writes into it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from stockbridge.connectors.edi import reading
from stockbridge.connectors.edi.documents.reading import documents
from stockbridge.connectors.edi.tests.partners import PROFILE
from stockbridge.connectors.edi.x12.dictionary import tables
from tests.http_api import Client, serving

SECONDS_MAX = 60.0


class Partner:
    """The 3PL at AUSTIN, its folder, and the hub it trades with."""

    def __init__(self, api: Client, root: Path) -> None:
        self.api, self.root = api, root
        self.config: dict[str, Any] = {}
        self._control = 0

    def body(self, code: str, text: str) -> str:
        return f"{code}~{text.replace(';', '~')}"

    def interchange(self, *bodies: str, control: int | None = None, is_test: bool = False) -> str:
        """An interchange of sets `945~W06*...~`, all of one kind, numbered on."""
        if control is None:
            self._control += 1
            control = self._control
        gs = tables().sets[bodies[0].partition("~")[0]].functional_id
        sets = []
        for number, body in enumerate(bodies, start=1):
            code, _, rest = body.partition("~")
            sets.append(f"ST*{code}*{number:04}~{rest}SE*{rest.count('~') + 2}*{number:04}~")
        return (
            f"ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       "
            f"*260131*1200*U*00401*{control:09}*0*{'T' if is_test else 'P'}*>~"
            f"GS*{gs}*SENDER*US*20260131*1200*{control}*X*004010~{''.join(sets)}"
            f"GE*{len(bodies)}*{control}~IEA*1*{control:09}~"
        )

    def put(self, name: str, text: str) -> None:
        aside = self.root / "inbound" / f"{name}.tmp"
        aside.write_text(text)
        aside.rename(self.root / "inbound" / name)

    def files(self, place: str) -> list[Path]:
        found = (self.root / place).rglob("*")
        return sorted(p for p in found if p.is_file() and not p.name.startswith("."))

    def got(self, code: str) -> list[Any]:
        """Every document of a kind that the hub put there, in the order of its numbers."""
        reads = []
        for file in self.files("outbound"):
            if file.name.startswith(code):
                reads += list(documents(reading.read([file.read_bytes()])))
        return reads

    async def post(self, text: str, token: str) -> Any:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/edi-x12"}
        url = "/v1/webhooks/acme"
        return await self.api.http.request("POST", url, content=text.encode(), headers=headers)

    # The hub -----------------------------------------------------------------------------------
    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.api.call(method, path, body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def configure(self, lifecycle: str = "testing", **config: Any) -> None:
        self.config |= config
        body = {
            "kind": "3pl", "connector": "edi", "lifecycle": lifecycle, "environment": "sandbox",
            "owner_team": "edi-desk", "config": self.config,
        }  # fmt: skip
        await self.ask("PUT", "/v1/systems/acme", body)

    async def polled(self) -> None:
        """The folder is read to its end and everything is applied."""

        async def is_read() -> bool:
            waiting = [p for p in (self.root / "inbound").rglob("*") if p.is_file()]
            if waiting:
                await self.ask("POST", "/v1/systems/acme/feeds/files/poll", {})
            told = await self.ask("GET", "/v1/systems/acme/feeds/files")
            assert not told["failures"], told
            return not waiting

        await self.until(is_read, "the folder is read to its end")

        async def none_waits() -> bool:
            return not (await self.ask("GET", "/v1/messages?status=received&limit=1"))["items"]

        await self.until(none_waits, "messages are applied")

    async def until(self, condition: Any, what: str) -> Any:
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                found = condition()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.05)
        raise AssertionError(what)

    async def stock(self, sku: str, place: str = "AUSTIN") -> dict[str, int]:
        statement = (
            "SELECT b.available, b.quarantined, b.reserved, b.allocated FROM balance b "
            "JOIN item USING (item_id) JOIN location l USING (location_id) "
            f"WHERE sku = '{sku}' AND l.code = '{place}'"
        )
        async with self.api.app.pool.connection() as conn:
            row = await (await conn.execute(statement.encode())).fetchone()
        values = row or (0, 0, 0, 0)
        return dict(zip(("available", "quarantined", "reserved", "allocated"), values, strict=True))

    async def messages(self) -> list[tuple[str, str | None]]:
        """(status, reason) of every message of the partner, oldest first."""
        async with self.api.app.pool.connection() as conn:
            rows = await (
                await conn.execute(
                    b"SELECT status, reason_code FROM message WHERE system = 'acme' "
                    b"ORDER BY message_id"
                )
            ).fetchall()
        return [(row[0], row[1]) for row in rows]

    async def answer_of(self, number: int) -> str:
        async with self.api.app.pool.connection() as conn:
            rows = await (
                await conn.execute(
                    b"SELECT number, answer FROM control_number WHERE counter = 'interchange'"
                )
            ).fetchall()
        return {int(row[0]): str(row[1]) for row in rows}[number]

    async def cases(self, kind: str) -> list[Any]:
        rows = (await self.ask("GET", f"/v1/exceptions?kind={kind}&limit=100"))["items"]
        return [row for row in rows if row["resolved_at"] is None]


@contextlib.asynccontextmanager
async def trading(
    dsn: str, tmp_path: Path, profile: str = PROFILE, **config: Any
) -> AsyncIterator[Partner]:
    root = tmp_path / "exchange" / "acme"
    for place in ("inbound", "outbound"):
        (root / place).mkdir(parents=True)
    async with serving(dsn, tmp_path, secret_key="k" * 32) as api:
        partner = Partner(api, root)
        settings = {"profile": profile, "folder": "acme", "complete_by": "rename"}
        await partner.configure(**settings, **config)
        await partner.ask("PUT", "/v1/locations/AUSTIN", {"authority": "acme"})
        await partner.ask("PUT", "/v1/locations/BOSTON", {})
        await partner.ask("PUT", "/v1/channels/web", {"sources": ["AUSTIN"]})
        own = {"sources": ["AUSTIN"], "system": "acme"}
        await partner.ask("PUT", "/v1/channels/acme-b2b", own)
        for sku in ("MUG-1", "MUG-2"):
            await partner.ask("PUT", f"/v1/items/{sku}", {})
            count = {
                "count": f"C-{sku}", "location": "AUSTIN", "occurred_at": "2026-01-02T00:00:00Z",
                "lines": [{"sku": sku, "quantity": 20}],
            }  # fmt: skip
            await partner.ask("POST", "/v1/counts", count)
        test = await partner.ask("POST", "/v1/systems/acme/test", {})
        assert test["is_good"], test
        for step in ("certify", "activate"):
            await partner.ask("POST", f"/v1/systems/acme/{step}", {})
        yield partner
