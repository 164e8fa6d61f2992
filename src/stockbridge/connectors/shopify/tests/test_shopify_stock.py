"""Shopify's traps about figures, each against the simulator."""

import json

import msgspec
import pytest

from stockbridge.connectors.kit.conformance.bench import kinds
from stockbridge.connectors.kit.simulator import Listed
from stockbridge.connectors.shopify import mapping
from stockbridge.connectors.shopify.selling import CLOSED, LEEDS
from stockbridge.connectors.shopify.tests.acting import row, shop
from stockbridge.contracts.partners.model import LimitSeen, Opened


@pytest.mark.parametrize("hides", [False, True])
async def test_one_bundle_among_250_rows_harms_only_itself(hides):
    async with shop() as (made, simulator):
        rows = [made.row(number, 7) for number in range(1, 251)]
        simulator.bundle(Listed(rows[120].item, rows[120].location))
        simulator.hides_bad_rows = hides
        outcomes = await made.open().publish(rows)
        assert [o.code for o in outcomes if o.kind != "confirmed"] == ["non_mutable_inventory_item"]
        assert outcomes[120].kind == "rejected"
        assert made.done("publish") == 249
        calls = simulator.called("publish")
        assert len(calls) == 2 if not hides else len(calls) <= 17
        keys = {json.loads(call.body)["variables"]["key"] for call in calls}
        assert len(keys) == len(calls)


async def test_a_stale_row_tells_what_is_shown_and_the_others_are_set():
    async with shop() as (made, simulator):
        rows = [made.row(number, 7) for number in (1, 2, 3)]
        simulator.order({"SKU-2": 2})
        outcomes = await made.open().publish(rows)
        assert kinds(outcomes) == ["confirmed", "later", "confirmed"]
        assert (outcomes[1].code, outcomes[1].observed) == ("stale", 3)
        fresh = msgspec.structs.replace(rows[1], previous=3, version=2)
        assert kinds(await made.open().publish([fresh])) == ["confirmed"]


async def test_rows_say_what_they_replace_even_when_that_is_not_known():
    async with shop() as (made, simulator):
        listed = simulator.list_item("MUG", 5)
        assert kinds(await made.open().publish([row(1, listed, 9, None)])) == ["confirmed"]
        sent = json.loads(simulator.called("publish")[0].body)
        quantity = sent["variables"]["input"]["quantities"][0]
        assert quantity["changeFromQuantity"] is None
        assert "@idempotent(key: $key)" in sent["query"]


async def test_the_same_rows_have_the_same_key_and_others_another():
    async with shop() as (made, simulator):
        listed = simulator.list_item("MUG", 5)
        first = row(1, listed, 9)
        again = msgspec.structs.replace(first, previous=4)
        assert mapping.publish_key("s", [first], 0) == mapping.publish_key("s", [first], 0)
        assert mapping.publish_key("s", [first], 0) != mapping.publish_key("s", [again], 0)
        connector = made.open()
        assert kinds(await connector.publish([first])) == ["confirmed"]
        simulator.order({"MUG": 1})
        # Repeated under its key it is answered, and does not put the sold unit back.
        assert kinds(await connector.publish([first])) == ["confirmed"]
        assert simulator.shown(listed) == 8


async def test_a_call_still_running_is_waited_for_with_its_key():
    async with shop() as (made, simulator):
        rows = [made.row(1, 7)]
        simulator.concurrent_calls = 1
        connector = made.open()
        outcome = (await connector.publish(rows))[0]
        assert (outcome.kind, outcome.code, outcome.after_seconds) == ("later", "concurrent", 1.0)
        assert kinds(await connector.publish(rows)) == ["confirmed"]
        keys = {json.loads(c.body)["variables"]["key"] for c in simulator.called("publish")}
        assert len(keys) == 1


async def test_a_key_whose_first_attempt_failed_gives_way_to_another():
    async with shop() as (made, simulator):
        simulator.failed_keys = 2
        assert kinds(await made.open().publish([made.row(1, 7)])) == ["confirmed"]
        assert len(simulator.called("publish")) == 3


async def test_a_key_used_for_something_else_goes_to_a_person():
    async with shop() as (made, simulator):
        update = made.row(1, 7)
        simulator._keys[mapping.publish_key("shop", [update], 0)] = b"other variables"
        outcome = (await made.open().publish([update]))[0]
        assert (outcome.kind, outcome.code) == ("rejected", "idempotency_key_parameter_mismatch")


@pytest.mark.parametrize(
    "place, activates, kind", [(LEEDS, True, "confirmed"), (LEEDS, False, "rejected"),
                               (CLOSED, True, "rejected")],
)  # fmt: skip
async def test_an_item_not_stocked_at_a_location_is_activated_there(place, activates, kind):
    async with shop() as (made, simulator):
        mug, tea = simulator.list_item("MUG", 5), simulator.list_item("TEA", 5)
        elsewhere = Listed(mug.item, place)
        connector = made.open(config={**simulator.config(), "activates": activates})
        seen = await connector.observe([row(1, elsewhere, 4, None)])
        assert seen[0].quantity is None
        assert "not stocked" in seen[0].problem
        outcomes = await connector.publish([row(1, elsewhere, 4, None), row(2, tea, 6)])
        assert kinds(outcomes) == [kind, "confirmed"]
        assert simulator.shown(elsewhere) == (4 if kind == "confirmed" else None)


async def test_what_is_not_tracked_has_no_figure():
    async with shop() as (made, simulator):
        listed = simulator.list_item("MUG", 5)
        simulator.untrack(listed)
        seen = await made.open().observe([row(1, listed, 4)])
        assert (seen[0].quantity, seen[0].problem) == (None, "its inventory is not tracked")
        assert kinds(await made.open().publish([row(1, listed, 4)])) == ["rejected"]


