"""Books absolute figures for many (item, location) pairs in one batch, as movements of kind count.

The difference between what is stated and what the balance holds moves between the state and the
account `adjustment`; no difference moves nothing. The caller holds the items' locks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from psycopg import Connection

from stockbridge.domain.ledger.digest import batch_digest, texts
from stockbridge.kernel.accounts import (
    ACCOUNT_NAMES,
    ADJUSTMENT,
    ALLOCATED,
    AVAILABLE,
    COUNT,
    IN_TRANSIT,
    ON_ORDER,
    PICKED,
    QUARANTINED,
)
from stockbridge.kernel.clock import microseconds
from stockbridge.store.sql import load

SQL = load(__package__)
STATES: Final = (AVAILABLE, ALLOCATED, PICKED, QUARANTINED, IN_TRANSIT, ON_ORDER)
"""Accounts whose figures may be stated; promises are the hub's own and are not."""
PHYSICAL: Final = (AVAILABLE, ALLOCATED, PICKED, QUARANTINED)
"""States that lie in the building, so that stating them is counting them."""
DOCUMENT_TYPE: Final = "import"
BATCH_SHIFT: Final = 20
COPY_NULL: Final = r"\N"
LOCATION_BITS: Final = 32
ZERO: Final = (0,) * (len(STATES) + 1)
T = TypeVar("T")
COUNTS_MAX: Final = (1 << BATCH_SHIFT) // len(STATES)
"""Most counts in one batch: movement ids have 20 bits within it."""

Before = dict[int, tuple[int, ...]]
"""Pair key -> the six figures by STATES and the safety stock, of pairs that have a balance."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Stated figures, column by column: one row a pair, sorted by item and location.

    `figures` holds a list for each state somebody stated, None where a row does not; `safety_stock`
    likewise. `lines` are the rows' numbers in the document; `costs` exact decimal texts.
    """

    items: list[int]
    locations: list[int]
    lines: list[int]
    costs: list[str | None]
    figures: dict[int, list[int | None]]
    safety_stock: list[int | None] | None = None

    def pairs(self) -> dict[str, list[int]]:
        """The columns that name the pairs."""
        return {"items": self.items, "locations": self.locations}

    def pair_keys(self) -> list[int]:
        """One number for each pair."""
        return list(map(pair_key, self.items, self.locations))


class Source(NamedTuple):
    """The document that states the figures; `number` is digits."""

    number: str
    correlation_id: str


class Difference(NamedTuple):
    """What has to move, column by column: row of the counts, state, signed quantity."""

    rows: list[int]
    states: list[int]
    quantities: list[int]


class After(NamedTuple):
    """The balances as they will be: columns by STATES, then safety stock; and which rows change.

    `fresh` rows have no balance yet, `changed` ones have another.
    """

    columns: list[list[int]]
    fresh: list[int]
    changed: list[int]


def pair_key(item_id: int, location_id: int) -> int:
    """The pair as one number, in the order of item and location."""
    return item_id << LOCATION_BITS | location_id


def compare(counts: Counts, before: Before) -> tuple[Difference, After]:
    """What must move to make the balances what is stated, and the balances then."""
    olds = [before.get(key, ZERO) for key in counts.pair_keys()] if before else []
    difference = Difference([], [], [])
    columns: list[list[int]] = []
    for index, state in enumerate(STATES):
        old = [held[index] for held in olds] if before else [0] * len(counts.items)
        stated = counts.figures.get(state)
        if stated is not None:
            moves = [0 if new is None else new - was for new, was in zip(stated, old, strict=True)]
            rows = [n for n, quantity in enumerate(moves) if quantity]
            difference.rows.extend(rows)
            difference.states.extend([state] * len(rows))
            difference.quantities.extend([moves[n] for n in rows])
            old = [was + quantity for was, quantity in zip(old, moves, strict=True)]
        columns.append(old)
    safety = [held[-1] for held in olds] if before else [0] * len(counts.items)
    reset: list[int] = []
    if counts.safety_stock is not None:
        pairs = zip(counts.safety_stock, safety, strict=True)
        new_safety = [was if new is None else new for new, was in pairs]
        reset = [n for n, was in enumerate(safety) if new_safety[n] != was]
        safety = new_safety
    held_rows = [n for n, held in enumerate(olds) if held is not ZERO]
    touched = {*difference.rows, *reset}.intersection(held_rows) if held_rows else ()
    fresh = [n for n, held in enumerate(olds) if held is ZERO] if before else None
    everything = list(range(len(counts.items)))
    return difference, After(
        [*columns, safety], everything if fresh is None else fresh, sorted(touched)
    )


def book_counts(conn: Connection[Any], counts: Counts, source: Source) -> int:
    """Book counts and answer how many movements it took; the caller commits.

    At most COUNTS_MAX counts; the items are locked by the caller before.
    """
    if not counts.items:
        return 0
    before = _balances_before(conn, counts)
    difference, after = compare(counts, before)
    batch_id, recorded_at = conn.execute(SQL.next_batch).fetchall()[0]
    if difference.rows:
        _write_movements(conn, counts, difference, (batch_id, recorded_at), source)
    _write_balances(conn, counts, after, (batch_id, recorded_at))
    _write_anchors(conn, counts, after, recorded_at)
    if after.fresh or after.changed:
        conn.execute(SQL.notify_reload)
    return len(difference.rows)


def touch_feeds(conn: Connection[Any], location_ids: Iterable[int]) -> None:
    """Note that the locations told us something, and tell the views."""
    conn.execute(SQL.touch_feeds, {"locations": sorted(location_ids)})
    conn.execute(SQL.notify_reload)


