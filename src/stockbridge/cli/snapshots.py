"""Partners' stock reports: load one from a file, show what became of one."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockbridge.cli.options import DataDir, Dsn, migrated, settings_of

if TYPE_CHECKING:
    from stockbridge.domain.snapshots.model import Format, Head, Meaning

snapshots = typer.Typer(help="Partners' stock reports.", no_args_is_help=True)
_BLOCK_BYTES = 1024 * 1024


class MeaningOption(StrEnum):
    """What the reported available figure means."""

    AVAILABLE = "available"
    ON_HAND = "on_hand"
    NET = "available_net_of_promises"


@snapshots.command()
def load(
    file: Annotated[Path, typer.Argument(help="CSV, NDJSON or JSON.", exists=True, dir_okay=False)],
    system: Annotated[str, typer.Option(help="Whose report it is.")],
    cutoff: Annotated[datetime, typer.Option(help="The moment it tells of, UTC.")],
    number: Annotated[str | None, typer.Option(help="Its number; the file's name if none.")] = None,
    sequence: Annotated[int | None, typer.Option(help="The system's own numbering.")] = None,
    authoritative: Annotated[
        bool, typer.Option("--authoritative", help="Differences become counts.")
    ] = False,
    meaning: Annotated[
        MeaningOption, typer.Option(help="What its figures mean.")
    ] = MeaningOption.AVAILABLE,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Load a report and compare it with the ledger.

    Example: stockbridge snapshots load wms.csv --system WMS --cutoff 2026-01-31T22:00:00
    """
    from stockbridge.domain.snapshots.model import Head

    forms: dict[str, Format] = {".csv": "csv", ".json": "json"}
    wanted: Meaning = meaning.value
    head = Head(
        system=system,
        number=number or file.name,
        cutoff_at=cutoff.replace(tzinfo=UTC),
        sequence=sequence,
        meaning=wanted,
        is_authoritative=authoritative,
        format=forms.get(file.suffix, "ndjson"),
        principal="cli",
        correlation_id=secrets.token_hex(16),
    )
    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        print(_told(asyncio.run(_load(used, file, head))))


async def _load(dsn: str, file: Path, head: "Head") -> dict[str, Any]:
    from stockbridge.domain.snapshots.intake import take_in
    from stockbridge.domain.snapshots.work import work_on
    from stockbridge.engine import Engine
    from stockbridge.kernel.errors import Misconfigured, Refusal
    from stockbridge.store.database import open_pool

    engine = Engine(dsn)
    await engine.start()
    try:
        async with await open_pool(dsn, 1) as pool:
            taken = await take_in(pool, head, _blocks(file))
        if isinstance(taken, Refusal):
            raise Misconfigured(f"{file}: {taken.detail}")
        await work_on(dsn, engine.submit, taken.snapshot_id)
    finally:
        await engine.stop()
    return await _document(dsn, taken.snapshot_id)


async def _blocks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


@snapshots.command()
def show(
    snapshot: Annotated[int, typer.Argument(help="Its id.")],
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Show what a report said and what became of it.

    Example: stockbridge snapshots show 7
    """
    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        print(_told(asyncio.run(_document(used, snapshot))))


async def _document(dsn: str, snapshot_id: int) -> dict[str, Any]:
    from stockbridge.kernel.errors import Misconfigured
    from stockbridge.store.database import connect
    from stockbridge.store.sql import load as statements

    sql = statements("stockbridge.domain.snapshots")
    async with await connect(dsn) as conn:
        values = {"snapshot_id": snapshot_id}
        row = await (await conn.execute(sql.snapshot_document, values)).fetchone()
    if row is None:
        raise Misconfigured(f"there is no snapshot {snapshot_id}; GET /v1/snapshots lists them")
    document: dict[str, Any] = row[0]
    return document


def _told(found: dict[str, Any]) -> str:
    """The report in a few lines."""
    lines = [
        (
            f"snapshot {found['snapshot']}: {found['system']} {found['number']}, "
            f"cut-off {found['cutoff_at']}, {found['state']}"
        ),
        f"{found['rows']:,} rows, {found['rows_unchanged']:,} unchanged",
    ]
    lines += [f"  {rows:,} {outcome}" for outcome, rows in sorted(found["outcomes"].items())]
    lines += [
        (
            f"{place['location']}: {place['state']}, {place['rows_drift']:,} rows and "
            f"{place['units_drift']:,} units differ"
        )
        for place in found["locations"]
    ]
    return "\n".join([*lines, *([found["detail"]] if found["detail"] else [])])
