"""Imports orders: the rows of one reference become one reservation, confirmed.

Rows of an order stand together in the file. Keys come from channel and reference, so importing the
same file again promises nothing twice. An order with a bad row is refused as a whole. Of the orders
read together, the one requested first is promised first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from psycopg import Connection

from stockbridge.contracts.base import LINES_MAX
from stockbridge.contracts.commands import ConfirmReservation, ReserveLine, ReserveStock
from stockbridge.domain.masters.bulk import channel_codes, location_ids, resolve_skus
from stockbridge.domain.world.command import Command
from stockbridge.ingress.import_columns import ImportRefused
from stockbridge.ingress.import_jobs import add_errors, count_rows
from stockbridge.ingress.import_pipeline import Job
from stockbridge.ingress.import_reader import Chunk, Reject, reject

IN_FLIGHT: Final = 256
REFUSED_FROM: Final = 400
LATEST: Final = datetime.max.replace(tzinfo=UTC)


class Outcome(Protocol):
    """What the engine answers."""

    @property
    def status(self) -> int: ...

    @property
    def document(self) -> Any: ...


Submit = Callable[[Command], Awaitable[Outcome]]


class OrderRow(NamedTuple):
    """One row: where it stands in the file, and what it asks for."""

    number: int
    raw: str
    channel: str
    line: ReserveLine
    requested_at: datetime | None


class Order(NamedTuple):
    """The rows of one reference."""

    reference: str
    rows: list[OrderRow]

    @property
    def requested_at(self) -> datetime:
        """When it was first asked for; orders that do not say come after those that do."""
        return min((row.requested_at for row in self.rows if row.requested_at), default=LATEST)

    def rejects(self, reasons: Sequence[str]) -> list[Reject]:
        """Every row refused, each for its reason."""
        pairs = zip(self.rows, reasons, strict=True)
        return [reject(row.number, row.raw, reason) for row, reason in pairs]

    def alike(self, reason: str) -> list[Reject]:
        """Every row refused for one reason."""
        return self.rejects([reason] * len(self.rows))


Judge = Callable[[Order], Awaitable[list[Reject]]]


class Grouper:
    """Puts the rows of an order together; the last order of a chunk waits for the next one."""

    def __init__(self) -> None:
        self._waiting: Order | None = None
        self._seen: set[str] = set()
        self._spoiled: set[str] = set()

    def add(self, chunk: Chunk) -> tuple[list[Order], list[Reject]]:
        """The orders that are complete, and the rows of those that cannot be taken."""
        orders = {self._waiting.reference: self._waiting} if self._waiting else {}
        for reference, row in _rows(chunk):
            orders.setdefault(reference, Order(reference, [])).rows.append(row)
        self._spoiled |= chunk.spoiled
        self._waiting = orders.popitem()[1] if orders else None
        return self._judge(list(orders.values()))

    def finish(self) -> tuple[list[Order], list[Reject]]:
        """The order that waited to the end."""
        return self._judge([self._waiting] if self._waiting else [])

    def _judge(self, orders: list[Order]) -> tuple[list[Order], list[Reject]]:
        fit: list[Order] = []
        rejects: list[Reject] = []
        for order in orders:
            if reason := self._reason(order):
                rejects += order.alike(reason)
            else:
                fit.append(order)
            self._seen.add(order.reference)
        return sorted(fit, key=lambda order: order.requested_at), rejects

    def _reason(self, order: Order) -> str:
        if order.reference in self._spoiled:
            return f"reference: another row of order {order.reference!r} is bad; correct it first"
        if order.reference in self._seen:
            return (
                f"reference: {order.reference!r} stands earlier in the file; keep its rows together"
            )
        if len({row.channel for row in order.rows}) > 1:
            return f"channel: order {order.reference!r} names several; an order has one"
        if len(order.rows) > LINES_MAX:
            return f"reference: {len(order.rows)} rows, an order has at most {LINES_MAX}; split it"
        return ""


def _rows(chunk: Chunk) -> Iterator[tuple[str, OrderRow]]:
    columns = chunk.columns
    none = [None] * len(chunk.numbers)
    lines = map(
        ReserveLine,
        columns["sku"],
        columns["quantity"],
        columns.get("uom", none),
        columns.get("location", none),
    )
    moments = columns.get("requested_at", none)
    rows = map(OrderRow, chunk.numbers, chunk.raws, columns["channel"], lines, moments)
    return zip(columns["reference"], rows, strict=True)


async def import_orders(
    job: Job, chunks: Iterator[Chunk], submit: Submit | None, actor: str, correlation_id: str
) -> None:
    """Reserve and confirm every order; a dry run only looks up what the orders name."""
    if submit is None and not job.dry_run:
        raise ImportRefused("orders are promised by the engine: start it, then import them")
    grouper = Grouper()
    with await asyncio.to_thread(job.connect) as conn:

        async def take(orders: list[Order], bad: list[Reject]) -> None:
            if submit is None or job.dry_run:
                found = await asyncio.to_thread(_look_up, conn, orders)
            else:
                found = await _place_all(submit, orders, actor, correlation_id)
            good = sum(len(order.rows) for order in orders) - len(found)
            await asyncio.to_thread(_note, conn, job.job_id, good, bad + found)

        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            orders, bad = grouper.add(chunk)
            await take(orders, bad + chunk.rejects)
        await take(*grouper.finish())


def _note(conn: Connection[Any], job_id: int, good: int, bad: list[Reject]) -> None:
    with conn.transaction():
        add_errors(conn, job_id, bad)
        count_rows(conn, job_id, good, len(bad))


async def _place_all(
    submit: Submit, orders: list[Order], actor: str, correlation_id: str
) -> list[Reject]:
    room = asyncio.Semaphore(IN_FLIGHT)

    async def place(order: Order) -> list[Reject]:
        async with room:
            return await _place(submit, order, actor, correlation_id)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(place(order)) for order in orders]
    return [row for task in tasks for row in task.result()]


async def _place(submit: Submit, order: Order, actor: str, correlation_id: str) -> list[Reject]:
    channel = order.rows[0].channel
    reserve = ReserveStock(channel, order.reference, [row.line for row in order.rows])
    key = f"import/{channel}/{order.reference}"
    made = await submit(Command(reserve, actor, key, correlation_id))
    if made.status >= REFUSED_FROM:
        return _refused(order, made.document)
    confirm = ConfirmReservation(made.document["id"])
    kept = await submit(Command(confirm, actor, f"{key}/confirm", correlation_id))
    return _refused(order, kept.document) if kept.status >= REFUSED_FROM else []


def _refused(order: Order, problem: dict[str, Any]) -> list[Reject]:
    """The rows of a refused order: the ones at fault with their own reason."""
    reasons = [f"order refused: {problem['detail']}"] * len(order.rows)
    for error in problem.get("errors", ()):
        index = error.get("index")
        if index is not None and 0 <= index < len(reasons):
            reasons[index] = f"{error.get('field', 'row')}: {error.get('detail', error['code'])}"
    return order.rejects(reasons)


def _look_up(conn: Connection[Any], orders: list[Order]) -> list[Reject]:
    rows = [row for order in orders for row in order.rows]
    skus = resolve_skus(conn, {row.line.sku for row in rows}).ids
    places, channels = location_ids(conn), channel_codes(conn)
    rejects: list[Reject] = []
    for order in orders:
        reasons = [_unknown(row, skus, places, channels) for row in order.rows]
        if any(reasons):
            rejects += order.rejects([why or "another row of the order is bad" for why in reasons])
    return rejects


def _unknown(
    row: OrderRow, skus: dict[str, int], places: dict[str, int], channels: set[str]
) -> str:
    if row.line.sku not in skus:
        return f"sku: no item {row.line.sku!r}; import it first"
    if row.line.location is not None and row.line.location not in places:
        return f"location: no location {row.line.location!r}; import it first"
    if row.channel not in channels:
        return f"channel: no channel {row.channel!r}; import it first"
    return ""
