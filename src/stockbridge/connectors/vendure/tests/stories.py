"""What is true of a Vendure shop, told the same to the simulator and to a real one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from stockbridge.connectors.kit.canonical import parsed
from stockbridge.connectors.kit.simulator import Listed, Ordered
from stockbridge.connectors.vendure import client, documents, mapping
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import (
    Connector,
    Delivery,
    Incoming,
    Outcome,
    StockUpdate,
)
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment, ToldLine

NOW: Final = datetime(2026, 11, 24, 9, tzinfo=UTC)
PAGE: Final = 2


class Storefront(Protocol):
    """A shop, simulated or real, as customers and staff use it."""

    def config(self) -> dict[str, Any]: ...
    def list_item(self, sku: str, quantity: int) -> Listed: ...
    def shown(self, listed: Listed) -> int | None: ...
    def change(self, listed: Listed, **fields: Any) -> None: ...
    def order(self, lines: Mapping[str, int]) -> Ordered: ...
    def cancel(self, number: str) -> None: ...
    def cancel_part(self, number: str, units: Mapping[str, int]) -> None: ...
    def fulfill(self, number: str, units: Mapping[str, int]) -> None: ...
    def edit(self, number: str, sku: str, quantity: int) -> str: ...
    def state(self, number: str) -> str: ...


class Desk:
    """A shop with an item of which there are ten, and a connection to it."""

    def __init__(self, shop: Storefront, connector: Connector, sku: str) -> None:
        self.shop, self.connector, self.sku = shop, connector, sku
        self.item = shop.list_item(sku, 10)
        self._version = 0

    async def do(self, act: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Something that happens in the shop."""
        return await asyncio.to_thread(act, *given, **named)

    def row(self, quantity: int, previous: int | None, item: str = "") -> StockUpdate:
        self._version += 1
        return StockUpdate(
            self._version, self.sku, item or self.item.item, "", quantity, self._version, previous
        )

    async def publish(self, quantity: int, previous: int | None) -> Outcome:
        return (await self.connector.publish([self.row(quantity, previous)]))[0]

    async def shown(self) -> int | None:
        """What customers can buy; what the connector reads is the same."""
        shown = await self.do(self.shop.shown, self.item)
        read = (await self.connector.observe([self.row(0, None)]))[0].quantity
        assert read == shown
        return cast("int | None", shown)

    async def order(self, units: int) -> Ordered:
        return cast("Ordered", await self.do(self.shop.order, {self.sku: units}))

    async def ship(self, ordered: Ordered, package: str, units: int) -> Outcome:
        lines = [ToldLine(ordered.lines[0].line, self.sku, units)]
        payload = ConfirmShipment(ordered.number, package, lines, NOW, "LONDON", "DPD", "1550")
        return await self._send("confirm_shipment", payload)

    async def call_off(self, ordered: Ordered, name: str, units: int) -> Outcome:
        lines = [ToldLine(ordered.lines[0].line, self.sku, units)]
        payload = CancelOrder(ordered.number, name, lines, NOW, "LOST")
        return await self._send("cancel_order", payload)

    async def _send(self, operation: str, payload: Any) -> Outcome:
        delivery = Delivery(1, operation, f"order:{payload.order}", "0", "c", 1, payload)
        return await self.connector.send(delivery)

    async def state(self, ordered: Ordered) -> str:
        return cast("str", await self.do(self.shop.state, ordered.number))

    async def heard(self) -> list[Incoming]:
        """The feed, to its end."""
        found: list[Incoming] = []
        cursor: str | None = None
        while True:
            page = await self.connector.poll("orders", None, cursor)
            found += page.messages
            cursor = page.cursor
            if cursor is None:
                return found

    async def told(self, ordered: Ordered) -> list[tuple[str, dict[str, int]]]:
        """The newest events of an order: placed or cancelled, and units by line."""
        config = {**self.shop.config(), "system": "shop"}
        for message in await self.heard():
            events: Any = mapping.decode(message.topic, message.body, config)
            assert not isinstance(events, Undecodable)
            if events and events[0].data["number"] == ordered.number:
                return [
                    (event.type.split(".")[3],
                     {line["line"]: line["quantity"] for line in event.data.get("lines", ())})
                    for event in events
                ]  # fmt: skip
        raise AssertionError(f"{ordered.number} is not in the feed")

    def before_writing(self, act: Callable[..., Any], *given: Any) -> None:
        """Let something happen in the shop between the next read of figures and their write."""
        inner: Any = self.connector._inner  # type: ignore[attr-defined]
        ask = inner._ask

        async def interrupted(operation: str, document: str, *more: Any) -> Any:
            if document == documents.SET_FIGURES:
                inner._ask = ask
                await self.do(act, *given)
            return await ask(operation, document, *more)

        inner._ask = interrupted


