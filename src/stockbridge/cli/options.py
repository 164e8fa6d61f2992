"""Options that many commands share, and the settings and database they name."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stockbridge.kernel.settings import Settings

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where the embedded database lives.")
]
Dsn = Annotated[
    str | None, typer.Option("--dsn", help="PostgreSQL to use instead of the embedded one.")
]
Port = Annotated[int | None, typer.Option("--port", help="Port to listen on.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]


def settings_of(**flags: object) -> "Settings":
    """The settings, flags first; a flag that is None was not given."""
    from stockbridge.kernel.settings import load_settings

    return load_settings(flags)


@contextlib.contextmanager
def database(settings: "Settings") -> Iterator[str]:
    """The database of the settings: the named one, the running `up`'s, or one started for now."""
    from stockbridge.store.embedded import EmbeddedServer, running_dsn

    dsn = settings.dsn or running_dsn(settings.data_dir)
    if dsn is not None:
        yield dsn
        return
    with EmbeddedServer.start(settings.data_dir) as server:
        yield server.dsn


@contextlib.contextmanager
def migrated(settings: "Settings") -> Iterator[str]:
    """The same, with an embedded database brought up to date; a named one is left alone."""
    from stockbridge.store.migrate import ensure_partitions, migrate

    with database(settings) as dsn:
        if settings.dsn is None:
            migrate(dsn)
            ensure_partitions(dsn)
        yield dsn


def run(settings: "Settings", work: Callable[[str], Awaitable[Any]]) -> Any:
    """Do `work(dsn)` on the migrated database; a refusal ends the command with its text."""
    from stockbridge.kernel.errors import Misconfigured, Refusal

    with migrated(settings) as dsn:
        found = asyncio.run(_awaited(work(dsn)))
    if isinstance(found, Refusal):
        raise Misconfigured(found.detail)
    return found


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def on_database(
    work: Callable[[Any], Awaitable[Any]], dsn: str | None, data_dir: Path | None
) -> Any:
    """Do `work(conn)`; a refusal ends the command with its text."""
    from stockbridge.store.database import connect

    async def connected(used: str) -> Any:
        async with await connect(used) as conn:
            return await work(conn)

    return run(settings_of(dsn=dsn, data_dir=data_dir), connected)


def utc(moment: datetime | None) -> datetime | None:
    """A moment as it is typed, without an offset: UTC."""
    return None if moment is None else moment.replace(tzinfo=UTC)
