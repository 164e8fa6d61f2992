"""Lists page by a cursor: the last row's key, opaque to the caller."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Shape
from stockbridge.ingress.call import Answer, Call
from stockbridge.kernel.errors import Refusal

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
_BIGINT_MAX = 2**63 - 1
T = TypeVar("T")

Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="Rows of a page")]
Cursor = Annotated[str, Meta(max_length=512, description="next_cursor of the page before")]


class PageQuery(Shape, frozen=True):
    """Which page of a list."""

    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor | None = None


class Page(msgspec.Struct, Generic[T]):
    """A page of a list; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(key: str) -> str:
    """The opaque form of a row's key."""
    return urlsafe_b64encode(key.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *, number: bool) -> str | int | Refusal | None:
    """The row's key in a cursor, as a number or as text; None for the first page."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        key = urlsafe_b64decode(padded).decode()
        if not number and "\0" not in key:
            return key
        if number and 0 <= int(key) <= _BIGINT_MAX:
            return int(key)
    except (ValueError, binascii.Error):
        pass
    return Refusal("cursor_invalid", "cursor: give next_cursor of the page before, unchanged")


async def page(call: Call, statement: bytes, *, number: bool, **filters: Any) -> Answer | Refusal:
    """Run a list statement giving (key, JSON document) rows and answer one page of it.

    The statement takes `after` (the last key seen, or null), `limit` and `filters`; PostgreSQL
    builds the documents, they pass through as they are.
    """
    after = decode_cursor(call.query.cursor, number=number)
    if isinstance(after, Refusal):
        return after
    limit = call.query.limit
    async with call.hub.pool.connection() as conn:
        cursor = await conn.execute(statement, {"after": after, "limit": limit + 1, **filters})
        rows = await cursor.fetchall()
    return page_of(rows, limit)


def page_of(rows: list[Any], limit: int) -> Answer:
    """The answer of up to `limit` of the (key, JSON document) rows; one more tells of a next."""
    more = len(rows) > limit
    documents = ",".join(row[1] for row in rows[:limit])
    following = f'"{encode_cursor(rows[limit - 1][0])}"' if more else "null"
    return Answer(200, f'{{"items":[{documents}],"next_cursor":{following}}}'.encode())