async def what_is_published_may_be_sold(desk: Desk) -> None:
    await desk.order(2)
    assert await desk.shown() == 8
    assert (await desk.publish(5, 8)).kind == "confirmed"
    assert await desk.shown() == 5
    assert (await desk.publish(0, 5)).kind == "confirmed"
    assert await desk.shown() == 0


async def a_sale_before_is_told_and_nothing_is_written(desk: Desk) -> None:
    await desk.order(3)
    outcome = await desk.publish(20, 10)
    assert (outcome.kind, outcome.code, outcome.observed) == ("later", "stale", 7)
    assert await desk.shown() == 7


async def a_sale_between_reading_and_writing_is_not_put_back(desk: Desk) -> None:
    desk.before_writing(desk.shop.order, {desk.sku: 3})
    assert (await desk.publish(20, 10)).kind == "confirmed"
    assert await desk.shown() == 17


async def a_parcel_between_reading_and_writing_is_told_and_corrected(desk: Desk) -> None:
    ordered = await desk.order(4)
    desk.before_writing(desk.shop.fulfill, ordered.number, {ordered.lines[0].line: 4})
    outcome = await desk.publish(9, 6)
    assert (outcome.kind, outcome.code, outcome.observed) == ("later", "stale", 13)
    assert (await desk.publish(9, 13)).kind == "confirmed"
    assert await desk.shown() == 9


async def a_shipment_is_not_counted_twice(desk: Desk) -> None:
    ordered = await desk.order(2)
    assert (await desk.ship(ordered, "P1", 2)).kind == "confirmed"
    assert await desk.state(ordered) == "Shipped"
    assert await desk.shown() == 8
    assert (await desk.publish(8, 8)).kind == "confirmed"
    assert (await desk.publish(6, 8)).kind == "confirmed"
    assert await desk.shown() == 6


async def each_parcel_ships_once(desk: Desk) -> None:
    ordered = await desk.order(3)
    seen = []
    for package, units in (("P1", 1), ("P1", 1), ("P2", 2)):
        seen.append(((await desk.ship(ordered, package, units)).kind, await desk.state(ordered)))
    assert seen == [("confirmed", "PartiallyShipped"), ("confirmed", "PartiallyShipped"),
                    ("confirmed", "Shipped")]  # fmt: skip
    outcome = await desk.ship(ordered, "P3", 1)
    assert (outcome.kind, outcome.code) == ("rejected", "items_already_fulfilled_error")
    assert await desk.shown() == 7


async def what_we_call_off_is_free_once_and_not_told_back(desk: Desk) -> None:
    ordered = await desk.order(3)
    line = ordered.lines[0].line
    for _ in range(2):
        assert (await desk.call_off(ordered, "C1", 2)).kind == "confirmed"
        assert await desk.shown() == 9
    assert await desk.told(ordered) == [("placed", {line: 3})]
    assert (await desk.call_off(ordered, "C2", 2)).kind == "confirmed"
    assert await desk.state(ordered) == "Cancelled"
    assert await desk.shown() == 10
    assert await desk.told(ordered) == [("placed", {line: 3})]


async def what_the_shop_calls_off_is_told(desk: Desk) -> None:
    ordered = await desk.order(3)
    line = ordered.lines[0].line
    await desk.do(desk.shop.cancel_part, ordered.number, {line: 1})
    assert await desk.told(ordered) == [("placed", {line: 3}), ("cancelled", {line: 1})]
    await desk.do(desk.shop.cancel, ordered.number)
    assert await desk.told(ordered) == [("cancelled", {}), ("placed", {line: 3})]
    assert await desk.shown() == 10


async def an_item_added_to_an_order_is_told(desk: Desk) -> None:
    ordered = await desk.order(1)
    added = await desk.do(desk.shop.edit, ordered.number, desk.sku, 2)
    units = {line: n for kind, lines in await desk.told(ordered) for line, n in lines.items()}
    assert sum(units.values()) == 3
    assert added in units


async def units_put_back_by_the_shop_are_overwritten(desk: Desk) -> None:
    ordered = await desk.order(2)
    await desk.ship(ordered, "P1", 2)
    await desk.do(desk.shop.cancel, ordered.number)
    assert await desk.shown() == 10
    outcome = await desk.publish(8, 8)
    assert (outcome.code, outcome.observed) == ("stale", 10)
    assert (await desk.publish(8, 10)).kind == "confirmed"
    assert await desk.shown() == 8


