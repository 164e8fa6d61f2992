"""Which listings are in a feed that has not ended: nothing else may be sent for them meanwhile."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from stockbridge.connectors.kit.outcomes import Failed

_ENDED: Final = ("DONE", "FATAL", "CANCELLED")
_LOOK_SECONDS: Final = 30.0
_DOUBTED_SECONDS: Final = 900.0
_DOUBTED: Final = "unknown"


class Unfinished:
    """Feeds of this connection; those of another process are found by reading back."""

    def __init__(
        self,
        status: Callable[[str], Awaitable[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._status, self._clock = status, clock
        self._items: dict[str, set[str]] = {}
        self._look_at: dict[str, float] = {}

    def add(self, feed: str, items: set[str]) -> None:
        """A feed that was taken."""
        self._items[feed], self._look_at[feed] = items, self._clock()

    def doubt(self, items: set[str]) -> None:
        """A feed that may have been taken, under a name nobody told."""
        known = self._items.get(_DOUBTED, set())
        self._items[_DOUBTED] = known | items
        self._look_at[_DOUBTED] = self._clock() + _DOUBTED_SECONDS

    async def feed_with(self, item: str) -> str:
        """The feed that has this listing in it and has not ended; '' when there is none."""
        for feed in [feed for feed, items in self._items.items() if item in items]:
            if not await self._has_ended(feed):
                return feed
            self._items.pop(feed, None)
            self._look_at.pop(feed, None)
        return ""

    async def _has_ended(self, feed: str) -> bool:
        if self._clock() < self._look_at.get(feed, 0.0):
            return False
        if feed == _DOUBTED:
            return True
        self._look_at[feed] = self._clock() + _LOOK_SECONDS
        try:
            return await self._status(feed) in _ENDED
        except Failed:
            return False
