"""Masters through their handlers: refusals as fully as successes, and nothing changed by them."""

from datetime import UTC, datetime

import psycopg
import pytest

from stockbridge.contracts.masters import (
    Alias,
    ChangeItem,
    ChangeLocation,
    KitComponent,
    PutChannel,
    PutItem,
    PutLocation,
    PutOrderFlow,
    PutPolicy,
    PutReasonCode,
    PutSystem,
    UnitOfMeasure,
)
from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.masters.handlers import HANDLERS, move_system
from stockbridge.domain.masters.model import Context
from stockbridge.kernel.errors import Refusal

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONTEXT = Context("ada", "corr-1", NOW)
TABLES = (
    "item", "item_uom", "item_alias", "kit_component", "item_lock", "system", "location",
    "channel", "channel_source", "policy", "reason_code", "masters_epoch",
)  # fmt: skip

WORLD = (
    PutSystem("erp", "erp"),
    PutSystem("shop", "storefront", connector="generic", config={"url": "x"}, operations=["a"]),
    PutLocation("MAIN", authority="erp", time_zone="Europe/London"),
    PutLocation("EAST"),
    PutChannel("web", system="erp", sources=["EAST", "MAIN"]),
    PutItem("A", uoms=[UnitOfMeasure("CS", 12)], aliases=[Alias("erp", "a-1")]),
    PutItem("B", standard_cost="1.25"),
    PutItem("KIT", components=[KitComponent("A", 2), KitComponent("B", 1)]),
    PutPolicy("web", kind="percent", percent=50),
)


async def put(conn, body, context=CONTEXT):
    async with conn.transaction():
        return await HANDLERS[type(body)](conn, body, context)


async def dump(conn):
    rows = {}
    for table in TABLES:
        cursor = await conn.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
        rows[table] = await cursor.fetchall()
    return rows


@pytest.fixture
async def conn(dsn):
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as opened:
        for body in WORLD:
            assert (await put(opened, body))[0] == 201
        yield opened


async def stock(conn, sku):
    await conn.execute(
        "INSERT INTO balance (item_id, location_id, available)"
        " SELECT item_id, 1, 5 FROM item WHERE sku = %s",
        [sku],
    )


REFUSALS = [
    # body, SKU that gets stock before, status, code, bad rows as (index, field)
    (PutItem("C", components=[KitComponent("A", 1), KitComponent("Z", 1)]), None, 422,
     "unknown_sku", [(1, "components")]),
    (PutItem("C", components=[KitComponent("KIT", 1)]), None, 422, "kit_of_kits",
     [(0, "components")]),
    (PutItem("C", components=[KitComponent("C", 1)]), None, 422, "kit_of_kits",
     [(0, "components")]),
    (PutItem("A", components=[KitComponent("B", 1)]), None, 422, "kit_of_kits", []),
    (PutItem("C", components=[KitComponent("A", 1), KitComponent("A", 2)]), None, 422,
     "duplicate_component", [(1, "components")]),
    (PutItem("KIT", components=[KitComponent("B", 1)]), "KIT", 409, "kit_holds_stock", []),
    (PutItem("B", base_uom="KG"), "B", 409, "base_unit_in_use", []),
    (ChangeItem("B", base_uom="KG"), "B", 409, "base_unit_in_use", []),
    (PutItem("C", aliases=[Alias("x", "1"), Alias("erp", "a-1")]), None, 409, "alias_taken",
     [(1, "aliases")]),
    (PutItem("C", aliases=[Alias("x", "1"), Alias("x", "1")]), None, 422, "duplicate_alias",
     [(1, "aliases")]),
    (PutItem("C", uoms=[UnitOfMeasure("CS", 6), UnitOfMeasure("CS", 8)]), None, 422,
     "duplicate_uom", [(1, "uoms")]),
    (PutItem("C", uoms=[UnitOfMeasure("EA", 6)]), None, 422, "base_unit_factor", [(0, "uoms")]),
    (PutLocation("WEST", authority="sap"), None, 422, "unknown_system", [(0, "authority")]),
    (PutLocation("WEST", time_zone="Mars/Base"), None, 422, "unknown_time_zone",
     [(0, "time_zone")]),
    (PutLocation("WEST", time_zone="../etc/passwd"), None, 422, "unknown_time_zone",
     [(0, "time_zone")]),
    (PutChannel("pos", sources=["MAIN", "NOWHERE"]), None, 422, "unknown_location",
     [(1, "sources")]),
    (PutChannel("pos", sources=["MAIN", "MAIN"]), None, 422, "duplicate_location",
     [(1, "sources")]),
    (PutChannel("pos", system="sap"), None, 422, "unknown_system", [(0, "system")]),
    (PutSystem("wms", "wms", lifecycle="live"), None, 409, "lifecycle_step_not_allowed", []),
    (PutSystem("erp", "erp", lifecycle="certified"), None, 409, "lifecycle_step_not_allowed", []),
    (PutPolicy("shop"), None, 422, "unknown_channel", [(0, "channel")]),
    (PutPolicy("web", sku="Z"), None, 422, "unknown_sku", [(0, "sku")]),
    (PutPolicy("web", floor=5, cap=4), None, 422, "floor_above_cap", []),
    (PutPolicy("web", percent=40), None, 422, "percent_without_kind", []),
    (PutPolicy("web", stale_buffer_units=4), None, 422, "stale_buffer_without_action", []),
]  # fmt: skip


