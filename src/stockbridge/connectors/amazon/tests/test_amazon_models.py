"""Every call and every simulated answer against Amazon's own models (../shared, if there)."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import jsonschema
import msgspec
import pytest

from stockbridge.connectors.amazon.simulator import Simulator
from stockbridge.connectors.kit.conformance.bench import Bench, bench
from stockbridge.connectors.kit.registry import Registry
from stockbridge.contracts.partners.model import Delivery, StockUpdate
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment, ToldLine
from stockbridge.kernel.errors import Retry

PROJECT = next(p for p in Path(__file__).resolve().parents if (p / "pyproject.toml").is_file())
MODELS = PROJECT.parent / "shared" / "contracts" / "amazon-sp-api"
FILES = ("listingsItems_2021-08-01", "orders_2026-01-01", "ordersV0", "feeds_2021-06-30")
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
PART = re.compile(r"\\\{\w+\\\}")
"""A name in a path, escaped; a sku may have slashes in it."""

pytestmark = pytest.mark.skipif(
    not MODELS.is_dir(), reason="../shared with Amazon's models is not beside the project"
)


class Modelled(NamedTuple):
    """An operation of a model."""

    document: Mapping[str, Any]
    operation: Mapping[str, Any]


@pytest.fixture(scope="module")
def models() -> dict[tuple[str, str], Modelled]:
    """Operations by method and path pattern."""
    found = {}
    for name in FILES:
        document = json.loads((MODELS / f"{name}.json").read_text("utf-8"))
        for path, methods in document["paths"].items():
            pattern = re.escape(path).replace(r"\{sku\}", ".+")
            pattern = PART.sub("[^/]+", pattern)
            for method, operation in methods.items():
                if method != "parameters":
                    found[method.upper(), pattern] = Modelled(document, operation)
    return found


def modelled(models: Mapping[tuple[str, str], Modelled], method: str, path: str) -> Modelled:
    found = [m for (verb, pattern), m in models.items()
             if verb == method and re.fullmatch(pattern, path)]  # fmt: skip
    assert len(found) == 1, f"{method} {path} is in {len(found)} models"
    return found[0]


def check(document: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> None:
    whole = {**schema, "definitions": document["definitions"]}
    jsonschema.Draft4Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


def check_request(model: Modelled, query: str, body: bytes) -> None:
    parameters = {p["name"]: p for p in model.operation.get("parameters", ())}
    given = dict(parse_qsl(query))
    for name, text in given.items():
        assert name in parameters, f"{name} is no parameter of {model.operation['operationId']}"
        parameter = parameters[name]
        values = text.split(",") if parameter["type"] == "array" else [text]
        allowed = (parameter.get("items") or parameter).get("enum")
        assert not allowed or set(values) <= set(allowed)
        assert len(values) <= parameter.get("maxItems", len(values))
        if parameter["type"] == "integer":
            assert int(text) <= parameter.get("maximum", 100)
        if parameter.get("format") == "date-time":
            datetime.fromisoformat(text)
    for parameter in parameters.values():
        if parameter.get("required") and parameter["in"] == "query":
            assert parameter["name"] in given
        if parameter["in"] == "body":
            check(model.document, parameter["schema"], json.loads(body))


def check_answer(model: Modelled, status: int, body: bytes) -> None:
    responses = model.operation["responses"]
    assert str(status) in responses, f"{status} of {model.operation['operationId']}"
    schema = responses[str(status)].get("schema")
    assert bool(schema) == bool(body)
    if schema:
        check(model.document, schema, json.loads(body))


def check_all(models: Mapping[tuple[str, str], Modelled], simulator: Simulator) -> set[str]:
    done = set()
    for call in simulator.calls:
        if call.path.split("/")[1] in ("auth", "documents", ""):
            continue
        model = modelled(models, call.method, call.path)
        check_request(model, call.query, call.body)
        done.add(str(model.operation["operationId"]))
    for answer in simulator.answers:
        check_answer(modelled(models, answer.method, answer.path), answer.status, answer.body)
    return done


def deliveries(ordered: Any) -> Iterator[Delivery]:
    lines = [ToldLine(line.line, line.sku, line.quantity) for line in ordered.lines]
    payloads = {
        "confirm_shipment": ConfirmShipment(ordered.number, "P", lines, NOW, "L", "Bikes", "T1"),
        "cancel_order": CancelOrder(ordered.number, "C", lines, NOW, "LOST"),
    }
    for name, payload in payloads.items():
        yield Delivery(1, name, "o", "0", "c", 1, payload)


async def work(made: Bench, simulator: Simulator, connector: Any) -> None:
    """A day, with what goes wrong on it."""
    rows = [made.row(number, 9) for number in range(1, 4)]
    simulator.rejected[rows[2].item] = "90220"
    await connector.test()
    await connector.publish([rows[0]])
    await connector.publish([rows[2]])
    simulator.finds_wrong(rows[0].item, "1", "wrong")
    stranger = StockUpdate(9, "X", "NOT LISTED/ä", "", 1, 1)
    for row in (*rows, stranger):
        await connector.observe([row])
        await connector.publish([row])
    for _ in range(6):
        await connector.publish_bulk(rows)
    await connector.publish([rows[0]])
    simulator.settle()
    assert [entry.sku async for entry in connector.catalog()]
    for _ in range(3):
        for delivery in deliveries(simulator.order({rows[0].sku: 1, rows[1].sku: 2})):
            outcome = await connector.send(delivery)
            sent = msgspec.structs.replace(delivery, reference=outcome.reference)
            await connector.probe(sent)
    simulator.feeds.take_time = True
    ship, call_off = deliveries(simulator.order({rows[0].sku: 1}))
    outcome = await connector.send(call_off)
    await connector.send(ship)
    simulator.settle()
    refused = msgspec.structs.replace(call_off, reference=outcome.reference)
    assert (await connector.probe(refused)).kind == "rejected"
    simulator.fault("throttle", "orders")
    with pytest.raises(Retry):
        await connector.poll("orders", None, None)
    for feed in ("orders", "notifications"):
        cursor = None
        while True:
            page = await connector.poll(feed, NOW.replace(year=2025), cursor)
            cursor = page.cursor
            if cursor is None:
                break


async def test_requests_and_answers_are_as_the_models_say(models):
    async with bench(Registry(), "amazon") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        simulator.page_max = 2
        config = {**simulator.config(), "reads_addresses": True, "supply_sources": {"L": "s-1"}}
        await work(made, simulator, made.open(config=config))
        assert check_all(models, simulator) == {
            "patchListingsItem", "getListingsItem", "searchListingsItems", "searchOrders",
            "getOrder", "confirmShipment", "createFeedDocument", "createFeed", "getFeed",
            "getFeedDocument",
        }  # fmt: skip


@pytest.mark.parametrize(
    "file, kind",
    [("OrderChangeNotification", "ORDER_CHANGE"),
     ("ListingsItemMfnQuantityChange", "LISTINGS_ITEM_MFN_QUANTITY_CHANGE")],
)  # fmt: skip
async def test_notifications_are_as_the_models_say(file, kind):
    schema = json.loads((MODELS / "notifications" / f"{file}.json").read_text("utf-8"))
    async with bench(Registry(), "amazon") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        simulator.list_item("A", 9)
        simulator.asks_to_cancel(simulator.order({"A": 1}).number)
        bodies = [json.loads(body) for body in simulator.notifications()]
        told = [body for body in bodies if body["NotificationType"] == kind]
        assert told
        for body in told:
            jsonschema.Draft7Validator(schema).validate(body)
