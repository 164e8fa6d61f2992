"""Three systems report one business's real order lines, each in its own words, over HTTP.

The WMS tells of every stage of every parcel of the main warehouse, the 3PL sends running totals of
what it shipped, the ERP repeats shipments, receipts and returns under its own message ids an hour
and a half later. Told cleanly in order, or with a fifth of the messages twice, a fifth out of order
within their day and one in a hundred lost and sent again at the end: the hub must end alike.
"""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from stockbridge.assurance.invariants import check
from stockbridge.contracts.commands import ConfirmReservation
from stockbridge.contracts.masters import PutLocation, PutSystem
from stockbridge.demo import commands
from stockbridge.demo.commands import Parcel, Promise
from stockbridge.demo.plan import Plan, PurchaseOrder, make_plan
from stockbridge.demo.retail import Document, Kind, documents, read_rows
from stockbridge.demo.slice import SHIPPED
from stockbridge.engine import Command, Engine
from stockbridge.engine.inbox.reading import out_of_sequence
from stockbridge.store.database import connect
from tests.http_api import serving

AUTHORITIES = {"UK-MAIN": "wms", "UK-3PL": "3pl"}
SYSTEMS = ("wms", "3pl", "erp")
STAGES = ("allocated", "picked", "packed", "shipped")
STAGE_MINUTES = 7
ERP_DELAY = timedelta(minutes=90)
BATCH_EVENTS = 200
BATCHES_AT_ONCE = 4
TWICE, REORDERED, LOST = 0.2, 0.2, 0.01
SETTLE_SECONDS_MAX = 600.0
SETTLED = ("applied", "duplicate")
STATES = {
    "balances": "SELECT sku, code, available, allocated, picked, quarantined, in_transit, on_order,"
    " reserved, backordered FROM balance JOIN item USING (item_id) JOIN location USING"
    " (location_id)",
    "fulfilments": "SELECT fulfilment, line, sku, code, allocated, picked, packed, shipped"
    " FROM fulfilment_line JOIN item USING (item_id) JOIN location USING (location_id)",
    "facts": "SELECT kind, document_number, item_id, location_id, quantity, source FROM fact",
    "promises": "SELECT reference, state FROM reservation",
}


class Event(NamedTuple):
    """A message: its number in its system's own numbering, when it was sent, what it says."""

    system: str
    sequence: int
    sent_at: datetime
    type: str
    data: dict[str, Any]

    @property
    def element(self) -> dict[str, Any]:
        """The event in CloudEvents' JSON."""
        return {
            "specversion": "1.0",
            "id": f"{self.system}-{self.sequence}",
            "source": self.system,
            "type": f"io.stockbridge.stock.{self.type}.v1",
            "sequence": str(self.sequence),
            "data": self.data,
        }


class Noise(NamedTuple):
    """What is told at first, in this order, and what was lost on the way and comes last."""

    told: list[Event]
    lost: list[Event]


class Ending(NamedTuple):
    """What the hub says once all is settled."""

    state: dict[str, list[Any]]
    statuses: dict[str, int]
    times_seen: int
    gaps_while_lost: dict[str, list[int]]
    gaps: dict[str, list[int]]
    broken: list[str]


def plan_of(lines: int) -> Plan:
    """The first invoices of the shipped order lines that have so many lines together."""
    rows = sorted(read_rows(SHIPPED), key=lambda row: row.at)
    sizes = Counter(row.invoice for row in rows)
    chosen: set[str] = set()
    left = lines
    for invoice in dict.fromkeys(row.invoice for row in rows):
        if left > 0:
            chosen.add(invoice)
            left -= sizes[invoice]
    kept = [row for row in rows if row.invoice in chosen]
    return make_plan(kept, documents(kept))


# What is there before anybody reports ---------------------------------------------------------
async def prepare(dsn: str, plan: Plan) -> dict[str, Promise]:
    """Masters, opening counts, and a promise for each order; by one worker, so always the same."""
    engine = Engine(dsn, workers=1)
    await engine.start()
    await _submit(engine, [PutSystem(code, kind="wms") for code in SYSTEMS])
    for body, _ in commands.places(plan):
        located = isinstance(body, PutLocation)
        await _submit(engine, [_with_authority(body) if located else body])
    await _submit(engine, plan.items)
    await _submit(engine, commands.opening_counts(plan))
    sales = [document for document in plan.documents if document.kind is Kind.SALE]
    answers = await _submit(engine, map(commands.reservation, sales), refusals=True)
    promises = {
        sale.number: msgspec.json.decode(answer.body, type=Promise)
        for sale, answer in zip(sales, answers, strict=True)
        if answer.status < 400
    }
    await _submit(engine, [ConfirmReservation(promise.id) for promise in promises.values()])
    await engine.stop()
    return promises


