"""A partner on loopback that a connector can be driven against, its traps included.

A simulator is one class in the connector's `simulator.py`: it serves the partner's calls over real
HTTP from a thread of its own, keeps what was done to it, and misbehaves when it is told to.
"""

import asyncio
import contextlib
import random
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stockbridge.contracts.partners.model import WebhookRequest
from stockbridge.kernel.errors import Broken, Misconfigured

Handler = Callable[[Request], Awaitable[Response]]
FaultKind = Literal[
    "throttle",
    "fail_before",
    "fail_after",
    "drop_before",
    "drop_after",
    "time_out_after",
    "slow",
    "garbage",
]
HANG_SECONDS: Final = 30.0
SLOW_SECONDS: Final = 0.2
_START_SECONDS_MAX: Final = 20.0
_TRANSPORT: Final = "stockbridge.transport"
Done = TypeVar("Done")


class Served(NamedTuple):
    """One call of the partner's API; `operation` is the connector's name of it."""

    operation: str
    method: str
    path: str
    handler: Handler


class Recorded(NamedTuple):
    """A call as it came."""

    operation: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int


class Listed(NamedTuple):
    """An item as the partner lists it."""

    item: str
    location: str
    attributes: Mapping[str, str] = {}


class OrderLine(NamedTuple):
    """A line of an order there: the partner's line id, our sku, how many."""

    line: str
    sku: str
    quantity: int


class Ordered(NamedTuple):
    """An order that a customer placed there."""

    number: str
    lines: Sequence[OrderLine]


class Fault(NamedTuple):
    """Something that goes wrong with calls of `operation` ('' = any)."""

    kind: FaultKind
    operation: str


