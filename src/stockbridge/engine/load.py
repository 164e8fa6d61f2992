"""Prefetch: lock the items of a batch in order, then read every row its commands need."""

from typing import Any

import msgspec
from psycopg import AsyncConnection

from stockbridge.domain import fulfilment, ledger, orders, reservations
from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.world.model import (
    COUNTED_AT,
    LOCATION,
    Balance,
    Booked,
    Fact,
    FulfilmentLine,
    Hold,
    Promised,
    Report,
    Reservation,
    ReservationLine,
    Supply,
)
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.order import Order, OrderContent, Told
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import AVAILABLE
from stockbridge.store.arrays import ints, moments, texts
from stockbridge.store.pipeline import run
from stockbridge.store.sql import load

Conn = AsyncConnection[Any]
Answers = dict[str, tuple[bytes, int, bytes]]
"""Request key -> (body hash, status, answer)."""

SQL = load(__package__)
LEDGER_SQL = load(ledger.__name__)
RESERVATIONS_SQL = load(reservations.__name__)
FULFILMENT_SQL = load(fulfilment.__name__)
ORDERS_SQL = load(orders.__name__)

decode_content = msgspec.json.Decoder(OrderContent).decode
decode_told = msgspec.json.Decoder(Told).decode
decode_reports = msgspec.json.Decoder(dict[str, Report]).decode
decode_lines = msgspec.json.Decoder(list[ReservationLine]).decode
decode_promised = msgspec.json.Decoder(list[Promised]).decode


async def find_documents(conn: Conn, needs: Needs) -> None:
    """Learn, without locks, which items the named reservations and orders take."""
    named = {"ids": ints(needs.orders), "refs": texts(list(needs.references)), **_numbers(needs)}
    cursor = await conn.execute(ORDERS_SQL.find_orders, named)
    for order_id, reservation_id in await cursor.fetchall():
        needs.orders.add(order_id)
        if reservation_id is not None:
            needs.reservations.add(reservation_id)
    values = {"ids": ints(needs.reservations), "refs": texts(list(needs.references))}
    cursor = await conn.execute(RESERVATIONS_SQL.find_reservations, values)
    for reservation_id, lines in await cursor.fetchall():
        needs.reservations.add(reservation_id)
        for line in decode_lines(lines):
            needs.skus.add(line.sku)
            needs.item_ids.update(part for part, _ in line.parts)


def _numbers(needs: Needs) -> dict[str, str]:
    pairs = sorted(needs.order_numbers)
    return {
        "channels": texts([channel for channel, _ in pairs]),
        "numbers": texts([number for _, number in pairs]),
    }


def covers(needs: Needs, world: World) -> bool:
    """Whether every item of what was read is locked: an order may have got a line meanwhile."""
    return all(
        part in needs.item_ids
        for reservation in world.reservations.values()
        for line in reservation.lines
        for part, _ in line.parts
    )


async def load_world(
    conn: Conn, needs: Needs, keys: list[str], masters: Masters
) -> tuple[World, int, Answers]:
    """Begin the transaction, lock and read in one round trip; the world, epoch, known answers."""
    items = ints(needs.item_ids)
    locations = None if needs.all_locations else ints(needs.locations)
    extras = _extras(needs, items)
    _, _, batch, requests, rows, *more = await run(
        conn,
        [
            (b"BEGIN", {}),
            (SQL.lock_items, {"items": items}),
            (LEDGER_SQL.open_batch, {}),
            (SQL.read_requests, {"keys": "{" + ",".join(keys) + "}"}),
            (LEDGER_SQL.read_balances, {"items": items, "locations": locations}),
            *[(statement, values) for _, statement, values in extras],
        ],
    )
    batch_id, now, epoch = batch[0]
    world = World(batch_id, now, masters)
    world.resolved = needs.resolved
    answers = {row[0]: (row[1], row[2], row[3]) for row in requests}
    world.balances = {(row[0], row[LOCATION]): Balance(list(row)) for row in rows}
    if needs.facts:
        for row in rows:
            if row[COUNTED_AT] is not None:
                world.anchors[row[0], row[LOCATION], AVAILABLE] = row[COUNTED_AT]
            if row[AVAILABLE] < 0:
                world.negative.add((row[0], row[LOCATION]))
    for (into, _, _), found in zip(extras, more, strict=True):
        for row in found:
            into(world, row)
    return world, epoch, answers


