"""What the hub and a connector say to each other: the seam between outbox, doors and partners.

Outbox and ingress know connectors only by these shapes, and connectors know the hub only by them.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from stockbridge.contracts.base import Shape
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.manifest import Manifest

OutcomeKind = Literal["confirmed", "accepted", "rejected", "later", "unknown"]


class Outcome(msgspec.Struct, frozen=True):
    """What became of one delivery or one row of a listing update.

    confirmed: done, and the partner said so; accepted: taken, to be done later, so it must be
    probed or read back; rejected: never will be, `code` and `detail` say why; later: not done, try
    again after `after_seconds`; unknown: sent, but no answer came: probe before sending again.
    """

    kind: OutcomeKind
    code: str = ""
    detail: str = ""
    reference: str = ""
    after_seconds: float | None = None
    observed: int | None = None
    """Of a compare-and-set that was stale: the figure the partner has."""


class StockUpdate(msgspec.Struct, frozen=True):
    """One row to publish: the absolute figure the partner shall show for item (and location).

    `item` and `location` are the partner's own ids (location '' where it keeps one figure).
    `version` grows with each new figure or new `previous` to be sent, and stays for a call that is
    repeated. `previous` is the figure we believe the partner shows now, None when we do not know
    it (only where absolute figures are set without reading).
    """

    listing_id: int
    sku: str
    item: str
    location: str
    quantity: int
    version: int
    previous: int | None = None
    attributes: Mapping[str, str] = {}


class Observed(msgspec.Struct, frozen=True):
    """A figure as the partner shows it now; quantity None: it does not list the item there."""

    item: str
    location: str
    quantity: int | None
    problem: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """One thing owed to a partner: an operation of contracts/partners/operations.py.

    `idempotency_key` (a UUID) is the same on every attempt; `reference` is what the partner called
    the result of an earlier one.
    """

    delivery_id: int
    operation: str
    object_key: str
    idempotency_key: str
    correlation_id: str
    attempt: int
    payload: Any
    reference: str = ""


class Incoming(msgspec.Struct, frozen=True):
    """One message of a partner, as bytes to be kept before anything is done with them.

    `message_id` is the partner's own identity of it (same id, same content: a repetition);
    `topic` names the decoder: the contract is `connector:SYSTEM:TOPIC.v1`. `is_exact`: the same id
    with other bytes is no repetition but a contradiction, kept aside and told to an owner.
    """

    message_id: str
    topic: str
    body: bytes
    content_type: str = "application/json"
    sequence: int | None = None
    flow: str = ""
    is_exact: bool = False


class ReportedStock(msgspec.Struct, frozen=True):
    """A stock report, to be compared with the ledger: rows as NDJSON (domain/snapshots).

    The same rows under the same `number` are the same report. `sequence` is the partner's own
    numbering; `meaning` what its available figure means there.
    """

    number: str
    cutoff_at: datetime
    rows: bytes
    sequence: int | None = None
    meaning: Literal["available", "on_hand", "available_net_of_promises"] = "available"
    is_authoritative: bool = False


class Received(msgspec.Struct, frozen=True):
    """What a verified webhook brings: messages to keep, and feeds that shall be read now.

    `answer` is a body the partner wants to hear back (a validation token), if any.
    """

    messages: Sequence[Incoming] = ()
    feeds: Sequence[str] = ()
    answer: bytes = b""


class Page(msgspec.Struct, frozen=True):
    """One page of a feed, oldest first; `cursor` None: it was the last.

    A page is kept before the next is asked for, so a cursor may say what is done with.
    """

    messages: Sequence[Incoming]
    cursor: str | None
    newest: datetime | None = None
    reports: Sequence[ReportedStock] = ()


class CatalogEntry(msgspec.Struct, frozen=True):
    """An item as the partner lists it: `item` is its own id, `attributes` what updates need.

    By its `sku`, else by its `gtin`, it is one of our items. `locations` empty: the catalog does
    not tell where it is stocked.
    """

    item: str
    sku: str
    title: str = ""
    locations: Sequence[str] = ()
    attributes: Mapping[str, str] = {}
    gtin: str = ""


class Check(msgspec.Struct, frozen=True):
    """One line of `systems test`: what was tried, whether it is right, and the fix if not."""

    name: str
    is_good: bool
    detail: str = ""
    fix: str = ""


class WebhookRequest(NamedTuple):
    """A request as it came: header names in lower case, the body untouched."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Connector(Protocol):
    """One system's connection, opened with its configuration; used by many tasks at once.

    Methods that a manifest does not claim are never called. `publish`, `send`, `probe` and `test`
    raise nothing for what a partner can do, they return outcomes and checks; what reads (`observe`,
    `poll`, `catalog`) raises Retry when it cannot, and Misconfigured (kernel.errors).
    """

    manifest: Manifest

    async def close(self) -> None:
        """Give connections back."""

    async def test(self) -> Sequence[Check]:
        """Try configuration, credentials, permissions and reachability; changes nothing."""

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """Set the figures; one outcome a row, in order. At most `manifest.stock.rows_max` rows."""

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """Read what the partner shows for these rows, in order."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Do one operation."""

    async def probe(self, delivery: Delivery) -> Outcome:
        """Look up by our reference whether it was done.

        confirmed, rejected; `later`: not done, may be sent again; unknown: not even that is known.
        """

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """Verify a webhook on its raw bytes against any of the secrets; None: not believed."""

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Read a page of a feed, from `since` (None: the beginning) on, or the next by cursor."""

    def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Everything the partner lists, in any order."""


