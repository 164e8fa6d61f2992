"""A process that sends deliveries, and may kill itself at a point:

`python -m tests.partner.worker DSN URL ABILITY POINT`: ABILITY is probe or keys; POINT is never,
called (before the call), answered (before its outcome is written) or written.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from stockbridge.contracts.partners.model import Delivery, Outcome
from stockbridge.outbox.dispatcher import Dispatcher
from tests.partner.client import Book, Loopback, manifest_of

LEASE_SECONDS = 0.6
AFTER = 7
"""Calls that go well before the point counts."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Loopback):
    def __init__(self, url: str, manifest: Any, point: str) -> None:
        super().__init__(url, manifest)
        self.point = point
        self.calls = 0

    async def send(self, delivery: Delivery) -> Outcome:
        self.calls += 1
        if self.point == "called" and self.calls > AFTER:
            die()
        outcome = await super().send(delivery)
        if self.point == "answered" and self.calls > AFTER:
            die()
        return outcome


async def work(dsn: str, url: str, ability: str, point: str) -> None:
    manifest = manifest_of(probe=ability == "probe", idempotent=ability == "keys")
    book = Book({"SHOP": Mortal(url, manifest, point)})
    written = 0

    def on_outcome(*_: str) -> None:
        nonlocal written
        written += 1
        if point == "written" and written > AFTER:
            die()

    dispatcher = Dispatcher(
        dsn, book, on_outcome=on_outcome, lease_seconds=LEASE_SECONDS, tick_seconds=0.1
    )
    await dispatcher.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await dispatcher.stop()
    await book.close()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
