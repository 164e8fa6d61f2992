"""PostgreSQL array literals, built with C-speed joins.

psycopg's own list adapter visits every element in Python; the engine passes a few thousand
elements a batch, so it sends text literals instead.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime


def ints(values: Iterable[int]) -> str:
    """`{1,2,3}`."""
    return "{" + ",".join(map(str, values)) + "}"


def ints_or_null(values: Sequence[int | None]) -> str:
    """`{1,NULL,3}`; `{}` when all are NULL, which unnest pads."""
    if values.count(None) == len(values):
        return "{}"
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def texts(values: Sequence[str]) -> str:
    """`{"a","b"}`, escaped where needed."""
    if not values:
        return "{}"
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join([v.replace("\\", "\\\\").replace('"', '\\"') for v in values])
    return '{"' + joined + '"}'


def texts_or_null(values: Sequence[str | None]) -> str:
    """`{"a",NULL}`, escaped where needed; `{}` when all are NULL, which unnest pads."""
    if values.count(None) == len(values):
        return "{}"
    return "{" + ",".join([_quoted(value) for value in values]) + "}"


def blobs(values: Iterable[bytes]) -> str:
    """A bytea array."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"


def moments(values: Iterable[datetime | None]) -> str:
    """A timestamptz array; a batch repeats few moments."""
    known: dict[datetime | None, str] = {None: "NULL"}
    parts = []
    for value in values:
        text = known.get(value)
        if text is None:
            text = known[value] = f'"{value.isoformat()}"' if value else "NULL"
        parts.append(text)
    return "{" + ",".join(parts) + "}"


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
