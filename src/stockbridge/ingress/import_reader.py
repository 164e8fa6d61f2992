"""Reads an import file as a stream: bytes to lines, lines to rows, rows to checked columns.

A row number is its line in the file, counted from 1, the header included.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec

from stockbridge.ingress.import_columns import NOT_UTF8, Column, ImportRefused, columns_of, header

BLOCK_BYTES: Final = 2 * 1024 * 1024
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
ROWS_MAX: Final = 60_000
"""Most rows in one chunk."""
SPAN_MAX: Final = 1_000
"""Most lines one quoted row may span; beyond it a quote was never closed."""
RAW_MAX: Final = 4_000
"""Most characters of a bad row that are kept."""

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Rows(NamedTuple):
    """Rows as they stand in the file: their numbers, their texts, their cells."""

    numbers: list[int]
    raws: list[str]
    cells: list[list[str]]

    def part(self, start: int) -> "Rows":
        """At most ROWS_MAX rows from `start` on."""
        end = start + ROWS_MAX
        return Rows(self.numbers[start:end], self.raws[start:end], self.cells[start:end])


class Reject(NamedTuple):
    """A row that is not imported, and why."""

    number: int
    raw: str
    reason: str


@dataclass(slots=True)
class Chunk:
    """Rows whose shape is right, by column; columns nobody filled in are left out.

    `spoiled` are the orders' references of rejected rows, as far as they can be read.
    """

    numbers: Sequence[int]
    raws: list[str]
    columns: dict[str, list[Any]]
    rejects: list[Reject] = field(default_factory=list)
    bytes_read: int = 0
    spoiled: set[str] = field(default_factory=set)

    def keep(self, kept: Sequence[bool | int]) -> "Chunk":
        """The rows that are true in `kept`, without the rejects."""
        return Chunk(
            list(compress(self.numbers, kept)),
            list(compress(self.raws, kept)),
            {name: list(compress(column, kept)) for name, column in self.columns.items()},
        )


def reject(number: int, text: str, reason: str) -> Reject:
    """A reject with its text made storable."""
    raw = text[:RAW_MAX].rstrip("\r").replace("\0", r"\x00")
    shown = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return Reject(number, shown, reason)


def read_chunks(kind: str, stream: BinaryIO, *, json_lines: bool) -> Iterator[Chunk]:
    """The chunks of a file, each of at most ROWS_MAX rows; raises ImportRefused."""
    yield from (_read_json if json_lines else _read_csv)(kind, stream)


def _blocks(stream: BinaryIO) -> Iterator[tuple[str, int]]:
    """Whole lines, without the last one's newline, and the bytes they took."""
    rest = stream.read(len(_UTF8_MARK))
    if rest[:2] in _UTF16_MARKS:
        raise ImportRefused("the file is UTF-16; save it as UTF-8")
    taken = len(rest) if rest == _UTF8_MARK else 0
    rest = b"" if rest == _UTF8_MARK else rest
    while block := stream.read(BLOCK_BYTES):
        whole, newline, tail = (rest + block).rpartition(b"\n")
        if newline:
            yield _decoded(whole), taken + len(whole) + 1
            taken = 0
        rest = tail
        if len(rest) > LINE_BYTES_MAX:
            raise ImportRefused(
                f"a line is longer than {LINE_BYTES_MAX} bytes; is this a text file with one row "
                "a line?"
            )
    if rest:
        yield _decoded(rest), taken + len(rest)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


# CSV ------------------------------------------------------------------------------------------


