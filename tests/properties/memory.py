"""The rules without a store: one working set that lives on from command to command."""

from datetime import UTC, datetime, timedelta
from typing import Any

from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.masters.model import Channel, Item, Location, Policy, ReasonCode
from stockbridge.domain.reservations.rules import expire_due
from stockbridge.domain.world.command import Command, Decision
from stockbridge.domain.world.model import Movement
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.world import ID_BITS, World
from stockbridge.engine.registry import HANDLERS

START = datetime(2026, 1, 5, tzinfo=UTC)
PLACES = (1, 2)


def masters() -> Masters:
    """A and B, KIT of 1 A + 2 B; W1 (the WMS speaks for it) and W2; five channels."""
    made = Masters()
    items = [Item(1, "A"), Item(2, "B"), Item(3, "KIT", components=((1, 1), (2, 2)))]
    locations = [Location(1, "W1", authority="wms"), Location(2, "W2")]
    channels = [
        Channel(1, "web", sources=PLACES),
        Channel(2, "shop", sources=PLACES),
        Channel(3, "few", sources=PLACES, sourcing="fewest_splits"),
        Channel(4, "half", sources=PLACES, policies=(Policy(kind="percent", percent=50),)),
        Channel(5, "vip", sources=PLACES, policies=(Policy(kind="ring_fenced"),)),
    ]
    made.items = {item.sku: item for item in items}
    made.items_by_id = {item.item_id: item for item in items}
    made.locations = {location.code: location for location in locations}
    made.locations_by_id = {location.location_id: location for location in locations}
    made.channels = {channel.code: channel for channel in channels}
    made.channels_by_id = {channel.channel_id: channel for channel in channels}
    made.reason_codes = {"CORRECTION": ReasonCode("CORRECTION")}
    made.has_fences = True
    made.epoch = 1
    return made


class Memory:
    """Decides one command after the other, as an engine would that batches nothing."""

    def __init__(self) -> None:
        self.world = World(1, START + timedelta(hours=12), masters())
        self.history: list[Movement] = []

    def submit(
        self, body: Any, *, after: timedelta = timedelta(seconds=1), flow: str = ""
    ) -> Decision:
        """The decision; `after` is how much later than the last one it is."""
        world, handler, needs = self.world, HANDLERS[type(body)], Needs()
        handler.names(body, needs)
        handler.rows(body, world.masters, needs)
        self.history += world.movements
        world.movements = []
        world.batch_id += 1
        world._next_id = world.batch_id << ID_BITS
        world.now += after
        world.moved_since = {key: self._moved_since(*key) for key in needs.counts}
        expire_due(world, "expiry")
        return handler.decide(Command(body, "tester", flow=flow), world)

    def _moved_since(self, item: int, place: int, account: int, moment: datetime | None) -> int:
        since = moment or self.world.now
        return sum(
            move.quantity * ((move.to_account == account) - (move.from_account == account))
            for move in self.history
            if (move.item_id, move.location_id) == (item, place) and move.occurred_at > since
        )

    def balances(self) -> dict[tuple[int, int], list[int]]:
        """The eight states of every place that is not empty."""
        states = {place: balance.q[1:9] for place, balance in self.world.balances.items()}
        return {place: q for place, q in states.items() if any(q)}
