"""The partner's connector: real HTTP, outcomes as a connector tells them."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from stockbridge.contracts.partners.manifest import LimitRule, Manifest, Operation
from stockbridge.contracts.partners.model import Delivery, Outcome
from stockbridge.kernel.errors import Misconfigured

TIMEOUT_SECONDS = 1.0


def manifest_of(
    *, probe: bool = True, idempotent: bool = False, limits: Any = (), concurrency: int = 4
) -> Manifest:
    names = ("confirm_shipment", "cancel_order", "sync")
    operations = [Operation(name=name, probe=probe, idempotent=idempotent) for name in names]
    return Manifest(
        name="loopback", title="A partner for tests", kind="storefront", version="1", summary="",
        operations=operations, limits=list[LimitRule](limits), concurrency=concurrency,
        timeout_seconds=TIMEOUT_SECONDS,
    )  # fmt: skip


class Loopback:
    """Only what the outbox uses of a connector."""

    def __init__(self, url: str, manifest: Manifest) -> None:
        self.url = url
        self.manifest = manifest
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, delivery: Delivery) -> Outcome:
        body = {"object": delivery.object_key, "operation": delivery.operation}
        headers = {"Idempotency-Key": delivery.idempotency_key}
        try:
            async with self.session.post(f"{self.url}/do", json=body, headers=headers) as answer:
                said = await answer.json()
        except aiohttp.ClientConnectorError as error:
            return Outcome("later", "refused", str(error))
        except (aiohttp.ClientError, TimeoutError) as error:
            return Outcome("unknown", "no_answer", type(error).__name__)
        if answer.status == 429:
            return Outcome("later", "throttled", after_seconds=float(answer.headers["Retry-After"]))
        if answer.status == 503:
            return Outcome("later", "down")
        if answer.status == 500:
            return Outcome("unknown", "failed")
        if answer.status == 422:
            return Outcome("rejected", "invalid", "the order is closed")
        kind = "accepted" if answer.status == 202 else "confirmed"
        return Outcome(kind, reference=said["reference"])  # type: ignore[arg-type]

    async def probe(self, delivery: Delivery) -> Outcome:
        try:
            url = f"{self.url}/done/{delivery.idempotency_key}"
            async with self.session.get(url) as answer:
                said = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            return Outcome("unknown", "no_answer", type(error).__name__)
        kinds = {200: "confirmed", 202: "accepted", 404: "later", 503: "unknown"}
        return Outcome(kinds[answer.status], reference=said.get("reference", ""))  # type: ignore[arg-type]


class Book:
    """Partners of a process: open connections by system."""

    def __init__(self, connectors: dict[str, Loopback]) -> None:
        self.connectors = connectors

    async def connector(self, system: str) -> Any:
        found = self.connectors.get(system)
        if found is None:
            raise Misconfigured(f"{system} has no connector")
        return found

    async def orders_heard_at(self, _system: str) -> None:
        return None

    async def close(self) -> None:
        for connector in self.connectors.values():
            await connector.close()


class Running:
    """A started partner."""

    def __init__(self, url: str, effects: Path) -> None:
        self.url = url
        self._effects = effects

    def effects(self) -> list[list[str]]:
        """[key, object, operation] of everything it did, in order."""
        return [line.split(" ") for line in self._effects.read_text().splitlines()]

    def times(self) -> Counter[str]:
        """How often each key was done."""
        return Counter(key for key, _, _ in self.effects())

    async def script(self, *faults: str) -> None:
        async with aiohttp.ClientSession() as session:
            await (await session.post(f"{self.url}/script", json=list(faults))).release()

    async def counts(self) -> Any:
        async with aiohttp.ClientSession() as session:
            return await (await session.get(f"{self.url}/counts")).json()


@contextmanager
def server() -> Iterator[str]:
    """A partner's process; its URL."""
    command = [sys.executable, "-m", "tests.partner.server"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


async def begin(url: str, folder: Path, *, knows_keys: bool = False) -> Running:
    """A partner that has done nothing yet."""
    effects = folder / "effects"
    effects.touch()
    said = {"effects": str(effects), "knows_keys": knows_keys}
    async with aiohttp.ClientSession() as session:
        await (await session.post(f"{url}/reset", json=said)).release()
    return Running(url, effects)
