"""The one door: `submit(command) -> outcome`, natural batching over a few workers."""

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

import psycopg
import structlog
from psycopg import AsyncConnection

from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.masters.handlers import HANDLERS as MASTER_HANDLERS
from stockbridge.domain.world.command import Command
from stockbridge.engine.batch import isolate, run_batch
from stockbridge.engine.direct import run_direct
from stockbridge.engine.poison import open_poison
from stockbridge.engine.recent import Recent
from stockbridge.engine.registry import FACTS, HANDLERS
from stockbridge.engine.request import (
    BROKEN,
    IN_PROGRESS,
    UNREACHABLE,
    Outcome,
    Request,
    Told,
    encode,
)
from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import connect
from stockbridge.store.pipeline import rollback

BATCH_MAX = 128
LINES_MAX = 8_192
"""Most commands, and most lines, of one batch."""
GATHERED = 64
"""How many commands must wait before a second batch is begun beside one under way."""
RECONNECT_SECONDS = 30.0
"""How long callers wait for a database that went away before they are told to try again."""

log = structlog.get_logger()
Conn = AsyncConnection[Any]
BatchDone = Callable[[int, float], None]


class Engine:
    """Takes commands from any number of callers; `workers` batches run at a time.

    Three suffice: one decides in Python, one inserts, one commits.
    `on_batch(size, seconds)` is told of every committed batch.
    """

    def __init__(self, dsn: str, *, workers: int = 3, on_batch: BatchDone | None = None) -> None:
        self._dsn = dsn
        self._workers = workers
        self._on_batch = on_batch
        self._intakes = [Intake() for _ in range(workers)]
        self._shared = Intake()
        self._direct = Intake()
        self._tasks: list[asyncio.Task[None]] = []
        self._running_keys: set[str] = set()
        self._stopping = False
        self._recent = Recent()

    @property
    def depth(self) -> int:
        """Commands waiting."""
        return sum(len(i.queue) for i in (self._shared, self._direct, *self._intakes))

    @property
    def is_running(self) -> bool:
        """Whether commands are accepted and every worker lives."""
        return not self._stopping and bool(self._tasks) and not any(t.done() for t in self._tasks)

    async def start(self) -> None:
        """Connect and begin; raises Misconfigured when the database is not there."""
        self._stopping = False
        for number, own in enumerate(self._intakes):
            conn = await connect(self._dsn, application_name=f"stockbridge engine {number}")
            lane = _BatchLane(self._recent, self._on_batch)
            self._tasks.append(asyncio.create_task(self._work(conn, (own, self._shared), lane)))
        conn = await connect(self._dsn, application_name="stockbridge masters")
        work = self._work(conn, (self._direct,), _DirectLane())
        self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Finish what was submitted, then close."""
        self._stopping = True
        for intake in (self._shared, self._direct, *self._intakes):
            intake.wake()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for intake in (self._shared, self._direct, *self._intakes):
            intake.wakes.clear()

    async def submit(self, command: Command) -> Outcome:
        """Decide and commit the command; returns after the commit.

        Refusals are outcomes. Raises TypeError for a body that is no command.
        """
        future: Future[Outcome] = asyncio.get_running_loop().create_future()

        def told(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self.begin(command, told)
        return await future

    def begin(self, command: Command, told: Told) -> None:
        """The same for callers that do not wait: `told` hears the outcome and raises nothing."""
        kind = type(command.body)
        if kind not in HANDLERS and kind not in MASTER_HANDLERS:
            msg = f"{kind.__name__} is no command of the engine"
            raise TypeError(msg)
        if self._stopping or not self._tasks:
            told(encode(UNREACHABLE))
            return
        request = Request(command, told)
        if request.key in self._running_keys:
            told(encode(IN_PROGRESS))
            return
        intake = self._intake_of(request)
        self._running_keys.add(request.key)
        intake.put(request)

    def _intake_of(self, request: Request) -> "Intake":
        """Facts of one line go by item, so that workers' batches share no item and never wait."""
        kind = type(request.command.body)
        if kind not in HANDLERS:
            return self._direct
        if kind in FACTS and request.weight == 1:
            line = request.command.body.lines[0]
            return self._intakes[hash(line.sku or line.alias) % self._workers]
        return self._shared

    async def _work(self, conn: Conn, intakes: "tuple[Intake, ...]", runner: "_Lane") -> None:
        """Take from the intakes in turn: a batch holds one kind of work, none waits for ever."""
        wake = asyncio.Event()
        for intake in intakes:
            intake.wakes.append(wake)
        while True:
            ready = [intake for intake in intakes if intake.is_ready]
            if not ready:
                if self._stopping and not any(intake.queue for intake in intakes):
                    break
                wake.clear()
                await wake.wait()
                continue
            intakes = (*intakes[1:], intakes[0])
            with ready[0].batch() as batch:
                conn = await self._run(conn, batch, runner)
        await conn.close()

    async def _run(self, conn: Conn, batch: list[Request], runner: "_Lane") -> Conn:
        """Run a batch to its end, through reconnects; keys make running it again safe."""
        give_up = perf_counter() + RECONNECT_SECONDS
        while True:
            try:
                if conn.closed:
                    conn = await connect(self._dsn, application_name=f"stockbridge {runner.name}")
                outcomes = await runner.run(conn, batch)
            except (psycopg.OperationalError, Misconfigured) as error:
                log.warning("database lost; trying again", error=str(error))
                await conn.close()
                if perf_counter() > give_up:
                    self._answer(batch, [encode(UNREACHABLE)] * len(batch))
                    return conn
                await asyncio.sleep(0.1)
            except Exception:
                log.exception("engine worker failed")
                await conn.close()
                self._answer(batch, [encode(BROKEN)] * len(batch))
                return conn
            else:
                self._answer(batch, outcomes)
                return conn

    def _answer(self, batch: list[Request], outcomes: list[Outcome]) -> None:
        for request, outcome in zip(batch, outcomes, strict=True):
            self._running_keys.discard(request.key)
            if request.told is not None:
                request.told(outcome)