def _with_authority(location: PutLocation) -> PutLocation:
    return msgspec.structs.replace(location, authority=AUTHORITIES[location.code])


async def _submit(engine: Engine, bodies: Iterable[Any], *, refusals: bool = False) -> list[Any]:
    answers = await asyncio.gather(*(engine.submit(Command(body)) for body in bodies))
    assert refusals or all(answer.status < 300 for answer in answers), answers
    return answers


# What is reported -----------------------------------------------------------------------------
def reports(plan: Plan, promises: dict[str, Promise]) -> list[Event]:
    """Every message of the three systems, numbered and sorted by when it was sent."""
    said = [
        said
        for document in plan.documents
        for said in _of_document(document, promises.get(document.number))
    ]
    said += [each for order in plan.orders for each in _received(order)]
    said.sort(key=lambda each: (each[1], each[0], each[2], json.dumps(each[3], sort_keys=True)))
    numbers = {system: count(1) for system in SYSTEMS}
    return [
        Event(system, next(numbers[system]), at, kind, data | {"occurred_at": at.isoformat()})
        for system, at, kind, data in said
    ]


Said = tuple[str, datetime, str, dict[str, Any]]
"""(system, when, type, data)."""


def _of_document(document: Document, promise: Promise | None) -> Iterator[Said]:
    if document.kind is Kind.SALE and promise is not None:
        shipped: Counter[tuple[str, str]] = Counter()
        for parcel in commands.parcels(document, promise):
            yield from _left(document.number, parcel, shipped)
    elif document.kind is Kind.RETURN:
        body = commands.returned(document)
        for line in body.lines:
            data = _data(line, body.location, "return", body.rma)
            data["disposition"] = line.disposition
            yield "wms", document.at, "returned", data
            yield "erp", document.at + ERP_DELAY, "returned", data
    elif document.kind is Kind.ADJUSTMENT:
        wrong = commands.adjusted(document)
        for each in wrong.lines:
            data = _data(each, wrong.location, "adjustment", wrong.adjustment)
            yield "wms", document.at, "adjusted", data | {"reason": wrong.reason}


def _left(order: str, parcel: Parcel, shipped: Counter[tuple[str, str]]) -> Iterator[Said]:
    """One parcel in the words of the building and of the ERP; `shipped` sums up by line."""
    location = parcel.body.location
    for line in parcel.body.lines:
        data = _data(line, location, "order", order) | {"fulfillment": f"{order}-{location}"}
        single = data | {"package": line.package}
        if AUTHORITIES[location] == "wms":
            for stage, name in enumerate(STAGES):
                yield "wms", parcel.at + timedelta(minutes=STAGE_MINUTES * stage), name, single
        else:
            key = (location, str(line.line))
            shipped[key] += line.quantity
            total = data | {"quantity": shipped[key], "quantity_mode": "cumulative"}
            yield "3pl", parcel.at + timedelta(hours=1), "shipped", total
        yield "erp", parcel.at + ERP_DELAY, "shipped", single


def _received(order: PurchaseOrder) -> Iterator[Said]:
    body = commands.receipt(order)
    for line in body.lines:
        data = _data(line, order.location, body.document.type, order.number)
        yield AUTHORITIES[order.location], order.received_at, "received", data
        yield "erp", order.received_at + ERP_DELAY, "received", data


def _data(line: Any, location: str, kind: str, number: str) -> dict[str, Any]:
    document = {"type": kind, "number": number, "line": line.line}
    return {"sku": line.sku, "location": location, "quantity": line.quantity, "document": document}


def noisy(events: list[Event], chance: random.Random) -> Noise:
    """The same with a fifth twice, a fifth out of order within its day, one in a hundred lost.

    No system loses its first or newest message: a gap has two sides.
    """
    newest = {event.system: event.sequence for event in events}
    inner = [e for e in events if 1 < e.sequence < newest[e.system]]
    lost = [event for event in inner if chance.random() < LOST]
    days: dict[Any, list[Event]] = defaultdict(list)
    for event in events:
        days[event.sent_at.date()].append(event)
    missing = {(e.system, e.sequence) for e in lost}
    told: list[Event] = []
    for day in days.values():
        kept = [e for e in day if (e.system, e.sequence) not in missing]
        told += _shuffled([*kept, *(e for e in kept if chance.random() < TWICE)], chance)
    return Noise(told, lost)


