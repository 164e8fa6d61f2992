"""The taking side: raw bytes and envelopes are committed before anybody is told so."""

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, NamedTuple

import psycopg
import structlog
from psycopg import AsyncConnection

from stockbridge import governance
from stockbridge.engine.inbox.columns import Batch, sequence_values
from stockbridge.engine.inbox.model import Accepted, Envelope, Message
from stockbridge.engine.inbox.rules import refusal_of
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.store.arrays import ints, texts
from stockbridge.store.database import connect
from stockbridge.store.pipeline import Rows, Statement, rollback, run
from stockbridge.store.sql import load

BATCH_MAX = 2_000
BATCH_BYTES_MAX = 16 * 1024 * 1024
"""Of one transaction. Its ids are 4096 apart from the next one's: each message may conflict."""
QUEUE_MAX = 20_000
QUEUE_BYTES_MAX = 64 * 1024 * 1024
"""Messages and bytes that may wait to be committed; beyond, senders are told to try again."""
GRACE_SECONDS = 5
"""How long an accepted message belongs to the process that has it in memory."""
RECONNECT_SECONDS = 30.0
_IDS_AHEAD = 64

SQL = load(__package__)
GOVERNANCE_SQL = load(governance.__name__)
log = structlog.get_logger()
Conn = AsyncConnection[Any]
OnAccepted = Callable[[list[Message]], None]


class _Piece(NamedTuple):
    """Messages of one caller that are committed together, and who waits for them."""

    envelopes: Sequence[Envelope]
    size: int
    future: "Future[list[Accepted]]"


