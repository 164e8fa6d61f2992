"""The stream of changed figures: live, resumable, ended with the process."""

import asyncio
import json

import pytest

from tests.http_api import serving, warehouse

SECONDS_MAX = 60.0
EVENT = "io.stockbridge.availability.changed.v1"


async def events(lines, count):
    """The next events as (id, name, data)."""
    found, fields = [], {}
    async for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
            fields = {}
            if len(found) == count:
                return found
        else:
            fields = {}
    return found


def reserve(quantity):
    lines = [{"sku": "A", "quantity": quantity}]
    return {"channel": "web", "reference": "R", "lines": lines}


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path) as client:
        await warehouse(client)
        await client.stock("A", MAIN=10)
        for _ in range(1_200):
            if (await client.get("/readyz")).status_code == 200:
                break
            await asyncio.sleep(0.02)
        yield client


def listen(api, **headers):
    named = {"authorization": f"Bearer {api.token}"} | headers
    return api.http.stream("GET", "/v1/availability/stream?channel=web", headers=named)


async def test_changes_arrive_and_a_lost_connection_resumes(api):
    async with listen(api) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.aiter_lines()
        (reset,) = await asyncio.wait_for(events(lines, 1), SECONDS_MAX)
        await api.post("/v1/reservations", reserve(3))
        (change,) = await asyncio.wait_for(events(lines, 1), SECONDS_MAX)
    assert reset[1:] == ("reset", {"channel": "web"})
    assert change[1:] == (EVENT, {"channel": "web", "sku": "A", "available": 7})
    await api.post("/v1/reservations", reserve(2))
    async with listen(api, **{"last-event-id": change[0]}) as response:
        missed = await asyncio.wait_for(events(response.aiter_lines(), 1), SECONDS_MAX)
    assert missed[0][1:] == (EVENT, {"channel": "web", "sku": "A", "available": 5})
    assert int(missed[0][0]) > int(change[0])


async def test_an_unusable_id_starts_over(api):
    for named in ("99999999999", "x", "-1", "9" * 40):
        async with listen(api, **{"last-event-id": named}) as response:
            (first,) = await asyncio.wait_for(events(response.aiter_lines(), 1), SECONDS_MAX)
            assert first[1] == "reset"


async def test_an_open_stream_does_not_hold_up_the_end(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        async with listen(api) as response:
            lines = response.aiter_lines()
            await asyncio.wait_for(events(lines, 1), SECONDS_MAX)
            assert api.app.server is not None
            # Answers under way may take longer than a test does; a stream does not use that.
            api.app.server.config.timeout_graceful_shutdown = 600
            await asyncio.wait_for(api.app.server.end(), SECONDS_MAX)
            # The stream ends; masters made just before may still tell it to start afresh.
            rest = await asyncio.wait_for(events(lines, 100), SECONDS_MAX)
            assert [event for event in rest if event[1] != "reset"] == []
