"""What is owed to partners: list, show, retry, discard."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockbridge.cli.options import DataDir, Dsn, on_database, utc

if TYPE_CHECKING:
    from stockbridge.outbox.operating import Selection

deliveries = typer.Typer(help="What is owed to partners.", no_args_is_help=True)

_STATES = ("waiting", "sending", "accepted", "confirmed", "rejected", "dead", "cancelled")
System = Annotated[str | None, typer.Option(help="To whom.")]
State = Annotated[
    str | None,
    typer.Option(help="waiting, sending, accepted, confirmed, rejected, dead or cancelled."),
]
Operation = Annotated[str | None, typer.Option(help="Such as confirm_shipment.")]
Object = Annotated[str | None, typer.Option("--object", help="What it is about: order/NUMBER.")]
Correlation = Annotated[str | None, typer.Option("--correlation-id", help="Correlation id.")]
From = Annotated[datetime | None, typer.Option("--from", help="Owed then or later, UTC.")]
To = Annotated[datetime | None, typer.Option("--to", help="Owed before then, UTC.")]
DeliveryId = Annotated[int, typer.Argument(help="The delivery's id.")]
DeliveryIds = Annotated[list[int] | None, typer.Argument(help="Ids of deliveries.")]


def _known(state: str | None) -> Any:
    from stockbridge.kernel.errors import Misconfigured

    if state is not None and state not in _STATES:
        raise Misconfigured(f"--state {state}: give {', '.join(_STATES)}")
    return state


@deliveries.command("list")
def list_(
    system: System = None,
    state: State = None,
    operation: Operation = None,
    object_key: Object = None,
    correlation_id: Correlation = None,
    since: From = None,
    until: To = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most shown.")] = 50,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """List deliveries, newest first.

    Example: stockbridge deliveries list --system SHOP --state dead
    """
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from stockbridge.outbox.operating import SQL

    values = {
        "after": None, "limit": limit, "system": system, "state": _known(state),
        "operation": operation, "object": object_key, "correlation_id": correlation_id,
        "from": utc(since), "to": utc(until),
    }  # fmt: skip

    async def work(conn: Any) -> list[Any]:
        rows: list[Any] = await (await conn.execute(SQL.deliveries_page, values)).fetchall()
        return [msgspec.json.decode(row[1]) for row in rows]

    table = Table("id", "owed", "system", "operation", "object", "state", "tries", "why", box=None)
    for row in on_database(work, dsn, data_dir):
        table.add_row(
            row["id"], row["created_at"][:19], row["system"], row["operation"], row["object"],
            row["state"], str(row["attempts"]), f"{row['code']} {row['detail']}".strip(),
        )  # fmt: skip
    Console(width=200, markup=False).print(table)


@deliveries.command()
def show(delivery_id: DeliveryId, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Show a delivery with its attempts, as JSON.

    Example: stockbridge deliveries show 12
    """
    import msgspec

    from stockbridge.outbox.operating import SQL, unknown_delivery

    async def work(conn: Any) -> Any:
        values = {"delivery_id": delivery_id}
        row = await (await conn.execute(SQL.delivery_document, values)).fetchone()
        return row[0] if row else unknown_delivery(str(delivery_id))

    print(msgspec.json.format(on_database(work, dsn, data_dir)))


@deliveries.command()
def retry(
    delivery_id: DeliveryIds = None,
    system: System = None,
    state: State = None,
    operation: Operation = None,
    object_key: Object = None,
    resend: Annotated[
        bool, typer.Option("--resend", help="Somebody looked at the partner: it is not done.")
    ] = False,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Try deliveries at once: the named ones, or all that match, else the failed ones of them.

    Example: stockbridge deliveries retry --system SHOP --state dead
    """
    from stockbridge.outbox import operating

    selection = _selection(delivery_id, system, state, operation, object_key)

    async def work(conn: Any) -> Any:
        count = await operating.retry(conn, selection, resend=resend, actor="cli")
        return await _none_of(conn, delivery_id) if count == 0 and delivery_id else count

    print(f"{on_database(work, dsn, data_dir)} deliveries are due now")


@deliveries.command()
def discard(
    reason: Annotated[str, typer.Option(help="Why they will not be made.")],
    delivery_id: DeliveryIds = None,
    system: System = None,
    state: State = None,
    operation: Operation = None,
    object_key: Object = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Give deliveries up: the named ones, or all that match, else the failed ones of them.

    Example: stockbridge deliveries discard 12 --reason "done by hand"
    """
    from stockbridge.outbox import operating

    selection = _selection(delivery_id, system, state, operation, object_key)

    async def work(conn: Any) -> Any:
        count = await operating.discard(conn, selection, reason, actor="cli")
        return await _none_of(conn, delivery_id) if count == 0 and delivery_id else count

    print(f"{on_database(work, dsn, data_dir)} deliveries are discarded")


async def _none_of(conn: Any, delivery_ids: list[int]) -> Any:
    from stockbridge.outbox import operating

    return await operating.why_not(conn, delivery_ids[0])


def _selection(
    delivery_ids: list[int] | None,
    system: str | None,
    state: str | None,
    operation: str | None,
    object_key: str | None,
) -> "Selection":
    from stockbridge.outbox.operating import Selection

    ids = tuple(delivery_ids) if delivery_ids else None
    return Selection(ids, _known(state), system, operation, object_key)
