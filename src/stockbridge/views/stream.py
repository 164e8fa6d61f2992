"""Tells subscribers which figures changed; a client that comes back is told what it missed."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable
from itertools import dropwhile
from typing import Final, NamedTuple, Self

HISTORY_MAX: Final = 100_000
"""Changed items remembered for clients that come back."""
WAITING_MAX: Final = 10_000
"""Most changes kept for a slow client; beyond it, it is told to start over."""

Figures = dict[tuple[str, int], int]
"""(channel code, item id) -> figure."""


Follower = Callable[[Collection[int] | None], None]
"""Hears which items changed, whatever the figures; None: everything may have."""


class Change(NamedTuple):
    """A SKU's new figure. `sku` None: everything may have changed, query it all anew.

    `sequence` is a batch id, to be named when coming back.
    """

    sequence: int
    sku: str | None
    available: int | None


class Subscription:
    """Changes of one channel's figures, as an async iterator; close it when done."""

    def __init__(self, channel: str, hub: "Changes") -> None:
        self.channel = channel
        self._hub = hub
        self._waiting: asyncio.Queue[Change] = asyncio.Queue()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        return await self._waiting.get()

    def put(self, change: Change) -> None:
        """Hand over a change; where too many wait already, start over instead."""
        if self._waiting.qsize() >= WAITING_MAX:
            self.start_over(change.sequence)
        else:
            self._waiting.put_nowait(change)

    def start_over(self, sequence: int) -> None:
        """Drop what waits and tell the client to query everything."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(Change(sequence, None, None))

    def close(self) -> None:
        """Stop; the iterator yields nothing further."""
        self._hub.forget(self)


class Changes:
    """Subscriptions by channel, and which items the newest batches changed."""

    def __init__(self) -> None:
        self.sequence = 0
        self.followers: set[Follower] = set()
        self._history: deque[tuple[int, int]] = deque(maxlen=HISTORY_MAX)
        self._subscriptions: dict[str, set[Subscription]] = {}

    @property
    def channels(self) -> Iterable[str]:
        """Codes of the channels somebody listens to."""
        return self._subscriptions.keys()

    def subscribe(
        self, channel: str, after: int | None, current: Callable[[int], Change | None]
    ) -> Subscription:
        """Listen to a channel, from batch `after` on if that is remembered.

        That batch itself is told again, because the client may have heard only a part of it.
        `current` gives an item's figure of now.
        """
        subscription = Subscription(channel, self)
        missed = list(dropwhile(lambda entry: entry[0] != after, self._history))
        if missed and len(missed) < WAITING_MAX:
            for item_id in dict.fromkeys(item_id for _, item_id in missed):
                if change := current(item_id):
                    subscription.put(change)
        else:
            subscription.start_over(self.sequence)
        self._subscriptions.setdefault(channel, set()).add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Tell it nothing any more."""
        left = self._subscriptions.get(subscription.channel, set())
        left.discard(subscription)
        if not left:
            self._subscriptions.pop(subscription.channel, None)

    def tell(
        self, before: Figures, after: Figures, items: Collection[int], names: dict[int, str]
    ) -> None:
        """Remember that `items` changed in the batch `sequence`; tell the figures that differ."""
        for follower in self.followers:
            follower(items)
        self._history.extend((self.sequence, item_id) for item_id in items)
        for (channel, item_id), available in after.items():
            if before.get((channel, item_id)) != available and item_id in names:
                change = Change(self.sequence, names[item_id], available)
                for subscription in self._subscriptions[channel]:
                    subscription.put(change)

    def start_over(self, channel: str | None = None) -> None:
        """Everything may have changed, for one channel or for all."""
        for follower in self.followers:
            follower(None)
        if channel is None:
            self._history.clear()
        for code, subscriptions in self._subscriptions.items():
            if channel in (None, code):
                for subscription in subscriptions:
                    subscription.start_over(self.sequence)