class Inbox:
    """Takes messages from any number of doors; many of them share a transaction.

    `on_accepted` is handed what is new, after its commit; what it does not keep is found by a
    scan once `grace_seconds` have passed.
    """

    def __init__(
        self,
        dsn: str,
        *,
        on_accepted: OnAccepted | None = None,
        workers: int = 2,
        grace_seconds: int = GRACE_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._on_accepted = on_accepted
        self._workers = workers
        self._grace_seconds = grace_seconds
        self._queue: deque[_Piece] = deque()
        self._waiting = 0
        self._waiting_bytes = 0
        self._first_ids: deque[int] = deque()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def depth(self) -> int:
        """Messages waiting for their commit."""
        return self._waiting

    @property
    def is_running(self) -> bool:
        """Whether messages are taken."""
        return not self._stopping and bool(self._tasks) and not any(t.done() for t in self._tasks)

    async def start(self) -> None:
        """Connect and begin; raises Misconfigured when the database is not there."""
        self._stopping = False
        self._wake = asyncio.Event()
        for number in range(self._workers):
            conn = await connect(self._dsn, application_name=f"stockbridge inbox {number}")
            self._tasks.append(asyncio.create_task(self._work(conn)))

    async def stop(self) -> None:
        """Commit what was handed over, then close."""
        self._stopping = True
        self._wake.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def accept(self, envelopes: Sequence[Envelope]) -> list[Accepted]:
        """What became of each envelope, in order, all committed with their bytes.

        Raises ValueError for an envelope that `rules.refusal_of` refuses (nothing is kept then),
        and Retry when too much waits already or the database is away (what was kept is a
        duplicate the next time).
        """
        for envelope in envelopes:
            refusal = refusal_of(envelope)
            if refusal is not None:
                raise ValueError(refusal.detail)
        sizes = [len(envelope.body) for envelope in envelopes]
        self._admit(len(sizes), sum(sizes))
        futures = [self._enqueue(part, size) for part, size in _split(envelopes, sizes)]
        self._wake.set()
        accepted = await asyncio.gather(*futures)
        return [each for part in accepted for each in part]

    def _admit(self, count: int, size: int) -> None:
        if self._stopping or not self._tasks:
            raise Retry("the inbox is stopping; send the same messages again")
        if not self._waiting:
            return
        if self._waiting + count > QUEUE_MAX or self._waiting_bytes + size > QUEUE_BYTES_MAX:
            raise Retry(f"{self._waiting:,} messages wait already; send the same again in 1 s")

    def _enqueue(self, envelopes: Sequence[Envelope], size: int) -> "Future[list[Accepted]]":
        future: Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Piece(envelopes, size, future))
        self._waiting += len(envelopes)
        self._waiting_bytes += size
        return future

    async def _work(self, conn: Conn) -> None:
        while True:
            if not self._queue:
                if self._stopping:
                    break
                self._wake.clear()
                await self._wake.wait()
                continue
            pieces = _take(self._queue)
            self._waiting -= sum(len(piece.envelopes) for piece in pieces)
            self._waiting_bytes -= sum(piece.size for piece in pieces)
            conn = await self._run(conn, pieces)
        await conn.close()

    async def _run(self, conn: Conn, pieces: list[_Piece]) -> Conn:
        """Commit the pieces, through reconnects; alone each, where they fail together."""
        give_up = perf_counter() + RECONNECT_SECONDS
        while True:
            try:
                if conn.closed:
                    conn = await connect(self._dsn, application_name="stockbridge inbox")
                await self._commit(conn, pieces)
            except (psycopg.OperationalError, Misconfigured) as error:
                log.warning("inbox: database lost; trying again", cause=str(error))
                await conn.close()
                if perf_counter() > give_up:
                    _fail(pieces, Retry("the database cannot be reached; send the same again"))
                    return conn
                await asyncio.sleep(0.1)
            except Exception as error:
                await rollback(conn)
                if len(pieces) == 1:
                    log.exception("inbox: messages cannot be kept")
                    _fail(pieces, error)
                    return conn
                for piece in pieces:
                    conn = await self._run(conn, [piece])
                return conn
            else:
                return conn

    async def _commit(self, conn: Conn, pieces: list[_Piece]) -> None:
        envelopes = [envelope for piece in pieces for envelope in piece.envelopes]
        if not self._first_ids:
            cursor = await conn.execute(SQL.next_inbox_batch, {"count": _IDS_AHEAD})
            self._first_ids.extend(row[0] for row in await cursor.fetchall())
        first_id = self._first_ids.popleft()
        accepted, fresh = await keep(conn, envelopes, first_id, self._grace_seconds)
        if self._on_accepted is not None and fresh:
            self._on_accepted(fresh)
        at = 0
        for piece in pieces:
            end = at + len(piece.envelopes)
            if not piece.future.done():
                piece.future.set_result(accepted[at:end])
            at = end


async def keep(
    conn: Conn, envelopes: Sequence[Envelope], first_id: int, grace_seconds: int
) -> tuple[list[Accepted], list[Message]]:
    """Store the envelopes in one transaction; what each is, and the new messages.

    Ids are `first_id` and up; the transaction takes no more than BATCH_MAX of them.
    """
    batch = Batch(envelopes)
    received = {"status": "received", "reason_code": None, "reason": None}
    values = batch.values() | received | {"first_id": first_id, "grace_seconds": grace_seconds}
    writes = [*_repeats(batch), *_sequences(envelopes)]
    _, rows, *_ = await run(conn, [(b"BEGIN", {}), (SQL.accept_messages, values), *writes])
    conflicts = [place for place, row in enumerate(rows) if row[1] == "conflict"]
    if conflicts:
        await _keep_conflicts(conn, batch, rows, conflicts, first_id)
    await run(conn, [(b"COMMIT", {})])
    fresh = [
        Message(
            row[0], row[2], e.system, e.flow, e.sequence, e.correlation_id, e.principal,
            e.contract, e.content_type, e.body, 0,
        )
        for row, e in zip(rows, batch.unique, strict=True)
        if row[1] == "received"
    ]  # fmt: skip
    return _answers(batch, rows), fresh


