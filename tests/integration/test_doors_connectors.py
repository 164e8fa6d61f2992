"""Webhooks and feeds of systems with a connector, against the portal's simulator."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import msgspec
import pytest

from stockbridge.connectors.generic.simulator import Simulator
from stockbridge.connectors.kit.registry import Registry
from stockbridge.contracts.partners.manifest import LimitRule, Manifest, TokenBucket, Webhook
from stockbridge.contracts.partners.model import (
    Incoming,
    Opened,
    Page,
    Received,
    WebhookRequest,
)
from stockbridge.ingress.polling_connector import pages, sync_feeds
from stockbridge.kernel.errors import Retry
from tests.doors import balance, settled
from tests.http_api import scalar, serving, warehouse

FEED = "/v1/systems/shop/feeds/orders"


@pytest.fixture
def portal() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
async def api(dsn, tmp_path, portal):
    async with serving(dsn, tmp_path, secret_key="k" * 32) as client:
        await warehouse(client)
        await client.put("/v1/locations/LONDON", {})
        await client.put("/v1/items/A", {})
        answer = await put_system(client, portal, lifecycle="testing", environment="sandbox")
        assert answer.status_code == 201, answer.text
        # Polls are what each test asks for.
        assert (await client.put(FEED, {"paused": True})).status_code == 200
        await put_secrets(client, portal)
        yield client


async def put_system(api: Any, portal: Simulator, **more: Any) -> Any:
    body = {"kind": "portal", "connector": "generic", "config": portal.config(), **more}
    return await api.put("/v1/systems/shop", body)


async def put_secrets(api: Any, portal: Simulator, keep_seconds: int = 3_600) -> None:
    for name, secret in portal.secrets().items():
        body = {"secret": secret, "keep_previous_seconds": keep_seconds}
        answer = await api.put(f"/v1/systems/shop/secrets/{name}", body)
        assert answer.status_code == 200, answer.text


async def call(api: Any, request: WebhookRequest) -> Any:
    headers = {"authorization": "", "content-type": "application/json", **request.headers}
    return await api.http.request(
        "POST", "/v1/webhooks/shop", content=request.body, headers=headers
    )


async def poll(api: Any) -> dict[str, Any]:
    """Have the feed read to its end, and how it stands then."""
    before = (await api.get(FEED)).json()["polled_at"]
    await api.put(FEED, {"paused": False})
    assert (await api.post(f"{FEED}/poll", {})).status_code == 202
    async with asyncio.timeout(60):
        while (told := (await api.get(FEED)).json())["polled_at"] == before:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await api.put(FEED, {"paused": True})
    return told


async def missed(api: Any) -> list[str]:
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.get(f"{FEED}/missed?limit=7{cursor and f'&cursor={cursor}'}")).json()
        items += page["items"]
        cursor = page["next_cursor"]
    assert all(datetime.fromisoformat(each["poll"]) for each in items)
    return sorted(each["source_message_id"] for each in items)


def named(requests: Sequence[WebhookRequest]) -> list[str]:
    return sorted(request.headers["webhook-id"] for request in requests)


async def test_a_webhook_is_kept_read_and_booked(api, portal):
    portal.give_back("P-1", {"A": 3})
    (request,) = portal.webhooks()
    answer = await call(api, request)
    assert answer.status_code == 202, answer.text
    assert await settled(api.app.dsn) == {"applied": 1}
    assert await balance(api.app.dsn, "A", "LONDON") == {"quarantined": 3}
    message = (await api.get(f"/v1/messages/{answer.json()['messages'][0]['message']}")).json()
    assert message["contract"] == "connector:shop:return_received.v1"
    assert message["source_message_id"] == request.headers["webhook-id"]
    again = (await call(api, request)).json()
    assert [each["status"] for each in again["messages"]] == ["duplicate"]


async def test_what_is_not_signed_is_refused_counted_and_audited(api, portal):
    portal.give_back("P-1", {"A": 3})
    (request,) = portal.webhooks()
    for wrong in (
        request._replace(body=request.body + b" "),
        request._replace(headers={}),
        request._replace(headers={**request.headers, "webhook-signature": "v1,AAAA"}),
    ):
        answer = await call(api, wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    assert await scalar(api.app.dsn, "SELECT count(*) FROM message") == 0
    metrics = (await api.get("/metrics")).text
    assert 'stockbridge_webhooks_refused_total{code="signature_invalid"} 3.0' in metrics
    acts = (await api.get("/v1/audit?subject=system/shop")).json()["items"]
    assert "webhook.refused" in [each["act"] for each in acts]
    too_large = await call(api, request._replace(body=b" " * (1024 * 1024 + 1)))
    assert too_large.status_code == 413


async def test_the_old_secret_counts_until_its_time_is_over(api, portal):
    portal.give_back("P-1", {"A": 1})
    (old,) = portal.webhooks()
    portal.rotate()
    await put_secrets(api, portal)
    portal.give_back("P-2", {"A": 1})
    (new,) = portal.webhooks()
    assert [(await call(api, each)).status_code for each in (old, new)] == [202, 202]
    portal.give_back("P-3", {"A": 1})
    (late,) = portal.webhooks()
    portal.rotate()
    await put_secrets(api, portal, keep_seconds=0)
    assert (await call(api, late)).status_code == 401


async def test_a_draft_is_not_listened_to(api, portal):
    portal.give_back("P-1", {"A": 3})
    (request,) = portal.webhooks()
    await put_system(api, portal, lifecycle="draft")
    answer = await call(api, request)
    assert (answer.status_code, answer.json()["code"]) == (403, "system_not_listened_to")
    await put_system(api, portal, lifecycle="testing")
    assert (await call(api, request)).status_code == 202


async def test_polling_finds_exactly_what_was_lost(api, portal):
    portal.page_max = 4
    heard, lost = [], []
    for number in range(30):
        portal.give_back(f"P-{number}", {"A": 1})
        (request,) = portal.webhooks()
        if number % 3 == 0:
            lost.append(request)
        else:
            assert (await call(api, request)).status_code == 202
            heard.append(request)
    assert await api.app.partners.orders_heard_at("shop") is None
    told = await poll(api)
    assert (told["items_read"], told["items_missed"], told["detail"]) == (30, 10, "")
    assert await missed(api) == named(lost)
    assert await settled(api.app.dsn) == {"applied": 30}
    assert await balance(api.app.dsn, "A", "LONDON") == {"quarantined": 30}
    heard_at = await api.app.partners.orders_heard_at("shop")
    assert heard_at == datetime.fromisoformat(told["began_at"])
    # What was lost comes after all, and the overlap is read again: nothing is new.
    for request in lost:
        answer = (await call(api, request)).json()
        assert [each["status"] for each in answer["messages"]] == ["duplicate"]
    told = await poll(api)
    assert (told["items_missed"], await missed(api)) == (10, named(lost))
    assert await scalar(api.app.dsn, "SELECT count(*) FROM exception") == 0
    feeds = (await api.get("/v1/systems/shop/feeds")).json()["items"]
    assert [(each["feed"], each["items_missed"], each["source"]) for each in feeds] == [
        ("orders", 10, None)
    ]
    assert feeds[0]["connector"]["overlap_seconds"] == 600


async def test_sales_are_not_heard_before_their_messages_are_applied(api, portal):
    told = await poll(api)
    first = datetime.fromisoformat(told["began_at"])
    assert await api.app.partners.orders_heard_at("shop") == first
    portal.give_back("P-1", {"B": 1})
    told = await poll(api)
    assert await settled(api.app.dsn) == {"parked": 1}
    assert await api.app.partners.orders_heard_at("shop") == first
    await api.put("/v1/items/B", {})
    async with asyncio.timeout(60):
        while await settled(api.app.dsn) != {"applied": 1}:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    second = datetime.fromisoformat(told["began_at"])
    assert await api.app.partners.orders_heard_at("shop") == second


async def test_a_feed_that_lags_has_not_heard_what_happened_right_before(api, portal):
    """A partner that leaves out its newest orders: a sale of that time must not count as heard."""
    manifest = Registry().manifest("generic")
    lagging = [msgspec.structs.replace(feed, lag_seconds=120) for feed in manifest.feeds]
    await sync_feeds(api.app.pool, "shop", msgspec.structs.replace(manifest, feeds=lagging))
    told = await poll(api)
    heard_at = datetime.fromisoformat(told["began_at"]) - timedelta(seconds=120)
    assert await api.app.partners.orders_heard_at("shop") == heard_at


async def test_a_poll_that_fails_moves_nothing_and_says_why(api, portal):
    portal.give_back("P-1", {"A": 1})
    portal.fault("fail_before", "orders", times=100)
    told = await poll(api)
    assert (told["failures"], told["mark"], told["began_at"]) == (1, None, None)
    assert told["detail"]
    portal.heal()
    told = await poll(api)
    assert (told["failures"], told["items_missed"]) == (0, 1)


async def test_an_owner_is_told_of_a_feed_that_keeps_failing(api, portal):
    async def cases() -> list[tuple[str, str, bool]]:
        found = (await api.get("/v1/exceptions?kind=feed_failing")).json()["items"]
        return [(c["subject"], c["owner_team"], c["resolved_at"] is None) for c in found]

    portal.fault("fail_before", "orders", times=1_000)
    await scalar(api.app.dsn, "UPDATE poll_feed SET failures = 3 RETURNING feed")
    assert (await poll(api))["failures"] == 4
    assert await cases() == []
    assert (await poll(api))["failures"] == 5
    assert await cases() == [("shop/orders", "operations", True)]
    portal.heal()
    assert (await poll(api))["failures"] == 0
    assert await cases() == [("shop/orders", "operations", False)]


async def test_a_suspended_system_is_not_polled(api, portal):
    await put_system(api, portal, lifecycle="draft")
    await api.put(FEED, {"paused": False})
    await api.post(f"{FEED}/poll", {})
    assert await api.app.poller.run_due() == 0
    await put_system(api, portal, lifecycle="testing", environment="sandbox")
    told = await poll(api)
    assert told["failures"] == 0


async def test_feeds_follow_the_connector(api, portal):
    answer = await api.put(FEED, {"source": {"url": "http://127.0.0.1:1/x"}})
    assert (answer.status_code, answer.json()["code"]) == (409, "feed_of_connector")
    answer = await api.put("/v1/systems/shop/feeds/other", {"paused": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "source_missing")
    await api.put("/v1/systems/shop", {"kind": "portal"})
    assert (await api.get("/v1/systems/shop/feeds")).json()["items"] == []
    await put_system(api, portal)
    feeds = (await api.get("/v1/systems/shop/feeds")).json()["items"]
    assert [each["feed"] for each in feeds] == ["orders"]


class Hooked:
    """A connector whose partner asks before it calls, and only says that something happened."""

    def __init__(self, manifest: Manifest, opened: Opened) -> None:
        self.manifest = manifest
        self.opened = opened

    async def close(self) -> None:
        """Nothing is held."""

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        assert request.path == "/v1/webhooks/shop"
        if request.method == "GET":
            return Received(answer=request.query.removeprefix("challenge=").encode())
        if request.body.decode() not in secrets:
            return None
        if request.query:
            long = Incoming("i" * 600, "t", b"{}")
            return Received([Incoming("1", "t", b"{}"), long], answer=b"ok")
        return Received(feeds=["orders"])


class HookedOnes:
    """The only connector there is."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def names(self) -> Sequence[str]:
        return ["generic"]

    def manifest(self, _name: str) -> Manifest:
        return self._manifest

    def open(self, _name: str, opened: Opened) -> Hooked:
        return Hooked(self._manifest, opened)


