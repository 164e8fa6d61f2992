"""Lists and master data: cursors visit every row once, records read back as they were put."""

import pytest

from stockbridge.store.database import connect
from tests.http_api import serving, warehouse


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path) as client:
        await warehouse(client)
        yield client


async def walk(api, path, limit):
    """Every row of a list, page by page."""
    found, cursor = [], None
    while True:
        join = "&" if "?" in path else "?"
        more = f"&cursor={cursor}" if cursor else ""
        answer = (await api.get(f"{path}{join}limit={limit}{more}")).json()
        assert len(answer["items"]) <= limit
        found += answer["items"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found


async def test_cursors_visit_every_row_once(api):
    skus = [f"ä/{number:03}" for number in range(25)]
    for sku in skus:
        await api.put(f"/v1/items/{sku.replace('/', '%2F')}", {})
        line = {"sku": sku, "quantity": 5}
        await api.post("/v1/counts", {"count": sku, "location": "MAIN", "lines": [line]})
        promise = {"channel": "web", "reference": sku, "lines": [{"sku": sku, "quantity": 1}]}
        await api.post("/v1/reservations", promise)
    for limit in (1, 7, 25, 1000):
        assert [row["sku"] for row in await walk(api, "/v1/items", limit)] == skus
        moves = await walk(api, "/v1/movements", limit)
        assert len({row["movement_id"] for row in moves}) == len(moves) == 50
        promises = await walk(api, "/v1/reservations", limit)
        assert [row["reference"] for row in promises] == skus[::-1]
        acts = await walk(api, "/v1/audit", limit)
        assert len({row["id"] for row in acts}) == len(acts) >= 27
    prefix = await walk(api, "/v1/items?prefix=%C3%A4%2F01", 3)
    assert [row["sku"] for row in prefix] == skus[10:20]


# path, body, what reading it back shows beyond the body
MASTERS: list[tuple[str, dict[str, object], dict[str, object]]] = [
    ("/v1/systems/wms1", {"kind": "wms", "criticality": 1, "lifecycle": "draft"}, {}),
    ("/v1/locations/EAST", {"name": "East", "kind": "store", "authority": "wms1",
                            "time_zone": "Europe/London", "feed_silence_seconds": 60}, {}),
    ("/v1/channels/shop", {"sources": ["EAST", "MAIN"], "sourcing": "fewest_splits",
                           "freshness_seconds_max": 5}, {"system": None}),
    ("/v1/reason-codes/STOLEN", {"description": "Stolen", "sign": -1, "account": "scrap"},
     {"active": True}),
    ("/v1/items/PART", {"description": "Part", "standard_cost": "1.500000"}, {"components": []}),
    ("/v1/items/KIT", {"gtin": "12345670", "attributes": {"a": [1, {"b": None}]},
                       "uoms": [{"uom": "BOX", "numerator": 12, "denominator": 1}],
                       "aliases": [{"namespace": "shop", "alias": "k-1"}],
                       "components": [{"sku": "PART", "quantity": 2}]}, {"status": "active"}),
    ("/v1/policies/shop", {"kind": "percent", "percent": 50, "cap": 9, "on_stale": "zero"},
     {"version": 1, "sku": None, "floor": 0}),
    ("/v1/policies/shop/PART", {"buffer_units": 3}, {"version": 1, "sku": "PART"}),
]  # fmt: skip


async def test_masters_read_back_as_they_were_put(api):
    for path, body, more in MASTERS:
        put = await api.put(path, body)
        assert put.status_code == 201, (path, put.text)
        read = (await api.get(path)).json()
        for name, value in {**body, **more}.items():
            assert read[name] == value, (path, name)
        again = await api.put(path, body)
        assert again.status_code == (201 if "policies" in path else 200), path
    versions = await walk(api, "/v1/policies?channel=shop", 1)
    assert [(row["sku"], row["version"]) for row in versions] == [
        ("PART", 2), ("PART", 1), (None, 2), (None, 1)]  # fmt: skip
    for name, count in (("systems", 1), ("locations", 2), ("channels", 2), ("reason-codes", 8)):
        assert len(await walk(api, f"/v1/{name}", 1)) == count


async def test_exceptions_are_listed_assigned_and_resolved(api, dsn):
    async with await connect(dsn) as conn:
        await conn.execute(
            b"INSERT INTO exception (kind, subject, severity, owner_team, cause, action, "
            b"opened_at, seen_at, correlation_id) VALUES ('conflict', 'fact/1', 2, 'operations', "
            b"'two sources disagree', 'compare them', now(), now(), 'c1')"
        )
    assert [row["kind"] for row in await walk(api, "/v1/exceptions?open=true", 10)] == ["conflict"]
    number = (await api.get("/v1/exceptions")).json()["items"][0]["id"]
    path = f"/v1/exceptions/{number}"
    assigned = await api.post(f"{path}/assign", {"owner_team": "warehouse"})
    assert assigned.json()["owner_team"] == "warehouse"
    assert (await api.post(f"{path}/resolve", {"resolution": ""})).status_code == 422
    resolved = await api.post(f"{path}/resolve", {"resolution": "WMS was right"})
    assert resolved.json()["resolution"] == "WMS was right"
    again = await api.post(f"{path}/resolve", {"resolution": "twice"})
    assert (again.status_code, again.json()["code"]) == (409, "exception_resolved")
    late = await api.post(f"{path}/assign", {"owner_team": "x"})
    assert (late.status_code, late.json()["code"]) == (409, "exception_resolved")
    none = await api.post("/v1/exceptions/77/assign", {"owner_team": "x"})
    assert (none.status_code, none.json()["code"]) == (404, "unknown_exception")
    assert await walk(api, "/v1/exceptions?open=true", 10) == []
    assert len(await walk(api, "/v1/exceptions?open=false&owner_team=warehouse", 10)) == 1
    acts = await walk(api, f"/v1/audit?subject=exception/{number}", 10)
    assert [row["act"] for row in acts] == ["exception.resolve", "exception.assign"]
