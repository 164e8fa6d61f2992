"""846 and INVRPT without movements: what a partner says there is. Compared, never booked."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from stockbridge.connectors.edi.documents.model import StockLine, StockReport
from stockbridge.connectors.edi.documents.parts import Amount
from stockbridge.connectors.edi.findings import Finding
from stockbridge.connectors.edi.partner import defaults
from stockbridge.connectors.edi.partner.naming import REPORTED, Words


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A figure of a report, in the words of the hub's own stock reports."""

    location: str
    quantity: int
    state: str = "available"
    sku: str | None = None
    alias: str | None = None
    namespace: str | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A stock report, or a piece of one. `is_delta`: items it does not name are unchanged.

    `sequence` is the partner's number where it counts; findings may refuse single lines.
    """

    number: str
    cutoff_at: datetime
    meaning: str
    is_delta: bool
    sequence: int | None = None
    rows: list[Row] = []
    findings: list[Finding] = []


def snapshot(report: StockReport, words: Words) -> Snapshot:
    """The rows of the figures that are a state of ours; other figures are noted and left out."""
    agreed = words.profile.stock
    rows = [row for line in report.lines for row in _rows(line, report, words)]
    return Snapshot(
        number=report.number,
        cutoff_at=words.occurred_at(report, REPORTED),
        meaning=agreed.meaning,
        is_delta=report.purpose in agreed.delta_purposes,
        sequence=int(report.number) if _counts(report.number) else None,
        rows=rows,
        findings=words.findings,
    )


def _counts(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) < len(str(2**63))


def _rows(line: StockLine, report: StockReport, words: Words) -> Iterator[Row]:
    item = words.item(line)
    if item is None:
        return
    table = {**defaults.QUANTITIES, **words.profile.stock.quantities}
    if words.profile.stock.meaning == "on_hand":
        table |= dict.fromkeys(words.profile.stock.on_hand, "available")
    states = [(amount, table.get(amount.kind)) for amount in line.amounts]
    if not any(state for _, state in states) and not line.splits:
        kinds = ", ".join(amount.kind for amount in line.amounts) or "none"
        words.find("NOT_BOOKED", f"line {line.line or '?'}: no figure we compare, but {kinds}")
        return
    place = words.place(line.parties) or words.place(report.parties)
    if place is None and not line.splits:
        words.find("LOCATION_UNNAMED", f"line {line.line or '?'}: no location that we know")
        return
    for amount, state in states:
        if state is not None and place is not None:
            yield from _row(item, place, state, amount, words)
    for splits in line.splits:
        for split in splits.rows:
            at = words.profile.locations.table.get(split.place)
            if at is None:
                words.find("LOCATION_UNNAMED", f"SDQ names {split.place!r}, which we do not know")
                continue
            amount = Amount(kind="33", quantity=split.quantity, unit=splits.unit)
            yield from _row(item, at, "available", amount, words)


def _row(
    item: dict[str, str], place: str, state: str, amount: Amount, words: Words
) -> Iterator[Row]:
    unit = words.unit(amount.unit)
    quantity = words.whole(amount.quantity, f"figure {amount.kind}")
    if quantity is None or unit is None:
        return
    if unit:
        words.find("UNIT_UNMAPPED", f"a report's figures are in base units, not {amount.unit}")
        return
    # A building that has promised more than it has reports less than nothing.
    yield Row(location=place, quantity=max(quantity, 0), state=state, **item)
