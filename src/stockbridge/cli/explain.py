"""Explaining a figure: each term, and the movements behind it."""

import asyncio
from typing import Annotated, Any

import typer

from stockbridge.cli.options import DataDir, Dsn, migrated, settings_of


def add_to(cli: typer.Typer) -> None:
    """Register the command."""
    cli.command()(explain)


def explain(
    sku: Annotated[str, typer.Argument(help="The item.")],
    channel: Annotated[str, typer.Option(help="The channel that asks.")],
    movements: Annotated[int, typer.Option(min=1, max=1000, help="Newest movements shown.")] = 5,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Show how an availability figure comes about, down to the ledger.

    Example: stockbridge explain AB-1 --channel web
    """
    from stockbridge.kernel.errors import Misconfigured, Refusal
    from stockbridge.store.database import connect
    from stockbridge.views.explain import explain as read

    async def work(used: str) -> dict[str, Any] | Refusal:
        async with await connect(used) as conn:
            return await read(conn, channel, sku, limit=movements)

    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        found = asyncio.run(work(used))
    if isinstance(found, Refusal):
        raise Misconfigured(found.detail)
    _show(found)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=160, markup=False)
    console.print(f"{found['sku']} on {found['channel']}: {found['available']} available")
    terms = Table("term", "location", "value", "total", "inputs", box=None)
    for term in found["terms"]:
        inputs = ", ".join(f"{name} {value}" for name, value in term["inputs"].items())
        terms.add_row(
            term["name"], term["location"] or "", f"{term['value']:+d}", str(term["total"]), inputs
        )
    console.print(terms)
    for place in found["stock"]:
        agrees = "agrees with the ledger" if place["agrees"] else "DIFFERS from the ledger"
        console.print(f"\n{place['sku']} at {place['location']}: balance {agrees}")
        moves = Table(
            "recorded", "kind", "from", "to", "units", "document", "correlation", box=None
        )
        for move in place["movements"]:
            document = move["document"]
            moves.add_row(
                f"{move['recorded_at']:%Y-%m-%d %H:%M:%S}",
                move["kind"],
                move["from"],
                move["to"],
                str(move["quantity"]),
                f"{document['type']} {document['number']} {document['line']}",
                move["correlation_id"],
            )
        console.print(moves)
