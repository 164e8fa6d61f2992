"""Writes what became of calls, many at a time: states, breakers, exceptions."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from random import random
from time import monotonic
from typing import Any, NamedTuple

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection

from stockbridge.contracts.partners.model import Outcome
from stockbridge.domain.world.model import ExceptionCase
from stockbridge.kernel.errors import Misconfigured
from stockbridge.outbox.breaker import reached
from stockbridge.outbox.breakers import note
from stockbridge.outbox.cases import Owner, open_cases, owners
from stockbridge.outbox.claim import GIVEN_UP, Job, flags
from stockbridge.outbox.limits.gate import release
from stockbridge.outbox.states import Next, after, given_up
from stockbridge.store.arrays import ints, texts
from stockbridge.store.database import connect
from stockbridge.store.sql import load

SETTLED_MAX = 1_000
LINGER_SECONDS = 0.01
WRITE_SECONDS_MAX = 60.0
STOPPING_SECONDS = 2.0
"""How long the database may be away before outcomes are left to their leases."""
NOT_CALLED = "not_callable"
"""The code of an outcome that is ours: the partner was not called at all."""
TEXT_MAX = 1_000
"""Characters kept of what a partner says."""

SQL = load(__package__)
log = structlog.get_logger()
Conn = AsyncConnection[Any]


class Ended(NamedTuple):
    """A call that ended: what the partner said, when it began, how long it took."""

    job: Job
    outcome: Outcome
    began_at: datetime
    seconds: float


class Written(NamedTuple):
    """What a delivery became."""

    job: Job
    next: Next


Done = Callable[[Sequence[Written]], None]


class Settler:
    """Collects ended calls; `done` hears what was written.

    What cannot be written is not lost: its lease runs out and the delivery is looked up.
    """

    def __init__(self, dsn: str, holder: str, done: Done) -> None:
        self._dsn = dsn
        self._holder = holder
        self._done = done
        self._ended: list[Ended] = []
        self._troubled: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Connect and begin."""
        self._stopping = False
        conn = await connect(self._dsn, application_name="stockbridge outbox settler")
        self._task = asyncio.create_task(self._work(conn))

    async def stop(self) -> None:
        """Write what is left, then close."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None

    def put(self, ended: Ended) -> None:
        """Have a call's end written soon."""
        self._ended.append(ended)
        self._wake.set()

    def is_troubled(self, system: str) -> None:
        """Remember that a system's breaker has counted failures, so that a success is told."""
        self._troubled.add(system)

    async def _work(self, conn: Conn) -> None:
        while True:
            if not self._ended:
                if self._stopping:
                    break
                self._wake.clear()
                await self._wake.wait()
                continue
            some, self._ended = self._ended[:SETTLED_MAX], self._ended[SETTLED_MAX:]
            written = [Written(each.job, _next(each)) for each in some]
            conn = await self._write(conn, some, written)
            self._done(written)
            if not self._stopping:
                await asyncio.sleep(LINGER_SECONDS)
        await conn.close()

    async def _write(self, conn: Conn, some: list[Ended], written: list[Written]) -> Conn:
        give_up = monotonic() + (STOPPING_SECONDS if self._stopping else WRITE_SECONDS_MAX)
        while monotonic() < give_up:
            try:
                if conn.closed:
                    conn = await connect(self._dsn, application_name="stockbridge outbox settler")
                async with conn.transaction():
                    await self._save(conn, some, written)
            except (psycopg.OperationalError, Misconfigured) as error:
                log.warning("outbox: settler lost the database", cause=str(error))
                await conn.close()
                await asyncio.sleep(0.1)
            except Exception:
                log.exception("outbox: outcomes cannot be written", count=len(some))
                return conn
            else:
                return conn
        return conn

    async def _save(self, conn: Conn, some: list[Ended], written: list[Written]) -> None:
        if some:
            values = _columns(some, written) | {"holder": self._holder}
            await conn.execute(SQL.settle_deliveries, values)
        places: dict[str, Counter[int]] = defaultdict(Counter)
        for each in some:
            if each.job.lease_key is not None:
                places[each.job.system][each.job.lease_key] += 1
        for system in sorted(places):
            await release(conn, system, places[system])
        await self._note(conn, some)
        await _open_failed(conn, written)

    async def _note(self, conn: Conn, some: list[Ended]) -> None:
        """Tell the breakers; one that is closed without failures need not hear of successes."""
        counts: dict[str, list[int]] = {}
        details: dict[str, str] = {}
        for each in some:
            if each.job.act == GIVEN_UP or each.outcome.code == NOT_CALLED:
                continue
            answered = reached(each.job.act, each.outcome)
            counts.setdefault(each.job.system, [0, 0])[0 if answered else 1] += 1
            if not answered:
                details[each.job.system] = f"{each.outcome.code} {each.outcome.detail}".strip()
        for system, (good, bad) in sorted(counts.items()):
            if bad or system in self._troubled:
                told = await note(conn, system, good=good, bad=bad, detail=details.get(system, ""))
                self._troubled.add(system)
                if told.failures == 0:
                    self._troubled.discard(system)


