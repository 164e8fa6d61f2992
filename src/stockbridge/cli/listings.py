"""Listings: what channels shall show, were told and show; list items, try again, read, end."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockbridge.cli.options import DataDir, Dsn, on_database, settings_of

if TYPE_CHECKING:
    from stockbridge.outbox.listings.making import Entry, Listed, Selection

listings = typer.Typer(help="What channels show of items.", no_args_is_help=True)

Channel = Annotated[str | None, typer.Option(help="Of this channel.")]
System = Annotated[str | None, typer.Option(help="Of this system.")]
Sku = Annotated[str | None, typer.Option(help="Of this item.")]
State = Annotated[
    str | None,
    typer.Option(help="new, ok, dirty, sending, unknown, accepted, failed or suspended."),
]
_CHUNK = 10_000
_COLUMNS = ("sku", "item", "location")


def _chosen(
    channel: str | None, system: str | None, sku: str | None, state: str | None
) -> "Selection":
    from stockbridge.kernel.errors import Misconfigured
    from stockbridge.outbox.listings.making import Selection

    if (channel, system, sku, state) == (None, None, None, None):
        raise Misconfigured("name at least one of --channel, --system, --sku, --state")
    return Selection(None, channel, system, sku, state)


@listings.command("list")
def list_(
    channel: Channel = None,
    system: System = None,
    sku: Sku = None,
    state: State = None,
    stale: Annotated[bool, typer.Option("--stale", help="Wrong longer than allowed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most shown.")] = 50,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Show listings: what each shall show, is believed to show, and why not yet.

    Example: stockbridge listings list --channel web --stale
    """
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from stockbridge.outbox.listings.making import SQL

    values = {
        "after": None, "id": None, "channels": None, "channel": channel, "system": system,
        "sku": sku, "state": state, "stale": True if stale else None, "limit": limit,
    }  # fmt: skip

    async def work(conn: Any) -> list[Any]:
        rows = await (await conn.execute(SQL.listings_page, values)).fetchall()
        return [msgspec.json.decode(row[1]) for row in rows]

    table = Table(
        "id", "channel", "sku", "location", "state", "desired", "unheard", "shown", "since", "why",
        box=None,
    )  # fmt: skip
    for row in on_database(work, dsn, data_dir):
        table.add_row(
            row["id"], row["channel"], row["sku"], row["location"] or "", row["state"],
            _text(row["desired"]), str(row["unheard"]), _text(row["published"]),
            (row["waiting_since"] or "")[:19], f"{row['code']} {row['detail']}".strip(),
        )  # fmt: skip
    Console(width=200, markup=False).print(table)


def _text(figure: int | None) -> str:
    return "?" if figure is None else str(figure)


@listings.command()
def add(
    channel: Annotated[str, typer.Argument(help="The channel to list on.")],
    sku: Annotated[list[str] | None, typer.Option(help="An item. Repeat it.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that the channel's system has a name for.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option(help="CSV: sku, item (their id), location (ours); others are attributes."),
    ] = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """List items on a channel; what its partner shows of them follows the stock from then on.

    Example: stockbridge listings add web --all
    """
    from stockbridge.connectors.kit.registry import Registry
    from stockbridge.kernel.errors import Misconfigured, Refusal
    from stockbridge.outbox.listings import making

    if (bool(sku), everything, file is not None).count(True) != 1:
        raise Misconfigured("give either --sku, --all or --file")

    connectors = Registry.of(settings_of(dsn=dsn, data_dir=data_dir).connectors_dir)

    async def work(conn: Any) -> "Listed | Refusal":
        if file is None:
            return await making.add(conn, connectors, channel, sku or None, actor="cli")
        added, unlisted = 0, []
        for entries in _entries(file):
            listed = await making.add_entries(conn, connectors, channel, entries, actor="cli")
            if isinstance(listed, Refusal):
                return listed
            added += listed.added
            unlisted += listed.unlisted
        return making.Listed(added, unlisted)

    listed = on_database(work, dsn, data_dir)
    print(f"{listed.added} listings made")
    if listed.unlisted:
        print(f"not listed, unknown or without a name there: {', '.join(listed.unlisted)}")


def _entries(file: Path) -> Iterator[list["Entry"]]:
    from stockbridge.kernel.errors import Misconfigured
    from stockbridge.outbox.listings.making import Entry

    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        if not {"sku", "item"} <= set(rows.fieldnames or ()):
            raise Misconfigured(f"{file}: the first row names the columns; sku and item are needed")
        entries: list[Entry] = []
        for row in rows:
            more = {n: v for n, v in row.items() if n not in _COLUMNS and n and v}
            place = row.get("location") or ""
            entries.append(Entry(row["sku"] or "", row["item"] or "", place, more))
            if len(entries) == _CHUNK:
                yield entries
                entries = []
        yield entries


@listings.command()
def retry(
    channel: Channel = None,
    system: System = None,
    sku: Sku = None,
    state: State = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Try at once what failed, or waits for a later try.

    Example: stockbridge listings retry --system shop --state failed
    """
    from stockbridge.outbox.listings import making

    chosen = _chosen(channel, system, sku, state)

    async def work(conn: Any) -> int:
        return await making.retry(conn, chosen, actor="cli")

    print(f"{on_database(work, dsn, data_dir)} listings are due again")


@listings.command()
def verify(
    channel: Channel = None,
    system: System = None,
    sku: Sku = None,
    state: State = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Read back what seems right; what differs is corrected.

    Example: stockbridge listings verify --channel web
    """
    from stockbridge.outbox.listings import making

    chosen = _chosen(channel, system, sku, state)

    async def work(conn: Any) -> int:
        return await making.verify(conn, chosen, actor="cli")

    print(f"{on_database(work, dsn, data_dir)} listings are read back")


@listings.command()
def end(
    channel: Channel = None,
    system: System = None,
    sku: Sku = None,
    state: State = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Leave the figures; else they go to zero first.")
    ] = False,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """End listings: they follow the stock no more.

    Example: stockbridge listings end --channel web --sku AB-1
    """
    from stockbridge.outbox.listings import making

    chosen = _chosen(channel, system, sku, state)

    async def work(conn: Any) -> int:
        return await making.end(conn, chosen, to_zero=not as_is, actor="cli")

    print(f"{on_database(work, dsn, data_dir)} listings end")
