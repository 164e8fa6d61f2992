"""Notifications come twice, late, unreadable or never; the queue loses none of them."""

import pytest

from stockbridge.connectors.amazon import mapping
from stockbridge.connectors.amazon.tests.stores import events_of, everything, store
from stockbridge.kernel.errors import Retry


async def test_a_notification_brings_the_order_as_the_poll_does():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.order({"A": 2})
        told = await everything(made.open(), "notifications")
        polled = await everything(made.open())
        assert [m.topic for m in told] == ["quantity_change", "order_change", "order"]
        assert told[2] == polled[0]
        assert b"98101" not in told[1].body
        assert simulator.notifications() == []


async def test_messages_are_deleted_only_by_the_next_poll():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.order({"A": 2})
        connector = made.open()
        page = await connector.poll("notifications", None, None)
        page = await connector.poll("notifications", None, page.cursor)
        assert [m.topic for m in page.messages] == ["order"]
        assert len(simulator.notifications()) == 2
        # The hub dies here; another process hears them again once they show.
        simulator.clock.advance(121)
        heard = await everything(made.open(), "notifications")
        assert page.messages[0] in heard
        assert simulator.notifications() == []


async def test_an_order_that_cannot_be_read_keeps_its_notification():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.order({"A": 2})
        simulator.fault("fail_before", "order")
        with pytest.raises(Retry):
            await everything(made.open(), "notifications")
        assert len(simulator.notifications()) == 2


async def test_the_same_notification_twice_reads_the_order_once():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.order({"A": 2})
        simulator.enqueue(simulator.notifications()[1])
        connector = made.open()
        await everything(connector, "notifications")
        assert len(simulator.called("order")) == 1


async def test_a_notification_heard_before_is_only_deleted():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.order({"A": 2})
        again = simulator.notifications()[1]
        connector = made.open()
        await everything(connector, "notifications")
        simulator.enqueue(again)
        assert await everything(connector, "notifications") == []
        assert simulator.notifications() == []
        assert len(simulator.called("order")) == 1


async def test_what_cannot_be_read_is_kept_and_does_not_stay_in_the_queue():
    async with store() as (made, simulator):
        simulator.enqueue("<xml/>")
        simulator.enqueue('{"notificationType": "FEED_PROCESSING_FINISHED", '
                          '"notificationMetadata": {"notificationId": "n-1"}}')  # fmt: skip
        kept = await everything(made.open(), "notifications")
        assert [m.topic for m in kept] == ["notification", "notification"]
        assert kept[1].message_id == "notifications/n-1"
        assert simulator.notifications() == []
        config = {**simulator.config(), "system": "shop"}
        codes = [getattr(mapping.decode(m.topic, m.body, config), "code", "") for m in kept]
        assert codes == ["invalid_message", ""]


async def test_without_a_queue_there_are_no_notifications():
    async with store() as (made, simulator):
        config = {**simulator.config(), "queue_url": ""}
        connector = made.open(config=config)
        assert await everything(connector, "notifications") == []
        assert [check.name for check in await connector.test()] == ["listings", "orders"]


async def test_a_buyers_request_is_kept_and_calls_nothing_off():
    async with store() as (made, simulator):
        simulator.list_item("A", 9)
        simulator.asks_to_cancel(simulator.order({"A": 2}).number)
        heard = await everything(made.open(), "notifications")
        events = [e for m in heard if m.topic == "order" for e in events_of(made, m)]
        assert [data["lines"][0]["quantity"] for _type, data in events] == [2]
        assert any(b"BuyerRequestedChange" in m.body for m in heard)
