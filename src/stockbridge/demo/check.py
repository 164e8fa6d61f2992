"""Ask the store whether the books are right; reads only."""

from typing import Any

from psycopg import AsyncConnection

from stockbridge.demo.summary import Invariant
from stockbridge.store.sql import load

SQL = load(__package__)

LAWS = (
    ("every balance is the sum of its movements", SQL.count_balances_unlike_movements),
    ("every item's accounts sum to zero", SQL.count_items_out_of_balance),
    (
        "every promise of a balance is an open hold, and the reverse",
        SQL.count_promises_unlike_holds,
    ),
    ("no promise was made of what was not free (oversold)", SQL.count_oversold_promises),
    (
        "every held or confirmed reservation has open holds, no other has",
        SQL.count_reservations_unlike_holds,
    ),
)


async def check(connection: AsyncConnection[Any]) -> list[Invariant]:
    """Every law with the number of records that break it."""
    return [Invariant(law, await _count(connection, statement)) for law, statement in LAWS]


async def figures(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Totals of the books, by the name a person knows them by."""
    cursor = await connection.execute(SQL.read_totals)
    row = await cursor.fetchone()
    names = [column.name.replace("_", " ") for column in cursor.description or []]
    return dict(zip(names, map(int, row or ()), strict=True))


async def _count(connection: AsyncConnection[Any], statement: bytes) -> int:
    row = await (await connection.execute(statement)).fetchone()
    return int(row[0]) if row else 0
