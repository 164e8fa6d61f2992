"""Import jobs: opening, counting, closing and reading them."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from psycopg import AsyncConnection, Connection

from stockbridge.ingress.import_columns import columns_of
from stockbridge.ingress.import_reader import Reject
from stockbridge.store.sql import load

SQL = load(__package__)
DRY_RUN: Final = "dry run: nothing was changed"
PAGE_ROWS: Final = 5_000
GRACE_SECONDS: Final = 5
"""Most time between opening a job and beginning it."""


def open_job(
    conn: Connection[Any], kind: str, *, dry_run: bool, actor: str, correlation_id: str
) -> int:
    """A new job's id; raises ImportRefused for a kind that does not exist.

    Whoever opens a job also closes those whose process died.
    """
    columns_of(kind)
    return add_job(
        conn, kind, detail=DRY_RUN if dry_run else "", actor=actor, correlation_id=correlation_id
    )


def add_job(
    conn: Connection[Any], kind: str, *, detail: str, actor: str, correlation_id: str
) -> int:
    """The same for work that reads no file."""
    fail_dead_jobs(conn)
    values = {"kind": kind, "actor": actor, "correlation_id": correlation_id, "detail": detail}
    return int(conn.execute(SQL.add_job, values).fetchall()[0][0])


def hold_job(conn: Connection[Any], job_id: int) -> None:
    """Tell everybody, as long as the connection lasts, that the job is being worked on."""
    conn.execute(SQL.hold_job, {"job_id": job_id})


def fail_dead_jobs(conn: Connection[Any]) -> list[int]:
    """Close the jobs whose process died, as failed with the reason; answers their ids."""
    values = {"grace_seconds": GRACE_SECONDS}
    return [row[0] for row in conn.execute(SQL.fail_dead_jobs, values)]


def count_rows(conn: Connection[Any], job_id: int, good: int, bad: int) -> None:
    """Add a chunk's rows to the job."""
    conn.execute(SQL.count_job, {"job_id": job_id, "good": good, "bad": bad})


def end_job(conn: Connection[Any], job_id: int, state: str, detail: str) -> tuple[int, int]:
    """Close the job; answers its good and bad rows."""
    values = {"job_id": job_id, "state": state, "detail": detail}
    row = conn.execute(SQL.end_job, values).fetchall()[0]
    return row[0], row[1]


def add_errors(conn: Connection[Any], job_id: int, rejects: Sequence[Reject]) -> None:
    """Keep refused rows."""
    if rejects:
        numbers, raws, reasons = (list(column) for column in zip(*rejects, strict=True))
        values = {"numbers": numbers, "raws": raws, "reasons": reasons}
        conn.execute(SQL.add_errors, {"job_id": job_id} | values)


def write_rejects(conn: Connection[Any], job_id: int, path: Path) -> None:
    """Write the job's refused rows as CSV: row_number, reason, raw; in file order."""
    after = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row_number", "reason", "raw"])
        while rows := _errors(conn, job_id, after, PAGE_ROWS):
            writer.writerows(rows)
            after = rows[-1][0]


def _errors(conn: Connection[Any], job_id: int, after: int, limit: int) -> list[Any]:
    values = {"job_id": job_id, "after": after, "limit": limit}
    return conn.execute(SQL.job_errors, values).fetchall()


async def job_read(conn: AsyncConnection[Any], job_id: int) -> dict[str, Any] | None:
    """One job as a document, None when there is none."""
    row = await (await conn.execute(SQL.job, {"job_id": job_id})).fetchone()
    return row[0] if row else None


async def job_errors_page(
    conn: AsyncConnection[Any], job_id: int, cursor: int = 0, limit: int = 100
) -> tuple[list[dict[str, Any]], int | None]:
    """Refused rows after row number `cursor`, and the next cursor, None on the last page."""
    values = {"job_id": job_id, "after": cursor, "limit": limit + 1}
    rows = await (await conn.execute(SQL.job_errors, values)).fetchall()
    page = [{"row_number": n, "reason": reason, "raw": raw} for n, reason, raw in rows[:limit]]
    return page, page[-1]["row_number"] if len(rows) > limit else None
