"""Systems with a connector, from the first PUT to live, against the portal's simulator."""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic
from typing import Any

import pytest

from stockbridge.connectors.generic.simulator import Simulator
from stockbridge.kernel.errors import Misconfigured
from tests.http_api import scalar, serving, warehouse

SECRET_KEY = "k" * 32


@pytest.fixture
def portal() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path, secret_key=SECRET_KEY) as client:
        await warehouse(client)
        await client.put("/v1/locations/LONDON", {})
        yield client


async def put(api: Any, portal: Simulator, code: str = "shop", **more: Any) -> Any:
    body = {"kind": "portal", "connector": "generic", "config": portal.config(), **more}
    return await api.put(f"/v1/systems/{code}", body)


async def put_secrets(api: Any, portal: Simulator, code: str = "shop") -> None:
    for name, secret in portal.secrets().items():
        answer = await api.put(f"/v1/systems/{code}/secrets/{name}", {"secret": secret})
        assert answer.status_code == 200, answer.text


async def ready(api: Any, portal: Simulator, **more: Any) -> None:
    """A sandbox that may be called, with all its secrets, and a channel bound to it."""
    answer = await put(api, portal, lifecycle="testing", environment="sandbox", **more)
    assert answer.status_code == 201, answer.text
    await put_secrets(api, portal)
    answer = await api.put("/v1/channels/portal", {"system": "shop", "sources": ["LONDON"]})
    assert answer.status_code == 201, answer.text


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait until something is so."""
    ends = monotonic() + seconds
    while not await is_so():
        assert monotonic() < ends, is_so
        await asyncio.sleep(0.05)


async def ended(api: Any, place: str) -> dict[str, Any]:
    """The job, once it has ended."""

    async def is_over() -> bool:
        return (await api.get(place)).json()["state"] != "running"

    await until(is_over)
    return (await api.get(place)).json()


async def test_what_is_put_is_shown_and_fits_its_connector(api, portal):
    answer = await put(api, portal)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["connector"], told["config"], told["environment"], told["lifecycle"]) == (
        "generic", portal.config(), "production", "draft"
    )  # fmt: skip
    operations = ["acknowledge_order", "confirm_shipment", "cancel_order", "confirm_return"]
    assert told["operations"] == [*operations, "publish"]
    some = await put(api, portal, operations=["publish"])
    assert some.json()["operations"] == ["publish"]
    assert (await api.get("/v1/systems/shop")).json() == some.json()
    assert [each["code"] for each in (await api.get("/v1/systems")).json()["items"]] == ["shop"]


@pytest.mark.parametrize(
    "change,code,fields",
    [
        ({"connector": "nobody"}, "unknown_connector", []),
        ({"connector": None}, "connector_missing", []),
        ({"config": {}}, "config_invalid", ["url", "channel"]),
        ({"config": {"url": "ftp://x", "channel": "c", "x": 1}}, "config_invalid", ["x", "url"]),
        ({"config": {"url": "http://u:p@x", "channel": "c"}}, "config_invalid", ["url"]),
        ({"operations": ["fly"]}, "config_invalid", ["operations"]),
    ],
)
async def test_a_wrong_configuration_is_refused_naming_each_field(
    api, portal, change, code, fields
):
    answer = await put(api, portal, **change)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, code), told
    assert [error["field"] for error in told.get("errors", [])] == fields
    assert (await api.get("/v1/systems/shop")).status_code == 404


async def test_secrets_are_those_that_the_connector_names(api, portal):
    await put(api, portal)
    answer = await api.put("/v1/systems/shop/secrets/poll", {"secret": "x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_secret")
    await put_secrets(api, portal)
    stored = "SELECT string_agg(encode(ciphertext, 'escape'), '') FROM system_secret"
    kept = await scalar(api.app.dsn, stored)
    assert not any(secret in kept for secret in portal.secrets().values())


async def checks(api: Any) -> tuple[bool, dict[str, Any]]:
    answer = await api.post("/v1/systems/shop/test", {})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return told["is_good"], {each["name"]: each for each in told["checks"] if not each["is_good"]}


async def test_each_thing_that_is_wrong_is_named_with_its_fix(api, portal):
    config = portal.config() | {"locations": {"NOWHERE": "counter-9"}}
    await put(api, portal, config=config)
    is_good, wrong = await checks(api)
    assert not is_good
    names = {"secret signing", "secret webhook", "secret token", "channel", "locations"}
    assert set(wrong) == {*names, "connection"}
    assert all(each["fix"] for each in wrong.values())
    assert wrong["secret token"]["fix"] == "stockbridge systems secret shop token"
    assert wrong["locations"]["detail"] == "NOWHERE: no location of ours"
    await put_secrets(api, portal)
    await put(api, portal)
    await api.put("/v1/channels/portal", {"system": "shop", "sources": ["LONDON"]})
    assert await checks(api) == (True, {})
    portal.rotate()
    is_good, wrong = await checks(api)
    assert (is_good, set(wrong)) == (False, {"connection"})
    await put_secrets(api, portal)
    assert await checks(api) == (True, {})
    for missing, status in (("none", 404), ("wms", 409)):
        await api.put("/v1/systems/wms", {"kind": "wms"})
        assert (await api.post(f"/v1/systems/{missing}/test", {})).status_code == status


async def test_only_a_good_and_fresh_test_certifies(api, portal):
    async def step(name: str) -> tuple[int, str]:
        answer = await api.post(f"/v1/systems/shop/{name}", {})
        told = answer.json()
        return answer.status_code, told.get("lifecycle") or told["code"]

    await put(api, portal)
    await put_secrets(api, portal)
    await api.put("/v1/channels/portal", {"system": "shop", "sources": ["LONDON"]})
    assert await step("certify") == (409, "test_needed")
    assert (await checks(api))[0]
    await put(api, portal, config=portal.config() | {"locations": {}})
    assert await step("certify") == (409, "test_needed")
    assert (await checks(api))[0]
    assert await step("certify") == (200, "certified")
    assert await step("activate") == (200, "live")
    assert await step("suspend") == (200, "suspended")
    with pytest.raises(Misconfigured, match="suspended in production"):
        await api.app.partners.connector("shop")
    assert await step("activate") == (409, "lifecycle_step_not_allowed")
    assert await step("resume") == (200, "live")
    assert await api.app.partners.connector("shop")
    assert await step("retire") == (200, "retired")
    acts = [
        each["act"] for each in (await api.get("/v1/audit?subject=system/shop")).json()["items"]
    ]
    assert acts[:5] == [
        "system.retire", "system.resume", "system.suspend", "system.activate", "system.certify",
    ]  # fmt: skip
    assert "system.test" in acts


async def test_an_old_test_does_not_certify(api, portal):
    await ready(api, portal)
    assert (await checks(api))[0]
    await scalar(
        api.app.dsn,
        "UPDATE system_test SET tested_at = now() - interval '61 minutes' RETURNING system",
    )
    answer = await api.post("/v1/systems/shop/certify", {})
    assert "60 minutes ago" in answer.json()["detail"]


async def test_a_connection_is_opened_once_and_anew_when_something_changed(api, portal):
    await ready(api, portal)
    partners = api.app.partners
    first, same = await asyncio.gather(*(partners.connector("shop") for _ in range(2)))
    assert first is same
    await put(api, portal, name="another name", lifecycle="testing", environment="sandbox")
    assert await partners.connector("shop") is first
    portal.rotate()
    await put_secrets(api, portal)
    second = await partners.connector("shop")
    assert second is not first
    assert all(check.is_good for check in await second.test())
    for code in ("none", "wms"):
        with pytest.raises(Misconfigured, match=code):
            await partners.connector(code)


async def test_another_process_sees_a_rotated_secret_within_seconds(api, portal):
    await ready(api, portal)
    first = await api.app.partners.connector("shop")
    portal.rotate()
    box = api.app.hub.webhooks.box
    secret = portal.secrets()["token"]
    sealed = box.seal(secret, "shop", "token").hex()
    await scalar(
        api.app.dsn,
        "INSERT INTO system_secret (system, name, ciphertext)"
        f" VALUES ('shop', 'token', '\\x{sealed}') RETURNING secret_id",
    )

    async def is_new() -> bool:
        return await api.app.partners.connector("shop") is not first

    await until(is_new)


async def test_secrets_under_another_key_are_told_by_the_test(api, portal, dsn, tmp_path):
    await ready(api, portal)
    sealed = os.urandom(60).hex()
    await scalar(
        dsn,
        "INSERT INTO system_secret (system, name, ciphertext)"
        f" VALUES ('shop', 'token', '\\x{sealed}') RETURNING secret_id",
    )
    is_good, wrong = await checks(api)
    assert (is_good, set(wrong)) == (False, {"secret key", "connection"})
    assert base64.b64encode(SECRET_KEY.encode()).decode() not in str(wrong)


async def test_what_a_partner_lists_becomes_aliases(api, portal):
    await ready(api, portal)
    for number in range(3):
        portal.list_item(f"SKU-{number}", 5)
        await api.put(f"/v1/items/SKU-{number}", {})
    portal.list_item("STRANGER", 5)
    portal.page_max = 2
    await api.put("/v1/items/OTHER", {"aliases": [{"namespace": "shop", "alias": "SKU-2"}]})
    answer = await api.post("/v1/systems/shop/discover", {"channel": "portal"})
    assert answer.status_code == 202, answer.text
    place = answer.headers["location"]
    job = await ended(api, place)
    assert (job["state"], job["rows_good"], job["rows_bad"]) == ("done", 2, 2)
    errors = (await api.get(f"{place}/errors")).json()["items"]
    assert [each["row_number"] for each in errors] == [3, 4]
    assert "is item 'OTHER'" in errors[0]["reason"]
    assert "no item of ours has SKU 'STRANGER'" in errors[1]["reason"]
    found = "SELECT string_agg(alias, ',' ORDER BY alias) FROM item_alias WHERE namespace = 'shop'"
    assert await scalar(api.app.dsn, found) == "SKU-0,SKU-1,SKU-2"
    listed = "SELECT string_agg(item, ',' ORDER BY item) FROM listing WHERE system = 'shop'"
    assert await scalar(api.app.dsn, listed) == "SKU-0,SKU-1"


async def test_what_is_found_is_listed_only_on_a_channel_of_the_system(api, portal):
    await ready(api, portal)
    portal.list_item("A", 5)
    await api.put("/v1/items/A", {})
    answer = await api.post("/v1/systems/shop/discover", {"channel": "web"})
    job = await ended(api, answer.headers["location"])
    assert job["state"] == "failed"
    assert "web" in job["detail"]


async def test_a_discovery_that_fails_says_so(api, portal):
    await ready(api, portal)
    portal.fault("fail_before", "catalog", times=100)
    place = (await api.post("/v1/systems/shop/discover", {})).headers["location"]
    job = await ended(api, place)
    assert job["state"] == "failed"
    assert job["detail"]
    await api.put("/v1/systems/wms", {"kind": "wms"})
    answer = await api.post("/v1/systems/wms/discover", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "system_not_callable")
