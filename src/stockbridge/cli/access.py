"""API keys: create, list, revoke."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from stockbridge.cli.options import DataDir, Dsn, migrated, settings_of

keys = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[list[str], typer.Option("--scope", help="What it may do; repeat it.")],
    channel: Annotated[str | None, typer.Option(help="Bind it to a channel.")] = None,
    system: Annotated[str | None, typer.Option(help="Bind it to a system.")] = None,
    requests_per_minute: Annotated[int, typer.Option(min=1, help="Its rate limit.")] = 600_000,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it ends.")] = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once.

    Example: stockbridge keys create "web shop" --scope availability:read --channel web
    """
    from stockbridge.governance import keys as store
    from stockbridge.kernel.errors import Misconfigured, Refusal
    from stockbridge.store.database import connect

    async def work(used: str) -> tuple[store.ApiKey, str] | Refusal:
        ends_at = datetime.now(UTC) + timedelta(days=days) if days else None
        async with await connect(used) as conn:
            return await store.create(
                conn,
                name,
                scope,
                actor="cli",
                channel=channel,
                system=system,
                requests_per_minute=requests_per_minute,
                expires_at=ends_at,
            )

    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        made = asyncio.run(work(used))
    if isinstance(made, Refusal):
        raise Misconfigured(made.detail)
    print(made[1])


@keys.command("list")
def list_(dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """List keys; secrets are not kept anywhere.

    Example: stockbridge keys list
    """
    from rich.console import Console
    from rich.table import Table

    from stockbridge.governance import keys as store
    from stockbridge.store.database import connect

    async def work(used: str) -> list[dict[str, Any]]:
        async with await connect(used) as conn:
            return await store.listed(conn)

    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        rows = asyncio.run(work(used))
    table = Table("id", "name", "scopes", "bound to", "state", box=None)
    for row in rows:
        bound = row["channel"] or row["system"] or ""
        state = f"revoked {row['revoked_at']}" if row["revoked_at"] else "live"
        if row["expires_at"] and not row["revoked_at"]:
            state = f"until {row['expires_at']}"
        table.add_row(row["id"], row["name"], " ".join(row["scopes"]), bound, state)
    Console(width=200, markup=False).print(table)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id in the key: sb_live_<id>_...")],
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """End a key now, in every process.

    Example: stockbridge keys revoke 1a2b3c4d5e6f
    """
    from stockbridge.governance import keys as store
    from stockbridge.kernel.errors import Misconfigured, Refusal
    from stockbridge.store.database import connect

    async def work(used: str) -> Refusal | None:
        async with await connect(used) as conn:
            return await store.revoke(conn, key_id, actor="cli")

    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        refusal = asyncio.run(work(used))
    if refusal is not None:
        raise Misconfigured(refusal.detail)
    print(f"{key_id} is revoked")
