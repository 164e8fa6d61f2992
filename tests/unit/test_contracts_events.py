"""Events become commands: each type, every envelope, old versions, and anything at all."""

import json
from base64 import b64encode
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stockbridge.contracts import events
from stockbridge.contracts.base import Document
from stockbridge.contracts.commands import (
    AdjustLine,
    AdjustStock,
    CountLine,
    MoveState,
    QuantityLine,
    ReceiptLine,
    RecordSupply,
    ReportCount,
    ReportReceipt,
    ReportReturn,
    ReportShipment,
    ReportTransfer,
    ReturnLine,
    SupplyLine,
)
from stockbridge.contracts.compatibility import breaks_readers, breaks_writers
from stockbridge.contracts.events import EVENT_TYPES, Undecodable, Upcasts, split
from stockbridge.contracts.events.model import Fact
from stockbridge.contracts.events.schema import schema_of
from stockbridge.kernel.errors import Broken

decode: Any = events.decode  # commands or a reason: each test knows which
AT = datetime(2026, 7, 1, 8, 30, tzinfo=UTC)
BASE: dict[str, Any] = {
    "sku": "AB-1",
    "location": "MAIN",
    "quantity": 3,
    "occurred_at": "2026-07-01T10:30:00+02:00",
    "document": {"type": "order", "number": "D-1", "line": "7"},
    "sequence": 12,
}
MOVED: dict[str, Any] = {"package": "P-1", "lot": "L-1", "serials": ["S1", "S2", "S3"], "uom": "EA"}
LINE: dict[str, Any] = {"sku": "AB-1", "line": "7", "quantity": 3}
MOVED_LINE: dict[str, Any] = LINE | MOVED
DATED: dict[str, Any] = {"occurred_at": AT, "sequence": 12}
DOCUMENT = Document("order", "D-1")


def _shipment(stage):
    return ReportShipment(
        shipment="F-9", location="MAIN", stage=stage, document=DOCUMENT,
        lines=[QuantityLine(**MOVED_LINE)], **DATED,
    )  # fmt: skip


def _moved(movement):
    return MoveState(
        document=DOCUMENT, location="MAIN", movement=movement, lines=[QuantityLine(**MOVED_LINE)],
        **DATED,
    )  # fmt: skip


STAGE: dict[str, Any] = MOVED | {"fulfillment": "F-9"}
SUPPLY: dict[str, Any] = {"expected_at": "2026-08-01T00:00:00Z"}
EXPECTED_AT = datetime(2026, 8, 1, tzinfo=UTC)
# (type, what it adds to BASE, the command it asks for)
TYPES = [
    ("stock.received", MOVED | {"state": "quarantined"}, ReportReceipt(
        document=DOCUMENT, location="MAIN", lines=[ReceiptLine(**MOVED_LINE, state="quarantined")],
        **DATED)),
    ("stock.allocated", STAGE, _shipment("allocated")),
    ("stock.deallocated", STAGE, _shipment("deallocated")),
    ("stock.picked", STAGE, _shipment("picked")),
    ("stock.packed", STAGE, _shipment("packed")),
    ("stock.shipped", STAGE, _shipment("shipped")),
    ("stock.transferred_out", MOVED | SUPPLY | {"to_location": "SHOP"}, ReportTransfer(
        transfer="D-1", from_location="MAIN", to_location="SHOP", stage="shipped",
        expected_at=EXPECTED_AT, lines=[QuantityLine(**MOVED_LINE)], **DATED)),
    ("stock.transferred_in", MOVED | {"from_location": "SHOP"}, ReportTransfer(
        transfer="D-1", from_location="SHOP", to_location="MAIN", stage="received",
        lines=[QuantityLine(**MOVED_LINE)], **DATED)),
    ("stock.held", MOVED | {"reason": "damaged"}, _moved("hold")),
    ("stock.released", MOVED, _moved("release")),
    ("stock.disposed", MOVED | {"disposition": "scrap"}, _moved("scrap")),
    ("stock.adjusted", {"quantity": -3, "reason": "shrinkage"}, AdjustStock(
        adjustment="D-1", location="MAIN", reason="shrinkage",
        lines=[AdjustLine(**LINE | {"quantity": -3})], **DATED)),
    ("stock.counted", {"quantity": 0, "state": "picked"}, ReportCount(
        count="D-1", location="MAIN", lines=[CountLine(**LINE | {"quantity": 0}, state="picked")],
        **DATED)),
    ("stock.returned", MOVED | {"disposition": "restock"}, ReportReturn(
        rma="D-1", location="MAIN", lines=[ReturnLine(**MOVED_LINE, disposition="restock")],
        **DATED)),
    ("supply.ordered", SUPPLY, RecordSupply(
        document=DOCUMENT, location="MAIN", state="on_order", expected_at=EXPECTED_AT,
        lines=[SupplyLine(**LINE)], **DATED)),
    ("supply.shipped", SUPPLY, RecordSupply(
        document=DOCUMENT, location="MAIN", state="in_transit", expected_at=EXPECTED_AT,
        lines=[SupplyLine(**LINE)], **DATED)),
]  # fmt: skip
REPORTED = [event for event in EVENT_TYPES if issubclass(event.shape, Fact)]


