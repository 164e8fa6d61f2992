"""Ask the store whether the books are right; reads only."""

from collections import Counter
from typing import Any

from psycopg import AsyncConnection

from stockbridge.assurance.findings import LAWS
from stockbridge.assurance.verify import verify
from stockbridge.demo.summary import Invariant
from stockbridge.store.sql import load

SQL = load(__package__)
_NOT_ASKED = {"anchor"}
"""Laws about files that a demo does not have."""


def check(dsn: str) -> list[Invariant]:
    """Every law of the ledger and the books, with the number of records that break it."""
    findings = verify(dsn).findings
    broken = Counter(finding.law for finding in findings)
    examples = {finding.law: str(finding) for finding in reversed(findings)}
    return [
        Invariant(law.replace("_", " "), broken[law], examples.get(law, ""))
        for law in LAWS
        if law not in _NOT_ASKED
    ]


async def figures(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Totals of the books, by the name a person knows them by."""
    cursor = await connection.execute(SQL.read_totals)
    row = await cursor.fetchone()
    names = [column.name.replace("_", " ") for column in cursor.description or []]
    return dict(zip(names, map(int, row or ()), strict=True))
