"""Callers of an engine in the same process."""

import asyncio
import gc
import os
import random
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from time import perf_counter, process_time
from typing import Any

from bench.lab import CHANNEL, ITEMS
from bench.wire import CpuClock
from stockbridge.contracts.commands import ReserveLine, ReserveStock
from stockbridge.engine import Command, Engine

CALLERS = 512
Basket = list[ReserveLine]


def baskets(seed: int, *, hot: bool = False, count: int = 50_000) -> list[Basket]:
    """`count` orders of 1 to 3 lines; with `hot` every second line, on average, asks for S1."""
    chance = random.Random(seed)

    def line() -> ReserveLine:
        number = 1 if hot and chance.random() < 0.5 else chance.randint(1, ITEMS)
        return ReserveLine(f"S{number}", chance.randint(1, 3))

    return [[line() for _ in range(chance.randint(1, 3))] for _ in range(count)]


def endless(orders: list[Basket], name: str) -> Iterator[Command]:
    """The orders over and over, each time under a key of its own."""
    for number, lines in enumerate(cycle(orders)):
        reference = f"{name}-{number}"
        body = ReserveStock(CHANNEL, reference, lines)
        yield Command(body, principal="bench", key=reference, correlation_id=reference)


def until(moment: float, commands: Iterator[Command]) -> Iterator[Command]:
    """The commands until `perf_counter` reaches `moment`."""
    for command in commands:
        if perf_counter() >= moment:
            return
        yield command


@dataclass
class Batches:
    """Told by the engine of each batch."""

    sizes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def note(self, size: int, took: float) -> None:
        """One batch was committed."""
        self.sizes.append(size)
        self.seconds.append(took)


@dataclass(frozen=True, slots=True)
class Drive:
    """How a load went; CPU seconds are None where the system does not tell them."""

    count: int
    seconds: float
    python_cpu: float
    database_cpu: float | None
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Reservations a second."""
        return self.count / self.seconds

    def details(self) -> dict[str, Any]:
        """What one reservation costs, and how long its caller waited."""
        cuts = statistics.quantiles(self.latencies, n=100)
        cpu = self.database_cpu
        return {
            "python_cpu_us": round(self.python_cpu / self.count * 1e6, 1),
            "postgres_cpu_us": None if cpu is None else round(cpu / self.count * 1e6, 1),
            "python_cpu_percent": round(self.python_cpu / self.seconds * 100),
            "postgres_cpu_percent": None if cpu is None else round(cpu / self.seconds * 100),
            "wait_ms_p50": round(cuts[49] * 1000, 1),
            "wait_ms_p99": round(cuts[98] * 1000, 1),
            "reservations": self.count,
            "load_average": round(os.getloadavg()[0], 1),
        }


async def drive(engine: Engine, commands: Iterator[Command], database_cpu: CpuClock) -> Drive:
    """Submit the commands from all callers; raises RuntimeError when one is not accepted."""
    latencies: list[float] = []

    async def caller() -> None:
        for command in commands:
            began = perf_counter()
            outcome = await engine.submit(command)
            latencies.append(perf_counter() - began)
            if outcome.status != 201:
                msg = f"reservation {command.key} was not made: {outcome.body.decode()}"
                raise RuntimeError(msg)

    before = database_cpu()
    began, python = perf_counter(), process_time()
    await asyncio.gather(*[caller() for _ in range(CALLERS)])
    seconds, python = perf_counter() - began, process_time() - python
    after = database_cpu()
    used = None if before is None or after is None else after - before
    return Drive(len(latencies), seconds, python, used, latencies)


async def timed(
    dsn: str, orders: list[Basket], seconds: float, database_cpu: CpuClock
) -> tuple[Drive, Batches]:
    """Warm an engine up, then drive it for `seconds`."""
    batches = Batches()
    engine = Engine(dsn, on_batch=batches.note)
    await engine.start()
    try:
        with spared_collector():
            warm = until(perf_counter() + 1.0, endless(orders, "warm"))
            await drive(engine, warm, database_cpu)
            batches.sizes.clear()
            batches.seconds.clear()
            work = until(perf_counter() + seconds, endless(orders, "timed"))
            return await drive(engine, work, database_cpu), batches
    finally:
        await engine.stop()


async def counted(
    engine: Engine, orders: list[Basket], name: str, count: int, database_cpu: CpuClock
) -> Drive:
    """Drive a started engine with exactly `count` orders."""
    return await drive(engine, islice(endless(orders, name), count), database_cpu)


@contextmanager
def spared_collector() -> Iterator[None]:
    """Keep the prepared orders out of the garbage collector's rounds: they are load, not hub."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
