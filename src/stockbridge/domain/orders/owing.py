"""A delivery about an order, as whoever decides it owes it."""

from typing import Any

from stockbridge.domain.world.command import Command
from stockbridge.domain.world.model import Owed
from stockbridge.domain.world.order import Order
from stockbridge.domain.world.world import World


def owe(
    world: World,
    order: Order,
    system: str,
    operation: str,
    key: str,
    payload: Any,
    command: Command,
) -> None:
    """Owed to the system, once for its key; those about one order go one after the other."""
    code = world.masters.channels_by_id[order.channel_id].code
    world.owe(
        Owed(
            system, operation, f"order:{code}/{order.number}", f"{order.order_id}/{key}", payload,
            command.correlation_id, command.message_id or "",
        )
    )  # fmt: skip
