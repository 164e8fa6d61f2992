"""`POST /v1/events`, spoken to by the public CloudEvents SDK and by hand."""

import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from tests.doors import available, fact, settled, systems
from tests.http_api import scalar, serving, warehouse

RECEIVED = "io.stockbridge.stock.received.v1"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def event(number: str, data: Any = None, **more: Any) -> CloudEvent:
    attributes = {"id": number, "source": "wms", "type": RECEIVED, "specversion": "1.0"} | more
    said = fact(f"PO-{number}") if data is None else data
    return CloudEvent(attributes={"datacontenttype": "application/json", **attributes}, data=said)


def element(number: str, data: Any = None, **more: Any) -> dict[str, Any]:
    said = fact(f"PO-{number}") if data is None else data
    base = {"specversion": "1.0", "id": number, "source": "wms", "type": RECEIVED, "data": said}
    return base | more


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path) as client:
        yield client


async def send(api: Any, message: Any) -> Any:
    headers = {name.lower().replace("-", "_"): value for name, value in message.headers.items()}
    return await api.raw("POST", "/v1/events", message.body, **headers)


async def test_the_public_sdk_in_each_mode(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await systems(api, "wms")
        await api.put("/v1/items/A", {})
        for number, to_http in (("1", to_binary_event), ("2", to_structured_event)):
            message = to_http(event(number, sequence=f"0000{number}", correlationid="c-7"))
            answer = await send(api, message)
            assert answer.status_code == 202, answer.text
            assert answer.json()["messages"][0]["status"] == "received"
        body = json.dumps([element("3"), element("4")])
        answer = await api.raw("POST", "/v1/events", body, content_type=BATCH)
        assert (answer.status_code, answer.json()["kept"]) == (202, 2)
        assert await settled(dsn) == {"applied": 4}
        assert await available(dsn, "A") == 20
        sources = "SELECT string_agg(DISTINCT system, ',') FROM message"
        assert await scalar(dsn, sources) == "wms"
        numbers = "SELECT received::text FROM source_sequence"
        assert await scalar(dsn, numbers) == "{[1,3)}"
        said = "SELECT count(*) FROM message WHERE correlation_id = 'c-7'"
        assert await scalar(dsn, said) == 2


async def test_bytes_are_kept_as_they_came(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        spaced = json.dumps(element("1"), indent=3).encode()
        await api.raw("POST", "/v1/events", spaced, content_type=STRUCTURED)
        listed = b"[ " + spaced.replace(b'"1"', b'"2"') + b" ,\n" + spaced + b"]"
        answer = await api.raw("POST", "/v1/events", listed, content_type=BATCH)
        assert [m["status"] for m in answer.json()["messages"]] == ["received", "duplicate"]
        first = "SELECT body FROM message ORDER BY message_id LIMIT 1"
        assert bytes(await scalar(dsn, first)) == spaced
        second = "SELECT body FROM message ORDER BY message_id DESC LIMIT 1"
        assert bytes(await scalar(dsn, second)) == spaced.replace(b'"1"', b'"2"')


async def test_one_bad_event_refuses_no_other(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        bad = [
            17,
            {"id": "x"},
            element("2", specversion="0.3"),
            element(""),
            element("3", correlationid="no such id"),
            element("n\0l"),
            element("4", sequence=-1),
            element("5", id="x" * 600),
        ]
        body = json.dumps([element("1"), *bad])
        answer = await api.raw("POST", "/v1/events", body, content_type=BATCH)
        told = answer.json()["messages"]
        assert (answer.status_code, answer.json()["kept"]) == (202, 1)
        assert [m["status"] for m in told] == ["received"] + ["refused"] * len(bad)
        assert [m["index"] for m in told] == list(range(len(told)))
        assert all(m["code"] and m["detail"] for m in told[1:])
        answer = await api.raw("POST", "/v1/events", json.dumps(bad), content_type=BATCH)
        assert answer.status_code in (400, 422)
        assert len(answer.json()["errors"]) == len(bad)
        assert await scalar(dsn, "SELECT count(*) FROM message") == 1


REFUSED = [
    (b"{", STRUCTURED, {}, 400, "malformed_json"),
    (b"\xff", STRUCTURED, {}, 400, "malformed_json"),
    (b"[" * 100_000, BATCH, {}, 400, "malformed_json"),
    (b"[]", BATCH, {}, 400, "no_events"),
    (b"{}", BATCH, {}, 400, "malformed_json"),
    (b"[" + b"1," * 250_000 + b"1]", BATCH, {}, 413, "batch_too_large"),
    (json.dumps([1] * 1_001).encode(), BATCH, {}, 413, "batch_too_large"),
    (b"{}", "application/json", {}, 400, "not_a_cloud_event"),
    (b"{}", "application/json", {"ce-specversion": "1.0"}, 400, "invalid_cloud_event"),
    (b"{}", "application/cloudevents+xml", {}, 415, "unsupported_media_type"),
    (b"{}", f"{STRUCTURED}; charset=latin1", {}, 415, "unsupported_media_type"),
    (b" " * (8 * 1024 * 1024 + 1), STRUCTURED, {}, 413, "body_too_large"),
    (json.dumps(element("1") | {"pad": "x" * 1_100_000}).encode(), STRUCTURED, {}, 413,
     "message_too_large"),
]  # fmt: skip


@pytest.mark.parametrize("body,kind,headers,status,code", REFUSED)
async def test_what_is_no_event_is_refused(api, body, kind, headers, status, code):
    answer = await api.raw("POST", "/v1/events", body, content_type=kind, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_binary_headers_are_percent_decoded(api):
    headers = {
        "ce-specversion": "1.0", "ce-type": RECEIVED, "ce-source": '"wms"', "ce-id": "%E2%82%AC 1",
        "ce-causationid": "c%20d",
    }  # fmt: skip
    answer = await api.raw("POST", "/v1/events", b"{}", content_type="application/json", **headers)
    assert answer.status_code == 202, answer.text
    kept = "SELECT source_message_id || '|' || causation_id FROM message"
    assert await scalar(api.app.dsn, kept) == "wms#€ 1|c d"
    headers["ce-id"] = "%FF"
    answer = await api.raw("POST", "/v1/events", b"{}", content_type="application/json", **headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cloud_event")


async def test_who_a_message_is_from(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await systems(api, "wms", "erp")
        await api.put("/v1/locations/W2", {"authority": "erp"})
        bound = await api.key("events:write", system="erp")
        sources = [("wms", "wms"), ("https://x.example/sys/wms", "wms"), ("urn:sys:erp", "erp")]
        for number, (source, system) in enumerate(sources):
            body = json.dumps(element(f"a{number}", source=source))
            await api.raw("POST", "/v1/events", body, content_type=STRUCTURED)
            found = f"SELECT system FROM message WHERE source_message_id = '{source}#a{number}'"
            assert await scalar(dsn, found) == system
        body = json.dumps(element("b", source="nobody"))
        await api.raw("POST", "/v1/events", body, content_type=STRUCTURED)
        assert await scalar(dsn, "SELECT count(*) FROM message WHERE system LIKE 'key:%'") == 1
        body = json.dumps([element("c", fact("P", location="W2")), element("d", fact("P"))])
        answer = await bound.raw("POST", "/v1/events", body, content_type=BATCH)
        told = answer.json()["messages"]
        assert [m["status"] for m in told] == ["received", "refused"]
        assert told[1]["code"] == "location_forbidden"
        assert await scalar(dsn, "SELECT system FROM message ORDER BY 1 LIMIT 1") == "erp"
        reader = await api.key("ops:read")
        answer = await reader.raw("POST", "/v1/events", body, content_type=BATCH)
        assert answer.status_code == 403
        await bound.http.aclose()
        await reader.http.aclose()


async def test_a_full_inbox_says_when_to_come_again(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        api.app.inbox._waiting = 20_000
        body = json.dumps(element("1"))
        answer = await api.raw("POST", "/v1/events", body, content_type=STRUCTURED)
        api.app.inbox._waiting = 0
        assert (answer.status_code, answer.json()["code"]) == (429, "inbox_full")
        assert answer.headers["retry-after"] == "1"
