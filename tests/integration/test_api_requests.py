"""What every call does with what it is sent: bodies, keys, ids, errors."""

import asyncio
import json

import pytest

from tests.http_api import scalar, serving, warehouse

RESERVE = {"channel": "web", "reference": "R1", "lines": [{"sku": "A", "quantity": 1}]}
DEEP = b'{"attributes":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}"

# method, path, bytes, content type, status, code
BODIES = [
    ("PUT", "/v1/items/X", b"{", "application/json", 400, "malformed_json"),
    ("PUT", "/v1/items/X", b"\xff\xfe", "application/json", 400, "malformed_json"),
    ("PUT", "/v1/items/X", b'{"description":"\xff"}', "application/json", 400, "malformed_json"),
    ("PUT", "/v1/items/X", b'{"description":"\\ud800"}', "application/json", 400,
     "malformed_json"),
    ("PUT", "/v1/items/X", DEEP, "application/json", 400, "malformed_json"),
    ("PUT", "/v1/items/X", b"[]", "application/json", 422, "invalid_request"),
    ("PUT", "/v1/items/X", b"null", "application/json", 422, "invalid_request"),
    ("PUT", "/v1/items/X", b'"text"', "application/json", 422, "invalid_request"),
    ("PUT", "/v1/items/X", b'{"description":"\\u0000"}', "application/json", 422,
     "invalid_request"),
    ("PUT", "/v1/items/X", b'{"attributes":{"a":[{"b\\u0000":1}]}}', "application/json", 422,
     "invalid_request"),
    ("PUT", "/v1/items/X", b'{"attributes":{"a":1e999}}', "application/json", 422,
     "invalid_request"),
    ("PUT", "/v1/items/X", b'{"colour":"red"}', "application/json", 422, "invalid_request"),
    ("PUT", "/v1/items/X", b'{"sku":"Y"}', "application/json", 422, "invalid_request"),
    ("PUT", "/v1/items/X", b"", "application/json", 201, None),
    ("PUT", "/v1/items/X", b"{}", "application/json", 200, None),
    ("PUT", "/v1/items/X", b'{"sku":"X"}', "application/json; charset=utf-8", 200, None),
    ("PUT", "/v1/items/X", b"{}", "application/vnd.acme+json", 200, None),
    ("PUT", "/v1/items/X", b"{}", "application/x-www-form-urlencoded", 415,
     "unsupported_media_type"),
    ("PUT", "/v1/items/X", b"{}", "text/plain", 415, "unsupported_media_type"),
    ("PUT", "/v1/items/X", b"{}", "application/json; charset=latin-1", 415,
     "unsupported_media_type"),
    ("POST", "/v1/receipts", b"", "application/json", 400, "body_missing"),
    ("POST", "/v1/receipts", b"{}", "application/json", 422, "invalid_request"),
    ("POST", "/v1/imports?kind=items", b"{}", "application/json", 415, "unsupported_media_type"),
    ("POST", "/v1/imports?kind=items", b"", "text/csv", 400, "body_missing"),
    ("POST", "/v1/imports?kind=nothing", b"sku\n", "text/csv", 422, "invalid_request"),
    ("POST", "/v1/imports", b"sku\n", "text/csv", 422, "invalid_request"),
]  # fmt: skip


