"""Facts as rows, one a line: CSV with a header, or JSON objects. Pure; never raises.

A row has the fields of a fact's data, with its `type` and, where it has one, its `id` beside
them. In CSV the document's fields are `document_type`, `document_number` and `document_line`,
serials are separated by semicolons, and an empty cell is a field that is not given.
"""

import csv
import io
from typing import Any, Final

import msgspec

from stockbridge.contracts.base import LINES_MAX
from stockbridge.contracts.events.decoding import Undecodable, attempt, plain
from stockbridge.contracts.events.registry import BY_NAME, PREFIX, split

CSV: Final = "text/csv"
NDJSON: Final = ("application/x-ndjson", "application/jsonl")
_NUMBERS: Final = ("quantity", "sequence")
_DOCUMENT: Final = "document_"
_OWN: Final = ("type", "id")
_DIGITS_MAX: Final = 30
Row = dict[str, Any]


def takes(contract: str, content_type: str) -> bool:
    """Whether the bytes are rows of a built-in contract."""
    kind = plain(content_type)
    if kind != CSV and kind not in NDJSON:
        return False
    named = split(contract)
    return named is not None and named[0] in BY_NAME


def contract_of(row: Row) -> str | Undecodable:
    """The contract of a row: its `type`, in full or without our prefix and version."""
    named = row.get("type")
    if not isinstance(named, str) or not named:
        return Undecodable("type_missing", "the row has no `type`, such as stock.received")
    event = BY_NAME.get(named if named.startswith(PREFIX) else PREFIX + named)
    return event.contract if event is not None else named


def read_rows(content_type: str, body: bytes) -> list[Row] | Undecodable:
    """The rows in the bytes, `type` and `id` included."""
    found = attempt(_csv_rows if plain(content_type) == CSV else _json_rows, body)
    if isinstance(found, Undecodable):
        return found
    rows: list[Row] = found
    if len(rows) > LINES_MAX:
        return Undecodable("too_large", f"{len(rows)} rows; a message has at most {LINES_MAX}")
    return rows


def data_of(content_type: str, body: bytes) -> bytes | Undecodable:
    """The facts in the bytes as a JSON list of event data."""
    rows = read_rows(content_type, body)
    if isinstance(rows, Undecodable):
        return rows
    return msgspec.json.encode(
        [{name: v for name, v in row.items() if name not in _OWN} for row in rows]
    )


def _json_rows(body: bytes) -> list[Row]:
    rows = [msgspec.json.decode(line) for line in body.split(b"\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a row is no JSON object")
    return rows


def _csv_rows(body: bytes) -> list[Row]:
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header, *rows = [line for line in lines if line]
    except csv.Error as error:
        raise ValueError(f"no CSV: {error}") from error
    if len(set(header)) != len(header):
        raise ValueError("a column stands twice in the header")
    return [_csv_row(header, cells) for cells in rows]


def _csv_row(header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise ValueError(f"the row has {len(cells)} cells, the header {len(header)}")
    row: Row = {}
    document: Row = {}
    for name, text in zip(header, cells, strict=True):
        if not text:
            continue
        if name.startswith(_DOCUMENT):
            document[name.removeprefix(_DOCUMENT)] = text
        else:
            row[name] = _value(name, text)
    return row | ({"document": document} if document else {})


def _value(name: str, text: str) -> Any:
    if name == "serials":
        return [serial.strip() for serial in text.split(";")]
    if name in _NUMBERS and len(text) <= _DIGITS_MAX:
        try:
            return int(text)
        except ValueError:
            return text
    return text
