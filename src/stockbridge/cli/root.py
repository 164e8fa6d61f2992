"""All commands in one place."""

import typer

from stockbridge.cli import (
    access,
    connectors,
    contracts,
    data,
    deliveries,
    edi,
    explain,
    listings,
    messages,
    snapshots,
    stack,
    systems,
    users,
)

cli = typer.Typer(
    name="stockbridge",
    help="Stockbridge, the inventory hub. Start with: stockbridge up",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
stack.add_to(cli)
data.add_to(cli)
explain.add_to(cli)
cli.add_typer(access.keys, name="keys")
cli.add_typer(contracts.contracts, name="contracts")
cli.add_typer(connectors.connectors, name="connectors")
cli.add_typer(edi.edi, name="edi")
cli.add_typer(data.ledger, name="ledger")
cli.add_typer(listings.listings, name="listings")
cli.add_typer(deliveries.deliveries, name="deliveries")
cli.add_typer(messages.messages, name="messages")
cli.add_typer(snapshots.snapshots, name="snapshots")
cli.add_typer(systems.systems, name="systems")
cli.add_typer(users.users, name="users")
