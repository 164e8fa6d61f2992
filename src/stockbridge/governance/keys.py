"""API keys: what they look like, what they may do, who holds them.

A key is shown once, `sb_live_<id>_<43 url-safe characters>`; only its SHA-256 is kept. The secret
is 256 random bits, so a fast hash is enough.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.governance import audit
from stockbridge.kernel.errors import Misconfigured, Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]

ADMIN: Final = "admin"
"""The scope that includes every other."""
SCOPES: Final[tuple[str, ...]] = (
    "availability:read",
    "reservations:write",
    "orders:write",
    "events:write",
    "shipments:write",
    "returns:write",
    "adjustments:write",
    "adjustments:approve",
    "master:write",
    "ops:read",
    "ops:write",
    ADMIN,
)
CHANGES: Final = "stockbridge_keys"
"""The notification channel that tells every process to read the keys again."""
REQUESTS_PER_MINUTE: Final = 600_000
_TOKEN = re.compile(r"sb_live_([0-9a-z]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A machine client. `channel` or `system` binds it: it sees and touches only its own.

    `channels` are the codes it may name: its channel, its system's channels, or None for all.
    `locations` are those its system speaks for, or None for all.
    """

    key_id: str
    name: str
    scopes: frozenset[str]
    channel: str | None = None
    system: str | None = None
    requests_per_minute: int = REQUESTS_PER_MINUTE
    expires_at: datetime | None = None
    channels: frozenset[str] | None = None
    locations: frozenset[str] | None = None

    @property
    def bound(self) -> bool:
        """Whether the key is limited to a channel or a system."""
        return self.channel is not None or self.system is not None

    def may(self, scope: str) -> bool:
        """Whether the key carries `scope`."""
        return scope in self.scopes or ADMIN in self.scopes


def digest(token: str) -> bytes:
    """What is stored and looked up instead of the token."""
    return sha256(token.encode()).digest()


def looks_like_key(token: str) -> bool:
    """Whether `token` has the form of our keys; others need no look-up."""
    return _TOKEN.fullmatch(token) is not None


def check(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes as a set; raises Misconfigured naming the unknown ones and the known."""
    wanted = frozenset(scopes)
    unknown = sorted(wanted.difference(SCOPES))
    if unknown or not wanted:
        what = f"unknown scope {', '.join(unknown)}" if unknown else "a key needs a scope"
        raise Misconfigured(f"{what}; scopes are: {', '.join(SCOPES)}")
    return wanted


async def create(
    conn: Connection,
    name: str,
    scopes: Iterable[str],
    *,
    actor: str,
    channel: str | None = None,
    system: str | None = None,
    requests_per_minute: int = REQUESTS_PER_MINUTE,
    expires_at: datetime | None = None,
    correlation_id: str = "",
) -> tuple[ApiKey, str] | Refusal:
    """Make a key; returns it with its token, which nobody can read again.

    Refused when `channel` or `system` is not known; Misconfigured for unknown scopes.
    """
    key_id = "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(12))
    key = ApiKey(key_id, name, check(scopes), channel, system, requests_per_minute, expires_at)
    token = f"sb_live_{key_id}_{secrets.token_urlsafe(32)}"
    row = {
        "key_id": key_id,
        "name": name,
        "secret_hash": digest(token),
        "scopes": sorted(key.scopes),
        "channel": channel,
        "system": system,
        "requests_per_minute": requests_per_minute,
        "expires_at": expires_at,
    }
    async with conn.transaction():
        missing = await _missing_binding(conn, channel, system)
        if missing is not None:
            return missing
        await conn.execute(SQL.insert_key, row)
        detail = {"name": name, "scopes": row["scopes"], "channel": channel, "system": system}
        await audit.record(conn, actor, "key.create", f"key/{key_id}", detail, correlation_id)
        await conn.execute(SQL.notify_keys, {"payload": key_id})
    return key, token


async def _missing_binding(
    conn: Connection, channel: str | None, system: str | None
) -> Refusal | None:
    row = await (
        await conn.execute(SQL.find_binding, {"channel": channel, "system": system})
    ).fetchone()
    channel_known, system_known = row or (False, False)
    if channel is not None and not channel_known:
        return Refusal("unknown_channel", f"channel {channel} does not exist: make it first")
    if system is not None and not system_known:
        return Refusal("unknown_system", f"system {system} does not exist: make it first")
    return None


async def revoke(
    conn: Connection, key_id: str, *, actor: str, correlation_id: str = ""
) -> Refusal | None:
    """End a key now, in every process; ending it twice is no error."""
    async with conn.transaction():
        row = await (await conn.execute(SQL.revoke_key, {"key_id": key_id})).fetchone()
        if row is None:
            return Refusal("unknown_key", f"no key {key_id}; see `stockbridge keys list`", 404)
        await audit.record(conn, actor, "key.revoke", f"key/{key_id}", {}, correlation_id)
        await conn.execute(SQL.notify_keys, {"payload": key_id})
    return None


async def listed(conn: Connection) -> list[dict[str, Any]]:
    """Every key as the API lists it, without secrets."""
    everything = {"after": None, "limit": None}
    rows = await (await conn.execute(SQL.keys_page, everything)).fetchall()
    return [msgspec.json.decode(document) for _, document in rows]


async def none_exists(conn: Connection) -> bool:
    """Whether this is a first start: no key was ever made."""
    row = await (await conn.execute(SQL.any_key)).fetchone()
    return not (row and row[0])


def from_row(row: tuple[Any, ...]) -> tuple[bytes, ApiKey]:
    """(digest, key) of a row of `live_keys`."""
    key_id, name, secret_hash, scopes, channel, system, per_minute, expires_at, *own = row
    bound = channel is not None or system is not None
    channels, locations = (frozenset(codes) if bound else None for codes in own)
    key = ApiKey(
        key_id,
        name,
        frozenset(scopes),
        channel,
        system,
        per_minute,
        expires_at,
        channels,
        locations,
    )
    return bytes(secret_hash), key
