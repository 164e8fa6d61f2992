"""Run order lines through the engine, day by day, as the business would have.

A day has two halves. Before it opens: returns and adjustments of the day before, which a building
books when the day is done; purchase orders and receipts; parcels left over. Then its sales, in the
order they came in. Every command carries a key made from its document, so a replay that is repeated
or resumed books nothing twice.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from stockbridge.contracts.commands import ConfirmReservation
from stockbridge.demo import commands
from stockbridge.demo.commands import Parcel, Promise
from stockbridge.demo.plan import Day, Plan, PurchaseOrder, days
from stockbridge.demo.retail import Document, Kind
from stockbridge.demo.summary import Summary
from stockbridge.engine import Command, Outcome

PRINCIPAL: Final = "retail-replay"
IN_FLIGHT_MAX: Final = 256
ERROR: Final = 400
REFUSED: Final = 409
"""The status of an order that stock does not allow."""

Progress = Callable[[int, int], None]
"""Told (lines done, lines in all) after each day."""


class Submits(Protocol):
    """The one door of the engine."""

    def submit(self, command: Command) -> Awaitable[Outcome]: ...


async def replay(
    engine: Submits,
    plan: Plan,
    *,
    progress: Progress | None = None,
    in_flight_max: int = IN_FLIGHT_MAX,
    day_seconds_min: float = 0.0,
) -> Summary:
    """Replay the whole plan and count what happened; no day is over before `day_seconds_min`.

    Orders refused for want of stock are counted by reason. Any other refusal is a failure of the
    replay: it is kept in `Summary.failures` and the replay goes on.
    """
    began = time.perf_counter()
    run = _Replay(engine, plan, in_flight_max)
    await run.prepare()
    for day in days(plan):
        paused = asyncio.create_task(asyncio.sleep(day_seconds_min))
        await run.day(day)
        await paused
        if progress is not None:
            progress(run.summary.lines, plan.rows)
    await run.finish()
    run.summary.seconds = time.perf_counter() - began
    return run.summary


class _Replay:
    def __init__(self, engine: Submits, plan: Plan, in_flight_max: int) -> None:
        self.summary = Summary()
        self._engine = engine
        self._plan = plan
        self._slots = asyncio.Semaphore(in_flight_max)
        self._waiting: list[Parcel] = []
        self._evening: list[Document] = []

    async def prepare(self) -> None:
        """Masters, then the opening stock."""
        for body, key in commands.places(self._plan):
            await self._fact(body, key)
        await self._all(self._fact(item, f"item {item.sku}") for item in self._plan.items)
        await self._all(
            self._fact(count, f"count {count.count}")
            for count in commands.opening_counts(self._plan)
        )

    async def day(self, day: Day) -> None:
        """One day, its returns and adjustments left for the next morning or `finish`."""
        tomorrow = day.begins_at + timedelta(days=1)
        await self._all(
            itertools.chain(
                map(self._book, self._evening),
                map(self._receive, day.received),
                map(self._order, day.ordered),
                map(self._ship, [parcel for parcel in self._waiting if parcel.at < tomorrow]),
            )
        )
        self._waiting = [parcel for parcel in self._waiting if parcel.at >= tomorrow]
        sales = [document for document in day.documents if document.kind is Kind.SALE]
        await self._all(self._sell(sale, tomorrow) for sale in sales)
        self._evening = [document for document in day.documents if document.kind is not Kind.SALE]
        self.summary.lines += sum(document.rows for document in day.documents)

    async def finish(self) -> None:
        """What the last day left to book."""
        await self._all(map(self._book, self._evening))

    async def _sell(self, sale: Document, tomorrow: datetime) -> None:
        counted = self.summary
        counted.orders += 1
        counted.lines_ordered += len(sale.lines)
        counted.units_ordered += sum(line.quantity for line in sale.lines)
        outcome = await self._submit(commands.reservation(sale), f"reserve {sale.number}")
        if outcome.status >= ERROR:
            counted.lines_short += len(sale.lines)
            if outcome.status == REFUSED:
                counted.refusals[_code(outcome)] += 1
            else:
                counted.fail(f"reserve {sale.number}: {outcome.status} {outcome.body.decode()}")
            return
        promise = msgspec.json.decode(outcome.body, type=Promise)
        counted.units_promised += sum(line.reserved for line in promise.lines)
        counted.lines_short += sum(
            line.reserved < asked.quantity
            for line, asked in zip(promise.lines, sale.lines, strict=True)
        )
        await self._fact(ConfirmReservation(promise.id), f"confirm {sale.number}")
        for parcel in commands.parcels(sale, promise):
            if parcel.at >= self._plan.last_day:
                continue  # the last day's parcels leave after the data ends: open promises
            if parcel.at < tomorrow:
                await self._ship(parcel)
            else:
                self._waiting.append(parcel)

    async def _ship(self, parcel: Parcel) -> None:
        if await self._fact(parcel.body, parcel.key):
            self.summary.units_shipped += parcel.units

    async def _order(self, order: PurchaseOrder) -> None:
        await self._fact(commands.supply(order), f"supply {order.number}")

    async def _receive(self, order: PurchaseOrder) -> None:
        if await self._fact(commands.receipt(order), f"receipt {order.number}"):
            self.summary.units_received += sum(units for _, units in order.lines)

    async def _book(self, document: Document) -> None:
        units = sum(line.quantity for line in document.lines)
        if document.kind is Kind.RETURN:
            if await self._fact(commands.returned(document), f"return {document.number}"):
                self.summary.units_returned += units
        elif document.kind is Kind.ADJUSTMENT:
            if await self._fact(commands.adjusted(document), f"adjust {document.number}"):
                self.summary.units_adjusted += units
        else:
            self.summary.service_lines += document.rows

    async def _fact(self, body: Any, key: str) -> bool:
        """Submit what must not be refused; a refusal is kept as a failure."""
        outcome = await self._submit(body, key)
        if outcome.status < ERROR:
            return True
        self.summary.fail(f"{key}: {outcome.status} {outcome.body.decode()}")
        return False

    async def _submit(self, body: Any, key: str) -> Outcome:
        command = Command(body, principal=PRINCIPAL, key=key, correlation_id=f"replay {key}")
        outcome = await self._engine.submit(command)
        self.summary.commands += 1
        self.summary.replayed += outcome.replayed
        return outcome

    async def _all(self, work: Iterable[Coroutine[Any, Any, object]]) -> None:
        """Run all, in the order given, so many at a time that the engine's batches are full."""
        async with asyncio.TaskGroup() as group:
            for one in work:
                await self._slots.acquire()
                group.create_task(one).add_done_callback(lambda _: self._slots.release())


def _code(outcome: Outcome) -> str:
    return str(msgspec.json.decode(outcome.body).get("code", outcome.status))
