"""Real order lines: read, clean, classify, and group into documents. Pure but for reading.

The file format is that of the UCI "Online Retail" set, see data/ATTRIBUTION.md.
"""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from stockbridge.kernel.errors import Misconfigured

COLUMNS: Final = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)

SERVICE_CODES: Final[dict[str, str]] = {
    "POST": "postage charged to the customer",
    "DOT": "postage of the dotcom shop",
    "C2": "carriage",
    "M": "manual entry of an amount",
    "D": "discount",
    "S": "samples, booked as an amount",
    "B": "bad debt",
    "CRUK": "commission to a charity",
    "BANK CHARGES": "bank charges",
    "AMAZONFEE": "marketplace fee",
}
"""Codes that are amounts of money, not goods. PADS and DCGS... are goods and stay."""
VOUCHER: Final = "GIFT_"
"""Gift vouchers are money too: gift_0001_10 is a voucher of 10 pounds."""

NOTES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "DAMAGED",
        re.compile(
            r"damag|\bwet\b|rust|thr[oe]wn? ?away|mou?ld|broke|crack|crush|smash|fault|smudg"
            r"|incorrectly made"
        ),
    ),
    ("SAMPLE", re.compile(r"sample|showroom|display|given away|mail ?out")),
    ("LOST", re.compile(r"missing|lost|\bmia\b|mystery|not rcvd")),
    ("FOUND", re.compile(r"found|return|rcvd")),
)
"""Words of a stock keeper's note and the reason code they mean; the first that fits wins."""
ONLY_DECREASES: Final = frozenset({"DAMAGED", "SAMPLE", "LOST"})


class Kind(StrEnum):
    """What a line, or the document it stands in, does to stock."""

    SALE = "sale"
    RETURN = "return"
    ADJUSTMENT = "adjustment"
    SERVICE = "service"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Row:
    """One cleaned line: `sku` upper case, `quantity` signed base units, `price` in pounds."""

    invoice: str
    sku: str
    description: str
    quantity: int
    at: datetime
    price: Decimal
    customer: str
    country: str


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a document: positive units, but signed in an adjustment."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Document:
    """The lines of one invoice that do the same to stock; `rows` is how many rows it came from.

    `reason` is an adjustment's reason code; `scrap` says returned goods are not sellable.
    """

    kind: Kind
    number: str
    at: datetime
    channel: str
    lines: tuple[Line, ...]
    rows: int
    reason: str = ""
    scrap: bool = False