class Bulky(Protocol):
    """What a connector has beside, whose manifest claims `stock.bulk`."""

    async def publish_bulk(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """Set the figures of many rows by the slower way; one outcome a row, in order."""


class Decoder(Protocol):
    """The pure half of a connector: its mapping, the same bytes always to the same commands."""

    def __call__(self, topic: str, body: bytes, config: Mapping[str, Any]) -> "Decoded":
        """The events a kept message tells, as (type, data) in the hub's words.

        `config` has the manifest's defaults, and `system`, the system's code, which is the
        namespace of its aliases.
        """


class EventData(msgspec.Struct, frozen=True):
    """One event in the hub's words: `type` and `data` as in contracts/events."""

    type: str
    data: Mapping[str, Any]


Decoded = Sequence[EventData | Undecodable] | Undecodable
"""What a message says: events, and in their place what of it cannot be read while the rest can."""
Commands = list[Shape]


class LimitSeen(msgspec.Struct, frozen=True):
    """What a partner's answer said about a limit of `operation` (a manifest's name, '*': all).

    `remaining` and `capacity` in the unit of the limit's model (points, tokens, calls); nothing
    will be taken for `wait_seconds`. None: the answer did not say.
    """

    operation: str
    remaining: float | None = None
    capacity: float | None = None
    per_second: float | None = None
    wait_seconds: float | None = None


HearLimit = Callable[[LimitSeen], None]
"""Hears what answers say about limits; called on the event loop, must not wait."""


class Numbered(NamedTuple):
    """A control number that was taken: the number, when, what it was said to be for, its answer."""

    number: int
    taken_at: datetime
    detail: str = ""
    answer: str = ""


class Journal(Protocol):
    """What one system was sent under control numbers, and whether it acknowledged them."""

    async def take(
        self,
        counter: str,
        key: str,
        *,
        detail: str = "",
        answer_due: tuple[int, int] | None = None,
    ) -> Numbered:
        """The next number of a counter, for `key`: asked again the same, with its first `detail`.

        `answer_due` are seconds after which a missing answer is warned of, and is a breach.
        """

    async def answer(self, counter: str, number: int, answer: str, detail: str = "") -> bool:
        """Note the partner's answer; False: that number was never taken.

        Answers are accepted, noted, partial and rejected; an owner hears of the last two.
        """


class Opened(msgspec.Struct, frozen=True):
    """What opening a connection needs: validated configuration, and secrets by name.

    `journal` numbers what is sent and waits for its acknowledgement; `exchange_dir` is where
    partners' folders are. Both are there in a hub, not in a test of a connector alone.
    """

    system: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str]
    environment: Literal["production", "sandbox"] = "production"
    hear_limit: HearLimit | None = None
    journal: Journal | None = None
    exchange_dir: Path | None = None


class Connectors(Protocol):
    """All connectors there are; the composition root gives the only implementation."""

    def names(self) -> Sequence[str]:
        """Their names, sorted."""

    def manifest(self, name: str) -> Manifest:
        """A connector's manifest; raises Misconfigured for a name nobody has."""

    def faults(self, name: str, config: Mapping[str, Any]) -> Sequence[str]:
        """What is wrong with a configuration, each with the field and the fix; empty if right."""

    def open(self, name: str, opened: Opened) -> Connector:
        """A connection; raises Misconfigured."""

    def decode(self, name: str, topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
        """The events of a kept message; never raises. `config` must have `system`, its code."""


class Partners(Protocol):
    """The open connections of this process, by system; the composition root gives the only one."""

    async def connector(self, system: str) -> Connector:
        """The system's connection, opened with its configuration and secrets as they are now.

        Ask anew for every call: a change of either replaces it within seconds, and the old one is
        closed once calls under way have had time to end. Raises Misconfigured when the system has
        no connector, may not be called in its lifecycle (draft, suspended and retired never,
        testing only in a sandbox), or cannot be opened; Retry when the database is away.
        """

    async def orders_heard_at(self, system: str) -> datetime | None:
        """Since when the newest read of the system's `orders` feed, all of it applied, had begun.

        What the partner sold before that moment has been heard; None: nothing is sure.
        """
