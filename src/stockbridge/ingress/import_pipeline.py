"""Merges the chunks of an import, each in one transaction.

Reading overlaps with one or two mergers on connections of their own. Rows of one key always go to
the same merger, in file order, so that the later of two rows wins.
"""

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import Connection, errors
from psycopg.conninfo import make_conninfo

from stockbridge.domain.masters.bulk import Refused
from stockbridge.ingress.import_jobs import add_errors, count_rows
from stockbridge.ingress.import_reader import Chunk, Reject, reject
from stockbridge.store.database import unreachable

CHUNKS_WAITING: Final = 2
TRIES: Final = 5
POLL_SECONDS: Final = 0.2
KEY_END: Final = 3
"""Characters of a key in which neighbours differ: about a thousand of them."""

Merge = Callable[[Connection[Any], Chunk], Refused]
Chunks = queue.Queue[Chunk | None]


@dataclass(frozen=True, slots=True)
class Job:
    """One import under way."""

    dsn: str
    job_id: int
    dry_run: bool

    def connect(self) -> Connection[Any]:
        """A connection of its own; every statement is planned anew, for the chunk at hand."""
        return connect(self.dsn)


def connect(dsn: str) -> Connection[Any]:
    """A blocking connection in UTC; raises Misconfigured naming host and database."""
    session = make_conninfo(dsn, application_name="stockbridge import", options="-c timezone=UTC")
    try:
        return psycopg.connect(session, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise unreachable(dsn, error) from error


def run(job: Job, chunks: Iterator[Chunk], merge: Merge, *, key: str, mergers: int) -> None:
    """Merge all chunks; rows are shared out by the column `key`. The first failure ends it."""
    waiting: list[Chunks] = [queue.Queue(CHUNKS_WAITING) for _ in range(mergers)]
    with ThreadPoolExecutor(mergers, thread_name_prefix="import") as threads:
        running = [threads.submit(_merge_all, job, each, merge) for each in waiting]
        try:
            for chunk in chunks:
                for part, line in zip(_shared(chunk, key, mergers), waiting, strict=True):
                    _put(line, part, running)
        finally:
            for line, future in zip(waiting, running, strict=True):
                _close(line, future)
    for future in running:
        future.result()


def _shared(chunk: Chunk, key: str, parts: int) -> list[Chunk]:
    """The chunk by merger; keys alike but for their end stay together, as do their pages."""
    if parts == 1:
        return [chunk]
    owners = [hash(value[:-KEY_END]) % parts for value in chunk.columns.get(key, ())]
    shared = [chunk.keep([owner == part for owner in owners]) for part in range(parts)]
    shared[0].rejects = chunk.rejects
    return shared


def _put(line: Chunks, chunk: Chunk | None, running: list[Future[None]]) -> None:
    """Wait for room; raises what a merger died of."""
    while True:
        for future in running:
            if future.done():
                future.result()
        try:
            line.put(chunk, timeout=POLL_SECONDS)
        except queue.Full:
            continue
        return


def _close(line: Chunks, future: Future[None]) -> None:
    while not future.done():
        try:
            line.put(None, timeout=POLL_SECONDS)
        except queue.Full:
            continue
        return


def _merge_all(job: Job, line: Chunks, merge: Merge) -> None:
    with job.connect() as conn:
        while (chunk := line.get()) is not None:
            rejects = chunk.rejects + (
                merge_chunk(job, conn, chunk, merge) if chunk.numbers else []
            )
            with conn.transaction():
                add_errors(conn, job.job_id, rejects)
                merged = len(chunk.numbers) + len(chunk.rejects) - len(rejects)
                count_rows(conn, job.job_id, merged, len(rejects))


def merge_chunk(job: Job, conn: Connection[Any], chunk: Chunk, merge: Merge) -> list[Reject]:
    """Merge a chunk in one transaction and answer its rejects; a dry run takes it back.

    A row the database itself refuses is found by halving, so that it alone is rejected.
    """
    try:
        refused = _merge_once(job, conn, chunk, merge)
    except (errors.DataError, errors.IntegrityError) as error:
        if len(chunk.numbers) == 1:
            cause = str(error).splitlines()[0]
            return [reject(chunk.numbers[0], chunk.raws[0], f"the database refused it: {cause}")]
        middle = len(chunk.numbers) // 2
        first = [n < middle for n in range(len(chunk.numbers))]
        halves = chunk.keep(first), chunk.keep([not each for each in first])
        parts = [merge_chunk(job, conn, half, merge) for half in halves]
        return parts[0] + parts[1]
    return [reject(chunk.numbers[n], chunk.raws[n], why) for n, why in sorted(refused.items())]


def _merge_once(job: Job, conn: Connection[Any], chunk: Chunk, merge: Merge) -> Refused:
    for attempt in range(1, TRIES + 1):
        try:
            with conn.transaction(force_rollback=job.dry_run):
                return merge(conn, chunk)
        except (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable):
            if attempt == TRIES:
                raise
    return {}
