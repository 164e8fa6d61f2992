"""What `stockbridge demo` and `stockbridge replay` run: a database, the engine, the replay."""

import asyncio
import fcntl
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stockbridge.app import configure_logging, first_key, running
from stockbridge.demo.check import check, figures
from stockbridge.demo.live import trickle
from stockbridge.demo.plan import Plan, make_plan
from stockbridge.demo.replay import Submits, replay
from stockbridge.demo.retail import documents, read_rows
from stockbridge.demo.slice import SHIPPED
from stockbridge.demo.summary import Summary
from stockbridge.engine import Engine
from stockbridge.kernel.errors import Misconfigured
from stockbridge.kernel.settings import Settings, default_data_dir
from stockbridge.store.database import connect
from stockbridge.store.embedded import EmbeddedServer
from stockbridge.store.migrate import ensure_partitions, migrate

DAY_SECONDS: Final = 1.0
"""How long a day of the data takes when people watch."""
FOLDER: Final = "stockbridge-demo"


def run_stack(settings: Settings, *, headless: bool, source: Path | None, fresh: bool) -> int:
    """See `stockbridge.demo.run`."""
    configure_logging(settings)
    settings = own_folder(settings)
    plan = load_plan(source)
    if fresh:
        clear(settings)
    with _database(settings) as dsn:
        return asyncio.run(_headless(dsn, plan) if headless else _watched(settings, dsn, plan))


def own_folder(settings: Settings) -> Settings:
    """The settings with a data directory of the demo's own, unless somebody chose one."""
    if settings.data_dir != default_data_dir():
        return settings
    return replace(settings, data_dir=settings.data_dir.with_name(FOLDER))


def clear(settings: Settings) -> None:
    """Remove the demo's data directory; never one in use, of another kind, or a real database."""
    if settings.dsn is not None:
        raise Misconfigured(
            "--fresh clears the demo's embedded database only; empty the database of"
            " STOCKBRIDGE_DSN yourself"
        )
    folder = settings.data_dir
    if not folder.exists() or not any(folder.iterdir()):
        return
    lock = folder / "stockbridge.lock"
    if not (folder / "pg").is_dir() or not lock.exists():
        raise Misconfigured(
            f"{folder} holds no embedded database: remove it yourself, or name"
            " another directory with --data-dir"
        )
    with lock.open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misconfigured(
                f"{folder} is in use by process {held.read().strip()}: stop it first"
            ) from None
        shutil.rmtree(folder)


def load_plan(source: Path | None) -> Plan:
    """The plan for a file of order lines, or for the shipped slice.

    Raises Misconfigured when the file is missing, unreadable or empty.
    """
    path = source or SHIPPED
    rows = read_rows(path)
    if not rows:
        raise Misconfigured(f"{path}: no order lines in it; name a file that has some")
    return make_plan(rows, documents(rows))


async def replay_and_check(
    engine: Submits, dsn: str, plan: Plan, *, day_seconds_min: float = 0.0
) -> Summary:
    """Replay with a progress bar, then ask the store of `dsn` whether the books are right."""
    columns = (
        TextColumn("replaying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("order lines"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task("replay", total=plan.rows)
        summary = await replay(
            engine,
            plan,
            progress=lambda done, _: bar.update(task, completed=done),
            day_seconds_min=day_seconds_min,
        )
    summary.invariants = await asyncio.to_thread(check, dsn)
    async with await connect(dsn, application_name="stockbridge demo") as connection:
        summary.figures = await figures(connection)
    return summary


async def _headless(dsn: str, plan: Plan) -> int:
    engine = Engine(dsn)
    await engine.start()
    try:
        summary = await replay_and_check(engine, dsn, plan)
    finally:
        await engine.stop()
    print(summary.text())
    return 0 if summary.ok else 1


async def _watched(settings: Settings, dsn: str, plan: Plan) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    key = await first_key(dsn)
    async with running(settings, "all", dsn) as app:
        print(f"The overview is at {app.url}, the data in {settings.data_dir}; Ctrl-C stops.")
        if key is not None:
            print(f"Admin key, shown this once: {key}")
        tasks = [
            asyncio.create_task(stopping.wait()),
            asyncio.create_task(_story(app.engine, dsn, plan)),
            *app.tasks,
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks[:2]:
            task.cancel()
        await asyncio.gather(*tasks[:2], return_exceptions=True)
        for task in done:
            task.result()
    print("Stopped.")
    return 0


async def _story(engine: Submits, dsn: str, plan: Plan) -> None:
    summary = await replay_and_check(engine, dsn, plan, day_seconds_min=DAY_SECONDS)
    print(summary.text())
    print("Orders go on coming; Ctrl-C stops.")
    await trickle(engine, plan)


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """A migrated database: the one of the settings, else an embedded one while this lasts."""
    with ExitStack() as stack:
        dsn = settings.dsn
        if dsn is None:
            dsn = stack.enter_context(EmbeddedServer.start(settings.data_dir)).dsn
        migrate(dsn)
        ensure_partitions(dsn)
        yield dsn
