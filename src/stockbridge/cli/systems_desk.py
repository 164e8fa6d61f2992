"""What commands about systems work with: a pool, the connectors, a way to put and to keep."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockbridge.cli import options

if TYPE_CHECKING:
    from stockbridge.contracts.masters import PutSystem
    from stockbridge.contracts.partners.manifest import Manifest
    from stockbridge.governance.secrets import SecretBox
    from stockbridge.ingress.connections import OpenConnectors
    from stockbridge.store.database import Pool


@dataclass
class Desk:
    """What a command works with."""

    dsn: str
    pool: "Pool"
    box: "SecretBox"
    partners: "OpenConnectors"
    correlation_id: str


def run(work: Callable[[Desk], Awaitable[Any]], dsn: str | None, data_dir: Path | None) -> Any:
    """Do `work(desk)`; a refusal ends the command with its text."""
    from stockbridge.app import configure_logging
    from stockbridge.connectors.kit.registry import Registry
    from stockbridge.governance.secrets import SecretBox
    from stockbridge.ingress.connections import OpenConnectors
    from stockbridge.store.database import open_pool

    settings = options.settings_of(dsn=dsn, data_dir=data_dir)
    configure_logging(settings)

    async def connected(used: str) -> Any:
        async with await open_pool(used, 2) as pool:
            box = SecretBox(settings.secret_key)
            partners = OpenConnectors(pool, Registry.of(settings.connectors_dir), box)
            try:
                return await work(Desk(used, pool, box, partners, secrets.token_hex(16)))
            finally:
                await partners.stop()

    return options.run(settings, connected)


async def document_of(desk: Desk, code: str) -> dict[str, Any] | None:
    """A system as the API shows it; None when there is none."""
    from stockbridge.store.sql import load

    sql = load("stockbridge.domain.masters")
    async with desk.pool.connection() as conn:
        row = await (await conn.execute(sql.system_document, {"code": code})).fetchone()
    return row[0] if row else None


async def put(desk: Desk, body: "PutSystem") -> Any:
    """Put a system and the feeds of its connector; a refusal when it is wrong."""
    import msgspec

    from stockbridge.engine import Command, Engine
    from stockbridge.ingress import systems_setup
    from stockbridge.ingress.polling_connector import sync_feeds
    from stockbridge.ingress.reviving import try_soon
    from stockbridge.kernel.errors import Misconfigured, Refusal

    complete = systems_setup.configured(desk.partners.connectors, body)
    if isinstance(complete, Refusal):
        return complete
    engine = Engine(desk.dsn)
    await engine.start()
    try:
        command = Command(complete, principal="cli", correlation_id=desk.correlation_id)
        outcome = await engine.submit(command)
    finally:
        await engine.stop()
    if outcome.status >= 400:  # noqa: PLR2004 - the first status of a refusal
        raise Misconfigured(msgspec.json.decode(outcome.body)["detail"])
    manifest = desk.partners.connectors.manifest(str(complete.connector))
    await sync_feeds(desk.pool, complete.code, manifest)
    async with desk.pool.connection() as conn:
        await try_soon(conn, complete.code)
    return None


async def missing_secrets(desk: Desk, code: str, manifest: "Manifest") -> list[str]:
    """The required secrets that are not set."""
    from stockbridge.governance.secrets import sealed

    async with desk.pool.connection() as conn:
        known = {each.name for each in await sealed(conn, code)}
    return [each.name for each in manifest.secrets if each.required and each.name not in known]


async def keep_secret(desk: Desk, code: str, name: str, value: str, keep_seconds: int) -> Any:
    """Keep a secret that the system has; how many of it count now. Raises Misconfigured."""
    from stockbridge.governance import secrets as kept
    from stockbridge.ingress.reviving import try_soon
    from stockbridge.kernel.errors import Misconfigured, Refusal

    declared = await desk.partners.declared_secrets(code)
    if name not in declared:
        raise Misconfigured(f"{code} has no secret {name}; it has {', '.join(declared) or 'none'}")
    async with desk.pool.connection() as conn:
        active = await kept.put(
            conn, desk.box, code, name, value,
            keep_seconds=keep_seconds, actor="cli", correlation_id=desk.correlation_id,
        )  # fmt: skip
        if isinstance(active, Refusal):
            raise Misconfigured(active.detail)
        await try_soon(conn, code)
    return active
