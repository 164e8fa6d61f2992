"""A real PostgreSQL for every test that asks: one server a worker, one database a test."""

import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from stockbridge.store.database import Pool, open_pool
from stockbridge.store.embedded import EmbeddedServer
from stockbridge.store.migrate import ensure_partitions, migrate

# Only ever for this throw-away server: a lost power supply may lose its data.
THROW_AWAY = {"fsync": "off", "shared_buffers": "64MB", "max_wal_size": "512MB"}


@contextmanager
def new_data_dir() -> Iterator[Path]:
    """A folder with a short path that an unprivileged server can reach; removed at the end."""
    data_dir = Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp"))
    try:
        yield data_dir
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory for a test that starts servers of its own."""
    with new_data_dir() as path:
        yield path


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """One embedded server for this test process."""
    with new_data_dir() as path, EmbeddedServer.start(path, settings=THROW_AWAY) as running:
        yield running


@pytest.fixture(scope="session")
def template(server: EmbeddedServer) -> str:
    """The name of a migrated database that tests copy; nobody connects to it."""
    name = "stockbridge_template"
    _admin(server, SQL("CREATE DATABASE {}").format(Identifier(name)).as_string())
    dsn = make_conninfo(server.dsn, dbname=name)
    migrate(dsn)
    ensure_partitions(dsn)
    return name


@pytest.fixture
def dsn(server: EmbeddedServer, template: str) -> Iterator[str]:
    """The connection string of a migrated database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    # Copying files takes a quarter of the time of copying them through the log.
    copy = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
        Identifier(name), Identifier(template)
    )
    _admin(server, copy.as_string())
    yield make_conninfo(server.dsn, dbname=name)
    drop = SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name))
    _admin(server, drop.as_string())


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """Four connections to this test's database."""
    opened = await open_pool(dsn, 4)
    yield opened
    await opened.close()


def _admin(server: EmbeddedServer, statement: str) -> None:
    with psycopg.connect(server.dsn, dbname="postgres", autocommit=True) as connection:
        connection.execute(statement.encode())
