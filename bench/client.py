"""An HTTP client of ours in its own process: for machines without wrk, and for a steady rate.

`python -m bench.client FILE PREFIX HOST PORT CLIENTS SECONDS RATE` prints one line of JSON.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from time import perf_counter

from bench.runner import run_async
from bench.wire import MARK


def identified(requests: list[bytes], prefix: str) -> Iterator[bytes]:
    """The requests over and over, MARK replaced by an identifier."""
    mark = MARK.encode()
    for number, request in zip(count(1), cycle(requests), strict=False):
        yield request.replace(mark, b"%s%012d" % (prefix.encode(), number))


class Sender:
    """All connections of one load; `rate` 0 sends as fast as answers come."""

    def __init__(self, requests: Iterator[bytes], seconds: float, rate: float) -> None:
        self.requests = requests
        self.began = perf_counter()
        self.ends = self.began + seconds
        self.rate = rate
        self.sent = 0
        self.latencies: list[float] = []

    async def connection(self, host: str, port: int) -> None:
        """One client: send, wait for the answer, again; an error ends the load."""
        reader, writer = await asyncio.open_connection(host, port, limit=2**24)
        while (due := await self._due()) < self.ends:
            writer.write(next(self.requests))
            await _read_answer(reader)
            # Counted from when it was due, so that a slow answer is not hidden by sending less.
            self.latencies.append(perf_counter() - due)
        writer.close()
        await writer.wait_closed()

    async def _due(self) -> float:
        now = perf_counter()
        if not self.rate:
            return now
        due = self.began + self.sent / self.rate
        self.sent += 1
        if due > now:
            await asyncio.sleep(min(due, self.ends) - now)
        return due

    def summary(self) -> dict[str, float]:
        """The figures of `bench.wire.Load`."""
        cuts = statistics.quantiles(self.latencies, n=100)
        return {
            "requests": len(self.latencies),
            "seconds": perf_counter() - self.began,
            "errors": 0,
            "p50_ms": cuts[49] * 1000,
            "p99_ms": cuts[98] * 1000,
            "max_ms": max(self.latencies) * 1000,
        }


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    at = head.index(b"content-length:") + len(b"content-length:")
    body = await reader.readexactly(int(head[at : head.index(b"\r", at)]))
    if head[9:10] >= b"4":
        msg = f"answer {head[9:12].decode()}: {body[:2000].decode(errors='replace')}"
        raise RuntimeError(msg)


async def send(
    requests: Iterator[bytes], host: str, port: int, clients: int, seconds: float, rate: float
) -> dict[str, float]:
    """Run a load to its end; returns its summary."""
    sender = Sender(requests, seconds, rate)
    await asyncio.gather(*[sender.connection(host, port) for _ in range(clients)])
    return sender.summary()


def main(arguments: list[str]) -> None:
    """Run the load that the arguments describe."""
    file, prefix, host, port, clients, seconds, rate = arguments
    requests = identified(Path(file).read_bytes().split(b"\0"), prefix)
    work = send(requests, host, int(port), int(clients), float(seconds), float(rate))
    print(json.dumps(run_async(work)))


if __name__ == "__main__":
    main(sys.argv[1:])
