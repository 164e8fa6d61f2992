"""Every administrative act, with who did it; rows are only ever added."""

from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.store.sql import load

SQL = load(__package__)


async def record(
    conn: AsyncConnection[TupleRow],
    actor: str,
    act: str,
    subject: str,
    detail: dict[str, Any],
    correlation_id: str = "",
) -> None:
    """Add one act (`key.create`, `item.put`) on `subject` (`key/ab12`), in the open transaction."""
    row = {
        "actor": actor,
        "act": act,
        "subject": subject,
        "detail": msgspec.json.encode(detail).decode(),
        "correlation_id": correlation_id,
    }
    await conn.execute(SQL.insert_audit, row)
