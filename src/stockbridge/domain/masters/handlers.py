"""Changes of masters: check, write, tell the caches; inside the caller's transaction.

A handler answers (status 200 or 201, document) or a Refusal; it writes only after every check.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from stockbridge import governance
from stockbridge.contracts.masters import (
    ChangeItem,
    ChangeLocation,
    PutChannel,
    PutItem,
    PutLocation,
    PutOrderFlow,
    PutPolicy,
    PutReasonCode,
    PutSystem,
)
from stockbridge.domain.masters import rules
from stockbridge.domain.masters.model import Context
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
GOVERNANCE_SQL = load(governance.__name__)
Conn = AsyncConnection[Any]
Answer = tuple[int, dict[str, Any]] | Refusal
Handler = Callable[[Conn, Any, Context], Awaitable[Answer]]


async def _all(conn: Conn, statement: bytes, **values: Any) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(statement, values)).fetchall()


async def _one(conn: Conn, statement: bytes, **values: Any) -> dict[str, Any] | None:
    rows = await _all(conn, statement, **values)
    return rows[0] if rows else None


async def _answer(conn: Conn, statement: bytes, made: bool, **key: Any) -> Answer:
    await _all(conn, SQL.bump_epoch)
    rows = await _all(conn, statement, **key)
    return 201 if made else 200, rows[0]["document"]


async def put_item(conn: Conn, body: PutItem, context: Context) -> Answer:
    """Make or replace an item with its units, aliases and components."""
    await _all(conn, SQL.lock_masters)
    current = await _one(conn, SQL.find_item, sku=body.sku)
    refused, components = await _check_item(conn, body, current)
    if refused:
        return refused
    cost, attributes = body.standard_cost, msgspec.json.encode(body.attributes).decode()
    plain = {
        "sku": body.sku,
        "gtin": body.gtin,
        "description": body.description,
        "base_uom": body.base_uom,
        "status": body.status,
        "tracking": body.tracking,
    }
    stamps = {"now": context.now, "correlation_id": context.correlation_id}
    values = plain | stamps | {"standard_cost": cost, "attributes": attributes}
    item_id = (await _all(conn, SQL.put_item, **values))[0]["item_id"]
    await conn.execute(SQL.add_item_lock, {"item_id": item_id})
    await _write_lists(conn, item_id, body, components)
    return await _answer(conn, SQL.item_document, current is None, sku=body.sku)


async def change_item(conn: Conn, body: ChangeItem, context: Context) -> Answer:
    """Make an item what a system says of it, and leave the rest as it is."""
    await _all(conn, SQL.lock_masters)
    rows = await _all(conn, SQL.item_document, sku=body.sku)
    return await put_item(
        conn, rules.changed_item(rows[0]["document"] if rows else {}, body), context
    )


async def _check_item(
    conn: Conn, body: PutItem, current: Mapping[str, Any] | None
) -> tuple[Refusal | None, dict[str, int]]:
    subject = f"item {body.sku!r}"
    components = body.components or []
    found = await _all(conn, SQL.find_components, skus=[part.sku for part in components])
    ids = {row["sku"]: row["item_id"] for row in found}
    errors = rules.check_uoms(body.uoms or [], body.base_uom)
    errors += rules.check_components(
        body.sku, components, {row["sku"]: row["kit"] for row in found}
    )
    pairs = [(alias.namespace, alias.alias) for alias in body.aliases or []]
    errors += rules.repeated(pairs, "aliases", "duplicate_alias")
    if errors:
        return rules.refusal(errors, subject), ids
    owners = await _all(
        conn, SQL.alias_owners, namespaces=[p[0] for p in pairs], aliases=[p[1] for p in pairs]
    )
    taken = {(row["namespace"], row["alias"]): row["sku"] for row in owners}
    if clash := rules.check_aliases(body.sku, body.aliases or [], taken):
        return rules.refusal(clash, subject, 409), ids
    if current is None:
        return None, ids
    await _all(conn, SQL.lock_item, item_id=current["item_id"])
    use = (await _all(conn, SQL.item_use, item_id=current["item_id"]))[0]
    return rules.check_use(body, current["base_uom"], **use), ids


async def _write_lists(
    conn: Conn, item_id: int, body: PutItem, components: Mapping[str, int]
) -> None:
    key = {"item_id": item_id}
    if body.uoms is not None:
        columns: dict[str, Any] = {
            "uoms": [unit.uom for unit in body.uoms],
            "numerators": [unit.numerator for unit in body.uoms],
            "denominators": [unit.denominator for unit in body.uoms],
        }
        await conn.execute(SQL.clear_uoms, key)
        await conn.execute(SQL.add_uoms, key | columns)
    if body.aliases is not None:
        columns = {
            "namespaces": [alias.namespace for alias in body.aliases],
            "aliases": [alias.alias for alias in body.aliases],
        }
        await conn.execute(SQL.clear_aliases, key)
        await conn.execute(SQL.add_aliases, key | columns)
    if body.components is not None:
        columns = {
            "components": [components[part.sku] for part in body.components],
            "quantities": [part.quantity for part in body.components],
        }
        await conn.execute(SQL.clear_components, key)
        await conn.execute(SQL.add_components, key | columns)


async def _unknown_system(conn: Conn, code: str | None, field: str, subject: str) -> Refusal | None:
    if code is None or await _one(conn, SQL.find_system, code=code):
        return None
    return rules.refusal(rules.unknown([code], (), field, "system"), subject)


async def put_location(conn: Conn, body: PutLocation, context: Context) -> Answer:
    """Make or replace a location."""
    await _all(conn, SQL.lock_masters)
    subject = f"location {body.code!r}"
    if not _is_time_zone(body.time_zone):
        detail = f"{subject}: no time zone {body.time_zone!r}; use a name like 'Europe/London'"
        error = rules.row_error(0, "time_zone", "unknown_time_zone", detail)
        return Refusal("unknown_time_zone", detail, errors=[error])
    if refused := await _unknown_system(conn, body.authority, "authority", subject):
        return refused
    if body.gln and (other := await _one(conn, SQL.gln_owner, gln=body.gln, code=body.code)):
        detail = f"{subject}: GLN {body.gln} is location {other['code']!r}'s; give each its own"
        error = rules.row_error(0, "gln", "duplicate_gln", detail)
        return Refusal("duplicate_gln", detail, errors=[error])
    values = msgspec.structs.asdict(body)
    made = await _all(conn, SQL.put_location, **values, **_stamps(context))
    return await _answer(conn, SQL.location_document, made[0]["made"], code=body.code)


async def change_location(conn: Conn, body: ChangeLocation, context: Context) -> Answer:
    """Make a location what a system says of it, and leave the rest as it is."""
    await _all(conn, SQL.lock_masters)
    rows = await _all(conn, SQL.location_document, code=body.code)
    whole = rules.changed_location(rows[0]["document"] if rows else {}, body)
    return await put_location(conn, whole, context)


def _is_time_zone(name: str) -> bool:
    if name == "UTC":
        return True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _stamps(context: Context) -> dict[str, Any]:
    return {"now": context.now, "correlation_id": context.correlation_id}


async def put_channel(conn: Conn, body: PutChannel, context: Context) -> Answer:
    """Make or replace a channel and its sourcing list."""
    await _all(conn, SQL.lock_masters)
    subject = f"channel {body.code!r}"
    found = await _all(conn, SQL.find_locations, codes=body.sources)
    ids = {row["code"]: row["location_id"] for row in found}
    errors = rules.repeated(body.sources, "sources", "duplicate_location")
    errors += rules.unknown(body.sources, ids, "sources", "location")
    if errors:
        return rules.refusal(errors, subject) or Refusal("unknown_location", subject)
    if refused := await _unknown_system(conn, body.system, "system", subject):
        return refused
    values = msgspec.structs.asdict(body)
    sources = values.pop("sources")
    row = (await _all(conn, SQL.put_channel, **values, **_stamps(context)))[0]
    key = {"channel_id": row["channel_id"]}
    await conn.execute(SQL.clear_sources, key)
    await conn.execute(SQL.add_sources, key | {"locations": [ids[code] for code in sources]})
    return await _answer(conn, SQL.channel_document, row["made"], code=body.code)


async def put_system(conn: Conn, body: PutSystem, context: Context) -> Answer:
    """Make or replace a partner's endpoint; its lifecycle goes step by step."""
    await _all(conn, SQL.lock_masters)
    current = await _one(conn, SQL.find_system, code=body.code)
    lifecycle = current["lifecycle"] if current else None
    wanted = body.lifecycle or lifecycle or "draft"
    if refused := rules.check_lifecycle(body.code, lifecycle, wanted):
        return refused
    connector = current["connector"] if current else None
    if refused := rules.check_connector(body, lifecycle, connector):
        return refused
    config = msgspec.json.encode(body.config).decode()
    values = msgspec.structs.asdict(body) | {"lifecycle": wanted, "config": config}
    values["operations"] = body.operations or []
    made = await _all(conn, SQL.put_system, **values, **_stamps(context))
    await conn.execute(GOVERNANCE_SQL.notify_contracts, {"payload": body.code})
    return await _answer(conn, SQL.system_document, made[0]["made"], code=body.code)


