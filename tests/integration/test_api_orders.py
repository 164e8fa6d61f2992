"""Orders over HTTP and as messages: placed, listed, changed, told with their timeline, filled."""

import asyncio
from time import monotonic

import pytest

from stockbridge.contracts.orders import CancelOrder, PlacedLine, PlaceOrder
from stockbridge.engine import Command, Engine
from stockbridge.ingress.filler import fill
from tests.doors import settled, systems
from tests.http_api import scalar, serving, warehouse

SECONDS_MAX = 30.0


@pytest.fixture
async def api(dsn, data_dir):
    async with serving(dsn, data_dir) as client:
        await warehouse(client)
        yield client


def order(number, quantity=2, sku="A", **more):
    lines = [{"sku": sku, "quantity": quantity, "unit_price": "4.50"}]
    return {"channel": "web", "number": number, "lines": lines} | more


def event(kind, number, **data):
    return {
        "specversion": "1.0", "type": f"io.stockbridge.order.{kind}.v1", "source": "shop",
        "id": f"{kind}-{number}-{len(data)}", "data": {"channel": "web", "number": number} | data,
    }  # fmt: skip


async def tell(api, *events):
    answer = await api.call(
        "POST", "/v1/events", list(events), content_type="application/cloudevents-batch+json"
    )
    assert answer.status_code == 202, answer.text


async def find(api, number):
    return (await api.get(f"/v1/channels/web/orders/{number}")).json()


def told(found):
    line = found["lines"][0]
    names = ("reserved", "backordered", "cancelled", "shipped")
    return found["state"], {name: line[name] for name in names if line[name]}


async def until(api, number, state):
    """Wait until the order is in the state."""
    ends = monotonic() + SECONDS_MAX
    while (found := await find(api, number)).get("state") != state:
        assert monotonic() < ends, found
        await asyncio.sleep(0.05)
    return found


async def test_an_order_from_placed_to_completed(api):
    await api.stock("A", MAIN=5)
    body = order("O1", customer="C-1", currency="EUR", ship_to={"city": "Bath", "country": "GB"})
    made = await api.post("/v1/orders", body, idempotency_key="k1")
    assert made.status_code == 201, made.text
    placed = made.json()
    assert told(placed) == ("released", {"reserved": 2})
    again = await api.post("/v1/orders", body, idempotency_key="k1")
    assert again.content == made.content
    assert again.headers["idempotency-replayed"] == "true"
    assert (await api.post("/v1/orders", body)).status_code == 200
    reused = await api.post("/v1/orders", order("O1", 9), idempotency_key="k1")
    assert reused.json()["code"] == "idempotency_key_reused"
    shipment = {
        "shipment": "P-1", "location": "MAIN", "document": {"type": "order", "number": "O1"},
        "lines": [{"sku": "A", "quantity": 2}],
    }  # fmt: skip
    shipped = await api.post("/v1/shipments", shipment, x_correlation_id="parcel-1")
    assert shipped.status_code == 201, shipped.text
    found = (await api.get(f"/v1/orders/{placed['id']}")).json()
    assert told(found) == ("completed", {"shipped": 2})
    assert (found["customer"], found["ship_to"]["country"]) == ("C-1", "GB")
    steps = [(step["what"], step["state"]) for step in found["timeline"]]
    way = ["received", "validated", "reserved", "accepted", "released"]
    assert steps == [*(("placed", state) for state in way), ("shipped", "completed")]
    assert found["timeline"][-1]["correlation_id"] == "parcel-1"
    assert await find(api, "O1") == found


async def test_what_is_asked_of_us_may_be_refused(api):
    await api.stock("A", MAIN=1)
    refused = await api.post("/v1/orders", order("O1"))
    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stock")
    assert refused.json()["errors"][0]["index"] == 0
    sold = await api.post("/v1/orders", order("O1", mode="sold"))
    assert told(sold.json()) == ("released", {"reserved": 1, "backordered": 1})
    cases = (await api.get("/v1/exceptions?kind=oversold")).json()["items"]
    assert [(case["subject"], case["owner_team"]) for case in cases] == [
        ("order:web/O1", "operations")
    ]


