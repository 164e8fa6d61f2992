"""Books absolute figures for many (item, location) pairs in one batch, as movements of kind count.

The difference between what is stated and what the balance holds moves between the state and the
account `adjustment`; no difference moves nothing. The caller holds the items' locks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import sub
from typing import Any, Final, NamedTuple, TypeVar, cast

from psycopg import Connection

from stockbridge.domain.ledger.bulk_rows import (
    HEAD,
    NULL,
    TAIL,
    Field,
    bigint,
    bigints,
    constant,
    moment,
    numerics,
    rows,
    smallint,
    smallints,
    texts,
)
from stockbridge.domain.ledger.digest import TEXT_SEPARATOR, batch_digest
from stockbridge.domain.ledger.digest import texts as digest_texts
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

    items: Sequence[int]
    locations: Sequence[int]
    lines: Sequence[int]
    costs: Sequence[str | None]
    figures: Mapping[int, Sequence[int | None]]
    safety_stock: Sequence[int | None] | None = None

    def pair_keys(self) -> list[int]:
        """One number for each pair."""
        return list(map(pair_key, self.items, self.locations))


class Source(NamedTuple):
    """The document that states the figures; `number` is digits."""

    number: str
    correlation_id: str


class Difference(NamedTuple):
    """What has to move, column by column: row of the counts, state, signed quantity."""

    rows: Sequence[int]
    states: Sequence[int]
    quantities: Sequence[int]


class After(NamedTuple):
    """The balances as they will be: columns by STATES, then safety stock; and which rows change.

    `fresh` rows have no balance yet, `changed` ones have another.
    """

    columns: list[list[int]]
    fresh: Sequence[int]
    changed: Sequence[int]


def pair_key(item_id: int, location_id: int) -> int:
    """The pair as one number, in the order of item and location."""
    return item_id << LOCATION_BITS | location_id


def at(column: Sequence[T], rows: Sequence[int]) -> Sequence[T]:
    """These rows of a column, which is answered itself for the range of them all."""
    return column if rows == range(len(column)) else [column[n] for n in rows]


def compare(counts: Counts, before: Before) -> tuple[Difference, After]:
    """What must move to make the balances what is stated, and the balances then."""
    olds = [before.get(key, ZERO) for key in counts.pair_keys()] if before else []
    zeros = [0] * len(counts.items)
    everything = range(len(zeros))
    moved: list[tuple[int, Sequence[int], Sequence[int]]] = []
    columns: list[list[int]] = []
    for index, state in enumerate(STATES):
        old = [held[index] for held in olds] if before else zeros
        stated = counts.figures.get(state)
        columns.append(old if stated is None else _stated_or(stated, old))
        if stated is not None:
            moves = list(map(sub, columns[-1], old)) if before else columns[-1]
            rows = [n for n, move in enumerate(moves) if move] if 0 in moves else everything
            moved.append((state, rows, at(moves, rows)))
    difference = _difference(moved)
    old = [held[-1] for held in olds] if before else zeros
    safety = old if counts.safety_stock is None else _stated_or(counts.safety_stock, old)
    columns.append(safety)
    if not before:
        return difference, After(columns, everything, [])
    reset = [n for n, was in enumerate(old) if safety[n] != was]
    held_rows = {n for n, held in enumerate(olds) if held is not ZERO}
    fresh = [n for n, held in enumerate(olds) if held is ZERO]
    return difference, After(columns, fresh, sorted(held_rows & {*difference.rows, *reset}))


def _difference(moved: list[tuple[int, Sequence[int], Sequence[int]]]) -> Difference:
    """One difference of each state's moved rows and quantities."""
    if len(moved) == 1:
        state, rows, quantities = moved[0]
        return Difference(rows, [state] * len(rows), quantities)
    return Difference(
        [n for _, rows, _ in moved for n in rows],
        [state for state, rows, _ in moved for _ in rows],
        [quantity for _, _, quantities in moved for quantity in quantities],
    )


def _stated_or(stated: Sequence[int | None], old: list[int]) -> list[int]:
    """The figures stated, and the old ones where a row states none."""
    if None not in stated:
        return cast("list[int]", list(stated))
    return [was if new is None else new for new, was in zip(stated, old, strict=True)]


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
    asked = {
        "first": counts.items[0],
        "last": counts.items[-1],
        "items": _array(counts.items),
        "locations": sorted(set(counts.locations)),
    }
    held = conn.cursor(binary=True).execute(SQL.balances_before, asked).fetchall()
    return {pair_key(row[0], row[1]): row[2:] for row in held}


def _write_movements(
    conn: Connection[Any],
    counts: Counts,
    difference: Difference,
    batch: tuple[int, datetime],
    source: Source,
) -> None:
    batch_id, recorded_at = batch
    moved, states, signed = difference
    count = len(moved)
    movements = _Movements(
        range(batch_id << BATCH_SHIFT, (batch_id << BATCH_SHIFT) + count),
        at(counts.items, moved),
        at(counts.locations, moved),
        [ADJUSTMENT if q > 0 else state for q, state in zip(signed, states, strict=True)],
        [state if q > 0 else ADJUSTMENT for q, state in zip(signed, states, strict=True)],
        list(map(abs, signed)),
        list(map(str, at(counts.lines, moved))),
        at(counts.costs, moved),
    )
    with conn.cursor().copy(SQL.copy_movements) as copy:
        copy.write(HEAD)
        for part in movements.alike():
            for data in rows(len(part.numbers), part.fields(batch, source)):
                copy.write(data)
        copy.write(TAIL)
    digest = batch_digest(batch_id, recorded_at, movements.digest_columns(recorded_at, source))
    record = {"batch_id": batch_id, "recorded_at": recorded_at, "movements": count}
    conn.execute(SQL.add_batch, record | {"digest": digest})


