"""Setting a system with a connector up: what is put, tested, certified; for the API and the CLI."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from psycopg import AsyncConnection

from stockbridge.contracts.masters import PutSystem
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Check, Connectors
from stockbridge.domain.masters import rules
from stockbridge.domain.masters.handlers import move_system
from stockbridge.domain.masters.model import Context
from stockbridge.governance import audit, secrets
from stockbridge.ingress.connections import OpenConnectors
from stockbridge.ingress.systems_checks import LOCATIONS, Facts, checks
from stockbridge.kernel.errors import Misconfigured, Refusal, Retry
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
PUBLISH: Final = "publish"
TEST_SECONDS_MAX: Final = 90.0
FRESH_SECONDS: Final = 3_600
"""How old a test may be that certifies."""
Conn = AsyncConnection[Any]


class SystemTest(msgspec.Struct):
    """A test of a system: every check, with the fix of those that are not good."""

    system: str
    is_good: bool
    tested_at: datetime
    checks: list[Check]


def configured(connectors: Connectors, body: PutSystem) -> PutSystem | Refusal:
    """The system with its operations spelled out, or all that is wrong with its configuration."""
    if body.connector is None:
        if body.config or body.operations:
            detail = f"config and operations are a connector's: {', '.join(connectors.names())}"
            return Refusal("connector_missing", f"system {body.code!r} has no connector; {detail}")
        return body
    try:
        manifest = connectors.manifest(body.connector)
    except Misconfigured as error:
        return Refusal("unknown_connector", f"connector: {error}")
    possible = operations_of(manifest)
    wanted = possible if body.operations is None else body.operations
    wrong = [*connectors.faults(body.connector, body.config)]
    if "operations" in body.config:
        wrong.append("operations: stand beside config, not in it")
    wrong += [
        f"operations: {name} is none of {', '.join(possible)}"
        for name in wanted
        if name not in possible
    ]
    if wrong:
        errors = [
            {"index": n, "field": text.partition(":")[0], "code": "config_invalid", "detail": text}
            for n, text in enumerate(wrong)
        ]
        detail = f"system {body.code!r}: {'; '.join(wrong)}"
        return Refusal("config_invalid", detail, 422, errors)
    return msgspec.structs.replace(body, operations=list(wanted))


def operations_of(manifest: Manifest) -> list[str]:
    """What the hub may ask of a connector."""
    named = [operation.name for operation in manifest.operations]
    return [*named, PUBLISH] if manifest.stock is not None else named


async def run_test(
    pool: Pool, partners: OpenConnectors, system: str, *, actor: str, correlation_id: str
) -> SystemTest | Refusal:
    """Look at our side, have the connector try its own, keep the result; changes nothing else."""
    partners.forget(system)
    async with pool.connection() as conn:
        found = await _facts(conn, partners, system)
    if isinstance(found, Refusal):
        return found
    facts, fingerprint = found
    own = checks(facts)
    told = [*own, *await _connectors_own(partners, system, all(c.is_good for c in own))]
    is_good = all(check.is_good for check in told)
    values = {
        "system": system, "is_good": is_good, "fingerprint": fingerprint, "actor": actor,
        "checks": msgspec.json.encode(told).decode(),
    }  # fmt: skip
    async with pool.connection() as conn, conn.transaction():
        row = (await (await conn.execute(SQL.put_system_test, values)).fetchall())[0]
        said = {"is_good": is_good, "wrong": [c.name for c in told if not c.is_good]}
        await audit.record(conn, actor, "system.test", f"system/{system}", said, correlation_id)
    return SystemTest(system, is_good, row[0], told)


async def _connectors_own(partners: OpenConnectors, system: str, is_ready: bool) -> Sequence[Check]:
    try:
        opened = await partners.opened(system)
        async with asyncio.timeout(TEST_SECONDS_MAX):
            return await opened.connector.test()
    except Misconfigured as error:
        detail = str(error) if is_ready else "not tried: it cannot be opened"
        return [Check("connection", False, detail, "correct what is named, then test again")]
    except (Retry, TimeoutError) as error:
        detail = str(error) or f"no answer in {TEST_SECONDS_MAX:.0f} s"
        return [Check("connection", False, detail, "see that the partner can be reached")]


async def _facts(conn: Conn, partners: OpenConnectors, system: str) -> tuple[Facts, str] | Refusal:
    setup = await (await conn.execute(SQL.system_setup, {"system": system})).fetchone()
    if setup is None:
        return Refusal("unknown_system", f"system {system} does not exist", 404)
    if setup[0] is None:
        detail = f"system {system} has no connector, so there is nothing to test"
        return Refusal("connector_missing", detail, 409)
    connectors, config = partners.connectors, msgspec.json.decode(setup[1])
    try:
        manifest = connectors.manifest(setup[0])
    except Misconfigured as error:
        return Refusal("unknown_connector", f"connector of {system}: {error}", 409)
    table = config.get(LOCATIONS)
    named = {"system": system, "locations": sorted(table) if isinstance(table, dict) else []}
    ages = dict(await (await conn.execute(SQL.secret_ages, named)).fetchall())
    sealed = await secrets.sealed(conn, system)
    row = (await (await conn.execute(SQL.system_facts, named)).fetchall())[0]
    facts = Facts(
        system, manifest, config, row[2], row[3], connectors.faults(setup[0], config), ages,
        partners.can_decrypt(system, sealed), row[5] - time.time(), *row[6:],
    )  # fmt: skip
    return facts, row[4]


async def take_step(
    pool: Pool, system: str, step: str, *, actor: str, correlation_id: str
) -> dict[str, Any] | Refusal:
    """Move the system on in its life (`rules.STEPS`); its document."""
    context = Context(actor, correlation_id, datetime.now(UTC))
    async with pool.connection() as conn, conn.transaction():
        refusal = await _untested(conn, system) if step in rules.TESTED_STEPS else None
        if refusal is not None:
            return refusal
        answer = await move_system(conn, system, step, context)
        if isinstance(answer, Refusal):
            return answer
        said = {"lifecycle": answer[1]["lifecycle"]}
        subject = f"system/{system}"
        await audit.record(conn, actor, f"system.{step}", subject, said, correlation_id)
    return answer[1]


async def _untested(conn: Conn, system: str) -> Refusal | None:
    values = {"system": system, "seconds_max": FRESH_SECONDS}
    row = await (await conn.execute(SQL.newest_test, values)).fetchone()
    if row is None or not row[0]:
        return None
    _, is_good, is_same, is_fresh = row
    if is_good and is_same and is_fresh:
        return None
    if is_good is None:
        why = "was never tested"
    elif not is_good:
        why = "did not pass its last test"
    elif not is_same:
        why = "was changed since it was tested"
    else:
        why = f"was tested more than {FRESH_SECONDS // 60} minutes ago"
    detail = f"system {system} {why}: POST /v1/systems/{system}/test and put right what it names"
    return Refusal("test_needed", detail, 409)