async def test_hold_change_cancel_and_list(api):
    await api.stock("A", MAIN=9)
    one, two = [(await api.post("/v1/orders", order(n))).json() for n in ("O1", "O2")]
    path = f"/v1/orders/{one['id']}"
    assert (await api.post(f"{path}/hold", {"reason": "fraud?"})).json()["hold"] == "fraud?"
    assert (await api.post(f"{path}/release", {})).json()["state"] == "on_hold"
    assert (await api.post(f"{path}/resume", {})).json()["state"] == "released"
    edit = {"lines": [{"line": "1", "quantity": 5}]}
    assert told((await api.call("PATCH", path, edit)).json()) == ("released", {"reserved": 5})
    off = {"cancellation": "c1", "lines": [{"line": "1", "quantity": 4}], "reason": "less"}
    gone = (await api.post(f"{path}/cancel", off)).json()
    assert told(gone) == ("released", {"reserved": 1, "cancelled": 4})
    assert gone["cancellations"][0]["reason"] == "less"
    await api.post(f"/v1/orders/{two['id']}/cancel", {"by": "customer"})
    unknown = await api.post(
        f"{path}/cancel", {"cancellation": "c2", "lines": [{"line": "9", "quantity": 1}]}
    )
    assert unknown.json()["code"] == "unknown_line"
    listed = (await api.get("/v1/orders?limit=1")).json()
    assert [row["number"] for row in listed["items"]] == ["O2"]
    more = (await api.get(f"/v1/orders?limit=1&cursor={listed['next_cursor']}")).json()
    assert [row["number"] for row in more["items"]] == ["O1"]
    for query, numbers in {
        "state=cancelled": ["O2"], "open=true": ["O1"], "open=false": ["O2"],
        "number=O1&channel=web": ["O1"], "channel=none": [],
    }.items():  # fmt: skip
        rows = (await api.get(f"/v1/orders?{query}")).json()["items"]
        assert [row["number"] for row in rows] == numbers, query


async def test_orders_nobody_has(api):
    for path in ("ord_ff", "ord_", "o1", "ord_xyz", "ord_" + "f" * 16):
        assert (await api.get(f"/v1/orders/{path}")).status_code == 404, path
    assert (await api.post("/v1/orders/ord_ff/cancel", {})).status_code == 404
    assert (await api.get("/v1/channels/web/orders/none")).status_code == 404


async def test_a_bound_key_sees_and_touches_only_its_own(api):
    await api.stock("A", MAIN=9)
    await api.put("/v1/channels/other", {"sources": ["MAIN"]})
    mine = (await api.post("/v1/orders", order("O1"))).json()
    theirs = await api.key("orders:write", channel="other")
    assert (await theirs.post("/v1/orders", order("O2"))).status_code == 403
    assert (await theirs.get(f"/v1/orders/{mine['id']}")).status_code == 403
    assert (await theirs.post(f"/v1/orders/{mine['id']}/cancel", {})).status_code == 403
    assert (await theirs.get("/v1/channels/web/orders/O1")).status_code == 403
    assert (await theirs.get("/v1/orders")).json()["items"] == []
    placed = await theirs.post("/v1/orders", order("O1", channel="other"))
    assert placed.status_code == 201
    await theirs.http.aclose()


async def test_an_order_flow_and_its_erp(api):
    await api.stock("A", MAIN=9)
    await systems(api, "ledger", "wms")
    assert (await api.get("/v1/order-flows/web")).status_code == 404
    flow = await api.put("/v1/order-flows/web", {"erp": "ledger"})
    assert flow.json()["version"] == 1
    assert (await api.get("/v1/order-flows/web")).json()["erp"] == "ledger"
    made = (await api.post("/v1/orders", order("O1"))).json()
    assert made["state"] == "erp_pending"
    path, yes = f"/v1/orders/{made['id']}/answer", {"answer": "accepted", "reference": "SO7"}
    wms, erp = [await api.key("orders:write", system=code) for code in ("wms", "ledger")]
    assert (await wms.post(path, yes)).json()["code"] == "system_forbidden"
    heard = (await erp.post(path, yes)).json()
    assert (heard["state"], heard["erp"]["reference"]) == ("released", "SO7")
    for client in (wms, erp):
        await client.http.aclose()