async def test_figures_are_read_by_location():
    async with shop() as (made, simulator):
        mug = simulator.list_item("MUG", 5)
        simulator._items[mug.item]["levels"][LEEDS] = -2
        rows = [row(1, Listed(mug.item, LEEDS), 0), row(2, mug, 0), row(3, simulator.unlisted(), 0)]
        assert [o.quantity for o in await made.open().observe(rows)] == [-2, 5, None]


async def test_answers_tell_the_limits_what_the_bucket_holds():
    async with shop() as (made, simulator):
        heard: list[LimitSeen] = []
        opened = Opened("shop", simulator.config(), simulator.secrets(), "sandbox", heard.append)
        connector = made.registry.open("shopify", opened)
        listed = simulator.list_item("MUG", 5)
        await connector.publish([row(1, listed, 7)])
        seen = heard[-1]
        assert (seen.operation, seen.capacity, seen.per_second) == ("*", 2000, 100)
        assert seen.remaining is not None
        assert 1980 <= seen.remaining < 2000
        assert seen.wait_seconds is None
        simulator.fault("throttle", "publish")
        outcome = (await connector.publish([row(1, listed, 8, 7)]))[0]
        await connector.close()
        assert (outcome.kind, outcome.code, outcome.after_seconds) == ("later", "throttled", 7.0)
        assert (heard[-1].remaining, heard[-1].wait_seconds) == (0, 7.0)


async def test_an_empty_bucket_refills():
    async with shop() as (made, simulator):
        listed = simulator.list_item("MUG", 5)
        connector = made.open()
        await connector.observe([row(1, listed, 7)])
        simulator._points = 4.0
        assert (await connector.publish([row(1, listed, 7)]))[0].code == "throttled"
        simulator.clock.advance(1)
        assert kinds(await connector.publish([row(1, listed, 7)])) == ["confirmed"]


@pytest.mark.parametrize("status", [402, 404, 423])
async def test_a_shop_that_is_away_rejects_nothing(status):
    async with shop() as (made, simulator):
        simulator.status = status
        assert kinds(await made.open().publish([made.row(1, 7)])) == ["later"]


REFUSALS = {
    "good": ({"data": {}}, None),
    "throttled": ({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]},
                  ("later", "throttled")),
    "no scope": ({"errors": [{"message": "no", "extensions": {"code": "ACCESS_DENIED"}}],
                  "data": {"shop": None}}, ("later", "forbidden")),
    "their fault": ({"errors": [{"message": "x", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]},
                    ("unknown", "internal_server_error")),
    "our fault": ({"errors": [{"message": "Field 'x' doesn't exist", "extensions":
                               {"code": "undefinedField"}}]}, ("rejected", "undefinedfield")),
    "words only": ({"errors": "Not Found"}, ("rejected", "graphql")),
    "nothing": ({"data": None}, ("unknown", "no_data")),
    "a list": ([], ("unknown", "unreadable")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_an_answer_at_200(name):
    answer, expected = REFUSALS[name]
    outcome = mapping.refusal(answer, is_idempotent=False)
    assert (outcome and (outcome.kind, outcome.code)) == expected


async def test_the_catalog_has_gtins_and_goes_by_id():
    async with shop() as (made, simulator):
        simulator.page_max = 2
        listed = {simulator.list_item(f"SKU-{n}", 1).item for n in range(5)}
        assert {entry.item async for entry in made.open().catalog()} == listed
        first = simulator.called("catalog")[0]
        assert json.loads(first.body)["variables"]["after"] == "id:>0"
    known = {"sku": "A", "barcode": "4006381333931", "displayName": "Pen",
             "inventoryItem": {"id": "gid://shopify/InventoryItem/7"}}  # fmt: skip
    assert mapping.entry_of(known).gtin == "4006381333931"
    assert mapping.entry_of({**known, "barcode": "SHELF-3"}).gtin == ""


# The connection ----------------------------------------------------------------------------------


async def test_a_token_of_an_older_app_works_too():
    async with shop() as (made, simulator):
        config = {k: v for k, v in simulator.config().items() if k != "client_id"}
        secrets = {**simulator.secrets(), "access_token": simulator.access_token}
        checks = await made.open(config=config, secrets=secrets).test()
        assert all(check.is_good for check in checks)
        assert not simulator.called("token")
        wrong = await made.open(config=config, secrets={**secrets, "access_token": "no"}).test()
        assert not wrong[0].is_good
        assert "credentials" in wrong[0].fix


async def test_wrong_credentials_are_found():
    async with shop() as (made, _simulator):
        checks = await made.open(secrets={"client_secret": "shpss_no"}).test()
        assert not checks[0].is_good
        assert checks[0].fix


@pytest.mark.parametrize(
    "name, fix",
    [("scopes", "read_inventory"), ("locations", "65536001 (London)"), ("version", "api_version")],
)
async def test_a_wrong_setting_names_its_fix(name, fix):
    async with shop() as (made, simulator):
        config = simulator.config()
        if name == "scopes":
            simulator.scopes.remove("write_inventory")
        elif name == "locations":
            config["locations"] = {"BRISTOL": CLOSED}
        else:
            simulator.served_version = "2027-01"
        checks = {check.name: check for check in await made.open(config=config).test()}
        assert [c.name for c in checks.values() if not c.is_good] == [name]
        assert fix in checks[name].fix


@pytest.mark.parametrize("theirs, count", [("65536001", 0), ("gid://shopify/Location/1", 1)])
def test_a_location_is_a_number(theirs, count):
    assert len(mapping.faults({"locations": {"LONDON": theirs}})) == count
