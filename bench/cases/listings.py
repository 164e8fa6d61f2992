"""Listings: zero-outs before a bulk that fills the budget for hours, latency, one hot item.

The partner is simulated in this process: it compares, counts, and takes 20 ms a call. Times are
real, nothing is scaled: with a million listings due, a minute is measured, and how long the first
in the line would wait for the last in it follows from the budget.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from time import perf_counter
from typing import Any

import psycopg
from psycopg import AsyncConnection

from bench.lab import CHANNEL, SQL, Lab, settle
from bench.model import Case, Figure, Measured, Target
from bench.runner import run_async
from stockbridge.contracts.commands import ReserveLine, ReserveStock
from stockbridge.contracts.partners.manifest import LimitRule, Manifest, Stock, TokenBucket
from stockbridge.contracts.partners.model import Outcome, StockUpdate
from stockbridge.engine import Command, Engine
from stockbridge.outbox import listings
from stockbridge.outbox.listings.desired import Desk
from stockbridge.outbox.listings.publisher import Publisher
from stockbridge.store.arrays import ints
from stockbridge.store.database import connect, open_pool
from stockbridge.store.sql import load
from stockbridge.views.figures import ViewFigures
from stockbridge.views.stock import StockView

LISTINGS_SQL = load(listings.__name__)
LISTINGS = 1_000_000
UPDATES_A_MINUTE = 2_000
CHANGES_A_SECOND = 500
HOT_CHANGES_A_SECOND = 1_000
HOT_CALLS_A_SECOND = 2.0
_HOT_BURST = 4
_CALL_SECONDS = 0.02
_ZEROS_A_SECOND = 5
_SYSTEM = "SHOP"
HELD = 3_000_000_000
"""Units of each item, at all locations together (`bench.lab.stock`)."""


class Partner:
    """Counts calls and remembers when each listing was told what."""

    def __init__(self, limits: Sequence[LimitRule] = (), rows_max: int = 50) -> None:
        self.manifest = Manifest(
            name="loopback", title="A shop that only counts", kind="storefront", version="1",
            summary="", limits=list(limits), concurrency=8,
            stock=Stock(mode="compare_and_set", rows_max=rows_max, item_key="sku",
                        quantity_max=2 * HELD),
        )  # fmt: skip
        self.calls = 0
        self.shown: dict[int, int] = {}
        self.waiting: dict[str, float] = {}
        self.latencies: list[float] = []

    async def connector(self, _system: str) -> Any:
        """Itself, as the open connection of every system."""
        return self

    async def orders_heard_at(self, _system: str) -> None:
        """Never."""

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """Take everything."""
        now = perf_counter()
        self.calls += 1
        for update in updates:
            began = self.waiting.pop(update.sku, None)
            if began is not None:
                self.latencies.append(now - began)
            self.shown[update.listing_id] = update.quantity
        await asyncio.sleep(_CALL_SECONDS)
        return [Outcome("confirmed")] * len(updates)


class _Manifests:
    def __init__(self, partner: Partner) -> None:
        self._partner = partner

    def manifest(self, _name: str) -> Manifest:
        return self._partner.manifest


def prepare(dsn: str, due: bool) -> None:
    """List every item on the channel; all due for more, or all showing what they shall."""
    with psycopg.connect(dsn) as conn:
        conn.execute(SQL.add_shop, {"system": _SYSTEM, "channel": CHANNEL})
        listed = {"system": _SYSTEM, "channel": CHANNEL, "due": due, "held": HELD}
        conn.execute(SQL.add_listings, listed)
    settle(dsn)


@contextlib.asynccontextmanager
async def publishing(dsn: str, partner: Partner, *, desk: bool) -> AsyncIterator[None]:
    """A worker's part of listings; with `desk`, figures follow the stock."""
    async with await open_pool(dsn, 4) as pool:
        view = StockView(dsn, pool)
        figures = ViewFigures(view)
        work = [Publisher(dsn, pool, partner, figures).run_forever()]
        if desk:
            await view.start(wait_seconds=60)
            work.append(Desk(dsn, figures, _Manifests(partner)).run_forever())
        tasks = [asyncio.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await view.stop()


def zero_outs(lab: Lab) -> Measured:
    """Some listings go to zero every second while all others wait to go up."""
    count, seconds = lab.sized(20_000, LISTINGS), lab.sized(10, 60)
    limit = TokenBucket(burst=33, per_second=UPDATES_A_MINUTE / 60)
    partner = Partner([LimitRule(operations=["publish"], limit=limit)], rows_max=1)
    with lab.stocked("listings_zero", count) as dsn:
        prepare(dsn, due=True)
        run_async(_drain(dsn, partner, count, seconds))
    waits = sorted(partner.latencies)
    if len(waits) < seconds * _ZEROS_A_SECOND:
        raise RuntimeError(f"only {len(waits)} zero-outs left in {seconds} s")
    values = {"": _percentile(waits, 0.99), "calls": partner.calls * 60 / seconds}
    first_in_first_out = count / UPDATES_A_MINUTE / 60
    return Measured(values, {"listings": count, "first_in_first_out_hours": first_in_first_out})


async def _drain(dsn: str, partner: Partner, count: int, seconds: int) -> None:
    async with publishing(dsn, partner, desk=False), await connect(dsn) as conn:
        chosen = random.Random(1).sample(range(1, count + 1), seconds * _ZEROS_A_SECOND)
        for second in range(seconds):
            ids = chosen[second * _ZEROS_A_SECOND : (second + 1) * _ZEROS_A_SECOND]
            now = perf_counter()
            partner.waiting |= {f"S{number}": now for number in ids}
            zeros = ints([0] * len(ids))
            await conn.execute(LISTINGS_SQL.want, {"ids": ints(ids), "desired": zeros})
            await asyncio.sleep(max(0.0, now + 1 - perf_counter()))
        async with asyncio.timeout(60):
            while partner.waiting:  # noqa: ASYNC110 - the partner is told from elsewhere
                await asyncio.sleep(0.01)


def latency(lab: Lab) -> Measured:
    """Reservations of random items; from asking for one until the call that tells the partner."""
    partner = Partner()
    items = lab.sized(2_000, 10_000)
    with lab.stocked("listings_latency", items) as dsn:
        prepare(dsn, due=False)
        changes = int(lab.seconds * CHANGES_A_SECOND)
        skus = [f"S{random.Random(n).randint(1, items)}" for n in range(changes)]
        run_async(_change(dsn, partner, skus, CHANGES_A_SECOND))
    waits = sorted(partner.latencies)
    values = {"": 1000 * _percentile(waits, 0.5), "p99": 1000 * _percentile(waits, 0.99)}
    return Measured(values, {"changes": changes, "items": items, "calls": partner.calls})


def hot(lab: Lab) -> Measured:
    """One item, a thousand changes a second, a budget of two calls a second."""
    limit = TokenBucket(burst=_HOT_BURST, per_second=HOT_CALLS_A_SECOND)
    partner = Partner([LimitRule(operations=["publish"], limit=limit)])
    with lab.stocked("listings_hot", 10) as dsn:
        prepare(dsn, due=False)
        changes = int(lab.seconds * HOT_CHANGES_A_SECOND)
        work = _change(dsn, partner, ["S1"] * changes, HOT_CHANGES_A_SECOND)
        took, arrived = run_async(work)
        with psycopg.connect(dsn) as conn:
            listing_id, desired = conn.execute(SQL.hot_listing).fetchall()[0]
    if partner.shown[listing_id] != desired:
        raise RuntimeError(f"the last figure did not arrive: {partner.shown[listing_id]}")
    allowed = _HOT_BURST + HOT_CALLS_A_SECOND * (took + arrived)
    values = {"": partner.calls / allowed, "arrived": arrived}
    return Measured(values, {"changes": changes, "calls": partner.calls, "allowed": allowed})


async def _change(
    dsn: str, partner: Partner, skus: Sequence[str], rate: float
) -> tuple[float, float]:
    """Seconds of the changes, and until the partner was told of the last one."""
    engine = Engine(dsn)
    await engine.start()
    try:
        async with publishing(dsn, partner, desk=True):
            await asyncio.sleep(2)
            began = perf_counter()
            tasks = set()
            for number, sku in enumerate(skus):
                await asyncio.sleep(max(0.0, began + number / rate - perf_counter()))
                tasks.add(asyncio.create_task(_reserve(engine, partner, number, sku)))
            await asyncio.gather(*tasks)
            ended = perf_counter()
            async with await connect(dsn) as conn, asyncio.timeout(60):
                while await _is_due(conn):  # noqa: ASYNC110 - the database says when
                    await asyncio.sleep(0.02)
            return ended - began, perf_counter() - ended
    finally:
        await engine.stop()


async def _is_due(conn: AsyncConnection[Any]) -> bool:
    row = await (await conn.execute(SQL.listings_due)).fetchone()
    return bool(row and row[0])


async def _reserve(engine: Engine, partner: Partner, number: int, sku: str) -> None:
    partner.waiting.setdefault(sku, perf_counter())
    await engine.submit(Command(ReserveStock(CHANNEL, f"R{number}", [ReserveLine(sku, 1)])))


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


CASES = (
    Case(
        "listings_zero_outs",
        {
            "": Figure(
                "s",
                "p99 until a listing that goes to zero is told, with 1,000,000 others due and "
                "2,000 updates a minute (small: 20,000)",
                target=Target("at_most", 60, full_scale_only=True),
            ),
            "calls": Figure(
                "calls/min", "calls made, the first burst included",
                target=Target("at_most", 1.05 * UPDATES_A_MINUTE, full_scale_only=True),
            ),
        },
        zero_outs,
    ),
    Case(
        "listings_latency",
        {
            "": Figure(
                "ms", "p50 from a stock change to the call that tells it, 500 changes/s",
                target=Target("at_most", 150),
            ),
            "p99": Figure("ms", "p99 of the same", target=Target("at_most", 1000)),
        },
        latency,
    ),
    Case(
        "listings_hot",
        {
            "": Figure(
                "of budget", "calls for one item with 1,000 changes/s",
                target=Target("at_most", 1),
            ),
            "arrived": Figure("s", "until the last figure was told"),
        },
        hot,
    ),
)  # fmt: skip
