"""Deliveries as operators see them: lists, one with its attempts, retries, discards, retention."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from stockbridge import outbox
from stockbridge.cli.root import cli
from stockbridge.contracts.partners.manifest import CostBucket, LimitRule
from stockbridge.contracts.partners.model import LimitSeen
from stockbridge.domain.world.model import Owed
from stockbridge.outbox import operating
from stockbridge.outbox.deliveries import columns
from stockbridge.outbox.hearing import Hearing
from stockbridge.outbox.limits.gate import new_lease, take
from stockbridge.outbox.limits.model import URGENT
from stockbridge.outbox.limits.rules import budgets
from stockbridge.store.database import connect
from stockbridge.store.pipeline import run
from stockbridge.store.sql import load
from tests.http_api import serving
from tests.partner.client import Book, Loopback, manifest_of

SQL = load(outbox.__name__)
STATES = ["waiting", "dead", "rejected", "confirmed"]


async def fill(dsn):
    """Two deliveries in each of four states, the odd ones of another order and correlation."""
    async with await connect(dsn) as conn:
        await conn.execute(b"INSERT INTO system (code, kind) VALUES ('SHOP', 'storefront')")
        owed = [
            Owed("SHOP", "cancel_order", f"order/{n % 2}", f"k{n}", {"n": n}, f"c-{n % 2}", "test")
            for n in range(8)
        ]
        await run(conn, [(SQL.add_deliveries, columns(owed))])
        for number, state in enumerate(STATES):
            settled = "now()" if state != "waiting" else "NULL"
            await conn.execute(
                f"UPDATE delivery SET state = '{state}', attempts = 3, started_at = now(), "
                f"settled_at = {settled} WHERE delivery_id IN ({2 * number + 1}, {2 * number + 2})"
                .encode()
            )  # fmt: skip


@pytest.fixture
async def api(dsn, tmp_path):
    await fill(dsn)
    async with serving(dsn, tmp_path) as client:
        yield client


async def ids(api, query=""):
    answer = (await api.get(f"/v1/deliveries{query}")).json()
    return [int(row["id"]) for row in answer["items"]]


async def test_deliveries_are_listed_and_filtered(api):
    assert await ids(api) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert await ids(api, "?state=dead") == [4, 3]
    assert await ids(api, "?object=order/1&state=confirmed") == [8]
    assert await ids(api, "?correlation_id=c-0&limit=2") == [7, 5]
    assert await ids(api, "?system=OTHER") == []
    assert await ids(api, "?to=2020-01-01T00:00:00Z") == []
    assert (await api.get("/v1/deliveries?state=odd")).status_code == 422


async def test_one_delivery_is_shown_with_what_it_waits_for(api):
    found = (await api.get("/v1/deliveries/2")).json()
    assert found["payload"] == {"n": 1}
    assert found["waits_for"] is None
    assert found["may_be_done"] is True
    assert len(found["idempotency_key"]) == 36
    assert (await api.get("/v1/deliveries/7")).json()["may_be_done"] is False
    assert (await api.get("/v1/deliveries/99")).status_code == 404
    assert (await api.get("/v1/deliveries/x")).status_code == 404


async def test_a_retry_revives_and_keeps_in_mind_what_may_be_done(api):
    dead = (await api.post("/v1/deliveries/3/retry", {})).json()
    assert (dead["state"], dead["attempts"], dead["may_be_done"]) == ("waiting", 0, True)
    assert dead["waits_for"] == "1"
    rejected = (await api.post("/v1/deliveries/5/retry", {})).json()
    assert (rejected["state"], rejected["may_be_done"]) == ("waiting", False)
    looked = (await api.post("/v1/deliveries/4/retry", {"resend": True})).json()
    assert looked["may_be_done"] is False
    refused = await api.post("/v1/deliveries/7/retry", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "delivery_not_idle")
    assert (await api.post("/v1/deliveries/99/retry", {})).status_code == 404


async def test_a_discarded_delivery_lets_the_next_of_its_object_go(api):
    assert (await api.post("/v1/deliveries/3/retry", {})).json()["waits_for"] == "1"
    gone = await api.post("/v1/deliveries/1/discard", {"reason": "done by hand"})
    assert (gone.json()["state"], gone.json()["detail"]) == ("cancelled", "done by hand")
    assert (await api.get("/v1/deliveries/3")).json()["waits_for"] is None
    again = await api.post("/v1/deliveries/1/discard", {"reason": "twice"})
    assert again.status_code == 409
    acts = (await api.get("/v1/audit?subject=delivery/1")).json()["items"]
    assert [act["act"] for act in acts] == ["delivery.discard"]


async def test_all_that_match_are_retried_or_discarded(api):
    assert (await api.post("/v1/deliveries/retry", {})).json()["code"] == "selection_missing"
    failed = {"system": "SHOP", "object": "order/0"}
    assert (await api.post("/v1/deliveries/retry", failed)).json() == {
        "deliveries": 2, "more": False,
    }  # fmt: skip
    assert await ids(api, "?state=waiting") == [5, 3, 2, 1]
    given_up = {"system": "SHOP", "state": "waiting", "reason": "the shop is closed"}
    assert (await api.post("/v1/deliveries/discard", given_up)).json()["deliveries"] == 4
    assert await ids(api, "?state=cancelled") == [5, 3, 2, 1]


async def test_metrics_show_the_backlog(api):
    await api.app.outbox._metrics.look(api.app.pool)
    text = (await api.get("/metrics")).text
    assert 'stockbridge_deliveries{state="waiting",system="SHOP"} 2.0' in text
    assert 'stockbridge_delivery_age_seconds{state="waiting",system="SHOP"}' in text


async def test_settled_deliveries_are_deleted_after_their_days(dsn):
    await fill(dsn)
    async with await connect(dsn) as conn:
        now = datetime.now(UTC)
        assert await operating.delete_settled(conn, now + timedelta(days=29), 30) == 0
        assert await operating.delete_settled(conn, now + timedelta(days=31), 30) == 6
        rows = await (await conn.execute(b"SELECT state FROM delivery")).fetchall()
    assert rows == [("waiting",), ("waiting",)]


async def test_what_partners_tell_of_limits_is_believed(dsn, pool):
    rule = LimitRule(operations=["*"], limit=CostBucket(capacity=100.0, per_second=1.0, cost=10.0))
    book = Book({"SHOP": Loopback("http://127.0.0.1:9", manifest_of(limits=[rule]))})
    under = budgets([rule], "publish")
    async with pool.connection() as conn:
        first = await take(conn, "SHOP", under, 1, share=URGENT, lease=new_lease())
        hearing = Hearing()
        hearing.hear("SHOP", LimitSeen("publish", remaining=90.0))
        hearing.hear("SHOP", LimitSeen("publish", remaining=25.0))
        hearing.hear("GONE", LimitSeen("publish", remaining=0.0))
        await hearing.write(pool, book)
        second = await take(conn, "SHOP", under, 9, share=URGENT, lease=new_lease())
    assert (first.granted, second.granted) == (1, 2)


def test_the_command_line_does_the_same(dsn):
    asyncio.run(fill(dsn))

    def said(*words):
        done = CliRunner().invoke(cli, ["deliveries", *words, "--dsn", dsn])
        return f"{done.output}{done.exception or ''}"

    assert "cancel_order" in said("list", "--state", "dead")
    assert '"idempotency_key"' in said("show", "3")
    assert said("retry", "3", "4") == "2 deliveries are due now\n"
    assert said("retry", "--system", "SHOP") == "2 deliveries are due now\n"
    assert said("discard", "5", "--reason", "by hand") == "1 deliveries are discarded\n"
    assert "delivery 7 is confirmed" in said("discard", "7", "--reason", "x")
    assert "no delivery 99" in said("show", "99")
    assert "give at least one condition" in said("retry")
    assert "--state odd: give waiting" in said("list", "--state", "odd")