class Clock:
    """The partner's clock: the real one, moved forward at will."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._ahead += seconds

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._ahead

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._ahead)


class Simulator(ABC):
    """A partner: subclasses say what it serves, keep its state, and offer the trading floor below.

    Used as a context manager it listens on a free port of the loopback interface. `calls` are
    what came, `effects` what was done and how often: (operation, object) -> times.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.calls: list[Recorded] = []
        self.effects: Counter[tuple[str, str]] = Counter()
        self.clock = Clock()
        self.rejected: dict[str, str] = {}
        """Items whose rows are refused, and why."""
        self.unapplied_share = 0.0
        """Of the rows that are accepted, the share that is never applied."""
        self.delivers_to = "https://hub.example.com/v1/webhooks/shop"
        """Where its webhooks go, as its own settings have it."""
        self.retry_after_seconds = 7
        self.page_max = 50
        """Most rows of a page of anything."""
        self.issued: set[str] = set()
        """Tokens it gave out: secrets like those that were configured."""
        self._faults: list[Fault] = []
        self._random = random.Random(7)  # noqa: S311 - which rows are lost, not a secret
        self._url = ""
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # What a subclass says -----------------------------------------------------------------

    @abstractmethod
    def served(self) -> Sequence[Served]:
        """The calls of the partner's API."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The configuration of a system that is this partner."""

    @abstractmethod
    def secrets(self) -> dict[str, str]:
        """Its secrets, as they are now."""

    @abstractmethod
    def rotate(self) -> None:
        """Replace every credential; the old ones are refused from now on, webhooks signed anew."""

    @abstractmethod
    def list_item(self, sku: str, quantity: int) -> Listed:
        """List an item there, with a figure."""

    @abstractmethod
    def shown(self, listed: Listed) -> int | None:
        """The figure that customers see."""

    def unlisted(self) -> Listed:
        """An item that is not listed there."""
        return Listed("not-listed", "")

    def settle(self) -> None:  # noqa: B027 - most partners apply at once
        """Let everything that was accepted take its time and be applied."""

    def prepare(self, operation: str, ordered: Ordered) -> None:  # noqa: B027 - most need nothing
        """Bring an order as far as the operation needs it."""

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer orders items (by sku); the figures there fall, a webhook is due."""
        raise NotImplementedError(f"{self.name} takes no orders: {lines}")

    def cancel(self, number: str) -> None:
        """The customer calls an order off; a webhook is due."""
        raise NotImplementedError(f"{self.name} takes no orders: {number}")

    def webhooks(self) -> list[WebhookRequest]:
        """Take the webhooks that are due, signed, oldest first."""
        return []

    def operation_of(self, served: Served, body: bytes) -> str:
        """What a call is for, where one address serves many operations."""
        del body
        return served.operation

    def throttled(self, operation: str) -> Response:
        """How the partner says 'too fast'."""
        headers = {"Retry-After": str(self.retry_after_seconds)}
        return JSONResponse({"error": f"too many calls of {operation}"}, 429, headers)

    # What a test or a person does -----------------------------------------------------------

    def fault(self, kind: FaultKind, operation: str = "", times: int = 1) -> None:
        """Let the next calls go wrong in this way."""
        self._faults += [Fault(kind, operation)] * times

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()
        self.rejected.clear()
        self.unapplied_share = 0.0

    def between(self, act: Callable[[], Done]) -> Done:
        """Do something on the trading floor between two calls, not in the middle of one."""
        if self._loop is None:
            return act()

        async def acted() -> Done:
            return act()

        return asyncio.run_coroutine_threadsafe(acted(), self._loop).result(_START_SECONDS_MAX)

    def called(self, operation: str) -> list[Recorded]:
        """The calls of an operation, oldest first."""
        return [call for call in self.calls if call.operation == operation]

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._url

    # What handlers use ------------------------------------------------------------------------

    def did(self, operation: str, *key: object) -> None:
        """Count an effect on the partner's business."""
        self.effects[operation, "/".join(map(str, key))] += 1

    def applies(self) -> bool:
        """Whether an accepted row is really applied."""
        return not self.unapplied_share or self._random.random() >= self.unapplied_share

    # Serving ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self if self._thread is not None else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, port: int = 0) -> Self:
        """Listen on loopback; returns when calls are answered."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            listener.close()
            raise Misconfigured(f"port {port} cannot be listened on: {error.strerror}") from error
        self._url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, started)),
            name=f"simulator {self.name}",
            daemon=True,
        )
        self._thread.start()
        if not started.wait(_START_SECONDS_MAX):
            raise Broken(f"the simulator of {self.name} does not start")
        return self

    def stop(self) -> None:
        """Stop listening and end the thread."""
        if self._stop is not None and self._thread is not None:
            self._stop()
            self._thread.join()
        self._stop = self._thread = self._loop = None

    async def _serve(self, listener: socket.socket, started: threading.Event) -> None:
        """Serve until told to stop, which takes effect at once."""
        config = uvicorn.Config(
            self._app(), http=_Protocol, ws="none", lifespan="off", log_config=None,
            access_log=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
        self._loop = loop
        started.set()
        await stopped.wait()
        server.force_exit = True
        await server.shutdown(sockets=[listener])

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(entry.path, self._endpoint(entry), methods=[entry.method])
                for entry in self.served()
            ]
        )

    def _endpoint(self, served: Served) -> Handler:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            operation = self.operation_of(served, body)
            response = await self._answer(served, operation, request)
            self.calls.append(
                Recorded(
                    operation, request.method, request.url.path, request.url.query,
                    dict(request.headers), body, response.status_code,
                )
            )  # fmt: skip
            return response

        return endpoint

    async def _answer(self, served: Served, operation: str, request: Request) -> Response:
        kind = self._next_fault(operation)
        if kind == "throttle":
            return self.throttled(operation)
        if kind == "fail_before":
            return JSONResponse({"error": "internal"}, 500)
        if kind == "drop_before":
            return await _dropped(request)
        if kind == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        response = await served.handler(request)
        if kind == "fail_after":
            return JSONResponse({"error": "internal"}, 502)
        if kind == "drop_after":
            return await _dropped(request)
        if kind == "time_out_after":
            await _hang(request)
        if kind == "garbage":
            return Response("<html>maintenance</html>", media_type="text/html")
        return response

    def _next_fault(self, operation: str) -> FaultKind | None:
        for index, fault in enumerate(self._faults):
            if fault.operation in ("", operation):
                del self._faults[index]
                return fault.kind
        return None


class _Protocol(HttpToolsProtocol):
    """Hands each request its connection, so that it can be broken."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.access_log = False
        self.scope[_TRANSPORT] = self.transport  # type: ignore[typeddict-unknown-key]


async def _dropped(request: Request) -> Response:
    """Break the connection without an answer."""
    request.scope[_TRANSPORT].abort()
    await asyncio.sleep(0)
    return Response(status_code=499)


async def _hang(request: Request) -> None:
    """Say nothing until the caller has gone."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HANG_SECONDS):
            await request.receive()
