"""Tells orders what their ERP answered: a settled booking becomes a message of the ERP's.

The settled delivery is the memory: it is marked in the transaction in which its message is known to
be kept, so a crash in between only sends the same message again, which the inbox knows.
"""

import asyncio
from collections.abc import Iterable

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.events.orders import OrderAnswered
from stockbridge.engine.inbox.accept import Inbox
from stockbridge.engine.inbox.model import Envelope
from stockbridge.kernel.clock import microseconds
from stockbridge.kernel.errors import Retry
from stockbridge.outbox.answers import Settled, heard, unheard
from stockbridge.store.database import Pool

PERIOD_SECONDS = 0.25
AT_ONCE = 500
CONTRACT = "io.stockbridge.order.answered.v1"
LOG = structlog.get_logger(__name__)


async def tell_orders(pool: Pool, inbox: Inbox) -> int:
    """One round; how many bookings were looked at."""
    async with pool.connection() as conn, conn.transaction():
        settled = await unheard(conn, AT_ONCE)
        if settled:
            await inbox.accept([_envelope(each) for each in settled if each.is_answer])
            await heard(conn, settled)
    return len(settled)


async def tell_orders_forever(
    pool: Pool, inbox: Inbox, period_seconds: float = PERIOD_SECONDS
) -> None:
    """Tell what is new, every period, and at once while there is more."""
    while True:
        count = 0
        try:
            count = await tell_orders(pool, inbox)
        except (psycopg.OperationalError, PoolTimeout, Retry) as error:
            LOG.warning("booked: answers wait", cause=str(error))
        if count < AT_ONCE:
            await asyncio.sleep(period_seconds)


def _envelope(settled: Settled) -> Envelope:
    """The answer as the ERP's own message; settled again it is another one."""
    is_taken = settled.state == "confirmed"
    answer = OrderAnswered(
        channel=settled.channel,
        number=settled.number,
        answer="accepted" if is_taken else "rejected",
        reference=settled.reference[:128] or None,
        reason="" if is_taken else _words([settled.code, settled.detail]),
        occurred_at=settled.settled_at,
    )
    return Envelope(
        system=settled.system,
        source_message_id=f"delivery/{settled.delivery_id}/{microseconds(settled.settled_at)}",
        flow="deliveries",
        sequence=None,
        correlation_id=settled.correlation_id,
        causation_id=f"delivery/{settled.delivery_id}",
        principal=f"system:{settled.system}",
        door="delivery",
        contract=CONTRACT,
        content_type="application/json",
        body=msgspec.json.encode(answer),
    )


def _words(parts: Iterable[str]) -> str:
    return ": ".join(part for part in parts if part)[:2_000]
