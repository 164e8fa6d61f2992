"""Reports over HTTP: taken in as a stream, told about, accepted; whose key may what."""

import asyncio

import pytest
from typer.testing import CliRunner

from stockbridge.cli.root import cli
from tests.http_api import as_declared, scalar, serving, warehouse
from tests.integration.snapshots_desk import NOON, csv_of

CUTOFF = NOON.strftime("%Y-%m-%dT%H:%M:%SZ")
PATH = f"/v1/snapshots?system=WMS&number=N1&cutoff_at={CUTOFF}"
ROWS = csv_of([("A", "MAIN", 5), ("B", "MAIN", 0), ("Z", "MAIN", 1)])


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path) as client:
        await warehouse(client)
        for code in ("WMS", "ERP"):
            await client.put(f"/v1/systems/{code}", {"kind": "wms"})
        for sku in ("A", "B"):
            await client.put(f"/v1/items/{sku}", {})
        yield client


async def send(api, path=PATH, content=ROWS, kind="text/csv"):
    answer = await api.raw("POST", path, content, content_type=kind)
    as_declared("POST", path, answer)
    return answer


async def settled(api, job):
    """The report's document when the work on it is done."""
    for _ in range(200):
        found = (await api.get(job)).json()
        if found["state"] in {"compared", "superseded", "failed"}:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def test_a_report_from_the_door_to_its_acceptance(api):
    sent = await send(api)
    assert sent.status_code == 202
    job = sent.json()["job"]
    assert sent.headers["location"] == job == f"/v1/snapshots/{sent.json()['snapshot']}"
    found = await settled(api, job)
    assert (found["rows"], found["rows_unchanged"], found["rows_bad"]) == (3, 1, 1)
    assert found["outcomes"] == {"drift": 1, "bad": 1}
    assert found["locations"] == [
        {"location": "MAIN", "authoritative": False, "state": "drift", "rows_drift": 1,
         "units_drift": 5},
    ]  # fmt: skip
    again = await send(api)
    assert (again.status_code, again.json()) == (200, sent.json())
    rows = (await api.get(f"{job}/rows?outcome=drift")).json()["items"]
    assert rows == [
        {"row": 2, "item": "A", "sku": "A", "location": "MAIN", "state": "available",
         "quantity": 5, "stated": 5, "rebased": 5, "booked": 0, "outcome": "drift",
         "reason": None},
    ]  # fmt: skip
    accepted = await api.post(f"{job}/accept", {"locations": ["MAIN"]})
    assert accepted.status_code == 202
    found = await settled(api, job)
    assert found["outcomes"] == {"counted": 1, "bad": 1}
    assert await scalar(api.app.dsn, "SELECT available FROM balance WHERE available > 0") == 5
    assert (await api.post(f"{job}/accept", {})).json()["code"] == "nothing_to_accept"
    acts = (await api.get("/v1/audit")).json()["items"]
    assert [act["act"] for act in acts].count("snapshot.accept") == 1


async def test_lists_page_and_filter(api):
    jobs = []
    for number in range(3):
        path = f"/v1/snapshots?system=WMS&number={number}&cutoff_at={CUTOFF}&sequence={number}"
        jobs.append((await send(api, path)).json()["job"])
        await settled(api, jobs[-1])
    first = (await api.get("/v1/snapshots?limit=2")).json()
    rest = (await api.get(f"/v1/snapshots?limit=2&cursor={first['next_cursor']}")).json()
    assert [row["number"] for row in first["items"] + rest["items"]] == ["2", "1", "0"]
    assert rest["next_cursor"] is None
    assert (await api.get("/v1/snapshots?system=ERP")).json()["items"] == []
    page = (await api.get(f"{jobs[0]}/rows?limit=2")).json()
    more = (await api.get(f"{jobs[0]}/rows?limit=2&cursor={page['next_cursor']}")).json()
    assert [row["row"] for row in page["items"] + more["items"]] == [2, 3, 4]
    states = [(await api.get(job)).json()["locations"][0]["state"] for job in jobs]
    assert states == ["superseded", "superseded", "drift"]
    refused = await api.post(f"{jobs[0]}/accept", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "snapshot_superseded")


ROW = b'{"sku":"A","location":"MAIN","quantity":5}'
DOCUMENT = b'{"system":"WMS","number":"N1","cutoff_at":"%s","rows":[' + ROW + b"]}"