def _answers(batch: Batch, rows: Rows) -> list[Accepted]:
    """What each envelope is: of several equal ones in a batch the first is the new one."""
    told: set[int] = set()
    answers: list[Accepted] = []
    for place in batch.places:
        message_id, status, _ = rows[place]
        if status == "received" and place in told:
            status = "duplicate"
        told.add(place)
        answers.append(Accepted(message_id, status))
    return answers


def _repeats(batch: Batch) -> Iterator[Statement]:
    repeats = batch.repeats()
    if not repeats:
        return
    names, positions, times = zip(*repeats, strict=True)
    values = {
        "identities": "{" + ",".join(names) + "}",
        "positions": ints(positions),
        "times": ints(times),
        "hashes": b"".join(batch.hashes),
    }
    yield SQL.count_repeats, values


def _sequences(envelopes: Sequence[Envelope]) -> Iterator[Statement]:
    noted = sequence_values(envelopes)
    if noted is not None:
        sources, numbers = noted
        yield SQL.open_sequences, sources
        yield SQL.lock_sequences, sources
        yield SQL.note_sequences, numbers


async def _keep_conflicts(
    conn: Conn, batch: Batch, rows: Rows, places: list[int], first_id: int
) -> None:
    """Keep contents that contradict an earlier message of their id, and tell an owner."""
    other = Batch([batch.unique[place] for place in places], by_content=True)
    other.times = [batch.times[place] for place in places]
    conflict = {
        "status": "rejected",
        "reason_code": "content_conflict",
        "reason": "another content came first under this source message id",
        "grace_seconds": 0,
        "first_id": first_id + len(batch.unique),
    }
    (kept,) = await run(conn, [(SQL.accept_messages, other.values() | conflict)])
    cases: dict[str, tuple[str, str]] = {}
    for place, envelope, row in zip(places, other.unique, kept, strict=True):
        first = rows[place][0]
        rows[place] = (row[0], "conflict", row[2])
        cause = (
            f"{envelope.system} sent {envelope.source_message_id} twice with different content: "
            f"message {first} was taken, message {row[0]} was kept aside"
        )
        cases[f"{envelope.system}/{envelope.source_message_id}"] = (cause, envelope.correlation_id)
    causes, correlations = zip(*cases.values(), strict=True)
    count = len(cases)
    await conn.execute(
        GOVERNANCE_SQL.open_exceptions,
        {
            "kinds": texts(["message_conflict"] * count),
            "subjects": texts(list(cases)),
            "severities": ints([2] * count),
            "owner_teams": texts(["operations"] * count),
            "causes": texts(causes),
            "actions": texts(
                ["Ask the source which content is right; discard or replay the other"] * count
            ),
            "correlation_ids": texts(correlations),
            "now": datetime.now(UTC),
        },
    )


def _split(
    envelopes: Sequence[Envelope], sizes: Sequence[int]
) -> list[tuple[Sequence[Envelope], int]]:
    """Parts that each fit in a batch."""
    parts: list[tuple[Sequence[Envelope], int]] = []
    start, total = 0, 0
    for at, size in enumerate(sizes):
        if at > start and (at - start >= BATCH_MAX or total + size > BATCH_BYTES_MAX):
            parts.append((envelopes[start:at], total))
            start, total = at, 0
        total += size
    parts.append((envelopes[start:], total))
    return parts if envelopes else []


def _take(queue: deque[_Piece]) -> list[_Piece]:
    """What waits, up to the limits."""
    pieces = [queue.popleft()]
    count, size = len(pieces[0].envelopes), pieces[0].size
    while queue:
        following = queue[0]
        if count + len(following.envelopes) > BATCH_MAX:
            break
        if size + following.size > BATCH_BYTES_MAX:
            break
        count += len(following.envelopes)
        size += following.size
        pieces.append(queue.popleft())
    return pieces


def _fail(pieces: list[_Piece], error: Exception) -> None:
    for piece in pieces:
        if not piece.future.done():
            piece.future.set_exception(error)
