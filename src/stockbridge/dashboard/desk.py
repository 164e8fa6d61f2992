"""What every page works with: the store, decoding, and lists that page by a cursor."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.dashboard.facts import Overview
from stockbridge.dashboard.web import Ask, Reply
from stockbridge.engine.inbox.model import Decode
from stockbridge.kernel.errors import Refusal
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]
Health = Callable[[], Awaitable[Mapping[str, tuple[bool, str]]]]
ROWS: Final = 50
"""Rows of a list's page."""
COUNTED_MAX: Final = 1_000
"""How far a figure on a page is counted; beyond it the page says "1,000+"."""
_ID = re.compile(r"[0-9]{1,18}")
_PAIR = re.compile(r"([0-9]{1,18})_([0-9]{1,18})")


@dataclass(frozen=True)
class Desk:
    """The services of the pages; `health` is (fine, detail) by the name of a part.

    `is_open`: whoever reaches the process may read while nobody can sign in, because it listens
    on the machine's own address only.
    """

    pool: Pool
    decode: Decode
    health: Health
    is_open: bool = False
    overview: Overview = field(default_factory=Overview)


Handler = Callable[[Desk, Ask], Awaitable[Reply | Refusal]]


class Listed(NamedTuple):
    """One page of a list: its rows, and the cursor of the next page."""

    rows: list[dict[str, Any]]
    following: str | None


async def fetch(conn: Connection, statement: bytes, **values: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement, planned for these values: a list's filters change its plan."""
    return await (await conn.execute(statement, values, prepare=False)).fetchall()


async def listed(conn: Connection, statement: bytes, **values: Any) -> Listed:
    """A page of a statement that gives (cursor, JSON document) rows and takes `limit`."""
    rows = await fetch(conn, statement, limit=ROWS + 1, **values)
    documents = [msgspec.json.decode(row[1]) for row in rows[:ROWS]]
    return Listed(documents, str(rows[ROWS - 1][0]) if len(rows) > ROWS else None)


def filters(ask: Ask, *names: str) -> dict[str, str | None]:
    """The list's filters out of its address."""
    return {name: ask.query.get(name) for name in names}


def number(text: str | None) -> int | None:
    """A row's number; None for what is none."""
    return int(text) if text is not None and _ID.fullmatch(text) else None


def pair(text: str | None) -> tuple[int | None, int | None]:
    """A cursor of two numbers."""
    match = _PAIR.fullmatch(text or "")
    return (int(match[1]), int(match[2])) if match else (None, None)


def missing(what: str, name: str) -> Refusal:
    """There is no such thing."""
    return Refusal(f"unknown_{what}", f"there is no {what} {name[:80]}", 404)


def reason(ask: Ask, field: str = "reason") -> str | Refusal:
    """What a person gives as the reason of an act."""
    text = ask.form.get(field, "")
    if not text:
        return Refusal("reason_missing", "say why: the next person will read it", 422)
    return text[:1_000]
