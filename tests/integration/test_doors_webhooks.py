"""Webhooks signed with the public Standard Webhooks library, rotated secrets, forgeries."""

import asyncio
import base64
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from stockbridge.governance.secrets import SecretBox
from stockbridge.ingress.webhooks_gate import fault, secret_bytes
from stockbridge.kernel.errors import Misconfigured
from tests.doors import available, fact, settled, systems
from tests.http_api import scalar, serving, warehouse

SECRET_KEY = "k" * 32
JSON = "application/json"
MAPPING = {
    "system": "wms",
    "name": "plain",
    "version": 1,
    "events": '{"type": "io.stockbridge.stock.received.v1", "data": $}',
    "match": {"when": "$exists(sku)"},
    "samples": [
        {
            "name": "one",
            "input": json.dumps(fact("PO-1")),
            "expected": [{"type": "io.stockbridge.stock.received.v1", "data": fact("PO-1")}],
        }
    ],
}


def new_secret() -> str:
    return "whsec_" + base64.b64encode(os.urandom(24)).decode()


def signed(
    secret: str, body: str, message_id: str = "msg_1", shift: int = 0, kind: str = JSON
) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(time.time()) + shift, UTC)
    return {
        "authorization": "",
        "content-type": kind,
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, moment, body),
    }


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path, secret_key=SECRET_KEY) as client:
        await warehouse(client)
        await systems(client, "wms")
        await client.put("/v1/items/A", {})
        yield client


async def put_secret(api: Any, secret: str, **more: Any) -> Any:
    return await api.put("/v1/systems/wms/secrets/webhook", {"secret": secret, **more})


async def post(api: Any, body: str, headers: dict[str, str]) -> Any:
    return await api.raw("POST", "/v1/webhooks/wms", body, **headers)


async def test_a_signed_message_goes_under_the_mapping(api):
    secret = new_secret()
    answer = await put_secret(api, secret)
    assert (answer.status_code, answer.json()) == (
        200, {"system": "wms", "name": "webhook", "active": 1}
    )  # fmt: skip
    made = await api.post("/v1/mappings", {"manifest": MAPPING, "status": "active"})
    assert made.status_code == 201, made.text
    body = json.dumps(fact("PO-7"))
    for status in ("received", "duplicate"):
        answer = await post(api, body, signed(secret, body))
        assert answer.status_code == 202, answer.text
        assert answer.json()["messages"][0]["status"] == status
    assert await settled(api.app.dsn) == {"applied": 1}
    assert await available(api.app.dsn, "A") == 5
    kept = "SELECT source_message_id || '|' || door FROM message"
    assert await scalar(api.app.dsn, kept) == "msg_1|webhook"


async def test_what_no_mapping_takes_waits(api):
    secret = new_secret()
    await put_secret(api, secret)
    answer = await post(api, '{"x": 1}', signed(secret, '{"x": 1}'))
    assert answer.status_code == 202, answer.text
    assert await settled(api.app.dsn) == {"parked": 1}
    key = "SELECT wait_key FROM parked"
    assert await scalar(api.app.dsn, key) == "mapping:wms:0"
    body = json.dumps(fact("PO-1"))
    await post(api, body, signed(secret, body, "msg_2"))
    await api.post("/v1/mappings", {"manifest": MAPPING, "status": "active"})
    for _ in range(400):
        if await settled(api.app.dsn) == {"applied": 1, "parked": 1}:
            break
        await asyncio.sleep(0.05)
    assert await available(api.app.dsn, "A") == 5
    # The other one waits on, for what is published next.
    assert await scalar(api.app.dsn, key) == "mapping:wms:1"


async def test_a_cloud_event_needs_no_mapping(api):
    secret = new_secret()
    await put_secret(api, secret)
    event = {"specversion": "1.0", "id": "1", "source": "elsewhere", "data": fact("PO-9")}
    body = json.dumps(event | {"type": "io.stockbridge.stock.received.v1"})
    headers = signed(secret, body, kind="application/cloudevents+json")
    answer = await post(api, body, headers)
    assert answer.status_code == 202, answer.text
    assert await settled(api.app.dsn) == {"applied": 1}
    assert await scalar(api.app.dsn, "SELECT system FROM message") == "wms"


