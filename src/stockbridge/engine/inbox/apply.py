"""The applying side: stored messages become commands, their outcomes become statuses.

Any number of nodes share the work. A message accepted here is applied from memory; what a crash
or a full queue left behind is claimed from the store with a lease. Applying one twice is safe:
the engine knows its commands by message, attempt and part.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection

from stockbridge.domain.world.command import Command
from stockbridge.engine.engine import Engine
from stockbridge.engine.inbox import parking, rules
from stockbridge.engine.inbox.model import Decode, Flow, Message, Settlement
from stockbridge.engine.inbox.settle import Settler
from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import connect
from stockbridge.store.sql import load

CONCURRENCY = 768
"""Messages with the engine at a time: three batches."""
QUEUE_MAX = 8_000
QUEUE_BYTES_MAX = 64 * 1024 * 1024
CLAIM_MAX = 4_000
CLAIM_BYTES_MAX = 32 * 1024 * 1024
LEASE_SECONDS = 30
TICK_SECONDS = 0.25
_JOIN_SHARE = 10
"""Looking for what parked messages miss takes at most one part in so many of the time."""
_PLAIN = Flow()

SQL = load(__package__)
log = structlog.get_logger()
Conn = AsyncConnection[Any]
Lane = tuple[str, str]

MAPPED_HERE_MAX = 4_096
"""Bytes up to which a mapped message is read on the event loop; a partner's mapping may be slow."""