def _array(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _balances_before(conn: Connection[Any], counts: Counts) -> Before:
    asked = {"items": _array(sorted(set(counts.items)))}
    known = {row[0] for row in conn.execute(SQL.items_with_balances, asked)}
    if not known:
        return {}
    rows = [n for n, item in enumerate(counts.items) if item in known]
    pairs = {name: _array(_at(column, rows)) for name, column in counts.pairs().items()}
    held = conn.execute(SQL.balances_before, pairs).fetchall()
    return {pair_key(row[0], row[1]): row[2:] for row in held}


def _write_movements(
    conn: Connection[Any],
    counts: Counts,
    difference: Difference,
    batch: tuple[int, datetime],
    source: Source,
) -> None:
    batch_id, recorded_at = batch
    rows, states, signed = difference
    first, count = batch_id << BATCH_SHIFT, len(rows)
    froms = [ADJUSTMENT if q > 0 else state for q, state in zip(signed, states, strict=True)]
    tos = [state if q > 0 else ADJUSTMENT for q, state in zip(signed, states, strict=True)]
    numbers = [range(first, first + count), _at(counts.items, rows), _at(counts.locations, rows)]
    whole = [list(map(str, column)) for column in (*numbers, froms, tos, map(abs, signed))]
    lines, costs = list(map(str, _at(counts.lines, rows))), _at(counts.costs, rows)
    moment, correlation = recorded_at.isoformat(), _escaped(source.correlation_id)
    head = f"\t{batch_id}\t{COUNT}\t"
    middle = f"\t{moment}\t{moment}\t{DOCUMENT_TYPE}\t{source.number}\t"
    texts_in_order = zip(*whole, lines, [COPY_NULL if c is None else c for c in costs], strict=True)
    text = "".join(
        [
            f"{number}{head}{item}\t{place}\t{a}\t{b}\t{units}{middle}{line}\t{cost}\t{correlation}\n"
            for number, item, place, a, b, units, line, cost in texts_in_order
        ]
    )
    with conn.cursor().copy(SQL.copy_movements) as copy:
        copy.write(text)
    kinds, moments = [str(COUNT)] * count, [str(microseconds(recorded_at))] * count
    columns = [",".join(each) for each in (whole[0], kinds, *whole[1:], moments)]
    columns += _text_columns(lines, costs, source)
    record = {"batch_id": batch_id, "recorded_at": recorded_at, "movements": count}
    digest = batch_digest(batch_id, recorded_at, columns)
    conn.execute(SQL.add_batch, record | {"digest": digest})


def _text_columns(lines: list[str], costs: list[str | None], source: Source) -> list[str]:
    """The columns from document to tracking, as digest.py orders them."""
    count = len(lines)
    nothing = texts([None] * count)
    documents = [texts([DOCUMENT_TYPE] * count), texts([source.number] * count), texts(lines)]
    correlations = texts([source.correlation_id] * count)
    return [*documents, nothing, texts(costs), nothing, correlations, nothing, nothing]


def _at(column: list[T], rows: list[int]) -> list[T]:
    if rows == list(range(len(column))):
        return column
    return [column[n] for n in rows]


def _escaped(text: str) -> str:
    """Text as COPY reads it."""
    for character, escape in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
        text = text.replace(character, escape)
    return text


def _balance_text(columns: list[list[int]], tail: str) -> str:
    """Rows as COPY reads them; columns that are zero throughout are not formatted row by row."""
    form = "\t".join(["%d" if any(column) else "0" for column in columns]) + f"\t{tail}\n"
    rows = zip(*(column for column in columns if any(column)), strict=True)
    return "".join([form % row for row in rows])


def _write_balances(
    conn: Connection[Any], counts: Counts, after: After, batch: tuple[int, datetime]
) -> None:
    """Every written balance gets the batch's id, since whoever read it before compares that."""
    batch_id, counted_at = batch
    columns = [counts.items, counts.locations, *after.columns]
    if after.fresh:
        stated = _stated(counts, AVAILABLE)
        with conn.cursor().copy(SQL.copy_balances) as copy:
            for rows, moment in (
                ([n for n in after.fresh if n in stated], counted_at.isoformat()),
                ([n for n in after.fresh if n not in stated], COPY_NULL),
            ):
                text = _balance_text(
                    [_at(column, rows) for column in columns], f"{batch_id}\t{moment}"
                )
                copy.write(text)
    if after.changed:
        arrays = [_array(column[n] for n in after.changed) for column in columns]
        names = ("items", "locations", *(ACCOUNT_NAMES[state] for state in STATES), "safety_stock")
        values = dict(zip(names, arrays, strict=True))
        conn.execute(SQL.set_balances, values | {"batch_id": batch_id})


def _stated(counts: Counts, state: int) -> set[int]:
    """The rows that state a figure for it."""
    figures = counts.figures.get(state)
    if figures is None:
        return set()
    return {n for n, figure in enumerate(figures) if figure is not None}


def _write_anchors(
    conn: Connection[Any], counts: Counts, after: After, counted_at: datetime
) -> None:
    """What is stated is counted: facts that occurred before are inside it, changed or not."""
    fresh = set(after.fresh)
    for state in PHYSICAL:
        rows = sorted(_stated(counts, state))
        if state == AVAILABLE:
            rows = [n for n in rows if n not in fresh]
        if not rows:
            continue
        values: dict[str, Any] = {
            "items": _array(_at(counts.items, rows)),
            "locations": _array(_at(counts.locations, rows)),
            "counted_at": counted_at,
        }
        if state == AVAILABLE:
            conn.execute(SQL.anchor_available, values)
        else:
            conn.execute(SQL.anchor_state, values | {"account": state})
