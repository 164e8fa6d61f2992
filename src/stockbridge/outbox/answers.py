"""What ERPs answered to orders, for those who tell the orders: settled deliveries, once each."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection

from stockbridge.store.arrays import ints
from stockbridge.store.sql import load

SQL = load(__package__)
_OURS: Final = frozenset({"payload_invalid", "operation_not_offered", "misconfigured"})
"""Refusals that are no word of the partner's about the order: an owner mends them and retries."""
_UNKNOWN: Final = "unknown_"
"""Begins the codes of refusals for a name that is missing there: a product, a warehouse."""


class Settled(NamedTuple):
    """A booking that came to its end."""

    delivery_id: int
    system: str
    state: str
    reference: str
    code: str
    detail: str
    correlation_id: str
    settled_at: datetime
    channel: str
    number: str

    @property
    def is_answer(self) -> bool:
        """Whether the partner itself said yes or no to the order."""
        is_ours = self.code in _OURS or self.code.startswith(_UNKNOWN)
        return self.state == "confirmed" or not is_ours


async def unheard(conn: AsyncConnection[Any], limit: int) -> list[Settled]:
    """Bookings that are settled and not heard, locked until the transaction ends."""
    rows = await (await conn.execute(SQL.unheard_answers, {"limit": limit})).fetchall()
    return [Settled(*row) for row in rows]


async def heard(conn: AsyncConnection[Any], settled: Iterable[Settled]) -> None:
    """Note that they were heard; one that a person tries again has another answer."""
    await conn.execute(SQL.heard_answers, {"ids": ints(each.delivery_id for each in settled)})
