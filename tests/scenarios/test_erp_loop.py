"""An ERP in the loop, the hub over HTTP: booked, accepted, released, shipped, posted."""

import contextlib

import pytest

from tests.doors import balance
from tests.erp.desk import CONFIG, Desk, desk, moved
from tests.erp.targets import config_of, target
from tests.http_api import Client, serving
from tests.scenarios.floor import until

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("tryton")]
ERP = "tryton"
SECRET_KEY = "11" * 32


class House:
    """The hub with one warehouse, one channel, and an ERP that must accept its orders."""

    def __init__(self, api: Client) -> None:
        self.api = api

    async def ask(self, method: str, path: str, body: object = None) -> dict:
        answer = await self.api.call(method, path, body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def furnish(self, at) -> None:
        for place in ("LONDON", "LEEDS"):
            await self.ask("PUT", f"/v1/locations/{place}", {})
        await self.ask("PUT", "/v1/channels/web", {"sources": ["LONDON"]})
        for sku, cost in (("MUG", "4.00"), ("CUP", "5.00"), ("NEW", "4.00")):
            await self.ask("PUT", f"/v1/items/{sku}", {"standard_cost": cost})
        system = {
            "kind": "erp", "connector": ERP, "config": config_of(at, CONFIG),
            "lifecycle": "testing", "environment": "sandbox",
        }  # fmt: skip
        await self.ask("PUT", f"/v1/systems/{ERP}", system)
        secret = {"secret": at.password}
        await self.ask("PUT", f"/v1/systems/{ERP}/secrets/password", secret)
        test = await self.ask("POST", f"/v1/systems/{ERP}/test", {})
        assert test["is_good"], test
        for step in ("certify", "activate"):
            await self.ask("POST", f"/v1/systems/{ERP}/{step}", {})
        await self.ask("PUT", "/v1/order-flows/web", {"erp": ERP})

    async def receive(self, sku: str, quantity: int) -> None:
        body = {
            "document": {"type": "po", "number": f"PO-{sku}"}, "location": "LONDON",
            "lines": [{"sku": sku, "quantity": quantity}],
        }  # fmt: skip
        await self.ask("POST", "/v1/receipts", body)

    async def place(self, number: str, sku: str, quantity: int) -> dict:
        line = {"line": "l1", "sku": sku, "quantity": quantity, "unit_price": "12.00"}
        body = {"channel": "web", "number": number, "lines": [line], "currency": "USD"}
        return await self.ask("POST", "/v1/orders", body)

    async def ship(self, number: str, parcel: str, sku: str, quantity: int) -> None:
        body = {
            "shipment": parcel, "location": "LONDON", "lines": [{"sku": sku, "quantity": quantity}],
            "document": {"type": "order", "number": number},
        }  # fmt: skip
        await self.ask("POST", "/v1/shipments", body)

    async def reaches(self, number: str, state: str) -> dict:
        async def is_there() -> dict | None:
            found = await self.ask("GET", f"/v1/channels/web/orders/{number}")
            return found if found["state"] == state else None

        return await until(is_there, f"{number} is {state}")

    async def awaiting(self) -> list[dict]:
        return (await self.ask("GET", "/v1/questions/orders-awaiting-erp"))["items"]


async def on_hand(dsn: str, sku: str) -> int:
    """Units in the building, whatever they are bound to."""
    return sum((await balance(dsn, sku, "LONDON")).values())


@contextlib.asynccontextmanager
async def opened(dsn, data_dir, at):
    async with serving(dsn, data_dir, secret_key=SECRET_KEY) as api:
        house = House(api)
        await house.furnish(at)
        async with desk(at) as books:
            yield house, books


@pytest.fixture(params=["simulated", "real"])
def erp(request, tmp_path):
    with target(request.param, tmp_path) as it:
        yield it


@pytest.fixture
def simulated(tmp_path):
    with target("simulated", tmp_path) as it:
        yield it


async def test_from_order_to_goods_posted(dsn, data_dir, erp):
    async with opened(dsn, data_dir, erp) as (house, books):
        await house.receive("MUG", 10)
        assert (await books.post("opening", moved("receive", "MUG", 10))).kind == "confirmed"
        await house.ask("POST", f"/v1/systems/{ERP}/suspend", {})
        placed = await house.place("W1", "MUG", 3)
        assert placed["state"] == "erp_pending"
        (waiting,) = await house.awaiting()
        assert (waiting["number"], waiting["delivery_state"]) == ("W1", "waiting")
        await house.ask("POST", f"/v1/systems/{ERP}/resume", {})
        order = await house.reaches("W1", "released")
        await _is_booked(house, books, order)
        await house.ship("W1", "S1", "MUG", 2)
        await house.ship("W1", "S2", "MUG", 1)
        await house.ship("W1", "S2", "MUG", 1)
        await house.reaches("W1", "completed")
        names = [f"{order['id']}-2", f"{order['id']}-3"]
        await until(
            lambda: [books.documents("out", name) for name in names] == [["done"], ["done"]],
            "both parcels are done in Tryton",
        )
        assert books.stock("MUG") == await on_hand(dsn, "MUG") == 7
        assert books.sales(order["id"])[0]["state"] in ("processing", "done")


async def _is_booked(house: House, books: Desk, order: dict) -> None:
    (sale,) = books.sales(order["id"])
    assert order["erp"] == {"accepted": True, "reference": sale["number"], "reason": ""}
    assert books.lines(order["id"]) == [("l1", 3.0, "12.0000")]
    assert await house.awaiting() == []
    whats = [(event["what"], event["state"], event["system"]) for event in order["timeline"]]
    assert ("accepted", "released", ERP) in whats


async def test_what_the_erp_refuses_is_rejected_with_its_words(dsn, data_dir, simulated):
    simulated.sim.rejected["CUP"] = "not for sale"
    async with opened(dsn, data_dir, simulated) as (house, _):
        await house.receive("CUP", 5)
        await house.place("W2", "CUP", 2)
        order = await house.reaches("W2", "rejected")
        assert order["erp"]["reason"] == "user_error: CUP: not for sale"
        assert (await on_hand(dsn, "CUP"), order["lines"][0]["reserved"]) == (5, 0)


async def test_what_its_owner_must_mend_waits_and_goes_on(dsn, data_dir, simulated):
    async with opened(dsn, data_dir, simulated) as (house, _):
        await house.receive("NEW", 5)
        await house.place("W3", "NEW", 2)

        async def is_told() -> dict | None:
            (waiting,) = await house.awaiting()
            return waiting if waiting["code"] == "unknown_product" else None

        waiting = await until(is_told, "the question tells what is wrong")
        assert (waiting["delivery_state"], waiting["erp"]) == ("rejected", ERP)
        simulated.sim.between(lambda: simulated.sim.product("NEW", "4.00", "12.50"))
        await house.ask("POST", "/v1/deliveries/retry", {"system": ERP, "state": "rejected"})
        await house.reaches("W3", "released")


async def test_a_lost_answer_books_nothing_twice(dsn, data_dir, simulated):
    async with opened(dsn, data_dir, simulated) as (house, books):
        await house.receive("MUG", 5)
        simulated.sim.fault("drop_after", "book_order")
        simulated.sim.fault("drop_after", "make_order")
        await house.place("W4", "MUG", 2)
        order = await house.reaches("W4", "released")
        assert [sale["state"] for sale in books.sales(order["id"])] == ["quotation"]
        simulated.sim.fault("drop_after", "post_movements")
        await house.ship("W4", "S4", "MUG", 2)
        name = f"{order['id']}-2"
        await until(lambda: books.documents("out", name) == ["done"], "the parcel is posted")
        assert set(simulated.sim.effects.values()) == {1}


async def test_items_are_what_the_erp_says(dsn, data_dir, simulated):
    async with opened(dsn, data_dir, simulated) as (house, _):
        put_first = {"standard_cost": "1.00", "gtin": "12345670", "attributes": {"color": "blue"}}
        await house.ask("PUT", "/v1/items/MUG", put_first)
        simulated.sim.between(lambda: simulated.sim.recost("MUG", "4.25"))
        simulated.sim.between(lambda: simulated.sim.product("SAUCER", "2.00", "3.50"))
        await house.ask("POST", f"/v1/systems/{ERP}/feeds/items/poll", {})

        async def is_there() -> dict | None:
            answer = await house.api.get("/v1/items/SAUCER")
            return answer.json() if answer.status_code == 200 else None

        saucer = await until(is_there, "a new product is an item")
        assert (saucer["description"], saucer["standard_cost"]) == ("The SAUCER", "2.000000")
        mug = await house.ask("GET", "/v1/items/MUG")
        assert (mug["gtin"], mug["standard_cost"]) == ("12345670", "4.250000")
        assert mug["attributes"] == {"color": "blue", "list_price": "12.50"}
