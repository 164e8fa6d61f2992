"""Listings over HTTP, in a whole process."""

import re

import pytest

from stockbridge.store.database import connect
from tests.http_api import scalar, serving, warehouse
from tests.integration.listings_desk import until


@pytest.fixture
async def api(dsn, data_dir):
    async with serving(dsn, data_dir) as client:
        await warehouse(client)
        # A connector that takes figures, of a system that is not called: nothing leaves.
        async with await connect(dsn) as conn:
            await conn.execute(
                b"INSERT INTO system (code, kind, connector, operations)"
                b" VALUES ('PORTAL', 'portal', 'generic', '{publish}')"
            )
        body = {"sources": ["MAIN"], "system": "PORTAL"}
        assert (await client.put("/v1/channels/web", body)).status_code == 200
        for sku in ("A", "B"):
            aliases = [{"namespace": "PORTAL", "alias": f"portal-{sku}"}]
            await client.put(f"/v1/items/{sku}", {"aliases": aliases})
        yield client


async def test_items_are_listed_and_their_figures_follow_the_stock(api):
    put = await api.put("/v1/channels/web/listings", {"skus": ["A", "X"]})
    assert put.json() == {"channel": "web", "added": 1, "unlisted": ["X"]}
    lines = [{"sku": "A", "quantity": 6}]
    await api.post("/v1/counts", {"count": "1", "location": "MAIN", "lines": lines})

    async def wanted():
        items = (await api.get("/v1/listings?sku=A")).json()["items"]
        return [item["desired"] for item in items] == [6]

    await until(wanted)
    metrics = (await api.get("/metrics")).text
    assert re.search(r"stockbridge_listings_desired_changes_total [1-9]", metrics)
    explained = (await api.get("/v1/availability/A/explain?channel=web")).json()
    (told,) = explained["listings"]
    assert (told["system"], told["desired"], told["published"]) == ("PORTAL", 6, None)
    listing = (await api.get("/v1/listings?channel=web&state=dirty")).json()["items"][0]
    assert (await api.get(f"/v1/listings/{listing['id']}")).json() == listing


async def test_everything_the_system_has_a_name_for_is_listed_at_once(api):
    assert (await api.put("/v1/channels/web/listings", {"all": True})).json()["added"] == 2
    assert (await api.put("/v1/channels/web/listings", {"all": True})).json()["added"] == 0
    first = (await api.get("/v1/listings?limit=1")).json()
    second = (await api.get(f"/v1/listings?limit=1&cursor={first['next_cursor']}")).json()
    assert [row["sku"] for page in (first, second) for row in page["items"]] == ["A", "B"]
    assert second["next_cursor"] is None


async def test_acts_say_what_they_reached_and_are_audited(api, dsn):
    await api.put("/v1/channels/web/listings", {"all": True})
    ended = await api.post("/v1/listings/end", {"sku": "A", "to_zero": False})
    assert ended.json() == {"listings": 1, "more": False}
    listing = (await api.get("/v1/listings?sku=A")).json()["items"][0]
    assert listing["state"] == "suspended"
    for act in ("retry", "verify"):
        answer = await api.post(f"/v1/listings/{act}", {"system": "PORTAL", "state": "ok"})
        assert answer.json() == {"listings": 0, "more": False}
    acts = await scalar(dsn, "SELECT string_agg(act, ' ' ORDER BY audit_id) FROM audit"
                             " WHERE act LIKE 'listing.%'")  # fmt: skip
    assert acts == "listing.add listing.end listing.retry listing.verify"


async def test_a_stale_listing_is_a_question_with_an_answer(api, dsn):
    body = {"sources": ["MAIN"], "system": "PORTAL", "freshness_seconds_max": 1}
    await api.put("/v1/channels/web", body)
    await api.put("/v1/channels/web/listings", {"skus": ["B"]})

    async def stale():
        items = (await api.get("/v1/questions/stale-listings?system=PORTAL")).json()["items"]
        return [item["sku"] for item in items] == ["B"]

    await until(stale)


@pytest.mark.parametrize(
    "method,path,body,status,code",
    [
        ("PUT", "/v1/channels/none/listings", {"all": True}, 404, "unknown_channel"),
        ("PUT", "/v1/channels/web/listings", {}, 422, "invalid_request"),
        ("PUT", "/v1/channels/web/listings", {"all": True, "skus": ["A"]}, 422, "invalid_request"),
        ("PUT", "/v1/channels/shop/listings", {"all": True}, 409, "not_connected"),
        ("POST", "/v1/listings/retry", {}, 422, "invalid_request"),
        ("POST", "/v1/listings/verify", {"id": "x"}, 422, "invalid_request"),
        ("GET", "/v1/listings/12", None, 404, "unknown_listing"),
        ("GET", "/v1/listings/x", None, 404, "unknown_listing"),
        ("GET", "/v1/listings?state=odd", None, 422, "invalid_request"),
    ],
)
async def test_what_is_refused(api, method, path, body, status, code):
    await api.put("/v1/channels/shop", {"sources": ["MAIN"]})
    answer = await api.call(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_bound_key_sees_its_own_channels_listings(api):
    await api.put("/v1/channels/shop", {"sources": ["MAIN"]})
    await api.put("/v1/channels/web/listings", {"all": True})
    other = await api.key("ops:read", channel="shop")
    mine = await api.key("ops:read", channel="web")
    assert (await other.get("/v1/listings")).json()["items"] == []
    assert len((await mine.get("/v1/listings")).json()["items"]) == 2
    for bound in (other, mine):
        await bound.http.aclose()