@pytest.fixture
def hooked(api: Any) -> Manifest:
    known: Manifest = api.app.partners.connectors.manifest("generic")
    manifest = msgspec.structs.replace(known, webhook=Webhook(secret="webhook"))
    api.app.partners.connectors = HookedOnes(manifest)
    api.app.partners.forget("shop")
    return manifest


@pytest.mark.usefixtures("hooked")
async def test_a_partner_may_ask_first_and_only_name_feeds(api, portal):
    async def send(method: str, query: str, body: str) -> Any:
        path = f"/v1/webhooks/shop{query}"
        headers = {"authorization": "", "content-type": "application/x-odd; v=1"}
        return await api.http.request(method, path, content=body, headers=headers)

    answer = await send("GET", "?challenge=abc%20d", "")
    assert (answer.status_code, answer.text) == (200, "abc%20d")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    secret = portal.secrets()["webhook"]
    before = (await api.get(FEED)).json()["due_at"]
    answer = await send("POST", "", secret)
    assert (answer.status_code, answer.json()) == (202, {"kept": 0, "messages": []})
    assert (await api.get(FEED)).json()["due_at"] != before
    answer = await send("POST", "?x=1", secret)
    assert (answer.status_code, answer.text) == (200, "ok")
    assert await scalar(api.app.dsn, "SELECT count(*) FROM message") == 1
    assert (await send("POST", "", "wrong")).status_code == 401
    for system, method, status in (("wms", "GET", 405), ("none", "GET", 405), ("wms", "POST", 415)):
        await api.put("/v1/systems/wms", {"kind": "wms"})
        headers = {"content-type": "application/x-odd"}
        answer = await api.http.request(method, f"/v1/webhooks/{system}", headers=headers)
        assert answer.status_code == status, answer.text


async def test_pages_that_never_end_are_given_up():
    class Endless:
        async def poll(self, *_: Any) -> Page:
            return Page([], "1")

    with pytest.raises(Retry, match="do not end"):
        async for _ in pages(Endless(), "orders", None, nullcontext):  # type: ignore[arg-type]
            pass


async def test_pages_are_read_within_the_limits(api, portal):
    portal.page_max = 1
    for number in range(5):
        portal.give_back(f"P-{number}", {"A": 1})
    connector = await api.app.partners.connector("shop")
    bucket = TokenBucket(burst=2, per_second=10)
    connector.manifest = msgspec.structs.replace(
        connector.manifest, limits=[LimitRule(operations=["orders"], limit=bucket)]
    )
    before = monotonic()
    told = await poll(api)
    assert told["items_missed"] == 5
    assert monotonic() - before > 0.25
    slow = [LimitRule(operations=["orders"], limit=TokenBucket(burst=1, per_second=0.0001))]
    connector.manifest = msgspec.structs.replace(connector.manifest, limits=slow)
    await scalar(api.app.dsn, "DELETE FROM throttle RETURNING system")
    told = await poll(api)
    assert "no orders may go" in told["detail"]
