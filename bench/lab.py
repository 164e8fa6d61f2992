"""The bench's own server: embedded, with the product's settings, and a database for each case."""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from bench.machine import tree_cpu_seconds
from stockbridge.contracts.masters import PutChannel, PutLocation
from stockbridge.engine import Command, Engine
from stockbridge.store.embedded import EmbeddedServer
from stockbridge.store.migrate import ensure_partitions, migrate
from stockbridge.store.sql import load

SQL = load(__package__)
Scale = Literal["small", "full"]
T = TypeVar("T")

LOCATIONS = ("NORTH", "SOUTH", "WEST")
CHANNEL = "web"
ITEMS = 10_000
"""Items of the cases that are not about the size of the catalogue."""
_STATED = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_compression",
    "shared_buffers", "max_wal_size", "checkpoint_timeout", "max_connections",
)  # fmt: skip


@dataclass
class Lab:
    """What a case runs in; `seconds` is how long one measurement lasts."""

    server: EmbeddedServer
    folder: Path
    seconds: float
    scale: Scale
    held: ExitStack
    _kept: dict[str, Any] = field(default_factory=dict)

    def sized(self, small: int, full: int) -> int:
        """The number that fits the scale."""
        return full if self.scale == "full" else small

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """The connection string of a migrated database, dropped at the end."""
        dsn = make_conninfo(self.server.dsn, dbname=name)
        with psycopg.connect(self.server.dsn, autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        try:
            migrate(dsn)
            ensure_partitions(dsn)
            yield dsn
        finally:
            with psycopg.connect(self.server.dsn, autocommit=True) as conn:
                conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    @contextmanager
    def stocked(self, name: str, items: int = ITEMS) -> Iterator[str]:
        """A database with `items` items, SKU `S<number>`, plenty of each at every location."""
        with self.database(name) as dsn:
            stock(dsn, items)
            yield dsn

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` returns, made at the first call: for what several cases share."""
        if name not in self._kept:
            self._kept[name] = make()
        kept: T = self._kept[name]
        return kept

    def database_cpu_seconds(self) -> float | None:
        """CPU time that PostgreSQL has used so far."""
        return tree_cpu_seconds(self.server.pid)

    def settings(self) -> dict[str, str]:
        """The PostgreSQL settings that bear on the figures."""
        with psycopg.connect(self.server.dsn) as conn:
            return dict(conn.execute(SQL.stated_settings, {"names": list(_STATED)}).fetchall())


@contextmanager
def open_lab(parent: Path | None, seconds: float, scale: Scale) -> Iterator[Lab]:
    """Start the server in a new folder under `parent`, /tmp if None; both are gone at the end."""
    # A short path: a socket's path has about a hundred bytes at most.
    base = str(parent) if parent is not None else "/tmp"  # noqa: S108 - mkdtemp keeps it private
    with (
        tempfile.TemporaryDirectory(prefix="sb-bench-", dir=base) as made,
        EmbeddedServer.start(Path(made)) as server,
        ExitStack() as held,
    ):
        folder = Path(made) / "bench"
        folder.mkdir()
        yield Lab(server, folder, seconds, scale, held)


def say(text: str) -> None:
    """Tell people what is going on; the report itself goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def stock(dsn: str, items: int) -> None:
    """Make locations, a channel that draws on all of them, and `items` well-stocked items."""
    asyncio.run(make_places(dsn))
    with psycopg.connect(dsn) as conn:
        for statement in (SQL.add_items, SQL.add_locks, SQL.add_balances, SQL.bump_epoch):
            conn.execute(statement, {"items": items})
    settle(dsn)


async def make_places(dsn: str) -> None:
    """Make the locations and the channel through the engine."""
    engine = Engine(dsn)
    await engine.start()
    try:
        bodies = [*map(PutLocation, LOCATIONS), PutChannel(CHANNEL, sources=list(LOCATIONS))]
        for body in bodies:
            outcome = await engine.submit(Command(body))
            if outcome.status >= 400:
                msg = f"{body} was refused: {outcome.body.decode()}"
                raise RuntimeError(msg)
    finally:
        await engine.stop()


def settle(dsn: str) -> None:
    """Bring the database to rest, so that no case pays for what the one before left to do."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(SQL.vacuum)
        conn.execute(SQL.checkpoint)
