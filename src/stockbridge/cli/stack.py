"""Running the hub: up, serve, migrate, doctor, demo, replay."""

import asyncio
import sys
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockbridge.cli.options import DataDir, Dsn, Host, Port, database, settings_of

if TYPE_CHECKING:
    from stockbridge.app import App
    from stockbridge.kernel.settings import Settings


class RoleName(StrEnum):
    """What a process does."""

    API = "api"
    WORKER = "worker"
    ALL = "all"


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    for function in (up, serve, migrate, doctor, demo, replay):
        cli.command()(function)


def run_async(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on the fastest event loop there is."""
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def up(data_dir: DataDir = None, port: Port = None, host: Host = None, dsn: Dsn = None) -> None:
    """Start database, API, workers and pages in one process.

    Example: stockbridge up --port 8080 --data-dir ./data
    """
    from stockbridge.app import first_key, run
    from stockbridge.ingress.server import listen
    from stockbridge.store.embedded import EmbeddedServer
    from stockbridge.store.migrate import ensure_partitions
    from stockbridge.store.migrate import migrate as apply

    settings = settings_of(data_dir=data_dir, port=port, host=host, dsn=dsn)
    # A taken port is told before a database is started for nothing.
    listen(settings.host, settings.port).close()
    server = None if settings.dsn else EmbeddedServer.start(settings.data_dir)
    try:
        used = settings.dsn or (server.dsn if server else "")
        apply(used)
        ensure_partitions(used)
        token = asyncio.run(first_key(used))
        run_async(run(settings, "all", used, lambda app: _announce(app, settings, token)))
    finally:
        if server is not None:
            server.stop()


def _announce(app: "App", settings: "Settings", token: str | None) -> None:
    print(f"Stockbridge is up: {app.url} (API reference: {app.url}/docs)")
    if settings.dsn is None:
        print(f"Data directory: {settings.data_dir}")
    if token is not None:
        print(f"Administrator key, shown this once: {token}")
    print("Stop with Ctrl-C.", flush=True)


def serve(
    role: Annotated[RoleName, typer.Option(help="api, worker, or all.")] = RoleName.ALL,
    dsn: Dsn = None,
    port: Port = None,
    host: Host = None,
    data_dir: DataDir = None,
) -> None:
    """Run one process of an installation against its PostgreSQL.

    Example: STOCKBRIDGE_DSN=postgresql://hub@db/stockbridge stockbridge serve --role api
    """
    from stockbridge.app import run

    settings = settings_of(data_dir=data_dir, port=port, host=host, dsn=dsn)

    def announce(app: "App") -> None:
        print(f"Stockbridge {role.value} is running {app.url}".rstrip(), flush=True)

    with database(settings) as used:
        run_async(run(settings, role.value, used, announce))


def migrate(dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Bring the database's schema up to date.

    Example: stockbridge migrate --dsn postgresql://hub@db/stockbridge
    """
    from stockbridge.store.migrate import ensure_partitions
    from stockbridge.store.migrate import migrate as apply

    with database(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        applied = apply(used)
        made = ensure_partitions(used)
    for name in [*applied, *made]:
        print(name)
    print(f"{len(applied)} migrations applied, {len(made)} partitions made")


def doctor(dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Check every setting, dependency and connection, and say what to do.

    Example: stockbridge doctor
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from stockbridge.store.doctor import diagnose

    checks = diagnose(settings_of(dsn=dsn, data_dir=data_dir))
    table = Table("check", "state", "found", "what to do", box=None)
    colour = {"ok": "green", "warn": "yellow", "fail": "red"}
    for check in checks:
        state = Text(check.status, style=colour[check.status])
        table.add_row(check.name, state, check.detail, check.fix)
    Console(width=None if sys.stdout.isatty() else 200, markup=False).print(table)
    failed = sum(check.status == "fail" for check in checks)
    if failed:
        raise typer.Exit(1)


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Run to the end, print the summary, exit.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin with an empty database.")] = False,
    data_dir: DataDir = None,
    port: Port = None,
    dsn: Dsn = None,
) -> None:
    """Replay real orders through the hub and watch.

    Example: stockbridge demo --headless
    """
    from stockbridge.demo import run

    settings = settings_of(data_dir=data_dir, port=port, dsn=dsn)
    raise typer.Exit(run(settings, headless=headless, source=None, fresh=fresh))


def replay(
    file: Annotated[Path, typer.Argument(help="Order lines, parquet or CSV.")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin with an empty database.")] = False,
    data_dir: DataDir = None,
    dsn: Dsn = None,
) -> None:
    """Replay a file of real order lines and check the books.

    Example: stockbridge replay online_retail.parquet
    """
    from stockbridge.demo import run

    settings = settings_of(data_dir=data_dir, dsn=dsn)
    raise typer.Exit(run(settings, headless=True, source=file, fresh=fresh))