class Applier:
    """Applies messages through `engine`, read by `decode`; see the module."""

    def __init__(
        self,
        dsn: str,
        engine: Engine,
        decode: Decode,
        *,
        lease_seconds: int = LEASE_SECONDS,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self.decode = decode
        self._dsn = dsn
        self._engine = engine
        self._lease_seconds = lease_seconds
        self._tick_seconds = tick_seconds
        self._queue: deque[Message] = deque()
        self._bytes = 0
        self._in_flight: set[int] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._lanes: dict[Lane, list[Message]] = defaultdict(list)
        self._lane_tasks: dict[Lane, asyncio.Task[None]] = {}
        self._flows: dict[Lane, Flow] = {}
        self._settler = Settler(dsn, self.flow_of, self._settled)
        self._ticker: asyncio.Task[None] | None = None
        self._stopping = True
        self._join_after = 0.0

    @property
    def depth(self) -> int:
        """Messages in memory, being applied included."""
        return len(self._in_flight)

    @property
    def is_running(self) -> bool:
        """Whether messages are applied."""
        return self._ticker is not None and not self._ticker.done()

    def flow_of(self, system: str, flow: str) -> Flow:
        """How patient a flow is, as of the last tick."""
        return self._flows.get((system, flow), _PLAIN)

    async def start(self) -> None:
        """Begin with what is due in the store; raises Misconfigured without a database."""
        self._stopping = False
        await self._settler.start()
        conn = await self._listen()
        await self._read_flows(conn)
        self._ticker = asyncio.create_task(self._tick_forever(conn))

    async def stop(self) -> None:
        """Finish what is with the engine; what waits in memory stays due in the store."""
        self._stopping = True
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        self._queue.clear()
        self._lanes.clear()
        await asyncio.gather(*self._workers, *self._lane_tasks.values(), return_exceptions=True)
        await self._settler.stop()
        self._in_flight.clear()
        self._bytes = 0

    def offer(self, messages: Sequence[Message]) -> None:
        """Take new messages in memory, as many as there is room for; the scan finds the others."""
        for message in messages:
            if self._stopping or len(self._queue) >= QUEUE_MAX or self._bytes > QUEUE_BYTES_MAX:
                break
            if message.message_id in self._in_flight:
                continue
            self._in_flight.add(message.message_id)
            self._bytes += len(message.body)
            lane = (message.system, message.flow)
            if self._flows and self.flow_of(*lane).is_strict and message.sequence is not None:
                self._lanes[lane].append(message)
            else:
                self._queue.append(message)
        for _ in range(min(CONCURRENCY - len(self._workers), len(self._queue))):
            task = asyncio.create_task(self._work())
            self._workers.add(task)
            task.add_done_callback(self._workers.discard)
        for lane in [lane for lane in self._lanes if lane not in self._lane_tasks]:
            self._lane_tasks[lane] = asyncio.create_task(self._work_lane(lane))

    def _settled(self, message: Message) -> None:
        self._in_flight.discard(message.message_id)
        self._bytes -= len(message.body)

    async def _work(self) -> None:
        while self._queue:
            await self._apply(self._queue.popleft())

    async def _apply(self, message: Message) -> None:
        try:
            settlement = await self._outcome(message)
        except Exception as error:
            log.exception("message failed", message_id=message.message_id)
            settlement = rules.failed(message, f"{type(error).__name__}: {error}")
        if settlement is None:
            self._settled(message)
        else:
            self._settler.put(message, settlement)

    async def _outcome(self, message: Message) -> Settlement | None:
        read = (message.contract, message.content_type, message.body)
        is_partners = message.contract.startswith(("mapping:", "connector:"))
        if is_partners and len(message.body) > MAPPED_HERE_MAX:
            bodies = await asyncio.to_thread(self.decode, *read)
        else:
            bodies = self.decode(*read)
        if not isinstance(bodies, list):
            return rules.undecodable(bodies)
        if not bodies:
            return Settlement("applied", "nothing_told", "it says nothing that concerns us")
        if b"\0" in message.body or b"\\u0000" in message.body:
            refused = _nul_refused(bodies)
            if refused is not None:
                return refused
        commands = [command_of(message, body, part) for part, body in enumerate(bodies)]
        if len(commands) == 1:
            outcomes = [await self._engine.submit(commands[0])]
        else:
            outcomes = await asyncio.gather(*map(self._engine.submit, commands))
        return rules.settle(message, [rules.Result(o.status, o.body) for o in outcomes])

    async def _work_lane(self, lane: Lane) -> None:
        """A strict flow: one message at a time, by number, none beyond a gap before its time."""
        try:
            while self._lanes.get(lane):
                messages = sorted(self._lanes.pop(lane), key=lambda m: m.sequence or 0)
                await self._apply_in_order(lane, messages)
        finally:
            self._lane_tasks.pop(lane, None)

    async def _apply_in_order(self, lane: Lane, messages: list[Message]) -> None:
        left = deque(messages)
        try:
            first_gap = await self._first_gap(lane)
            while left and not self._stopping:
                message = left.popleft()
                blocked = rules.blocked_by(
                    message, self.flow_of(*lane), first_gap, datetime.now(UTC)
                )
                if blocked is None:
                    await self._apply(message)
                else:
                    self._settler.put(message, blocked)
        except (psycopg.Error, Misconfigured, OSError) as error:
            log.warning("applier: strict flow interrupted", lane=lane, cause=str(error))
        for message in left:
            self._settled(message)

    async def _first_gap(self, lane: Lane) -> int | None:
        values = {"system": lane[0], "flow": lane[1]}
        async with await connect(self._dsn, application_name="stockbridge strict flow") as conn:
            row = await (await conn.execute(SQL.first_gap, values)).fetchone()
        return row[0] if row else None

    async def _listen(self) -> Conn:
        conn = await connect(self._dsn, application_name="stockbridge applier")
        await conn.execute(SQL.listen_masters)
        await conn.execute(SQL.listen_inbox)
        return conn

    async def _tick_forever(self, conn: Conn) -> None:
        while True:
            try:
                async with conn:
                    while True:
                        await self.tick(conn)
                        async for _ in conn.notifies(timeout=self._tick_seconds, stop_after=1):
                            pass
            except (psycopg.Error, OSError) as error:
                log.warning("applier: database lost; trying again", cause=str(error))
            except Exception:
                log.exception("applier: a tick failed; trying again")
            while conn.closed:
                await asyncio.sleep(self._tick_seconds)
                with contextlib.suppress(psycopg.Error, Misconfigured, OSError):
                    conn = await self._listen()

    async def tick(self, conn: Conn) -> None:
        """Join what can be joined, note what is late, claim what is due."""
        await self._read_flows(conn)
        if perf_counter() >= self._join_after and await parking.any_parked(conn):
            began = perf_counter()
            await parking.join(conn)
            await parking.pass_deadlines(conn)
            self._join_after = perf_counter() + _JOIN_SHARE * (perf_counter() - began)
        if len(self._queue) < CLAIM_MAX:
            values = {
                "limit": CLAIM_MAX,
                "bytes_max": CLAIM_BYTES_MAX,
                "lease_seconds": self._lease_seconds,
            }
            rows = await (await conn.execute(SQL.claim_messages, values)).fetchall()
            self.offer([Message(*row) for row in sorted(rows)])

    async def _read_flows(self, conn: Conn) -> None:
        rows = await (await conn.execute(SQL.read_flows)).fetchall()
        self._flows = {(row[0], row[1]): Flow(*row[2:]) for row in rows}


def command_of(message: Message, body: Any, part: int) -> Command:
    """The engine's command for one part of a message, the same each time it is tried."""
    return Command(
        body=body,
        principal=message.principal,
        key=f"msg:{message.message_id}:{message.attempts}:{part}",
        correlation_id=message.correlation_id,
        system=message.system,
        message_id=str(message.message_id),
    )


def _nul_refused(bodies: list[Any]) -> Settlement | None:
    if "\\u0000" not in msgspec.json.encode(bodies).decode().replace("\\\\", ""):
        return None
    detail = "a text contains a NUL character, which no record can keep; remove it"
    return Settlement("rejected", "nul_character", detail)
