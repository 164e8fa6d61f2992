"""What a route is, what its handler is given, what it gives back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry
from starlette.types import Receive

from stockbridge.contracts.base import Shape
from stockbridge.engine import Engine
from stockbridge.engine.inbox.accept import Inbox
from stockbridge.engine.inbox.apply import Applier
from stockbridge.governance.keyring import Grant, Keyring
from stockbridge.governance.keys import ADMIN, ApiKey
from stockbridge.governance.live_catalog import LiveCatalog
from stockbridge.ingress.connections import OpenConnectors
from stockbridge.ingress.systems import KnownSystems
from stockbridge.ingress.webhooks_gate import WebhookGate
from stockbridge.kernel.errors import Refusal
from stockbridge.outbox.listings.service import Listings
from stockbridge.outbox.service import Outbox
from stockbridge.store.database import Pool
from stockbridge.views.stock import StockView

JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Hub:
    """The services of one API process.

    `applier`, `outbox` and `listings` are None where other processes do their work.
    `closing` is set when the process begins to stop.
    """

    engine: Engine
    view: StockView
    keyring: Keyring
    contracts: LiveCatalog
    inbox: Inbox
    systems: KnownSystems
    webhooks: WebhookGate
    partners: OpenConnectors
    pool: Pool
    dsn: str
    data_dir: Path
    registry: CollectorRegistry
    applier: Applier | None = None
    outbox: Outbox | None = None
    listings: Listings | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Answer(NamedTuple):
    """A response; `stream`, when set, gives the body piece by piece instead of `body`."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Headers = ()
    stream: AsyncIterator[bytes] | None = None


Handler = Callable[["Call"], Awaitable[Answer | Refusal]]
Method = Literal["GET", "POST", "PUT", "PATCH"]


@dataclass(frozen=True)
class Route:
    """One call of the API: routing, access, OpenAPI and the documentation all come from it.

    `scopes`: any one of them opens it; none = public. `bound_keys`: a key bound to a channel or
    system may call it, because the handler or the engine keeps it to its own. `path_fields` are
    path parameters that are also fields of the body. `answers` maps a status to its shape, or
    a tuple of possible shapes; None is an answer that is not JSON. `raw` leaves the body to the
    handler, in these content types (`*/*`: in any), `raw_query` the query string, as text. `hot`
    calls skip the router. `at_once` answers a GET from memory, without waiting; None from it leaves
    the answer to `handler`.
    """

    method: Method
    path: str
    handler: Handler
    summary: str
    scopes: tuple[str, ...]
    answers: Mapping[int, Any]
    body: type[Shape] | None = None
    query: type[Shape] | None = None
    path_fields: tuple[str, ...] = ()
    key_required: bool = False
    bound_keys: bool = False
    hot: bool = False
    raw: tuple[str, ...] = ()
    raw_query: bool = False
    operation: str = ""
    at_once: Callable[["Call"], Answer | Refusal | None] | None = None

    @property
    def name(self) -> str:
        """The operation's name in OpenAPI."""
        return self.operation or self.handler.__name__

    @property
    def writes(self) -> bool:
        """Whether the call changes state."""
        return self.method != "GET" and "query" not in self.path

    @cached_property
    def opened_by(self) -> frozenset[str]:
        """The scopes that open it, the one that includes all others among them."""
        return frozenset((*self.scopes, ADMIN))

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """Decoder of the body."""
        return msgspec.json.Decoder(self.body if self.body is not None else Any)


class Call:
    """One request, checked: who asks (`grant`), what (`body`, `query`, `path`), under which id."""

    __slots__ = (
        "body", "correlation_id", "grant", "headers", "hub", "idempotency_key", "path", "query",
        "receive", "route", "traceparent",
    )  # fmt: skip

    def __init__(
        self,
        hub: Hub,
        route: Route,
        headers: Mapping[bytes, bytes],
        path: dict[str, str],
        receive: Receive,
    ) -> None:
        self.hub = hub
        self.route = route
        self.headers = headers
        self.path = path
        self.receive = receive
        self.grant: Grant | None = None
        self.correlation_id = ""
        self.traceparent = ""
        self.idempotency_key: str | None = None
        self.body: Any = None
        self.query: Any = None

    @property
    def key(self) -> ApiKey:
        """The caller's key; only routes with scopes have one."""
        if self.grant is None:
            raise LookupError(f"{self.route.path} is public and has no caller")
        return self.grant.key


def answer_json(value: Any, status: int = 200) -> Answer:
    """An answer of one JSON document."""
    return Answer(status, msgspec.json.encode(value))