def _read_csv(kind: str, stream: BinaryIO) -> Iterator[Chunk]:
    columns: tuple[Column, ...] = ()
    delimiter = ","
    carried: list[str] = []
    number = 1
    blocks = _blocks(stream)
    block = next(blocks, None)
    while block is not None:
        text, bytes_read = block
        block = next(blocks, None)
        lines = carried + text.split("\n")
        if not columns:
            skipped = next((n for n, line in enumerate(lines) if line.strip()), None)
            if skipped is None:
                number += len(lines)
                continue
            delimiter = _delimiter(lines[skipped])
            columns = header(kind, _cells(lines[skipped], delimiter))
            lines, number = lines[skipped + 1 :], number + skipped + 1
            text = "\n".join(lines)
        chunks = [] if carried else _plain(columns, text, lines, number, delimiter)
        carried = []
        if not chunks:
            last = block is None
            rows, bad, carried = _rows(lines, number, delimiter, len(columns), last=last)
            parts = range(0, max(len(rows.numbers), 1), ROWS_MAX)
            chunks = [_checked(columns, rows.part(start)) for start in parts]
            chunks[0].rejects += bad
        number += len(lines) - len(carried)
        chunks[-1].bytes_read = bytes_read
        yield from chunks
    if not columns:
        raise ImportRefused(
            "the file is empty; its first row names the columns: "
            + ", ".join(column.name for column in columns_of(kind))
        )


def _delimiter(line: str) -> str:
    """The separator of the header row: a comma, unless there is none but another."""
    return next((each for each in ",;\t" if each in line), ",")


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ImportRefused(f"header row: {error}; write plain names between commas") from None


Found = tuple[Rows, list[Reject], list[str]]


