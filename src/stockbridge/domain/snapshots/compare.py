"""Compares a report with the ledger: bytes to rows to one set-based statement, one transaction.

Runs in a thread, on a connection of its own.
"""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from stockbridge.domain.snapshots.model import STATE_ACCOUNTS, Format, Read
from stockbridge.domain.snapshots.reader import read_rows
from stockbridge.store.database import unreachable
from stockbridge.store.sql import load

SQL = load(__package__)
LEDGER_SQL = load("stockbridge.domain.ledger")
_SETTINGS: Final = "-c timezone=UTC -c work_mem=160MB -c jit=off -c enable_nestloop=off"
"""A report is joined as a whole; a nested loop is what a wrong estimate would make of it."""
_NULL: Final = r"\N"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})

Superseded = list[tuple[int, str]]
"""(snapshot id, location code) of what older reports had left open."""


def open_connection(dsn: str) -> Connection[Any]:
    """A blocking connection whose statements are planned for the report at hand."""
    session = make_conninfo(dsn, application_name="stockbridge snapshots", options=_SETTINGS)
    try:
        return psycopg.connect(session, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise unreachable(dsn, error) from error


def compare_snapshot(dsn: str, snapshot_id: int) -> Superseded:
    """Read, resolve, rebase and compare; answers what older reports left open until now.

    Raises Unreadable when the report as a whole cannot be read. The caller holds the system's lock.
    """
    own = {"snapshot_id": snapshot_id}
    with open_connection(dsn) as kept, open_connection(dsn) as conn, conn.transaction():
        system, _, cutoff_at, form, *_, meaning = conn.execute(SQL.head, own).fetchall()[0]
        stage(conn, kept, snapshot_id, system, form)
        conn.execute(SQL.add_places, own)
        told = {"cutoff_at": cutoff_at, "meaning": meaning}
        found = conn.execute(SQL.compare_rows, own | told).fetchall()
        conn.execute(SQL.clear_stage, own)
        superseded = conn.execute(SQL.supersede_older, own | {"system": system}).fetchall()
        conn.execute(SQL.set_compared, own | _totals(dict(found)))
        _note_feeds(conn, snapshot_id)
    return superseded


def _totals(outcomes: dict[str, int]) -> dict[str, int]:
    different = outcomes.get("drift", 0) + outcomes.get("in_flight", 0)
    return {
        "total": sum(outcomes.values()),
        "unchanged": outcomes.get("unchanged", 0),
        "different": different,
        "bad": outcomes.get("bad", 0),
    }


def _note_feeds(conn: Connection[Any], snapshot_id: int) -> None:
    heard = conn.execute(SQL.heard_places, {"snapshot_id": snapshot_id}).fetchall()[0]
    if heard[0] is not None:
        values = {"locations": heard[0], "moments": heard[1]}
        conn.execute(LEDGER_SQL.note_feeds, values)
        conn.execute(SQL.notify_feeds, values)


def stage(
    conn: Connection[Any], kept: Connection[Any], snapshot_id: int, system: str, form: Format
) -> None:
    """Put the report's rows where statements see them; its bytes are read on `kept`."""
    with conn.cursor().copy(SQL.copy_stage) as copy:
        for rows in read_rows(form, _pieces(kept, snapshot_id)):
            copy.write("".join([_copy_line(snapshot_id, system, row) for row in rows]))
    conn.execute(SQL.analyze_stage)


def _pieces(conn: Connection[Any], snapshot_id: int) -> Iterator[bytes]:
    number = 0
    while True:
        values = {"snapshot_id": snapshot_id, "chunk_number": number}
        row = conn.execute(SQL.chunk, values, binary=True).fetchone()
        if row is None:
            return
        yield row[0]
        number += 1


def _copy_line(snapshot_id: int, system: str, row: Read) -> str:
    """A row as COPY reads it."""
    number, sku, namespace, alias, location, state, quantity, reason = row
    if reason is not None:
        shown, why = (sku or "").translate(_ESCAPES), reason.translate(_ESCAPES)
        return f"{snapshot_id}\t{number}\t{shown}\t\\N\t\\N\t\\N\t\\N\t\\N\t{why}\n"
    if alias is None:
        names = f"{_text(sku)}\t\\N\t\\N"
    else:
        names = f"\\N\t{namespace or system}\t{_text(alias)}"
    account = STATE_ACCOUNTS[state or "available"]
    return f"{snapshot_id}\t{number}\t{names}\t{location}\t{account}\t{quantity}\t\\N\n"


def _text(name: str | None) -> str:
    if name is None:
        return _NULL
    return name.translate(_ESCAPES) if "\\" in name else name
