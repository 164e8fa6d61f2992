"""Exports: the ledger, the balances or a channel's availability, streamed into a file."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from psycopg import AsyncConnection, IsolationLevel

from stockbridge.contracts.availability import SKUS_MAX, AvailabilityList
from stockbridge.kernel.accounts import ACCOUNT_NAMES, KIND_NAMES
from stockbridge.kernel.errors import Misconfigured, Refusal
from stockbridge.store.database import connect
from stockbridge.store.sql import load
from stockbridge.views.export_files import WRITERS, ColumnType, ExportColumn, Row, Writer

SQL = load(__package__)
APPLICATION: Final = "stockbridge export"
BATCH_ROWS: Final = 10_000

Figures = Callable[[str, Sequence[str]], Awaitable[AvailabilityList | Refusal]]
"""`StockView.answer_many`: the figures of a channel for at most SKUS_MAX SKUs."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What to export; None does not filter. `since` and `until` are recorded moments.

    Availability needs a `channel`.
    """

    sku: str | None = None
    location: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    channel: str | None = None


def _columns(kinds: str) -> tuple[ExportColumn, ...]:
    pairs = (word.partition(":") for word in kinds.split())
    return tuple(ExportColumn(name, cast("ColumnType", kind or "text")) for name, _, kind in pairs)


COLUMNS: Final = {
    "ledger": _columns(
        "movement_id:whole batch_id:whole recorded_at:moment occurred_at:moment kind sku location "
        "from_account to_account quantity:whole unit_cost:decimal reason document_type "
        "document_number document_line message_id correlation_id reverses:whole"
    ),
    "balances": _columns(
        "sku location on_hand:whole available:whole allocated:whole picked:whole "
        "quarantined:whole in_transit:whole on_order:whole reserved:whole backordered:whole "
        "safety_stock:whole"
    ),
    "availability": _columns(
        "sku channel available:whole as_of feed_age_seconds:whole stale:truth source"
    ),
}
_KIND, _FROM, _TO = 4, 7, 8


async def export(
    dsn: str,
    what: str,
    out: Path | BinaryIO,
    format: str = "csv",  # noqa: A002 the command line's word
    filters: Filters | None = None,
    *,
    figures: Figures | None = None,
    progress: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Write the export and answer how many rows it has; a file appears only when it is whole.

    `figures` is needed for availability; `progress(rows)` is told after each batch. Raises
    Misconfigured for an unknown export or format, or a missing channel.
    """
    chosen = filters or Filters()
    if what not in COLUMNS:
        raise Misconfigured(f"there is no export of {what!r}; choose one of {', '.join(COLUMNS)}")
    if format not in WRITERS:
        raise Misconfigured(f"there is no format {format!r}; choose one of {', '.join(WRITERS)}")
    if what == "availability" and (figures is None or chosen.channel is None):
        raise Misconfigured("an export of availability is of one channel; name it")
    count = 0
    with _opened(out) as stream:
        writer: Writer = WRITERS[format](stream, COLUMNS[what])
        try:
            async with await connect(dsn, application_name=APPLICATION) as conn:
                # One consistent picture, however long the export takes.
                await conn.set_isolation_level(IsolationLevel.REPEATABLE_READ)
                await conn.set_read_only(True)
                async with conn.transaction():
                    async for rows in _batches(conn, what, chosen, figures):
                        await asyncio.to_thread(writer.write, rows)
                        count += len(rows)
                        progress(count)
        finally:
            writer.close()
    return count


@contextmanager
def _opened(out: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(out, Path):
        yield out
        return
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


async def _batches(
    conn: AsyncConnection[Any], what: str, filters: Filters, figures: Figures | None
) -> AsyncIterator[list[Row]]:
    if what == "ledger":
        async for rows in _selected(conn, SQL.export_ledger, filters):
            yield [_named(row) for row in rows]
    elif what == "balances":
        async for rows in _selected(conn, SQL.export_balances, filters):
            yield rows
    elif figures is not None and filters.channel is not None:
        async for rows in _selected(conn, SQL.export_skus, filters):
            yield await _figures(figures, filters.channel, [row[0] for row in rows])


async def _selected(
    conn: AsyncConnection[Any], statement: bytes, filters: Filters
) -> AsyncIterator[list[Row]]:
    values = {
        "sku": filters.sku,
        "location": filters.location,
        "since": filters.since,
        "until": filters.until,
    }
    async with conn.cursor(name="export") as cursor:
        await cursor.execute(statement, values)
        while rows := await cursor.fetchmany(BATCH_ROWS):
            yield list(rows)


def _named(row: Row) -> Row:
    cells = list(row)
    cells[_KIND] = KIND_NAMES[cells[_KIND]]
    cells[_FROM] = ACCOUNT_NAMES[cells[_FROM]]
    cells[_TO] = ACCOUNT_NAMES[cells[_TO]]
    return cells


async def _figures(figures: Figures, channel: str, skus: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(skus), SKUS_MAX):
        answer = await figures(channel, skus[start : start + SKUS_MAX])
        if isinstance(answer, Refusal):
            raise Misconfigured(answer.detail)
        names = [column.name for column in COLUMNS["availability"]]
        rows += [[getattr(each, name) for name in names] for each in answer.items]
    return rows
