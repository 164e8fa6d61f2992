"""Asking the budgets in the database: one statement a take, correct across processes."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from stockbridge.contracts.partners.manifest import LimitRule
from stockbridge.contracts.partners.model import LimitSeen
from stockbridge.outbox.limits.model import Budget, Grant, Lease
from stockbridge.outbox.limits.rules import budgets
from stockbridge.store.sql import load

SQL = load(__package__)
Conn = AsyncConnection[Any]
LEASE_SECONDS = 60.0
CROWDED_SECONDS = 0.25
"""How soon to look whether calls of somebody else ended."""
_KEY_BITS = 62


def new_lease(seconds: float = LEASE_SECONDS) -> Lease:
    """A key for calls under limits of concurrency; they hold their places for so long."""
    return Lease(secrets.randbits(_KEY_BITS), seconds)


async def take(
    conn: Conn,
    system: str,
    under: Sequence[Budget],
    wanted: int,
    *,
    share: float,
    lease: Lease,
    at: datetime | None = None,
) -> Grant:
    """Take up to `wanted` calls from all budgets; in a transaction it counts once that commits.

    `share` (URGENT, NORMAL, BULK) is what is held back. `at` replaces the database's clock.
    """
    if not under or wanted <= 0:
        return Grant(max(wanted, 0))
    columns = zip(*under, strict=True)
    fields = ("names", "objects", "tallies", "capacities", "rates", "costs", "slots", "keeps")
    values: dict[str, Any] = {"system": system}
    values |= {name: list(column) for name, column in zip(fields, columns, strict=True)}
    asked = {
        "wanted": wanted,
        "share": share,
        "lease_key": lease.key,
        "lease_seconds": lease.seconds,
        "at": at,
    }
    while True:
        row = await (await conn.execute(SQL.take, values | asked)).fetchone()
        if row is not None and row[1] == len(under):
            return Grant(row[0], row[2])
        await conn.execute(SQL.open_throttles, values)


def ask_again(under: Sequence[Budget], grant: Grant) -> float:
    """In how many seconds to ask for what was not granted.

    Calls under a limit of concurrency give their places back long before their lease ends.
    """
    if any(budget.is_leased for budget in under):
        return min(grant.wait_seconds, CROWDED_SECONDS)
    return grant.wait_seconds


async def release(conn: Conn, system: str, calls: Mapping[int, int]) -> None:
    """Give back the places of calls that ended: lease key -> how many."""
    values = {"system": system, "lease_keys": list(calls), "calls": list(calls.values())}
    await conn.execute(SQL.release_calls, values)


async def renew(conn: Conn, lease_keys: Sequence[int], seconds: float = LEASE_SECONDS) -> None:
    """Keep the places of calls that take long."""
    values = {"lease_keys": list(lease_keys), "lease_seconds": seconds}
    await conn.execute(SQL.renew_leases, values)


async def correct(
    conn: Conn,
    system: str,
    rules: Sequence[LimitRule],
    seen: LimitSeen,
    at: datetime | None = None,
) -> None:
    """Believe what a partner told of a limit; budgets nobody asked yet are left alone."""
    told = budgets(rules, seen.operation)
    values: dict[str, Any] = {
        "system": system,
        "names": [b.name for b in told],
        "capacities": [b.capacity for b in told],
        "rates": [b.per_second for b in told],
        "remaining": [None if b.is_tally else seen.remaining for b in told],
        "seen_capacities": [None if b.is_tally else seen.capacity for b in told],
        "seen_rates": [None if b.is_tally else seen.per_second for b in told],
        "waits": [None if b.is_leased else seen.wait_seconds for b in told],
        "at": at,
    }
    if told:
        await conn.execute(SQL.correct, values)


async def forget(conn: Conn) -> None:
    """Delete the rows of objects whose calls are all forgotten."""
    await conn.execute(SQL.forget_throttles)
