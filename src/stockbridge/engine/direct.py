"""Master commands: a transaction each, with the same idempotency as batched commands."""

from typing import Any

from psycopg import AsyncConnection

from stockbridge import governance
from stockbridge.domain.masters.handlers import HANDLERS
from stockbridge.domain.masters.model import Context
from stockbridge.engine.audited import act_of
from stockbridge.engine.request import FIRST_ERROR, KEY_REUSED, Outcome, Request, encode
from stockbridge.store.arrays import blobs, ints, texts
from stockbridge.store.sql import load

SQL = load(__package__)
GOVERNANCE_SQL = load(governance.__name__)


async def run_direct(conn: AsyncConnection[Any], request: Request) -> Outcome:
    """Check, write and keep the answer in one transaction; a key seen before replays."""
    command = request.command
    async with conn.transaction():
        await conn.execute(SQL.lock_request_key, {"key": request.key})
        known = await (
            await conn.execute(SQL.read_requests, {"keys": "{" + request.key + "}"})
        ).fetchone()
        if known is not None:
            if known[1] != request.body_hash:
                return encode(KEY_REUSED)
            return Outcome(known[2], known[3], replayed=True)
        now = (await (await conn.execute(SQL.clock)).fetchall())[0][0]
        context = Context(command.principal, command.correlation_id, now)
        outcome = encode(await HANDLERS[type(command.body)](conn, command.body, context))
        act = act_of(command)
        if act is not None and outcome.status < FIRST_ERROR:
            await conn.execute(GOVERNANCE_SQL.insert_audit, act._asdict())
        await conn.execute(
            SQL.add_requests,
            {
                "keys": "{" + request.key + "}",
                "hashes": blobs([request.body_hash]),
                "statuses": ints([outcome.status]),
                "answers": blobs([outcome.body]),
                "correlation_ids": texts([command.correlation_id]),
                "now": now,
            },
        )
        return outcome
