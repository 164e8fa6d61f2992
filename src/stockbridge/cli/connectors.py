"""Connectors, with code and by mapping: list, new, test, simulate, docs, activate."""

import asyncio
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockbridge.cli.contracts import raise_refusal, work_on
from stockbridge.cli.options import DataDir, Dsn, settings_of

if TYPE_CHECKING:
    from stockbridge.connectors.kit.conformance import Case
    from stockbridge.connectors.kit.registry import Registry
    from stockbridge.connectors.kit.simulator import Simulator
    from stockbridge.governance.contracts import Connection
    from stockbridge.kernel.errors import Refusal

connectors = typer.Typer(
    help="Partners: list, new, test, simulate, docs, activate.", no_args_is_help=True
)
Partner = Annotated[str, typer.Argument(help="A connector's name, or a folder with manifest.toml.")]


@connectors.command("list")
def list_connectors() -> None:
    """List the partners that come with the hub.

    Example: stockbridge connectors list
    """
    from rich.console import Console
    from rich.table import Table

    from stockbridge.connectors.kit.registry import Registry
    from stockbridge.connectors.mapped import folders

    table = Table("connector", "kind", "by", "title", box=None)
    registry = Registry.of(settings_of().connectors_dir)
    for name in registry.names():
        manifest = registry.manifest(name)
        table.add_row(name, manifest.kind, "code", manifest.title)
    for name in folders.names():
        mapping = folders.read(folders.find(name))
        table.add_row(name, "", "mapping", f"{mapping.system}: {mapping.description}")
    Console(width=200, markup=False).print(table)


@connectors.command("test")
def try_connector(
    name: Partner,
    only: Annotated[str, typer.Option(help="Cases whose name has this in it.")] = "",
) -> None:
    """Run a connector's conformance suite, or a mapping's samples, and print what fails.

    Example: stockbridge connectors test generic
    """
    from stockbridge.connectors.mapped import folders

    if name in folders.names() or _is_mapping(Path(name)):
        _test_mapping(name)
        return
    from stockbridge.connectors.kit.registry import Registry, find
    from stockbridge.kernel.errors import Misconfigured

    own = settings_of().connectors_dir
    known = [*Registry.of(own).names(), *folders.names()]
    if name not in known and not (Path(name) / "manifest.toml").is_file():
        raise Misconfigured(f"no connector {name}: give one of {', '.join(known)}, or a folder")
    chosen, registry = find(name, own)
    failed = asyncio.run(_run_suite(registry, chosen, only))
    if failed:
        raise Misconfigured(f"{failed} promises of {chosen} are not kept")