def _shuffled(day: list[Event], chance: random.Random) -> list[Event]:
    """The day with a fifth of its messages in each other's places; repeats come at the end."""
    moved = [place for place in range(len(day)) if chance.random() < REORDERED]
    targets = chance.sample(moved, len(moved))
    mixed = list(day)
    for place, target in zip(moved, targets, strict=True):
        mixed[target] = day[place]
    return mixed


# Telling, and what came of it -----------------------------------------------------------------
async def tell(api: Any, dsn: str, noise: Noise) -> Ending:
    """Send what is told, look at the gaps, send what was lost, and look at everything."""
    await _send(api, noise.told)
    await _settle(dsn)
    while_lost = await _gaps(dsn)
    await _send(api, noise.lost)
    statuses = await _settle(dsn)
    async with await connect(dsn) as conn:
        seen = await (
            await conn.execute(b"SELECT sum(times_seen) FROM message_identity")
        ).fetchall()
        state = {
            name: sorted(await (await conn.execute(statement.encode())).fetchall())
            for name, statement in STATES.items()
        }
        broken = [str(law) for law in await check(conn)]
    return Ending(state, statuses, int(seen[0][0]), while_lost, await _gaps(dsn), broken)


async def _send(api: Any, events: list[Event]) -> None:
    slots = asyncio.Semaphore(BATCHES_AT_ONCE)

    async def send(batch: list[Event]) -> None:
        async with slots:
            content = json.dumps([event.element for event in batch])
            kind = "application/cloudevents-batch+json"
            answer = await api.raw("POST", "/v1/events", content, content_type=kind)
        assert answer.status_code == 202, answer.text
        assert answer.json()["kept"] == len(batch), answer.text

    starts = range(0, len(events), BATCH_EVENTS)
    await asyncio.gather(*(send(events[at : at + BATCH_EVENTS]) for at in starts))


async def _settle(dsn: str) -> dict[str, int]:
    """How many messages have each status, once none is on its way."""
    async with asyncio.timeout(SETTLE_SECONDS_MAX), await connect(dsn) as conn:
        async for found in _statuses(conn):
            if "received" not in found:
                return found
    raise AssertionError


async def _statuses(conn: Any) -> AsyncIterator[dict[str, int]]:
    while True:
        cursor = await conn.execute(b"SELECT status, count(*) FROM message GROUP BY status")
        yield dict(await cursor.fetchall())
        await asyncio.sleep(0.1)


async def _gaps(dsn: str) -> dict[str, list[int]]:
    """{system: [missing numbers]}."""
    async with await connect(dsn) as conn:
        sources = await out_of_sequence(conn)
    return {s["system"]: [n for a, b in s["gaps"] for n in range(a, b + 1)] for s in sources}


def faults(clean: Ending, noise: Noise, ending: Ending) -> list[str]:
    """What the noisy telling brought that it should not have; nothing where all held."""
    lost: dict[str, list[int]] = {system: [] for system in SYSTEMS}
    for event in noise.lost:
        lost[event.system].append(event.sequence)
    found = [f"{name} differ" for name in clean.state if clean.state[name] != ending.state[name]]
    found += [f"law broken: {law}" for law in (*clean.broken, *ending.broken)]
    if ending.gaps_while_lost != {system: sorted(n) for system, n in lost.items()}:
        found.append(f"gaps {ending.gaps_while_lost} while {lost} were lost")
    found += [f"gaps of {system} stay: {n}" for system, n in ending.gaps.items() if n]
    found += [f"messages {status}" for status in ending.statuses if status not in SETTLED]
    if ending.times_seen != len(noise.told) + len(noise.lost):
        found.append(f"{ending.times_seen} messages seen, {len(noise.told)} told")
    return found


async def simulate(dsn: str, twin: str, folder: Path, lines: int, seed: int) -> list[str]:
    """Tell it cleanly into one empty migrated database and noisily into another; the faults."""
    plan = plan_of(lines)
    promises = await prepare(dsn, plan)
    await prepare(twin, plan)
    events = reports(plan, promises)
    noise = noisy(events, random.Random(seed))
    async with serving(dsn, folder / "clean") as api:
        clean = await tell(api, dsn, Noise(events, []))
    async with serving(twin, folder / "noisy") as api:
        ending = await tell(api, twin, noise)
    found = faults(clean, noise, ending)
    # Independent of the hub: what the three told, each parcel once.
    told = sum(e.data["quantity"] for e in events if (e.system, e.type) == ("erp", "shipped"))
    shipped = sum(row[-1] for row in ending.state["fulfilments"])
    if told != shipped:
        found.append(f"{shipped} units shipped, {told} told")
    if sum(ending.statuses.values()) != len(events):
        found.append(f"{ending.statuses} of {len(events)} messages")
    return found
