"""Takes a report in: its bytes are kept in pieces as they come, before anybody is answered."""

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Final, NamedTuple

from psycopg import errors

from stockbridge.domain.snapshots.model import Head
from stockbridge.kernel.errors import Refusal
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
CHUNK_BYTES: Final = 1024 * 1024
REPORT_BYTES_MAX: Final = 1024**3
DOCUMENT_BYTES_MAX: Final = 8 * 1024 * 1024
"""A report as one JSON document is decoded as a whole; larger ones come line by line."""


class Taken(NamedTuple):
    """The report's id; `is_new` is False for one that was here before."""

    snapshot_id: int
    is_new: bool


async def take_in(pool: Pool, head: Head, body: AsyncIterator[bytes]) -> Taken | Refusal:
    """Keep a report; committed when this returns.

    The same bytes under the same number are the same report; others are refused, as is an empty
    or too large body. What does not arrive whole leaves nothing.
    """
    bytes_max = DOCUMENT_BYTES_MAX if head.format == "json" else REPORT_BYTES_MAX
    async with pool.connection() as conn:
        await conn.execute(SQL.drop_abandoned)
        values = {name: getattr(head, name) for name in Head.__slots__}
        row = await (await conn.execute(SQL.open_snapshot, values)).fetchone()
    snapshot_id = int(row[0]) if row else 0
    try:
        kept = await _keep(pool, snapshot_id, body, bytes_max)
        taken = kept if isinstance(kept, Refusal) else await _close(pool, snapshot_id, head, *kept)
    except BaseException:
        await _drop(pool, snapshot_id)
        raise
    if isinstance(taken, Refusal) or not taken.is_new:
        await _drop(pool, snapshot_id)
    return taken


async def _keep(
    pool: Pool, snapshot_id: int, body: AsyncIterator[bytes], bytes_max: int
) -> tuple[bytes, int] | Refusal:
    """Store the pieces; the hash and the size of the whole."""
    digest, size, number = sha256(), 0, 0
    waiting = bytearray()
    async for part in body:
        size += len(part)
        if size > bytes_max:
            detail = f"the report is larger than {bytes_max:,} bytes: send NDJSON or CSV in parts"
            return Refusal("body_too_large", detail, 413)
        digest.update(part)
        waiting += part
        while len(waiting) >= CHUNK_BYTES:
            await _add(pool, snapshot_id, number, bytes(waiting[:CHUNK_BYTES]))
            del waiting[:CHUNK_BYTES]
            number += 1
    if not size:
        return Refusal("body_missing", "send the report as the body", 400)
    if waiting:
        await _add(pool, snapshot_id, number, bytes(waiting))
    return digest.digest(), size


async def _add(pool: Pool, snapshot_id: int, number: int, piece: bytes) -> None:
    values = {"snapshot_id": snapshot_id, "chunk_number": number, "body": piece}
    async with pool.connection() as conn:
        await conn.execute(SQL.add_chunk, values)


async def _close(
    pool: Pool, snapshot_id: int, head: Head, content_hash: bytes, size: int
) -> Taken | Refusal:
    values = {"snapshot_id": snapshot_id, "content_hash": content_hash, "bytes": size}
    named = {"system": head.system, "number": head.number}
    async with pool.connection() as conn:
        try:
            await conn.execute(SQL.close_snapshot, values)
            return Taken(snapshot_id, is_new=True)
        except errors.UniqueViolation:
            known = await (await conn.execute(SQL.find_number, named)).fetchone()
    if known is not None and known[1] == content_hash:
        return Taken(int(known[0]), is_new=False)
    detail = (
        f"{head.system} sent another report under number {head.number} before: give each its own"
    )
    return Refusal("snapshot_number_reused", detail, 409)


async def _drop(pool: Pool, snapshot_id: int) -> None:
    async with pool.connection() as conn:
        await conn.execute(SQL.drop_snapshot, {"snapshot_id": snapshot_id})