async def test_messages_in_any_order(api, dsn):
    await api.stock("A", MAIN=9)
    await systems(api, "shop")
    lines = [{"sku": "A", "quantity": 3, "line": "7"}]
    await tell(api, event("cancelled", "O1"), event("placed", "O1", lines=lines))
    edit = {"lines": [{"line": "7", "quantity": 2}], "version": 2}
    await tell(api, event("edited", "O2", **edit), event("placed", "O2", lines=lines, version=1))
    left = {
        "specversion": "1.0", "type": "io.stockbridge.stock.shipped.v1", "source": "shop",
        "id": "left", "data": {
            "sku": "A", "quantity": 1, "location": "MAIN", "occurred_at": "2026-11-20T10:00:00Z",
            "document": {"type": "order", "number": "O3", "line": "7"},
        },
    }  # fmt: skip
    await tell(api, left)
    await tell(api, event("placed", "O4", lines=[{"sku": "LATER", "quantity": 1}]))
    late = {"channel": "late", "number": "O5", "lines": lines}
    await tell(api, event("placed", "O5") | {"data": late})
    counts = await settled(dsn)
    assert counts == {"applied": 4, "parked": 3}
    assert told(await find(api, "O1")) == ("cancelled", {"cancelled": 3})
    assert told(await find(api, "O2")) == ("released", {"reserved": 2})
    await tell(api, event("placed", "O3", lines=lines))
    assert told(await until(api, "O3", "shipped")) == ("shipped", {"reserved": 2, "shipped": 1})
    await api.put("/v1/items/LATER", {})
    assert told(await until(api, "O4", "backordered")) == ("backordered", {"backordered": 1})
    await api.put("/v1/channels/late", {"sources": ["MAIN"]})
    ends = monotonic() + SECONDS_MAX
    while await settled(dsn) != {"applied": 8}:
        assert monotonic() < ends
        await asyncio.sleep(0.05)
    timeline = (await find(api, "O1"))["timeline"]
    assert [step["what"] for step in timeline] == ["cancelled", "cancelled", "placed"]
    assert all(step["message_id"] and step["system"] == "shop" for step in timeline)


async def test_backorders_are_filled_oldest_first_when_stock_comes(api, dsn):
    await api.stock("A", MAIN=0)
    for number in ("O1", "O2", "O3"):
        assert (await api.post("/v1/orders", order(number, mode="backorder"))).status_code == 201
    assert [(await find(api, n))["state"] for n in ("O1", "O2", "O3")] == ["backordered"] * 3
    receipt = {
        "document": {"type": "po", "number": "P1"}, "location": "MAIN",
        "lines": [{"sku": "A", "quantity": 3}],
    }  # fmt: skip
    assert (await api.post("/v1/receipts", receipt)).status_code == 201
    assert told(await until(api, "O2", "released")) == (
        "released", {"reserved": 1, "backordered": 1}
    )  # fmt: skip
    assert told(await find(api, "O1")) == ("released", {"reserved": 2})
    assert told(await find(api, "O3")) == ("backordered", {"backordered": 2})
    filled = (await find(api, "O1"))["timeline"][-1]
    assert (filled["what"], filled["principal"]) == ("filled", "filler")


async def test_one_that_cannot_be_filled_does_not_stand_in_the_way(api, dsn):
    """Stock that is set aside for others is free for nobody else; those behind get theirs."""
    for sku in ("A", "B"):
        await api.stock(sku, MAIN=0)
    await api.put("/v1/channels/vip", {"sources": ["MAIN"]})
    await api.post("/v1/orders", order("O1", mode="backorder"))
    await api.post("/v1/orders", order("O2", sku="B", mode="backorder"))
    await api.post("/v1/counts", {
        "count": "C9", "location": "MAIN", "lines": [{"sku": "A", "quantity": 2}],
    })  # fmt: skip
    fence = {"lines": [{"sku": "A", "location": "MAIN", "quantity": 2}]}
    await api.put("/v1/channels/vip/fences", fence)
    await api.post("/v1/counts", {
        "count": "C10", "location": "MAIN", "lines": [{"sku": "B", "quantity": 2}],
    })  # fmt: skip
    await until(api, "O2", "released")
    assert await fill(api.app.engine, api.app.pool, page=1) in {0, 1}


async def test_two_processes_take_in_one_order_at_once(dsn, api):
    """A cancel that nobody locked anything for meets its order: whoever loses decides again."""
    await api.stock("A", MAIN=400)
    engines = [Engine(dsn), Engine(dsn)]
    for engine in engines:
        await engine.start()
    try:
        lines = [PlacedLine(sku="A", quantity=1)]
        both = [(engines[n % 2], engines[(n + 1) % 2], f"R{n}") for n in range(60)]
        placed = [
            a.submit(Command(PlaceOrder(channel="web", number=n, lines=lines, mode="sold")))
            for a, _, n in both
        ]
        off = [b.submit(Command(CancelOrder(channel="web", number=n))) for _, b, n in both]
        outcomes = await asyncio.gather(*placed, *off)
    finally:
        for engine in engines:
            await engine.stop()
    assert {outcome.status for outcome in outcomes} <= {200, 201}
    states = "SELECT string_agg(DISTINCT state, ',') FROM sales_order"
    assert await scalar(dsn, states) == "cancelled"
    assert await scalar(dsn, "SELECT count(*) FROM hold") == 0