async def move_system(conn: Conn, code: str, step: str, context: Context) -> Answer:
    """Take a step of `rules.STEPS`; the caller has checked what the step demands."""
    await _all(conn, SQL.lock_masters)
    current = await _one(conn, SQL.find_system, code=code)
    if current is None:
        return Refusal("unknown_system", f"system {code} does not exist", 404)
    following = rules.next_lifecycle(code, current["lifecycle"], step)
    if isinstance(following, Refusal):
        return following
    await conn.execute(
        SQL.set_lifecycle, {"code": code, "lifecycle": following, **_stamps(context)}
    )
    return await _answer(conn, SQL.system_document, made=False, code=code)


async def put_policy(conn: Conn, body: PutPolicy, context: Context) -> Answer:
    """Add a version to a channel's policy, or to one item's on it; always 201."""
    await _all(conn, SQL.lock_masters)
    subject = f"policy of channel {body.channel!r}"
    channel = await _one(conn, SQL.find_channel, code=body.channel)
    if channel is None:
        errors = rules.unknown([body.channel], (), "channel", "channel")
        return Refusal("unknown_channel", f"{subject}: {errors[0]['detail']}", errors=errors)
    item = await _one(conn, SQL.find_item, sku=body.sku) if body.sku is not None else None
    if body.sku is not None and item is None:
        errors = rules.unknown([body.sku], (), "sku", "sku")
        return Refusal("unknown_sku", f"{subject}: {errors[0]['detail']}", errors=errors)
    if refused := rules.check_policy(body):
        return refused
    terms = msgspec.structs.asdict(body)
    for name in ("channel", "sku", "effective_from"):
        del terms[name]
    key = {"channel_id": channel["channel_id"], "item_id": item["item_id"] if item else None}
    moment = body.effective_from or context.now
    record = {"effective_from": moment, "author": context.principal or "unknown"}
    encoded = msgspec.json.encode(terms).decode()
    added = await _all(conn, SQL.add_policy, **key, **record, body=encoded, **_stamps(context))
    await _all(conn, SQL.bump_epoch)
    document = {"channel": body.channel, "sku": body.sku, "version": added[0]["version"]}
    stamped = record | {"effective_from": moment.isoformat()}
    return 201, document | stamped | terms | {"correlation_id": context.correlation_id}


