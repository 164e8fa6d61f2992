"""What channels and systems say of orders, from bytes to commands."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from stockbridge.contracts import events
from stockbridge.contracts import orders as o
from stockbridge.contracts.events.decoding import Undecodable

decode: Any = events.decode  # commands or a reason: each test knows which
NAMED: dict[str, Any] = {"channel": "web", "number": "1001"}
PLACED: dict[str, Any] = NAMED | {"lines": [{"sku": "MUG-1", "quantity": 2, "line": "7"}]}
AT = datetime(2026, 7, 1, 8, 30, tzinfo=UTC)


def read(name, data):
    body = msgspec.json.encode(data)
    return decode(f"io.stockbridge.order.{name}.v1", "application/json", body)


def test_what_a_channel_placed_it_has_sold_unless_it_says_otherwise():
    line = o.PlacedLine(sku="MUG-1", quantity=2, line="7")
    sold = o.PlaceOrder(channel="web", number="1001", mode="sold", lines=[line])
    assert read("placed", PLACED) == [sold]
    asked = read("placed", PLACED | {"mode": "all_or_nothing"})
    assert [type(each) for each in asked] == [o.PlaceOrder]
    assert asked[0].mode == "all_or_nothing"


def test_every_field_reaches_the_command():
    whole = PLACED | {
        "placed_at": AT, "updated_at": AT, "paid_at": AT, "version": 3, "customer": "C-1",
        "currency": "EUR", "ship_to": {"city": "Bath", "country": "GB"}, "reservation": "rsv_1f",
    }  # fmt: skip
    (said,) = read("placed", whole)
    plain = msgspec.to_builtins(said)
    assert msgspec.to_builtins(msgspec.convert(whole, o.PlaceOrder)) | {"mode": "sold"} == plain


@pytest.mark.parametrize(
    "name,data,command",
    [
        ("edited", {"lines": [{"line": "7", "quantity": 0}], "version": 2},
         o.EditOrder(**NAMED, lines=[o.EditLine("7", 0)], version=2)),
        ("edited", {"paid_at": "2026-07-01T08:30:00Z"}, o.EditOrder(**NAMED, paid_at=AT)),
        ("cancelled", {"by": "customer"}, o.CancelOrder(**NAMED, by="customer")),
        ("cancelled", {"cancellation": "R-1", "lines": [{"line": "7", "quantity": 1}]},
         o.CancelOrder(**NAMED, cancellation="R-1", lines=[o.CancelLine("7", 1)])),
        ("answered", {"answer": "accepted", "reference": "SO1"},
         o.AnswerOrder(**NAMED, answer="accepted", reference="SO1")),
    ],
)  # fmt: skip
def test_statements_become_commands(name, data, command):
    assert read(name, NAMED | data) == [command]


@pytest.mark.parametrize(
    "name,data,why",
    [
        ("placed", NAMED | {"lines": []}, "length"),
        ("placed", PLACED | {"lines": [{"quantity": 1}]}, "sku"),
        ("placed", PLACED | {"lines": PLACED["lines"] * 2}, "same `line`"),
        ("placed", PLACED | {"ship_to": {"country": "England"}}, "country"),
        ("cancelled", NAMED | {"lines": [{"line": "7", "quantity": 1}]}, "cancellation"),
        ("cancelled", {"channel": "web"}, "number"),
        ("cancelled", {"order": "ord_1"}, "channel"),
        ("answered", NAMED | {"answer": "perhaps"}, "answer"),
    ],
)
def test_what_contradicts_itself_is_named(name, data, why):
    found = read(name, data)
    assert isinstance(found, Undecodable)
    assert why in found.detail


def test_the_source_s_number_comes_before_its_clock():
    assert o.version_of(5, AT, 0) == 5
    assert o.version_of(None, AT, 0) == 1_782_894_600_000_000
    assert o.version_of(None, None, 7) == 7
