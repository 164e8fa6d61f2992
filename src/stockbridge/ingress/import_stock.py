"""Merges imported figures of stock: balances, which are booked, and safety stock, which is set."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from stockbridge.domain.ledger.bulk import STATES, Count, Source, book_counts
from stockbridge.domain.masters.bulk import (
    Refused,
    kits_among,
    location_ids,
    lock_items,
    resolve_skus,
)
from stockbridge.ingress.import_reader import Chunk
from stockbridge.kernel.accounts import ACCOUNT_NAMES

STATE_COLUMNS = tuple(ACCOUNT_NAMES[state] for state in STATES)


class StockMerge:
    """Books the chunks of one job; `locations` are those it touched."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.locations: set[int] = set()

    def balances(self, conn: Connection[Any], chunk: Chunk) -> Refused:
        """Book the stated figures; refused: unknown item or location, a kit."""
        none = [None] * len(chunk.numbers)
        columns = [chunk.columns.get(name, none) for name in STATE_COLUMNS]
        figures = list(zip(*columns, strict=True))
        return self._book(conn, chunk, figures, chunk.columns.get("safety_stock", none))

    def safety_stock(self, conn: Connection[Any], chunk: Chunk) -> Refused:
        """Set safety stock; refused: unknown item or location, a kit."""
        unstated = [(None,) * len(STATES)] * len(chunk.numbers)
        return self._book(conn, chunk, unstated, chunk.columns["quantity"])

    def _book(
        self,
        conn: Connection[Any],
        chunk: Chunk,
        figures: Sequence[tuple[int | None, ...]],
        safety_stock: Sequence[int | None],
    ) -> Refused:
        skus, codes = chunk.columns["sku"], chunk.columns["location"]
        locations = location_ids(conn)
        items = resolve_skus(conn, set(skus))
        ids = sorted({item.item_id for item in items.values()})
        lock_items(conn, ids)
        kits = kits_among(conn, ids)
        refused: Refused = {}
        counts: dict[tuple[int, int], Count] = {}
        for n, (sku, code, line) in enumerate(zip(skus, codes, chunk.numbers, strict=True)):
            item, location = items.get(sku), locations.get(code)
            if item is None or location is None or item[0] in kits:
                refused[n] = _reason(sku, code, item is None, location is None)
                continue
            pair = (item[0], location)
            # The later row of a pair stands for what it states, the earlier for the rest.
            new = Count(item[0], location, line, item[1], figures[n], safety_stock[n])
            old = counts.get(pair)
            counts[pair] = new if old is None else _later(old, new)
        book_counts(conn, sorted(counts.values()), self._source)
        self.locations.update(location for _, location in counts)
        return refused


def _later(old: Count, new: Count) -> Count:
    figures = [b if b is not None else a for a, b in zip(old.figures, new.figures, strict=True)]
    safety_stock = old.safety_stock if new.safety_stock is None else new.safety_stock
    return new._replace(figures=tuple(figures), safety_stock=safety_stock)


def _reason(sku: str, code: str, no_item: bool, no_location: bool) -> str:
    reasons = []
    if no_item:
        reasons.append(f"sku: no item {sku!r}; import it first")
    if no_location:
        reasons.append(f"location: no location {code!r}; import it first")
    return "; ".join(reasons) or f"sku: {sku!r} is a kit and holds no stock; import its components"
