"""Writers of exports: CSV, JSON lines and Parquet, each fed batches of rows."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final, Literal, NamedTuple, Protocol

import msgspec

from stockbridge.kernel.errors import Misconfigured

ColumnType = Literal["whole", "text", "decimal", "moment", "truth"]


class ExportColumn(NamedTuple):
    """A column's name and what its values are; any may be None."""

    name: str
    type: ColumnType


Row = Sequence[Any]


class Writer(Protocol):
    """Takes rows until it is closed; the stream stays open."""

    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class CsvWriter:
    """UTF-8, a header row, None as an empty cell, moments in RFC 3339."""

    def __init__(self, out: BinaryIO, columns: Sequence[ExportColumn]) -> None:
        self._text = io.TextIOWrapper(out, encoding="utf-8", newline="")
        self._moments = [n for n, column in enumerate(columns) if column.type == "moment"]
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow([column.name for column in columns])

    def write(self, rows: Sequence[Row]) -> None:
        self._csv.writerows(self._plain(row) for row in rows)

    def _plain(self, row: Row) -> list[Any]:
        cells = list(row)
        for n in self._moments:
            cells[n] = _moment_text(cells[n])
        return cells

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


class JsonLinesWriter:
    """One object a line."""

    def __init__(self, out: BinaryIO, columns: Sequence[ExportColumn]) -> None:
        self._out = out
        self._names = [column.name for column in columns]
        self._encoder = msgspec.json.Encoder()

    def write(self, rows: Sequence[Row]) -> None:
        documents = [dict(zip(self._names, row, strict=True)) for row in rows]
        self._out.write(self._encoder.encode_lines(documents))

    def close(self) -> None:
        self._out.flush()


class ParquetWriter:
    """One row group a batch; exact decimals, moments in microseconds UTC."""

    def __init__(self, out: BinaryIO, columns: Sequence[ExportColumn]) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 an optional extra
            import pyarrow.parquet as pq  # noqa: PLC0415 same
        except ImportError as error:
            raise Misconfigured(
                "Parquet needs pyarrow, which is not installed: install stockbridge[parquet], or "
                "choose csv or jsonl"
            ) from error
        types = {
            "whole": pa.int64(),
            "text": pa.string(),
            "decimal": pa.decimal128(18, 6),
            "moment": pa.timestamp("us", tz="UTC"),
            "truth": pa.bool_(),
        }
        self._columns = columns
        self._schema = pa.schema([(column.name, types[column.type]) for column in columns])
        self._table = pa.table
        self._parquet = pq.ParquetWriter(out, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        by_column = zip(self._columns, zip(*rows, strict=True), strict=True)
        arrays = {column.name: _typed(column.type, values) for column, values in by_column}
        self._parquet.write_table(self._table(arrays, schema=self._schema))

    def close(self) -> None:
        self._parquet.close()


def _typed(kind: ColumnType, values: Sequence[Any]) -> list[Any]:
    if kind == "decimal":
        return [None if value is None else Decimal(value) for value in values]
    return list(values)


def _moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


WRITERS: Final[dict[str, Callable[[BinaryIO, Sequence[ExportColumn]], Writer]]] = {
    "csv": CsvWriter,
    "jsonl": JsonLinesWriter,
    "parquet": ParquetWriter,
}
