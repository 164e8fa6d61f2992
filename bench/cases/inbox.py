"""The inbox: how fast messages are kept, applied from the store, and both at once."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

from bench.lab import ITEMS, LOCATIONS, Lab
from bench.load import spared_collector
from bench.model import Case, Figure, Measured, Target
from bench.runner import run_async
from stockbridge.contracts.events import decode
from stockbridge.engine import Engine
from stockbridge.engine.inbox.accept import Inbox
from stockbridge.engine.inbox.apply import Applier
from stockbridge.engine.inbox.model import Envelope
from stockbridge.store.database import connect

SENDERS = 32
SENT_AT_ONCE = 100
AHEAD_MAX = 6_000
"""Messages in memory at which senders of the last case pause, as doors do under load."""
_CONTRACT = "io.stockbridge.stock.received.v1"
_BYTES = 500
Group = list[Envelope]


def messages(name: str, count: int) -> list[Group]:
    """Receipts of about 500 bytes over all items, numbered, in groups as a door takes them."""
    chance = random.Random(3)
    made = []
    for number in range(count):
        sku, place = chance.randint(1, ITEMS), chance.choice(LOCATIONS)
        said = (
            f'{{"sku":"S{sku}","location":"{place}","quantity":3,'
            f'"occurred_at":"2026-11-20T10:00:00Z",'
            f'"document":{{"type":"po","number":"{name}-{number}","line":"1"}}}}'
        )
        made.append(
            Envelope(
                "wms", f"{name}-{number}", "stock", number, f"c-{name}-{number}", None, "bench",
                "events", _CONTRACT, "application/json", said.ljust(_BYTES).encode(),
            )
        )  # fmt: skip
    return [made[at : at + SENT_AT_ONCE] for at in range(0, count, SENT_AT_ONCE)]


@dataclass(slots=True)
class Took:
    """Time and CPU of a part of the case."""

    count: int
    seconds: float
    python_cpu: float
    postgres_cpu: float | None

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.count / self.seconds

    def details(self, name: str) -> dict[str, Any]:
        """CPU of one message."""
        used = self.postgres_cpu
        return {
            f"{name}_python_cpu_us": round(self.python_cpu / self.count * 1e6, 1),
            f"{name}_postgres_cpu_us": None if used is None else round(used / self.count * 1e6, 1),
        }


class Clock:
    """Measures from its making until `took`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._database = lab.database_cpu_seconds()
        self._python, self._began = process_time(), perf_counter()

    def took(self, count: int) -> Took:
        """What `count` messages took."""
        seconds, python = perf_counter() - self._began, process_time() - self._python
        after = self._lab.database_cpu_seconds()
        known = self._database is not None and after is not None
        return Took(count, seconds, python, after - self._database if known else None)  # type: ignore[operator]


async def send(inbox: Inbox, applier: Applier | None, groups: Iterator[Group]) -> None:
    """Senders take groups until there are none."""

    async def sender() -> None:
        for group in groups:
            await inbox.accept(group)
            if applier is not None:
                await fall_to(applier, AHEAD_MAX)

    await asyncio.gather(*[sender() for _ in range(SENDERS)])


async def fall_to(applier: Applier, depth: int) -> None:
    """Wait until the applier holds no more than `depth` messages."""
    while applier.depth > depth:  # noqa: ASYNC110 - only its depth tells
        await asyncio.sleep(0.005)


async def drain(dsn: str) -> None:
    """Wait until everything is settled."""
    while await waiting(dsn):  # noqa: ASYNC110 - the store tells
        await asyncio.sleep(0.2)


async def waiting(dsn: str) -> int:
    """Messages that are not settled."""
    async with await connect(dsn) as conn:
        query = b"SELECT count(*) FROM message WHERE status = 'received'"
        return int((await (await conn.execute(query)).fetchall())[0][0])


async def measure(lab: Lab, dsn: str, count: int) -> tuple[Took, Took, Took]:
    """Keep without applying, then apply what was kept, then both at once."""
    engine = Engine(dsn)
    applier = Applier(dsn, engine, decode)
    inbox = Inbox(dsn, on_accepted=applier.offer, grace_seconds=0)
    kept, live = messages("kept", count), messages("live", count)
    await engine.start()
    await inbox.start()
    with spared_collector():
        clock = Clock(lab)
        await send(inbox, None, iter(kept))
        accepted = clock.took(count)
        clock = Clock(lab)
        await applier.start()
        await drain(dsn)
        drained = clock.took(count)
        clock = Clock(lab)
        await send(inbox, applier, iter(live))
        await fall_to(applier, 0)
        both = clock.took(count)
    await inbox.stop()
    await applier.stop()
    await engine.stop()
    if await waiting(dsn):
        raise RuntimeError("messages were left over")
    return accepted, drained, both


def inbox(lab: Lab) -> Measured:
    """Receipts of 500 bytes, each its own message."""
    count = lab.sized(20_000, 100_000)
    with lab.stocked("inbox") as dsn:
        accepted, drained, both = run_async(measure(lab, dsn, count))
    values = {"accept": accepted.rate, "drain": drained.rate, "": both.rate}
    details = accepted.details("accept") | drained.details("drain") | both.details("both")
    return Measured(values, {"messages": count} | details)


CASES = (
    Case(
        "inbox",
        {
            "": Figure(
                "messages/s",
                "messages of one receipt kept, decoded, booked and settled, in process",
                "floor_pgbench",
                Target("at_least", 8_000),
            ),
            "accept": Figure(
                "messages/s",
                "500-byte messages kept with envelope, identity and sequence, nothing applied",
                "floor_copy",
                Target("at_least", 20_000),
            ),
            "drain": Figure("messages/s", "the same messages applied from the store"),
        },
        inbox,
    ),
)
