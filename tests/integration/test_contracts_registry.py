"""The registry: published over HTTP, kept in every process's memory, audited."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from stockbridge.cli.root import cli
from stockbridge.connectors.mapped import folders
from stockbridge.contracts.events import EVENT_TYPES
from stockbridge.governance import contracts
from stockbridge.governance.live_catalog import LiveCatalog, read_catalog
from stockbridge.store.database import connect
from tests.http_api import scalar, serving

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
NAME = "com.example.parcel.left"
PARCEL = {"name": NAME, "version": 1, "owner_team": "logistics", "schema": SCHEMA}
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
SHIPPED = "io.stockbridge.stock.shipped"


async def publish(api, **more):
    return await api.post("/v1/contracts", PARCEL | more)


async def test_built_in_contracts_are_there_from_the_start(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        page = (await api.get("/v1/contracts?limit=1000")).json()
        active = {f"{row['name']}.v{row['version']}" for row in page["items"]}
        assert active == {event.contract for event in EVENT_TYPES}
        one = (await api.get(f"/v1/contracts/{SHIPPED}/1")).json()
        assert (one["status"], one["direction"]) == ("active", "reported")
        schema = await api.http.get(f"/schemas/{SHIPPED}/1.json")
        assert schema.headers["content-type"] == "application/schema+json"
        assert schema.json() == one["schema"]
        assert schema.json()["$id"] == f"/schemas/{SHIPPED}/1.json"


async def test_syncing_again_changes_nothing_and_repairs_what_differs(dsn):
    async with await connect(dsn) as conn:
        assert len(await contracts.sync_builtin(conn)) == len(EVENT_TYPES)
        assert await contracts.sync_builtin(conn) == []
        await conn.execute("UPDATE message_contract SET description = '', status = 'deprecated' "
                           "WHERE name = 'io.stockbridge.stock.shipped'")  # fmt: skip
        assert await contracts.sync_builtin(conn) == [SHIPPED]
        row = await contracts.find(conn, SHIPPED, 1)
        assert row is not None
        assert row.status == "deprecated"


# (what is published after version 1, status, code)
PUBLISHED: list[Any] = [
    ({}, 201, None),
    ({"schema": SCHEMA | {"required": []}}, 201, None),
    ({"schema": SCHEMA | {"required": ["a", "b"]}}, 409, "breaking_change"),
    ({"schema": SCHEMA | {"required": ["a", "b"]}, "version": 2}, 201, None),
    ({"version": 3}, 409, "version_skipped"),
    ({"version": 0}, 422, "invalid_request"),
    ({"status": "draft"}, 409, "contract_closed"),
    ({"schema": {"type": "text"}}, 422, "schema_invalid"),
    ({"schema": {"$ref": "https://example.com/"}}, 422, "schema_invalid"),
    ({"name": "io.stockbridge.stock.stolen"}, 422, "contract_reserved"),
    ({"name": "mapping:acme:x"}, 422, "contract_name_invalid"),
    ({"name": "nodots"}, 422, "contract_name_invalid"),
    ({"status": "retired"}, 422, "invalid_request"),
]


async def test_what_is_published_stays_true(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        for more, status, code in PUBLISHED:
            assert (await publish(api)).status_code == 201
            answer = await publish(api, **more)
            assert answer.status_code == status, (more, answer.text)
            assert answer.json().get("code") == code
            await scalar(dsn, "DELETE FROM message_contract WHERE name LIKE 'com.%' RETURNING 1")
        assert (await publish(api)).json()["schema"] == SCHEMA
        broken = await publish(api, schema=SCHEMA | {"properties": {}})
        (error,) = broken.json()["errors"]
        assert (error["pointer"], error["code"]) == ("/properties/a", "property_removed")
        assert "publish it as version 2" in broken.json()["detail"]


async def test_a_contract_lives_from_draft_to_retired(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        at = f"/v1/contracts/{NAME}/1"
        assert (await publish(api, status="draft")).json()["published_at"] is None
        changed = await publish(api, status="draft", schema={"type": "array"})
        assert changed.json()["schema"] == {"type": "array"}
        for act, body, code in (
            ("deprecate", {"sunset_on": TOMORROW}, "contract_status"),
            ("activate", {}, None),
            ("activate", {}, "contract_status"),
            ("retire", {}, "contract_status"),
            ("deprecate", {"sunset_on": "2020-01-01"}, "sunset_invalid"),
            ("deprecate", {}, "invalid_request"),
            ("deprecate", {"sunset_on": TOMORROW}, None),
            ("retire", {}, "sunset_not_reached"),
        ):
            answer = await api.post(f"{at}/{act}", body)
            assert answer.json().get("code") == code, (act, answer.text)
        assert (await publish(api)).json()["code"] == "contract_closed"
        await scalar(dsn, "UPDATE message_contract SET sunset_on = '2026-01-01' "
                          "WHERE name LIKE 'com.%' RETURNING 1")  # fmt: skip
        assert (await api.post(f"{at}/retire", {})).json()["status"] == "retired"
        acts = (await api.get(f"/v1/audit?subject=contract/{NAME}.v1")).json()["items"]
        assert [row["act"] for row in reversed(acts)] == [
            "contract.publish", "contract.publish", "contract.activate", "contract.deprecate",
            "contract.retire",
        ]  # fmt: skip


async def test_unknown_contracts_are_not_found(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        paths = (f"{NAME}/1", f"{SHIPPED}/2", f"{SHIPPED}/x", f"{SHIPPED}/9{'9' * 30}")
        for path in paths:
            answer = await api.get(f"/v1/contracts/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_contract"), path
        for act, body in (("activate", {}), ("deprecate", {"sunset_on": TOMORROW}), ("retire", {})):
            answer = await api.post(f"/v1/contracts/{NAME}/1/{act}", body)
            assert answer.json()["code"] == "unknown_contract", act
        for file in ("1", "1.xml", "x.json", "2.json"):
            assert (await api.http.get(f"/schemas/{SHIPPED}/{file}")).status_code == 404


async def test_only_administrators_publish(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        reader = await api.key("ops:read", "ops:write", "events:write", "master:write")
        assert (await reader.get("/v1/contracts")).status_code == 200
        for path, body in (
            ("/v1/contracts", PARCEL),
            (f"/v1/contracts/{SHIPPED}/1/deprecate", {"sunset_on": TOMORROW}),
            ("/v1/mappings", {}),
            ("/v1/mappings/try", {}),
        ):
            assert (await reader.post(path, body)).status_code == 403, path
        await reader.http.aclose()


async def test_every_process_decodes_by_what_is_published_now(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api, another_process(dsn) as other:
        assert other.decode(f"{NAME}.v1", "application/json", b'{"a":"x"}').missing
        await publish(api)
        await until(lambda: not other.decode(f"{NAME}.v1", "", b"{}").missing)
        assert other.decode(f"{NAME}.v1", "", b"{}").code == "invalid_event"
        assert other.headers(f"{NAME}.v1") == ()
        await api.post(f"/v1/contracts/{NAME}/1/deprecate", {"sunset_on": TOMORROW})
        await until(lambda: other.headers(f"{NAME}.v1"))
        assert dict(other.headers(f"{NAME}.v1"))[b"sunset"].endswith(b"23:59:59 GMT")


# Mappings -------------------------------------------------------------------------------------
NORTHWIND: dict[str, Any] = msgspec.to_builtins(folders.read(folders.find("northwind_3pl")))
MESSAGE = NORTHWIND["samples"][0]["input"].encode()
ACTIVITY = "/v1/mappings/northwind-3pl/activity"


async def test_a_mapping_is_proved_activated_and_read_by(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        body = {"manifest": NORTHWIND, "status": "active"}
        unknown = await api.post("/v1/mappings", body)
        assert unknown.json()["code"] == "unknown_system"
        await api.put("/v1/systems/northwind-3pl", {"kind": "3pl"})
        assert (await api.post("/v1/mappings", {"manifest": NORTHWIND})).status_code == 201
        live = api.app.contracts
        assert live.match("northwind-3pl", "application/json", MESSAGE) is None
        assert (await api.post(f"{ACTIVITY}/1/activate", {})).json()["status"] == "active"
        await until(lambda: live.match("northwind-3pl", "application/json", MESSAGE))
        contract = live.match("northwind-3pl", "application/json", MESSAGE)
        assert contract == "mapping:northwind-3pl:activity.v1"
        assert isinstance(live.decode(contract, "application/json", MESSAGE), list)
        assert (await api.get(f"/v1/contracts/{contract[:-3]}/1")).json()["status"] == "active"
        (row,) = (await api.get("/v1/mappings")).json()["items"]
        assert (row["name"], row["status"]) == ("activity", "active")
        assert contract not in (await api.http.get("/asyncapi.json")).text


async def test_a_new_version_takes_over_and_lets_waiting_messages_go_on(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await api.put("/v1/systems/northwind-3pl", {"kind": "3pl"})
        first = {"manifest": NORTHWIND, "status": "active"}
        assert (await api.post("/v1/mappings", first)).status_code == 201
        assert (await api.post("/v1/mappings", first)).status_code == 201
        message = MESSAGE.replace(b"HAM1", b"BRE9")
        async with await connect(dsn) as conn:
            old: Any = (await read_catalog(conn)).decode(
                "mapping:northwind-3pl:activity.v1", "application/json", message
            )
        (key,) = old.missing
        tables = NORTHWIND["tables"] | {"locations": {"HAM1": "3PL-HAM", "BRE9": "3PL-BRE"}}
        edited = NORTHWIND | {"tables": tables}
        taken = await api.post("/v1/mappings", {"manifest": edited, "status": "active"})
        assert taken.json()["code"] == "samples_failing"
        kept = [s for s in edited["samples"] if s["name"] in {"blocked", "goods_issued"}]
        edited |= {"samples": kept}
        taken = await api.post("/v1/mappings", {"manifest": edited, "status": "active"})
        assert taken.json()["code"] == "mapping_version_taken"
        second = {"manifest": edited | {"version": 2}, "status": "active"}
        assert (await api.post("/v1/mappings", second)).status_code == 201
        waited = f"SELECT status FROM message_contract WHERE name || '.v' || version = '{key[9:]}'"
        assert await scalar(dsn, waited) == "active"
        assert await scalar(
            dsn, "SELECT string_agg(status, ' ' ORDER BY version) FROM mapping"
        ) == ("retired active")
        async with await connect(dsn) as conn:
            new: Any = (await read_catalog(conn)).decode(
                "mapping:northwind-3pl:activity.v1", "application/json", message
            )
        assert new[0].location == "3PL-BRE"


async def test_activation_is_refused_while_a_sample_fails(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await api.put("/v1/systems/northwind-3pl", {"kind": "3pl"})
        wrong = NORTHWIND | {"time_zone": "UTC"}
        tried = (await api.post("/v1/mappings/try", wrong)).json()["failures"]
        assert {failure["sample"] for failure in tried} == {
            "blocked", "goods_issued", "no_such_hour", "stock_count",
        }  # fmt: skip
        assert (await api.post("/v1/mappings", {"manifest": wrong})).status_code == 201
        refused = await api.post(f"{ACTIVITY}/1/activate", {})
        assert refused.json()["code"] == "samples_failing"
        assert "blocked" in refused.json()["detail"]
        first = refused.json()["errors"][0]
        assert (first["field"], first["code"]) == ("blocked", "sample_failed")
        assert "occurred_at: expected '2026-02-02T08:15:00Z'" in first["detail"]
        assert (await api.get(f"{ACTIVITY}/1")).json()["status"] == "draft"
        for path in (f"{ACTIVITY}/2", f"{ACTIVITY}/x", "/v1/mappings/a/b/1"):
            assert (await api.get(path)).json()["code"] == "unknown_mapping"
            assert (await api.post(f"{path}/activate", {})).json()["code"] == "unknown_mapping"
        invalid = await api.post("/v1/mappings/try", NORTHWIND | {"events": "("})
        assert invalid.json()["code"] == "mapping_invalid"


# AsyncAPI -------------------------------------------------------------------------------------
async def test_asyncapi_is_complete_and_every_reference_leads_somewhere(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await publish(api)
        await publish(api, name="com.example.draft", status="draft")
        document = (await api.http.get("/asyncapi.json")).json()
        assert document["asyncapi"] == "3.0.0"
        assert {"title", "version"} <= set(document["info"])
        messages = document["components"]["messages"]
        assert set(messages) == {event.contract for event in EVENT_TYPES} | {f"{NAME}.v1"}
        for reference in re.findall(r'"\$ref":\s*"([^"]+)"', json.dumps(document)):
            if not reference.startswith("#/$defs/"):
                assert resolve(document, reference), reference
        for name, channel in document["channels"].items():
            assert "address" in channel
            assert set(channel["messages"]) <= set(messages), name
        for operation in document["operations"].values():
            assert operation["action"] in {"send", "receive"}
            channel = resolve(document, operation["channel"]["$ref"])
            assert operation["messages"]
            for message in operation["messages"]:
                assert message["$ref"].rpartition("/")[2] in channel["messages"]
        for schema in document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)
        assert document["channels"]["events"]["address"] == "/v1/events"
        assert f"{SHIPPED}.v1" in document["channels"]["events"]["messages"]
        told = document["channels"]["subscriptions"]["messages"]
        assert "io.stockbridge.reservation.made.v1" in told


def resolve(document, reference):
    target = document
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    return target


# Command line ---------------------------------------------------------------------------------
def run(*arguments):
    return CliRunner().invoke(cli, list(arguments))


@pytest.fixture
def parcel(tmp_path):
    def write(**more):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps(PARCEL | more))
        return str(path)

    return write


def test_the_command_line_checks_publishes_and_ends_contracts(dsn, parcel):
    at = ("--dsn", dsn)
    good, named = parcel(), f"{NAME}.v1"
    assert "not published yet" in run("contracts", "check", good, *at).output
    assert run("contracts", "publish", good, *at).exit_code == 0
    assert "compatible" in run("contracts", "check", good, *at).output
    bad = parcel(schema=SCHEMA | {"required": ["a", "b"]})
    refused = run("contracts", "check", bad, *at)
    assert refused.exit_code == 1
    assert "required_added: b is required now" in str(refused.exception)
    assert run("contracts", "publish", bad, *at).exit_code == 1
    offline = run("contracts", "check", bad, "--against", good)
    assert offline.exit_code == 1
    assert "publish it as version 2" in str(offline.exception)
    next_version = parcel(schema=SCHEMA | {"required": ["a", "b"]}, version=2)
    assert run("contracts", "publish", next_version, "--status", "draft", *at).exit_code == 0
    assert run("contracts", "activate", f"{NAME}.v2", *at).exit_code == 0
    ended = run("contracts", "deprecate", named, "--sunset-on", TOMORROW, *at)
    assert ended.exit_code == 0
    assert run("contracts", "retire", named, *at).exit_code == 1
    listed = run("contracts", "list", *at).output
    assert re.search(rf"{NAME}\.v1\s+deprecated\s+reported\s+logistics\s+{TOMORROW}", listed)
    assert re.search(r"availability\.changed\.v1\s+active\s+told\s+stockbridge", listed)
    assert json.loads(run("contracts", "show", named, *at).output) == SCHEMA


def test_the_command_line_says_what_is_wrong(dsn, parcel, tmp_path):
    at = ("--dsn", dsn)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "short.json").write_text("{}")
    for arguments, words in (
        (("contracts", "check", str(tmp_path / "broken.json"), *at), "is no JSON"),
        (("contracts", "check", str(tmp_path / "short.json"), *at), "needs name"),
        (("contracts", "check", parcel(schema={"type": "text"}), *at), "not usable"),
        (("contracts", "show", "nameless", *at), "give name and version"),
        (("contracts", "show", f"{NAME}.v1", *at), "no contract"),
        (("contracts", "deprecate", f"{SHIPPED}.v1", "--sunset-on", "soon", *at), "give a day"),
        (("connectors", "test", "nobody"), "northwind_3pl"),
        (("connectors", "activate", "northwind_3pl", *at), "does not exist"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1, arguments
        assert words in str(result.exception)


def test_the_command_line_tests_and_activates_a_partner(dsn, tmp_path):
    assert "northwind_3pl" in run("connectors", "list").output
    assert "6 samples of northwind_3pl pass" in run("connectors", "test", "northwind_3pl").output
    copy = tmp_path / "northwind"
    source = folders.find("northwind_3pl")
    (copy / "samples").mkdir(parents=True)
    for name in ("manifest.toml", "samples/blocked.in.json", "samples/blocked.events.json"):
        (copy / name).write_text((source / name).read_text().replace("08:15", "08:16"))
    failed = run("connectors", "test", str(copy))
    assert failed.exit_code == 1
    assert "FAILED blocked" in failed.output
    assert "expected '2026-02-02T08:16:00Z', got '2026-02-02T08:15:00Z'" in failed.output
    asyncio.run(_with_system(dsn))
    assert run("connectors", "activate", "northwind_3pl", "--dsn", dsn).exit_code == 0
    assert asyncio.run(scalar(dsn, "SELECT status FROM mapping")) == "active"


async def _with_system(dsn):
    async with await connect(dsn) as conn:
        await conn.execute("INSERT INTO system (code, kind) VALUES ('northwind-3pl', '3pl')")


# Helpers --------------------------------------------------------------------------------------
@asynccontextmanager
async def another_process(dsn):
    live = LiveCatalog(dsn)
    await live.start()
    try:
        yield live
    finally:
        await live.stop()


async def until(true, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - another process's memory has no event to wait for
            await asyncio.sleep(0.01)
