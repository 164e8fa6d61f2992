"""Several worker processes on one database, some of them killed in the middle of their work."""

import multiprocessing
import random
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import monotonic

from stockbridge.engine import Command, Engine
from tests.simulation import worker
from tests.tables.masters import masters

SPAWN = multiprocessing.get_context("spawn")


class Fleet:
    """`processes` workers with `callers` each share `operations`; logs go to `folder`."""

    def __init__(
        self,
        dsn: str,
        folder: Path,
        *,
        seed: int,
        operations: int,
        processes: int = 4,
        callers: int = 8,
    ) -> None:
        self.dsn = dsn
        self.seed = seed
        self.share = operations // processes
        self.callers = callers
        self.logs = [folder / f"worker-{n}.log" for n in range(processes)]
        self.kills = 0
        self._began_at: dict[int, int] = {}
        self._running: list[SpawnProcess] = []
        self._random = random.Random(seed)

    def run(
        self,
        *,
        kill_after_bytes: int | None = None,
        meanwhile: Callable[[], None] = lambda: None,
        seconds_max: float = 100.0,
    ) -> None:
        """Run to the end; kill -9 whoever logged so much since it began, and start it again.

        `meanwhile` is called every moment. Raises AssertionError when a worker fails or is late.
        """
        began = monotonic()
        self._running = [self._start(n) for n in range(len(self.logs))]
        try:
            while any(process.is_alive() for process in self._running):
                self._running[0].join(0.1)
                meanwhile()
                assert monotonic() - began < seconds_max, "workers are late"
                if kill_after_bytes is not None:
                    self._kill_one(kill_after_bytes)
        finally:
            for process in self._running:
                process.kill()
        codes = [process.exitcode for process in self._running]
        assert codes == [0] * len(codes), f"workers ended with {codes}"

    @property
    def logged(self) -> int:
        """Bytes logged by all."""
        return sum(map(_size, self.logs))

    def _start(self, number: int) -> SpawnProcess:
        self._began_at[number] = _size(self.logs[number])
        arguments = (self.dsn, str(self.logs[number]), f"w{number}", self.seed, self.share,
                     self.callers)  # fmt: skip
        process = SPAWN.Process(target=worker.run, args=arguments)
        process.start()
        return process

    def _kill_one(self, after_bytes: int) -> None:
        number = self._random.randrange(len(self._running))
        busy = _size(self.logs[number]) - self._began_at[number] > after_bytes
        if busy and self._running[number].is_alive():
            self._running[number].kill()
            self._running[number].join()
            self._running[number] = self._start(number)
            self.kills += 1


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def furnish(dsn: str) -> None:
    """Give the database the small enterprise's masters."""
    engine = Engine(dsn, workers=1)
    await engine.start()
    for body in masters():
        outcome = await engine.submit(Command(body))
        assert outcome.status < 300, outcome.body
    await engine.stop()
