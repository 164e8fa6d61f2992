"""What is not known yet is waited for, joins by itself, and is shown when it does not come."""

import asyncio
from typing import Any

import pytest

from stockbridge.contracts.commands import ReserveLine, ReserveStock
from stockbridge.contracts.masters import Alias, PutChannel, PutItem, PutLocation
from stockbridge.engine import Command
from stockbridge.engine.inbox.model import Flow
from stockbridge.engine.inbox.reading import put_flow
from stockbridge.store.database import connect
from tests.integration.inbox_desk import SHIPPED, desk, envelope, fact


def aliased(number: str) -> dict:
    named = fact(number) | {"alias": "X:9", "namespace": "shop"}
    return {name: value for name, value in named.items() if name != "sku"}


MISSING: dict[str, tuple[dict, list[str], list[Any]]] = {
    "sku": (fact("PO-1", sku="NEW"), ["sku:NEW"], [PutItem("NEW")]),
    "alias": (
        aliased("PO-1"),
        ["alias:shop:X:9"],
        [PutItem("NEW", aliases=[Alias("shop", "X:9")])],
    ),
    "location": (fact("PO-1", location="W2"), ["location:W2"], [PutLocation("W2")]),
}


@pytest.mark.parametrize("missing", MISSING)
async def test_a_message_is_parked_and_joins_when_the_missing_thing_is_made(dsn, missing):
    data, keys, masters = MISSING[missing]
    async with desk(dsn) as it:
        (parked,) = await it.send(envelope("m1", data))
        await it.settle()
        assert await it.status(parked.message_id) == ("parked", f"unknown_{missing}")
        waiting = await it.rows("SELECT wait_key, message_id FROM parked")
        assert waiting == [(key, parked.message_id) for key in keys]
        assert await it.one("SELECT count(*) FROM movement") == 0
        for body in masters:
            await it.master(body)
        await it.settle(busy="parked")
        assert await it.settle() == {"applied": 1}
        assert await it.one("SELECT count(*) FROM parked") == 0
        assert await it.one("SELECT sum(quantity)::bigint FROM movement") == 5


async def test_a_shipment_before_its_order_joins_when_the_order_comes(dsn):
    shipped = fact("ORD-1", quantity=2) | {"document": {"type": "order", "number": "ORD-1"}}
    async with desk(dsn) as it:
        await it.master(PutChannel("web", sources=["W1"]))
        await it.send(envelope("in"))
        await it.settle()
        (early,) = await it.send(envelope("out", shipped, contract=SHIPPED))
        await it.settle()
        assert await it.status(early.message_id) == ("parked", "unknown_order")
        assert await it.rows("SELECT wait_key FROM parked") == [("order:ORD-1",)]
        order = ReserveStock("web", "ORD-1", [ReserveLine("A", 2)])
        assert (await it.engine.submit(Command(order))).status == 201
        await it.settle(busy="parked")
        assert await it.settle() == {"applied": 2}
        assert await it.available() == 3
        assert await it.one("SELECT sum(reserved)::bigint FROM balance") == 0


async def test_an_unknown_contract_is_waited_for(dsn):
    contract = "io.stockbridge.stock.received.v9"
    async with desk(dsn) as it:
        (parked,) = await it.send(envelope("m1", contract=contract))
        await it.settle()
        assert await it.status(parked.message_id) == ("parked", "unknown_contract")
        assert await it.rows("SELECT wait_key FROM parked") == [(f"contract:{contract}",)]


async def test_a_published_contract_lets_its_messages_join(dsn):
    async with desk(dsn) as it:
        (parked,) = await it.send(envelope("m1", contract="acme.stock.v2"))
        await it.settle()
        publish = (
            "INSERT INTO message_contract (name, version, status, owner_team, schema)"
            " VALUES ('acme.stock', 2, 'active', 'it', '{}') RETURNING 1"
        )
        assert await it.one(publish) == 1
        # Nothing here can read it even now: it is tried again, and waits again.
        attempts = f"SELECT attempts >= 2 FROM message WHERE message_id = {parked.message_id}"
        await it.until(attempts, wanted=True)


