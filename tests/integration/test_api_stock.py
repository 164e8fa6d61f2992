"""Stock over HTTP: facts, promises, figures, and the way back from a figure to the ledger."""

import asyncio

import pytest

from tests.http_api import Client, scalar, serving, warehouse


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path) as client:
        await warehouse(client)
        yield client


def reserve(sku: str, quantity: int, **more: object) -> dict[str, object]:
    body = {
        "channel": "web",
        "reference": f"R-{sku}",
        "lines": [{"sku": sku, "quantity": quantity}],
    }
    return body | more


async def figure(api: Client, sku: str, channel: str = "web") -> int:
    answer = await api.get(f"/v1/availability/{sku}?channel={channel}")
    assert answer.status_code == 200, answer.text
    shown: int = answer.json()["available"]
    return shown


async def eventually(api: Client, sku: str, expected: int) -> None:
    """Wait for the view: a commit is shown within milliseconds, not in the same instant."""
    for _ in range(2_000):
        if await figure(api, sku) == expected:
            return
        await asyncio.sleep(0.02)
    assert await figure(api, sku) == expected


async def test_every_fact_moves_what_it_says(api, dsn):
    await api.put("/v1/locations/EAST", {})
    await api.put("/v1/items/A", {"uoms": [{"uom": "BOX", "numerator": 12}]})
    document = {"type": "po", "number": "1"}
    line = {"sku": "A", "quantity": 2}
    # path, body beyond lines, lines, (available, quarantined, in_transit, on_order) at MAIN
    for path, body, lines, expected in (
        ("supplies", {"document": document, "location": "MAIN", "state": "on_order"},
         [{"sku": "A", "quantity": 24, "line": "1"}], (0, 0, 0, 24)),
        ("receipts", {"document": document, "location": "MAIN"},
         [{"sku": "A", "quantity": 2, "uom": "BOX", "line": "1"}], (24, 0, 0, 0)),
        ("counts", {"count": "C1", "location": "MAIN"}, [{"sku": "A", "quantity": 30}],
         (30, 0, 0, 0)),
        ("adjustments", {"adjustment": "J1", "location": "MAIN", "reason": "DAMAGED"},
         [{"sku": "A", "quantity": -3}], (27, 0, 0, 0)),
        ("stock-holds", {"document": document, "location": "MAIN", "movement": "hold"}, [line],
         (25, 2, 0, 0)),
        ("transfers", {"transfer": "T1", "from_location": "MAIN", "to_location": "EAST",
                       "stage": "shipped"}, [line], (23, 2, 0, 0)),
        ("returns", {"rma": "M1", "location": "MAIN"}, [line], (23, 4, 0, 0)),
        ("shipments", {"shipment": "S1", "location": "MAIN"}, [line], (21, 4, 0, 0)),
    ):  # fmt: skip
        full = body | {"lines": lines}
        answer = await api.post(f"/v1/{path}", full)
        assert answer.status_code == 201, (path, answer.text)
        assert answer.json()["lines"][0]["outcome"] == "booked"
        again = await api.post(f"/v1/{path}", full)
        assert again.status_code in {200, 201}, (path, again.text)
        select = (
            "SELECT ARRAY[available, quarantined, in_transit, on_order] FROM balance b "
            "JOIN location l USING (location_id) WHERE l.code = 'MAIN'"
        )
        assert tuple(await scalar(dsn, select)) == expected, path
    kinds = [row["kind"] for row in (await api.get("/v1/movements?sku=A")).json()["items"]]
    assert {"ship", "return_receive", "transfer_ship", "hold", "adjust", "count"} <= set(kinds)


async def test_a_promise_from_birth_to_end(api):
    await api.stock("A", MAIN=10)
    made = (await api.post("/v1/reservations", reserve("A", 4))).json()
    path = f"/v1/reservations/{made['id']}"
    assert made["lines"][0]["sources"] == [{"location": "MAIN", "quantity": 4}]
    await eventually(api, "A", 6)
    read = (await api.get(path)).json()
    assert (read["state"], read["lines"]) == ("held", made["lines"])
    changed = await api.call("PATCH", path, {"lines": [{"line": 1, "quantity": 7}]})
    assert (changed.status_code, changed.json()["lines"][0]["reserved"]) == (200, 7)
    await eventually(api, "A", 3)
    more = await api.call("PATCH", path, {"lines": [{"line": 1, "quantity": 11}]})
    assert (more.status_code, more.json()["code"]) == (409, "insufficient_stock")
    other = {"reservation": "rsv_1", "ttl_seconds": 5}
    assert (await api.call("PATCH", path, other)).json()["code"] == "invalid_request"
    confirmed = await api.post(f"{path}/confirm")
    assert (confirmed.json()["state"], confirmed.json()["expires_at"]) == ("confirmed", None)
    shipment = {"shipment": "S", "location": "MAIN", "reservation": made["id"]}
    await api.post("/v1/shipments", shipment | {"lines": [{"sku": "A", "quantity": 7}]})
    assert (await api.get(path)).json()["state"] == "fulfilled"
    assert (await api.post(f"{path}/release")).status_code in {200, 409}
    await eventually(api, "A", 3)