class _Movements(NamedTuple):
    """Movements of one batch, column by column."""

    numbers: Sequence[int]
    items: Sequence[int]
    locations: Sequence[int]
    froms: Sequence[int]
    tos: Sequence[int]
    quantities: Sequence[int]
    lines: Sequence[str]
    costs: Sequence[str | None]

    def alike(self) -> Iterator["_Movements"]:
        """The movements, those whose rows are equally long together."""
        lengths = list(map(len, self.lines))
        if self.costs.count(None) < len(self.costs):
            pairs = zip(lengths, self.costs, strict=True)
            lengths = [length if cost is None else -length for length, cost in pairs]
        for length in (different := set(lengths)):
            if len(different) == 1:
                yield self
                return
            chosen = [n for n, each in enumerate(lengths) if each == length]
            numbers, items, locations, froms, tos, quantities = (
                at(column, chosen) for column in self[:6]
            )
            lines, costs = at(self.lines, chosen), at(self.costs, chosen)
            yield _Movements(numbers, items, locations, froms, tos, quantities, lines, costs)

    def fields(self, batch: tuple[int, datetime], source: Source) -> list[Field]:
        """The columns of `copy_movements`."""
        batch_id, recorded_at = batch
        costs = [cost for cost in self.costs if cost is not None]
        return [
            bigints(self.numbers),
            bigint(batch_id),
            smallint(COUNT),
            bigints(self.items),
            bigints(self.locations),
            smallints(self.froms),
            smallints(self.tos),
            bigints(self.quantities),
            moment(recorded_at),
            moment(recorded_at),
            constant(DOCUMENT_TYPE.encode()),
            constant(source.number.encode()),
            texts(self.lines),
            numerics(costs) if costs else NULL,
            constant(source.correlation_id.encode()),
        ]

    def digest_columns(self, recorded_at: datetime, source: Source) -> list[str]:
        """The columns as digest.py orders them."""
        count = len(self.numbers)
        kinds, moments = [COUNT] * count, [microseconds(recorded_at)] * count
        whole = (self.numbers, kinds, *self[1:6], moments)
        nothing, correlations = _repeated(None, count), _repeated(source.correlation_id, count)
        costly = self.costs.count(None) < count
        costs = digest_texts(self.costs) if costly else nothing
        return [
            *(_joined(column) for column in whole),
            _repeated(DOCUMENT_TYPE, count),
            _repeated(source.number, count),
            digest_texts(self.lines),
            nothing,
            costs,
            nothing,
            correlations,
            nothing,
            nothing,
        ]


def _joined(column: Sequence[int]) -> str:
    if column.count(column[0]) == len(column):
        return f"{column[0]}," * (len(column) - 1) + str(column[0])
    return ",".join(map(str, column))


def _repeated(value: str | None, count: int) -> str:
    text = digest_texts([value])
    return f"{text}{TEXT_SEPARATOR}" * (count - 1) + text


def _write_balances(
    conn: Connection[Any], counts: Counts, after: After, batch: tuple[int, datetime]
) -> None:
    """Every written balance gets the batch's id, since whoever read it before compares that."""
    batch_id, counted_at = batch
    columns = [counts.items, counts.locations, *after.columns]
    if after.fresh:
        with conn.cursor().copy(SQL.copy_balances) as copy:
            copy.write(HEAD)
            for chosen, counted in _by_counted(counts, after.fresh):
                fields: list[Field] = [bigints(at(column, chosen)) for column in columns]
                fields += [bigint(batch_id), moment(counted_at) if counted else NULL]
                for data in rows(len(chosen), fields):
                    copy.write(data)
            copy.write(TAIL)
    names = ("items", "locations", *(ACCOUNT_NAMES[state] for state in STATES), "safety_stock")
    for chosen, counted in _by_counted(counts, after.changed):
        arrays = [_array(at(column, chosen)) for column in columns]
        values: dict[str, Any] = dict(zip(names, arrays, strict=True))
        values |= {"batch_id": batch_id, "counted_at": counted_at if counted else None}
        conn.execute(SQL.set_balances, values)


def _by_counted(counts: Counts, chosen: Sequence[int]) -> Iterator[tuple[Sequence[int], bool]]:
    """The chosen rows that count what is available, and those that do not; no empty ones."""
    figures = counts.figures.get(AVAILABLE)
    if figures is None or None in figures:
        stated = set(_stated(counts, AVAILABLE))
        parts: tuple[Sequence[int], Sequence[int]] = (
            [n for n in chosen if n in stated],
            [n for n in chosen if n not in stated],
        )
    else:
        parts = chosen, ()
    return ((part, counted) for part, counted in zip(parts, (True, False), strict=True) if part)


def _stated(counts: Counts, state: int) -> list[int]:
    """The rows that state a figure for it."""
    figures = counts.figures.get(state, ())
    return [n for n, figure in enumerate(figures) if figure is not None]


def _write_anchors(
    conn: Connection[Any], counts: Counts, after: After, counted_at: datetime
) -> None:
    """What is stated is counted: facts that occurred before are inside it, changed or not.

    Balances written by this batch have their anchor of `available` already.
    """
    for state in PHYSICAL:
        stated = _stated(counts, state)
        if state == AVAILABLE and stated:
            written = {*after.fresh, *after.changed}
            stated = [n for n in stated if n not in written]
        if not stated:
            continue
        values: dict[str, Any] = {
            "items": _array(at(counts.items, stated)),
            "locations": _array(at(counts.locations, stated)),
            "counted_at": counted_at,
        }
        if state == AVAILABLE:
            conn.execute(SQL.anchor_available, values)
        else:
            conn.execute(SQL.anchor_state, values | {"account": state})
