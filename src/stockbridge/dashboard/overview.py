"""The overview page: what there is, what moves, what is wrong. Server-rendered, no script."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.kernel.accounts import ACCOUNT_NAMES, KIND_NAMES
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
_ROWS = 20
_FRESH_SECONDS = 2.0
_FIGURES = ("items", "locations", "channels", "open promises", "open exceptions")


class Facts(NamedTuple):
    """What the page shows, as read from the store."""

    figures: tuple[int, ...]
    states: list[tuple[Any, ...]]
    movements: list[tuple[Any, ...]]
    exceptions: list[tuple[Any, ...]]


class Overview:
    """Reads the page's facts at most every two seconds, however many people look."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = asyncio.Lock()
        self._facts: Facts | None = None
        self._read_at = 0.0

    async def page(self, health: Mapping[str, tuple[bool, str]]) -> str:
        """The page's HTML; `health` is (fine, detail) by the name of a part."""
        async with self._lock:
            if self._facts is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
                async with self._pool.connection() as conn:
                    self._facts = await read(conn)
                self._read_at = time.monotonic()
        return render(self._facts, health)


async def read(conn: AsyncConnection[TupleRow]) -> Facts:
    """Read what the page shows."""
    figures = await (await conn.execute(SQL.figures)).fetchone()
    states = await (await conn.execute(SQL.units_by_state)).fetchall()
    movements = await (await conn.execute(SQL.newest_movements, {"limit": _ROWS})).fetchall()
    exceptions = await (await conn.execute(SQL.open_exceptions, {"limit": _ROWS})).fetchall()
    return Facts(tuple(figures or ()), states, movements, exceptions)


def render(facts: Facts, health: Mapping[str, tuple[bool, str]]) -> str:
    """The page of `facts`; every text from the store is escaped."""
    cards = "".join(
        f'<li class="{_tone(name, count)}"><b>{count:,}</b> {name}</li>'
        for name, count in zip(_FIGURES, facts.figures, strict=True)
    )
    states = _table(("state", "units"), [(name, f"{units or 0:,}") for name, units in facts.states])
    parts = _table(
        ("part", "state", "detail"),
        [(name, "ok" if ok else "not ok", detail) for name, (ok, detail) in health.items()],
    )
    movements = _table(
        ("recorded", "kind", "item", "location", "from", "to", "units", "document"),
        [_movement(row) for row in facts.movements],
    )
    exceptions = _table(
        ("severity", "kind", "subject", "team", "cause", "opened"),
        [(*map(str, row[:5]), _moment(row[5])) for row in facts.exceptions],
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stockbridge</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="refresh" content="5"><link rel="stylesheet" href="/style.css"></head>'
        '<body><header><h1>Stockbridge</h1><nav><a href="/docs">API</a>'
        '<a href="/metrics">metrics</a><a href="/readyz">readiness</a></nav></header><main>'
        f'<ul class="cards">{cards}</ul><div class="columns">'
        f"<section><h2>Units by state</h2>{states}</section>"
        f"<section><h2>Health</h2>{parts}</section></div>"
        f"<section><h2>Open exceptions</h2>{exceptions}</section>"
        f"<section><h2>Newest movements</h2>{movements}</section></main></body></html>"
    )


def style() -> bytes:
    """The stylesheet of every page."""
    return (files(__package__) / "style.css").read_bytes()


def _tone(name: str, count: int) -> str:
    return "warn" if name == "open exceptions" and count else "calm"


def _movement(row: tuple[Any, ...]) -> tuple[str, ...]:
    recorded_at, kind, sku, location, from_account, to_account, quantity, document = row
    return (
        _moment(recorded_at),
        KIND_NAMES.get(kind, str(kind)),
        sku,
        location,
        ACCOUNT_NAMES.get(from_account, str(from_account)),
        ACCOUNT_NAMES.get(to_account, str(to_account)),
        f"{quantity:,}",
        document,
    )


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return "<p>none</p>"
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
