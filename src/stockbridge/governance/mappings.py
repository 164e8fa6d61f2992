"""Partners' declarative mappings, versioned. One version of each is active, proved by samples."""

import asyncio
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.contracts.expression import Failed
from stockbridge.contracts.mapping import Manifest, Mapping, failures
from stockbridge.governance import audit
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]


async def publish(
    conn: Connection,
    manifest: Manifest,
    *,
    actor: str,
    status: Literal["draft", "active"] = "draft",
    correlation_id: str = "",
) -> Refusal | None:
    """Keep a version as a draft, or make it the active one when every sample passes."""
    mapping = _ready(manifest)
    if isinstance(mapping, Refusal):
        return mapping
    if status == "active":
        refusal = await _unproved(mapping)
        if refusal is not None:
            return refusal
    key = _key(manifest)
    body = msgspec.json.encode(manifest).decode()
    async with conn.transaction():
        refusal = await _unusable(conn, manifest, body)
        if refusal is not None:
            return refusal
        row = {**key, "body": body, "author": actor, "correlation_id": correlation_id}
        await conn.execute(SQL.put_mapping, row)
        if status == "active":
            await _activate(conn, mapping, actor, correlation_id)
        subject = f"mapping/{mapping.contract}"
        detail = {"status": status, "samples": len(manifest.samples)}
        await audit.record(conn, actor, "mapping.publish", subject, detail, correlation_id)
    return None


async def activate(
    conn: Connection, system: str, name: str, version: int, *, actor: str, correlation_id: str = ""
) -> Refusal | None:
    """Make a draft the active version when every sample passes."""
    key = {"system": system, "name": name, "version": version}
    row = await (await conn.execute(SQL.mapping_document, key)).fetchone()
    if row is None:
        return Refusal("unknown_mapping", f"system {system} has no mapping {name}.v{version}", 404)
    manifest = msgspec.json.decode(row[1], type=Manifest)
    return await publish(
        conn, manifest, actor=actor, status="active", correlation_id=correlation_id
    )


async def tried(manifest: Manifest) -> list[dict[str, Any]] | Refusal:
    """The failing samples of a manifest, each `{sample, differences}`."""
    mapping = _ready(manifest)
    if isinstance(mapping, Refusal):
        return mapping
    found: list[dict[str, Any]] = msgspec.to_builtins(await asyncio.to_thread(failures, mapping))
    return found


def _ready(manifest: Manifest) -> Mapping | Refusal:
    try:
        return Mapping(manifest)
    except Failed as error:
        where = f"{manifest.system}/{manifest.name}.v{manifest.version}"
        return Refusal("mapping_invalid", f"mapping {where}: {error}")


async def _unproved(mapping: Mapping) -> Refusal | None:
    """Samples run in a thread: an expression may take seconds."""
    failed = await asyncio.to_thread(failures, mapping)
    if not failed:
        return None
    errors = [
        {"field": failure.sample, "code": "sample_failed", "detail": difference}
        for failure in failed
        for difference in failure.differences
    ]
    names = ", ".join(failure.sample for failure in failed)
    detail = f"{mapping.contract} is not activated: samples fail: {names}"
    return Refusal("samples_failing", detail, 422, errors)


async def _unusable(conn: Connection, manifest: Manifest, body: str) -> Refusal | None:
    key = _key(manifest)
    await conn.execute(SQL.lock_mappings, {"system": manifest.system})
    row = await (await conn.execute(SQL.mapping_context, key)).fetchone()
    system_known, newest = row or (False, 0)
    if not system_known:
        detail = f"system {manifest.system} does not exist: PUT /v1/systems/{manifest.system}"
        return Refusal("unknown_system", detail)
    known = await (await conn.execute(SQL.lock_mapping, key)).fetchone()
    same = known is not None and known[0] == "active" and known[1] == body
    if manifest.version > newest or same:
        return None
    detail = (
        f"mapping {manifest.system}/{manifest.name}: version {newest} was active already; "
        f"publish the change as version {newest + 1}"
    )
    return Refusal("mapping_version_taken", detail, 409)


async def _activate(conn: Connection, mapping: Mapping, actor: str, correlation_id: str) -> None:
    """The active version is a contract too, so that messages which wait for it are found."""
    manifest = mapping.manifest
    await conn.execute(SQL.activate_mapping, _key(manifest))
    named = {"name": mapping.name, "version": manifest.version}
    await conn.execute(SQL.retire_contracts_before, named)
    contract = {
        **named,
        "status": "active",
        "owner_team": actor,
        "schema": "true",
        "description": manifest.description or f"Messages of {manifest.system}, by mapping",
        "correlation_id": correlation_id,
    }
    await conn.execute(SQL.put_contract, contract)
    await conn.execute(SQL.notify_contracts, {"payload": mapping.contract})


def _key(manifest: Manifest) -> dict[str, object]:
    return {"system": manifest.system, "name": manifest.name, "version": manifest.version}
