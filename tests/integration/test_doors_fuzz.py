"""Whatever is thrown at a door: never a 500, and what it says it kept is kept as it came."""

import json
import time
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stockbridge.ingress.webhooks_gate import secret_bytes, signature
from stockbridge.store.database import connect
from tests.doors import fact, settled, systems
from tests.http_api import serving

EXAMPLES = 100
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RECEIVED = "io.stockbridge.stock.received.v1"
CLOUD = {"specversion": "1.0", "id": "1", "source": "wms", "type": RECEIVED, "data": fact("P")}
EPCIS = {
    "type": "ObjectEvent", "eventID": "urn:x:1", "eventTime": "2026-11-20T10:00:00Z",
    "eventTimeZoneOffset": "+00:00", "action": "OBSERVE", "bizStep": "receiving",
    "quantityList": [{"epcClass": "https://id.gs1.org/01/04012345123456", "quantity": 1}],
    "bizLocation": {"id": "MAIN"},
}  # fmt: skip
DOCUMENT = {"type": "EPCISDocument", "epcisBody": {"eventList": [EPCIS]}}
ROW = {"type": "stock.received", **fact("P")}
DOORS: dict[str, tuple[str, Any]] = {
    "application/cloudevents+json": ("/v1/events", CLOUD),
    "application/cloudevents-batch+json": ("/v1/events", [CLOUD, CLOUD]),
    "application/json": ("/v1/epcis/events", EPCIS),
    "application/ld+json": ("/v1/epcis/capture", DOCUMENT),
    "application/x-ndjson": ("/v1/events/stream", ROW),
    "text/csv": ("/v1/events/stream", ROW),
    "text/xml": ("/v1/webhooks/wms", CLOUD),
}

HEADERS = (
    "ce-specversion", "ce-id", "ce-type", "ce-sequence", "traceparent", "x-correlation-id",
    "gs1-capture-error-behaviour",
)  # fmt: skip
odd = st.sampled_from(
    ["", "\0", "a\0b", "\\ud800", "🙂" * 9, "x" * 600, "../..", "%00", "1e999", " ", "\uff21\uff22"]
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(), odd, st.text(max_size=9)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(odd, st.text()), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def spoiled(draw: Any, good: Any) -> bytes:
    """A good message with something wrong in it."""
    how = draw(st.sampled_from(["field", "cut", "bytes", "any", "deep", "surrogate", "good"]))
    text = json.dumps(good).encode()
    if how == "field":
        target = good[0] if isinstance(good, list) else good
        names = st.one_of(st.sampled_from(sorted(target)), odd)
        changed = target | {draw(names): draw(values)}
        text = json.dumps([changed] if isinstance(good, list) else changed).encode()
    elif how == "cut":
        text = text[: draw(st.integers(0, len(text)))]
    elif how == "bytes":
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=20)) + text[at:]
    elif how == "any":
        text = draw(
            st.one_of(st.binary(max_size=300), values.map(lambda v: json.dumps(v).encode()))
        )
    elif how == "deep":
        depth, opening = draw(st.sampled_from([(2_000, b'{"data":'), (100_000, b"[")]))
        text = opening * depth + text
    elif how == "surrogate":
        text = text.replace(b'"wms"', b'"\\ud800"').replace(b'"MAIN"', b'"\\udfff"')
    return text


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path, secret_key="k" * 32) as client:
        await systems(client, "wms")
        made = await client.put("/v1/systems/wms/secrets/webhook", {"secret": SECRET})
        assert made.status_code == 200, made.text
        yield client


def signed(body: bytes, number: int) -> dict[str, str]:
    """Headers of a webhook that is believed."""
    message_id, moment = f"m{number}".encode(), str(int(time.time())).encode()
    key = secret_bytes(SECRET)
    assert key is not None
    mark = signature(key, message_id, moment, body)
    return {
        "webhook-id": message_id.decode(),
        "webhook-timestamp": moment.decode(),
        "webhook-signature": f"v1,{mark.decode()}",
    }


async def kept_as_it_came(dsn: str, body: bytes) -> bool:
    async with await connect(dsn) as conn:
        cursor = await conn.execute(b"SELECT FROM message WHERE body = %s", (body,))
        return cursor.rowcount > 0


WHOLE = ("application/cloudevents+json", "application/json", "text/xml")
"""Doors that keep a body as one message."""
numbers = count()


def examples(good: Any) -> list[tuple[bytes, list[tuple[str, str]]]]:
    """Messages with odd headers; made beforehand, since the server has its own use of chance."""
    made: list[tuple[bytes, list[tuple[str, str]]]] = []

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(spoiled(good), st.lists(st.tuples(st.sampled_from(HEADERS), odd), max_size=2))
    def collect(body: bytes, headers: list[tuple[str, str]]) -> None:
        made.append((body, headers))

    collect()
    return made


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", DOORS)
async def test_a_door_takes_or_refuses_anything(api, kind):
    path, good = DOORS[kind]
    for body, headers in examples(good):
        own = {name: ascii(value)[1:-1].strip() for name, value in headers} | {"content-type": kind}
        if "webhooks" in path:
            own |= signed(body, next(numbers))
        answer = await api.raw("POST", path, body, **own)
        assert answer.status_code < 500, (body, own, answer.text)
        if answer.status_code in (201, 202) and kind in WHOLE:
            assert await kept_as_it_came(api.app.dsn, body), (body, own)
    assert "dead" not in await settled(api.app.dsn)


async def test_forms_that_are_no_json_are_refused(api):
    part = b'--b\r\ncontent-disposition: form-data; name="file"\r\n\r\n{"a'
    for path in ("/v1/events", "/v1/epcis/capture", "/v1/events/stream", "/v1/webhooks/wms"):
        answer = await api.raw("POST", path, part, content_type="multipart/form-data; boundary=b")
        assert answer.status_code == 415, answer.text
