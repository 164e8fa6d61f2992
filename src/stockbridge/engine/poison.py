"""A command that fails by itself: kept away from the others, and shown to an owner."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection

from stockbridge import governance
from stockbridge.engine.request import Request
from stockbridge.store.arrays import texts
from stockbridge.store.sql import load

GOVERNANCE_SQL = load(governance.__name__)


async def open_poison(conn: AsyncConnection[Any], request: Request) -> None:
    """Open an exception that holds the command, so that it can be mended and sent again."""
    command = request.command
    kind = type(command.body).__name__
    content = msgspec.json.encode(command.body).decode()[:4_000]
    await conn.execute(
        GOVERNANCE_SQL.open_exceptions,
        {
            "kinds": texts(["poison_command"]),
            "subjects": texts([f"{kind}:{request.key}"]),
            "severities": "{1}",
            "owner_teams": texts(["engineering"]),
            "causes": texts([f"{kind} fails inside the hub: {content}"]),
            "actions": texts(["Read the log at its correlation id, mend the cause, send again"]),
            "correlation_ids": texts([command.correlation_id]),
            "now": datetime.now(UTC),
        },
    )
