"""The laws of the books, asked of the store in one statement."""

from collections.abc import Iterable
from typing import Any, Final

from psycopg import AsyncConnection

from stockbridge.assurance.findings import Finding, finding
from stockbridge.store.sql import load

SQL = load(__package__)
FINDINGS_MAX: Final = 1_000
"""Most findings that are listed."""


async def check(conn: AsyncConnection[Any]) -> list[Finding]:
    """Every record that breaks a law, at most FINDINGS_MAX; reads only.

    Balances are the sum of their movements, each item's accounts sum to zero, promises are open
    holds of open reservations, fences are sound, and no promise was made of what was not free.
    """
    cursor = await conn.execute(SQL.broken_laws, {"limit": FINDINGS_MAX})
    return as_findings(await cursor.fetchall())


def as_findings(rows: Iterable[tuple[Any, ...]]) -> list[Finding]:
    """The rows of `broken_laws`."""
    return [finding(*row) for row in rows]
