"""Partners' systems: add, secret, list, show, test, certify, set going and stop, discover."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockbridge.cli.options import DataDir, Dsn
from stockbridge.cli.systems_config import read_file, with_words
from stockbridge.cli.systems_desk import (
    Desk,
    document_of,
    keep_secret,
    missing_secrets,
    put,
    run,
)

if TYPE_CHECKING:
    from stockbridge.contracts.masters import PutSystem
    from stockbridge.contracts.partners.manifest import Manifest
    from stockbridge.ingress.systems_setup import SystemTest

systems = typer.Typer(
    help="Partners' systems: add, test, certify, stop, discover.", no_args_is_help=True
)
Code = Annotated[str, typer.Argument(help="The system's code.")]
_KEEP_SECONDS = 86_400


@systems.command()
def add(
    code: Code,
    connector: Annotated[str, typer.Option(help="Who speaks with it: `connectors list`.")],
    config: Annotated[Path | None, typer.Option(help="TOML file; replaces what is set.")] = None,
    words: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE or TABLE.NAME=VALUE; empty takes away. Repeat it."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="The connector's kind if none is given.")] = None,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    environment: Annotated[str | None, typer.Option(help="production or sandbox.")] = None,
    lifecycle: Annotated[str | None, typer.Option(help="draft or testing.")] = None,
    criticality: Annotated[int | None, typer.Option(min=1, max=4, help="1 is highest.")] = None,
    owner_team: Annotated[str | None, typer.Option(help="Whose its exceptions are.")] = None,
    operation: Annotated[
        list[str] | None, typer.Option(help="Only these; all if none. Repeat it.")
    ] = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Add a system, or change one: what is not given stays as it is.

    Secrets are no arguments: they are asked for, or put with `stockbridge systems secret`.

    Example: stockbridge systems add portal --connector generic --environment sandbox
    --set url=https://portal.example.com/hub --set channel=portal --set locations.LONDON=counter-1
    """
    given = {
        "kind": kind, "name": name, "environment": environment, "lifecycle": lifecycle,
        "criticality": criticality, "owner_team": owner_team, "operations": operation or None,
    }  # fmt: skip
    told = {name: value for name, value in given.items() if value is not None}

    async def work(desk: Desk) -> Any:
        from stockbridge.kernel.errors import Refusal

        manifest = desk.partners.connectors.manifest(connector)
        body = await _body(desk, code, manifest, told, config, words or [])
        refusal = await put(desk, body)
        if isinstance(refusal, Refusal):
            return refusal
        for secret in await missing_secrets(desk, code, manifest):
            if sys.stdin.isatty():
                value = typer.prompt(f"secret {secret} (hidden)", hide_input=True)
                await keep_secret(desk, code, secret, value, _KEEP_SECONDS)
            else:
                print(f"secret {secret} is missing: stockbridge systems secret {code} {secret}")
        return None

    run(work, dsn, data_dir)
    print(f"{code} is set up; next: stockbridge systems test {code}")


async def _body(
    desk: Desk,
    code: str,
    manifest: "Manifest",
    told: dict[str, Any],
    config: Path | None,
    words: list[str],
) -> "PutSystem":
    """What is to be put: today's system with what was told changed."""
    import msgspec

    from stockbridge.contracts.masters import PutSystem
    from stockbridge.kernel.errors import Misconfigured

    today = await document_of(desk, code) or {}
    kept = ["kind", "name", "environment", "criticality", "owner_team"]
    if today.get("connector") == manifest.name:
        kept.append("operations")
    fields = {"kind": manifest.kind} | {name: today[name] for name in kept if name in today}
    base = read_file(config) if config is not None else today.get("config") or {}
    fields |= told | {
        "code": code, "connector": manifest.name, "config": with_words(manifest, base, words)
    }  # fmt: skip
    try:
        return msgspec.convert(fields, PutSystem)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{code}: {error}") from error


