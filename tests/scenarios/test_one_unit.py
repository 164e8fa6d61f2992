"""The pains of others: one unit and five hundred buyers, an order of five thousand lines."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.http_api import Client, serving, warehouse


@pytest.fixture
async def api(dsn, tmp_path) -> AsyncIterator[Client]:
    async with serving(dsn, tmp_path) as client:
        await warehouse(client)
        yield client


async def test_five_hundred_buyers_of_one_unit(api):
    await api.stock("LAST", MAIN=1)

    async def buy(number: int):
        body = {
            "channel": "web",
            "reference": f"O-{number}",
            "lines": [{"sku": "LAST", "quantity": 1}],
        }
        return await api.post("/v1/reservations", body)

    answers = await asyncio.gather(*[buy(number) for number in range(500)])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 499}
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {problem["code"] for problem in refused} == {"insufficient_stock"}
    assert all(problem["errors"][0]["promisable"] == 0 for problem in refused)
    shown = (await api.get("/v1/availability/LAST?channel=web")).json()
    assert shown["available"] == 0


async def test_an_order_of_five_thousand_lines_is_one_decision(api):
    await api.stock("MANY", MAIN=5_000)
    lines = [{"sku": "MANY", "quantity": 1}] * 5_000
    order = {"channel": "web", "reference": "BIG", "lines": lines}
    made = await api.post("/v1/reservations", order)
    assert made.status_code == 201, made.text[:500]
    assert sum(line["reserved"] for line in made.json()["lines"]) == 5_000
    again = await api.post("/v1/reservations", order | {"reference": "BIGGER"})
    assert (again.status_code, len(again.json()["errors"])) == (409, 5_000)
    released = await api.post(f"/v1/reservations/{made.json()['id']}/release", {})
    assert released.json()["state"] == "released"
