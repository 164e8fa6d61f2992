"""The built-in event types, once: name, version, shape, direction, and what books it."""

import re
from typing import Final, NamedTuple

from stockbridge.contracts.base import Shape
from stockbridge.contracts.events import commands, masters, model, orders, outgoing
from stockbridge.contracts.events.commands import ToCommand

PREFIX: Final = "io.stockbridge."
"""Names under it are ours; nobody else may publish one."""


class EventType(NamedTuple):
    """A built-in contract at its newest version; `to_command` is None for what the hub tells."""

    name: str
    version: int
    shape: type[Shape]
    to_command: ToCommand | None

    @property
    def contract(self) -> str:
        """Name and version, the CloudEvents `type`."""
        return f"{self.name}.v{self.version}"

    @property
    def description(self) -> str:
        """What it says, in a line."""
        return (self.shape.__doc__ or "").strip().partition("\n")[0]


def _reported(name: str, shape: type[Shape], to_command: ToCommand) -> EventType:
    return EventType(f"{PREFIX}{name}", 1, shape, to_command)


def _told(name: str, shape: type[Shape]) -> EventType:
    return EventType(f"{PREFIX}{name}", 1, shape, None)


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    _reported("stock.received", model.StockReceived, commands.receipt),
    _reported("stock.allocated", model.StockAllocated, commands.stage("allocated")),
    _reported("stock.deallocated", model.StockDeallocated, commands.stage("deallocated")),
    _reported("stock.picked", model.StockPicked, commands.stage("picked")),
    _reported("stock.packed", model.StockPacked, commands.stage("packed")),
    _reported("stock.shipped", model.StockShipped, commands.stage("shipped")),
    _reported("stock.transferred_out", model.StockTransferredOut, commands.transfer_out),
    _reported("stock.transferred_in", model.StockTransferredIn, commands.transfer_in),
    _reported("stock.held", model.StockHeld, commands.move("hold")),
    _reported("stock.released", model.StockReleased, commands.move("release")),
    _reported("stock.adjusted", model.StockAdjusted, commands.adjustment),
    _reported("stock.counted", model.StockCounted, commands.count),
    _reported("stock.returned", model.StockReturned, commands.returned),
    _reported("stock.disposed", model.StockDisposed, commands.dispose),
    _reported("supply.ordered", model.SupplyOrdered, commands.supply("on_order")),
    _reported("supply.shipped", model.SupplyShipped, commands.supply("in_transit")),
    _reported("order.placed", orders.OrderPlaced, orders.placed),
    _reported("order.edited", orders.OrderEdited, orders.edited),
    _reported("order.cancelled", orders.OrderCancelled, orders.cancelled),
    _reported("order.answered", orders.OrderAnswered, orders.answered),
    _reported("item.changed", masters.ItemChanged, masters.changed_item),
    _reported("location.changed", masters.LocationChanged, masters.changed_location),
    _told("reservation.made", outgoing.ReservationMade),
    _told("reservation.confirmed", outgoing.ReservationConfirmed),
    _told("reservation.released", outgoing.ReservationReleased),
    _told("reservation.expired", outgoing.ReservationExpired),
    _told("availability.changed", outgoing.AvailabilityChanged),
    _told("exception.opened", outgoing.ExceptionOpened),
    _told("exception.resolved", outgoing.ExceptionResolved),
    _told("order.accepted", outgoing.OrderAccepted),
    _told("order.rejected", outgoing.OrderRejected),
    _told("order.released", outgoing.OrderReleased),
    _told("order.completed", outgoing.OrderCompleted),
    _told("order.backordered", outgoing.OrderBackordered),
)
BY_NAME: Final = {event.name: event for event in EVENT_TYPES}


_CONTRACT = re.compile(r"(?P<name>.+)\.v(?P<version>0|[1-9][0-9]{0,8})")


def split(contract: str) -> tuple[str, int] | None:
    """(name, version) of `NAME.vN`, else None."""
    match = _CONTRACT.fullmatch(contract)
    return (match["name"], int(match["version"])) if match else None