def read_rows(path: Path) -> list[Row]:
    """Rows of a .parquet (needs the `parquet` extra), .csv or .csv.gz file, cleaned.

    Raises Misconfigured when the file, its columns or a value cannot be understood.
    """
    rows = []
    for number, record in enumerate(read_records(path), start=1):
        try:
            rows.append(clean(record))
        except (ValueError, InvalidOperation, KeyError) as problem:
            raise Misconfigured(
                f"{path}, row {number}: {problem}; expected the columns {', '.join(COLUMNS)}"
                " with InvoiceDate as month/day/year hour:minute"
            ) from problem
    return rows


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The file's records as they are, by column name; raises Misconfigured if there is no file."""
    if not path.is_file():
        raise Misconfigured(
            f"{path}: no such file; name a .parquet, .csv or .csv.gz of order lines"
        )
    return _parquet(path) if path.suffix == ".parquet" else _csv(path)


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet
    except ImportError as problem:
        raise Misconfigured(
            f"{path}: reading parquet needs pyarrow; install stockbridge[parquet]"
        ) from problem
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(columns=list(COLUMNS)):
        yield from batch.to_pylist()


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    packed = path.suffix == ".gz"
    # Some editions of the set are Latin-1; only a pound sign of the vouchers suffers.
    with (
        gzip.open(path, "rb") if packed else path.open("rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as text,
    ):
        yield from csv.DictReader(text)


def clean(record: dict[str, Any]) -> Row:
    """One raw record with its whitespace, letter case, gaps and date brought in order."""
    return Row(
        invoice=_text(record["InvoiceNo"]).upper(),
        sku=_text(record["StockCode"]).upper(),
        description=_text(record["Description"]),
        quantity=int(record["Quantity"]),
        at=_moment(record["InvoiceDate"]),
        price=_price(str(record["UnitPrice"])),
        customer=_text(record["CustomerID"]),
        country=_text(record["Country"]),
    )


@cache
def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%m/%d/%y %H:%M").replace(tzinfo=UTC)


@cache
def _price(text: str) -> Decimal:
    return Decimal(text)


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def is_service(sku: str) -> bool:
    """Whether a (clean) code is an amount of money and no goods."""
    return sku in SERVICE_CODES or sku.startswith(VOUCHER)


def classify(row: Row, invoice_rows: int) -> Kind:
    """What the row does to stock; `invoice_rows` is the size of the invoice it stands in.

    A free line without a customer, alone on its invoice, is how this shop books found stock;
    on a longer invoice it is goods given away with an order.
    """
    if row.quantity == 0:
        return Kind.NOTHING
    if is_service(row.sku):
        return Kind.SERVICE
    if row.invoice.startswith("C"):
        return Kind.RETURN if row.quantity < 0 else Kind.SALE
    if row.quantity < 0:
        return Kind.ADJUSTMENT
    if row.price == 0 and not row.customer and invoice_rows == 1:
        return Kind.ADJUSTMENT
    return Kind.SALE


def reason_of(note: str, quantity: int) -> str:
    """The reason code a note means for a change of that sign; CORRECTION if it says nothing."""
    note = note.lower()
    for reason, words in NOTES:
        if words.search(note):
            fits = quantity < 0 if reason in ONLY_DECREASES else quantity > 0
            return reason if fits else "CORRECTION"
    return "CORRECTION"


def note_of(row: Row) -> str:
    """The stock keeper's note in the description's place, or "".

    Goods are described in capitals; what is written off is never described, only commented on.
    """
    written_off = row.quantity < 0 and not row.invoice.startswith("C")
    commented = row.description != row.description.upper()
    return row.description if written_off or commented else ""


def channel_of(customer: str, country: str) -> str:
    """The channel an order came through; orders without a customer are the dotcom shop's."""
    if country not in {"United Kingdom", "Unit"}:  # "Unit" is a cut-off value in the data
        return "export"
    return "uk-wholesale" if customer else "uk-dotcom"


def documents(rows: Iterable[Row]) -> list[Document]:
    """All documents in time order; equal items of a document are added up."""
    invoices: dict[str, list[Row]] = {}
    for row in rows:
        invoices.setdefault(row.invoice, []).append(row)
    found = [document for invoice in invoices.values() for document in _split(invoice)]
    found.sort(key=lambda document: (document.at, document.number, document.kind))
    return found


def _split(invoice: list[Row]) -> Iterator[Document]:
    by_kind: dict[Kind, list[Row]] = {}
    for row in invoice:
        by_kind.setdefault(classify(row, len(invoice)), []).append(row)
    for kind, rows in by_kind.items():
        units: Counter[str] = Counter()
        for row in rows:
            units[row.sku] += row.quantity if kind is Kind.ADJUSTMENT else abs(row.quantity)
        lines = tuple(Line(sku, quantity) for sku, quantity in units.items() if quantity)
        first = min(rows, key=lambda row: row.at)
        reason = reason_of(note_of(first), first.quantity)
        yield Document(
            kind=kind if lines else Kind.NOTHING,
            number=first.invoice,
            at=first.at,
            channel=channel_of(first.customer, first.country),
            lines=lines,
            rows=len(rows),
            reason=reason if kind is Kind.ADJUSTMENT else "",
            scrap=kind is Kind.RETURN and reason == "DAMAGED",
        )