@pytest.mark.parametrize("body,stocked,status,code,rows", REFUSALS)
async def test_refused_and_nothing_changed(conn, body, stocked, status, code, rows):
    if stocked:
        await stock(conn, stocked)
    before = await dump(conn)
    answer = await put(conn, body)
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.code) == (status, code)
    assert [(error["index"], error["field"]) for error in answer.errors] == rows
    assert await dump(conn) == before


async def test_a_change_leaves_alone_what_it_does_not_say(conn):
    put_first = PutItem("A", gtin="12345670", standard_cost="2", attributes={"color": "blue"})
    _, before = await put(conn, put_first)
    change = ChangeItem("A", description="Mug", standard_cost="2.5", attributes={"price": "9"})
    status, after = await put(conn, change)
    assert status == 200
    assert {name for name in after if after[name] != before[name]} == {
        "description", "standard_cost", "attributes",
    }  # fmt: skip
    assert after["attributes"] == {"color": "blue", "price": "9"}
    assert after["aliases"] == [{"namespace": "erp", "alias": "a-1"}]
    status, made = await put(conn, ChangeItem("NEW", status="discontinued"))
    assert (status, made["status"], made["base_uom"]) == (201, "discontinued", "EA")


async def test_a_location_changes_in_what_is_said(conn):
    status, document = await put(conn, ChangeLocation("MAIN", name="Main hall"))
    assert (status, document["name"], document["authority"]) == (200, "Main hall", "erp")
    assert document["time_zone"] == "Europe/London"


async def test_the_base_unit_may_change_until_the_item_is_used(conn):
    status, document = await put(conn, PutItem("B", base_uom="KG"))
    assert (status, document["base_uom"]) == (200, "KG")
    await conn.execute(
        "INSERT INTO movement (movement_id, batch_id, kind, item_id, location_id, from_account,"
        " to_account, quantity, occurred_at, recorded_at, document_type, document_number,"
        " document_line, correlation_id) SELECT 1, 1, 1, item_id, 1, 20, 1, 1, now(), now(),"
        " 'x', 'x', '1', '' FROM item WHERE sku = 'B'"
    )
    answer = await put(conn, PutItem("B", base_uom="EA"))
    assert isinstance(answer, Refusal)
    assert answer.code == "base_unit_in_use"


async def test_an_item_keeps_the_lists_left_out_and_clears_the_empty_ones(conn):
    status, document = await put(conn, PutItem("A", description="new"))
    assert status == 200
    assert document["uoms"] == [{"uom": "CS", "numerator": 12, "denominator": 1}]
    assert document["aliases"] == [{"namespace": "erp", "alias": "a-1"}]
    assert document["correlation_id"] == "corr-1"
    _, document = await put(conn, PutItem("A", uoms=[], aliases=[]))
    assert (document["uoms"], document["aliases"]) == ([], [])


async def test_every_item_has_its_lock_row(conn):
    cursor = await conn.execute("SELECT count(*) FROM item LEFT JOIN item_lock l USING (item_id)"
                                " WHERE l.item_id IS NULL")  # fmt: skip
    assert await cursor.fetchone() == (0,)


async def test_a_system_goes_through_its_lifecycle(conn):
    for lifecycle in ("testing", "certified", "live", "suspended", "live", "retired"):
        status, document = await put(conn, PutSystem("erp", "erp", lifecycle=lifecycle))
        assert (status, document["lifecycle"]) == (200, lifecycle)
    assert isinstance(await put(conn, PutSystem("erp", "erp", lifecycle="live")), Refusal)