@systems.command()
def secret(
    code: Code,
    name: Annotated[str, typer.Argument(help="The secret's name: `systems show CODE`.")],
    env: Annotated[str | None, typer.Option("--env", help="Take it from this variable.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Take it from the first line.")] = False,
    keep_seconds: Annotated[
        int, typer.Option(min=0, help="How long the one before it counts.")
    ] = _KEEP_SECONDS,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Set or replace a secret; running hubs use it within seconds. It is never an argument.

    Example: vault read -field=token secret/portal | stockbridge systems secret portal token --stdin
    """
    from stockbridge.kernel.errors import Misconfigured

    if env is not None:
        value = os.environ.get(env, "")
    elif stdin:
        value = sys.stdin.readline().rstrip("\r\n")
    else:
        value = typer.prompt(f"{name} of {code} (hidden)", hide_input=True)
    if not value:
        raise Misconfigured(f"no secret was given by {f'variable {env}' if env else 'the input'}")

    async def work(desk: Desk) -> Any:
        return await keep_secret(desk, code, name, value, keep_seconds)

    active = run(work, dsn, data_dir)
    print(f"{name} of {code} is kept; {active} count now")


@systems.command("list")
def list_(dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """List systems.

    Example: stockbridge systems list
    """
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from stockbridge.ingress.systems import SQL

    async def work(desk: Desk) -> list[dict[str, Any]]:
        async with desk.pool.connection() as conn:
            values = {"after": None, "limit": 10_000}
            rows = await (await conn.execute(SQL.systems_page, values)).fetchall()
        return [msgspec.json.decode(row[1]) for row in rows]

    table = Table("code", "kind", "connector", "environment", "lifecycle", "owner", box=None)
    for row in run(work, dsn, data_dir):
        table.add_row(
            row["code"], row["kind"], row["connector"] or "", row["environment"],
            row["lifecycle"], row["owner_team"],
        )  # fmt: skip
    Console(width=200, markup=False).print(table)


@systems.command()
def show(code: Code, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Show a system, its feeds and which of its secrets are set, as JSON.

    Example: stockbridge systems show portal
    """
    import msgspec

    from stockbridge.governance.secrets import sealed
    from stockbridge.ingress.systems import SQL
    from stockbridge.kernel.errors import Misconfigured

    async def work(desk: Desk) -> dict[str, Any]:
        document = await document_of(desk, code)
        if document is None:
            raise Misconfigured(f"system {code} does not exist; `stockbridge systems list`")
        async with desk.pool.connection() as conn:
            values = {"system": code, "after": None, "limit": 1_000}
            feeds = await (await conn.execute(SQL.feeds_page, values)).fetchall()
            kept = {each.name for each in await sealed(conn, code)}
        names = await desk.partners.declared_secrets(code) or tuple(sorted(kept))
        document["secrets"] = {name: "set" if name in kept else "missing" for name in names}
        document["feeds"] = [msgspec.json.decode(row[1]) for row in feeds]
        return document

    print(msgspec.json.format(msgspec.json.encode(run(work, dsn, data_dir))).decode())


@systems.command("test")
def try_system(code: Code, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Test a system and print what is wrong, each with its fix; exit code 1 if anything is.

    Example: stockbridge systems test portal
    """
    from stockbridge.ingress.systems_setup import run_test

    async def work(desk: Desk) -> Any:
        return await run_test(
            desk.pool, desk.partners, code, actor="cli", correlation_id=desk.correlation_id
        )

    tested: SystemTest = run(work, dsn, data_dir)
    for check in tested.checks:
        print(f"{'ok   ' if check.is_good else 'WRONG'} {check.name}: {check.detail}")
        if check.fix and not check.is_good:
            print(f"      fix: {check.fix}")
    if not tested.is_good:
        raise typer.Exit(1)


def _step(step: str, code: str, dsn: str | None, data_dir: Path | None) -> None:
    from stockbridge.ingress.systems_setup import take_step

    async def work(desk: Desk) -> Any:
        return await take_step(
            desk.pool, code, step, actor="cli", correlation_id=desk.correlation_id
        )

    print(f"{code} is {run(work, dsn, data_dir)['lifecycle']}")


@systems.command()
def certify(code: Code, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Certify a system whose test of the last hour found nothing wrong.

    Example: stockbridge systems test portal && stockbridge systems certify portal
    """
    _step("certify", code, dsn, data_dir)


@systems.command()
def activate(code: Code, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Set a certified system going; its test must still be good and fresh.

    Example: stockbridge systems activate portal
    """
    _step("activate", code, dsn, data_dir)


@systems.command()
def suspend(code: Code, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Stop calling a live system; what it sends is still kept, what is owed to it waits.

    Example: stockbridge systems suspend portal
    """
    _step("suspend", code, dsn, data_dir)


@systems.command()
def resume(code: Code, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Call a suspended system again.

    Example: stockbridge systems resume portal
    """
    _step("resume", code, dsn, data_dir)


@systems.command()
def retire(code: Code, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """End a system for good.

    Example: stockbridge systems retire portal
    """
    _step("retire", code, dsn, data_dir)


@systems.command()
def discover(
    code: Code,
    channel: Annotated[str | None, typer.Option(help="List what matches on it.")] = None,
    unmatched: Annotated[
        Path | None, typer.Option(help="CSV file for what is no item of ours.")
    ] = None,
    dsn: Dsn = None,
    data_dir: DataDir = None,
) -> None:
    """Match what the partner lists with our items, by SKU or GTIN, and keep its ids as aliases.

    Example: stockbridge systems discover portal --channel web --unmatched unmatched.csv
    """
    from stockbridge.ingress import discovery
    from stockbridge.kernel.errors import Misconfigured, Refusal, Retry

    async def work(desk: Desk) -> Any:
        job = await discovery.begin(
            desk.dsn, desk.partners, code, actor="cli", correlation_id=desk.correlation_id
        )
        if isinstance(job, Refusal):
            return job
        context = discovery.context_of("cli", desk.correlation_id)
        try:
            return await discovery.discover(
                desk.dsn, desk.pool, desk.partners, code, job, context, channel, unmatched
            )
        except Retry as error:
            raise Misconfigured(f"discovery of {code} ended early: {error}") from error

    done: discovery.Discovery = run(work, dsn, data_dir)
    print(f"{done.matched:,} matched, {done.unmatched:,} not (job {done.job})")
