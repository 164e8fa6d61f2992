"""The columns of each kind of import, and how a cell becomes a value.

A cell is read one way: quickly for a whole column of good cells, one by one for the reason of a
bad one; both ways give the same values. An empty cell of an optional column is None, "not stated".
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from stockbridge.kernel.errors import StockbridgeError
from stockbridge.kernel.quantity import QUANTITY_MAX

CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
COST: Final = re.compile(r"\d{1,12}(\.\d{1,6})?")
GTIN: Final = re.compile(r"\d{8}|\d{12,14}")
DIGITS_MAX: Final = 18
DIGITS: Final = re.compile(rf"[0-9]{{1,{DIGITS_MAX}}}")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
NOT_UTF8: Final = re.compile(r"[\ud800-\udfff]")
SHOWN_MAX: Final = 40

Parse = Callable[[str], Any]
ParseAll = Callable[[Sequence[str], str], list[Any] | None]


class ImportRefused(StockbridgeError):
    """The file as a whole cannot be imported; the text says what to change in it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `parse` reads a stripped, non-empty cell or raises ValueError with the fix.

    `parse_all` reads a whole column of stripped cells at once, given their join too, or answers
    None to have each looked at alone.
    """

    name: str
    parse: Parse
    required: bool = True
    parse_all: ParseAll | None = None

    def read(self, cell: str) -> Any:
        """The value of one cell, None for an empty optional one; raises ValueError."""
        cell = cell.strip()
        if cell:
            return self.parse(cell)
        if self.required:
            raise ValueError("is empty; fill it in")
        return None

    def read_all(self, cells: Sequence[str]) -> list[Any] | None:
        """The values of many cells, or None when one of them needs a closer look."""
        whole = "".join(cells)
        if " " in whole or not whole.isprintable():
            cells = list(map(str.strip, cells))
            whole = "".join(cells)
        if not whole and not self.required:
            return [None] * len(cells)
        if self.parse_all is None:
            return self._read_repeated(cells)
        if self.required or "" not in cells:
            return self.parse_all(cells, whole)
        filled = self.parse_all([cell for cell in cells if cell], whole)
        if filled is None:
            return None
        values = iter(filled)
        return [next(values) if cell else None for cell in cells]

    def _read_repeated(self, cells: Sequence[str]) -> list[Any] | None:
        """Each different cell is read once: codes and choices are few."""
        try:
            known = {cell: self.read(cell) for cell in set(cells)}
        except ValueError:
            return None
        return list(map(known.__getitem__, cells))


def _text(length_max: int, *, lines: bool = False) -> Parse:
    def parse(cell: str) -> str:
        if len(cell) > length_max:
            raise ValueError(f"has {len(cell)} characters, at most {length_max}; shorten it")
        if NOT_UTF8.search(cell):
            raise ValueError("is not UTF-8; save the file as UTF-8")
        if "\0" in cell or (not lines and CONTROL.search(cell)):
            raise ValueError("holds a control character; take it out")
        return cell

    return parse


def _texts(length_max: int) -> ParseAll:
    def parse_all(cells: Sequence[str], whole: str) -> list[str] | None:
        if not whole.isprintable() or "" in cells or max(map(len, cells)) > length_max:
            return None
        return list(cells)

    return parse_all


def _pattern(pattern: re.Pattern[str], form: str, length_max: int = 64) -> Parse:
    def parse(cell: str) -> str:
        if len(cell) > length_max or not pattern.fullmatch(cell):
            raise ValueError(f"is {_shown(cell)}; write {form}")
        return cell

    return parse


def _choice(*choices: str) -> Parse:
    def parse(cell: str) -> str:
        if cell not in choices:
            raise ValueError(f"is {_shown(cell)}; write one of {', '.join(choices)}")
        return cell

    return parse


def _whole(low: int = 0, high: int = QUANTITY_MAX) -> Parse:
    def parse(cell: str) -> int:
        if not DIGITS.fullmatch(cell) or not low <= int(cell) <= high:
            raise ValueError(f"is {_shown(cell)}; write a whole number from {low} to {high}")
        return int(cell)

    return parse


def _wholes(low: int = 0, high: int = QUANTITY_MAX) -> ParseAll:
    def parse_all(cells: Sequence[str], whole: str) -> list[int] | None:
        if (
            not (whole.isascii() and whole.isdigit())
            or "" in cells
            or max(map(len, cells)) > DIGITS_MAX
        ):
            return None
        values = list(map(int, cells))
        return values if min(values) >= low and max(values) <= high else None

    return parse_all


def _object(cell: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(cell)
    except msgspec.DecodeError as error:
        raise ValueError(f"is not JSON ({error}); write an object") from None
    if not isinstance(value, dict) or "\\u0000" in cell:
        raise ValueError('is no JSON object; write one like {{"colour": "red"}}')
    return value


def _moment(cell: str) -> datetime:
    form = "write RFC 3339 with an offset, like 2026-01-31T09:00:00Z"
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"is {_shown(cell)}; {form}") from None
    if moment.tzinfo is None:
        raise ValueError(f"is {_shown(cell)}, without an offset; {form}")
    return moment


@cache
def _time_zone(cell: str) -> str:
    try:
        return cell if cell == "UTC" else ZoneInfo(cell).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"is {_shown(cell)}; write a name like Europe/London") from None


def _codes(cell: str) -> list[str]:
    codes = [code.strip() for code in cell.split("|")]
    for code in codes:
        if not CODE.fullmatch(code):
            raise ValueError(f"is {_shown(cell)}; write location codes like MAIN|EAST")
    return codes


def _shown(cell: str) -> str:
    short = cell if len(cell) <= SHOWN_MAX else f"{cell[:SHOWN_MAX]}..."
    return repr(short).encode("utf-8", "replace").decode()


def _sku(name: str = "sku") -> Column:
    return Column(name, _text(128), parse_all=_texts(128))


def _code(name: str, *, required: bool = True) -> Column:
    return Column(name, _pattern(CODE, "letters, digits and ._:/- (at most 64)"), required)


def _place(name: str, *, required: bool = True) -> Column:
    return Column(name, _text(64), required)


def _number(name: str, *, required: bool = True, low: int = 0) -> Column:
    return Column(name, _whole(low), required, _wholes(low))


def _described(name: str, length_max: int = 2_000) -> Column:
    return Column(name, _text(length_max, lines=True), required=False, parse_all=_texts(length_max))


COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "items": (
        _sku(),
        _described("description"),
        Column("gtin", _pattern(GTIN, "8, 12, 13 or 14 digits"), required=False),
        Column("base_uom", _text(16), required=False, parse_all=_texts(16)),
        Column("status", _choice("draft", "active", "discontinued"), required=False),
        Column("tracking", _choice("none", "lot", "serial"), required=False),
        Column("standard_cost", _pattern(COST, "a decimal like 12.50"), required=False),
        Column("attributes", _object, required=False),
    ),
    "locations": (
        _code("code"),
        _described("name"),
        Column(
            "kind", _choice("warehouse", "store", "3pl", "dropship", "virtual"), required=False
        ),
        _code("authority", required=False),
        Column("time_zone", _time_zone, required=False),
        _number("feed_silence_seconds", required=False, low=1),
    ),
    "uoms": (
        _sku(),
        Column("uom", _text(16), parse_all=_texts(16)),
        _number("numerator", low=1),
        _number("denominator", required=False, low=1),
    ),
    "aliases": (_code("namespace"), _sku("alias"), _sku()),
    "channels": (
        _code("code"),
        _described("name"),
        _code("system", required=False),
        Column("sourcing", _choice("priority", "fewest_splits"), required=False),
        Column("sources", _codes, required=False),
        _number("freshness_seconds_max", required=False, low=1),
    ),
    "balances": (
        _sku(),
        _place("location"),
        _number("available"),
        *(
            _number(name, required=False)
            for name in (
                "allocated", "picked", "quarantined", "in_transit", "on_order", "safety_stock",
            )
        ),
    ),
    "safety_stock": (_sku(), _place("location"), _number("quantity")),
    "orders": (
        Column("reference", _text(128), parse_all=_texts(128)),
        _code("channel"),
        _sku(),
        _number("quantity", low=1),
        Column("uom", _text(16), required=False, parse_all=_texts(16)),
        _code("location", required=False),
        Column("line", _text(128), required=False, parse_all=_texts(128)),
        Column("requested_at", _moment, required=False),
    ),
}  # fmt: skip
"""What each kind of file may hold; the required columns must stand in its header."""


def columns_of(kind: str) -> tuple[Column, ...]:
    """The columns of a kind; raises ImportRefused for a kind that does not exist."""
    if kind not in COLUMNS:
        raise ImportRefused(f"there is no import of {kind!r}; choose one of {', '.join(COLUMNS)}")
    return COLUMNS[kind]


def header(kind: str, names: Sequence[str]) -> tuple[Column, ...]:
    """The columns in the order of a header row; raises ImportRefused naming what is wrong."""
    known = {column.name: column for column in columns_of(kind)}
    given = [name.strip().lower().replace(" ", "_") for name in names]
    problems = [f"column {name!r} stands twice" for name in dict.fromkeys(given)
                if given.count(name) > 1]  # fmt: skip
    problems += [f"column {_shown(name)} is unknown" for name in given if name not in known]
    problems += [
        f"column {column.name!r} is missing"
        for column in known.values()
        if column.required and column.name not in given
    ]
    if problems:
        required = [name for name, column in known.items() if column.required]
        optional = [name for name, column in known.items() if not column.required]
        raise ImportRefused(
            f"header row: {'; '.join(problems)}. A file of {kind} has the columns "
            f"{', '.join(required)}" + (f"; optional {', '.join(optional)}" if optional else "")
        )
    return tuple(known[name] for name in given)
