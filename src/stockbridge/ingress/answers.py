"""Shapes of answers that no other package defines; OpenAPI and the tests read them."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType


class FieldError(msgspec.Struct, omit_defaults=True):
    """One thing wrong: `index` is the row of a list, counted from 0."""

    code: str
    detail: str
    field: str = ""
    index: int | None = None
    pointer: str = ""


class Problem(msgspec.Struct):
    """RFC 9457 problem document; `code` is stable, `errors` names each bad row."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldError] | UnsetType = UNSET


class Source(msgspec.Struct):
    """Base units promised from one location."""

    location: str
    quantity: int


class ReservationLine(msgspec.Struct):
    """A line as asked (`quantity` in `uom`, `units` in base units) and what is held for it."""

    line: int
    sku: str
    quantity: int
    uom: str | None
    units: int
    reserved: int
    backordered: int
    sources: list[Source]


class Reservation(msgspec.Struct):
    """A promise."""

    id: str
    state: Literal["held", "confirmed", "fulfilled", "released", "expired"]
    channel: str
    reference: str
    mode: Literal["all_or_nothing", "partial", "backorder"]
    expires_at: datetime | None
    created_at: datetime
    lines: list[ReservationLine]


class ReservationSummary(msgspec.Struct):
    """A promise in a list."""

    id: str
    state: str
    channel: str
    reference: str
    mode: str
    expires_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    lines: int
    correlation_id: str


class FactDocument(msgspec.Struct):
    """The document a fact was booked under."""

    type: str
    number: str


class FactLine(msgspec.Struct):
    """What became of a line: booked, known already (duplicate), or contradicting what is known.

    Kinds of facts add fields: `difference` of a count, `open` of a supply, `booked_quantity` of
    a conflict.
    """

    line: str
    sku: str
    quantity: int
    outcome: Literal["booked", "duplicate", "conflict"]


class FactAnswer(msgspec.Struct):
    """A booked fact; 200 when every line was known already."""

    document: FactDocument
    occurred_at: datetime
    recorded_at: datetime
    lines: list[FactLine]


class Stamped(msgspec.Struct):
    """When a record changed last, and by which request."""

    updated_at: datetime
    correlation_id: str


class Unit(msgspec.Struct):
    """1 `uom` = numerator/denominator base units."""

    uom: str
    numerator: int
    denominator: int


class AliasOf(msgspec.Struct):
    """What a system calls the item."""

    namespace: str
    alias: str


class Component(msgspec.Struct):
    """Base units of `sku` in one kit."""

    sku: str
    quantity: int


class ItemSummary(Stamped):
    """An item in a list."""

    sku: str
    description: str
    gtin: str | None
    base_uom: str
    status: str
    tracking: str
    standard_cost: str | None
    attributes: dict[str, Any]


class Item(ItemSummary):
    """An item with its units, aliases and kit components."""

    uoms: list[Unit]
    aliases: list[AliasOf]
    components: list[Component]


class Location(Stamped):
    """A location."""

    code: str
    name: str
    kind: str
    authority: str | None
    time_zone: str
    feed_silence_seconds: int | None
    gln: str | None


class Channel(Stamped):
    """A channel; `sources` are location codes, first priority first."""

    code: str
    name: str
    system: str | None
    sourcing: str
    sources: list[str]
    freshness_seconds_max: int | None


class System(Stamped):
    """A partner's endpoint."""

    code: str
    name: str
    kind: str
    criticality: int
    owner_team: str
    lifecycle: str
    connector: str | None
    config: dict[str, Any]
    environment: str
    operations: list[str]


class ReasonCode(Stamped):
    """A governed reason for an adjustment."""

    code: str
    description: str
    sign: int
    account: str
    active: bool


class Policy(msgspec.Struct):
    """One version of a policy; `sku` null = the whole channel."""

    channel: str
    sku: str | None
    version: int
    effective_from: datetime
    author: str
    kind: str
    percent: int
    buffer_units: int
    buffer_percent: int
    cap: int | None
    floor: int
    horizon_days: int
    safety_stock: int
    on_stale: str
    stale_buffer_units: int
    correlation_id: str


class FenceLine(msgspec.Struct):
    """Base units set aside at a location."""

    sku: str
    location: str
    quantity: int


class Fences(msgspec.Struct):
    """What is set aside for a channel."""

    channel: str
    lines: list[FenceLine]


class LinesChanged(msgspec.Struct):
    """How many lines were set."""

    lines: int


class MovementDocument(msgspec.Struct):
    """The line of the business document behind a movement."""

    type: str
    number: str
    line: str


class Movement(msgspec.Struct):
    """One ledger entry: `quantity` base units left one account and entered another."""

    sku: str
    location: str
    movement_id: str
    kind: str
    giver: str = msgspec.field(name="from")
    taker: str = msgspec.field(name="to")
    quantity: int
    occurred_at: datetime
    recorded_at: datetime
    document: MovementDocument
    reason: str | None
    message_id: str | None
    correlation_id: str
    reverses: str | None


class ExceptionCase(msgspec.Struct):
    """What a person must look at."""

    id: int
    kind: str
    subject: str
    severity: int
    owner_team: str
    cause: str
    action: str
    opened_at: datetime
    seen_at: datetime
    occurrences: int
    resolved_at: datetime | None
    resolution: str | None
    correlation_id: str


class AuditRow(msgspec.Struct):
    """An administrative act."""

    id: int
    recorded_at: datetime
    actor: str
    act: str
    subject: str
    detail: dict[str, Any]
    correlation_id: str


class Key(msgspec.Struct):
    """An API key without its secret."""

    id: str
    name: str
    scopes: list[str]
    channel: str | None
    system: str | None
    requests_per_minute: int
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyMade(msgspec.Struct):
    """A new key; `token` is shown this once."""

    id: str
    token: str
    scopes: list[str]


class KeyRevoked(msgspec.Struct):
    """The key that no longer works."""

    id: str
    revoked: bool


class ImportJob(msgspec.Struct):
    """A bulk import and how it goes."""

    job_id: int
    kind: str
    state: Literal["running", "done", "failed"]
    rows_good: int
    rows_bad: int
    detail: str
    actor: str
    started_at: datetime
    ended_at: datetime | None
    correlation_id: str


class ImportAccepted(msgspec.Struct):
    """The job that imports what was sent; GET /v1/imports/{job} tells how it goes."""

    job: int


class ImportError(msgspec.Struct):  # noqa: A001 - the word the API uses
    """A row that was refused, and why."""

    row_number: int
    raw: str
    reason: str


class Health(msgspec.Struct):
    """The process answers."""

    status: str


class Check(msgspec.Struct):
    """One condition of readiness."""

    ok: bool
    detail: str


class Readiness(msgspec.Struct):
    """Whether the process should be sent requests, and each condition."""

    ready: bool
    checks: dict[str, Check]
