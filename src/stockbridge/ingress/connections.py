"""Open connections to partners: one a system and process, as its configuration and secrets are now.

What is known of a system is read again after `FRESH_SECONDS`; when it changed, the connection is
opened anew and the old one is closed once calls under way have had time to end. Secrets are
decrypted here and nowhere else.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.partners.model import Connector, Connectors, LimitSeen, Opened
from stockbridge.domain.masters.rules import may_be_called
from stockbridge.governance import secrets
from stockbridge.governance.secrets import SecretBox
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.outbox.journal.journal import SystemJournal
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
FRESH_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 120.0
HELD_MAX: Final = 1_000
_LOCKS: Final = 64
ORDERS: Final = "orders"
"""The feed that tells what a partner sold."""
Hear = Callable[[str, LimitSeen], None]


class Setup(NamedTuple):
    """What a connection is opened with; another one means another connection."""

    connector: str
    config: str
    environment: Literal["production", "sandbox"]
    sealed: tuple[secrets.Sealed, ...]


class OpenSystem(NamedTuple):
    """A system with its open connection; `secrets` by name, newest first."""

    system: str
    connector: Connector
    lifecycle: str
    environment: str
    config: Mapping[str, Any]
    secrets: Mapping[str, Sequence[str]]


@dataclass(slots=True)
class _Held:
    """What was found the last time: an open system, or why there is none."""

    read_at: float
    setup: Setup | None
    found: OpenSystem | Misconfigured


class OpenConnectors:
    """Opens each system's connection once; implements `contracts.partners.model.Partners`."""

    def __init__(
        self,
        pool: Pool,
        connectors: Connectors,
        box: SecretBox,
        hear_limit: Hear | None = None,
        exchange_dir: Path | None = None,
    ) -> None:
        self.connectors = connectors
        self._pool = pool
        self._box = box
        self._hear_limit = hear_limit
        self._exchange_dir = exchange_dir
        self._held: dict[str, _Held] = {}
        self._opening = [asyncio.Lock() for _ in range(_LOCKS)]
        self._closing: dict[asyncio.Task[None], Connector] = {}

    async def connector(self, system: str) -> Connector:
        """The connection of a system that may be called; see `Partners`."""
        found = await self.opened(system)
        if not may_be_called(found.lifecycle, found.environment):
            raise Misconfigured(
                f"{system} is {found.lifecycle} in {found.environment}, so it is not called; "
                f"certify or resume it first"
            )
        return found.connector

    async def opened(self, system: str) -> OpenSystem:
        """The same whatever its life, for tests and for what the partner sends us."""
        held = await self._current(system)
        if isinstance(held.found, Misconfigured):
            raise Misconfigured(str(held.found))
        return held.found

    async def has_connector(self, system: str) -> bool:
        """Whether the system exists and a connector speaks for it, however well; raises Retry."""
        return (await self._current(system)).setup is not None

    async def declared_secrets(self, system: str) -> tuple[str, ...]:
        """The names of the secrets that the system's connector has; none without one."""
        setup = (await self._current(system)).setup
        if setup is None or setup.connector not in self.connectors.names():
            return ()
        return tuple(each.name for each in self.connectors.manifest(setup.connector).secrets)

    async def _current(self, system: str) -> _Held:
        held = self._held.get(system)
        if held is None or time.monotonic() - held.read_at > FRESH_SECONDS:
            async with self._opening[hash(system) % _LOCKS]:
                held = self._held.get(system)
                if held is None or time.monotonic() - held.read_at > FRESH_SECONDS:
                    held = await self._read(system, held)
        return held

    def forget(self, system: str) -> None:
        """Look at the system's configuration and secrets before the next call."""
        held = self._held.get(system)
        if held is not None:
            held.read_at = float("-inf")

    def can_decrypt(self, system: str, sealed: Sequence[secrets.Sealed]) -> bool:
        """Whether the secrets were put under the key that this process has."""
        try:
            self._unsealed(system, sealed)
        except Misconfigured:
            return False
        return True

    async def orders_heard_at(self, system: str) -> datetime | None:
        """When the newest read of the orders feed had begun of which all is applied."""
        async with self._pool.connection() as conn:
            values = {"system": system, "feed": ORDERS}
            row = await (await conn.execute(SQL.note_heard, values)).fetchone()
        return row[0] if row else None

    async def stop(self) -> None:
        """Close every connection."""
        tasks = list(self._closing)
        for task in tasks:
            task.cancel()
        open_now = [
            h.found.connector for h in self._held.values() if isinstance(h.found, OpenSystem)
        ]
        replaced = list(self._closing.values())
        self._held.clear()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(_close(each) for each in [*open_now, *replaced]))

    async def _read(self, system: str, held: _Held | None) -> _Held:
        try:
            async with self._pool.connection() as conn:
                row = await (await conn.execute(SQL.system_setup, {"system": system})).fetchone()
                sealed = await secrets.sealed(conn, system)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise Retry(f"{system} cannot be looked up: the database is away") from error
        now = time.monotonic()
        if row is None or row[0] is None:
            why = "has no connector" if row else "does not exist"
            fresh = _Held(now, None, Misconfigured(f"system {system} {why}"))
        else:
            setup = Setup(row[0], row[1], row[2], tuple(sealed))
            if held is not None and held.setup == setup:
                held.read_at = now
                if isinstance(held.found, OpenSystem):
                    held.found = held.found._replace(lifecycle=row[3])
                return held
            fresh = _Held(now, setup, self._open(system, setup, row[3]))
        if len(self._held) >= HELD_MAX:
            # Names that nobody has are asked for by anybody; what is open stays.
            self._held = {code: each for code, each in self._held.items() if each.setup}
        self._held[system] = fresh
        if held is not None and isinstance(held.found, OpenSystem):
            self._close_later(held.found.connector)
        return fresh

    def _open(self, system: str, setup: Setup, lifecycle: str) -> OpenSystem | Misconfigured:
        try:
            known = self._unsealed(system, setup.sealed)
            opened = Opened(
                system=system,
                config=msgspec.json.decode(setup.config),
                secrets={name: values[0] for name, values in known.items()},
                environment=setup.environment,
                hear_limit=partial(self._hear_limit, system) if self._hear_limit else None,
                journal=SystemJournal(self._pool, system),
                exchange_dir=self._exchange_dir,
            )
            connector = self.connectors.open(setup.connector, opened)
        except Misconfigured as error:
            return error
        return OpenSystem(system, connector, lifecycle, setup.environment, opened.config, known)

    def _unsealed(self, system: str, sealed: Sequence[secrets.Sealed]) -> dict[str, list[str]]:
        known: dict[str, list[str]] = defaultdict(list)
        for each in sealed:
            known[each.name].append(self._box.unseal(each.ciphertext, system, each.name))
        return dict(known)

    def _close_later(self, connector: Connector) -> None:
        async def close() -> None:
            await asyncio.sleep(CLOSE_SECONDS)
            del self._closing[task]
            await _close(connector)

        task = asyncio.create_task(close(), name="close a replaced connection")
        self._closing[task] = connector


async def _close(connector: Connector) -> None:
    try:
        await connector.close()
    except Exception as error:
        # Nobody waits for it, and what it held goes with the process.
        LOG.warning("a connection did not close", cause=type(error).__name__, exc_info=error)
