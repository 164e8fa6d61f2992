"""Books absolute figures for many (item, location) pairs in one batch, as movements of kind count.

The difference between what is stated and what the balance holds moves between the state and the
account `adjustment`; no difference moves nothing. The caller holds the items' locks.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Connection

from stockbridge.domain.ledger.digest import NULL, batch_digest, microseconds, texts
from stockbridge.kernel.accounts import (
    ADJUSTMENT,
    ALLOCATED,
    AVAILABLE,
    COUNT,
    IN_TRANSIT,
    ON_ORDER,
    PICKED,
    QUARANTINED,
)
from stockbridge.store.sql import load

SQL = load(__package__)
STATES: Final = (AVAILABLE, ALLOCATED, PICKED, QUARANTINED, IN_TRANSIT, ON_ORDER)
"""Accounts whose figures may be stated; promises are the hub's own and are not."""
DOCUMENT_TYPE: Final = "import"
BATCH_SHIFT: Final = 20
COPY_NULL: Final = r"\N"
COUNTS_MAX: Final = (1 << BATCH_SHIFT) // len(STATES)
"""Most counts in one batch: movement ids have 20 bits within it."""

Figures = tuple[int | None, ...]


class Count(NamedTuple):
    """Stated figures of one pair, by STATES; None is not stated. `line` is digits."""

    item_id: int
    location_id: int
    line: int
    unit_cost: str | None
    figures: Figures
    safety_stock: int | None


class Entry(NamedTuple):
    """One movement to be booked."""

    item_id: int
    location_id: int
    from_account: int
    to_account: int
    quantity: int
    line: int
    unit_cost: str | None


class Source(NamedTuple):
    """The document that states the figures; `number` is digits."""

    number: str
    correlation_id: str


class Change(NamedTuple):
    """A balance as it will be; figures by STATES."""

    item_id: int
    location_id: int
    figures: tuple[int, ...]
    safety_stock: int
    moved: bool


Before = dict[tuple[int, int], tuple[int, ...]]
ZERO: Final = (0,) * (len(STATES) + 1)


def compare(counts: Iterable[Count], before: Before) -> tuple[list[Entry], list[Change]]:
    """The movements that make the balances what is stated, and the balances that change.

    `before` holds the six figures and the safety stock of each pair that has a balance.
    """
    entries: list[Entry] = []
    changes: list[Change] = []
    for item_id, location_id, line, unit_cost, figures, safety_stock in counts:
        held = before.get((item_id, location_id))
        old = held or ZERO
        new = list(old)
        for index, figure in enumerate(figures):
            if figure is None or figure == old[index]:
                continue
            new[index] = figure
            state, quantity = STATES[index], figure - old[index]
            accounts = (ADJUSTMENT, state) if quantity > 0 else (state, ADJUSTMENT)
            entries.append(Entry(item_id, location_id, *accounts, abs(quantity), line, unit_cost))
        if safety_stock is not None:
            new[-1] = safety_stock
        if held is None or new != list(held):
            moved = new[:-1] != list(old[:-1])
            changes.append(Change(item_id, location_id, tuple(new[:-1]), new[-1], moved))
    return entries, changes


def book_counts(conn: Connection[Any], counts: Sequence[Count], source: Source) -> int:
    """Book counts, one a pair, and answer how many movements it took; the caller commits.

    At most COUNTS_MAX counts; the items are locked by the caller before.
    """
    before = _balances_before(conn, counts)
    entries, changes = compare(counts, before)
    batch_id, recorded_at = conn.execute(SQL.next_batch).fetchall()[0]
    if entries:
        _write_movements(conn, entries, batch_id, recorded_at, source)
    fresh = [change for change in changes if (change[0], change[1]) not in before]
    _add_balances(conn, fresh, batch_id)
    _set_balances(conn, [c for c in changes if (c[0], c[1]) in before], batch_id)
    if changes:
        conn.execute(SQL.notify_reload)
    return len(entries)


