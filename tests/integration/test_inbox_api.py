"""Operators over HTTP and on the command line: see, retry, replay, discard, gaps, flows."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from stockbridge.cli.root import cli
from stockbridge.kernel.errors import StockbridgeError
from tests.http_api import Client, serving, warehouse
from tests.integration.inbox_desk import RECEIVED, envelope, fact


def said(number: str, sku: str = "A", quantity: int = 5) -> dict:
    return fact(number, sku=sku, quantity=quantity, location="MAIN")


async def prepare(api: Client) -> list[str]:
    """An applied, a parked and a rejected message; their ids in this order."""
    await warehouse(api)
    await api.put("/v1/items/A", {})
    await api.put("/v1/systems/wms", {"kind": "wms"})
    accepted = await api.app.inbox.accept(
        [
            envelope("good", said("PO-1"), sequence=1, correlation_id="c-1"),
            envelope("early", said("PO-2", sku="NEW"), sequence=4),
            envelope("bad", b"{", sequence=4),
        ]
    )
    ids = [str(each.message_id) for each in accepted]
    for wanted, message in zip(("applied", "parked", "rejected"), ids, strict=True):
        await reach(api, message, wanted)
    return ids


async def reach(api: Client, message: str, status: str) -> dict:
    give_up = datetime.now(UTC) + timedelta(seconds=10)
    while True:
        found = (await api.get(f"/v1/messages/{message}")).json()
        if found["status"] == status:
            return found
        assert datetime.now(UTC) < give_up, found


async def test_messages_are_listed_and_shown(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        good, early, bad = await prepare(api)
        page = (await api.get("/v1/messages?limit=2")).json()
        rest = (await api.get(f"/v1/messages?limit=2&cursor={page['next_cursor']}")).json()
        assert [each["id"] for each in page["items"] + rest["items"]] == [bad, early, good]
        assert rest["next_cursor"] is None
        for query, wanted in {
            "status=parked": [early],
            "system=wms&status=applied": [good],
            "system=erp": [],
            "correlation_id=c-1": [good],
            f"contract={RECEIVED}": [bad, early, good],
            "from=2000-01-01T00:00:00Z&to=2001-01-01T00:00:00Z": [],
            "from=2000-01-01T00:00:00Z": [bad, early, good],
        }.items():
            found = await api.get(f"/v1/messages?{query}")
            assert [each["id"] for each in found.json()["items"]] == wanted, query
        shown = (await api.get(f"/v1/messages/{good}")).json()
        assert json.loads(shown["text"]) == said("PO-1")
        assert shown["movements"][0]["message_id"] == good
        assert shown["movements"][0]["quantity"] == 5
        waiting = (await api.get(f"/v1/messages/{early}")).json()
        assert waiting["waits_for"] == ["sku:NEW"]
        assert waiting["movements"] == []
        for unknown in ("99", "x", "9" * 30, "-1"):
            answer = await api.get(f"/v1/messages/{unknown}")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_message")
        assert (await api.get("/v1/messages?status=odd")).status_code == 422


async def test_messages_are_retried_replayed_and_discarded(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        good, early, bad = await prepare(api)
        answer = await api.post(f"/v1/messages/{good}/retry", {})
        assert (answer.status_code, answer.json()["code"]) == (409, "message_not_waiting")
        answer = await api.post(f"/v1/messages/{good}/replay", {})
        assert (answer.status_code, answer.json()) == (202, {"messages": 1})
        assert (await reach(api, good, "duplicate"))["attempts"] == 2
        assert (await api.post(f"/v1/messages/{bad}/retry", {})).status_code == 202
        assert (await reach(api, bad, "rejected"))["attempts"] >= 1
        assert (await api.post("/v1/messages/9/retry", {})).status_code == 404

        dry = await api.post("/v1/messages/replay", {"system": "wms", "dry_run": True})
        assert dry.json()["outcomes"] == {"parked": 1, "rejected": 1}
        assert dry.json()["complete"]
        refused = await api.post("/v1/messages/replay", {"force": True})
        assert (refused.status_code, refused.json()["code"]) == (422, "selection_missing")
        answer = await api.post(f"/v1/messages/{bad}/discard", {"reason": "a mistake"})
        assert answer.json()["reason_code"] == "discarded"
        await api.put("/v1/items/NEW", {})
        await reach(api, early, "applied")
        acts = (await api.get(f"/v1/audit?subject=message/{bad}")).json()["items"]
        assert {each["act"] for each in acts} == {"message.replay", "message.discard"}


async def test_gaps_and_flows_are_told(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await prepare(api)
        (source,) = (await api.get("/v1/questions/out-of-sequence")).json()["items"]
        assert source["gaps"] == [[2, 3]]
        assert (source["first"], source["newest"], source["missing"]) == (1, 4, 2)
        assert source["repeated"] == 1
        assert (await api.get("/v1/questions/out-of-sequence?system=x")).json() == {"items": []}
        patient = {"is_strict": True, "wait_seconds_max": 60}
        answer = await api.put("/v1/systems/wms/flows/stock", patient)
        assert answer.status_code == 200, answer.text
        assert (await api.put("/v1/systems/no/flows/stock", patient)).status_code == 404
        (flow,) = (await api.get("/v1/flows")).json()["items"]
        assert flow == {
            "system": "wms", "flow": "stock", "is_strict": True, "wait_seconds_max": 60,
            "park_seconds_max": 86_400, "owner_team": "operations",
        }  # fmt: skip


@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/v1/messages"),
        ("GET", "/v1/messages/1"),
        ("GET", "/v1/flows"),
        ("GET", "/v1/questions/out-of-sequence"),
        ("POST", "/v1/messages/1/retry"),
        ("POST", "/v1/messages/replay"),
        ("PUT", "/v1/systems/wms/flows/stock"),
    ],
)
async def test_a_key_without_the_scope_is_refused(dsn, tmp_path, method, path):
    async with serving(dsn, tmp_path) as api:
        stranger = await api.key("availability:read")
        answer = await stranger.call(method, path, None if method == "GET" else {})
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
        await stranger.http.aclose()


def run(dsn: str, *words: str) -> str:
    result = CliRunner().invoke(cli, ["messages", *words, "--dsn", dsn], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


async def test_the_command_line_does_the_same(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        _, early, bad = await prepare(api)

    def steps() -> None:
        assert bad in run(dsn, "list", "--status", "rejected")
        assert early not in run(dsn, "list", "--status", "rejected")
        assert json.loads(run(dsn, "show", early))["waits_for"] == ["sku:NEW"]
        dry = run(dsn, "replay", early, bad, "--dry-run")
        assert "2 messages: 1 parked, 1 rejected" in dry
        assert "0 movements would be booked; nothing was kept" in dry
        forced = run(dsn, "replay", "--system", "wms", "--force", "--dry-run")
        assert "1 duplicate, 1 parked, 1 rejected" in forced
        assert "discarded" in run(dsn, "discard", bad, "--reason", "a mistake")
        assert "due again" in run(dsn, "retry", early)
        assert json.loads(run(dsn, "show", early))["status"] == "received"
        with pytest.raises(StockbridgeError, match="no message 9"):
            run(dsn, "show", "9")
        with pytest.raises(StockbridgeError, match="at least one condition"):
            run(dsn, "replay")

    await asyncio.to_thread(steps)
