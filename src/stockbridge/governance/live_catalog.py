"""This process's catalog of contracts and mappings, kept current by notices."""

import asyncio
import contextlib

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.contracts.base import Shape
from stockbridge.contracts.catalog import Catalog, Headers, Published
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.expression import Failed
from stockbridge.contracts.mapping import Manifest, Mapping
from stockbridge.contracts.partners.model import Connectors
from stockbridge.contracts.partners.reading import Configured, PartnerReader
from stockbridge.governance.contracts import sync_builtin
from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import connect
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
Connection = AsyncConnection[TupleRow]

_REREAD_SECONDS = 5.0
_RETRY_SECONDS = 0.5


class LiveCatalog:
    """Decodes by what is published now; `start` loads and follows, `stop` ends that.

    While the database is away it decodes by what it knew last. Messages of systems with a
    connector are read by `connectors`.
    """

    def __init__(self, dsn: str, connectors: Connectors | None = None) -> None:
        self._dsn = dsn
        self._connectors = connectors
        self._task: asyncio.Task[None] | None = None
        self.catalog = Catalog()

    async def start(self) -> None:
        """Publish this release's built-in contracts, load all; Misconfigured without a database."""
        async with await connect(self._dsn, application_name="stockbridge contracts") as conn:
            await sync_builtin(conn)
        self._task = asyncio.create_task(self._follow(await self._listen()), name="contracts")

    async def stop(self) -> None:
        """End the listening connection."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def decode(self, contract: str, content_type: str, body: bytes) -> list[Shape] | Undecodable:
        """The command bodies that a message asks for."""
        return self.catalog.decode(contract, content_type, body)

    def match(self, system: str, content_type: str, body: bytes) -> str | None:
        """The contract of the system's mapping that takes this message; None if none."""
        return self.catalog.match(system, content_type, body)

    def headers(self, contract: str) -> Headers:
        """What a door answers to messages of a deprecated contract."""
        return self.catalog.headers(contract)

    async def reload(self, conn: Connection) -> None:
        """Read everything anew."""
        self.catalog = await read_catalog(conn, self._connectors)

    async def _listen(self) -> Connection:
        conn = await connect(self._dsn, application_name="stockbridge contracts")
        try:
            await conn.execute(SQL.listen_contracts)
            await self.reload(conn)
        except BaseException:
            await conn.close()
            raise
        return conn

    async def _follow(self, conn: Connection) -> None:
        while True:
            try:
                async with conn:
                    await self._heed(conn)
            except (psycopg.Error, OSError) as error:
                LOG.warning("contracts: lost the database, using the last known", cause=str(error))
            conn = await self._again()

    async def _heed(self, conn: Connection) -> None:
        while True:
            # A quiet connection may be a dead one: asking something every few seconds tells.
            told = [n async for n in conn.notifies(timeout=_REREAD_SECONDS, stop_after=1)]
            await (self.reload(conn) if told else conn.execute(SQL.listen_contracts))

    async def _again(self) -> Connection:
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            with contextlib.suppress(psycopg.Error, Misconfigured, OSError):
                return await self._listen()


async def read_catalog(conn: Connection, connectors: Connectors | None = None) -> Catalog:
    """What is published now; a mapping that this release cannot use is left out, and logged."""
    rows = await (await conn.execute(SQL.catalog_contracts)).fetchall()
    published = [
        Published(name, version, status, msgspec.json.decode(schema), deprecated_at, sunset_on)
        for name, version, status, schema, deprecated_at, sunset_on in rows
    ]
    bodies = await (await conn.execute(SQL.active_mappings)).fetchall()
    mappings = [mapping for (body,) in bodies if (mapping := _mapping(body)) is not None]
    systems = await (await conn.execute(SQL.connector_systems)).fetchall()
    configured = {
        code: Configured(connector, msgspec.json.decode(config), version)
        for code, connector, config, version in systems
    }
    return Catalog(published, mappings, reader=PartnerReader(connectors, configured))


def _mapping(body: str) -> Mapping | None:
    try:
        return Mapping(msgspec.json.decode(body, type=Manifest))
    except (Failed, msgspec.MsgspecError) as error:
        LOG.warning("contracts: a mapping is not usable", cause=str(error), mapping=body[:200])
        return None
