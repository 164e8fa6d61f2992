"""Keeps shelves current: listens first, then loads, then applies what it heard meanwhile.

Three connections: one hears notices, one beats, one reads. A beat that comes back proves that
every change committed before it was sent has been heard, because PostgreSQL delivers in the
order of commits.
"""

import asyncio
import contextlib
import struct
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field

import psycopg
import structlog
from psycopg import Notify

from stockbridge.domain.masters.cache import Masters
from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import connect
from stockbridge.store.snapshot import one_snapshot
from stockbridge.views.lag import Lag
from stockbridge.views.loading import (
    SQL,
    Connection,
    learn_items,
    load_all,
    load_kits,
    load_packed,
)
from stockbridge.views.notices import Notice, parse
from stockbridge.views.shelves import Plan, Shelves
from stockbridge.views.stream import Changes, Figures

LOG = structlog.get_logger(__name__)
_QUIET_SECONDS = 0.3
_SILENCE_SECONDS_MAX = 10.0
_PAUSE_SECONDS_MAX = 1.0
_RETRY_SECONDS_MAX = 10.0


def now_us() -> int:
    """Microseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class _Wanted:
    """What has to be read again; `unnamed` are items that moved before we knew them."""

    everything: bool = False
    masters: bool = False
    fences: bool = False
    supply: set[int] = field(default_factory=set)
    unnamed: set[int] = field(default_factory=set)

    def add(self, other: "_Wanted") -> None:
        self.everything |= other.everything
        self.masters |= other.masters
        self.fences |= other.fences
        self.supply |= other.supply
        self.unnamed |= other.unnamed


class Keeper:
    """The shelves, masters and subscribers of one process, and the tasks that keep them current."""

    def __init__(self, dsn: str, age_seconds_max: float, beat_seconds: float) -> None:
        self.shelves = Shelves()
        self.masters = Masters()
        self.changes = Changes()
        self.lag = Lag()
        self.as_of = 0
        self.loads = 0
        self.load_seconds = 0.0
        self.loaded = asyncio.Event()
        self.proved = asyncio.Event()
        self._dsn = dsn
        self._age_seconds_max = age_seconds_max
        self._beat_seconds = beat_seconds
        self._name = uuid.uuid4().hex
        self._plans: dict[str, Plan] = {}
        self._proven = float("-inf")
        self._unheard_since = float("inf")
        self._heard: list[str] | None = None
        self._reload_due: asyncio.TimerHandle | None = None
        self._listening = asyncio.Event()
        self._sessions = 0
        self._wanted = _Wanted()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # Asked by answers --------------------------------------------------------------------------
    @property
    def age_seconds(self) -> float:
        """How long since the shelves were known to hold everything committed; may be infinite."""
        return time.monotonic() - self._proven if self.loaded.is_set() else float("inf")

    @property
    def current(self) -> bool:
        """Loaded, and known to be no older than allowed."""
        return self.loaded.is_set() and time.monotonic() - self._proven <= self._age_seconds_max

    def plan(self, channel: str, now: int) -> Plan | None:
        """The channel prepared for look-ups at `now` (microseconds); None if we know no such."""
        plan = self._plans.get(channel)
        if plan is None or plan.policy_ends <= now:
            known = self.masters.channels.get(channel)
            if known is None:
                return None
            plan = self._plans[channel] = Plan.of(known, now)
        return plan

    def want_item(self, item_id: int) -> None:
        """Learn an item that was found in the store but is not here yet."""
        self._want(_Wanted(masters=True, unnamed={item_id}))

    # Life --------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the tasks; `loaded` tells of the shelves being filled, `proved` of a first beat."""
        steps = {"listen": self._listen, "beat": self._beat, "read": self._read}
        self._tasks = [
            asyncio.create_task(_again_and_again(name, step), name=f"stock view: {name}")
            for name, step in steps.items()
        ]

    async def stop(self) -> None:
        """End the tasks and their connections; the shelves are no longer current."""
        self.loaded.clear()
        if self._reload_due is not None:
            self._reload_due.cancel()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def _listen(self) -> None:
        async with await connect(self._dsn, application_name="stockbridge view listen") as conn:
            for statement in (SQL.listen_stock, SQL.listen_masters, SQL.listen_beat):
                await conn.execute(statement)
            self._sessions += 1
            self._listening.set()
            self._want(_Wanted(everything=True))
            try:
                await self._hear_all(conn)
            finally:
                self._listening.clear()
                self.loaded.clear()

    async def _hear_all(self, conn: Connection) -> None:
        self._unheard_since = float("inf")
        while True:
            async for notify in conn.notifies(timeout=_SILENCE_SECONDS_MAX):
                self._hear(notify)
            if time.monotonic() - self._unheard_since > _SILENCE_SECONDS_MAX:
                raise TimeoutError("heartbeats are committed but not heard: a dead connection")

    async def _beat(self) -> None:
        async with await connect(self._dsn, application_name="stockbridge view beat") as conn:
            while True:
                await self._listening.wait()
                sent = time.monotonic_ns()
                beat = f"{self._name} {sent} {now_us()}"
                async with asyncio.timeout(_SILENCE_SECONDS_MAX):
                    await conn.execute(SQL.beat, {"beat": beat})
                if self._proven < sent / 1e9:
                    self._unheard_since = min(self._unheard_since, time.monotonic())
                await asyncio.sleep(self._beat_seconds)

    async def _read(self) -> None:
        async with await connect(self._dsn, application_name="stockbridge view read") as conn:
            while True:
                await self._wake.wait()
                self._wake.clear()
                began = time.monotonic()
                await self._read_wanted(conn)
                # Masters that change all the time are read a quarter of the time, not all of it.
                await asyncio.sleep(min(_PAUSE_SECONDS_MAX, 3 * (time.monotonic() - began)))

    # Hearing -----------------------------------------------------------------------------------
    def _hear(self, notify: Notify) -> None:
        if notify.channel == "stockbridge_masters":
            self._want(_Wanted(masters=True))
        elif notify.channel == "stockbridge_beat":
            self._hear_beat(notify.payload)
        elif self._heard is not None:
            self._heard.append(notify.payload)
        else:
            self._apply(notify.payload)

    def _hear_beat(self, payload: str) -> None:
        if not payload.startswith(self._name):
            return
        _, steady, sent = payload.split(" ")
        self._proven = int(steady) / 1e9
        self._unheard_since = float("inf")
        self.proved.set()
        self.as_of = max(self.as_of, int(sent))
        for code in list(self.changes.channels):
            before = self._plans.get(code)
            plan = self.plan(code, int(sent))
            if before is not None and plan is not None and plan.policy != before.policy:
                self.changes.start_over(code)

    def _apply(self, payload: str) -> None:
        try:
            notice = parse(payload)
            self._apply_stock(notice)
        except (ValueError, struct.error) as error:
            # What it said is lost to us, so everything is read again.
            LOG.warning("stock notice not understood, loading anew", error=str(error))
            notice = Notice(reload=True)
        if notice.reload:
            self._load_when_quiet()
        if notice.fences or notice.supply:
            self._want(_Wanted(fences=notice.fences, supply=notice.supply))

    def _load_when_quiet(self) -> None:
        # An import sends a notice for each of its chunks; one load after the last one will do.
        self.loaded.clear()
        if self._reload_due is not None:
            self._reload_due.cancel()
        self._reload_due = asyncio.get_running_loop().call_later(_QUIET_SECONDS, self._load_now)

    def _load_now(self) -> None:
        self._reload_due = None
        self._want(_Wanted(everything=True))

    def _apply_stock(self, notice: Notice) -> None:
        shelves = self.shelves
        if notice.batch_id is not None:
            self.changes.sequence = notice.batch_id
        items = {balance[0] for balance in notice.balances}
        with self._changing(items):
            for balance in notice.balances:
                shelves.put(*balance)
            shelves.feeds.update(notice.feeds)
        if unnamed := {item_id for item_id in items if item_id not in shelves.names}:
            self._want(_Wanted(masters=True, unnamed=unnamed))
        if notice.recorded_at is not None:
            self.as_of = max(self.as_of, notice.recorded_at)
            if self.loaded.is_set():
                behind = (now_us() - notice.recorded_at) / 1e6
                self.lag.note(behind, time.monotonic())

    @contextlib.contextmanager
    def _changing(self, items: Collection[int]) -> Iterator[None]:
        touched = self.shelves.touched_by(items)
        before = self._figures(touched)
        yield
        self.changes.tell(before, self._figures(touched), touched, self.shelves.names)

    def _figures(self, items: Collection[int]) -> Figures:
        now = now_us()
        plans = [plan for code in self.changes.channels if (plan := self.plan(code, now))]
        return {
            (plan.channel.code, item_id): self.shelves.look_up(plan, item_id, now)[0]
            for plan in plans
            for item_id in items
        }

    # Reading -----------------------------------------------------------------------------------
    def _want(self, wanted: _Wanted) -> None:
        self._wanted.add(wanted)
        self._wake.set()

    async def _read_wanted(self, conn: Connection) -> None:
        wanted, self._wanted = self._wanted, _Wanted()
        try:
            if wanted.everything:
                await self._load(conn)
            else:
                await self._refresh(conn, wanted)
        except BaseException:
            self._want(wanted)
            raise

    async def _load(self, conn: Connection) -> None:
        await self._listening.wait()
        began, session = time.monotonic(), self._sessions
        self._heard = []
        masters = Masters()
        try:
            async with one_snapshot(conn):
                await masters.reload(conn)
                await load_all(conn, self.shelves)
        finally:
            heard, self._heard = self._heard, None
        self._use(masters)
        for payload in heard:
            self._apply(payload)
        self.changes.start_over()
        self.loads += 1
        self.load_seconds = time.monotonic() - began
        undisturbed = session == self._sessions and self._listening.is_set()
        if undisturbed and self._reload_due is None and not self._wanted.everything:
            self.loaded.set()
        LOG.info("stock view loaded", items=len(self.shelves.ids), seconds=self.load_seconds)

    async def _refresh(self, conn: Connection, wanted: _Wanted) -> None:
        shelves = self.shelves
        if wanted.masters:
            masters, kits = Masters(), shelves.kits
            async with one_snapshot(conn):
                await masters.reload(conn)
                await learn_items(conn, shelves, wanted.unnamed)
                await load_kits(conn, shelves)
            if self._use(masters) or shelves.kits != kits:
                self.changes.start_over()
        if wanted.fences:
            fences, old = await load_packed(conn, SQL.pack_fences), shelves.fences
            both = fences.keys() | old.keys()
            with self._changing({each for each in both if fences.get(each) != old.get(each)}):
                shelves.fences = fences
        if wanted.supply:
            supply = await load_packed(conn, SQL.pack_supply, list(wanted.supply))
            with self._changing(wanted.supply):
                for item_id in wanted.supply:
                    shelves.supply[item_id] = supply.get(item_id, b"")

    def _use(self, masters: Masters) -> bool:
        """Switch to newer masters; True if a channel changed."""
        changed = masters.channels != self.masters.channels
        self.masters = masters
        self._plans.clear()
        return changed


async def _again_and_again(name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Run `step` for ever; when it fails, again after a pause that grows while it keeps failing."""
    pause = 0.1
    while True:
        began = time.monotonic()
        try:
            await step()
        except (psycopg.Error, Misconfigured, OSError) as error:
            LOG.warning("stock view lost the database", task=name, error=str(error))
        except Exception:
            LOG.exception("stock view task failed", task=name)
        if time.monotonic() - began > _RETRY_SECONDS_MAX:
            pause = 0.1
        await asyncio.sleep(pause)
        pause = min(_RETRY_SECONDS_MAX, 2 * pause)