async def test_nothing_unverified_is_kept(api):
    secret = new_secret()
    await put_secret(api, secret)
    body = json.dumps(fact("PO-1"))
    good = signed(secret, body)
    forged = {
        "signature_invalid": signed(new_secret(), body),
        "signature_missing": good | {"webhook-signature": ""},
        "timestamp_invalid": good | {"webhook-timestamp": "yesterday"},
        "timestamp_out_of_tolerance": signed(secret, body, shift=-301),
    }
    for code, headers in forged.items():
        answer = await post(api, body, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code), answer.text
    for changed in (good | {"webhook-id": "msg_2"}, good | {"webhook-signature": "v1,AAAA v2,x"}):
        assert (await post(api, body, changed)).status_code == 401
    assert (await post(api, body + " ", good)).status_code == 401
    answer = await api.raw("POST", "/v1/webhooks/nobody", body, **good)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    assert await scalar(api.app.dsn, "SELECT count(*) FROM message") == 0
    told = (
        "SELECT string_agg(subject, ',' ORDER BY subject) FROM audit WHERE act = 'webhook.refused'"
    )
    assert await scalar(api.app.dsn, told) == "system,system/wms"
    counted = (await api.http.get("/metrics")).text
    assert 'stockbridge_webhooks_refused_total{code="signature_invalid"} 5.0' in counted


async def test_secrets_rotate(api):
    old, new = new_secret(), new_secret()
    await put_secret(api, old)
    assert (await put_secret(api, new)).json()["active"] == 2
    for number, secret in enumerate((old, new)):
        headers = signed(secret, "{}", f"m{number}")
        assert (await post(api, "{}", headers)).status_code == 202
    both = signed(new_secret(), "{}", "m3")
    both["webhook-signature"] += " " + signed(new, "{}", "m3")["webhook-signature"]
    assert (await post(api, "{}", both)).status_code == 202
    assert (await put_secret(api, new, keep_previous_seconds=0)).json()["active"] == 1
    assert (await post(api, "{}", signed(old, "{}", "m4"))).status_code == 401


async def test_secrets_are_never_seen(api):
    secret = new_secret()
    await put_secret(api, secret)
    raw = "SELECT string_agg(s::text, '') FROM system_secret s"
    assert secret[6:20] not in await scalar(api.app.dsn, raw)
    trail = await scalar(api.app.dsn, "SELECT string_agg(a::text, '') FROM audit a")
    assert "secret.put" in trail
    assert secret[6:20] not in trail
    for bad in ("whsec_" + "!" * 40, "whsec_" + base64.b64encode(b"x" * 70).decode()):
        answer = await put_secret(api, bad)
        assert answer.status_code == 422
        assert bad not in answer.text
    answer = await api.put("/v1/systems/nobody/secrets/webhook", {"secret": secret})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_system")


async def test_without_a_secret_key(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await systems(api, "wms")
        answer = await put_secret(api, new_secret())
        assert (answer.status_code, answer.json()["code"]) == (409, "secret_key_missing")
        assert (await post(api, "{}", signed(new_secret(), "{}"))).status_code == 401


def test_a_box_opens_only_its_own():
    box = SecretBox(SECRET_KEY)
    stored = box.seal("hush", "wms", "webhook")
    assert box.unseal(stored, "wms", "webhook") == "hush"
    for other, system in ((SecretBox("o" * 32), "wms"), (box, "erp")):
        with pytest.raises(Misconfigured, match="another STOCKBRIDGE_SECRET_KEY"):
            other.unseal(stored, system, "webhook")
    with pytest.raises(Misconfigured, match="STOCKBRIDGE_SECRET_KEY"):
        SecretBox(None).seal("hush", "wms", "webhook")


def test_the_example_of_the_standard():
    key = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key is not None
    headers = {
        b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"webhook-timestamp": b"1614265330",
        b"webhook-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert fault(headers, b'{"test": 2432232314}', [key], 1614265330) is None
