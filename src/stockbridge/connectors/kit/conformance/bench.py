"""A connector opened against its own simulator, and what a case of the suite is."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.kit.simulator import Listed, Simulator
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.events.decoding import command_of, readers
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import (
    Connector,
    Decoded,
    EventData,
    Opened,
    Outcome,
    StockUpdate,
)
from stockbridge.kernel.errors import Broken

SYSTEM: Final = "shop"
IMPATIENT_SECONDS: Final = 1.0
_SEEN_SECONDS_MAX: Final = 20.0


class Nonconforming(Broken):
    """A connector does not keep what the suite asks; the text says what and for whom it matters."""


def expect(is_kept: object, message: str) -> None:
    """Raise Nonconforming unless it is kept."""
    if not is_kept:
        raise Nonconforming(message)


def expect_ours(event: EventData) -> None:
    """Raise Nonconforming unless an event is one that the hub takes, its data included."""
    expect(event.type in readers(), f"{event.type} is no event that the hub takes")
    said = command_of(event.type, dict(event.data))
    expect(not isinstance(said, Undecodable), f"{event.type}: {said}: {event.data}")


class Bench:
    """One connector, one simulator, and connections that are closed in the end."""

    def __init__(self, registry: Registry, name: str, simulator: Simulator) -> None:
        self.registry, self.name, self.simulator = registry, name, simulator
        self.manifest: Manifest = registry.manifest(name)
        self._opened: list[Connector] = []

    async def close(self) -> None:
        """Close every connection."""
        for connector in self._opened:
            await connector.close()

    def open(
        self,
        *,
        config: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Connector:
        """A connection, with other configuration or secrets than the simulator's if given."""
        opened = Opened(
            SYSTEM,
            self.simulator.config() if config is None else config,
            self.simulator.secrets() if secrets is None else secrets,
            "sandbox",
        )
        connector = self.registry.open(self.name, opened, timeout_seconds=timeout_seconds)
        self._opened.append(connector)
        return connector

    def row(self, number: int, quantity: int, *, shown: int = 5) -> StockUpdate:
        """A row to publish for a fresh item that shows `shown`."""
        sku = f"SKU-{number}"
        listed = self.simulator.list_item(sku, shown)
        return StockUpdate(
            number, sku, listed.item, listed.location, quantity, 1, shown, listed.attributes
        )

    def shown(self, rows: Sequence[StockUpdate]) -> list[int | None]:
        """What customers see for the rows."""
        return [
            self.simulator.shown(Listed(row.item, row.location, row.attributes)) for row in rows
        ]

    def done(self, operation: str) -> int:
        """How often an operation had an effect on the partner's business."""
        return sum(n for (name, _), n in self.simulator.effects.items() if name == operation)

    async def seen(self, question: Callable[[], bool], what: str) -> None:
        """Wait until the simulator's thread has got that far."""
        until = time.monotonic() + _SEEN_SECONDS_MAX
        while not question():
            expect(time.monotonic() < until, f"never seen: {what}")
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def bench(registry: Registry, name: str) -> AsyncIterator[Bench]:
    """A bench with a fresh simulator."""
    simulator: Simulator = registry.module(name, "simulator").Simulator()
    with simulator:
        made = Bench(registry, name, simulator)
        try:
            yield made
        finally:
            await made.close()


class Case(NamedTuple):
    """One promise of the suite. `lacks` says why a manifest does not make it; None: it does."""

    name: str
    lacks: Callable[[Manifest], str | None]
    run: Callable[[Bench], Awaitable[None]]

    @property
    def promise(self) -> str:
        """What is promised, in a line."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


def always(_manifest: Manifest) -> str | None:
    """Every connector makes this promise."""
    return None


def takes_stock(manifest: Manifest) -> str | None:
    """For those who take figures."""
    return None if manifest.stock is not None else "it takes no figures"


def events_of(decoded: Decoded) -> list[EventData]:
    """What of a message can be read; at least something must be readable."""
    if isinstance(decoded, Undecodable):
        raise Nonconforming(f"it cannot be read: {decoded}")
    return [event for event in decoded if isinstance(event, EventData)]


def kinds(outcomes: Sequence[Outcome]) -> list[str]:
    """The outcomes' kinds, in order."""
    return [outcome.kind for outcome in outcomes]