async def put_order_flow(conn: Conn, body: PutOrderFlow, context: Context) -> Answer:
    """Add a version to the way a channel's orders take; always 201."""
    await _all(conn, SQL.lock_masters)
    subject = f"order flow of channel {body.channel!r}"
    channel = await _one(conn, SQL.find_channel, code=body.channel)
    if channel is None:
        errors = rules.unknown([body.channel], (), "channel", "channel")
        return Refusal("unknown_channel", f"{subject}: {errors[0]['detail']}", errors=errors)
    if refused := await _unknown_system(conn, body.erp, "erp", subject):
        return refused
    terms = msgspec.structs.asdict(body)
    del terms["channel"]
    record = {"channel_id": channel["channel_id"], "author": context.principal or "unknown"}
    added = await _all(conn, SQL.add_order_flow, **record, **terms, **_stamps(context))
    await _all(conn, SQL.bump_epoch)
    document = {"channel": body.channel, "version": added[0]["version"], **terms}
    stamps = {"author": record["author"], "recorded_at": context.now.isoformat()}
    return 201, document | stamps | {"correlation_id": context.correlation_id}


async def put_reason_code(conn: Conn, body: PutReasonCode, context: Context) -> Answer:
    """Make or replace a reason code."""
    await _all(conn, SQL.lock_masters)
    values = msgspec.structs.asdict(body)
    made = await _all(conn, SQL.put_reason_code, **values, **_stamps(context))
    return await _answer(conn, SQL.reason_code_document, made[0]["made"], code=body.code)


HANDLERS: dict[type, Handler] = {
    PutItem: put_item,
    ChangeItem: change_item,
    PutLocation: put_location,
    ChangeLocation: change_location,
    PutChannel: put_channel,
    PutSystem: put_system,
    PutPolicy: put_policy,
    PutOrderFlow: put_order_flow,
    PutReasonCode: put_reason_code,
}
"""The handler of each command that changes masters."""
