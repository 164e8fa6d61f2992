"""The contract: made from the table of routes, complete, valid, and true to what is routed."""

import json
import re
from collections import Counter

import msgspec
import pytest
from jsonschema import Draft202012Validator

from stockbridge.governance.keys import SCOPES
from stockbridge.ingress.docs import page
from stockbridge.ingress.openapi import document
from stockbridge.ingress.table import ROUTES

# What users and partners rely on (method, path): renaming one needs a deprecation.
PUBLIC = """
GET /v1/availability/{sku}
POST /v1/availability/query
GET /v1/availability/{sku}/explain
GET /v1/availability/{sku}/history
GET /v1/availability/stream
POST /v1/reservations
GET /v1/reservations
GET /v1/reservations/{reservation}
PATCH /v1/reservations/{reservation}
POST /v1/reservations/{reservation}/confirm
POST /v1/reservations/{reservation}/release
POST /v1/orders
GET /v1/orders
GET /v1/orders/{order}
GET /v1/channels/{channel}/orders/{number}
PATCH /v1/orders/{order}
POST /v1/orders/{order}/cancel
POST /v1/orders/{order}/hold
POST /v1/orders/{order}/resume
POST /v1/orders/{order}/release
POST /v1/orders/{order}/answer
PUT /v1/order-flows/{channel}
GET /v1/order-flows/{channel}
POST /v1/receipts
POST /v1/shipments
POST /v1/transfers
POST /v1/counts
POST /v1/returns
POST /v1/adjustments
POST /v1/supplies
POST /v1/stock-holds
PUT /v1/items/{sku}
GET /v1/items/{sku}
PUT /v1/locations/{code}
PUT /v1/channels/{code}
PUT /v1/systems/{code}
PUT /v1/policies/{channel}
PUT /v1/policies/{channel}/{sku}
PUT /v1/reason-codes/{code}
PUT /v1/safety-stock
PUT /v1/channels/{channel}/fences
POST /v1/imports
GET /v1/imports/{job}
GET /v1/imports/{job}/errors
GET /v1/exceptions
POST /v1/exceptions/{exception}/assign
POST /v1/exceptions/{exception}/resolve
GET /v1/movements
GET /v1/audit
GET /v1/contracts
GET /v1/contracts/{name}/{version}
POST /v1/contracts
POST /v1/contracts/{name}/{version}/deprecate
GET /v1/mappings
POST /v1/mappings
GET /healthz
GET /readyz
GET /metrics
GET /openapi.json
GET /asyncapi.json
GET /schemas/{name}/{file}
GET /docs
""".strip().splitlines()


@pytest.fixture(scope="module")
def contract():
    return json.loads(msgspec.json.encode(document(ROUTES)))


def _operations(contract):
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


@pytest.mark.parametrize("call", PUBLIC)
def test_public_calls_stay(contract, call):
    method, path = call.split(" ")
    assert method.lower() in contract["paths"][path]


def test_every_route_is_described_once(contract):
    routed = Counter((route.method, route.path) for route in ROUTES)
    described = {(method, path) for method, path, _ in _operations(contract)}
    assert set(routed) == described
    assert max(routed.values()) == 1
    names = Counter(operation["operationId"] for _, _, operation in _operations(contract))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_schema_is_json_schema_and_every_reference_resolves(contract):
    schemas = contract["components"]["schemas"]
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("description"), name
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(contract)):
        assert reference in schemas


def test_every_call_says_what_it_takes_and_gives(contract):
    for method, path, operation in _operations(contract):
        told = f"{method} {path}"
        assert operation["summary"], told
        assert operation["description"], told
        assert "default" in operation["responses"], told
        assert any(status.startswith("2") for status in operation["responses"]), told
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), told
        if method in {"POST", "PUT", "PATCH"}:
            assert "requestBody" in operation, told


def test_requests_refuse_unknown_fields(contract):
    schemas = contract["components"]["schemas"]
    for method, path, operation in _operations(contract):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            # A body of any form is a string here: its handler reads the bytes.
            if kind == "application/json" and content["schema"] != {"type": "string"}:
                schema = content["schema"]
                schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
                assert schema["additionalProperties"] is False, f"{method} {path}"


def test_only_reads_of_the_process_are_public(contract):
    public = {
        (method, path)
        for method, path, operation in _operations(contract)
        if not operation["security"]
    }
    assert public == {
        ("GET", path)
        for path in (
            *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"),
            *("/asyncapi.json", "/schemas/{name}/{file}"),
        )
    } | {
        # Proved by its signature instead of a key; the partner asks before it calls.
        ("POST", "/v1/webhooks/{system}"),
        ("GET", "/v1/webhooks/{system}"),
    }


def test_scopes_are_known_and_keys_required_where_promised(contract):
    required = set()
    for _, path, operation in _operations(contract):
        for entry in operation["security"]:
            assert set(entry["key"]) <= set(SCOPES)
        for parameter in operation["parameters"]:
            if parameter["name"] == "Idempotency-Key" and parameter["required"]:
                required.add(path)
    orders = {"", "/{order}"}
    orders |= {f"/{{order}}/{act}" for act in ("cancel", "hold", "resume", "release", "answer")}
    kept = {"/v1/reservations", "/v1/adjustments", "/v1/returns"}
    assert required == kept | {f"/v1/orders{path}" for path in orders}


def test_what_the_path_names_need_not_stand_in_the_body(contract):
    body = contract["paths"]["/v1/items/{sku}"]["put"]["requestBody"]
    assert "sku" not in body["content"]["application/json"]["schema"]["required"]
    assert body["required"] is False


def test_hot_calls_are_the_three_and_fast_lane_knows_them():
    hot = [(route.method, route.path) for route in ROUTES if route.hot]
    assert hot == [
        ("GET", "/v1/availability/{sku}"),
        ("POST", "/v1/availability/query"),
        ("POST", "/v1/reservations"),
    ]


def test_the_reference_shows_every_call_and_runs_nothing(contract):
    html = page(contract)
    for method, path, operation in _operations(contract):
        assert f'id="{operation["operationId"]}"' in html, f"{method} {path}"
    assert "<script" not in html
    assert "http://" not in html
    assert "//cdn" not in html