async def test_a_system_with_a_connector_is_certified_only_by_its_steps(conn):
    def shop(**more):
        return PutSystem("shop", "storefront", connector=more.pop("connector", "generic"), **more)

    status, document = await put(conn, shop(lifecycle="testing", environment="sandbox"))
    named = ("connector", "config", "environment", "operations", "lifecycle")
    assert [status, *map(document.get, named)] == [200, "generic", {}, "sandbox", [], "testing"]
    steps = [
        # what is done                   status  lifecycle after or code
        (shop(lifecycle="certified"),    409, "test_needed"),
        ("activate",                     409, "lifecycle_step_not_allowed"),
        (shop(connector="other"),        200, "testing"),
        (shop(),                         200, "testing"),
        ("certify",                      200, "certified"),
        ("certify",                      409, "lifecycle_step_not_allowed"),
        (shop(lifecycle="live"),         409, "test_needed"),
        (shop(connector="other"),        409, "connector_in_use"),
        ("activate",                     200, "live"),
        (shop(config={"url": "y"}),      200, "live"),
        ("suspend",                      200, "suspended"),
        ("resume",                       200, "live"),
        (shop(lifecycle="suspended"),    200, "suspended"),
        (shop(lifecycle="live"),         200, "live"),
        ("retire",                       200, "retired"),
        ("retire",                       409, "lifecycle_step_not_allowed"),
    ]  # fmt: skip
    for done, status, after in steps:
        if isinstance(done, str):
            async with conn.transaction():
                answer = await move_system(conn, "shop", done, CONTEXT)
        else:
            answer = await put(conn, done)
        told = (
            (answer.status, answer.code)
            if isinstance(answer, Refusal)
            else (answer[0], answer[1]["lifecycle"])
        )
        assert told == (status, after), done
    refused = await move_system(conn, "none", "retire", CONTEXT)
    assert isinstance(refused, Refusal)
    assert refused.code == "unknown_system"


async def test_policies_are_versions(conn):
    _, document = await put(conn, PutPolicy("web", buffer_units=3))
    assert (document["version"], document["author"]) == (2, "ada")
    _, document = await put(conn, PutPolicy("web", sku="A", cap=9))
    assert (document["version"], document["effective_from"]) == (1, NOW.isoformat())
    masters = Masters()
    await masters.reload(conn)
    channel = masters.channels["web"]
    await masters.fetch(conn, ["A"])
    assert channel.policy_at(NOW).buffer_units == 3
    assert channel.policy_at(NOW, masters.items["A"].item_id).cap == 9
    assert [policy.version for policy in channel.policies] == [1, 2]


async def test_every_change_bumps_the_epoch_and_tells_it(dsn, conn):
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as listener:
        await listener.execute("LISTEN stockbridge_masters")
        masters = Masters()
        await masters.reload(conn)
        await put(conn, PutReasonCode("OTHER"))
        async for notice in listener.notifies(timeout=5, stop_after=1):
            assert int(notice.payload) == masters.epoch + 1


async def test_the_cache_fetches_what_is_missing_with_components(conn):
    masters = Masters()
    await masters.reload(conn)
    await masters.fetch(conn, ["KIT", "nope"], [("erp", "a-1"), ("erp", "nope")])
    a, kit = masters.items["A"], masters.items["KIT"]
    assert sorted(masters.items) == ["A", "B", "KIT"]
    assert masters.aliases == {("erp", "a-1"): a.item_id}
    assert kit.components == ((a.item_id, 2), (masters.items["B"].item_id, 1))
    assert (a.uoms, masters.items["B"].standard_cost) == ({"CS": (12, 1)}, "1.250000")
    assert [masters.locations_by_id[i].code for i in masters.channels["web"].sources] == [
        "EAST", "MAIN",
    ]  # fmt: skip


async def test_the_cache_is_bounded_and_keeps_what_is_asked(conn):
    for n in range(20):
        await put(conn, PutItem(f"N{n}"))
    masters = Masters(items_max=5)
    await masters.reload(conn)
    for n in range(20):
        await masters.fetch(conn, ["KIT", f"N{n}"])
        assert {"KIT", "A", "B", f"N{n}"} <= set(masters.items)
        assert len(masters.items) <= 5 + 4  # the bound, and what one fetch may add
    assert set(masters.items) == {item.sku for item in masters.items_by_id.values()}


# Order flows ----------------------------------------------------------------------------------
async def test_an_order_flow_is_versioned_and_the_newest_is_in_force(conn):
    first = await put(conn, PutOrderFlow("web", erp="erp"))
    second = await put(conn, PutOrderFlow("web", release="manual", needs_payment=True))
    assert [first[1]["version"], second[1]["version"]] == [1, 2]
    masters = Masters()
    await masters.reload(conn)
    flow = masters.channels["web"].flow
    assert (flow.version, flow.erp, flow.release, flow.needs_payment) == (2, None, "manual", True)


async def test_an_order_flow_names_a_channel_and_a_system_that_exist(conn):
    for body, code in (
        (PutOrderFlow("nowhere"), "unknown_channel"),
        (PutOrderFlow("web", erp="none"), "unknown_system"),
    ):
        refused = await put(conn, body)
        assert isinstance(refused, Refusal)
        assert refused.code == code
