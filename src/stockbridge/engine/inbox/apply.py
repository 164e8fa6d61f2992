"""The applying side: stored messages become commands, their outcomes become statuses.

Any number of nodes share the work. A message accepted here is applied from memory; what a crash
or a full queue left behind is claimed from the store with a lease. Applying one twice is safe:
the engine knows its commands by message, attempt and part.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
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
from stockbridge.engine.request import Outcome, encode
from stockbridge.kernel.errors import Misconfigured, Refusal
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
_NO_RESULT = rules.Result(0, b"")

SQL = load(__package__)
log = structlog.get_logger()
Conn = AsyncConnection[Any]
Lane = tuple[str, str]
End = Callable[[Message, "Settlement | None"], None]

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
        self._aside: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._is_pump_due = False
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
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()
        await asyncio.gather(*self._lane_tasks.values(), return_exceptions=True)
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
        self._pump()
        for lane in [lane for lane in self._lanes if lane not in self._lane_tasks]:
            self._lane_tasks[lane] = asyncio.create_task(self._work_lane(lane))

    def _pump(self) -> None:
        """Hand messages to the engine, as many as it shall have at a time."""
        self._is_pump_due = False
        while self._queue and self._under_way < CONCURRENCY:
            message = self._queue.popleft()
            self._under_way += 1
            if _is_read_aside(message):
                task = asyncio.create_task(self._apply(message))
                self._aside.add(task)
                task.add_done_callback(self._ended_aside)
            else:
                self._hand_over(message, self._commands_of(message), self._ended)

    def _ended(self, message: Message, settlement: Settlement | None) -> None:
        self._close(message, settlement)
        self._make_room()

    def _ended_aside(self, task: asyncio.Task[None]) -> None:
        self._aside.discard(task)
        self._make_room()

    def _make_room(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()
        if self._queue and not self._is_pump_due:
            self._is_pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _close(self, message: Message, settlement: Settlement | None) -> None:
        if settlement is None:
            self._settled(message)
        else:
            self._settler.put(message, settlement)

    def _settled(self, message: Message) -> None:
        self._in_flight.discard(message.message_id)
        self._bytes -= len(message.body)

    async def _apply(self, message: Message) -> None:
        """One message to its end, for those that come in turn or are read aside."""
        if _is_read_aside(message):
            found = await asyncio.to_thread(self._commands_of, message)
        else:
            found = self._commands_of(message)
        future: asyncio.Future[Settlement | None] = asyncio.get_running_loop().create_future()
        self._hand_over(message, found, lambda _, settlement: future.set_result(settlement))
        self._close(message, await future)

    def _commands_of(self, message: Message) -> list[Command] | Settlement:
        """What the message asks for, or what becomes of it without the engine; never raises."""
        try:
            bodies = self.decode(message.contract, message.content_type, message.body)
            if not isinstance(bodies, list):
                return rules.undecodable(bodies)
            if not bodies:
                return Settlement("applied", "nothing_told", "it says nothing that concerns us")
            if b"\0" in message.body or b"\\u0000" in message.body:
                refused = _nul_refused(bodies)
                if refused is not None:
                    return refused
            return [command_of(message, body, part) for part, body in enumerate(bodies)]
        except Exception as error:
            log.exception("message failed", message_id=message.message_id)
            return _failed(message, error)

    def _hand_over(self, message: Message, found: list[Command] | Settlement, end: End) -> None:
        """Begin the commands; `end` hears what became of the message once all are answered."""
        if isinstance(found, Settlement):
            end(message, found)
            return
        handed = _Handed(message, len(found), end)
        for part, command in enumerate(found):
            try:
                self._engine.begin(command, partial(handed.told, part))
            except Exception as error:
                log.exception("command failed", message_id=message.message_id)
                handed.told(part, _broken(error))

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


class _Handed:
    """A message whose commands are with the engine; `end` hears of it when all have an outcome."""

    __slots__ = ("_end", "_left", "_message", "_results")

    def __init__(self, message: Message, count: int, end: End) -> None:
        self._message = message
        self._results: list[rules.Result] = [_NO_RESULT] * count
        self._left = count
        self._end = end

    def told(self, part: int, outcome: Outcome) -> None:
        """One of the commands has its outcome."""
        self._results[part] = rules.Result(outcome.status, outcome.body)
        self._left -= 1
        if self._left:
            return
        try:
            settlement = rules.settle(self._message, self._results)
        except Exception as error:
            log.exception("message failed", message_id=self._message.message_id)
            settlement = _failed(self._message, error)
        self._end(self._message, settlement)


def _is_read_aside(message: Message) -> bool:
    is_partners = message.contract.startswith(("mapping:", "connector:"))
    return is_partners and len(message.body) > MAPPED_HERE_MAX


def _failed(message: Message, error: Exception) -> Settlement:
    return rules.failed(message, f"{type(error).__name__}: {error}")


def _broken(error: Exception) -> Outcome:
    return encode(Refusal("internal_error", f"{type(error).__name__}: {error}", 500))


def command_of(message: Message, body: Any, part: int) -> Command:
    """The engine's command for one part of a message, the same each time it is tried."""
    return Command(
        body=body,
        principal=message.principal,
        key=f"msg:{message.message_id}:{message.attempts}:{part}",
        correlation_id=message.correlation_id,
        system=message.system,
        message_id=str(message.message_id),
        flow=message.flow,
    )


def _nul_refused(bodies: list[Any]) -> Settlement | None:
    if "\\u0000" not in msgspec.json.encode(bodies).decode().replace("\\\\", ""):
        return None
    detail = "a text contains a NUL character, which no record can keep; remove it"
    return Settlement("rejected", "nul_character", detail)