def contract(name):
    return f"io.stockbridge.{name}.v1"


def data_of(name):
    return next(BASE | more for kind, more, _ in TYPES if kind == name)


@pytest.mark.parametrize("name, more, command", TYPES)
def test_each_event_asks_for_its_command(name, more, command):
    body = json.dumps(BASE | more).encode()
    assert decode(contract(name), "application/json", body) == [command]


def test_every_reported_type_is_in_the_table():
    assert {event.contract for event in REPORTED} == {contract(name) for name, _, _ in TYPES}


def test_cumulative_quantities_and_reservations_reach_the_command():
    more = {"quantity_mode": "cumulative", "reservation": "rsv_1f"}
    (command,) = decode(contract("stock.shipped"), "", json.dumps(BASE | more).encode())
    assert command.lines[0].quantity_mode == "cumulative"
    assert command.reservation == "rsv_1f"
    assert command.shipment == "D-1"


def _cloud(data, kind="stock.shipped", **more):
    return {"specversion": "1.0", "id": "1", "source": "/wms", "type": contract(kind)} | (
        {"data": data} if data is not None else {}
    ) | more  # fmt: skip


def test_every_envelope_says_the_same():
    plain = json.dumps(BASE).encode()
    name = contract("stock.shipped")
    expected = decode(name, "application/json", plain)
    encoded = _cloud(None, data_base64=b64encode(plain).decode())
    for content_type, body in (
        ("application/cloudevents+json; charset=UTF-8", _cloud(BASE, traceparent="00-1")),
        ("Application/CloudEvents+JSON", encoded),
        ("application/cloudevents-batch+json", [_cloud(BASE)]),
        ("application/json", [BASE]),
    ):
        assert decode(name, content_type, json.dumps(body).encode()) == expected, content_type


def test_a_batch_keeps_its_order_and_each_event_its_own_type():
    batch = [_cloud(BASE), _cloud(data_of("stock.counted"), "stock.counted"), _cloud(BASE)]
    commands = decode("", "application/cloudevents-batch+json", json.dumps(batch).encode())
    assert [type(command).__name__ for command in commands] == [
        "ReportShipment", "ReportCount", "ReportShipment",
    ]  # fmt: skip


