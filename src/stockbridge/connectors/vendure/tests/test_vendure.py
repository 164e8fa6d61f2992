"""Vendure's traps against the simulator; tests/scenarios tells the same stories to a real shop."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockbridge.connectors.kit.conformance.bench import Bench, bench, kinds
from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.vendure import mapping
from stockbridge.connectors.vendure.simulator import Simulator
from stockbridge.connectors.vendure.tests.stories import STORIES, Desk
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import Outcome, StockUpdate

SETTINGS = {"trackInventory": True, "outOfStockThreshold": 0}
CONFIG = {"channel": "webshop", "system": "shop"}


@contextlib.asynccontextmanager
async def shop() -> AsyncIterator[tuple[Bench, Simulator]]:
    async with bench(Registry(), "vendure") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        yield made, simulator


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_story_is_true_of_the_simulator(story):
    async with shop() as (made, simulator):
        await story(Desk(simulator, made.open(), "MUG"))


def variant(*levels: tuple[str, int, int], **fields):
    rows = [
        {"stockLocationId": place, "stockOnHand": on_hand, "stockAllocated": allocated}
        for place, on_hand, allocated in levels
    ]
    plain = {"trackInventory": "INHERIT", "useGlobalOutOfStockThreshold": True}
    return {"id": "4", **plain, "outOfStockThreshold": 0, "stockLevels": rows, **fields}


OWN = {"useGlobalOutOfStockThreshold": False}


@pytest.mark.parametrize(
    "given, settings, expected",
    [
        (variant(("1", 10, 3)), {}, 7),
        (variant(("1", 10, 3), ("2", 4, 1)), {}, 10),
        (variant(("1", 10, 3)), {"outOfStockThreshold": 2}, 5),
        (variant(("1", 10, 3), outOfStockThreshold=4, **OWN), {"outOfStockThreshold": 2}, 3),
        (variant(("1", 10, 3), outOfStockThreshold=-4, **OWN), {}, 11),
        (variant(), {}, 0),
        (variant(("1", 2, 5)), {}, -3),
        (variant(("1", 10, 3), trackInventory="FALSE"), {}, None),
        (variant(("1", 10, 3)), {"trackInventory": False}, None),
        (variant(("1", 10, 3), trackInventory="TRUE"), {"trackInventory": False}, 7),
    ],
)
def test_what_may_be_sold(given, settings, expected):
    assert mapping.saleable(given, SETTINGS | settings) == expected


@pytest.mark.parametrize(
    "levels, figure, expected",
    [
        ([("1", 10, 3)], 7, 10),
        ([("1", 10, 3)], 0, 3),
        ([("1", 10, 3), ("2", 4, 0)], 8, 7),
        ([("2", 4, 0)], 9, 5),
        ([], 9, 9),
        ([("1", 2, 0), ("2", 4, 0)], 1, "stock_elsewhere"),
    ],
)
def test_what_is_written_so_that_the_figure_may_be_sold(levels, figure, expected):
    update = StockUpdate(1, "MUG", "4", "", figure, 1)
    plan = mapping.planned(update, variant(*levels), SETTINGS, "1")
    assert (plan.code if isinstance(plan, Outcome) else plan) == expected


@pytest.mark.parametrize(
    "before, more, is_newer",
    [
        ("2026-11-20T09:00:00.000Z", 0, False),
        ("2026-11-20T09:00:00.000Z", 1, True),
        ("2026-11-20T09:00:01.000Z", 0, True),
    ],
)
def test_a_change_of_lines_within_a_second_is_newer(before, more, is_newer):
    first = {"updatedAt": "2026-11-20T09:00:00.000Z", "modifications": 0}
    second = {"updatedAt": before, "modifications": more}
    assert (mapping._version(second) > mapping._version(first)) is is_newer


@pytest.mark.parametrize(
    "payments, paid_at",
    [
        ([("Settled", "10:00"), ("Declined", "11:00")], "10:00"),
        ([("Settled", "10:00"), ("Settled", "12:00")], "12:00"),
        ([("Settled", "10:00"), ("Authorized", "12:00")], ""),
        ([], "09:00"),
    ],
)
def test_when_an_order_is_paid(payments, paid_at):
    day = "2026-11-20T"
    order = {
        "orderPlacedAt": f"{day}09:00:00Z",
        "payments": [{"state": state, "createdAt": f"{day}{at}:00Z"} for state, at in payments],
    }
    assert mapping._paid_at(order) == (f"{day}{paid_at}:00Z" if paid_at else "")


@pytest.mark.parametrize(
    "kept, expected",
    [
        ({"state": "Cancelled", "lines": [("1", 2)], "off": []}, ["cancelled", "placed"]),
        ({"state": "Cancelled", "lines": [("1", 0)], "off": [("ours", 2)]}, ["placed"]),
        ({"state": "Cancelled", "lines": [("1", 1)], "off": [("ours", 1)]},
         ["cancelled", "placed"]),
        ({"state": "Cancelled", "lines": [("1", 0)], "off": [("ours", 1), ("", 1)]},
         ["cancelled", "placed"]),
        ({"state": "Shipped", "lines": [("1", 1)], "off": [("", 1)]}, ["placed", "cancelled"]),
        ({"state": "Modifying", "lines": [("1", 2)], "off": []}, ["placed"]),
        ({"state": "AddingItems", "lines": [("1", 2)], "off": []}, []),
    ],
)  # fmt: skip
def test_what_an_order_tells(kept, expected):
    names = {"ours": "LOST (stockbridge X-1)", "": ""}
    order = {
        "id": "1", "code": "X", "state": kept["state"],
        "orderPlacedAt": "2026-11-20T09:00:00.000Z", "updatedAt": "2026-11-20T09:00:00.000Z",
        "lines": [{"id": line, "quantity": n, "productVariant": {"id": "4", "sku": "MUG"}}
                  for line, n in kept["lines"]],
        "history": {"items": [
            {"id": str(place), "data": {"reason": names[name],
                                        "lines": [{"orderLineId": 1, "quantity": n}]}}
            for place, (name, n) in enumerate(kept["off"])
        ]},
    }  # fmt: skip
    events: Any = mapping.decode("order", mapping.incoming(order).body, CONFIG)
    assert not isinstance(events, Undecodable)
    assert [event.type.split(".")[3] for event in events] == expected


STEPS = st.lists(
    st.tuples(st.sampled_from(["sell", "call_off", "ship"]), st.integers(1, 9)), max_size=6
)


@given(st.integers(0, 50), st.integers(0, 20), st.integers(-5, 5), st.integers(0, 60), STEPS)
def test_whatever_happens_between_reading_and_writing_nothing_sold_is_put_back(
    on_hand, allocated, threshold, figure, steps
):
    """Right, or told as wrong: a row that is not stale shows the figure less what was sold."""
    of = {"trackInventory": True, "outOfStockThreshold": threshold}
    update = StockUpdate(1, "MUG", "4", "", figure, 1)
    written = mapping.planned(update, variant(("1", on_hand, allocated)), of, "1")
    assert isinstance(written, int)
    sold = 0
    for what, units in steps:
        if what == "sell":
            allocated, sold = allocated + units, sold + units
        else:
            # A parcel lowers on hand too, which is what is overwritten.
            allocated -= min(units, allocated)
    answer = variant(("1", written, allocated))
    outcome, shown = mapping.after(update, answer, of), mapping.saleable(answer, of)
    assert shown is not None
    is_stale = outcome.code == "stale"
    assert is_stale == (shown > figure)
    assert outcome.observed == (shown if is_stale else None)
    if all(what == "sell" for what, _ in steps):
        assert (is_stale, shown) == (False, figure - sold)


async def test_what_was_not_applied_is_not_taken_for_done():
    update = StockUpdate(1, "MUG", "4", "", 7, 1, 5)
    shown = [variant(("1", n, 0)) for n in (7, 5, 6, 9)]
    found = [mapping.after(update, each, SETTINGS) for each in [*shown, None]]
    assert kinds(found) == ["confirmed", "accepted", "confirmed", "later", "unknown"]


@pytest.mark.parametrize(
    "wrong, check",
    [
        ({"permissions": ["Authenticated", "ReadCatalog"]}, "permissions"),
        ({"settings": {"trackInventory": True, "outOfStockThreshold": -3}}, "backorders"),
    ],
)
async def test_the_check_names_what_is_wrong_in_the_shop(wrong, check):
    async with shop() as (made, simulator):
        for name, value in wrong.items():
            setattr(simulator, name, value)
        found = [each for each in await made.open().test() if not each.is_good]
        assert [each.name for each in found] == [check]
        assert found[0].fix


@pytest.mark.parametrize("field", ["stock_location", "channel_token"])
async def test_what_is_not_theirs_is_named(field):
    """A shop with one channel answers as that one, whatever token it is given."""
    async with shop() as (made, simulator):
        config = {**simulator.config(), field: "7"}
        found = [each for each in await made.open(config=config).test() if not each.is_good]
        assert [each.name for each in found] == [field]
        assert field in found[0].fix


async def test_a_fulfillment_that_did_not_get_to_ship_is_not_made_twice():
    async with shop() as (made, simulator):
        desk = Desk(simulator, made.open(), "MUG")
        ordered = await desk.order(2)
        simulator.fault("fail_before", "ship")
        assert (await desk.ship(ordered, "P1", 2)).kind == "later"
        assert simulator.state(ordered.number) == "PaymentSettled"
        assert (await desk.ship(ordered, "P1", 2)).kind == "confirmed"
        assert (made.done("confirm_shipment"), simulator.state(ordered.number)) == (1, "Shipped")
