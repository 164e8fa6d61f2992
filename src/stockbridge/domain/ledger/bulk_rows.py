"""Rows as COPY reads them in its binary format, laid out column by column.

Rows of equal length let a whole column be written with one strided copy for each of its bytes,
and bytes that are the same in every row are written once, in the pattern all rows start from.
"""

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from stockbridge.kernel.clock import microseconds

HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL: Final = b"\xff\xff"
NULL: Final = b"\xff\xff\xff\xff"
SLICE_ROWS: Final = 1_024
"""Rows laid out together: they stay in the processor's cache."""
YEAR_2000_MICROSECONDS: Final = 946_684_800_000_000
_NUMERIC = struct.Struct(">4h5h")
_NUMERIC_HEAD = (5, 2, 0, 6)  # digits to base 10,000; the first one's exponent; sign; decimals


class Column(NamedTuple):
    """One value of `size` bytes for each row."""

    size: int
    values: bytes


Field = bytes | Column
"""A constant, with its length in front, or a column."""


def constant(value: bytes) -> bytes:
    """The same value in every row."""
    return len(value).to_bytes(4, "big") + value


def bigint(value: int) -> bytes:
    """The same bigint in every row."""
    return constant(value.to_bytes(8, "big", signed=True))


def smallint(value: int) -> bytes:
    """The same smallint in every row."""
    return constant(value.to_bytes(2, "big", signed=True))


def moment(value: datetime) -> bytes:
    """The same timestamptz in every row."""
    return bigint(microseconds(value) - YEAR_2000_MICROSECONDS)


def bigints(values: Sequence[int]) -> Column:
    """A bigint for each row."""
    return Column(8, _big_endian("q", values))


def smallints(values: Sequence[int]) -> Column:
    """A smallint for each row."""
    return Column(2, _big_endian("h", values))


def texts(values: Sequence[str]) -> Column:
    """ASCII texts of one length."""
    return Column(len(values[0]), "".join(values).encode("ascii"))


def numerics(values: Sequence[str]) -> Column:
    """Exact decimal texts as numeric(18, 6), zero or more."""
    known = {value: _numeric(value) for value in set(values)}
    return Column(_NUMERIC.size, b"".join(map(known.__getitem__, values)))


def rows(count: int, fields: Sequence[Field]) -> Iterator[bytearray]:
    """`count` rows of these fields, some at a time, without HEAD and TAIL."""
    pattern = bytearray(len(fields).to_bytes(2, "big"))
    varying: list[tuple[int, bytes]] = []
    for field in fields:
        if isinstance(field, bytes):
            pattern += field
            continue
        pattern += field.size.to_bytes(4, "big")
        for n in range(field.size):
            places = field.values[n :: field.size]
            if places.count(places[0]) < count:
                varying.append((len(pattern), places))
            pattern.append(places[0])
    width = len(pattern)
    for start in range(0, count, SLICE_ROWS):
        data = pattern * min(SLICE_ROWS, count - start)
        for offset, places in varying:
            data[offset::width] = places[start : start + SLICE_ROWS]
        yield data


def _big_endian(code: str, values: Sequence[int]) -> bytes:
    column = array(code, values)
    if sys.byteorder == "little":
        column.byteswap()
    return column.tobytes()


def _numeric(text: str) -> bytes:
    whole, _, decimals = text.partition(".")
    digits = whole.zfill(12) + decimals.ljust(8, "0")
    return _NUMERIC.pack(*_NUMERIC_HEAD, *(int(digits[n : n + 4]) for n in range(0, 20, 4)))