# (contract, content type, body, code, words of the detail)
JSON = "application/json"
CLOUD = "application/cloudevents+json"
SHIPPED = contract("stock.shipped")
REFUSED = [
    (SHIPPED, JSON, b"", "malformed_json", "not JSON"),
    (SHIPPED, JSON, b"\xff\xfe", "malformed_json", "not JSON"),
    (SHIPPED, JSON, b"[" * 100_000, "invalid_event", "object"),
    (SHIPPED, JSON, b"[]", "no_events", "no event"),
    (SHIPPED, JSON, BASE | {"colour": "red"}, "invalid_event", "colour"),
    (SHIPPED, JSON, BASE | {"quantity": 0}, "invalid_event", "quantity"),
    (SHIPPED, JSON, BASE | {"quantity": 1.5}, "invalid_event", "quantity"),
    (SHIPPED, JSON, BASE | {"occurred_at": "2026-07-01T10:30:00"}, "invalid_event", "occurred_at"),
    (SHIPPED, JSON, BASE | {"occurred_at": "0001-07-01T10:30:00Z"}, "invalid_event", "year 1;"),
    (SHIPPED, JSON, BASE | {"alias": "X", "namespace": "n"}, "invalid_event", "either `sku`"),
    (SHIPPED, JSON, {k: v for k, v in BASE.items() if k != "sku"}, "invalid_event", "either"),
    (SHIPPED, JSON, BASE | {"lot": "a\0b"}, "invalid_event", "NUL"),
    (SHIPPED, JSON, [BASE, BASE | {"quantity": -1}], "invalid_event", "[1]"),
    (SHIPPED, JSON, [BASE, BASE | {"alias": "X"}], "invalid_event", "row 1"),
    (SHIPPED, JSON, [BASE] * 5_001, "invalid_event", "5000"),
    (SHIPPED, CLOUD, _cloud(BASE, "stock.picked"), "contract_mismatch", "stock.picked"),
    (SHIPPED, CLOUD, _cloud(None), "data_missing", "event 1"),
    (SHIPPED, CLOUD, _cloud(None, data_base64="?"), "invalid_event", "base64"),
    (contract("order.accepted"), JSON, b"{}", "contract_outgoing", "told by the hub"),
]


@pytest.mark.parametrize("name, content_type, body, code, words", REFUSED)
def test_what_says_nothing_is_refused_with_the_reason(name, content_type, body, code, words):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = decode(name, content_type, raw)
    assert isinstance(found, Undecodable)
    assert (found.code, found.missing) == (code, ())
    assert words in found.detail


@pytest.mark.parametrize(
    "name",
    ["com.example.unheard.v1", contract("stock.shipped")[:-1] + "2", "nonsense", "", ".v1",
     contract("stock.shipped")[:-1] + "01", contract("stock.shipped")[:-1] + "0"],
)  # fmt: skip
def test_unknown_contracts_and_versions_name_what_they_wait_for(name):
    found = decode(name, JSON, json.dumps(BASE).encode())
    assert (found.code, found.missing) == ("unknown_contract", (f"contract:{name}",))


def test_a_mistake_in_a_batch_is_named_by_its_place():
    batch = json.dumps([_cloud(BASE), _cloud(BASE | {"quantity": 0})]).encode()
    found = decode("", "application/cloudevents-batch+json", batch)
    assert found.detail.startswith("event 1 of the batch: ")


# Upcasting ------------------------------------------------------------------------------------
LEGACY = {
    "item": "AB-1", "site": "MAIN", "qty": "3", "when": 1782894600, "order": "D-1", "position": 7,
}  # fmt: skip


def _legacy_upcasts():
    upcasts = Upcasts()

    @upcasts.register("io.stockbridge.stock.shipped", 0)
    def from_v0(data):
        moment = datetime.fromtimestamp(data["when"], UTC)
        document = {"type": "order", "number": data["order"], "line": str(data["position"])}
        return {
            "sku": data["item"], "location": data["site"], "quantity": int(data["qty"]),
            "occurred_at": moment, "document": document,
        }  # fmt: skip

    return upcasts


@pytest.mark.parametrize("body", [LEGACY, [LEGACY]])
def test_an_older_version_is_lifted_to_the_newest(body):
    upcasts = _legacy_upcasts()
    name = "io.stockbridge.stock.shipped"
    new = {k: v for k, v in BASE.items() if k != "sequence"}
    expected = decode(f"{name}.v1", JSON, json.dumps(new).encode(), upcasts)
    assert decode(f"{name}.v0", JSON, json.dumps(body).encode(), upcasts) == expected


@pytest.mark.parametrize(
    "body", [{}, LEGACY | {"qty": "many"}, LEGACY | {"qty": "-3"}, [[]], 7, LEGACY | {"when": "x"}]
)
def test_an_upcast_that_meets_nonsense_refuses_it(body):
    found = decode("io.stockbridge.stock.shipped.v0", JSON, json.dumps(body).encode(),
                   _legacy_upcasts())  # fmt: skip
    assert found.code == "invalid_event"
    assert found.detail


