"""Writes how far listings are: what is about to be sent, and what became of it."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.outbox.listings.model import Row, Settled
from stockbridge.store.arrays import ints, ints_or_null, moments, texts
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]


async def begin(conn: Connection, rows: Sequence[Row]) -> list[Row]:
    """Keep what is about to be sent: the rows that are still ours, to be sent as they are now."""
    values = _figures(rows) | {"desired": ints(row.desired for row in rows)}
    found = await (await conn.execute(SQL.begin_sending, values)).fetchall()
    now = {row[0]: row[1:] for row in found}
    return [
        row._replace(desired=desired, desired_version=version, sent_version=sent_version)
        for row in rows
        if row.listing_id in now
        for desired, version, sent_version in [now[row.listing_id]]
    ]


async def settle(conn: Connection, settled: Sequence[Settled]) -> None:
    """End the work on rows."""
    if not settled:
        return
    values = _figures([each.row for each in settled]) | {
        "ends": texts([each.end for each in settled]),
        "sents": ints_or_null([each.sent for each in settled]),
        "versions": ints(each.row.desired_version for each in settled),
        "seconds": "{" + ",".join([str(each.seconds) for each in settled]) + "}",
        "verified": _flags([each.verified for each in settled]),
        "corrected": _flags([each.corrected for each in settled]),
        "misses": ints(each.row.misses for each in settled),
        "references": texts([each.reference[:200] for each in settled]),
        "codes": texts([each.code[:100] for each in settled]),
        "details": texts([each.detail[:500] for each in settled]),
    }
    await conn.execute(SQL.settle, values)


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "ids": ints(row.listing_id for row in rows),
        "leases": moments(row.lease for row in rows),
        "sent_versions": ints(row.sent_version for row in rows),
        "published": ints_or_null([row.published for row in rows]),
        "heard_from": moments(row.heard_from for row in rows),
        "unheard": ints(row.unheard for row in rows),
        "unheard_at": moments(row.unheard_at for row in rows),
        "reckoned_at": moments(row.reckoned_at for row in rows),
    }


def _flags(values: Sequence[bool]) -> str:
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"
