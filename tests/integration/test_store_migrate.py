"""Migrations: forward only, unchanged, once; partitions ahead of the clock."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.store import migrate as module
from stockbridge.store.migrate import (
    ensure_partitions,
    migrate,
    migrations,
    missing_partitions,
    pending,
)

FIRST = "CREATE TABLE first (id bigint);"
SECOND = "ALTER TABLE first ADD COLUMN name text; CREATE INDEX ON first (name);"


@pytest.fixture
def empty(server) -> Iterator[str]:
    """A database with nothing in it."""
    name = "migrate_empty"
    admin = make_conninfo(server.dsn, dbname="postgres")
    rows(admin, f"CREATE DATABASE {name}")
    yield make_conninfo(server.dsn, dbname=name)
    rows(admin, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "0001_pre_first.sql").write_text(FIRST)
    (tmp_path / "0002_post_second.sql").write_text(SECOND)
    (tmp_path / "README.md").write_text("not a migration")
    return tmp_path


def rows(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_pending_ones_are_applied_in_order_once(empty, folder):
    names = ["0001_pre_first.sql", "0002_post_second.sql"]
    assert pending(empty, folder=folder) == names
    assert migrate(empty, folder=folder) == names
    assert pending(empty, folder=folder) == []
    assert migrate(empty, folder=folder) == []
    journal = rows(empty, "SELECT number, name, length(sha256) FROM schema_migration ORDER BY 1")
    assert journal == [(1, names[0], 64), (2, names[1], 64)]


def test_the_pre_phase_stops_before_a_post_file(empty, folder):
    (folder / "0003_pre_third.sql").write_text("SELECT 1")
    assert migrate(empty, phase="pre", folder=folder) == ["0001_pre_first.sql"]
    assert migrate(empty, folder=folder) == ["0002_post_second.sql", "0003_pre_third.sql"]


@pytest.mark.parametrize(
    "change,message",
    [
        (
            lambda folder: (folder / "0001_pre_first.sql").write_text(FIRST + "\n"),
            r"0001_pre_first.sql changed after it was applied: restore the file",
        ),
        (
            lambda folder: (folder / "0001_pre_first.sql").unlink(),
            r"0001_pre_first.sql was applied to this database and its file is missing",
        ),
        (
            lambda folder: (folder / "0002_post_second.sql").rename(folder / "0002_pre_other.sql"),
            r"0002_post_second.sql was applied to this database and its file is missing",
        ),
        (
            lambda folder: (folder / "0000_pre_late.sql").write_text("SELECT 1"),
            r"0000_pre_late.sql is numbered below 0002: renumber it",
        ),
        (
            lambda folder: (folder / "0002_pre_twin.sql").write_text("SELECT 1"),
            r"0002_post_second.sql and 0002_pre_twin.sql share a number",
        ),
        (
            lambda folder: (folder / "3_third.sql").write_text("SELECT 1"),
            r"3_third.sql: name it NNNN_pre_what.sql or _post_",
        ),
    ],
)
def test_a_tampered_history_is_refused(empty, folder, change, message):
    migrate(empty, folder=folder)
    (folder / "0003_pre_new.sql").write_text("CREATE TABLE never (id bigint)")
    change(folder)
    for act in (migrate, pending):
        with pytest.raises(Misconfigured, match=message):
            act(empty, folder=folder)
    assert rows(empty, "SELECT to_regclass('never')") == [(None,)]


def test_a_failing_one_leaves_nothing_of_itself(empty, folder):
    broken = folder / "0003_pre_broken.sql"
    broken.write_text("CREATE TABLE half (id bigint); SELECT no_such_column FROM first;")
    with pytest.raises(Misconfigured, match=r"0003_pre_broken.sql failed: .*no_such_column"):
        migrate(empty, folder=folder)
    assert rows(empty, "SELECT to_regclass('half')") == [(None,)]
    assert pending(empty, folder=folder) == [broken.name]


def test_many_at_once_apply_each_once(empty, folder):
    (folder / "0003_pre_slow.sql").write_text("SELECT pg_sleep(0.2); CREATE TABLE slow (id bigint)")
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: migrate(empty, folder=folder), range(6)))
    assert sorted(map(len, answers)) == [0, 0, 0, 0, 0, 3]


def test_a_held_table_ends_in_retry_not_in_waiting(empty, folder, monkeypatch):
    migrate(empty, folder=folder)
    (folder / "0003_pre_more.sql").write_text("ALTER TABLE first ADD COLUMN more text")
    monkeypatch.setattr(module, "LOCK_TIMEOUT", "50ms")
    with psycopg.connect(empty) as holder:
        holder.execute("LOCK TABLE first")
        with pytest.raises(Retry, match=r"0003_pre_more.sql: a table is locked"):
            migrate(empty, folder=folder)
    assert migrate(empty, folder=folder) == ["0003_pre_more.sql"]


def test_ours_are_applied_to_the_template_and_own_their_tables(dsn):
    assert pending(dsn) == []
    assert migrations()[0].name == "0001_pre_spine.sql"
    owners = rows(
        dsn,
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition",
    )
    assert [name for name, comment in owners if ": " not in (comment or "")] == []


MOVEMENT = (
    "INSERT INTO movement SELECT 1, 1, 1, 1, 1, 1, 2, 5, '{at}', '{at}', 'd', 'n', '1', "
    "NULL, NULL, NULL, 'c', NULL RETURNING tableoid::regclass::text"
)


def test_partitions_are_made_ahead_and_used(dsn):
    now = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)
    months = ("2031_11", "2031_12", "2032_01")
    names = [f"movement_{month}" for month in months]
    every = [f"{table}_{month}" for table in module.PARTITIONED for month in months]
    assert missing_partitions(dsn, months_ahead=2, now=now) == every
    assert ensure_partitions(dsn, months_ahead=2, now=now) == every
    assert ensure_partitions(dsn, months_ahead=2, now=now) == []
    for at, partition in {
        "2031-11-30 23:59:59.999+00": names[0],
        "2031-12-01 00:00:00+00": names[1],
        "2032-01-31 23:00:00-02": "movement_default",
    }.items():
        assert rows(dsn, MOVEMENT.format(at=at)) == [(partition,)]


def test_a_filled_default_partition_is_named(dsn):
    assert rows(dsn, MOVEMENT.format(at="2031-11-05 00:00+00")) == [("movement_default",)]
    now = datetime(2031, 11, 1, tzinfo=UTC)
    with pytest.raises(Misconfigured, match=r"movement_default already holds rows of 2031-11"):
        ensure_partitions(dsn, now=now)
    assert rows(dsn, "SELECT to_regclass('movement_2031_11')") == [(None,)]


def test_partitions_made_by_many_at_once_are_made_once(dsn):
    now = datetime(2035, 1, 1, tzinfo=UTC)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: ensure_partitions(dsn, now=now), range(4)))
    assert sorted(map(len, answers)) == [0, 0, 0, 4 * len(module.PARTITIONED)]
