"""Options that many commands share, and the settings and database they name."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
