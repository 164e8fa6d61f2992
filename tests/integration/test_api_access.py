"""Who may call what: keys, scopes, bindings, rates, and their end."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from stockbridge.governance import keys
from stockbridge.governance.bucket import Bucket
from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import connect
from tests.http_api import Client, scalar, serving, warehouse

NEVER = "sb_live_000000000000_" + "x" * 43


async def test_calls_without_a_usable_key_are_refused_and_told_how(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        for header, code in (
            ("", "key_missing"),
            ("Basic YTpi", "key_missing"),
            ("Bearer", "key_missing"),
            (f"Bearer {NEVER}", "key_invalid"),
            ("Bearer nonsense \x80\xff", "key_invalid"),
            (f"Bearer {api.token[:-1]}", "key_invalid"),
            (f"Bearer {api.token}x", "key_invalid"),
        ):
            answer = await api.http.get(
                "/v1/items", headers={b"authorization": header.encode("latin-1")}
            )
            assert answer.status_code == 401, header
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] in {code, "key_invalid"}, header
        lower = await api.get("/v1/items", authorization=f"bearer {api.token}")
        assert lower.status_code == 200


async def test_the_token_is_kept_nowhere(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        secret = api.token.split("_", 3)[3]
        assert len(secret) == 43
        assert len(await scalar(dsn, "SELECT secret_hash FROM api_key")) == 32
        dump = await scalar(dsn, "SELECT string_agg(k::text, '') FROM api_key k")
        dump += await scalar(dsn, "SELECT string_agg(a::text, '') FROM audit a")
        assert secret not in dump


SCOPES = [
    ("availability:read", "GET", "/v1/availability/A?channel=web", 404),
    ("availability:read", "GET", "/v1/items", 403),
    ("availability:read", "PUT", "/v1/items/A", 403),
    ("ops:read", "GET", "/v1/items", 200),
    ("ops:read", "GET", "/v1/exceptions", 200),
    ("ops:read", "GET", "/v1/keys", 403),
    ("ops:read", "POST", "/v1/keys", 403),
    ("ops:read", "POST", "/v1/exceptions/1/assign", 403),
    ("ops:write", "POST", "/v1/exceptions/1/assign", 422),
    ("master:write", "PUT", "/v1/items/A", 201),
    ("master:write", "POST", "/v1/adjustments", 403),
    ("adjustments:write", "POST", "/v1/adjustments", 422),
    ("events:write", "POST", "/v1/receipts", 422),
    ("events:write", "POST", "/v1/shipments", 403),
    ("reservations:write", "POST", "/v1/reservations", 422),
    ("admin", "GET", "/v1/keys", 200),
    ("admin", "PUT", "/v1/items/B", 201),
]


async def test_each_scope_opens_its_own_calls_and_no_others(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        holders = {scope: await api.key(scope) for scope in {row[0] for row in SCOPES}}
        for scope, method, path, status in SCOPES:
            body: object = None if method == "GET" else {}
            answer = await holders[scope].call(method, path, body)
            assert answer.status_code == status, (scope, method, path, answer.text)
            if status == 403:
                assert answer.json()["code"] == "scope_missing"
        for holder in holders.values():
            await holder.http.aclose()


async def test_a_key_bound_to_a_channel_sees_and_touches_only_its_own(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.put("/v1/channels/other", {"sources": ["MAIN"]})
        await api.stock("A", MAIN=10)
        lines = [{"sku": "A", "quantity": 1}]
        foreign = await api.post(
            "/v1/reservations", {"channel": "other", "reference": "o", "lines": lines}
        )
        foreign_path = f"/v1/reservations/{foreign.json()['id']}"
        own = await api.key(
            "availability:read", "reservations:write", "ops:read", "events:write", channel="web"
        )
        made = await own.post(
            "/v1/reservations", {"channel": "web", "reference": "w", "lines": lines}
        )
        assert made.status_code == 201
        for method, path, body, status in (
            ("GET", "/v1/availability/A?channel=web", None, 200),
            ("GET", "/v1/availability/A?channel=other", None, 403),
            ("POST", "/v1/availability/query", {"channel": "other", "skus": ["A"]}, 403),
            ("GET", "/v1/availability/A/explain?channel=other", None, 403),
            ("GET", "/v1/availability/stream?channel=other", None, 403),
            ("POST", "/v1/reservations",
             {"channel": "other", "reference": "x", "lines": lines}, 403),
            ("GET", foreign_path, None, 403),
            ("PATCH", foreign_path, {"ttl_seconds": 60}, 403),
            ("POST", f"{foreign_path}/confirm", None, 403),
            ("POST", f"{foreign_path}/release", None, 403),
            ("GET", "/v1/channels/web", None, 200),
            ("GET", "/v1/channels/other", None, 403),
            ("GET", "/v1/exceptions", None, 403),
            ("GET", "/v1/movements", None, 403),
            ("POST", "/v1/counts", {"count": "1", "location": "MAIN", "lines": lines}, 403),
        ):  # fmt: skip
            answer = await own.call(method, path, body)
            assert answer.status_code == status, (method, path, answer.text)
        listed = (await own.get("/v1/reservations")).json()["items"]
        assert [row["reference"] for row in listed] == ["w"]
        assert [row["code"] for row in (await own.get("/v1/channels")).json()["items"]] == ["web"]
        await own.http.aclose()


async def test_a_key_bound_to_a_system_reports_only_its_locations(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await api.put("/v1/systems/wms1", {"kind": "wms"})
        await api.put("/v1/locations/MINE", {"authority": "wms1"})
        await api.put("/v1/locations/THEIRS", {})
        await api.put("/v1/items/A", {})
        wms = await api.key("events:write", system="wms1")
        lines = [{"sku": "A", "quantity": 1}]
        for location, status in (("MINE", 201), ("THEIRS", 403)):
            body = {"count": "1", "location": location, "lines": lines}
            answer = await wms.post("/v1/counts", body)
            assert answer.status_code == status, answer.text
        for stage, number, status in (("shipped", "T1", 201), ("received", "T2", 403)):
            transfer = {"transfer": number, "from_location": "MINE", "to_location": "THEIRS"}
            answer = await wms.post("/v1/transfers", transfer | {"stage": stage, "lines": lines})
            assert answer.status_code == status, (stage, answer.text)
        await wms.http.aclose()


async def test_a_binding_must_exist(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        for bound in ({"channel": "none"}, {"system": "none"}):
            body = {"name": "x", "scopes": ["ops:read"], **bound}
            answer = await api.post("/v1/keys", body)
            assert answer.status_code == 422
            assert answer.json()["code"].startswith("unknown_")
        answer = await api.post("/v1/keys", {"name": "x", "scopes": ["everything"]})
        assert answer.json()["code"] == "unknown_scope"
        assert await scalar(dsn, "SELECT count(*) FROM api_key") == 1


async def test_revocation_is_effective_at_once_in_every_process(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        holder = await api.key("ops:read")
        key_id = holder.token.split("_")[2]
        assert (await holder.get("/v1/items")).status_code == 200
        # Another process, as `stockbridge keys revoke` is one.
        async with await connect(dsn) as conn:
            assert await keys.revoke(conn, key_id, actor="cli") is None
        await asyncio.sleep(0.2)
        assert (await holder.get("/v1/items")).json()["code"] == "key_invalid"
        assert (await api.post(f"/v1/keys/{key_id}/revoke")).status_code == 200
        assert (await api.post("/v1/keys/none/revoke")).status_code == 404
        acts = [row["act"] for row in (await api.get("/v1/audit")).json()["items"]]
        assert acts.count("key.revoke") == 2
        await holder.http.aclose()


async def test_a_revoked_key_stays_out_while_the_listener_is_cut_off(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        holder = await api.key("ops:read")
        key_id = holder.token.split("_")[2]
        async with await connect(dsn) as conn:
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'stockbridge keys'"
            )
            await conn.execute(cut.encode())
            await conn.execute(b"UPDATE api_key SET revoked_at = now() WHERE key_id = %s", [key_id])
        deadline = time.monotonic() + 60
        while (await holder.get("/v1/items")).status_code == 200:
            assert time.monotonic() < deadline
        assert (await api.get("/v1/items")).status_code == 200
        await holder.http.aclose()


async def test_an_expired_key_is_refused(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        ends_at = datetime.now(UTC) + timedelta(seconds=2)
        holder = await api.key("ops:read", expires_at=ends_at.isoformat())
        for _ in range(600):
            if (await holder.get("/v1/items")).status_code == 401:
                break
            await asyncio.sleep(0.1)
        assert datetime.now(UTC) >= ends_at
        assert (await holder.get("/v1/items")).status_code == 401
        await holder.http.aclose()


async def test_a_key_over_its_rate_waits(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        holder: Client = await api.key("ops:read", requests_per_minute=3)
        answers = [await holder.get("/v1/items") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit"].startswith('"key";r=2;')
        assert answers[0].headers["ratelimit-policy"] == '"key";q=3;w=60'
        assert 1 <= int(answers[3].headers["retry-after"]) <= 20
        assert answers[3].json()["code"] == "rate_limited"
        assert (await api.get("/v1/items")).status_code == 200
        await holder.http.aclose()


BUCKET = [
    # per minute, times of requests, seconds to wait at the last
    (60, [0.0], 0.0),
    (1, [0.0, 0.0], 60.0),
    (1, [0.0, 30.0], 30.0),
    (1, [0.0, 60.0], 0.0),
    (60, [0.0] * 61, 1.0),
    (60, [0.0] * 60 + [1.0], 0.0),
]


@pytest.mark.parametrize("per_minute,moments,wait", BUCKET)
def test_bucket(per_minute, moments, wait):
    bucket = Bucket(per_minute, 0.0)
    waits = [bucket.take(moment) for moment in moments]
    assert waits[-1] == pytest.approx(wait)
    assert not any(waits[:-1])


def test_a_key_needs_known_scopes():
    with pytest.raises(Misconfigured, match="unknown scope nothing"):
        keys.check(["ops:read", "nothing"])
    with pytest.raises(Misconfigured, match="needs a scope"):
        keys.check([])
