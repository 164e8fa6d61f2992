"""`make sim`: a million random operations, processes killed in between, every law checked.

ARGS="--operations 50000 --seed 7" makes it shorter, or repeats one. ARGS="--scenario reporters
--lines 10000" instead has three systems report that many real order lines, cleanly and noisily.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import psycopg
from psycopg.conninfo import make_conninfo

from stockbridge.store.embedded import EmbeddedServer
from stockbridge.store.migrate import ensure_partitions, migrate
from tests.simulation.fleet import Fleet, furnish
from tests.simulation.judge import judge
from tests.simulation.reporters import simulate

OPERATIONS = 1_000_000
LINES = 10_000
PROCESSES = 4
CALLERS = 32
KILLS_WANTED = 12
THROW_AWAY = {"fsync": "off", "max_wal_size": "2GB"}
"""Only our own processes are killed here, never the machine."""
BYTES_EACH = 450
"""What an operation takes in a log, about."""


def main() -> int:
    """Run, print, and answer 0 when every law held."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    options = _options()
    many = options.lines if options.scenario == "reporters" else options.operations
    print(f"seed {options.seed}, {options.scenario}: {many}")
    with tempfile.TemporaryDirectory(prefix="sim-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedServer.start(folder / "data", settings=THROW_AWAY) as server:
            if options.scenario == "reporters":
                return _reporters(server.dsn, folder, options)
            return _simulate(server.dsn, folder, options)


def _reporters(dsn: str, folder: Path, options: argparse.Namespace) -> int:
    twin = make_conninfo(dsn, dbname="twin")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(b"CREATE DATABASE twin")
    for database in (dsn, twin):
        migrate(database)
        ensure_partitions(database)
    found = asyncio.run(simulate(dsn, twin, folder, options.lines, options.seed))
    print("noise changed nothing" if not found else "\n".join(found))
    return 1 if found else 0


def _simulate(dsn: str, folder: Path, options: argparse.Namespace) -> int:
    migrate(dsn)
    ensure_partitions(dsn)
    asyncio.run(furnish(dsn))
    fleet = Fleet(
        dsn, folder, seed=options.seed, operations=options.operations, processes=PROCESSES,
        callers=CALLERS,
    )  # fmt: skip
    began = perf_counter()
    kill_after = options.operations * BYTES_EACH // KILLS_WANTED
    progress = _progress(fleet, options.operations)
    fleet.run(kill_after_bytes=kill_after, meanwhile=progress, seconds_max=float("inf"))
    seconds = perf_counter() - began
    print(f"{options.operations / seconds:,.0f} operations/s, {fleet.kills} processes killed")
    breaches = judge(dsn, fleet.logs)
    print("every law held" if not breaches else "\n".join(breaches))
    return 1 if breaches else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.simulation", description=__doc__)
    parser.add_argument("--operations", type=int, default=OPERATIONS)
    parser.add_argument("--scenario", choices=["promises", "reporters"], default="promises")
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    return parser.parse_args()


def _progress(fleet: Fleet, operations: int) -> Callable[[], None]:
    seen = 0

    def tell() -> None:
        nonlocal seen
        share = min(99, fleet.logged * 100 // (operations * BYTES_EACH))
        if share >= seen + 10:
            seen = share
            print(f"about {share} %", file=sys.stderr)

    return tell


if __name__ == "__main__":
    sys.exit(main())
