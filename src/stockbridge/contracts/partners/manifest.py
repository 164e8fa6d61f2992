"""A connector's manifest.toml: what a partner can do, its limits, and what must be configured."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from stockbridge.contracts.base import Shape, Text

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
Whole = Annotated[int, Meta(ge=1)]
Rate = Annotated[float, Meta(gt=0)]


class ConfigField(Shape, frozen=True, kw_only=True):
    """One field of a system's configuration, and how to find its value."""

    name: Name
    help: Text
    type: Literal["text", "url", "integer", "boolean", "choice", "table"] = "text"
    required: bool = False
    default: Any = None
    choices: list[str] = []
    pattern: str | None = None
    example: str = ""


class SecretField(Shape, frozen=True, kw_only=True):
    """One secret; kept encrypted under its name, replaced without a restart."""

    name: Name
    help: Text
    required: bool = True
    days_valid: Whole | None = None


class CostBucket(Shape, frozen=True, tag="cost_bucket", tag_field="model", kw_only=True):
    """A leaky bucket of points (Shopify, ShipHero): an operation costs `cost`."""

    capacity: Rate
    per_second: Rate
    cost: Rate = 1.0


class TokenBucket(Shape, frozen=True, tag="token_bucket", tag_field="model", kw_only=True):
    """Tokens of one operation (Amazon, Walmart): one a call."""

    burst: Rate
    per_second: Rate


class Window(Shape, frozen=True, tag="window", tag_field="model", kw_only=True):
    """At most `calls` in any `seconds` (BigCommerce, ShipBob, Business Central)."""

    calls: Whole
    seconds: Rate


class Concurrency(Shape, frozen=True, tag="concurrency", tag_field="model", kw_only=True):
    """At most `calls` at the same time, over all processes (NetSuite)."""

    calls: Whole


class DailyBudget(Shape, frozen=True, tag="daily_budget", tag_field="model", kw_only=True):
    """At most `calls` a day for one object (eBay: 250 revisions of a listing); UTC days."""

    calls: Whole


Limit = CostBucket | TokenBucket | Window | Concurrency | DailyBudget


class LimitRule(Shape, frozen=True, kw_only=True):
    """Limits of operations; all that match a call are taken. '*' = every operation together.

    `scope` `operation`: each operation has its own; `shared`: they share one.
    """

    operations: Annotated[list[str], Meta(min_length=1)]
    limit: Limit
    scope: Literal["operation", "shared"] = "operation"
    note: Text = ""


class Bulk(Shape, frozen=True, kw_only=True):
    """A slower way for many rows at once, such as a feed: its answer says accepted.

    Taken when `rows_min` rows wait that do not go to zero; limited as operation `publish_bulk`.
    """

    rows_min: Whole = 50
    rows_max: Whole = 10_000
    verify_after_seconds: Whole = 900


class Stock(Shape, frozen=True, kw_only=True):
    """How the partner takes figures.

    mode: absolute, delta or compare_and_set. `basis`: what the figure means there: available to
    this channel, or that plus what the channel itself sold and did not ship yet. `item_key`: the
    item's id there is an alias in the system's namespace, or our SKU. `is_async`: an answer of
    success says accepted, not applied. `reads_first` (mode absolute): a figure above zero is read
    before it is written, so that what was sold there and not heard of is not put back.
    """

    mode: Literal["absolute", "delta", "compare_and_set"] = "absolute"
    basis: Literal["available", "available_and_own_unshipped"] = "available"
    per_location: bool = False
    item_key: Literal["alias", "sku"] = "alias"
    rows_max: Whole = 1
    observe_rows_max: Whole = 1
    is_async: bool = False
    quantity_max: Whole = 999_999
    verify_after_seconds: Whole = 60
    reads_first: bool = True
    idempotent: bool = False
    bulk: Bulk | None = None


class Operation(Shape, frozen=True, kw_only=True):
    """One kind of delivery the partner takes (contracts/partners/operations.py)."""

    name: Name
    idempotent: bool = False
    probe: bool = False
    help: Text = ""


class Feed(Shape, frozen=True, kw_only=True):
    """Something to read regularly, whatever webhooks say; each poll overlaps the one before.

    The feed that tells what the partner sold is called `orders`: sales not heard end with it.
    `shifts`: its pages are numbered, so what is on them moves while they are read; they are read
    again until nothing is new. `lag_seconds`: it leaves out what happened right before it is read,
    so what a poll heard ends that much before it began.
    """

    name: Name
    period_seconds: Whole = 300
    overlap_seconds: Whole = 300
    lag_seconds: Annotated[int, Meta(ge=0)] = 0
    shifts: bool = False
    help: Text = ""


class Webhook(Shape, frozen=True, kw_only=True):
    """How the partner calls us. `topics`: what it may send; `secret`: the secret that signs."""

    secret: Name
    topics: list[str] = []
    help: Text = ""


class Manifest(Shape, frozen=True, kw_only=True):
    """One connector. `hosts`: where it may call, `{field}` taken from the configuration."""

    name: Name
    title: Text
    kind: Literal[
        "erp", "wms", "tms", "oms", "crm", "3pl", "storefront", "marketplace", "pos", "portal",
        "edi", "supplier",
    ]  # fmt: skip
    version: Text
    summary: Text
    docs: Text = ""
    hosts: list[str] = []
    config: list[ConfigField] = []
    secrets: list[SecretField] = []
    limits: list[LimitRule] = []
    stock: Stock | None = None
    operations: list[Operation] = []
    feeds: list[Feed] = []
    webhook: Webhook | None = None
    has_catalog: bool = False
    timeout_seconds: Rate = 20.0
    concurrency: Whole = 4
    unknown: list[Text] = []
