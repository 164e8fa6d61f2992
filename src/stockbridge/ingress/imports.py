"""Bulk imports: `import_file` and what the API and the command line need around it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO, Final

import psycopg
from psycopg import Connection

from stockbridge.domain.ledger.bulk import Source, touch_feeds
from stockbridge.domain.masters import bulk
from stockbridge.domain.masters.bulk import Columns, Refused
from stockbridge.domain.masters.model import Context
from stockbridge.ingress.import_columns import COLUMNS, ImportRefused, columns_of
from stockbridge.ingress.import_jobs import (
    DRY_RUN,
    end_job,
    fail_dead_jobs,
    hold_job,
    job_errors_page,
    job_read,
    open_job,
    write_rejects,
)
from stockbridge.ingress.import_orders import Submit, import_orders
from stockbridge.ingress.import_pipeline import Job, Merge, connect, run
from stockbridge.ingress.import_reader import Chunk, read_chunks
from stockbridge.ingress.import_stock import StockMerge
from stockbridge.kernel.errors import Misconfigured

__all__ = ["KINDS", "ImportRefused", "ImportReport", "close_dead_jobs", "import_file",
           "job_errors_page", "job_read", "start_job"]  # fmt: skip

KINDS: Final = tuple(COLUMNS)
STOCK_MERGERS: Final = 2
Progress = Callable[[int, int], None]
MASTERS: Final[dict[str, Callable[[Connection[Any], Columns, Context], Refused]]] = {
    "items": bulk.merge_items,
    "locations": bulk.merge_locations,
    "uoms": bulk.merge_uoms,
    "aliases": bulk.merge_aliases,
    "channels": bulk.merge_channels,
}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How an import went; `rejects_path` is None when no row was refused or no file was asked."""

    job_id: int
    rows_good: int
    rows_bad: int
    seconds: float
    rejects_path: Path | None


@dataclass(frozen=True, slots=True)
class Upload:
    """What is imported: a file by its path, or an open stream."""

    kind: str
    source: Path | BinaryIO
    json_lines: bool
    progress: Progress

    def chunks(self) -> Iterator[Chunk]:
        """The checked chunks, telling the progress after each was taken over."""
        if isinstance(self.source, Path):
            with self.source.open("rb") as stream:
                yield from self._read(stream, self.source.stat().st_size)
        else:
            yield from self._read(self.source, 0)

    def _read(self, stream: BinaryIO, total: int) -> Iterator[Chunk]:
        done = 0
        for chunk in read_chunks(self.kind, stream, json_lines=self.json_lines):
            yield chunk
            done += chunk.bytes_read
            self.progress(done, total)


def _silent(_done: int, _total: int) -> None:
    """No progress is shown."""


async def import_file(
    dsn: str,
    kind: str,
    path_or_stream: Path | str | BinaryIO,
    *,
    dry_run: bool = False,
    actor: str,
    correlation_id: str,
    rejects_path: Path | None = None,
    progress: Progress = _silent,
    json_lines: bool | None = None,
    job_id: int | None = None,
    submit: Submit | None = None,
) -> ImportReport:
    """Import a CSV or JSONL file; good rows are kept, bad ones go to `import_error` and a file.

    `progress(bytes_done, bytes_total)` is called from a thread; the total of a stream is 0.
    `json_lines` None goes by the file's name. `job_id` continues a job of `start_job`. `submit` is
    `Engine.submit`, needed for orders. Raises ImportRefused when the file as a whole is wrong.
    """
    upload = _upload(kind, path_or_stream, json_lines, progress)
    if job_id is None:
        job_id = await start_job(
            dsn, kind, dry_run=dry_run, actor=actor, correlation_id=correlation_id
        )
    job = Job(dsn, job_id, dry_run)
    detail = DRY_RUN if dry_run else ""
    began = perf_counter()
    try:
        with await asyncio.to_thread(_held, job):
            if kind == "orders":
                await import_orders(job, upload.chunks(), submit, actor, correlation_id)
            else:
                context = Context(actor, correlation_id, datetime.now(UTC))
                await asyncio.to_thread(_merge, job, upload, context)
            good, bad = await asyncio.to_thread(_end, job, "done", detail, rejects_path)
    except BaseException as error:
        # The cause is what the caller must see, also when the job cannot be closed any more.
        with suppress(Misconfigured, psycopg.Error):
            await asyncio.to_thread(_end, job, "failed", str(error) or type(error).__name__, None)
        raise
    return ImportReport(job_id, good, bad, perf_counter() - began, rejects_path if bad else None)


async def start_job(dsn: str, kind: str, *, dry_run: bool, actor: str, correlation_id: str) -> int:
    """Open a job before its file is read, so that a caller can be told its id."""

    def start() -> int:
        with connect(dsn) as conn:
            return open_job(conn, kind, dry_run=dry_run, actor=actor, correlation_id=correlation_id)

    return await asyncio.to_thread(start)


def _held(job: Job) -> Connection[Any]:
    """A connection that shows that the job lives, until it is closed."""
    conn = job.connect()
    hold_job(conn, job.job_id)
    return conn


async def close_dead_jobs(dsn: str) -> list[int]:
    """Mark the imports whose process died as failed, for the start of a server; their ids."""

    def close() -> list[int]:
        with connect(dsn) as conn:
            return fail_dead_jobs(conn)

    return await asyncio.to_thread(close)


def _upload(
    kind: str, source: Path | str | BinaryIO, json_lines: bool | None, progress: Progress
) -> Upload:
    columns_of(kind)
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise ImportRefused(f"there is no file {path}; check the name")
        return Upload(kind, path, _is_json(path.name, json_lines), progress)
    name = str(getattr(source, "name", ""))
    return Upload(kind, source, _is_json(name, json_lines), progress)


def _is_json(name: str, json_lines: bool | None) -> bool:
    return name.endswith((".jsonl", ".ndjson")) if json_lines is None else json_lines


def _merge(job: Job, upload: Upload, context: Context) -> None:
    if upload.kind in MASTERS:
        merge = partial(_merge_masters, upload.kind, context)
        key = "sku" if upload.kind in {"items", "uoms", "aliases"} else "code"
        run(job, upload.chunks(), merge, key=key, mergers=1)
        return
    stock = StockMerge(Source(str(job.job_id), context.correlation_id))
    merges: dict[str, Merge] = {"balances": stock.balances, "safety_stock": stock.safety_stock}
    try:
        run(job, upload.chunks(), merges[upload.kind], key="sku", mergers=STOCK_MERGERS)
    finally:
        if not job.dry_run and upload.kind == "balances" and stock.locations:
            with job.connect() as conn, conn.transaction():
                touch_feeds(conn, stock.locations)


def _merge_masters(kind: str, context: Context, conn: Connection[Any], chunk: Chunk) -> Refused:
    return MASTERS[kind](conn, chunk.columns, context)


def _end(job: Job, state: str, detail: str, rejects_path: Path | None) -> tuple[int, int]:
    with job.connect() as conn:
        good, bad = end_job(conn, job.job_id, state, detail)
        if bad and rejects_path is not None:
            write_rejects(conn, job.job_id, rejects_path)
    return good, bad
