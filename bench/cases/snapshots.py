"""A partner's stock report against a stocked ledger with a history."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from time import perf_counter

import psycopg

from bench.lab import LOCATIONS, SQL, Lab, settle
from bench.model import Case, Figure, Measured, Target
from stockbridge.domain.snapshots.compare import compare_snapshot
from stockbridge.domain.snapshots.intake import Taken, take_in
from stockbridge.domain.snapshots.model import Head
from stockbridge.store.database import open_pool

HELD = 1_000_000_000
ROWS = 1_000_000
_DIFFERENT_EVERY = 100
_PIECE_ROWS = 20_000


def snapshot_diff(lab: Lab) -> Measured:
    """Take in and compare a report; a tenth of the ledger's history lies after its cut-off."""
    items = lab.sized(3_000, ROWS // len(LOCATIONS))
    rows = items * len(LOCATIONS)
    with lab.stocked("snapshot", items) as dsn:
        _move(dsn, items, rows // 3)
        cutoff_at = datetime.now(UTC)
        _move(dsn, items, rows // 30)
        settle(dsn)
        began = perf_counter()
        snapshot_id = asyncio.run(_take_in(dsn, items, cutoff_at))
        taken = perf_counter()
        compare_snapshot(dsn, snapshot_id)
        seconds = perf_counter() - taken
        outcomes = _outcomes(dsn)
    if sum(outcomes.values()) != rows or outcomes["drift"] < rows / _DIFFERENT_EVERY:
        raise RuntimeError(f"the report came out wrong: {outcomes}")
    values = {"": seconds, "rate": rows / seconds, "take_in": taken - began}
    return Measured(values, {"rows": rows, "outcomes": outcomes})


def _move(dsn: str, items: int, orders: int) -> None:
    """Orders of one line: three movements each, promises and shipments at the first location."""
    with psycopg.connect(dsn) as conn:
        conn.execute(SQL.past_movements, {"orders": orders, "items": items})


async def _take_in(dsn: str, items: int, cutoff_at: datetime) -> int:
    head = Head(
        system="WMS",
        number="bench",
        cutoff_at=cutoff_at,
        sequence=None,
        meaning="available",
        is_authoritative=False,
        format="ndjson",
        principal="bench",
        correlation_id="bench",
    )
    async with await open_pool(dsn, 1) as pool:
        taken = await take_in(pool, head, _report(items))
    if not isinstance(taken, Taken):
        raise RuntimeError(taken.detail)  # noqa: TRY004 - a refusal is a value
    return taken.snapshot_id


async def _report(items: int) -> AsyncIterator[bytes]:
    """The bytes of the report, a piece at a time."""
    for place in LOCATIONS:
        for first in range(1, items + 1, _PIECE_ROWS):
            last = min(first + _PIECE_ROWS, items + 1)
            yield "".join(_line(n, place) for n in range(first, last)).encode()


def _line(number: int, place: str) -> str:
    quantity = HELD - (number % _DIFFERENT_EVERY == 0)
    return f'{{"sku":"S{number}","location":"{place}","quantity":{quantity}}}\n'


def _outcomes(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as conn:
        query = b"SELECT outcome, count(*) FROM snapshot_row GROUP BY outcome"
        return dict(conn.execute(query).fetchall())


CASES = (
    Case(
        "snapshot_diff",
        {
            "": Figure(
                "s",
                "1,000,000 reported rows read, resolved, rebased and compared (small: 9,000)",
                target=Target("at_most", 15, full_scale_only=True),
            ),
            "rate": Figure("rows/s", "the same as a rate", "floor_copy"),
            "take_in": Figure("s", "the bytes of the report kept before that"),
        },
        snapshot_diff,
    ),
)
