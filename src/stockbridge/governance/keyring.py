"""The keys of this process: every live key in memory, kept current by notifications.

A revoked key stops working as soon as PostgreSQL delivers the notice. While the listening
connection is down the memory may be old, so every look-up then asks the database.
"""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from stockbridge.governance.bucket import Bucket
from stockbridge.governance.keys import ApiKey, Connection, digest, from_row, looks_like_key
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.store.database import connect
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)

_REREAD_SECONDS = 5.0
_RETRY_SECONDS = 0.5


class Grant:
    """A live key, what is left of its rate, and when it ends (seconds since 1970).

    `policy` states the rate as the RateLimit-Policy header does.
    """

    __slots__ = ("bucket", "ends_at", "key", "policy")

    def __init__(self, key: ApiKey, bucket: Bucket) -> None:
        self.key = key
        self.bucket = bucket
        self.ends_at = key.expires_at.timestamp() if key.expires_at else float("inf")
        self.policy = b'"key";q=%d;w=60' % key.requests_per_minute


class Keyring:
    """Finds the grant of a token; `start` reads the keys and listens, `stop` ends that."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._grants: dict[bytes, Grant] = {}
        self._buckets: dict[str, Bucket] = {}
        self._task: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self.live = False

    async def start(self) -> None:
        """Read the keys and keep them current; raises Misconfigured without a database."""
        conn = await self._listen()
        self._task = asyncio.create_task(self._follow(conn), name="keyring")

    async def stop(self) -> None:
        """End the listening connection."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def find(self, token: str) -> Grant | None:
        """The grant of a live key, else None; raises Retry when nobody can tell now."""
        if not self.live:
            if not looks_like_key(token):
                return None
            await self.refresh()
        return self.known(token)

    def known(self, token: str) -> Grant | None:
        """The grant as of the last reading, which is current while `live`."""
        grant = self._grants.get(digest(token))
        if grant is None or grant.ends_at <= time.time():
            return None
        return grant

    async def refresh(self) -> None:
        """Read the keys now, on a connection of its own; raises Retry without a database."""
        try:
            conn = await connect(self._dsn, application_name="stockbridge keys")
        except Misconfigured as error:
            raise Retry("keys cannot be checked while the database is away") from error
        async with conn:
            await self._load(conn)

    async def _listen(self) -> Connection:
        conn = await connect(self._dsn, application_name="stockbridge keys")
        try:
            await conn.execute(SQL.listen_keys)
            await conn.execute(SQL.listen_masters)
            await self._load(conn)
        except BaseException:
            await conn.close()
            raise
        self.live = True
        return conn

    async def _load(self, conn: Connection) -> None:
        # One reading at a time, so that an older one never replaces a newer.
        async with self._reading:
            rows = await (await conn.execute(SQL.live_keys, {"now": datetime.now(UTC)})).fetchall()
            self._take(rows)

    def _take(self, rows: list[tuple[Any, ...]]) -> None:
        keys = dict(from_row(row) for row in rows)
        self._grants = {hashed: Grant(key, self._bucket(key)) for hashed, key in keys.items()}
        alive = {key.key_id for key in keys.values()}
        self._buckets = {i: bucket for i, bucket in self._buckets.items() if i in alive}

    def _bucket(self, key: ApiKey) -> Bucket:
        bucket = self._buckets.get(key.key_id)
        if bucket is None or bucket.capacity != key.requests_per_minute:
            bucket = Bucket(key.requests_per_minute, time.monotonic())
            self._buckets[key.key_id] = bucket
        return bucket

    async def _follow(self, conn: Connection) -> None:
        while True:
            try:
                async with conn:
                    await self._heed(conn)
            except (psycopg.Error, OSError) as error:
                self.live = False
                LOG.warning("keys: lost the database, asking it for every call", cause=str(error))
            conn = await self._again()

    async def _heed(self, conn: Connection) -> None:
        while True:
            # A quiet connection may be a dead one: reading again every few seconds tells.
            async for _ in conn.notifies(timeout=_REREAD_SECONDS, stop_after=1):
                pass
            await self._load(conn)

    async def _again(self) -> Connection:
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            with contextlib.suppress(psycopg.Error, Misconfigured, OSError):
                return await self._listen()
