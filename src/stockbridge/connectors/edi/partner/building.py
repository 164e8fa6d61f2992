"""Outgoing documents from our words; their totals and inner numbers come out right."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import msgspec

from stockbridge.connectors.edi.documents import model, parts
from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.partner.profile import Profile

AVAILABLE: Final = "33"
_CENT: Final = Decimal("0.01")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What may be promised of an item."""

    ids: list[parts.ItemId]
    quantity: int
    unit: str = "EA"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A line for a building to ship; `line` is ours, and is asked back."""

    line: str
    ids: list[parts.ItemId]
    quantity: int
    unit: str = "EA"
    lot: str = ""


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """Units of an order's line in a package."""

    line: str
    ids: list[parts.ItemId]
    quantity: int
    unit: str = "EA"
    lot: str = ""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package of one order, by its SSCC or the carrier's number."""

    order: str
    marks: list[parts.Mark]
    lines: list[Shipped]


def stock_report(
    number: str, moment: datetime, figures: Sequence[Figure], parties: list[parts.Party]
) -> model.StockReport:
    """An 846: one available figure an item, a whole number not below zero. `moment` is local."""
    return model.StockReport(
        purpose="00",
        kind="SI",
        number=number,
        date=moment.date(),
        time=f"{moment:%H%M}",
        parties=parties,
        lines=[
            model.StockLine(
                line=str(at),
                ids=figure.ids,
                amounts=[
                    parts.Amount(
                        kind=AVAILABLE, quantity=Decimal(max(figure.quantity, 0)), unit=figure.unit
                    )
                ],
            )
            for at, figure in enumerate(figures, start=1)
        ],
    )


def warehouse_order(
    number: str,
    purchase_order: str,
    lines: Sequence[Asked],
    parties: list[parts.Party],
    *,
    profile: Profile,
    purpose: str = "N",
    ship_on: date | None = None,
    carriage: parts.Carriage | None = None,
) -> model.WarehouseOrder:
    """A 940: a group for each line, our line number in a reference, the total at its end."""
    echo = profile.lines_in[0] if profile.lines_in else "LI"
    return model.WarehouseOrder(
        purpose=purpose,
        number=number,
        order=purchase_order,
        parties=parties,
        dates=[parts.Moment(qualifier="10", date=ship_on)] if ship_on else [],
        carriage=carriage,
        groups=[
            model.WarehouseGroup(
                number=str(at),
                lines=[
                    model.WarehouseLine(
                        quantity=Decimal(one.quantity),
                        unit=one.unit,
                        ids=one.ids,
                        lot=one.lot,
                        references=[parts.Reference(qualifier=echo, value=one.line)],
                    )
                ],
            )
            for at, one in enumerate(lines, start=1)
        ],
        total=Decimal(sum(one.quantity for one in lines)),
    )


def order_answer(
    order: model.PurchaseOrder, answers: dict[str, list[model.Answer]], today: date
) -> model.PurchaseOrder:
    """An 855 (or 865): each line with what becomes of its units, which must be all of them.

    `answers` are by the order's line number, or by its place in the order where it has none.
    """
    lines = []
    statuses: set[str] = set()
    for at, line in enumerate(order.lines, start=1):
        given = answers.get(line.line or str(at), [])
        said = sum(((one.quantity or Decimal(0)) for one in given), Decimal(0))
        if said != line.quantity:
            what = f"order {order.number} line {line.line or at}"
            raise Unwritable(f"{what}: {line.quantity} ordered, {said} answered")
        statuses |= {one.status for one in given}
        lines.append(msgspec.structs.replace(line, answers=given, notes=[], marks=[]))
    return msgspec.structs.replace(
        order,
        answer=_answer_kind(statuses),
        answer_date=today,
        lines=lines,
        notes=[],
        line_count=None,
    )


def accepted(order: model.PurchaseOrder, today: date) -> model.PurchaseOrder:
    """The answer that accepts every line as ordered."""
    answers = {
        line.line or str(at): [model.Answer(status="IA", quantity=line.quantity, unit=line.unit)]
        for at, line in enumerate(order.lines, start=1)
        if line.quantity is not None
    }
    return order_answer(order, answers, today)


def _answer_kind(statuses: set[str]) -> str:
    """Element 587: AD as ordered, AC with changes, RD rejected."""
    if statuses <= {"IA"}:
        return "AD"
    return "RD" if statuses <= {"IR"} else "AC"


def ship_notice(
    number: str,
    moment: datetime,
    packages: Sequence[Package],
    parties: list[parts.Party],
    *,
    references: list[parts.Reference] | None = None,
    carriage: parts.Carriage | None = None,
    expected_on: date | None = None,
) -> model.ShipNotice:
    """An 856 of shipment, orders, packages, items; levels are numbered in their order."""
    dates = [parts.Moment(qualifier="011", date=moment.date())]
    if expected_on is not None:
        dates.append(parts.Moment(qualifier="017", date=expected_on))
    top = model.Level(
        id="1",
        level="S",
        has_children="1",
        carriages=[carriage] if carriage else [],
        loads=[parts.Load(packaging="CTN", count=Decimal(len(packages)))],
        references=references or [],
        dates=dates,
        parties=parties,
    )
    levels = [top]
    for order in dict.fromkeys(package.order for package in packages):
        at_order = _below(levels, "1", level="O", has_children="1", order=order)
        for package in packages:
            if package.order == order:
                _add_package(levels, at_order, package)
    return model.ShipNotice(
        purpose="00",
        number=number,
        date=moment.date(),
        time=f"{moment:%H%M}",
        structure="0001",
        levels=levels,
    )


def _add_package(levels: list[model.Level], at_order: str, package: Package) -> None:
    at = _below(levels, at_order, level="P", has_children="1", marks=package.marks)
    for line in package.lines:
        lot = [parts.Reference(qualifier="LT", value=line.lot)] if line.lot else []
        _below(
            levels,
            at,
            level="I",
            has_children="0",
            ids=line.ids,
            shipped_line=line.line,
            shipped=Decimal(line.quantity),
            unit=line.unit,
            references=lot,
        )


def _below(levels: list[model.Level], parent: str, **fields: object) -> str:
    """Add a level; its number."""
    number = str(len(levels) + 1)
    levels.append(msgspec.convert({"id": number, "parent": parent, **fields}, model.Level))
    return number


def invoice(document: model.Invoice) -> model.Invoice:
    """An 810 with its total: lines, less allowances, plus charges and taxes, to the cent."""
    charges = [
        *document.charges,
        *(charge for line in document.lines for charge in line.charges),
    ]
    taxes = [*document.taxes, *(tax for line in document.lines for tax in line.taxes)]
    total = sum(
        ((line.quantity or Decimal(0)) * (line.price or Decimal(0)) for line in document.lines),
        Decimal(0),
    )
    signs = {"C": 1, "A": -1}
    total += sum(
        (signs.get(one.indicator, 0) * (one.amount or Decimal(0)) for one in charges), Decimal(0)
    )
    total += sum(((tax.amount or Decimal(0)) for tax in taxes), Decimal(0))
    return msgspec.structs.replace(document, total=total.quantize(_CENT))
