"""The queue as a feed: each call of `poll` is one call of Amazon, and deletes what was kept.

A cursor holds what was received and is not done with: orders still to be read, and the receipts.
So messages are deleted only by the poll after the one that gave them to be kept, and another
process can go on.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from stockbridge.connectors.amazon import mapping
from stockbridge.connectors.amazon.sqs import Queue
from stockbridge.contracts.partners.model import Incoming, Page

_BATCHES_MAX: Final = 50
"""A poll ends even while the queue fills, so that it is noted how far it came."""
_REMEMBERED: Final = 10_000


class _State(msgspec.Struct, omit_defaults=True):
    """What a cursor holds."""

    batches: int = 0
    orders: list[str] = []
    receipts: list[str] = []
    numbers: list[str] = []


class Notifications:
    """Reads the queue; `read` gives an order by its number, None when there is none."""

    def __init__(self, queue: Queue | None, read: Callable[[str], Awaitable[Any]]) -> None:
        self._queue, self._read = queue, read
        self._done: OrderedDict[str, None] = OrderedDict()

    async def poll(self, cursor: str | None) -> Page:
        """The next order that changed, or the next messages; raises Failed."""
        if self._queue is None:
            return Page([], None)
        state = msgspec.json.decode(cursor, type=_State) if cursor else _State()
        if state.orders:
            order = await self._read(state.orders.pop(0))
            found = [mapping.incoming(order)] if order is not None else []
            return Page(found, _cursor(state))
        if state.receipts:
            await self._queue.delete(state.receipts)
            self._remember(state.numbers)
        if state.batches >= _BATCHES_MAX:
            return Page([], None)
        messages = await self._queue.receive("notifications")
        if not messages:
            return Page([], None)
        following = _State(state.batches + 1)
        kept: list[Incoming] = []
        for message in messages:
            following.receipts.append(message.receipt)
            incoming, number, order = mapping.notified(message.body, message.message_id)
            if number in self._done or number in following.numbers:
                continue
            following.numbers.append(number)
            kept.append(incoming)
            if order and order not in following.orders:
                following.orders.append(order)
        return Page(kept, _cursor(following))

    def _remember(self, numbers: list[str]) -> None:
        """Notifications done with: at least once means that they may come again."""
        self._done.update(dict.fromkeys(numbers))
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)


def _cursor(state: _State) -> str:
    return msgspec.json.encode(state).decode()
