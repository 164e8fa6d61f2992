"""Moving data in and out."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stockbridge.cli.options import DataDir, Dsn, migrated, settings_of

if TYPE_CHECKING:
    from stockbridge.views.export import Filters


ledger = typer.Typer(help="The ledger: check it.", no_args_is_help=True)


@ledger.callback()
def ledger_commands() -> None:
    """Keep `verify` a command of its own while it is the only one."""


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("import")(import_)
    cli.command()(export)


def import_(
    kind: Annotated[
        str,
        typer.Argument(
            help="items, locations, uoms, aliases, channels, balances, safety_stock or orders."
        ),
    ],
    file: Annotated[Path, typer.Argument(help="CSV with a header row, or JSONL.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only.")] = False,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Where bad rows go, with reasons.")
    ] = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Import a file; good rows are kept, bad rows are written out with their reasons.

    Example: stockbridge import items items.csv --rejects bad.csv
    """
    settings = settings_of(dsn=dsn, data_dir=data_dir)
    bad_rows = rejects or file.with_name(f"{file.name}.rejects.csv")
    with migrated(settings) as used, _bar(f"import {kind}") as progress:
        report = asyncio.run(_import(used, kind, file, dry_run, bad_rows, progress))
    print(report)


async def _import(
    dsn: str,
    kind: str,
    file: Path,
    dry_run: bool,
    rejects: Path,
    progress: Callable[[int, int], None],
) -> str:
    from stockbridge.engine import Engine
    from stockbridge.ingress.imports import import_file

    engine = Engine(dsn)
    await engine.start()
    try:
        report = await import_file(
            dsn,
            kind,
            file,
            dry_run=dry_run,
            actor="cli",
            correlation_id=secrets.token_hex(16),
            rejects_path=rejects,
            progress=progress,
            submit=engine.submit,
        )
    finally:
        await engine.stop()
    rate = (report.rows_good + report.rows_bad) / max(report.seconds, 0.001)
    checked = " (dry run, nothing changed)" if dry_run else ""
    lines = f"{report.rows_good:,} rows good, {report.rows_bad:,} bad, {rate:,.0f} rows/s{checked}"
    if report.rejects_path is not None:
        lines += f"\nbad rows with reasons: {report.rejects_path}"
    return lines


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, fed with (done, total); total 0 = not known."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


class What(StrEnum):
    """What can be exported."""

    LEDGER = "ledger"
    BALANCES = "balances"
    AVAILABILITY = "availability"


class Format(StrEnum):
    """As which kind of file."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def export(
    what: Annotated[What, typer.Argument(help="ledger, balances or availability.")],
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    format: Annotated[Format, typer.Option(help="csv, jsonl or parquet.")] = Format.CSV,  # noqa: A002 - the option's name
    channel: Annotated[str | None, typer.Option(help="Whose availability.")] = None,
    sku: Annotated[str | None, typer.Option(help="Only this item.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Recorded from then on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Recorded before then, UTC.")] = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Write the ledger, the balances or a channel's availability to a file.

    Example: stockbridge export ledger ledger.parquet --format parquet
    """
    from stockbridge.views.export import Filters

    filters = Filters(sku, location, _utc(since), _utc(until), channel)
    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        rows = asyncio.run(_export(used, what.value, file, format.value, filters))
    print(f"{rows:,} rows written to {file}")


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)


async def _export(dsn: str, what: str, file: Path, kind: str, filters: "Filters") -> int:
    from stockbridge.store.database import open_pool
    from stockbridge.views.export import export as write
    from stockbridge.views.stock import StockView

    async with await open_pool(dsn, 1) as pool:
        # A view that is not started answers from the store.
        figures = StockView(dsn, pool).answer_many
        return await write(dsn, what, file, kind, filters, figures=figures)


@ledger.command()
def verify(
    anchor: Annotated[
        Path | None, typer.Option(help="A seal kept elsewhere that the chain must contain.")
    ] = None,
    write_anchor: Annotated[
        Path | None, typer.Option(help="Write the newest seal here, to be kept elsewhere.")
    ] = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Recompute balances from movements and check the hash chain; exit code 1 on a finding.

    Example: stockbridge ledger verify --write-anchor seal.json
    """
    from stockbridge.assurance.verify import verify as check

    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        report = check(used, anchor=anchor, write_anchor=write_anchor)
    print(report.text())
    if not report.ok:
        raise typer.Exit(1)