def _is_mapping(folder: Path) -> bool:
    """Whether a folder is a partner without code: the manifest says how its events come about."""
    import tomllib

    try:
        return "events" in tomllib.loads((folder / "manifest.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return False


async def _run_suite(registry: "Registry", name: str, only: str) -> int:
    from stockbridge.connectors.kit.conformance import CASES
    from stockbridge.connectors.kit.conformance.waivers import WAIVERS

    failed = 0
    for case in CASES:
        if only not in case.name:
            continue
        lack = case.lacks(registry.manifest(name)) or WAIVERS.get((name, case.name))
        if lack is not None:
            print(f"left out  {case.name}: {lack}")
            continue
        fault = await _run_case(registry, name, case)
        failed += fault is not None
        print(f"{'kept' if fault is None else 'FAILED':<9} {case.name}: {fault or case.promise}")
    return failed


async def _run_case(registry: "Registry", name: str, case: "Case") -> str | None:
    from stockbridge.connectors.kit.conformance.bench import bench

    try:
        async with bench(registry, name) as made:
            await case.run(made)
    except Exception as error:  # noqa: BLE001 - the next promises are tried all the same
        return str(error) or type(error).__name__
    return None


def _test_mapping(name: str) -> None:
    from stockbridge.connectors.mapped import folders
    from stockbridge.governance.mappings import tried
    from stockbridge.kernel.errors import Misconfigured, Refusal

    manifest = folders.read(folders.find(name))
    failed = asyncio.run(tried(manifest))
    if isinstance(failed, Refusal):
        raise Misconfigured(failed.detail)
    for failure in failed:
        print(f"FAILED {failure['sample']}")
        for difference in failure["differences"]:
            print(f"  {difference}")
    count = len(manifest.samples)
    if failed:
        raise Misconfigured(f"{len(failed)} of {count} samples of {name} fail")
    print(f"{count} samples of {name} pass")


@connectors.command()
def simulate(
    name: Partner,
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes a free one.")] = 0,
    hub: Annotated[
        str, typer.Option(help="Where its webhooks go: http://127.0.0.1:8080/v1/webhooks/SYSTEM")
    ] = "",
    orders_every: Annotated[
        float, typer.Option(help="A customer orders a mug there every so many seconds; 0: never.")
    ] = 0.0,
    lose: Annotated[float, typer.Option(help="Share of webhooks that is lost.")] = 0.0,
    repeat: Annotated[float, typer.Option(help="Share of webhooks that is sent twice.")] = 0.0,
) -> None:
    """Run a connector's simulated partner until Ctrl-C, and print how to connect to it.

    Example: stockbridge connectors simulate generic --port 9000 --orders-every 5
    """
    import json

    from stockbridge.connectors.kit.registry import find

    chosen, registry = find(name, settings_of().connectors_dir)
    simulator: Simulator = registry.module(chosen, "simulator").Simulator()
    simulator.delivers_to = hub or simulator.delivers_to
    with simulator.start(port):
        listed: dict[str, Any] = {
            sku: simulator.list_item(sku, 10)._asdict() for sku in ("MUG-1", "MUG-2")
        }
        shown = {
            "url": simulator.url, "config": simulator.config(), "secrets": simulator.secrets(),
            "items": listed,
        }  # fmt: skip
        print(json.dumps(shown, indent=2), "Stop with Ctrl-C.", sep="\n", flush=True)
        try:
            _trade(simulator, hub, orders_every, lose, repeat)
        except KeyboardInterrupt:
            print(f"{len(simulator.calls)} calls came")


def _trade(
    simulator: "Simulator", hub: str, orders_every: float, lose: float, repeat: float
) -> None:
    """Let customers order, and tell the hub."""
    import time

    from stockbridge.connectors.kit.sending import Weather, send

    for number in itertools.count():
        time.sleep(orders_every or 3_600)
        if not orders_every:
            continue
        print(f"order {simulator.order({'MUG-1': 1}).number}", flush=True)
        due = simulator.webhooks()
        if hub:
            sent = asyncio.run(send(hub, due, Weather(lose, repeat), number))
            print(f"  webhooks: {sent.statuses}, {len(sent.lost)} lost", flush=True)


@connectors.command()
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and _, like acme_shop.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where its folder is made; by default, ours.")
    ] = None,
) -> None:
    """Make the folder of a new connector, which passes the suite as it is.

    Example: stockbridge connectors new acme_shop --dir ./connectors
    """
    from stockbridge.connectors.kit.scaffold import scaffold

    made = scaffold(name, folder)
    print(f"{made} is made; see its README.md, then: stockbridge connectors test {made}")
    if folder is None:
        print("in a checkout also: make format, stockbridge connectors docs")


@connectors.command()
def docs(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where the pages are written.")
    ] = None,
) -> None:
    """Write the reference page of every connector from its manifest.

    Example: stockbridge connectors docs
    """
    from stockbridge.connectors.kit.reference import FOLDER, page
    from stockbridge.connectors.kit.registry import Registry

    target, registry = folder or Path(FOLDER), Registry.of(None)
    target.mkdir(parents=True, exist_ok=True)
    for name in registry.names():
        (target / f"{name}.md").write_text(page(registry.manifest(name)), "utf-8")
    print(f"{len(registry.names())} pages in {target}")


@connectors.command("activate")
def activate_connector(name: Partner, dsn: Dsn = None, data_dir: DataDir = None) -> None:
    """Make a mapping the active one of its system, when its samples pass.

    Example: stockbridge connectors activate northwind_3pl
    """
    from stockbridge.connectors.mapped import folders
    from stockbridge.governance import mappings

    manifest = folders.read(folders.find(name))

    async def work(conn: "Connection") -> "Refusal | None":
        return await mappings.publish(conn, manifest, actor="cli", status="active")

    raise_refusal(work_on(work, dsn, data_dir))
    print(f"{manifest.system}/{manifest.name}.v{manifest.version} is active")
