"""People of the control tower: add, list, revoke."""

import asyncio
from typing import Annotated

import typer

from stockbridge.cli.options import DataDir, Dsn, migrated, settings_of

users = typer.Typer(help="People of the control tower.", no_args_is_help=True)


@users.command()
def add(
    name: Annotated[str, typer.Argument(help="How the person signs in: a-z 0-9 . _ @ -")],
    role: Annotated[
        list[str],
        typer.Option(
            "--role", help="viewer, operator, approver, finance, integrator, admin; repeat it."
        ),
    ],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Add a person, or give one a new password and roles; asks for the password.

    Example: stockbridge users add ana --role operator
    """
    import sys

    from stockbridge.governance import users as store
    from stockbridge.store.database import connect

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)

    async def work(used: str) -> None:
        async with await connect(used) as conn:
            await store.put(conn, name, password, role, actor="cli")

    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        asyncio.run(work(used))
    print(f"{name} may sign in as {', '.join(sorted(set(role)))}")


@users.command("list")
def list_(dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """List people and what they may do.

    Example: stockbridge users list
    """
    from rich.console import Console
    from rich.table import Table

    from stockbridge.governance import users as store
    from stockbridge.store.database import connect

    async def work(used: str) -> list[store.Account]:
        async with await connect(used) as conn:
            return await store.listed(conn)

    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        rows = asyncio.run(work(used))
    table = Table("name", "roles", "sessions", "state", box=None)
    for row in rows:
        state = f"revoked {row.revoked_at:%Y-%m-%d %H:%M}" if row.revoked_at else "live"
        table.add_row(row.name, " ".join(row.roles), str(row.sessions), state)
    Console(width=200, markup=False).print(table)


@users.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Who may not sign in any more.")],
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """End an account and everything it is signed in to.

    Example: stockbridge users revoke ana
    """
    from stockbridge.governance import users as store
    from stockbridge.kernel.errors import Misconfigured, Refusal
    from stockbridge.store.database import connect

    async def work(used: str) -> Refusal | None:
        async with await connect(used) as conn:
            return await store.revoke(conn, name, actor="cli")

    with migrated(settings_of(dsn=dsn, data_dir=data_dir)) as used:
        refusal = asyncio.run(work(used))
    if refusal is not None:
        raise Misconfigured(refusal.detail)
    print(f"{name} is revoked")