async def thresholds_count(desk: Desk) -> None:
    fields = {"useGlobalOutOfStockThreshold": False, "outOfStockThreshold": 3}
    await desk.do(desk.shop.change, desk.item, **fields)
    assert await desk.shown() == 7
    assert (await desk.publish(5, 7)).kind == "confirmed"
    assert await desk.shown() == 5


async def backorders_wait_for_stock_on_hand(desk: Desk) -> None:
    fields = {"useGlobalOutOfStockThreshold": False, "outOfStockThreshold": -5}
    await desk.do(desk.shop.change, desk.item, **fields)
    assert await desk.shown() == 15
    assert (await desk.publish(3, 15)).kind == "confirmed"
    ordered = await desk.order(3)
    outcome = await desk.ship(ordered, "P1", 3)
    assert (outcome.kind, outcome.code) == ("later", "insufficient_stock_on_hand")
    assert (await desk.publish(5, 0)).kind == "confirmed"
    assert (await desk.ship(ordered, "P1", 3)).kind == "confirmed"


async def what_is_not_counted_has_no_figure(desk: Desk) -> None:
    await desk.do(desk.shop.change, desk.item, trackInventory="FALSE")
    found = (await desk.connector.observe([desk.row(0, None)]))[0]
    assert (found.quantity, "count" in found.problem) == (None, True)
    outcome = await desk.publish(5, 10)
    assert (outcome.kind, outcome.code) == ("rejected", "stock_not_tracked")


async def a_bad_row_does_not_spoil_the_others(desk: Desk) -> None:
    other = await desk.do(desk.shop.list_item, f"{desk.sku}-B", 4)
    rows = [desk.row(3_000_000_000, 10), desk.row(6, 4, other.item), desk.row(1, 0, "999999")]
    outcomes = await desk.connector.publish(rows)
    assert [outcome.kind for outcome in outcomes] == ["rejected", "confirmed", "rejected"]
    assert await desk.do(desk.shop.shown, other) == 6
    assert await desk.shown() == 10


async def an_ended_session_is_begun_anew(desk: Desk) -> None:
    inner: Any = desk.connector._inner  # type: ignore[attr-defined]
    assert await desk.shown() == 10
    inner._tokens._value = "ended"
    assert (await desk.publish(5, 10)).kind == "confirmed"


async def the_feed_tells_every_order_over_many_pages(desk: Desk) -> None:
    client._PAGE, page = PAGE, client._PAGE  # type: ignore[misc]
    try:
        numbers = {(await desk.order(1)).number for _ in range(2 * PAGE + 1)}
        messages = await desk.heard()
    finally:
        client._PAGE = page  # type: ignore[misc]
    assert len({message.message_id for message in messages}) == len(messages)
    told = {parsed(message.body)["code"] for message in messages}
    assert numbers <= told


async def the_catalog_and_the_check_see_the_shop(desk: Desk) -> None:
    entries = {entry.sku: entry.item async for entry in desk.connector.catalog()}
    assert entries[desk.sku] == desk.item.item
    assert [check for check in await desk.connector.test() if not check.is_good] == []


async def what_does_not_exist_is_refused(desk: Desk) -> None:
    nobody = Ordered("NOSUCHORDER", (await desk.order(1)).lines)
    for outcome in (await desk.ship(nobody, "P1", 1), await desk.call_off(nobody, "C1", 1)):
        assert (outcome.kind, outcome.code) == ("rejected", "no_such_order")
    mine, other = await desk.order(1), await desk.order(1)
    outcome = await desk.call_off(Ordered(mine.number, other.lines), "C1", 1)
    assert (outcome.kind, outcome.code) == ("rejected", "no_such_line")


STORIES: Final[tuple[Callable[[Desk], Awaitable[None]], ...]] = (
    what_is_published_may_be_sold,
    a_sale_before_is_told_and_nothing_is_written,
    a_sale_between_reading_and_writing_is_not_put_back,
    a_parcel_between_reading_and_writing_is_told_and_corrected,
    a_shipment_is_not_counted_twice,
    each_parcel_ships_once,
    what_we_call_off_is_free_once_and_not_told_back,
    what_the_shop_calls_off_is_told,
    an_item_added_to_an_order_is_told,
    units_put_back_by_the_shop_are_overwritten,
    thresholds_count,
    backorders_wait_for_stock_on_hand,
    what_is_not_counted_has_no_figure,
    a_bad_row_does_not_spoil_the_others,
    an_ended_session_is_begun_anew,
    the_feed_tells_every_order_over_many_pages,
    the_catalog_and_the_check_see_the_shop,
    what_does_not_exist_is_refused,
)
