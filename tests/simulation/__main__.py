"""`make sim`: a million random operations, processes killed in between, every law checked.

ARGS="--operations 50000 --seed 7" makes it shorter, or repeats one.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from stockbridge.store.embedded import EmbeddedServer
from stockbridge.store.migrate import ensure_partitions, migrate
from tests.simulation.fleet import Fleet, furnish
from tests.simulation.judge import judge

OPERATIONS = 1_000_000
PROCESSES = 4
CALLERS = 32
KILLS_WANTED = 12
THROW_AWAY = {"fsync": "off", "max_wal_size": "2GB"}
"""Only our own processes are killed here, never the machine."""
BYTES_EACH = 450
"""What an operation takes in a log, about."""


def main() -> int:
    """Run, print, and answer 0 when every law held."""
    options = _options()
    print(f"seed {options.seed}, {options.operations} operations")
    with tempfile.TemporaryDirectory(prefix="sim-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedServer.start(folder / "data", settings=THROW_AWAY) as server:
            return _simulate(server.dsn, folder, options)


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
