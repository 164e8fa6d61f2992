"""Reads a report's bytes as a stream: pieces to lines, lines to checked rows, each on its own.

A row number is the row's line in the file, counted from 1, a header included; in a JSON document
its place in `rows`. A bad row is kept with the reason and never harms its neighbours.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from stockbridge.domain.snapshots.model import (
    STATE_ACCOUNTS,
    Format,
    Read,
    ReportDocument,
    ReportedRow,
)
from stockbridge.kernel.errors import StockbridgeError
from stockbridge.kernel.quantity import QUANTITY_MAX

LINE_BYTES_MAX: Final = 64 * 1024
RAW_MAX: Final = 500
"""Most characters of a bad row that are kept."""
COLUMNS: Final = ("sku", "alias", "namespace", "location", "quantity", "state")
_DIGITS_MAX: Final = 13
_NAME_MAX: Final = 128
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_decoder = msgspec.json.Decoder(ReportedRow)
Rows = list[Read]


class Unreadable(StockbridgeError):
    """The report as a whole cannot be read; the text says what to change in it."""


def read_rows(form: Format, pieces: Iterable[bytes]) -> Iterator[Rows]:
    """The rows of a report, a piece's worth at a time; raises Unreadable."""
    if form == "json":
        yield _document_rows(b"".join(pieces))
        return
    blocks = _blocks(pieces)
    yield from _csv_rows(blocks) if form == "csv" else _json_rows(blocks)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines at a time, without the last newline."""
    rest, first = b"", True
    for given in pieces:
        piece = given.removeprefix(_UTF8_MARK) if first else given
        if first and piece[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            raise Unreadable("the file is UTF-16; send UTF-8")
        first = False
        whole, newline, tail = piece.rpartition(b"\n")
        if newline:
            yield rest + whole
            rest = tail
        else:
            rest += tail
        if len(rest) > LINE_BYTES_MAX:
            raise Unreadable(f"a line is longer than {LINE_BYTES_MAX} bytes; send one row a line")
    if rest:
        yield rest


# JSON -----------------------------------------------------------------------------------------
def _document_rows(body: bytes) -> Rows:
    try:
        rows = msgspec.json.decode(body, type=ReportDocument).rows
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"not the JSON document of a report: {error}") from None
    return [_json_row(number, bytes(raw)) for number, raw in enumerate(rows, start=1)]


def _json_rows(blocks: Iterator[bytes]) -> Iterator[Rows]:
    number = 1
    for block in blocks:
        lines = block.count(b"\n") + 1
        yield _plain_json(block, lines, number) or [
            _json_row(n, line)
            for n, line in enumerate(block.split(b"\n"), start=number)
            if line.strip()
        ]
        number += lines


def _plain_json(block: bytes, lines: int, first: int) -> Rows:
    """The rows of a block without escapes in which every line is good; else none."""
    if b"\\" in block:
        return []
    try:
        found = _decoder.decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    if len(found) != lines:
        return []
    return [
        Read(n, row.sku, row.namespace, row.alias, row.location, row.state, row.quantity, None)
        for n, row in enumerate(found, start=first)
    ]


def _json_row(number: int, line: bytes) -> Read:
    return _checked(number, line, lambda: _decoder.decode(line))


def _checked(number: int, line: bytes, read: Callable[[], ReportedRow]) -> Read:
    try:
        row = read()
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        return _bad(number, line, str(error))
    if _CONTROL.search(row.sku or row.alias or ""):
        return _bad(number, line, "sku: holds a control character; take it out")
    return Read(number, row.sku, row.namespace, row.alias, row.location, row.state, row.quantity,
                None)  # fmt: skip


def _bad(number: int, line: bytes, reason: str) -> Read:
    shown = line[:RAW_MAX].decode("utf-8", "backslashreplace").replace("\0", r"\x00").strip()
    return Read(number, shown, None, None, None, None, None, reason)


# CSV ------------------------------------------------------------------------------------------
def _csv_rows(blocks: Iterator[bytes]) -> Iterator[Rows]:
    names: list[str] = []
    delimiter = ","
    number = 1
    for block in blocks:
        lines = block.split(b"\n")
        if not names:
            head = next((n for n, line in enumerate(lines) if line.strip()), None)
            if head is None:
                number += len(lines)
                continue
            names, delimiter = _header(lines[head])
            lines, number = lines[head + 1 :], number + head + 1
        yield _plain_csv(names, lines, number, delimiter) or [
            _csv_row(names, n, line, delimiter)
            for n, line in enumerate(lines, start=number)
            if line.strip()
        ]
        number += len(lines)
    if not names:
        raise Unreadable(f"the file is empty; its first line names the columns of {COLUMNS}")


def _header(line: bytes) -> tuple[list[str], str]:
    text = line.decode("utf-8", "replace").rstrip("\r")
    delimiter = next((each for each in ",;\t" if each in text), ",")
    names = [cell.strip().strip('"').lower() for cell in text.split(delimiter)]
    unknown = [name for name in names if name not in COLUMNS]
    twice = [name for name in COLUMNS if names.count(name) > 1]
    missing = [name for name in ("location", "quantity") if name not in names]
    if "sku" not in names and "alias" not in names:
        missing.insert(0, "sku or alias")
    wrong = [f"column {name!r} is unknown" for name in unknown[:3]]
    wrong += [f"column {name!r} stands twice" for name in twice]
    wrong += [f"column {name} is missing" for name in missing]
    if wrong:
        raise Unreadable(f"header row: {'; '.join(wrong)}; the columns are {', '.join(COLUMNS)}")
    return names, delimiter


def _plain_csv(names: list[str], lines: list[bytes], first: int, delimiter: str) -> Rows:
    """The rows of lines without quotes in which every cell is good; else none."""
    try:
        text = b"\n".join(lines).decode()
        if '"' in text or "\0" in text:
            return []
        cells = list(csv.reader(text.split("\n"), delimiter=delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error):
        return []
    if set(map(len, cells)) != {len(names)}:
        return []
    stripped = [list(map(str.strip, column)) for column in zip(*cells, strict=True)]
    columns: dict[str, Sequence[Any]] = dict(zip(names, stripped, strict=True))
    if not _columns_good(columns):
        return []
    empty: tuple[None, ...] = (None,) * len(lines)
    skus, namespaces, aliases = (columns.get(n, empty) for n in ("sku", "namespace", "alias"))
    states = columns.get("state", ("available",) * len(lines))
    quantities = map(int, columns["quantity"])
    rows = zip(range(first, first + len(lines)), skus, namespaces, aliases, columns["location"],
               states, quantities, empty, strict=True)  # fmt: skip
    return list(map(Read._make, rows))


def _columns_good(columns: dict[str, Sequence[str]]) -> bool:
    """Whether all cells of columns that name one item each are filled in, plain and in bounds."""
    if "sku" in columns and "alias" in columns:
        return False
    quantities = columns["quantity"]
    digits = "".join(quantities)
    if "" in quantities or not (digits.isascii() and digits.isdigit()):
        return False
    if max(map(len, quantities)) > _DIGITS_MAX or max(map(int, quantities)) > QUANTITY_MAX:
        return False
    if "state" in columns and not set(columns["state"]) <= STATE_ACCOUNTS.keys():
        return False
    texts = [columns[n] for n in ("sku", "alias", "namespace", "location") if n in columns]
    return all(_texts_good(each) for each in texts)


def _texts_good(cells: Sequence[str]) -> bool:
    joined = "".join(cells)
    if not joined.isprintable() or "\\" in joined or "" in cells:
        return False
    return max(map(len, cells)) <= _NAME_MAX


def _csv_row(names: list[str], number: int, line: bytes, delimiter: str) -> Read:
    def read() -> ReportedRow:
        try:
            text = line.decode().rstrip("\r")
            cells = next(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise ValueError(f"quoting: {error}; close every quote on its line") from None
        if len(cells) != len(names):
            raise ValueError(f"{len(cells)} cells where the header has {len(names)}")
        stated = {n: cell.strip() for n, cell in zip(names, cells, strict=True) if cell.strip()}
        quantity = stated.get("quantity", "")
        if not (quantity.isascii() and quantity.isdigit()):
            raise ValueError(f"quantity: is {quantity[:40]!r}; write a whole number, 0 or more")
        return msgspec.convert({**stated, "quantity": int(quantity)}, ReportedRow)

    return _checked(number, line, read)