def test_steps_are_chained_leave_their_input_alone_and_stand_once():
    upcasts = Upcasts()
    upcasts.register("x.y", 1)(lambda data: data | {"b": data["a"] + 1})
    upcasts.register("x.y", 2)(lambda data: {"c": data["b"] * 10})
    before = {"a": 1}
    assert upcasts.lift("x.y", 1, 3, before) == {"c": 20}
    assert before == {"a": 1}
    assert upcasts.reaches("x.y", 1, 3)
    assert not upcasts.reaches("x.y", 0, 3)
    with pytest.raises(Broken, match=r"x\.y\.v1"):
        upcasts.register("x.y", 1)(dict)


# Schemas --------------------------------------------------------------------------------------
PUBLISHED = Path(__file__).with_name("published_contracts.json")


def test_what_was_published_still_holds():
    """Run `python -m tests.unit.test_contracts_events` after adding to a contract on purpose."""
    kept = json.loads(PUBLISHED.read_text())
    now = {event.contract: schema_of(event) for event in EVENT_TYPES}
    for name, old in kept.items():
        assert breaks_writers(old, now[name]) == [], name
        assert breaks_readers(old, now[name]) == [], name
    assert kept == json.loads(json.dumps(now)), "publish the additions"


@pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda event: event.name)
def test_schemas_are_sound_and_described(event):
    schema = schema_of(event)
    Draft202012Validator.check_schema(schema)
    assert schema["description"]
    assert event.description
    assert split(event.contract) == (event.name, event.version)


NASTY: list[Any] = [
    None,
    0,
    -1,
    1.5,
    10**13,
    True,
    "",
    "x" * 200,
    [],
    {},
    "2026-07-01T10:30:00Z",
    "../etc",
]


@pytest.mark.parametrize("name", [name for name, _, _ in TYPES])
def test_schema_and_decoder_agree(name):
    """What the schema takes is decoded; what it refuses for its structure is refused."""
    event = next(event for event in EVENT_TYPES if event.contract == contract(name))
    validator = Draft202012Validator(schema_of(event))
    good = data_of(name)
    tried = [good]
    tried += [{k: v for k, v in good.items() if k != field} for field in good]
    tried += [good | {field: value} for field in [*good, "unknown"] for value in NASTY]
    tried += [good | {"document": good["document"] | {"number": value}} for value in NASTY]
    accepted = 0
    for data in tried:
        by_schema = validator.is_valid(data)
        by_decoder = isinstance(decode(event.contract, JSON, json.dumps(data).encode()), list)
        if data.get("sku", "") is None or isinstance(data.get("occurred_at"), int | float):
            continue
        assert by_schema == by_decoder or _only_a_format(data), data
        accepted += by_schema
    assert accepted > 3


def _only_a_format(data):
    """Formats are annotations in JSON Schema: the decoder is stricter about times."""
    moments = [data.get("occurred_at"), data.get("expected_at")]
    return any(isinstance(m, str) and not m.startswith("2026-0") for m in moments)


# Anything at all ------------------------------------------------------------------------------
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NAMES = st.sampled_from([event.contract for event in EVENT_TYPES]) | st.text()
KINDS = st.sampled_from([JSON, CLOUD, "application/cloudevents-batch+json"]) | st.text()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(NAMES, KINDS, st.binary())
def test_bytes_never_raise(name, content_type, body):
    assert isinstance(decode(name, content_type, body), Undecodable)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(REPORTED), st.dictionaries(st.sampled_from(sorted(BASE | STAGE)), ANY_JSON))
def test_data_never_raises(event, changes):
    data = deepcopy(BASE) | changes
    for body in (data, [data], _cloud(data)):
        kind = CLOUD if "specversion" in body else JSON
        found = decode(event.contract, kind, msgspec.json.encode(body))
        assert isinstance(found, list | Undecodable)
        for command in found if isinstance(found, list) else ():
            # A command that was made is one that the API would have taken.
            msgspec.convert(msgspec.to_builtins(command), type(command))


if __name__ == "__main__":
    schemas = {event.contract: schema_of(event) for event in EVENT_TYPES}
    PUBLISHED.write_text(json.dumps(schemas, indent=1, sort_keys=True) + "\n")
