"""What buildings are asked to ship: units promised at a place whose system takes such orders.

Asked is what is promised and bound there beyond what was asked before, so every unit is asked for
once; what a backorder gets later is asked for then. What is called off afterwards is not unasked:
the building is told by people, and its report decides.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from stockbridge.contracts.partners.operations import ShipOrder, ToldLine
from stockbridge.domain.orders.owing import owe
from stockbridge.domain.orders.progress import LineView, reached_by
from stockbridge.domain.world.command import Command
from stockbridge.domain.world.model import FulfilmentLine
from stockbridge.domain.world.order import Order
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import RESERVED

SHIP: Final = "ship_order"
_Part = tuple[int, int]
"""(line number of the reservation, item id)."""


def instruct(
    world: World,
    order: Order,
    views: Sequence[LineView],
    reports: Iterable[FulfilmentLine],
    command: Command,
) -> None:
    """Owe each building's system what is new to it of a released order."""
    if order.content.released_at is None or order.reservation_id is None:
        return
    promised: dict[int, Counter[_Part]] = {}
    for hold in world.holds_of(order.reservation_id):
        if hold.account == RESERVED:
            units = promised.setdefault(hold.location_id, Counter())
            units[hold.line_no, hold.item_id] += hold.quantity
    bound: Counter[tuple[int, int]] = Counter()
    for report in reports:
        bound[report.location_id, report.item_id] += reached_by(report)[0]
    for location_id in sorted(promised):
        place = world.masters.locations_by_id[location_id]
        system = world.masters.systems.get(place.authority) if place.authority else None
        if system is not None and system.takes(SHIP):
            at = {item: units for (where, item), units in bound.items() if where == location_id}
            _ask(world, order, views, place.code, system.code, promised[location_id], at, command)


def _ask(
    world: World,
    order: Order,
    views: Sequence[LineView],
    location: str,
    system: str,
    promised: Counter[_Part],
    bound: dict[int, int],
    command: Command,
) -> None:
    names = {view.line.line_no: view.line.name for view in views}
    asked = dict(order.told.asked)
    lines: list[ToldLine] = []
    for item_id in sorted({item for _, item in promised}):
        sku = world.masters.items_by_id[item_id].sku
        own = {no: units for (no, item), units in promised.items() if item == item_id}
        before = sum(units for key, units in asked.items() if key.startswith(f"{location}/{sku}/"))
        news = sum(own.values()) + bound.get(item_id, 0) - before
        for line_no, units in sorted(own.items()):
            more = min(units, news)
            if more > 0:
                news -= more
                key = f"{location}/{sku}/{names[line_no]}"
                asked[key] = asked.get(key, 0) + more
                lines.append(ToldLine(names[line_no], sku, more))
    if not lines:
        return
    times = asked.get(location, 0) + 1
    asked[location] = times
    order.told = msgspec.structs.replace(order.told, asked=asked)
    code = world.masters.channels_by_id[order.channel_id].code
    payload = ShipOrder(
        order.number, code, location, times, lines, world.now,
        dict(order.content.head.get("ship_to") or {}),
    )  # fmt: skip
    owe(world, order, system, SHIP, f"{location}/{times}", payload, command)
