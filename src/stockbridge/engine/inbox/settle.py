"""Writes what became of messages, many at a time: status, what parked ones wait for, exceptions."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
import structlog
from psycopg import AsyncConnection

from stockbridge import governance
from stockbridge.engine.inbox.model import Flow, Message, Settlement
from stockbridge.engine.inbox.rules import deadline, pause_seconds
from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.arrays import ints, moments, texts, texts_or_null
from stockbridge.store.database import connect
from stockbridge.store.pipeline import Statement, rollback, run
from stockbridge.store.sql import load

SETTLED_MAX = 2_000
LINGER_SECONDS = 0.03
"""Between two writes: nobody waits for a status, and few large writes cost half of many small."""

SQL = load(__package__)
GOVERNANCE_SQL = load(governance.__name__)
log = structlog.get_logger()
Conn = AsyncConnection[Any]
FlowOf = Callable[[str, str], Flow]


class Settled(NamedTuple):
    """A message and what became of it."""

    message: Message
    settlement: Settlement


class Case(NamedTuple):
    """An exception to open."""

    kind: str
    subject: str
    severity: int
    owner_team: str
    cause: str
    action: str
    correlation_id: str


class Settler:
    """Collects settlements and writes them in the order they came; `done` hears of each."""

    def __init__(self, dsn: str, flow_of: FlowOf, done: Callable[[Message], None]) -> None:
        self._dsn = dsn
        self._flow_of = flow_of
        self._done = done
        self._waiting: list[Settled] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Connect and begin."""
        self._stopping = False
        self._wake = asyncio.Event()
        conn = await connect(self._dsn, application_name="stockbridge settler")
        self._task = asyncio.create_task(self._work(conn))

    async def stop(self) -> None:
        """Write what is left, then close."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None

    def put(self, message: Message, settlement: Settlement) -> None:
        """Have it written soon."""
        self._waiting.append(Settled(message, settlement))
        self._wake.set()

    async def _work(self, conn: Conn) -> None:
        while True:
            if not self._waiting:
                if self._stopping:
                    break
                self._wake.clear()
                await self._wake.wait()
                continue
            some = self._waiting[:SETTLED_MAX]
            del self._waiting[:SETTLED_MAX]
            conn = await self._write(conn, some)
            for settled in some:
                self._done(settled.message)
            if not self._stopping:
                await asyncio.sleep(LINGER_SECONDS)
        await conn.close()

    async def _write(self, conn: Conn, some: list[Settled]) -> Conn:
        """Write them; what cannot be written stays received and is tried again by the scan."""
        while True:
            try:
                if conn.closed:
                    conn = await connect(self._dsn, application_name="stockbridge settler")
                await write(conn, some, self._flow_of)
            except (psycopg.OperationalError, Misconfigured) as error:
                log.warning("settler: database lost; trying again", cause=str(error))
                await conn.close()
                if self._stopping:
                    return conn
                await asyncio.sleep(0.1)
            except Exception:
                log.exception("settler: settlements cannot be written", count=len(some))
                await rollback(conn)
                return conn
            else:
                return conn


async def write(conn: Conn, some: list[Settled], flow_of: FlowOf) -> None:
    """Write the settlements in one transaction and one round trip."""
    writes: list[Statement] = [(b"BEGIN", {}), (SQL.settle_messages, _columns(some))]
    parked = [settled for settled in some if settled.settlement.wait_keys]
    if parked:
        writes.append((SQL.park_messages, _parked(parked, flow_of)))
    cases = _cases(some, flow_of)
    if cases:
        writes.append((GOVERNANCE_SQL.open_exceptions, case_values(cases)))
    await run(conn, [*writes, (b"COMMIT", {})])


def _columns(some: list[Settled]) -> dict[str, Any]:
    return {
        "ids": ints([s.message.message_id for s in some]),
        "received": moments([s.message.received_at for s in some]),
        "statuses": texts([s.settlement.status for s in some]),
        "reason_codes": texts_or_null([s.settlement.reason_code for s in some]),
        "reasons": texts_or_null([s.settlement.reason for s in some]),
        "agains": ints([s.settlement.again_seconds for s in some]),
    }


def _parked(parked: list[Settled], flow_of: FlowOf) -> dict[str, Any]:
    now = datetime.now(UTC)
    rows = [
        (
            key,
            m.message_id,
            m.received_at,
            deadline(m, s, flow_of(m.system, m.flow), now),
            pause_seconds(m, s),
        )
        for m, s in parked
        for key in s.wait_keys
    ]
    keys, ids, received, deadlines, pauses = zip(*rows, strict=True)
    return {
        "keys": texts(keys),
        "ids": ints(ids),
        "received": moments(received),
        "deadlines": moments(deadlines),
        "pauses": ints(pauses),
    }


def _cases(some: list[Settled], flow_of: FlowOf) -> list[Case]:
    """One exception for all messages of a system and contract that fail for one reason."""
    cases: dict[tuple[str, str], Case] = {}
    for m, s in some:
        if s.status == "rejected":
            kind, severity, team = "message_rejected", 3, flow_of(m.system, m.flow).owner_team
            action = "Have the source correct and send it again, or discard it with a reason"
        elif s.status == "dead":
            kind, severity, team = "message_dead", 1, "engineering"
            action = "Read the log at its correlation id, mend the cause, replay the message"
        else:
            continue
        subject = f"{m.system}/{m.contract}/{s.reason_code}"
        cause = f"message {m.message_id} of {m.system}, {m.contract}: {s.reason}"
        cases[kind, subject] = Case(kind, subject, severity, team, cause, action, m.correlation_id)
    return list(cases.values())


def case_values(cases: Iterable[Case]) -> dict[str, Any]:
    """Parameters of `open_exceptions`."""
    kinds, subjects, severities, teams, causes, actions, correlations = zip(*cases, strict=True)
    return {
        "kinds": texts(kinds),
        "subjects": texts(subjects),
        "severities": ints(severities),
        "owner_teams": texts(teams),
        "causes": texts(causes),
        "actions": texts(actions),
        "correlation_ids": texts(correlations),
        "now": datetime.now(UTC),
    }
