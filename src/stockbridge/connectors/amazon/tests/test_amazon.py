"""Amazon's traps, each against the simulator."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stockbridge.connectors.amazon import mapping
from stockbridge.connectors.amazon.limits import limit_seen
from stockbridge.connectors.amazon.tests.stores import events_of, everything, store
from stockbridge.connectors.kit.conformance.bench import kinds
from stockbridge.connectors.kit.outcomes import Reply
from stockbridge.contracts.partners.model import Bulky, Delivery, StockUpdate
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment, ToldLine

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def owed(operation: str, payload: Any, reference: str = "") -> Delivery:
    return Delivery(1, operation, "order:1", "0", "c", 1, payload, reference)


def parcel(ordered: Any, **other: Any) -> ConfirmShipment:
    lines = [ToldLine(line.line, line.sku, line.quantity) for line in ordered.lines]
    said = {"carrier": "ups", "tracking": "1Z1", **other}
    return ConfirmShipment(ordered.number, "P1", lines, NOW, "LONDON", **said)


def calling_off(ordered: Any, lines: int = 9, less: int = 0) -> CancelOrder:
    told = [ToldLine(line.line, line.sku, line.quantity - less) for line in ordered.lines[:lines]]
    return CancelOrder(ordered.number, "C1", told, NOW, "LOST")


# Figures -------------------------------------------------------------------------------------


async def test_merge_keeps_the_lead_time_and_names_the_channel():
    async with store() as (made, simulator):
        row = made.row(1, 7)
        assert kinds(await made.open().publish([row])) == ["accepted"]
        assert simulator.availability(row.item) == {
            "fulfillment_channel_code": "DEFAULT",
            "quantity": 7,
            "lead_time_to_ship_max_days": 3,
        }


async def test_invalid_is_a_refusal_though_it_is_a_200():
    async with store() as (made, simulator):
        row = made.row(1, 7)
        simulator.rejected[row.item] = "90220"
        outcome = (await made.open().publish([row]))[0]
        assert (outcome.kind, outcome.code) == ("rejected", "90220")
        assert "fulfillment_availability" in outcome.detail
        assert simulator.called("publish")[0].status == 200


async def test_accepted_is_not_applied_and_an_issue_comes_later():
    async with store() as (made, simulator):
        simulator.holds = True
        connector, row = made.open(), made.row(1, 7)
        assert kinds(await connector.publish([row])) == ["accepted"]
        simulator.finds_wrong(row.item, "18447", "not allowed here")
        seen = (await connector.observe([row]))[0]
        assert (seen.quantity, seen.problem.startswith("18447: not allowed")) == (5, True)
        simulator.settle()
        assert (await connector.observe([row]))[0].quantity == 7


async def test_what_amazon_ships_is_neither_listed_nor_given_a_second_channel():
    async with store() as (made, simulator):
        simulator.list_at_amazon("FBA")
        simulator.list_item("OURS", 3)
        connector = made.open()
        entries = [entry async for entry in connector.catalog()]
        assert [(e.sku, e.attributes) for e in entries] == [("OURS", {"product_type": "LUGGAGE"})]
        row = StockUpdate(1, "FBA", "FBA", "", 3, 1)
        assert (await connector.observe([row]))[0].quantity is None


async def test_a_search_ends_after_a_thousand_and_is_gone_on_with():
    async with store() as (made, simulator):
        simulator.search_max, simulator.page_max = 5, 2
        skus = {f"S{number:02}" for number in range(17)}
        for sku in skus:
            simulator.list_item(sku, 1)
        found = [entry.sku async for entry in made.open().catalog()]
        assert (set(found), len(found)) == (skus, 17)


async def test_a_page_token_of_a_search_dies_and_nothing_is_missed():
    async with store() as (made, simulator):
        simulator.page_max, simulator.page_token_seconds = 2, 30
        for number in range(7):
            simulator.list_item(f"S{number}", 1)
        found = []
        async for entry in made.open().catalog():
            found.append(entry.sku)
            simulator.clock.advance(20)
        assert found == [f"S{number}" for number in range(7)]


# Feeds ---------------------------------------------------------------------------------------


async def test_a_feed_is_uploaded_without_our_token_and_applied_later():
    async with store() as (made, simulator):
        rows = [made.row(number, 40 + number) for number in range(1, 61)]
        simulator.rejected[rows[3].item] = "90220"
        connector: Bulky = made.open()  # type: ignore[assignment]
        outcomes = await connector.publish_bulk(rows)
        assert set(kinds(outcomes)) == {"accepted"}
        upload = simulator.called("upload")[0]
        assert "x-amz-access-token" not in upload.headers
        feed = json.loads(upload.body)
        assert feed["header"] == {"sellerId": "A3TH9S8BH6GOGM", "version": "2.0"}
        assert [m["messageId"] for m in feed["messages"]] == list(range(1, 61))
        assert made.shown(rows) == [5] * 60
        simulator.settle()
        assert made.shown(rows) == [5 if n == 4 else 40 + n for n in range(1, 61)]
        assert simulator.availability(rows[0].item)["lead_time_to_ship_max_days"] == 3


@pytest.mark.parametrize("step", ["feed_document", "upload"])
async def test_what_fails_before_the_feed_is_made_did_nothing(step):
    async with store() as (made, simulator):
        rows = [made.row(1, 9)]
        connector: Bulky = made.open()  # type: ignore[assignment]
        for fault in ("fail_after", "drop_after"):
            simulator.fault(fault, step)
            assert kinds(await connector.publish_bulk(rows)) == ["later"]
        assert not simulator.called("publish_bulk")


async def test_a_feed_that_got_no_answer_is_in_doubt_and_holds_its_listings():
    async with store() as (made, simulator):
        row = made.row(1, 9)
        connector: Any = made.open()
        simulator.fault("fail_after", "publish_bulk")
        assert kinds(await connector.publish_bulk([row])) == ["unknown"]
        assert (await connector.publish([row]))[0].code == "feed_under_way"
        simulator.settle()
        assert made.shown([row]) == [9]


async def test_one_way_at_a_time_for_a_listing():
    """A rise waits for the feed; a zero goes at once, and again when the feed has ended."""
    async with store() as (made, simulator):
        feed, other = made.row(1, 9), made.row(2, 8)
        connector: Any = made.open()
        await connector.publish_bulk([feed])
        rise = StockUpdate(1, feed.sku, feed.item, "", 11, 2, 9)
        outcomes = await connector.publish([rise])
        assert (outcomes[0].kind, outcomes[0].code) == ("later", "feed_under_way")
        assert not simulator.called("publish")
        assert kinds(await connector.publish([other])) == ["accepted"]
        zero = StockUpdate(1, feed.sku, feed.item, "", 0, 3, 9)
        assert kinds(await connector.publish([zero])) == ["later"]
        assert made.shown([feed]) == [0]
        simulator.settle()
        assert made.shown([feed]) == [9], "the feed came after the zero"
        connector._inner._unfinished._look_at.clear()
        assert kinds(await connector.publish([zero])) == ["accepted"]
        assert made.shown([feed]) == [0]


async def test_the_sixth_feed_in_five_minutes_waits():
    async with store() as (made, _simulator):
        connector: Bulky = made.open()  # type: ignore[assignment]
        rows = [made.row(1, 9)]
        outcomes = [(await connector.publish_bulk(rows))[0] for _ in range(6)]
        assert kinds(outcomes) == ["accepted"] * 5 + ["later"]
        assert outcomes[5].after_seconds == pytest.approx(1 / 0.0083)


# Credentials and limits ------------------------------------------------------------------------


async def test_a_token_that_died_is_a_403_and_is_renewed():
    async with store() as (made, simulator):
        connector, row = made.open(), made.row(1, 7)
        await connector.publish([row])
        simulator.clock.advance(3601)
        assert kinds(await connector.publish([row])) == ["accepted"]
        assert len(simulator.called("token")) == 2


@pytest.mark.parametrize("is_told, seconds", [(True, 0.2), (False, 0.2)])
async def test_how_long_to_wait_is_known_with_and_without_the_header(is_told, seconds):
    async with store() as (made, simulator):
        simulator.tells_rates = is_told
        simulator.fault("throttle", "publish")
        outcome = (await made.open().publish([made.row(1, 7)]))[0]
        assert outcome.kind == "later"
        assert outcome.after_seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    "operation, status, headers, seen",
    [
        ("publish", 200, {}, None),
        ("publish", 200, {"x-amzn-ratelimit-limit": "10.0"}, ("publish", 10.0, None)),
        ("publish", 200, {"x-amzn-ratelimit-limit": "nan"}, None),
        ("publish", 200, {"x-amzn-ratelimit-limit": "0"}, None),
        ("order", 200, {"x-amzn-ratelimit-limit": "0.5"}, ("notifications", 0.5, None)),
        ("feed", 200, {"x-amzn-ratelimit-limit": "2"}, None),
        ("orders", 429, {}, ("orders", None, 1 / 0.0056)),
        ("publish", 429, {"x-amzn-ratelimit-limit": "4"}, ("publish", 4.0, 0.25)),
    ],
)
def test_limits_are_read_from_answers(operation, status, headers, seen):
    found = limit_seen(operation, Reply(status, headers, b""))
    assert (found and (found.operation, found.per_second, found.wait_seconds)) == seen


async def test_a_queue_needs_its_key():
    async with store() as (made, simulator):
        secrets = {**simulator.secrets(), "aws_access_key_id": ""}
        with pytest.raises(Exception, match="aws_access_key_id"):
            made.open(secrets=secrets)


# Orders --------------------------------------------------------------------------------------


async def test_a_pending_order_holds_stock_and_is_not_paid():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.is_pending = True
        ordered = simulator.order({"A": 2})
        before = await everything(made.open())
        simulator.clock.advance(60)
        simulator.pay(ordered.number)
        after = await everything(made.open())
        (kind, data), (_kind, paid) = events_of(made, before[0])[0], events_of(made, after[0])[0]
        assert (kind, data["mode"], data["lines"][0]["quantity"]) == ("placed", "sold", 2)
        assert "paid_at" not in data
        assert "paid_at" in paid
        assert paid["updated_at"] > data["updated_at"]


async def test_a_cancelled_order_never_holds_stock():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.cancel(simulator.order({"A": 2}).number)
        message = (await everything(made.open()))[0]
        config = {**simulator.config(), "system": "shop"}
        types = [event.type for event in mapping.decode("order", message.body, config)]  # type: ignore[union-attr]
        assert types == [mapping.CANCELLED, mapping.PLACED]


async def test_a_first_reading_leaves_out_what_was_shipped_before():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        shipped, fresh = simulator.order({"A": 1}), simulator.order({"A": 1})
        connector = made.open()
        await connector.send(owed("confirm_shipment", parcel(shipped)))
        first = await everything(connector)
        assert [fresh.number in m.message_id for m in first] == [True]
        later = await connector.poll("orders", NOW.replace(year=2025), None)
        assert len(later.messages) == 2


async def test_orders_begin_anew_when_their_page_token_dies():
    async with store() as (made, simulator):
        simulator.page_max, simulator.page_token_seconds = 2, 30
        simulator.list_item("A", 99)
        numbers = [simulator.order({"A": 1}).number for _ in range(5)]
        page = await made.open().poll("orders", None, None)
        simulator.clock.advance(31)
        found = list(page.messages)
        connector = made.open()
        while page.cursor is not None:
            page = await connector.poll("orders", None, page.cursor)
            found += page.messages
        assert {m.message_id.split("/")[1] for m in found} == set(numbers)
        assert len({m.message_id for m in found}) == 5


async def test_addresses_are_read_only_where_they_are_wanted():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.order({"A": 1})
        without = await everything(made.open())
        assert b"Seattle" not in without[0].body
        assert "RECIPIENT" not in simulator.called("orders")[0].query
        config = {**simulator.config(), "reads_addresses": True}
        within = await everything(made.open(config=config))
        assert events_of(made, within[0])[0][1]["ship_to"]["city"] == "Seattle"


# Shipments and cancellations -------------------------------------------------------------------


def test_a_parcel_has_always_the_same_positive_number():
    lines = [ToldLine("1", "A", 1)]
    one = ConfirmShipment("O1", "P1", lines, NOW, "LONDON")
    other = ConfirmShipment("O1", "P2", lines, NOW, "LONDON")
    assert mapping.package_reference(one) == mapping.package_reference(one)
    assert mapping.package_reference(one) != mapping.package_reference(other)
    assert all(int(mapping.package_reference(p)) > 0 for p in (one, other))


@pytest.mark.parametrize(
    "carrier, code",
    [
        ("ups", {"carrierCode": "UPS"}),
        ("Parcel Force", {"carrierCode": "Parcelforce"}),
        ("Bike & Co", {"carrierCode": "Other", "carrierName": "Bike & Co"}),
        ("", {"carrierCode": "Other", "carrierName": "Other"}),
    ],
)
def test_carriers_have_codes_or_names(carrier, code):
    assert mapping.carrier_of(carrier, {"carriers": {"Parcel Force": "Parcelforce"}}) == code


async def test_a_parcel_is_found_by_its_tracking_number_too():
    """Should Amazon number packages itself, the probe does not send a second one."""
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        ordered, connector = simulator.order({"A": 1}), made.open()
        await connector.send(owed("confirm_shipment", parcel(ordered)))
        simulator._orders[ordered.number]["packages"][0]["packageReferenceId"] = "PKG-1"
        assert (await connector.probe(owed("confirm_shipment", parcel(ordered)))).kind == (
            "confirmed"
        )


async def test_a_shipment_needs_a_tracking_number_and_a_paid_order():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.is_pending = True
        ordered, connector = simulator.order({"A": 1}), made.open()
        none = await connector.send(owed("confirm_shipment", parcel(ordered, tracking="")))
        assert (none.kind, none.code) == ("rejected", "tracking_missing")
        assert (await connector.send(owed("confirm_shipment", parcel(ordered)))).kind == "rejected"


async def test_cancelling_does_not_let_amazon_put_units_back():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        ordered, connector = simulator.order({"A": 2}), made.open()
        outcome = await connector.send(owed("cancel_order", calling_off(ordered)))
        assert outcome.kind == "accepted"
        assert simulator.availability("A")["quantity"] == 7
        again = owed("cancel_order", calling_off(ordered), outcome.reference)
        assert (await connector.probe(again)).kind == "confirmed"
        assert (await connector.send(again)).kind == "confirmed"
        assert len(simulator.called("cancel_order")) == 1


@pytest.mark.parametrize(
    "lines, less, by_line, kind",
    [(1, 0, False, "rejected"), (1, 0, True, "accepted"), (2, 1, True, "rejected"),
     (2, 0, False, "accepted")],
)  # fmt: skip
async def test_only_what_the_feed_can_do_is_called_off(lines, less, by_line, kind):
    async with store() as (made, simulator):
        for sku in "AB":
            simulator.list_item(sku, 9)
        ordered = simulator.order({"A": 2, "B": 2})
        connector = made.open(config={**simulator.config(), "cancels_lines": by_line})
        said = calling_off(ordered, lines, less)
        assert (await connector.send(owed("cancel_order", said))).kind == kind


async def test_after_a_part_has_left_nothing_is_called_off():
    """Amazon would pay the whole order back."""
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        ordered, connector = simulator.order({"A": 2}), made.open()
        part = parcel(ordered)
        part.lines[0] = ToldLine(ordered.lines[0].line, "A", 1)
        await connector.send(owed("confirm_shipment", part))
        outcome = await connector.send(owed("cancel_order", calling_off(ordered)))
        assert (outcome.kind, outcome.code) == ("rejected", "not_cancellable")


async def test_a_cancellation_takes_its_time_and_may_be_refused():
    async with store() as (made, simulator):
        simulator.feeds.take_time = True
        simulator.list_item("A", 9)
        ordered, connector = simulator.order({"A": 2}), made.open()
        outcome = await connector.send(owed("cancel_order", calling_off(ordered)))
        again = owed("cancel_order", calling_off(ordered), outcome.reference)
        waiting = await connector.probe(again)
        assert (waiting.kind, waiting.code) == ("unknown", "feed_under_way")
        await connector.send(owed("confirm_shipment", parcel(ordered)))
        simulator.settle()
        refused = await connector.probe(again)
        assert (refused.kind, "SHIPPED" in refused.detail) == ("rejected", True)
