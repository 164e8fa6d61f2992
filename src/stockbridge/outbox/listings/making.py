"""Makes and ends listings, and has them tried or read again; everything is audited."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.contracts.partners.manifest import Stock
from stockbridge.governance import audit
from stockbridge.kernel.errors import Misconfigured, Refusal
from stockbridge.outbox.listings.model import Manifests
from stockbridge.store.arrays import texts
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]
ROWS_MAX: Final = 100_000
"""Most listings that one act on all that match reaches; what is left the next one does."""
UNLISTED_MAX: Final = 1_000
_WAITING: Final = ("failed", "dirty", "unknown")
_RIGHT: Final = ("ok", "accepted")
_STANDING: Final = ("new", "ok", "dirty", "sending", "unknown", "accepted", "failed")
"""What is retried, read back, ended."""


class Listed(NamedTuple):
    """How many listings were made, and which SKUs have none: unknown, or without a name there."""

    added: int
    unlisted: list[str]


class Entry(NamedTuple):
    """A listing as the partner has it; `location` is our code, '' where it keeps one figure."""

    sku: str
    item: str
    location: str = ""
    attributes: Mapping[str, str] = {}


class Selection(NamedTuple):
    """Listings that an act is about; what is None does not narrow it."""

    id: int | None = None
    channel: str | None = None
    system: str | None = None
    sku: str | None = None
    state: str | None = None


class _Target(NamedTuple):
    channel_id: int
    system: str
    stock: Stock
    places: Mapping[str, str]


async def add(
    conn: Connection,
    connectors: Manifests,
    channel: str,
    skus: Sequence[str] | None,
    *,
    actor: str,
    correlation_id: str = "",
) -> Listed | Refusal:
    """List these items on a channel under the names its system knows them by; None: all it knows.

    An ended listing begins anew. What the partner shows first is read before it is changed.
    """
    target = await _target(conn, connectors, channel)
    if isinstance(target, Refusal):
        return target
    values = {
        "channel_id": target.channel_id,
        "system": target.system,
        "by_sku": target.stock.item_key == "sku",
        "by_location": target.stock.per_location,
        "ours": list(target.places),
        "theirs": list(target.places.values()),
        "skus": None if skus is None else list(skus),
    }
    async with conn.transaction():
        row = await (await conn.execute(SQL.add_by_name, values)).fetchone()
        added = row[0] if row else 0
        detail = {"skus": "all" if skus is None else len(skus), "added": added}
        await audit.record(conn, actor, "listing.add", f"channel/{channel}", detail, correlation_id)
    own = {"channel_id": target.channel_id, "skus": texts(skus or [])}
    rows = await (await conn.execute(SQL.unlisted, own)).fetchall()
    return Listed(added, [row[0] for row in rows[:UNLISTED_MAX]])


async def add_entries(
    conn: Connection,
    connectors: Manifests,
    channel: str,
    entries: Sequence[Entry],
    *,
    actor: str,
    correlation_id: str = "",
) -> Listed | Refusal:
    """List items as the partner itself lists them: a file's rows, or what its catalog tells.

    Where the partner keeps a figure by location, entries at none that is mapped make no listing;
    where it keeps one figure, their location counts for nothing.
    """
    target = await _target(conn, connectors, channel)
    if isinstance(target, Refusal):
        return target
    given = [each.sku for each in entries]
    if target.stock.per_location:
        entries = [each for each in entries if each.location in target.places]
    else:
        entries = [each._replace(location="") for each in entries]
    values = {
        "channel_id": target.channel_id,
        "system": target.system,
        "skus": texts([each.sku for each in entries]),
        "items": texts([each.item for each in entries]),
        "locations": texts([each.location for each in entries]),
        "theirs": texts([str(target.places.get(each.location, "")) for each in entries]),
        "attributes": texts([msgspec.json.encode(each.attributes).decode() for each in entries]),
    }
    async with conn.transaction():
        row = await (await conn.execute(SQL.add_rows, values)).fetchone()
        added = row[0] if row else 0
        detail = {"rows": len(entries), "added": added}
        await audit.record(conn, actor, "listing.add", f"channel/{channel}", detail, correlation_id)
    own = {"channel_id": target.channel_id, "skus": texts(given)}
    rows = await (await conn.execute(SQL.unlisted, own)).fetchall()
    return Listed(added, [row[0] for row in rows[:UNLISTED_MAX]])


async def _target(conn: Connection, connectors: Manifests, channel: str) -> _Target | Refusal:
    row = await (await conn.execute(SQL.channel_listed, {"channel": channel})).fetchone()
    if row is None:
        return Refusal("unknown_channel", f"no channel has the code {channel!r}", 404)
    channel_id, system, connector, config, sources = row
    if connector is None:
        detail = f"channel {channel} has no system with a connector: give it one that takes figures"
        return Refusal("not_connected", detail, 409)
    try:
        stock = connectors.manifest(connector).stock
    except Misconfigured as error:
        return Refusal("unknown_connector", str(error), 409)
    if stock is None:
        detail = f"connector {connector} of system {system} takes no figures"
        return Refusal("takes_no_figures", detail, 409)
    places = config.get("locations") if isinstance(config, Mapping) else None
    if stock.per_location and not places:
        detail = f"system {system} keeps a figure by location: set its `locations`"
        return Refusal("unmapped_location", detail, 409)
    # Elsewhere the channel has nothing to show, and what the partner shows there is not ours.
    kept = {code: theirs for code, theirs in (places or {}).items() if code in sources}
    return _Target(channel_id, system, stock, kept if stock.per_location else {})


async def retry(
    conn: Connection, selection: Selection, *, actor: str, correlation_id: str = ""
) -> int:
    """Have what failed, or waits for a later try, tried at once; how many, ROWS_MAX at most."""
    return await _act(conn, "retry", _WAITING, SQL.retry, selection, {}, actor, correlation_id)


async def verify(
    conn: Connection, selection: Selection, *, actor: str, correlation_id: str = ""
) -> int:
    """Have what seems right read back; how many, ROWS_MAX at most."""
    return await _act(conn, "verify", _RIGHT, SQL.verify, selection, {}, actor, correlation_id)


async def end(
    conn: Connection,
    selection: Selection,
    *,
    to_zero: bool,
    actor: str,
    correlation_id: str = "",
) -> int:
    """End listings, taken to zero first when asked; how many, ROWS_MAX at most."""
    more = {"to_zero": to_zero}
    return await _act(
        conn, "end", _STANDING, SQL.end_listings, selection, more, actor, correlation_id
    )


async def _act(
    conn: Connection,
    act: str,
    states: Sequence[str],
    statement: bytes,
    selection: Selection,
    more: dict[str, Any],
    actor: str,
    correlation_id: str,
) -> int:
    values = selection._asdict() | more
    async with conn.transaction():
        meant = selection._asdict() | {
            "states": list(states), "waits": act == "retry", "limit": ROWS_MAX,
        }  # fmt: skip
        found = await (await conn.execute(SQL.choose_listings, meant)).fetchall()
        row = await (
            await conn.execute(statement, {"chosen": [row[0] for row in found]} | more)
        ).fetchone()
        count: int = row[0] if row else 0
        detail = {name: value for name, value in values.items() if value is not None}
        detail["listings"] = count
        await audit.record(conn, actor, f"listing.{act}", "listing", detail, correlation_id)
    return count