async def test_what_is_past_its_time_goes_back(api):
    await api.stock("A", MAIN=2)
    made = (await api.post("/v1/reservations", reserve("A", 2, ttl_seconds=1))).json()
    assert made["state"] == "held"
    for _ in range(600):
        state = (await api.get(f"/v1/reservations/{made['id']}")).json()["state"]
        if state != "held":
            break
        await asyncio.sleep(0.1)
    assert state == "expired"
    await eventually(api, "A", 2)


async def test_the_last_unit_and_two_hundred_buyers(api, dsn):
    await api.stock("A", MAIN=1)
    answers = await asyncio.gather(
        *(api.post("/v1/reservations", reserve("A", 1)) for _ in range(200))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 199
    assert await scalar(dsn, "SELECT sum(reserved) FROM balance") == 1


async def test_a_figure_explains_itself_down_to_the_request(api):
    await api.stock("A", MAIN=10)
    await api.put("/v1/safety-stock", {"lines": [{"sku": "A", "location": "MAIN", "quantity": 1}]})
    await api.put("/v1/policies/web", {"buffer_units": 2})
    made = await api.post("/v1/reservations", reserve("A", 3))
    await eventually(api, "A", 4)
    for _ in range(50):
        told = (await api.get("/v1/availability/A/explain?channel=web&limit=1")).json()
        if told["available"] == 4:
            break
        await asyncio.sleep(0.02)
    assert told["terms"][-1]["total"] == told["available"] == 4
    assert sum(term["value"] for term in told["terms"]) == 4
    place = told["stock"][0]
    assert place["agrees"] is True
    assert place["movements"][0]["correlation_id"] == made.headers["x-correlation-id"]
    assert place["next_cursor"]
    older = f"/v1/availability/A/explain?channel=web&limit=1&cursor={place['next_cursor']}"
    assert (await api.get(older)).json()["stock"][0]["movements"][0]["kind"] == "count"


async def test_the_figure_as_it_was(api):
    await api.stock("A", MAIN=10)
    before = (await api.get("/v1/movements?sku=A")).json()["items"][0]["recorded_at"]
    await api.post("/v1/reservations", reserve("A", 4))
    moment = before.replace("+", "%2B")
    then = await api.get(f"/v1/availability/A/history?channel=web&at={moment}")
    assert (then.status_code, then.json()["available"]) == (200, 10)
    now = await api.get("/v1/availability/A/history?channel=web&at=2199-01-01T00:00:00Z")
    assert now.json()["available"] == 6


async def test_many_figures_at_once(api):
    await api.stock("A", MAIN=1)
    await api.stock("B", MAIN=2)
    body = {"channel": "web", "skus": ["A", "nothing", "B"]}
    answer = (await api.post("/v1/availability/query", body)).json()
    assert [(row["sku"], row["available"]) for row in answer["items"]] == [("A", 1), ("B", 2)]
    assert answer["unknown"] == ["nothing"]
    sizes: list[tuple[list[object], int]] = [
        ([], 422),
        (["A"] * 10_000, 200),
        (["A"] * 10_001, 422),
        ([1], 422),
    ]
    for skus, status in sizes:
        asked = {"channel": "web", "skus": skus}
        assert (await api.post("/v1/availability/query", asked)).status_code == status


async def test_fences_keep_stock_for_their_channel(api):
    await api.put("/v1/channels/shop", {"sources": ["MAIN"]})
    await api.stock("A", MAIN=10)
    line = {"sku": "A", "location": "MAIN", "quantity": 8}
    answer = await api.put("/v1/channels/shop/fences", {"lines": [line]})
    assert answer.status_code == 200, answer.text
    listed = (await api.get("/v1/channels/shop/fences")).json()
    assert listed == {"channel": "shop", "lines": [line]}
    refused = await api.post("/v1/reservations", reserve("A", 3))
    assert refused.json()["code"] == "insufficient_stock"
    granted = await api.post("/v1/reservations", reserve("A", 8, channel="shop"))
    assert granted.status_code == 201


async def test_a_question_with_a_date(api):
    await api.stock("A", MAIN=2)
    supply = {"document": {"type": "po", "number": "9"}, "location": "MAIN", "state": "on_order"}
    expected = {"expected_at": "2150-01-01T00:00:00Z", "lines": [{"sku": "A", "quantity": 5}]}
    assert (await api.post("/v1/supplies", supply | expected)).status_code == 201
    for query, can, when in (
        ("quantity=2", True, None),
        ("quantity=7", False, "2150-01-01"),
        ("quantity=7&by=2150-06-01T00:00:00Z", True, "2150-01-01"),
        ("quantity=8&by=2150-06-01T00:00:00Z", False, "None"),
    ):
        for _ in range(50):
            answer = (await api.get(f"/v1/availability/A?channel=web&{query}")).json()
            if answer["can_fulfil"] is can and str(answer["promisable_at"]).startswith(when or ""):
                break
            await asyncio.sleep(0.05)
        assert answer["can_fulfil"] is can, (query, answer)
        assert str(answer["promisable_at"]).startswith(when or ""), (query, answer)
