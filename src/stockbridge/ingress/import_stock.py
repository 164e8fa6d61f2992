"""Merges imported figures of stock: balances, which are booked, and safety stock, which is set."""

from collections.abc import Sequence
from itertools import islice, repeat
from operator import lshift, lt, or_
from typing import Any, Final, cast

from psycopg import Connection

from stockbridge.domain.ledger.bulk import (
    LOCATION_BITS,
    STATES,
    Counts,
    Source,
    at,
    book_counts,
    pair_key,
)
from stockbridge.domain.masters.bulk import (
    Refused,
    location_ids,
    lock_stock,
    resolve_skus,
)
from stockbridge.ingress.import_reader import Chunk
from stockbridge.kernel.accounts import ACCOUNT_NAMES

Stated = list[int | None]
LOCATION_MASK: Final = (1 << LOCATION_BITS) - 1
Figures = dict[int, Stated]


class StockMerge:
    """Books the chunks of one job; `locations` are those it touched."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.locations: set[int] = set()

    def balances(self, conn: Connection[Any], chunk: Chunk) -> Refused:
        """Book the stated figures; refused: unknown item or location, a kit."""
        stated = {state: chunk.columns.get(ACCOUNT_NAMES[state]) for state in STATES}
        figures = {state: column for state, column in stated.items() if column is not None}
        return self._book(conn, chunk, figures, chunk.columns.get("safety_stock"))

    def safety_stock(self, conn: Connection[Any], chunk: Chunk) -> Refused:
        """Set safety stock; refused: unknown item or location, a kit."""
        return self._book(conn, chunk, {}, chunk.columns["quantity"])

    def _book(
        self, conn: Connection[Any], chunk: Chunk, figures: Figures, safety: Stated | None
    ) -> Refused:
        skus, codes = chunk.columns["sku"], chunk.columns["location"]
        known = resolve_skus(conn, set(skus))
        kits = lock_stock(conn, known.ids.values())
        items = list(map(known.ids.get, skus))
        locations = list(map(location_ids(conn).get, codes))
        refused: Refused = {}
        if kits or None in items or None in locations:
            for n, (item, location) in enumerate(zip(items, locations, strict=True)):
                if item is None or location is None or item in kits:
                    refused[n] = _reason(skus[n], codes[n], item is None, location is None)
        rows, pairs = _in_order(items, locations, refused)
        if len(pairs) + len(refused) < len(skus):
            _fold(list(zip(items, locations, strict=True)), refused, [*figures.values(), safety])
        item_ids = [pair >> LOCATION_BITS for pair in pairs]
        location_column = [pair & LOCATION_MASK for pair in pairs]
        counts = Counts(
            item_ids,
            location_column,
            at(chunk.numbers, rows),
            list(map(known.costs.get, item_ids)) if known.costs else [None] * len(item_ids),
            {state: at(column, rows) for state, column in figures.items()},
            None if safety is None else at(safety, rows),
        )
        book_counts(conn, counts, self._source)
        self.locations.update(location_column)
        return refused


def _in_order(
    items: Stated, locations: Stated, refused: Refused
) -> tuple[Sequence[int], Sequence[int]]:
    """The last row of each pair not refused, and the pairs as numbers, by item and location."""
    if not refused:
        shifted = map(lshift, cast("list[int]", items), repeat(LOCATION_BITS))
        pairs = list(map(or_, shifted, cast("list[int]", locations)))
        if all(map(lt, pairs, islice(pairs, 1, None))):
            return range(len(pairs)), pairs
    last = {
        pair_key(item, location): n
        for n, (item, location) in enumerate(zip(items, locations, strict=True))
        if item is not None and location is not None and n not in refused
    }
    ordered = sorted(last)
    return [last[pair] for pair in ordered], ordered


def _fold(
    pairs: list[tuple[int | None, int | None]], refused: Refused, columns: list[Stated | None]
) -> None:
    """Let the last row of a pair also state what only its earlier rows do."""
    for column in columns:
        latest: dict[tuple[int | None, int | None], int | None] = {}
        for n, pair in enumerate(pairs):
            if column is not None and n not in refused:
                if column[n] is None:
                    column[n] = latest.get(pair)
                latest[pair] = column[n]


def _reason(sku: str, code: str, no_item: bool, no_location: bool) -> str:
    reasons = []
    if no_item:
        reasons.append(f"sku: no item {sku!r}; import it first")
    if no_location:
        reasons.append(f"location: no location {code!r}; import it first")
    return "; ".join(reasons) or f"sku: {sku!r} is a kit and holds no stock; import its components"
