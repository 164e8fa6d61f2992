"""Messages that came in: list, show, retry, replay, discard."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockbridge.cli.options import DataDir, Dsn, run, settings_of, utc

if TYPE_CHECKING:
    from stockbridge.contracts.catalog import Catalog
    from stockbridge.engine.inbox.replay import Difference

messages = typer.Typer(help="Messages that came in.", no_args_is_help=True)

Status = Annotated[
    str | None, typer.Option(help="received, applied, duplicate, parked, rejected or dead.")
]
System = Annotated[str | None, typer.Option(help="Who sent them.")]
Contract = Annotated[str | None, typer.Option(help="Contract with version.")]
Correlation = Annotated[str | None, typer.Option("--correlation-id", help="Correlation id.")]
From = Annotated[datetime | None, typer.Option("--from", help="Received then or later, UTC.")]
To = Annotated[datetime | None, typer.Option("--to", help="Received before then, UTC.")]
MessageId = Annotated[int, typer.Argument(help="The message's id.")]


def _run(work: Callable[[Any, "Catalog"], Awaitable[Any]], dsn: str | None, data_dir: Any) -> Any:
    """Do `work(conn, catalog)`; a refusal ends the command with its text."""
    from stockbridge.connectors.kit.registry import Registry
    from stockbridge.governance.live_catalog import read_catalog
    from stockbridge.store.database import connect

    settings = settings_of(dsn=dsn, data_dir=data_dir)

    async def connected(used: str) -> Any:
        connectors = Registry.of(settings.connectors_dir)
        async with await connect(used) as conn:
            return await work(conn, await read_catalog(conn, connectors))

    return run(settings, connected)


@messages.command("list")
def list_(
    status: Status = None,
    system: System = None,
    contract: Contract = None,
    correlation_id: Correlation = None,
    since: From = None,
    until: To = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most shown.")] = 50,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """List messages, newest first.

    Example: stockbridge messages list --status parked --system WMS
    """
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from stockbridge.engine.inbox.replay import SQL

    values = {
        "after": None, "limit": limit, "status": status, "system": system, "contract": contract,
        "correlation_id": correlation_id, "from": utc(since), "to": utc(until),
    }  # fmt: skip

    async def work(conn: Any, _catalog: Any) -> list[Any]:
        rows: list[Any] = await (await conn.execute(SQL.messages_page, values)).fetchall()
        return [msgspec.json.decode(row[1]) for row in rows]

    table = Table("id", "received", "system", "source id", "contract", "status", "why", box=None)
    for row in _run(work, dsn, data_dir):
        table.add_row(
            row["id"], row["received_at"][:19], row["system"], row["source_message_id"],
            row["contract"], row["status"], row["reason"] or "",
        )  # fmt: skip
    Console(width=200, markup=False).print(table)


@messages.command()
def show(message_id: MessageId, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Show a message from its bytes to its movements, as JSON.

    Example: stockbridge messages show 8192
    """
    import msgspec

    from stockbridge.engine.inbox.reading import message_document

    async def work(conn: Any, catalog: "Catalog") -> Any:
        return await message_document(conn, message_id, catalog.decode)

    document = _run(work, dsn, data_dir)
    print(msgspec.json.format(msgspec.json.encode(document)).decode())


@messages.command()
def retry(message_id: MessageId, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Apply a message again that was not applied; a running hub does it at once.

    Example: stockbridge messages retry 8192
    """
    from stockbridge.engine.inbox import replay as inbox

    async def work(conn: Any, _catalog: Any) -> Any:
        selection = inbox.Selection(ids=(message_id,))
        count = await inbox.replay(conn, selection, actor="cli")
        return count or await inbox.why_not(conn, message_id)

    _run(work, dsn, data_dir)
    print(f"message {message_id} is due again")


@messages.command()
def replay(
    message_id: Annotated[list[int] | None, typer.Argument(help="Ids of messages.")] = None,
    status: Status = None,
    system: System = None,
    contract: Contract = None,
    correlation_id: Correlation = None,
    since: From = None,
    until: To = None,
    force: Annotated[bool, typer.Option("--force", help="Applied ones too.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would book; keep nothing.")
    ] = False,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Apply messages again; what was booked before moves nothing.

    Example: stockbridge messages replay --status rejected --system WMS --dry-run
    """
    from stockbridge.engine.inbox import replay as inbox
    from stockbridge.kernel.errors import Misconfigured

    if status is not None and status not in (*inbox.UNSETTLED, *inbox.SETTLED):
        raise Misconfigured(f"--status {status}: give applied, duplicate, parked, rejected or dead")
    selection = inbox.Selection(
        tuple(message_id) if message_id else None,
        status, system, contract, correlation_id, utc(since), utc(until), force,
    )  # fmt: skip

    async def work(conn: Any, catalog: "Catalog") -> Any:
        if dry_run:
            return await inbox.dry_run(conn, catalog.decode, selection)
        return await inbox.replay(conn, selection, actor="cli")

    found = _run(work, dsn, data_dir)
    if dry_run:
        _show(found)
    else:
        print(f"{found} messages are due again")


def _show(found: "Difference") -> None:
    from rich.console import Console
    from rich.table import Table

    outcomes = ", ".join(f"{count} {status}" for status, count in sorted(found.outcomes.items()))
    more = "" if found.is_complete else " (the first; there are more)"
    print(f"{found.messages} messages{more}: {outcomes or 'none'}")
    table = Table("message", "kind", "sku", "location", "from", "to", "units", "document", box=None)
    for move in found.movements:
        document = move["document"]
        table.add_row(
            move["message_id"], move["kind"], move["sku"], move["location"], move["from"],
            move["to"], str(move["quantity"]),
            f"{document['type']} {document['number']} {document['line']}",
        )  # fmt: skip
    if found.movements:
        Console(width=200, markup=False).print(table)
    print(f"{len(found.movements)} movements would be booked; nothing was kept")


@messages.command()
def discard(
    message_id: MessageId,
    reason: Annotated[str, typer.Option(help="Why it will not be applied.")],
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Give a message up; its bytes stay.

    Example: stockbridge messages discard 8192 --reason "sent by mistake"
    """
    from stockbridge.engine.inbox import replay as inbox

    async def work(conn: Any, _catalog: Any) -> Any:
        return await inbox.discard(conn, message_id, reason, actor="cli")

    _run(work, dsn, data_dir)
    print(f"message {message_id} is discarded")
