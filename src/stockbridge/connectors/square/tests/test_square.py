"""Square's traps, each against the simulator."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stockbridge.connectors.kit.canonical import parsed, rfc3339
from stockbridge.connectors.kit.conformance.bench import Bench, bench, events_of, kinds
from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.square import mapping
from stockbridge.connectors.square.simulator import Simulator
from stockbridge.contracts.partners.model import Delivery, StockUpdate
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment, ToldLine

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@contextlib.asynccontextmanager
async def seller() -> AsyncIterator[tuple[Bench, Simulator]]:
    async with bench(Registry(), "square") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        yield made, simulator


def owed(payload: Any) -> Delivery:
    name = "confirm_shipment" if isinstance(payload, ConfirmShipment) else "cancel_order"
    return Delivery(1, name, "order:1", "0", "c", 1, payload)


async def test_a_sale_between_reading_and_counting_is_not_lost():
    """A register sells after the figure was read and before the count arrives."""
    async with seller() as (_made, simulator):
        listed = simulator.list_item("MUG", 5)
        read_at = simulator.clock.now()
        simulator.ring_up({"MUG": 2})
        update = StockUpdate(1, "MUG", listed.item, listed.location, 9, 1, 5)
        simulator._count(mapping.change_of(update, rfc3339(read_at))["physical_count"])
        assert simulator.shown(listed) == 7


@pytest.mark.parametrize("hours, is_taken", [(0, True), (23, True), (25, False), (-1, False)])
async def test_a_count_of_another_day_is_refused(hours, is_taken):
    async with seller() as (_made, simulator):
        listed = simulator.list_item("MUG", 5)
        when = rfc3339(simulator.clock.now() - timedelta(hours=hours))
        count = mapping.change_of(StockUpdate(1, "MUG", listed.item, "", 9, 1), when)
        assert (simulator._fault_of(count["physical_count"]) is None) is is_taken


async def test_a_clock_of_ours_that_runs_ahead_is_corrected(monkeypatch):
    async with seller() as (made, simulator):
        listed = simulator.list_item("MUG", 5)
        simulator.clock.advance(-7_200)
        simulator._happened[listed.item] = [(simulator.clock.now(), "count", 5)]
        original = simulator._counts

        async def dated(request):
            response = await original(request)
            now = simulator.clock.now()
            response.headers["date"] = now.strftime("%a, %d %b %Y %H:%M:%S GMT")
            return response

        monkeypatch.setattr(simulator, "_counts", dated)
        simulator.stop()
        simulator.start()
        update = StockUpdate(1, "MUG", listed.item, listed.location, 9, 1, 5)
        assert kinds(await made.open().publish([update])) == ["confirmed"]


async def test_one_bad_change_is_left_out_and_the_others_sent_again():
    async with seller() as (made, simulator):
        rows = [made.row(number, 7) for number in (1, 2, 3)]
        simulator.rejected[rows[1].item] = "forbidden"
        outcomes = await made.open().publish(rows)
        assert kinds(outcomes) == ["confirmed", "rejected", "confirmed"]
        keys = [parsed(call.body)["idempotency_key"] for call in simulator.called("publish")]
        assert len(set(keys)) == len(keys) == 2


async def test_the_same_key_with_another_body_is_refused_there():
    rows = [StockUpdate(1, "MUG", "V", "L", 9, 1, 5)]
    one, two = (mapping.batch_of(rows, rfc3339(NOW + timedelta(seconds=s))) for s in (0, 1))
    assert one["idempotency_key"] != two["idempotency_key"]


async def test_an_order_changed_meanwhile_is_read_again():
    async with seller() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 2})
        original, edits = simulator._change, list[str]()

        async def raced(request):
            if not edits:
                edits.append(ordered.number)
                simulator.edit(ordered.number)
            return await original(request)

        simulator._change = raced  # type: ignore[method-assign]
        simulator.stop()
        simulator.start()
        lines = [ToldLine(ordered.lines[0].line, "MUG", 2)]
        parcel = ConfirmShipment(ordered.number, "P1", lines, NOW, "LEEDS", "DPD", "1550")
        assert (await made.open().send(owed(parcel))).kind == "confirmed"
        assert len(simulator.called("confirm_shipment")) == 2
        assert made.done("confirm_shipment") == 1


async def test_the_last_parcel_completes_the_fulfillment():
    async with seller() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 3})
        connector, states = made.open(), []
        for number, units in enumerate((1, 2)):
            lines = [ToldLine(ordered.lines[0].line, "MUG", units)]
            parcel = ConfirmShipment(ordered.number, f"P{number}", lines, NOW, "LEEDS", "DPD", "1")
            await connector.send(owed(parcel))
            states.append(simulator._orders[ordered.number]["fulfillments"][0]["state"])
        assert states == ["PROPOSED", "COMPLETED"]


async def test_a_part_of_an_order_needs_a_person():
    async with seller() as (made, simulator):
        simulator.list_item("MUG", 9)
        ordered = simulator.order({"MUG": 3})
        lines = [ToldLine(ordered.lines[0].line, "MUG", 1)]
        outcome = await made.open().send(
            owed(CancelOrder(ordered.number, "C1", lines, NOW, "LOST"))
        )
        assert (outcome.kind, outcome.code) == ("rejected", "partial_cancel")


async def test_what_happens_at_the_register_is_polled():
    async with seller() as (made, simulator):
        simulator.list_item("MUG", 9)
        sale, back = simulator.ring_up({"MUG": 2}), simulator.give_back({"MUG": 1})
        page = await made.open().poll("orders", None, None)
        config = {**simulator.config(), "system": "shop"}
        found = {}
        for message in page.messages:
            events = mapping.decode("order", message.body, config)
            found[message.message_id.split("/")[1]] = [event.type for event in events_of(events)]
        assert found == {sale: [mapping.PLACED, mapping.SHIPPED], back: [mapping.RETURNED]}


async def test_a_location_that_is_not_theirs_is_named():
    async with seller() as (made, simulator):
        config = {**simulator.config(), "locations": {"LEEDS": "LNONE"}}
        check = (await made.open(config=config).test())[-1]
        assert not check.is_good
        assert "LNONE" in check.detail
        assert "L88917AVBK2S5" in check.fix


def test_a_long_package_id_fits_the_metadata():
    assert len(mapping.package_key("P" * 128)) <= 60
    assert mapping.package_key("P" * 128) != mapping.package_key("P" * 127)