class Intake:
    """Commands waiting, and who is told.

    While a batch of it is under way another is begun only when enough wait: a batch of sixteen
    costs nearly as many statements as one of sixty-four.
    """

    def __init__(self) -> None:
        self.queue: deque[Request] = deque()
        self.wakes: list[asyncio.Event] = []
        self._under_way = 0

    @property
    def is_ready(self) -> bool:
        """Whether a worker should take a batch now."""
        waiting = len(self.queue)
        return waiting >= GATHERED or (waiting > 0 and not self._under_way)

    @contextmanager
    def batch(self) -> Iterator[list[Request]]:
        """A batch, under way inside the context."""
        self._under_way += 1
        try:
            yield take(self.queue)
        finally:
            self._under_way -= 1
            self.wake()

    def put(self, request: Request) -> None:
        """Queue a command."""
        self.queue.append(request)
        self.wake()

    def wake(self) -> None:
        """Tell the workers to look."""
        for event in self.wakes:
            event.set()


def take(queue: deque[Request]) -> list[Request]:
    """What is waiting, up to the limits; an order larger than the limit goes alone."""
    batch = [queue.popleft()]
    lines = batch[0].weight
    while queue and len(batch) < BATCH_MAX and lines + queue[0].weight <= LINES_MAX:
        request = queue.popleft()
        lines += request.weight
        batch.append(request)
    return batch


class _Lane(Protocol):
    """How a worker runs what it takes."""

    name: str

    async def run(self, conn: Conn, batch: list[Request]) -> list[Outcome]:
        """Outcomes in the order of the batch, committed."""


class _BatchLane:
    """Rules on locked rows, many commands a transaction. Has its own copy of the masters."""

    name = "engine"

    def __init__(self, recent: Recent, on_batch: BatchDone | None) -> None:
        self._masters = Masters()
        self._recent = recent
        self._on_batch = on_batch

    async def run(self, conn: Conn, batch: list[Request]) -> list[Outcome]:
        started = perf_counter()
        try:
            outcomes = await run_batch(conn, self._masters, batch, self._recent)
        except psycopg.OperationalError:
            raise
        except Exception:
            log.exception("batch failed; running its commands one by one", size=len(batch))
            if conn.closed:
                raise psycopg.OperationalError("connection closed by a failing batch") from None
            await rollback(conn)
            isolated = await isolate(conn, self._masters, batch, self._recent)
            for request, outcome in zip(batch, isolated, strict=True):
                if outcome is None:
                    await open_poison(conn, request)
            outcomes = [outcome or encode(BROKEN) for outcome in isolated]
        if self._on_batch is not None:
            self._on_batch(len(batch), perf_counter() - started)
        return outcomes


class _DirectLane:
    """Masters: one transaction each, by their own statements."""

    name = "masters"

    async def run(self, conn: Conn, batch: list[Request]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for request in batch:
            try:
                outcomes.append(await run_direct(conn, request))
            except psycopg.OperationalError:
                raise
            except Exception:
                log.exception("master command failed")
                await rollback(conn)
                await open_poison(conn, request)
                outcomes.append(encode(BROKEN))
        return outcomes


Submit = Callable[[Command], Awaitable[Outcome]]