async def test_bodies(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        for method, path, content, content_type, status, code in BODIES:
            answer = await api.raw(method, path, content, content_type=content_type)
            told = (method, path, content[:60], answer.text)
            assert answer.status_code == status, told
            if code is not None:
                assert answer.headers["content-type"] == "application/problem+json", told
                problem = answer.json()
                assert (problem["code"], problem["status"]) == (code, status), told
                assert problem["type"].startswith("https://"), told


# method, path, status, code
PATHS = [
    ("GET", "/nothing", 404, "not_found"),
    ("GET", "/v1", 404, "not_found"),
    ("GET", "/v1/items/", 404, "not_found"),
    ("GET", "/v1/items/A/B", 404, "not_found"),
    ("GET", "/v1/items/a%00b", 404, "not_found"),
    ("GET", "/v1/items/%ff%fe", 404, "unknown_item"),
    ("GET", "/v1/items/none", 404, "unknown_item"),
    ("GET", "/v1/locations/none", 404, "unknown_location"),
    ("GET", "/v1/channels/none", 404, "unknown_channel"),
    ("GET", "/v1/systems/none", 404, "unknown_system"),
    ("GET", "/v1/reason-codes/none", 404, "unknown_reason_code"),
    ("GET", "/v1/policies/none", 404, "unknown_policy"),
    ("GET", "/v1/reservations/none", 404, "unknown_reservation"),
    ("GET", "/v1/reservations/rsv_1", 404, "unknown_reservation"),
    ("GET", "/v1/reservations/rsv_ffffffffffffffff", 404, "unknown_reservation"),
    ("GET", "/v1/exceptions/1", 404, "unknown_exception"),
    ("GET", "/v1/exceptions/99999999999999999999", 404, "unknown_exception"),
    ("GET", "/v1/imports/1", 404, "unknown_import"),
    ("GET", "/v1/imports/x/errors", 404, "unknown_import"),
    ("GET", "/v1/availability/none?channel=none", 404, "unknown_channel"),
    ("GET", "/v1/availability/A", 422, "invalid_request"),
    ("GET", "/v1/availability/A?channel=web&channel=web", 422, "invalid_request"),
    ("GET", "/v1/availability/A?channel=web&colour=red", 422, "invalid_request"),
    ("GET", "/v1/availability/A?channel=web&quantity=-1", 422, "invalid_request"),
    ("GET", "/v1/availability/A?channel=web&quantity=1.5", 422, "invalid_request"),
    ("GET", "/v1/availability/A?channel=web&by=tomorrow", 422, "invalid_request"),
    ("GET", "/v1/availability/A?channel=web&by=2026-01-01T00:00:00", 422, "invalid_request"),
    ("GET", "/v1/availability/A?channel=%00", 422, "invalid_request"),
    ("GET", "/v1/availability/stream?channel=none", 404, "unknown_channel"),
    ("GET", "/v1/items?limit=0", 422, "invalid_request"),
    ("GET", "/v1/items?limit=1001", 422, "invalid_request"),
    ("GET", "/v1/items?cursor=%C3%A4", 422, "cursor_invalid"),
    ("GET", "/v1/audit?cursor=YQ", 422, "cursor_invalid"),
    ("GET", "/v1/audit?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", 422, "cursor_invalid"),
    ("GET", "/v1/items/A?x=1", 422, "invalid_request"),
    ("DELETE", "/v1/items/A", 405, "method_not_allowed"),
    ("POST", "/v1/availability/A", 405, "method_not_allowed"),
    ("PUT", "/v1/reservations", 405, "method_not_allowed"),
    ("POST", "/healthz", 405, "method_not_allowed"),
    ("TRACE", "/v1/items", 405, "method_not_allowed"),
]  # fmt: skip


async def test_paths_and_parameters(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        for method, path, status, code in PATHS:
            answer = await api.raw(method, path, None)
            assert answer.status_code == status, (method, path, answer.text)
            assert answer.json()["code"] == code, (method, path, answer.text)
            assert answer.headers["x-correlation-id"]
            if status == 405:
                assert answer.headers["allow"]


async def test_every_bad_row_is_named_at_once_and_nothing_is_applied(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=5)
        lines = [
            {"sku": "A", "quantity": 1},
            {"sku": "A", "quantity": 0},
            {"sku": 5, "quantity": 1},
            {"quantity": 1.5, "colour": "red"},
            "row",
            {"sku": "A", "quantity": 10**15},
        ]
        body = {"channel": "web", "lines": lines, "ttl_seconds": 0, "colour": "red"}
        answer = await api.post("/v1/reservations", body)
        assert answer.status_code == 422
        found = {
            (error.get("index"), error["field"], error["code"]) for error in answer.json()["errors"]
        }
        assert found == {
            (None, "reference", "missing"),
            (None, "ttl_seconds", "invalid"),
            (None, "colour", "unknown_field"),
            (1, "quantity", "invalid"),
            (2, "sku", "invalid"),
            (3, "sku", "missing"),
            (3, "quantity", "invalid"),
            (3, "colour", "unknown_field"),
            (4, "4", "invalid"),
            (5, "quantity", "invalid"),
        }
        assert await scalar(dsn, "SELECT count(*) FROM reservation") == 0
        both = [{"sku": "A", "alias": "B", "namespace": "n", "quantity": 1}]
        receipt = {"document": {"type": "po", "number": "1"}, "location": "MAIN", "lines": both}
        answer = await api.post("/v1/receipts", receipt)
        assert answer.json()["errors"][0]["index"] == 0
        late = {"count": "C", "location": "MAIN", "occurred_at": "0001-01-01T00:00:00+14:00"}
        answer = await api.post("/v1/counts", late | {"lines": [{"sku": "A", "quantity": 1}]})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "occurred_at")


async def test_a_body_over_the_limit_is_refused_whether_or_not_it_says_its_length(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        large = b'{"description":"' + b"x" * (8 * 1024 * 1024) + b'"}'

        async def pieces():
            for start in range(0, len(large), 65_536):
                yield large[start : start + 65_536]

        for content in (large, pieces()):
            answer = await api.raw("PUT", "/v1/items/X", content, content_type="application/json")
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert (await api.get("/v1/items")).json()["items"] == []


NEEDS_KEY = ["/v1/reservations", "/v1/adjustments", "/v1/returns"]


async def test_idempotency(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=5)
        for path in NEEDS_KEY:
            answer = await api.raw("POST", path, b"{}", content_type="application/json")
            assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")
        for bad in ("", "a b", "x" * 256):
            answer = await api.post("/v1/reservations", RESERVE, idempotency_key=bad)
            assert answer.json()["code"] == "idempotency_key_invalid", bad
        first = await api.post("/v1/reservations", RESERVE, idempotency_key="k1")
        again = await api.post("/v1/reservations", RESERVE, idempotency_key="k1")
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        changed = {**RESERVE, "reference": "R2"}
        answer = await api.post("/v1/reservations", changed, idempotency_key="k1")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        # A key counts within its holder.
        other = await api.key("reservations:write")
        answer = await other.post("/v1/reservations", RESERVE, idempotency_key="k1")
        assert answer.json()["id"] != first.json()["id"]
        await other.http.aclose()
        # A refusal is a first answer too.
        greedy = {**RESERVE, "lines": [{"sku": "A", "quantity": 99}]}
        refused = [
            await api.post("/v1/reservations", greedy, idempotency_key="k2") for _ in range(2)
        ]
        assert [answer.status_code for answer in refused] == [409, 409]
        assert refused[1].headers["idempotency-replayed"] == "true"
        assert refused[1].headers["content-type"] == "application/problem+json"
        assert refused[0].json()["code"] == "insufficient_stock"
        assert refused[0].json()["errors"][0]["index"] == 0


async def test_a_hundred_retries_at_once_hold_once(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=500)
        calls = [api.post("/v1/reservations", RESERVE, idempotency_key="same") for _ in range(100)]
        answers = await asyncio.gather(*calls)
        statuses = {answer.status_code for answer in answers}
        assert statuses <= {201, 409}
        for answer in answers:
            if answer.status_code == 409:
                assert answer.json()["code"] == "request_in_progress"
        assert await scalar(dsn, "SELECT sum(reserved) FROM balance") == 1


async def test_master_puts_replay_and_are_audited_once(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        body = {"description": "Cup"}
        answers = [await api.put("/v1/items/A", body, idempotency_key="p") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[1].headers["idempotency-replayed"] == "true"
        rows = (await api.get("/v1/audit?subject=item/A")).json()["items"]
        assert [(row["act"], row["detail"]["description"]) for row in rows] == [("item.put", "Cup")]
        assert rows[0]["correlation_id"] == answers[0].headers["x-correlation-id"]


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CORRELATIONS = [
    # X-Correlation-Id, traceparent, status, correlation id, traceparent back
    (None, None, 200, None, None),
    ("order/42:a=b", None, 200, "order/42:a=b", None),
    ("order-42", TRACE, 200, "order-42", TRACE),
    (None, TRACE, 200, "0af7651916cd43dd8448eb211c80319c", TRACE),
    (None, "00-00000000000000000000000000000000-b7ad6b7169203331-01", 200, None, None),
    (None, "garbage", 200, None, None),
    ("x" * 128, None, 200, "x" * 128, None),
    ("x" * 129, None, 400, None, None),
    ("a b", None, 400, None, None),
    ("<script>", None, 400, None, None),
]


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path) as client:
        yield client


async def test_correlation_ids_are_taken_made_returned_and_stored(api, dsn):
    for given, trace, status, expected, back in CORRELATIONS:
        headers = {"X-Correlation-Id": given} if given is not None else {}
        headers |= {"traceparent": trace} if trace else {}
        answer = await api.get("/v1/items", **headers)
        assert answer.status_code == status, (given, trace)
        returned = answer.headers["x-correlation-id"]
        assert returned == expected if expected else len(returned) == 32
        if back:
            assert answer.headers["traceparent"] == back
    await api.put("/v1/items/A", {}, X_Correlation_Id="trace-me")
    stored = await scalar(dsn, "SELECT correlation_id FROM item")
    assert stored == "trace-me"


async def test_answers_carry_security_headers(api):
    for path in ("/v1/items", "/", "/docs", "/healthz", "/nothing"):
        headers = (await api.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        if path == "/docs":
            assert headers["referrer-policy"] == "no-referrer"
            assert "script-src" not in headers["content-security-policy"]
        if path == "/":
            # Its forms must tell their origin, so that those of other sites are refused.
            assert headers["referrer-policy"] == "same-origin"
            assert "'unsafe" not in headers["content-security-policy"]
        assert "server" not in headers


async def test_escaped_slashes_stay_inside_a_name(api):
    await api.put("/v1/locations/EU%2FMAIN", {})
    await api.put("/v1/channels/web", {"sources": ["EU/MAIN"]})
    for path, sku in (("a%2Fexplain", "a/explain"), ("b%20c%2fd", "b c/d"), ("%C3%A4%25", "ä%")):
        assert (await api.put(f"/v1/items/{path}", {})).json()["sku"] == sku
        assert (await api.get(f"/v1/items/{path}")).json()["sku"] == sku
        answer = await api.get(f"/v1/availability/{path}?channel=web")
        assert (answer.status_code, answer.json()["sku"]) == (200, sku)
    assert (await api.get("/v1/locations/EU%2FMAIN")).json()["code"] == "EU/MAIN"


async def test_head_answers_like_get_without_a_body(api):
    answer = await api.raw("HEAD", "/healthz", None)
    assert (answer.status_code, answer.content) == (200, b"")


HOSTILE: list[object] = [
    None, True, 0, -1, 10**18, 10**40, 1.5, "", "x", "x" * 5000, "\u202e\ud7ff", [], [[]], {},
    [None], {"a": {}}, "2026-13-45T99:99:99Z", "9999-12-31T23:59:59-23:59", "rsv_zz",
]  # fmt: skip


async def test_no_value_in_any_field_ends_in_a_500(api):
    """Each field of each body, replaced by each hostile value, and so in the first row."""
    document = json.loads((await api.get("/openapi.json")).text)
    schemas = document["components"]["schemas"]
    await warehouse(api)
    tried = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None or "revoke" in path:
                continue
            address = path
            for parameter in operation["parameters"]:
                address = address.replace("{" + parameter["name"] + "}", "1")
            schema = content["schema"]
            schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
            base = _some(schemas, schema)
            if not isinstance(base, dict):
                continue
            bodies = [{**base, name: value} for name in base for value in HOSTILE]
            rows = base.get("lines")
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                bodies += [
                    {**base, "lines": [{**rows[0], name: value}]}
                    for name in rows[0]
                    for value in HOSTILE
                ]
            for start in range(0, len(bodies), 50):
                some = bodies[start : start + 50]
                calls = [api.call(method.upper(), address, body) for body in some]
                for body, answer in zip(some, await asyncio.gather(*calls), strict=True):
                    assert answer.status_code < 500, (method, path, body, answer.text)
            tried += len(bodies)
    assert tried > 1000


def _some(schemas, field):
    """A value that fits a schema, roughly."""
    if "$ref" in field:
        return _some(schemas, schemas[field["$ref"].rpartition("/")[2]])
    if "properties" in field:
        return {name: _some(schemas, inner) for name, inner in field["properties"].items()}
    if "anyOf" in field:
        return _some(schemas, field["anyOf"][-1])
    if "enum" in field:
        return field["enum"][0]
    if field.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    kind = field.get("type")
    if kind == "array":
        return [_some(schemas, field["items"])]
    fits = {"string": "MAIN", "integer": 1, "boolean": True, "object": {}, "null": None}
    return fits.get(kind)