async def test_a_json_document_says_itself_what_it_is(api):
    sent = await send(api, "/v1/snapshots", DOCUMENT % CUTOFF.encode(), "application/json")
    assert sent.status_code == 202
    assert (await settled(api, sent.json()["job"]))["outcomes"] == {"drift": 1}
    other = await send(api, PATH.replace("N1", "N2"), DOCUMENT % CUTOFF.encode(),
                       "application/json")  # fmt: skip
    assert (other.status_code, other.json()["code"]) == (422, "invalid_request")


# path, content, content type, status, code
REFUSED = [
    ("/v1/snapshots?system=WMS", ROWS, "text/csv", 422, "invalid_request"),
    (PATH.replace("WMS", "NOPE"), ROWS, "text/csv", 422, "unknown_system"),
    (PATH, ROWS, "text/html", 415, "unsupported_media_type"),
    (PATH, "", "text/csv", 400, "body_missing"),
    (PATH, "{", "application/json", 400, "malformed_json"),
    (PATH + "&meaning=guess", ROWS, "text/csv", 422, "invalid_request"),
    (PATH.replace(CUTOFF[:4], "2199"), ROWS, "text/csv", 422, "occurred_in_future"),
    (PATH, '{"rows":[' + " " * 9_000_000 + "]}", "application/json", 413, "body_too_large"),
]


@pytest.mark.parametrize("path,content,kind,status,code", REFUSED)
async def test_what_is_not_taken_leaves_nothing(api, path, content, kind, status, code):
    refused = await send(api, path, content, kind)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert await scalar(api.app.dsn, "SELECT count(*) FROM snapshot") == 0


async def test_another_report_under_a_number_is_refused(api):
    await send(api)
    refused = await send(api, content=ROWS + "B,MAIN,1\n")
    assert (refused.status_code, refused.json()["code"]) == (409, "snapshot_number_reused")


async def test_a_key_of_a_system_keeps_to_its_own(api):
    await settled(api, (await send(api)).json()["job"])
    own = await api.key("events:write", system="WMS")
    other = await api.key("events:write", system="ERP")
    channel = await api.key("events:write", channel="web")
    job = (await own.get("/v1/snapshots")).json()["items"][0]["snapshot"]
    unnamed = f"/v1/snapshots?number=N2&cutoff_at={CUTOFF}"
    sent = await send(own, unnamed)
    assert sent.status_code == 202
    assert (await settled(own, sent.json()["job"]))["system"] == "WMS"
    assert (await own.post(f"/v1/snapshots/{job}/accept", {})).status_code == 403
    assert (await other.get("/v1/snapshots")).json()["items"] == []
    for path in ("", "/rows"):
        assert (await other.get(f"/v1/snapshots/{job}{path}")).status_code == 404
    for key in (other, channel):
        assert (await send(key)).json()["code"] == "system_forbidden"
    assert (await channel.get("/v1/snapshots")).status_code == 403
    for key in (own, other, channel):
        await key.http.aclose()
    assert (await api.get("/v1/snapshots/999")).json()["code"] == "unknown_snapshot"
    assert (await api.get("/v1/snapshots/x")).json()["code"] == "unknown_snapshot"


async def test_a_sender_that_hangs_up_leaves_nothing(api):
    async def broken():
        yield b"sku,location,quantity\n"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await api.raw("POST", PATH, broken(), content_type="text/csv")
    for _ in range(1_200):
        if await scalar(api.app.dsn, "SELECT count(*) FROM snapshot") == 0:
            break
        await asyncio.sleep(0.05)
    assert await scalar(api.app.dsn, "SELECT count(*) FROM snapshot_chunk") == 0
    assert (await send(api)).status_code == 202


async def test_the_command_line_loads_and_shows(api, dsn, tmp_path):
    file = tmp_path / "wms.csv"
    file.write_text(ROWS)
    asked = ["--system", "WMS", "--cutoff", CUTOFF[:-1], "--dsn", dsn]
    run = CliRunner().invoke
    loaded = await asyncio.to_thread(run, cli, ["snapshots", "load", str(file), *asked])
    assert loaded.exit_code == 0, loaded.output
    assert "3 rows, 1 unchanged" in loaded.output
    assert "MAIN: drift, 1 rows and 5 units differ" in loaded.output
    number = loaded.output.split()[1].rstrip(":")
    shown = await asyncio.to_thread(run, cli, ["snapshots", "show", number, "--dsn", dsn])
    assert shown.output == loaded.output
