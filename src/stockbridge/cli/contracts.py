"""Message contracts: list, show, check, publish, activate, deprecate, retire."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stockbridge.cli.options import DataDir, Dsn, migrated, settings_of

if TYPE_CHECKING:
    from stockbridge.governance.contracts import Connection, Status
    from stockbridge.kernel.errors import Refusal

contracts = typer.Typer(
    help="Message contracts: list, show, check, publish, activate, deprecate, retire.",
    no_args_is_help=True,
)
File = Annotated[
    Path, typer.Argument(help="JSON: {name, version, owner_team, schema}.", exists=True)
]
Contract = Annotated[str, typer.Argument(help="Its name and version: NAME.vN.")]


T = TypeVar("T")


class FirstStatus(StrEnum):
    """What a contract begins as."""

    DRAFT = "draft"
    ACTIVE = "active"


def work_on(work: "Callable[[Connection], Awaitable[T]]", dsn: str | None, data: Path | None) -> T:
    """Run `work` on a connection, the built-in contracts being in the registry."""
    from stockbridge.governance.contracts import sync_builtin
    from stockbridge.store.database import connect

    async def run(used: str) -> T:
        async with await connect(used) as conn:
            await sync_builtin(conn)
            return await work(conn)

    with migrated(settings_of(dsn=dsn, data_dir=data)) as used:
        return asyncio.run(run(used))


def raise_refusal(refusal: "Refusal | None") -> None:
    """Tell a refusal as the problem that it is; None is none."""
    from stockbridge.kernel.errors import Misconfigured

    if refusal is not None:
        more = [
            f"  {error.get('pointer') or error.get('field') or ''}: {error['detail']}"
            for error in refusal.errors
        ]
        raise Misconfigured("\n".join([refusal.detail, *more]))


def _split(contract: str) -> tuple[str, int]:
    from stockbridge.contracts.events import split
    from stockbridge.kernel.errors import Misconfigured

    named = split(contract)
    if named is None:
        raise Misconfigured(f"{contract}: give name and version, like com.example.parcel.left.v1")
    return named


def _document(path: Path) -> dict[str, Any]:
    import json

    from stockbridge.kernel.errors import Misconfigured

    try:
        found = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{path} is no JSON: {error}") from error
    wanted = {"name": str, "version": int, "schema": dict}
    for name, kind in wanted.items():
        if not isinstance(found, dict) or not isinstance(found.get(name), kind):
            raise Misconfigured(f"{path}: needs name (text), version (number), schema (object)")
    return dict(found)


@contracts.command("list")
def list_(dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """List the message contracts and where they are in life.

    Example: stockbridge contracts list
    """
    from rich.console import Console
    from rich.table import Table

    from stockbridge.governance.contracts import listed

    table = Table("contract", "status", "direction", "owner", "until", "says", box=None)
    for row in work_on(listed, dsn, data_dir):
        named = f"{row['name']}.v{row['version']}"
        until, says = row["sunset_on"] or "", row["description"]
        table.add_row(named, row["status"], row["direction"], row["owner_team"], until, says)
    Console(width=200, markup=False).print(table)


@contracts.command()
def show(contract: Contract, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Print a contract's JSON Schema.

    Example: stockbridge contracts show io.stockbridge.stock.shipped.v1
    """
    import json

    from stockbridge.governance.contracts import find
    from stockbridge.kernel.errors import Misconfigured

    name, version = _split(contract)
    row = work_on(lambda conn: find(conn, name, version), dsn, data_dir)
    if row is None:
        raise Misconfigured(f"no contract {contract}; see `stockbridge contracts list`")
    print(json.dumps(json.loads(row.schema), indent=2))


@contracts.command()
def check(
    file: File,
    against: Annotated[
        Path | None, typer.Option(help="Compare with this file, not with what is published.")
    ] = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Refuse a contract that is unsound, or that breaks users of its published version.

    Example: stockbridge contracts check parcel_left.json
    """
    import json

    from stockbridge.contracts.compatibility import breaks_readers, breaks_writers
    from stockbridge.governance.contracts import breaking, find, refused

    new = _document(file)
    name, version = new["name"], new["version"]
    raise_refusal(refused(name, new["schema"]))
    if against is not None:
        status, old, told = "the file", _document(against)["schema"], False
    else:
        row = work_on(lambda conn: find(conn, name, version), dsn, data_dir)
        if row is None:
            print(f"{name}.v{version} is sound, and not published yet")
            return
        status, old, told = row.status, json.loads(row.schema), row.direction == "told"
    changes = (breaks_readers if told else breaks_writers)(old, new["schema"])
    if changes and status != "draft":
        raise_refusal(breaking(name, version, changes))
    print(f"{name}.v{version} is sound, and compatible with what is there ({status})")


@contracts.command()
def publish(
    file: File,
    status: Annotated[FirstStatus, typer.Option(help="draft or active.")] = FirstStatus.ACTIVE,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Publish a contract from a file.

    Example: stockbridge contracts publish parcel_left.json
    """
    from stockbridge.governance import contracts as registry

    new = _document(file)

    async def work(conn: "Connection") -> "Refusal | None":
        return await registry.publish(
            conn, new["name"], new["version"], new["schema"],
            owner_team=str(new.get("owner_team", "operations")),
            description=str(new.get("description", "")), status=status.value, actor="cli",
        )  # fmt: skip

    raise_refusal(work_on(work, dsn, data_dir))
    print(f"{new['name']}.v{new['version']} is {status.value}")


def _move(
    contract: str, status: "Status", dsn: str | None, data: Path | None, until: str | None = None
) -> None:
    from datetime import date

    from stockbridge.governance import contracts as registry
    from stockbridge.kernel.errors import Misconfigured

    name, version = _split(contract)
    try:
        sunset_on = date.fromisoformat(until) if until else None
    except ValueError as error:
        raise Misconfigured(f"--sunset-on {until}: give a day like 2027-06-30") from error

    async def work(conn: "Connection") -> "Refusal | None":
        today = registry.today()
        return await registry.move(
            conn, name, version, status, actor="cli", today=today, sunset_on=sunset_on
        )

    raise_refusal(work_on(work, dsn, data))
    print(f"{contract} is {status}")


@contracts.command()
def activate(contract: Contract, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Publish a draft.

    Example: stockbridge contracts activate com.example.parcel.left.v1
    """
    _move(contract, "active", dsn, data_dir)


@contracts.command()
def deprecate(
    contract: Contract,
    sunset_on: Annotated[str, typer.Option(help="The last day it is read, like 2027-06-30.")],
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Announce a contract's end; its senders are told with every answer.

    Example: stockbridge contracts deprecate com.example.parcel.left.v1 --sunset-on 2027-06-30
    """
    _move(contract, "deprecated", dsn, data_dir, sunset_on)


@contracts.command()
def retire(contract: Contract, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """End a contract whose last day is over.

    Example: stockbridge contracts retire com.example.parcel.left.v1
    """
    _move(contract, "retired", dsn, data_dir)
