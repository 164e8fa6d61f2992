"""The order lines that ship with the package: two weeks of the set, cut by `make_slice`.

Made again by `python -m stockbridge.demo.slice path/to/online_retail.parquet`.
"""

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stockbridge.demo.retail import COLUMNS, clean, read_records

SHIPPED: Final = Path(__file__).parent / "data" / "online_retail_2011_01_10.csv.gz"
BEGINS: Final = datetime(2011, 1, 10, tzinfo=UTC)
ENDS: Final = datetime(2011, 1, 24, tzinfo=UTC)


def make_slice(source: Path, target: Path) -> int:
    """Write the rows of whole invoices that begin within the weeks; return how many.

    The text of the fields stays as it is. The same source makes the same bytes.
    """
    rows = list(_chosen(read_records(source)))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([record[column] for column in COLUMNS] for record in rows)
    target.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0))
    return len(rows)


def _chosen(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    invoices: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        invoices.setdefault(record["InvoiceNo"], []).append(record)
    for lines in invoices.values():
        if BEGINS <= min(clean(line).at for line in lines) < ENDS:
            yield from lines


if __name__ == "__main__":
    print(make_slice(Path(sys.argv[1]), SHIPPED), "rows in", SHIPPED)
