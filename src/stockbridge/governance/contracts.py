"""The registry of message contracts: publish, and on through active, deprecated, retired.

What is published under a version number stays true: a change that would break those who use it
is refused, and takes a new version.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.contracts.compatibility import Change, breaks_writers
from stockbridge.contracts.events import EVENT_TYPES
from stockbridge.contracts.events.registry import PREFIX
from stockbridge.contracts.events.schema import schema_of
from stockbridge.contracts.schemas import faults_of
from stockbridge.governance import audit
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]

OWNER: Final = "stockbridge"
"""Owner of the built-in contracts."""
VERSION_MAX: Final = 999_999
_NAME = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+")
_NAME_CHARS_MAX = 200
_MOVES: Final[Mapping[str, tuple[str, ...]]] = {
    "active": ("draft",),
    "deprecated": ("active", "deprecated"),
    "retired": ("draft", "deprecated"),
}
Status = Literal["active", "deprecated", "retired"]


class Row(NamedTuple):
    """A contract's version as it is kept."""

    name: str
    version: int
    status: str
    schema: str
    deprecated_at: datetime | None
    sunset_on: date | None
    owner_team: str
    direction: str


async def sync_builtin(conn: Connection) -> list[str]:
    """Make the registry say what this release's built-in contracts say; names that changed."""
    rows = {
        "names": [event.name for event in EVENT_TYPES],
        "versions": [event.version for event in EVENT_TYPES],
        "directions": ["reported" if event.to_command else "told" for event in EVENT_TYPES],
        "schemas": [msgspec.json.encode(schema_of(event)).decode() for event in EVENT_TYPES],
        "descriptions": [event.description for event in EVENT_TYPES],
        "owner_team": OWNER,
    }
    async with conn.transaction():
        changed = await (await conn.execute(SQL.sync_contracts, rows)).fetchall()
        if changed:
            await conn.execute(SQL.notify_contracts, {"payload": "built-in"})
    return [name for (name,) in changed]


async def publish(
    conn: Connection,
    name: str,
    version: int,
    schema: Any,
    *,
    owner_team: str,
    actor: str,
    description: str = "",
    status: Literal["draft", "active"] = "active",
    correlation_id: str = "",
) -> Refusal | None:
    """Publish a version, or change it as far as that breaks nobody. Drafts change freely."""
    refusal = refused(name, schema)
    if refusal is not None:
        return refusal
    row = {
        "name": name,
        "version": version,
        "status": status,
        "owner_team": owner_team,
        "schema": msgspec.json.encode(schema).decode(),
        "description": description,
        "correlation_id": correlation_id,
    }
    async with conn.transaction():
        refusal = await _unchangeable(conn, name, version, schema, status)
        if refusal is not None:
            return refusal
        await conn.execute(SQL.put_contract, row)
        detail = {"status": status, "owner_team": owner_team, "description": description}
        await _told(conn, "publish", name, version, detail, actor, correlation_id)
    return None


def refused(name: str, schema: Any) -> Refusal | None:
    """Why a contract of this name and schema cannot be published, whatever is there already."""
    if name.startswith(PREFIX):
        return Refusal("contract_reserved", f"{name}: names under {PREFIX} are the hub's own")
    if not _NAME.fullmatch(name) or len(name) > _NAME_CHARS_MAX:
        detail = (
            f"{name[:100]!r} is no contract name: reversed domain, like com.example.parcel.left"
        )
        return Refusal("contract_name_invalid", detail)
    faults = faults_of(schema)
    if not faults:
        return None
    errors = [{"field": "schema", "code": "schema_invalid", "detail": fault} for fault in faults]
    return Refusal("schema_invalid", f"{name}: the schema is not usable: {faults[0]}", 422, errors)


async def find(conn: Connection, name: str, version: int) -> Row | None:
    """One version, held until the transaction ends."""
    cursor = await conn.execute(SQL.lock_contract, {"name": name, "version": version})
    row = await cursor.fetchone()
    return Row(*row) if row else None


