"""A store to test against, and what its feeds tell."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from stockbridge.connectors.amazon.simulator import Simulator
from stockbridge.connectors.kit.conformance.bench import Bench, bench
from stockbridge.connectors.kit.registry import Registry
from stockbridge.contracts.partners.model import Incoming


@contextlib.asynccontextmanager
async def store() -> AsyncIterator[tuple[Bench, Simulator]]:
    async with bench(Registry(), "amazon") as made:
        simulator = made.simulator
        assert isinstance(simulator, Simulator)
        yield made, simulator


async def everything(connector: Any, feed: str = "orders") -> list[Incoming]:
    found, cursor = [], None
    while True:
        page = await connector.poll(feed, None, cursor)
        found += page.messages
        if page.cursor is None:
            return found
        cursor = page.cursor


def events_of(made: Bench, message: Incoming) -> list[tuple[str, Any]]:
    config = {**made.simulator.config(), "system": "shop"}
    decoded = made.registry.decode("amazon", message.topic, message.body, config)
    return [(event.type.split(".")[3], event.data) for event in decoded]  # type: ignore[union-attr]