def _plain(
    columns: Sequence[Column], text: str, lines: list[str], number: int, delimiter: str
) -> list[Chunk]:
    """The chunks of a text without quotes in which every cell is good; else none, to look closer.

    `lines` are the text's, `number` the first one's.
    """
    if '"' in text:
        return []
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    cells = text.replace("\n", f"{delimiter}\n{delimiter}").split(delimiter)
    # Between the rows stands a newline alone; in these places and no other, and the rows are even.
    width, count = len(columns), len(lines)
    step = width + 1
    if (
        "\r" in text
        or len(cells) != count * step - 1
        or cells[width::step].count("\n") != count - 1
    ):
        return []
    read = [column.read_all(cells[n::step]) for n, column in enumerate(columns)]
    good = [each for each in read if each is not None]
    if len(good) < width:
        return []
    stated = _stated(columns, good)
    size = -(-count // -(-count // ROWS_MAX))
    return [
        Chunk(
            range(number + start, number + min(start + size, count)),
            lines[start : start + size],
            {name: column[start : start + size] for name, column in stated.items()},
        )
        for start in range(0, count, size)
    ]


def _rows(lines: list[str], number: int, delimiter: str, width: int, *, last: bool) -> Found:
    """The rows of these lines, the lines that are no row, and those that wait for the next."""
    quoted = any('"' in line for line in lines)
    try:
        plain = [] if quoted else list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        plain = []
    if len(plain) == len(lines):
        return Rows(list(range(number, number + len(lines))), lines, plain), [], []
    return _quoted_rows(lines, number, delimiter, width, last=last)


def _quoted_rows(lines: list[str], number: int, delimiter: str, width: int, *, last: bool) -> Found:
    """Rows that may span lines.

    A line that breaks the quoting is refused alone and the next one starts a row again, so that a
    quote never closed does not swallow its neighbours.
    """
    rows = Rows([], [], [])
    bad: list[Reject] = []
    start, count = 0, len(lines)
    while start < count:
        first = start
        reader = csv.reader(_ended(lines, first), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                end = first + reader.line_num
                if end - start > 1 and len(cells) != width:
                    raise csv.Error("a quoted value runs over the end of the line")
                rows.numbers.append(number + start)
                rows.raws.append("\n".join(lines[start:end]))
                rows.cells.append(cells)
                start = end
        except csv.Error as error:
            unfinished = "unexpected end" in str(error) and not last
            if unfinished and count - start <= SPAN_MAX:
                return rows, bad, lines[start:]
            reason = f"quoting: {error}; close every quote and double the ones inside"
            bad.append(reject(number + start, lines[start], reason))
            start += 1
    return rows, bad, []


def _ended(lines: list[str], first: int) -> Iterator[str]:
    return (lines[n] + "\n" for n in range(first, len(lines)))


def _checked(columns: Sequence[Column], rows: Rows) -> Chunk:
    """The good rows by column, and the rejects; column by column while all cells are good."""
    width = len(columns)
    if set(map(len, rows.cells)) == {width}:
        by_column = zip(*rows.cells, strict=True)
        values = [c.read_all(cells) for c, cells in zip(columns, by_column, strict=True)]
        good = [column for column in values if column is not None]
        if len(good) == width:
            return Chunk(rows.numbers, rows.raws, _stated(columns, good))
    return _checked_each(columns, rows)


def _checked_each(columns: Sequence[Column], rows: Rows) -> Chunk:
    numbers: list[int] = []
    chunk = Chunk(numbers, [], {})
    values: list[list[Any]] = []
    reference = next((n for n, column in enumerate(columns) if column.name == "reference"), None)
    for number, raw, cells in zip(*rows, strict=True):
        if not any(cell.strip() for cell in cells):
            continue
        value, reason = _read(columns, cells)
        if reason:
            chunk.rejects.append(reject(number, raw, reason))
            if reference is not None and reference < len(cells):
                chunk.spoiled.add(cells[reference].strip())
        else:
            numbers.append(number)
            chunk.raws.append(raw)
            values.append(value)
    by_column = [list(column) for column in zip(*values, strict=True)] or [[] for _ in columns]
    chunk.columns = _stated(columns, by_column)
    return chunk


def _read(columns: Sequence[Column], cells: Sequence[str]) -> tuple[list[Any], str]:
    if len(cells) != len(columns):
        return [], f"{len(cells)} columns where the header has {len(columns)}; make them equal"
    values, reasons = [], []
    for column, cell in zip(columns, cells, strict=True):
        try:
            values.append(column.read(cell))
        except ValueError as error:
            reasons.append(f"{column.name}: {error}")
    return values, "; ".join(reasons)


def _stated(columns: Sequence[Column], values: list[list[Any]]) -> dict[str, list[Any]]:
    return {
        column.name: cells
        for column, cells in zip(columns, values, strict=True)
        if column.required or any(value is not None for value in cells)
    }


# JSON lines -----------------------------------------------------------------------------------


def _read_json(kind: str, stream: BinaryIO) -> Iterator[Chunk]:
    columns = columns_of(kind)
    number = 1
    for text, bytes_read in _blocks(stream):
        lines = text.split("\n")
        for start in range(0, len(lines), ROWS_MAX):
            chunk = _json_chunk(columns, lines[start : start + ROWS_MAX], number + start)
            chunk.bytes_read = bytes_read if start == 0 else 0
            yield chunk
        number += len(lines)


def _json_chunk(columns: Sequence[Column], lines: list[str], number: int) -> Chunk:
    names = [column.name for column in columns]
    decoder = msgspec.json.Decoder()
    rows = Rows([], [], [])
    bad: list[Reject] = []
    for n, line in enumerate(lines, start=number):
        if not line.strip():
            continue
        try:
            rows.cells.append(_json_cells(decoder.decode, names, line))
        except ValueError as error:
            bad.append(reject(n, line, str(error)))
            continue
        rows.numbers.append(n)
        rows.raws.append(line)
    chunk = _checked(columns, rows)
    chunk.rejects += bad
    return chunk


def _json_cells(decode: Callable[[str], Any], names: Sequence[str], line: str) -> list[str]:
    if NOT_UTF8.search(line):
        raise ValueError("the line is not UTF-8; save the file as UTF-8")
    try:
        value = decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}; write one object a line") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object; write one object a line")  # noqa: TRY004 a bad row
    unknown = [name for name in value if name not in names]
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown field; known are {', '.join(names)}")
    return [_json_cell(value.get(name)) for name in names]


def _json_cell(value: Any) -> str:
    """The text a CSV cell would hold for a JSON value."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "|".join(value)
    return msgspec.json.encode(value).decode()