async def listed(conn: Connection) -> list[dict[str, Any]]:
    """Every contract as the API lists it, without schemas."""
    everything = {"after": None, "limit": None, "status": None}
    rows = await (await conn.execute(SQL.contracts_page, everything)).fetchall()
    return [msgspec.json.decode(document) for _, document in rows]


def breaking(name: str, version: int, changes: list[Change]) -> Refusal:
    """The refusal that lists what would break."""
    errors = [
        {"pointer": change.pointer, "code": change.rule, "detail": change.detail}
        for change in changes
    ]
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    first = f"{changes[0].pointer or '/'}: {changes[0].rule}: {changes[0].detail}"
    detail = (
        f"{name}.v{version} is published, and this breaks its users: {first}{more}; "
        f"publish it as version {version + 1}"
    )
    return Refusal("breaking_change", detail, 409, errors)


async def _unchangeable(
    conn: Connection, name: str, version: int, schema: Mapping[str, Any], status: str
) -> Refusal | None:
    known = await find(conn, name, version)
    if known is None:
        row = await (await conn.execute(SQL.newest_version, {"name": name})).fetchone()
        newest = row[0] if row else 0
        if version <= newest + 1:
            return None
        detail = f"{name}: the newest version is {newest}; publish {newest + 1} next"
        return Refusal("version_skipped", detail, 409)
    if known.status == "draft":
        return None
    if known.status != "active" or status == "draft":
        detail = f"{name}.v{version} is {known.status}; publish version {version + 1}"
        return Refusal("contract_closed", detail, 409)
    changes = breaks_writers(msgspec.json.decode(known.schema), schema)
    return breaking(name, version, changes) if changes else None


async def move(
    conn: Connection,
    name: str,
    version: int,
    status: Status,
    *,
    actor: str,
    today: date,
    sunset_on: date | None = None,
    correlation_id: str = "",
) -> Refusal | None:
    """Activate a draft; deprecate with the last day it is read; retire after that day."""
    async with conn.transaction():
        known = await find(conn, name, version)
        refusal = _immovable(known, name, version, status, sunset_on, today)
        if refusal is not None:
            return refusal
        change = {
            "name": name,
            "version": version,
            "status": status,
            "sunset_on": sunset_on,
            "correlation_id": correlation_id,
        }
        await conn.execute(SQL.set_contract_status, change)
        detail = {"status": status} | ({"sunset_on": sunset_on.isoformat()} if sunset_on else {})
        await _told(conn, _ACTS[status], name, version, detail, actor, correlation_id)
    return None


_ACTS: Final = {"active": "activate", "deprecated": "deprecate", "retired": "retire"}


def _immovable(
    known: Row | None,
    name: str,
    version: int,
    status: Status,
    sunset_on: date | None,
    today: date,
) -> Refusal | None:
    if known is None:
        return Refusal("unknown_contract", f"no contract {name}.v{version}", 404)
    if known.status not in _MOVES[status]:
        before = " or ".join(_MOVES[status])
        detail = f"{name}.v{version} is {known.status}; only {before} can become {status}"
        return Refusal("contract_status", detail, 409)
    if status == "deprecated" and (sunset_on is None or sunset_on <= today):
        detail = f"{name}.v{version}: give the last day it will be read, after {today}"
        return Refusal("sunset_invalid", detail)
    if status == "retired" and known.sunset_on is not None and known.sunset_on >= today:
        detail = f"{name}.v{version} is promised until the end of {known.sunset_on}"
        return Refusal("sunset_not_reached", detail, 409)
    return None


async def _told(
    conn: Connection,
    act: str,
    name: str,
    version: int,
    detail: dict[str, Any],
    actor: str,
    correlation_id: str,
) -> None:
    """Audit an act and wake those who keep contracts in memory."""
    subject = f"contract/{name}.v{version}"
    await audit.record(conn, actor, f"contract.{act}", subject, detail, correlation_id)
    await conn.execute(SQL.notify_contracts, {"payload": f"{name}.v{version}"})


def today() -> date:
    """The day it is, UTC."""
    return datetime.now(UTC).date()