async def test_a_message_that_misses_two_things_waits_for_both(dsn):
    async with desk(dsn) as it:
        rows = [fact("PO-1", sku="N1"), fact("PO-2", sku="N2"), fact("PO-3")]
        await it.send(envelope("m1", rows))
        await it.settle()
        assert await it.rows("SELECT wait_key FROM parked ORDER BY 1") == [
            ("sku:N1",), ("sku:N2",),
        ]  # fmt: skip
        assert await it.available() == 5
        await it.master(PutItem("N1"))
        await it.until("SELECT count(*) FROM parked", 1)
        assert await it.one("SELECT status FROM message") == "parked"
        await it.master(PutItem("N2"))
        await it.settle(busy="parked")
        assert await it.settle() == {"applied": 1}
        assert [await it.available(sku) for sku in ("A", "N1", "N2")] == [5, 5, 5]


async def test_waiting_past_the_deadline_is_shown_still_joins_and_closes_the_case(dsn):
    async with desk(dsn) as it:
        async with await connect(dsn) as conn:
            await put_flow(
                conn, "wms", "stock", Flow(park_seconds_max=1, owner_team="inbound"), actor="t"
            )
        await asyncio.sleep(0.2)
        await it.send(*(envelope(f"m{n}", fact(f"PO-{n}", sku="NEW")) for n in range(3)))
        await it.until("SELECT count(*) FROM exception", 1)
        case = await it.rows("SELECT kind, subject, owner_team, cause FROM exception")
        assert case[0][:3] == ("parked_past_deadline", "sku:NEW", "inbound")
        assert case[0][3].startswith("3 messages of wms wait for sku NEW")
        assert await it.settle() == {"parked": 3}
        await it.master(PutItem("NEW"))
        await it.settle(busy="parked")
        assert await it.settle() == {"applied": 3}
        assert await it.one("SELECT resolved_at IS NOT NULL FROM exception")
        assert await it.one("SELECT occurrences FROM exception") == 1


async def _strict(dsn: str, wait_seconds_max: int) -> None:
    async with await connect(dsn) as conn:
        patience = Flow(is_strict=True, wait_seconds_max=wait_seconds_max)
        assert await put_flow(conn, "wms", "stock", patience, actor="t") is None
    await asyncio.sleep(0.2)


async def test_a_strict_flow_waits_for_the_gap_and_then_goes_on_in_order(dsn):
    async with desk(dsn) as it:
        await _strict(dsn, 60)
        order = [1, 2, 5, 4, 7]
        accepted = {n: (await it.send(envelope(f"m{n}", sequence=n)))[0] for n in order}
        await it.settle()
        found = {n: (await it.status(accepted[n].message_id))[0] for n in order}
        assert found == {1: "applied", 2: "applied", 5: "parked", 4: "parked", 7: "parked"}
        assert await it.rows("SELECT DISTINCT wait_key FROM parked") == [("sequence:wms:stock:3",)]
        await it.send(envelope("m3", sequence=3))
        await it.until("SELECT count(*) FROM message WHERE status = 'applied'", 5)
        await it.until("SELECT count(*) FROM parked WHERE wait_key = 'sequence:wms:stock:6'", 1)
        await it.send(envelope("m6", sequence=6), envelope("free"))
        await it.until("SELECT count(*) FROM message WHERE status = 'applied'", 8)
        booked = [
            int(row[0][4:])
            for row in await it.rows(
                "SELECT document_number FROM movement WHERE document_number ~ 'm[0-9]'"
                " ORDER BY movement_id"
            )
        ]
        assert booked == [1, 2, 3, 4, 5, 6, 7]


async def test_a_strict_flow_does_not_wait_for_ever(dsn):
    async with desk(dsn) as it:
        await _strict(dsn, 1)
        await it.send(envelope("m1", sequence=1))
        await it.send(envelope("m3", sequence=3))
        await it.until("SELECT count(*) FROM message WHERE status = 'parked'", 1)
        await it.until("SELECT count(*) FROM message WHERE status = 'applied'", 2)
        cases = await it.rows("SELECT kind, subject FROM exception")
        assert cases == [("sequence_gap", "sequence:wms:stock:2")]


async def test_a_flow_that_is_not_strict_does_not_wait(dsn):
    async with desk(dsn) as it:
        await it.send(*(envelope(f"m{n}", sequence=n) for n in (9, 3, 5)))
        assert await it.settle() == {"applied": 3}


async def test_parked_messages_do_not_keep_others_waiting(dsn):
    async with desk(dsn) as it:
        waiting = [envelope(f"w{n}", fact(f"W-{n}", sku=f"NEW{n}")) for n in range(500)]
        await it.send(*waiting, *(envelope(f"m{n}") for n in range(100)))
        assert await it.settle() == {"applied": 100, "parked": 500}
        assert await it.available() == 500