def _next(ended: Ended) -> Next:
    job = ended.job
    if job.act == GIVEN_UP:
        return given_up(job.due.reference)
    return after(
        job.act,
        ended.outcome,
        attempts=job.attempt,
        age_seconds=job.due.age_seconds,
        is_accepted=job.due.is_accepted,
        ability=job.ability,
        chance=random(),  # noqa: S311 - jitter is no secret
    )


def _columns(some: Sequence[Ended], written: Sequence[Written]) -> dict[str, Any]:
    nexts = [each.next for each in written]
    return {
        "ids": ints(each.job.due.delivery_id for each in some),
        "attempts": ints(each.job.attempt for each in some),
        "states": texts([n.state for n in nexts]),
        "codes": texts([_kept(n.code) for n in nexts]),
        "details": texts([_kept(n.detail) for n in nexts]),
        "references": texts([_kept(n.reference) for n in nexts]),
        "pauses": "{" + ",".join([str(n.pause_seconds) for n in nexts]) + "}",
        "hinted": flags(n.is_hinted for n in nexts),
        "starts": flags(n.may_be_done or n.state in ("confirmed", "rejected") for n in nexts),
        "entries": texts([_entry(each) for each in some]),
    }


def _kept(text: str) -> str:
    return text[:TEXT_MAX].replace("\0", "")


def _entry(ended: Ended) -> str:
    """A line of the delivery's history, as JSON."""
    outcome = ended.outcome
    entry: dict[str, Any] = {
        "attempt": ended.job.attempt,
        "act": ended.job.act,
        "at": ended.began_at,
        "ms": round(ended.seconds * 1_000),
        "outcome": outcome.kind,
    }
    said = {"code": _kept(outcome.code), "detail": _kept(outcome.detail)}
    entry |= {name: text for name, text in said.items() if text}
    return msgspec.json.encode(entry).decode()


async def _open_failed(conn: Conn, written: Sequence[Written]) -> None:
    """One exception for all deliveries of a system and operation that fail for one reason."""
    failed = [each for each in written if each.next.state in ("rejected", "dead")]
    if failed:
        known = await owners(conn, sorted({each.job.system for each in failed}))
        await open_cases(conn, [case_of(each, known) for each in failed])


def case_of(written: Written, known: Mapping[str, Owner]) -> ExceptionCase:
    """What the owner is shown."""
    job, end = written
    owner = known[job.system]
    if end.state == "rejected":
        kind = "delivery_rejected"
        action = "Correct what the partner refuses and retry the deliveries, or discard them"
    else:
        kind = "delivery_dead"
        action = "See at the partner whether it was done; then retry (or resend) or discard it"
    subject = f"{job.system}/{job.due.operation}/{end.code or 'no code'}"
    cause = f"delivery {job.due.delivery_id} of {job.due.object_key}: {end.code} {end.detail}"
    return ExceptionCase(
        kind, subject[:300], owner.criticality, owner.team, cause.strip(), action,
        job.due.correlation_id,
    )  # fmt: skip
