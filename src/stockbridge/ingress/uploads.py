"""Bulk imports over HTTP: the file is stored as it streams in, then imported in the background."""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final, Literal

import psycopg
import structlog

from stockbridge.contracts.base import Shape
from stockbridge.governance import audit
from stockbridge.ingress import answers
from stockbridge.ingress.call import Answer, Call, Hub, Route, answer_json
from stockbridge.ingress.import_jobs import job_errors_page, job_read, open_job
from stockbridge.ingress.imports import ImportRefused, import_file
from stockbridge.ingress.paging import Page, PageQuery, decode_cursor, encode_cursor, page
from stockbridge.ingress.wire import chunks, too_large
from stockbridge.kernel.errors import Misconfigured, Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
FILE_BYTES_MAX: Final = 4 * 1024**3
_WRITE_BYTES = 1024 * 1024
_CSV, _NDJSON, _JSONL = "text/csv", "application/x-ndjson", "application/jsonl"
_WRITE = ("master:write",)
_READ = ("ops:read", "master:write")
_ALSO_NEEDED = {"balances": "adjustments:write", "orders": "reservations:write"}
_JOB_DIGITS_MAX = 18

ImportKind = Literal[
    "items", "locations", "uoms", "aliases", "channels", "balances", "safety_stock", "orders"
]


class ImportQuery(Shape, frozen=True):
    """What the file holds; `dry_run` checks every row and changes nothing."""

    kind: ImportKind
    dry_run: bool = False


async def start_import(call: Call) -> Answer | Refusal:
    """Store the file and import it; the answer names the job."""
    kind, dry_run = call.query.kind, call.query.dry_run
    needed = _ALSO_NEEDED.get(kind)
    if needed is not None and not call.key.may(needed):
        detail = f"importing {kind} also needs scope {needed}"
        return Refusal("scope_missing", f"key {call.key.key_id}: {detail}", 403)
    stored = await _store(call)
    if isinstance(stored, Refusal):
        return stored
    try:
        job_id = await asyncio.to_thread(_open, call, kind, dry_run)
        async with call.hub.pool.connection() as conn:
            facts = {"kind": kind, "dry_run": dry_run, "bytes": stored.stat().st_size}
            subject = f"import/{job_id}"
            await audit.record(
                conn, call.key.key_id, "import.start", subject, facts, call.correlation_id
            )
    except BaseException:
        stored.unlink()
        raise
    content_type = call.headers.get(b"content-type", b"").lower()
    work = _import(call, kind, dry_run, job_id, stored, json_lines=b"csv" not in content_type)
    task = asyncio.create_task(work, name=f"import {job_id}")
    call.hub.tasks.add(task)
    task.add_done_callback(call.hub.tasks.discard)
    place = (b"location", f"/v1/imports/{job_id}".encode())
    return answer_json(answers.ImportAccepted(job_id), 202)._replace(headers=(place,))


def _open(call: Call, kind: str, dry_run: bool) -> int:
    with psycopg.connect(call.hub.dsn, autocommit=True) as conn:
        return open_job(
            conn,
            kind,
            dry_run=dry_run,
            actor=call.key.key_id,
            correlation_id=call.correlation_id,
        )


async def _store(call: Call) -> Path | Refusal:
    """The body in a file of the data directory; it is removed when the import has ended."""
    path = _new_file(call.hub)
    try:
        size = 0
        with path.open("wb", buffering=_WRITE_BYTES) as file:
            async for chunk in chunks(call.receive):
                size += len(chunk)
                if size > FILE_BYTES_MAX:
                    path.unlink()
                    return too_large(FILE_BYTES_MAX)
                file.write(chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if not size:
        path.unlink()
        return Refusal("body_missing", "send the file as the body", 400)
    return path


def _new_file(hub: Hub) -> Path:
    folder = hub.data_dir / "uploads"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="import-", dir=folder)
    except OSError as error:
        raise Misconfigured(f"{folder} cannot be written: {error.strerror}") from error
    os.close(handle)
    return Path(name)


async def _import(
    call: Call, kind: str, dry_run: bool, job_id: int, stored: Path, *, json_lines: bool
) -> None:
    try:
        await import_file(
            call.hub.dsn,
            kind,
            stored,
            dry_run=dry_run,
            actor=call.key.key_id,
            correlation_id=call.correlation_id,
            json_lines=json_lines,
            job_id=job_id,
            submit=call.hub.engine.submit,
        )
    except (ImportRefused, psycopg.Error, Misconfigured) as error:
        # The job row tells the caller; nobody waits for this task.
        LOG.warning("import ended early", job=job_id, cause=str(error))
    finally:
        with contextlib.suppress(OSError):
            stored.unlink()  # noqa: ASYNC240 - one call


async def list_imports(call: Call) -> Answer | Refusal:
    """Imports, newest first."""
    return await page(call, SQL.imports_page, number=True)


async def get_import(call: Call) -> Answer | Refusal:
    """How an import goes."""
    found = await _job(call)
    return found if isinstance(found, Refusal) else answer_json(found)


async def _job(call: Call) -> dict[str, object] | Refusal:
    text = call.path["job"]
    if text.isascii() and text.isdigit() and len(text) <= _JOB_DIGITS_MAX:
        async with call.hub.pool.connection() as conn:
            found = await job_read(conn, int(text))
        if found is not None:
            return found
    return Refusal("unknown_import", f"there is no import {text}", 404)


async def list_import_errors(call: Call) -> Answer | Refusal:
    """Rows that were refused, with the reason, in the order of the file."""
    found = await _job(call)
    after = decode_cursor(call.query.cursor, number=True)
    if isinstance(found, Refusal):
        return found
    if isinstance(after, Refusal):
        return after
    start = after if isinstance(after, int) else 0
    async with call.hub.pool.connection() as conn:
        rows, following = await job_errors_page(
            conn, int(call.path["job"]), start, call.query.limit
        )
    cursor = None if following is None else encode_cursor(str(following))
    return answer_json({"items": rows, "next_cursor": cursor})


ROUTES = (
    Route("POST", "/v1/imports", start_import, "Import a CSV or NDJSON file", _WRITE,
          {202: answers.ImportAccepted}, query=ImportQuery, raw=(_CSV, _NDJSON, _JSONL)),
    Route("GET", "/v1/imports", list_imports, "Imports, newest first", _READ,
          {200: Page[answers.ImportJob]}, query=PageQuery),
    Route("GET", "/v1/imports/{job}", get_import, "How an import goes", _READ,
          {200: answers.ImportJob}),
    Route("GET", "/v1/imports/{job}/errors", list_import_errors, "The rows it refused", _READ,
          {200: Page[answers.ImportError]}, query=PageQuery),
)  # fmt: skip
