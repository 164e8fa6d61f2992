"""The hash chain: each seal covers the digests of its batches and the seal before it.

A seal's hash is SHA-256 over the previous hash (32 bytes, zeros for the first) and, for each of
its batches in id order, the id (8 bytes, big-endian) and the digest. A batch that commits after
one with a higher id goes into a later seal: nothing ever waits for it.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection

from stockbridge.store.arrays import ints
from stockbridge.store.sql import load

SQL = load(__package__)
FIRST_HASH: Final = bytes(32)
BATCHES_MAX: Final = 10_000
"""Most batches under one seal."""


class Seal(NamedTuple):
    """A seal as it was made: its number, its hash, and how many batches it covers."""

    seal_id: int
    hash: bytes
    batches: int


def seal_hash(previous: bytes, batches: Iterable[tuple[int, bytes]]) -> bytes:
    """The hash of a seal after `previous` over (batch id, digest) pairs."""
    state = sha256(previous)
    for batch_id, digest in batches:
        state.update(batch_id.to_bytes(8, "big"))
        state.update(digest)
    return state.digest()


async def add_seal(conn: AsyncConnection[Any], limit: int = BATCHES_MAX) -> Seal | None:
    """Seal what is committed and unsealed, in one transaction.

    None when there is nothing to seal, or another process is sealing right now.
    """
    async with conn.transaction():
        if not (await _rows(conn, SQL.try_lock_chain))[0][0]:
            return None
        batches = await _rows(conn, SQL.read_unsealed, {"limit": limit})
        if not batches:
            return None
        last = await _rows(conn, SQL.last_seal)
        number, previous = last[0] if last else (0, FIRST_HASH)
        seal = Seal(number + 1, seal_hash(previous, batches), len(batches))
        values = {
            "seal_id": seal.seal_id,
            "batches": ints([batch_id for batch_id, _ in batches]),
            "previous": previous,
            "hash": seal.hash,
        }
        await conn.execute(SQL.add_seal, values)
        return seal


async def _rows(
    conn: AsyncConnection[Any], statement: bytes, values: dict[str, Any] | None = None
) -> list[Any]:
    return await (await conn.execute(statement, values)).fetchall()
