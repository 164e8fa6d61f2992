"""Applies numbered migrations, forward only, and makes the monthly partitions ahead.

A migration is a plain file `NNNN_pre_what.sql` (safe to apply while the old code runs) or
`NNNN_post_what.sql` (safe once the new code runs). Applied files never change: a database's
journal keeps their SHA-256.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

import psycopg
from psycopg.rows import TupleRow

from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.store.database import unreachable
from stockbridge.store.sql import load

SQL = load(__package__)

Phase = Literal["pre", "post"]
Connection = psycopg.Connection[TupleRow]

PARTITIONED = ("movement", "message")
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"
_NAME = re.compile(r"(?P<number>\d{4})_(?P<phase>pre|post)_[a-z0-9_]+\.sql")
_DAYS_A_MONTH_MAX = 31


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file; `name` is the file's, `number` its place in the order."""

    number: int
    phase: Phase
    name: str
    text: bytes

    @property
    def sha256(self) -> str:
        """The checksum the journal keeps."""
        return hashlib.sha256(self.text).hexdigest()


def migrations(folder: Traversable | None = None) -> list[Migration]:
    """Return the migrations of `folder` (ours by default) in order of number."""
    source = folder or files("stockbridge.store") / "migrations"
    found: dict[int, Migration] = {}
    for path in sorted(source.iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".sql"):
            continue
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise Misconfigured(f"migration {path.name}: name it NNNN_pre_what.sql or _post_")
        phase: Phase = "pre" if match["phase"] == "pre" else "post"
        migration = Migration(int(match["number"]), phase, path.name, path.read_bytes())
        other = found.setdefault(migration.number, migration)
        if other is not migration:
            raise Misconfigured(f"migrations {other.name} and {path.name} share a number")
    return list(found.values())


def to_apply(
    known: Sequence[Migration], journal: Sequence[tuple[int, str, str]]
) -> list[Migration]:
    """Return the migrations that `journal` (number, name, sha256) lacks.

    Raises Misconfigured when an applied file changed or is missing, or when a new one was
    numbered below an applied one.
    """
    files_by_number = {migration.number: migration for migration in known}
    for number, name, sha256 in journal:
        migration = files_by_number.pop(number, None)
        if migration is None or migration.name != name:
            raise Misconfigured(
                f"migration {name} was applied to this database and its file is missing: run the "
                "release that has it, or a newer one"
            )
        if migration.sha256 != sha256:
            raise Misconfigured(
                f"migration {name} changed after it was applied: restore the file, and put the "
                "change into a new migration"
            )
    newest = max((number for number, _, _ in journal), default=0)
    late = [migration.name for migration in files_by_number.values() if migration.number < newest]
    if late:
        raise Misconfigured(f"migration {late[0]} is numbered below {newest:04}: renumber it")
    return list(files_by_number.values())


def migrate(dsn: str, *, phase: Phase = "post", folder: Traversable | None = None) -> list[str]:
    """Apply what is pending, one transaction each; return the names applied.

    With `phase="pre"` it stops before the first `_post_` file. Many processes may call it at
    once: each migration is applied by one of them.
    """
    applied = []
    with _schema_lock(dsn) as connection:
        with connection.transaction():
            connection.execute(SQL.create_journal)
            connection.execute(SQL.comment_journal)
        for migration in to_apply(migrations(folder), _journal(connection)):
            if phase == "pre" and migration.phase == "post":
                break
            _apply(connection, migration)
            applied.append(migration.name)
    return applied


def pending(dsn: str, *, folder: Traversable | None = None) -> list[str]:
    """Return the names of the migrations not yet applied; changes nothing."""
    with _connected(dsn) as connection:
        found = connection.execute(SQL.find_journal).fetchone()
        journal = _journal(connection) if found and found[0] else []
    return [migration.name for migration in to_apply(migrations(folder), journal)]


def missing_partitions(
    dsn: str, *, months_ahead: int = 3, now: datetime | None = None
) -> list[str]:
    """Return the partitions `ensure_partitions` would make; changes nothing."""
    with _connected(dsn) as connection:
        return [
            str(row[0])
            for table in PARTITIONED
            for row in _missing(connection, table, months_ahead, now or datetime.now(UTC))
        ]


def ensure_partitions(dsn: str, *, months_ahead: int = 3, now: datetime | None = None) -> list[str]:
    """Make the monthly partitions (UTC) from `now` to `months_ahead`; return those made."""
    made = []
    with _schema_lock(dsn) as connection:
        for table in PARTITIONED:
            for row in _missing(connection, table, months_ahead, now or datetime.now(UTC)):
                _attach(connection, table, *row)
                made.append(str(row[0]))
    return made


def _missing(
    connection: Connection, table: str, months_ahead: int, now: datetime
) -> list[tuple[str, datetime, datetime]]:
    first = now.astimezone(UTC).replace(day=1)
    last = first
    for _ in range(months_ahead):
        last = (last + timedelta(days=_DAYS_A_MONTH_MAX)).replace(day=1)
    parameters = {"table": table, "first": first, "last": last}
    rows = connection.execute(SQL.missing_partitions, parameters).fetchall()
    return [(name, starts_at, ends_at) for name, starts_at, ends_at in rows]


def _attach(
    connection: Connection, table: str, name: str, starts_at: datetime, ends_at: datetime
) -> None:
    parameters = {"name": name, "table": table, "starts_at": starts_at, "ends_at": ends_at}
    try:
        with connection.transaction():
            _limit_waits(connection)
            row = connection.execute(SQL.partition_ddl, parameters).fetchone()
            if row is not None:
                connection.execute(row[0].encode())
    except psycopg.errors.CheckViolation as error:
        raise Misconfigured(
            f"{table}_default already holds rows of {starts_at:%Y-%m}, so {name} cannot be made: "
            f"move them out of {table}_default first (they came before the partition did)"
        ) from error
    except psycopg.errors.LockNotAvailable as error:
        raise Retry(f"partition {name}: {table} is locked by another session") from error


def _apply(connection: Connection, migration: Migration) -> None:
    began = time.monotonic()
    try:
        with connection.transaction():
            _limit_waits(connection)
            connection.execute(migration.text)
            record = {
                "number": migration.number,
                "name": migration.name,
                "sha256": migration.sha256,
                "seconds": round(time.monotonic() - began, 3),
            }
            connection.execute(SQL.write_journal, record)
    except psycopg.errors.LockNotAvailable as error:
        raise Retry(f"migration {migration.name}: a table is locked by another session") from error
    except psycopg.Error as error:
        raise Misconfigured(f"migration {migration.name} failed: {error}") from error


def _limit_waits(connection: Connection) -> None:
    limits = {"lock": LOCK_TIMEOUT, "statement": STATEMENT_TIMEOUT}
    connection.execute(SQL.limit_waits, limits)


def _journal(connection: Connection) -> list[tuple[int, str, str]]:
    rows = connection.execute(SQL.read_journal).fetchall()
    return [(number, name, sha256) for number, name, sha256 in rows]


@contextmanager
def _connected(dsn: str) -> Iterator[Connection]:
    try:
        connection = psycopg.connect(
            dsn, autocommit=True, application_name="stockbridge migrate", options="-c timezone=UTC"
        )
    except psycopg.OperationalError as error:
        raise unreachable(dsn, error) from error
    with connection:
        yield connection


@contextmanager
def _schema_lock(dsn: str) -> Iterator[Connection]:
    with _connected(dsn) as connection:
        connection.execute(SQL.lock_schema)
        yield connection