def _extras(needs: Needs, items: str) -> list[tuple[Any, bytes, dict[str, Any]]]:
    """The optional reads: how a row enters the world, the statement, its values."""
    reads: list[tuple[Any, bytes, dict[str, Any]]] = []
    if needs.reservations:
        ids = {"ids": ints(needs.reservations)}
        reads.append((_reservation, RESERVATIONS_SQL.lock_reservations, ids))
        reads.append((_hold, RESERVATIONS_SQL.read_holds, ids))
    if needs.reservations or needs.orders or needs.order_numbers:
        named = {"ids": ints(needs.orders), "reservations": ints(needs.reservations)}
        reads.append((_order, ORDERS_SQL.lock_orders, named | _numbers(needs)))
    if needs.reservations:
        kept = {"reservations": ints(needs.reservations)}
        reads.append((_fulfilment, FULFILMENT_SQL.read_fulfilments_of, kept))
    if needs.fences:
        reads.append((_fence, RESERVATIONS_SQL.read_fences, {"items": items}))
    if needs.facts:
        keys = {"keys": "{" + ",".join(needs.fact_keys) + "}"}
        documents = {"items": items, "documents": texts(list(needs.documents))}
        reads.append((_anchor, LEDGER_SQL.read_anchors, {"items": items}))
        reads.append((_fact, LEDGER_SQL.read_facts, keys))
        lines = {"keys": "{" + ",".join(needs.line_keys) + "}"}
        reads.append((_line, LEDGER_SQL.read_lines, lines))
        reads.append((_supply, LEDGER_SQL.read_supplies, documents))
    if needs.booked:
        booked_items, numbers = zip(*sorted(needs.booked), strict=True)
        values = {"items": ints(booked_items), "documents": texts(numbers)}
        reads.append((_booked, LEDGER_SQL.read_booked, values))
    if needs.fulfilments:
        names = {"fulfilments": texts(list(needs.fulfilments))}
        reads.append((_fulfilment, FULFILMENT_SQL.read_fulfilments, names))
    if needs.counts:
        columns = list(zip(*needs.counts, strict=True))
        values = {
            "items": ints(columns[0]),
            "locations": ints(columns[1]),
            "accounts": ints(columns[2]),
            "moments": moments(columns[3]),
        }
        reads.append((_moved_since, LEDGER_SQL.sum_moved_since, values))
    return reads


def _reservation(world: World, row: tuple[Any, ...]) -> None:
    promised = None if row[11] is None else decode_promised(row[11])
    row = (*row[:6], decode_lines(row[6]), *row[7:11], promised)
    reservation = Reservation(*row)
    world.reservations[reservation.reservation_id] = reservation
    world.references.setdefault(reservation.reference, []).append(reservation.reservation_id)


def _hold(world: World, row: tuple[Any, ...]) -> None:
    hold = Hold(*row)
    world.holds.setdefault(hold.reservation_id, {})[hold.key] = hold


def _order(world: World, row: tuple[Any, ...]) -> None:
    row = (*row[:5], decode_content(row[5]), *row[6:-1], decode_told(row[-1]))
    world.see_order(Order(*row))


def _fence(world: World, row: tuple[Any, ...]) -> None:
    world.fences.setdefault((row[0], row[1]), {})[row[2]] = row[3]


def _anchor(world: World, row: tuple[Any, ...]) -> None:
    world.anchors[row[0], row[1], row[2]] = row[3]


def _fact(world: World, row: tuple[Any, ...]) -> None:
    world.facts[row[0]] = Fact(*row[1:])


def _line(world: World, row: tuple[Any, ...]) -> None:
    world.lines[row[0]] = decode_reports(row[1])


def _supply(world: World, row: tuple[Any, ...]) -> None:
    world.supplies[row[:6]] = Supply(*row[6:])


def _booked(world: World, row: tuple[Any, ...]) -> None:
    world.booked.append(Booked(*row))


def _fulfilment(world: World, row: tuple[Any, ...]) -> None:
    line = FulfilmentLine(*row)
    if line.key not in world.fulfilment:
        world.fulfilment[line.key] = line
        if line.reservation_id is not None:
            world.bind(line.reservation_id, line.item_id, line.location_id, line.bound)


def _moved_since(world: World, row: tuple[Any, ...]) -> None:
    world.moved_since[row[:4]] = row[4]
