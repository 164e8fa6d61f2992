"""What the mapping makes of orders and movements: tables of pure cases."""

import datetime as dt
import json
from decimal import Decimal

import msgspec
import pytest

from stockbridge.connectors.tryton import mapping
from stockbridge.connectors.tryton.mapping import Product
from stockbridge.contracts.partners.operations import BookedLine, PostedMovement, PostMovements

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
PRODUCTS = {"MUG": Product(1, 7, Decimal("12.5")), "CUP": Product(2, 7, Decimal("13.5"))}
SHIP = PostedMovement("ship", "MUG", 2, "LONDON", NOON, "S1", "4.10", "ord_1", "l1")


def posting(*lines, units=None, value=None):
    units = sum(abs(line.quantity) for line in lines) if units is None else units
    worth = sum((abs(n.quantity) * Decimal(n.unit_cost or 0) for n in lines), Decimal())
    return PostMovements("p1", list(lines), units, str(worth) if value is None else value)


@pytest.mark.parametrize(
    "changes, fault",
    [
        ({}, None),
        ({"value": "8.2"}, None),
        ({"value": "8.21"}, "the lines are worth 8.20, the posting says 8.21"),
        ({"units": 3}, "the lines move 2 units, the posting says 3"),
    ],
)
def test_control_totals(changes, fault):
    assert mapping.total_fault(posting(SHIP, **changes)) == fault


def test_movements_become_documents_whose_references_stay():
    other = msgspec.structs.replace
    lines = [
        SHIP,
        other(SHIP, sku="CUP", line="l2"),
        other(SHIP, location="LEEDS"),
        other(SHIP, kind="adjust", quantity=-1, order="", document="A1"),
        other(SHIP, kind="adjust", quantity=1, order="", document="A1"),
        other(SHIP, occurred_at=NOON - dt.timedelta(days=1)),
    ]
    made = mapping.documents(posting(*lines))
    assert [(d.reference, d.model, d.location, d.gains, len(d.lines)) for d in made] == [
        ("p1:1", "stock.shipment.out", "LONDON", False, 2),
        ("p1:2", "stock.shipment.out", "LEEDS", False, 1),
        ("p1:3", "stock.shipment.internal", "LONDON", False, 1),
        ("p1:4", "stock.shipment.internal", "LONDON", True, 1),
        ("p1:5", "stock.shipment.out", "LONDON", False, 1),
    ]
    assert mapping.documents(posting(*lines)) == made


@pytest.mark.parametrize(
    "quantity, known, changes",
    [
        (3, [("l1", 3)], []),
        (2, [("l1", 3)], [["write", [1], {"quantity": 2.0}]]),
        (0, [("l1", 3)], [["delete", [1]]]),
        (0, [], []),
        (3, [("other", 3)], ["create"]),
    ],
)
def test_line_changes(quantity, known, changes):
    rows = [{"id": n, "note": note, "quantity": q} for n, (note, q) in enumerate(known, 1)]
    made = mapping.line_changes([BookedLine("l1", "MUG", quantity)], rows, PRODUCTS)
    assert [each[0] if each[0] == "create" else each for each in made] == changes


@pytest.mark.parametrize("price, written", [("", "12.5000"), ("9.99996", "10.0000")])
def test_prices_have_the_digits_that_tryton_takes(price, written):
    line = mapping.sale_line(BookedLine("l1", "MUG", 1, price), PRODUCTS["MUG"])
    assert line["unit_price"] == {"__class__": "Decimal", "decimal": written}


def test_a_cost_that_changes_back_is_another_message():
    def product(cost, second):
        when = {"year": 2026, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": second}
        return {
            "id": 1, "code": "MUG", "active": True,
            "cost_price": {"__class__": "Decimal", "decimal": cost},
            "cost_prices.": [{"write_date": {"__class__": "datetime", **when}}],
        }  # fmt: skip

    said = [
        mapping.item_message(product(c, s)) for c, s in (("4", 1), ("5", 2), ("4", 3), ("4", 3))
    ]
    names = [message.message_id for message in said if message is not None]
    assert len(names) == 4
    assert len(set(names)) == 3
    assert json.loads(said[0].body)["cost"] == "4"  # type: ignore[union-attr]
    assert mapping.item_message({"id": 2, "code": None}) is None