def touch_feeds(conn: Connection[Any], location_ids: Iterable[int]) -> None:
    """Note that the locations told us something, and tell the views."""
    conn.execute(SQL.touch_feeds, {"locations": sorted(location_ids)})
    conn.execute(SQL.notify_reload)


def _array(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _balances_before(conn: Connection[Any], counts: Sequence[Count]) -> Before:
    pairs = {
        "items": _array(count.item_id for count in counts),
        "locations": _array(count.location_id for count in counts),
    }
    return {(row[0], row[1]): row[2:] for row in conn.execute(SQL.balances_before, pairs)}


def _write_movements(
    conn: Connection[Any],
    entries: Sequence[Entry],
    batch_id: int,
    recorded_at: datetime,
    source: Source,
) -> None:
    first = batch_id << BATCH_SHIFT
    moment, correlation = recorded_at.isoformat(), _escaped(source.correlation_id)
    head = f"\t{batch_id}\t{COUNT}\t"
    middle = f"\t{moment}\t{moment}\t{DOCUMENT_TYPE}\t{source.number}\t"
    rows = [
        f"{n}{head}{e[0]}\t{e[1]}\t{e[2]}\t{e[3]}\t{e[4]}{middle}{e[5]}\t"
        f"{COPY_NULL if e[6] is None else e[6]}\t{correlation}\n"
        for n, e in enumerate(entries, start=first)
    ]
    with conn.cursor().copy(SQL.copy_movements) as copy:
        copy.write("".join(rows))
    digest = batch_digest(batch_id, recorded_at, _columns(entries, first, recorded_at, source))
    record = {"batch_id": batch_id, "recorded_at": recorded_at, "digest": digest}
    conn.execute(SQL.add_batch, record | {"movements": len(entries)})


def _columns(
    entries: Sequence[Entry], first: int, recorded_at: datetime, source: Source
) -> list[str]:
    """The canonical columns of digest.py."""
    count = len(entries)
    items, locations, froms, tos, quantities, lines, costs = zip(*entries, strict=True)
    numbers = [range(first, first + count), [COUNT] * count, items, locations, froms, tos]
    whole = [*numbers, quantities, [microseconds(recorded_at)] * count]
    return [
        *(",".join(map(str, column)) for column in whole),
        texts([DOCUMENT_TYPE] * count),
        texts([source.number] * count),
        texts(map(str, lines)),
        texts([NULL] * count),
        texts(costs),
        texts([NULL] * count),
        texts([source.correlation_id] * count),
        texts([NULL] * count),
    ]


def _escaped(text: str) -> str:
    """Text as COPY reads it."""
    for character, escape in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
        text = text.replace(character, escape)
    return text


def _add_balances(conn: Connection[Any], changes: Sequence[Change], batch_id: int) -> None:
    if not changes:
        return
    with conn.cursor().copy(SQL.copy_balances) as copy:
        copy.write("".join([_balance_row(change, batch_id) for change in changes]))


def _balance_row(change: Change, batch_id: int) -> str:
    item_id, location_id, (a, b, c, d, e, f), safety_stock, moved = change
    batch = batch_id if moved else 0
    return f"{item_id}\t{location_id}\t{a}\t{b}\t{c}\t{d}\t{e}\t{f}\t{safety_stock}\t{batch}\n"


def _set_balances(conn: Connection[Any], changes: Sequence[Change], batch_id: int) -> None:
    if not changes:
        return
    names = ("available", "allocated", "picked", "quarantined", "in_transit", "on_order")
    figures = zip(*(change.figures for change in changes), strict=True)
    columns = {name: _array(column) for name, column in zip(names, figures, strict=True)}
    columns["items"] = _array(change.item_id for change in changes)
    columns["locations"] = _array(change.location_id for change in changes)
    columns["safety_stock"] = _array(change.safety_stock for change in changes)
    columns["batches"] = _array(batch_id if change.moved else 0 for change in changes)
    conn.execute(SQL.set_balances, columns)
