"""One system's deliveries in this process: taken up, called a few at a time, then settled."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Connector, Delivery, Outcome, Partners
from stockbridge.contracts.partners.operations import OPERATIONS
from stockbridge.domain.world.model import ExceptionCase
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.outbox.cases import close_cases, open_cases, owners
from stockbridge.outbox.claim import GIVEN_UP, Job, claim, flags
from stockbridge.outbox.settle import NOT_CALLED, Ended, Settler, Written
from stockbridge.store.arrays import ints
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

WINDOW_MIN = 32
WINDOW_MAX = 1_024
"""Deliveries of a system in memory; a crash leaves so many to be looked up.

The window grows while calls wait for claims, and shrinks when deliveries wait in memory.
"""
QUEUED_SECONDS_MAX = 1.0
IDLE_SECONDS = 60.0
TROUBLE_SECONDS = 5.0
"""Until a system that cannot be called is looked at again."""
WAIT_SECONDS_MIN = 0.005
CALL_SLACK = 3.0
"""A call that takes so many times what the connector allows itself is given up."""

SQL = load(__package__)
log = structlog.get_logger()
UNUSABLE = "partner_unusable"


class Lane:
    """Works on one system until stopped; `wake` tells it that there may be something to do."""

    def __init__(
        self,
        system: str,
        *,
        pool: Pool,
        partners: Partners,
        settler: Settler,
        holder: str,
        lease_seconds: float,
    ) -> None:
        self.system = system
        self._pool = pool
        self._partners = partners
        self._settler = settler
        self._holder = holder
        self._lease_seconds = lease_seconds
        self._wake = asyncio.Event()
        self._queue: deque[Job] = deque()
        self._window = WINDOW_MIN
        self._is_behind = False
        self._claimed_at = 0.0
        self._calling: dict[int, Job] = {}
        self._unwritten = 0
        self._not_now: dict[str, float] = {}
        self._crowded: set[str] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._is_unusable = False
        self._task = asyncio.create_task(self._work(), name=f"deliveries {system}")

    @property
    def held(self) -> list[Job]:
        """Jobs in memory that are not written, those being called among them."""
        return [*self._queue, *self._calling.values()]

    def wake(self) -> None:
        """Look for work soon."""
        self._wake.set()

    def written(self, written: Sequence[Written]) -> None:
        """What became of jobs stands in the store: the next of their objects may be due."""
        self._unwritten -= len(written)
        for name in self._crowded:
            self._not_now.pop(name, None)
        self.wake()

    async def stop(self, grace_seconds: float) -> None:
        """Put back what was not called, wait a while for what is, then call it unknown."""
        self._stopping = True
        self.wake()
        # What is being taken up is finished: cut short, it would look as if it may be done.
        await asyncio.wait({self._task}, timeout=grace_seconds)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        queued = list(self._queue)
        self._queue.clear()
        if self._workers:
            await asyncio.wait(self._workers, timeout=grace_seconds)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if queued:
            await self._put_back(queued)

    async def _put_back(self, queued: Sequence[Job]) -> None:
        values = {
            "ids": ints(job.due.delivery_id for job in queued),
            "sends": flags(job.act == "send" for job in queued),
            "holder": self._holder,
        }
        try:
            async with self._pool.connection() as conn:
                await conn.execute(SQL.release_deliveries, values)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("outbox: deliveries wait for their lease", cause=str(error))

    async def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                wait = await self._step()
            except (Misconfigured, Retry) as error:
                await self._tell_unusable(error)
                wait = TROUBLE_SECONDS
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("outbox: database lost", system=self.system, cause=str(error))
                wait = 1.0
            except Exception:
                log.exception("outbox: deliveries cannot be taken up", system=self.system)
                wait = TROUBLE_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, WAIT_SECONDS_MIN)):
                    await self._wake.wait()

    async def _step(self) -> float:
        """Take up what is due, if there is room; in how many seconds to look again."""
        room = self._window - len(self._queue) - len(self._calling) - self._unwritten
        if room < self._window // 2:
            return IDLE_SECONDS
        connector = await self._partners.connector(self.system)
        manifest = connector.manifest
        now = monotonic()
        self._not_now = {name: until for name, until in self._not_now.items() if until > now}
        async with self._pool.connection() as conn:
            claimed = await claim(
                conn, self.system, manifest, holder=self._holder, limit=room,
                at_once=max(0, manifest.concurrency - len(self._queue) - len(self._calling)),
                not_now=list(self._not_now), lease_seconds=self._lease_seconds,
            )  # fmt: skip
            if self._is_unusable:
                await close_cases(conn, UNUSABLE, [self.system], "it can be called again")
                self._is_unusable = False
        if not claimed.is_closed:
            self._settler.is_troubled(self.system)
        self._crowded = claimed.crowded
        for name, seconds in claimed.not_now.items():
            self.hold_back(name, seconds)
        self._is_behind = len(claimed.jobs) >= room
        self._begin(claimed.jobs, manifest)
        return self._next_look(claimed.wait_seconds, full=self._is_behind)

    def hold_back(self, operation: str, seconds: float) -> None:
        """Send nothing of an operation for a while."""
        until = monotonic() + seconds
        self._not_now[operation] = max(self._not_now.get(operation, 0.0), until)

    def _next_look(self, wait_seconds: float | None, *, full: bool) -> float:
        waits = [until - monotonic() for until in self._not_now.values()]
        if wait_seconds is not None:
            waits.append(wait_seconds)
        if full:
            waits.append(0.0)
        return min([IDLE_SECONDS, *waits])

    def _begin(self, jobs: Sequence[Job], manifest: Manifest) -> None:
        now = monotonic()
        if self._queue and now - self._claimed_at > QUEUED_SECONDS_MAX:
            self._window = max(WINDOW_MIN, self._window // 2)
        if jobs:
            self._claimed_at = now
        for job in jobs:
            if job.act == GIVEN_UP:
                self._end(job, Outcome("unknown"), datetime.now(UTC), 0.0)
            else:
                self._queue.append(job)
        for _ in range(min(manifest.concurrency - len(self._workers), len(self._queue))):
            worker = asyncio.create_task(self._call_all(manifest))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _call_all(self, manifest: Manifest) -> None:
        seconds = manifest.timeout_seconds * CALL_SLACK
        while self._queue:
            job = self._queue.popleft()
            self._calling[job.due.delivery_id] = job
            began_at, began = datetime.now(UTC), monotonic()
            outcome = Outcome("unknown", "interrupted", "the hub was stopped during the call")
            try:
                outcome = await self._call(job, seconds)
            finally:
                del self._calling[job.due.delivery_id]
                self._end(job, outcome, began_at, monotonic() - began)
            if not self._queue:
                self._ran_dry()
            if len(self._queue) < self._window // 2:
                self.wake()

    def _ran_dry(self) -> None:
        """Nothing is left to call: where more is due, more is taken up the next time."""
        if self._is_behind:
            self._is_behind = False
            self._window = min(WINDOW_MAX, self._window * 2)

    def _end(self, job: Job, outcome: Outcome, began_at: datetime, seconds: float) -> None:
        if outcome.kind == "later" and outcome.after_seconds is not None and job.act == "send":
            self.hold_back(job.due.operation, outcome.after_seconds)
        self._unwritten += 1
        self._settler.put(Ended(job, outcome, began_at, seconds))

    async def _call(self, job: Job, seconds: float) -> Outcome:
        try:
            delivery = delivery_of(job)
        except msgspec.MsgspecError as error:
            return Outcome("rejected", "payload_invalid", str(error))
        try:
            connector: Connector = await self._partners.connector(self.system)
        except (Misconfigured, Retry) as error:
            return Outcome("later", NOT_CALLED, str(error), after_seconds=TROUBLE_SECONDS)
        if all(each.name != delivery.operation for each in connector.manifest.operations):
            name = connector.manifest.name
            return Outcome("rejected", "operation_not_offered", f"{name} does not take it")
        try:
            async with asyncio.timeout(seconds):
                if job.act == "probe":
                    return await connector.probe(delivery)
                return await connector.send(delivery)
        except TimeoutError:
            return Outcome("unknown", "timeout", f"no answer within {seconds:g} s")
        except Exception as error:
            log.exception("outbox: a connector failed", system=self.system)
            return Outcome("unknown", "connector_failed", type(error).__name__)

    async def _tell_unusable(self, error: Exception) -> None:
        """Show the owner once that what is due cannot be sent; not for who is not live."""
        if self._is_unusable or isinstance(error, Retry):
            return
        try:
            async with self._pool.connection() as conn:
                owner = (await owners(conn, [self.system]))[self.system]
                if owner.lifecycle in {"certified", "live"}:
                    self._is_unusable = True
                    action = f"Correct it: stockbridge systems test {self.system}"
                    case = ExceptionCase(
                        UNUSABLE, self.system, owner.criticality, owner.team, str(error), action, ""
                    )
                    await open_cases(conn, [case])
        except (psycopg.Error, PoolTimeout) as failure:
            log.warning("outbox: database lost", system=self.system, cause=str(failure))


def delivery_of(job: Job) -> Delivery:
    """The delivery as a connector is given it; raises msgspec.MsgspecError for a wrong payload."""
    due = job.due
    kind: type[Any] | None = OPERATIONS.get(due.operation)
    payload = msgspec.json.decode(due.payload, type=kind if kind is not None else Any)
    return Delivery(
        due.delivery_id, due.operation, due.object_key, due.idempotency_key, due.correlation_id,
        job.attempt, payload, due.reference,
    )  # fmt: skip
