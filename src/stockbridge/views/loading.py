"""Fills shelves from the store: all of it at a start, or the few items a question is about."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any

from psycopg import AsyncConnection

from stockbridge.store.sql import load
from stockbridge.views.shelves import Shelves

SQL = load(__package__)
Connection = AsyncConnection[Any]
_ROWS_AT_ONCE = 2_000


async def rows_of(conn: Connection, statement: bytes, **values: Any) -> list[Any]:
    """All rows of a named statement."""
    return await (await conn.execute(statement, values)).fetchall()


async def load_all(conn: Connection, shelves: Shelves) -> None:
    """Load everything in place, letting other tasks run in between; inside `one_snapshot`."""
    async for items in _stream(conn, SQL.stream_items):
        shelves.name(items)
    async for rows in _stream(conn, SQL.stream_balances):
        shelves.rows.update(rows)
    await _load_small(conn, shelves, None)


async def load_some(conn: Connection, skus: Collection[str]) -> Shelves:
    """Shelves with the items of `skus` that exist and their components; inside `one_snapshot`."""
    possible = [sku for sku in skus if storable(sku)]
    return await _load_named(conn, await rows_of(conn, SQL.items_by_sku, skus=possible))


async def load_items(conn: Connection, items: Collection[int]) -> Shelves:
    """The same of items by id."""
    return await _load_named(conn, await rows_of(conn, SQL.items_by_id, items=list(items)))


async def _load_named(conn: Connection, named: Iterable[tuple[int, str]]) -> Shelves:
    shelves = Shelves()
    shelves.name(named)
    kits = await rows_of(conn, SQL.kits, items=list(shelves.names))
    items = list({*shelves.names, *(component for _, component, _ in kits)})
    shelves.rows.update(await rows_of(conn, SQL.pack_balances, items=items))
    await _load_small(conn, shelves, items)
    return shelves


def storable(text: str) -> bool:
    """PostgreSQL keeps no NUL and no half of a surrogate pair, so such a text names nothing."""
    return "\0" not in text and text.encode(errors="replace").decode() == text


async def load_packed(
    conn: Connection, statement: bytes, items: list[int] | None = None
) -> dict[int, bytes]:
    """Fences (`pack_fences`) or pipeline (`pack_supply`) of `items`, or of all."""
    return dict(await rows_of(conn, statement, items=items))


async def load_kits(conn: Connection, shelves: Shelves, items: list[int] | None = None) -> None:
    """Replace the kits: those among `items`, or all."""
    shelves.assemble(await rows_of(conn, SQL.kits, items=items))


async def _load_small(conn: Connection, shelves: Shelves, items: list[int] | None) -> None:
    shelves.fences = await load_packed(conn, SQL.pack_fences, items)
    shelves.supply = await load_packed(conn, SQL.pack_supply, items)
    await load_kits(conn, shelves, items)
    shelves.feeds.update(await rows_of(conn, SQL.feeds))


async def learn_items(conn: Connection, shelves: Shelves, unnamed: Iterable[int]) -> None:
    """Learn items made since, and those whose stock moved before we knew their name."""
    shelves.name(await rows_of(conn, SQL.newer_items, known=shelves.newest))
    missing = [item_id for item_id in unnamed if item_id not in shelves.names]
    if missing:
        shelves.name(await rows_of(conn, SQL.items_by_id, items=missing))


async def _stream(conn: Connection, statement: bytes) -> AsyncIterator[list[tuple[Any, ...]]]:
    async with conn.cursor(name="stockbridge_view", binary=True) as cursor:
        await cursor.execute(statement)
        while rows := await cursor.fetchmany(_ROWS_AT_ONCE):
            yield rows
            await asyncio.sleep(0)
