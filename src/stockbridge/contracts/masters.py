"""Shapes of master data: the bodies of `PUT /v1/items/{sku}` and its kin."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from stockbridge.contracts.base import Code, Moment, NotNegative, Positive, Shape, Sku, Text, Uom

Percent = Annotated[int, Meta(ge=0, le=100)]
Gln = Annotated[str, Meta(pattern=r"^\d{13}$", description="Global Location Number")]
Gtin = Annotated[str, Meta(pattern=r"^(\d{8}|\d{12,14})$")]
Cost = Annotated[str, Meta(pattern=r"^\d{1,12}(\.\d{1,6})?$", description="Exact decimal text")]


class UnitOfMeasure(Shape, frozen=True):
    """1 `uom` = numerator/denominator base units."""

    uom: Uom
    numerator: Positive
    denominator: Positive = 1


class Alias(Shape, frozen=True):
    """What a system calls the item."""

    namespace: Code
    alias: Sku


class KitComponent(Shape, frozen=True):
    """Base units of `sku` in one kit."""

    sku: Sku
    quantity: Positive


class PutItem(Shape, frozen=True):
    """Make or replace an item; lists left out are kept as they are, empty lists clear."""

    sku: Sku
    description: Text = ""
    gtin: Gtin | None = None
    base_uom: Uom = "EA"
    status: Literal["draft", "active", "discontinued"] = "active"
    tracking: Literal["none", "lot", "serial"] = "none"
    standard_cost: Cost | None = None
    attributes: dict[str, Any] = {}
    uoms: Annotated[list[UnitOfMeasure], Meta(max_length=100)] | None = None
    aliases: Annotated[list[Alias], Meta(max_length=500)] | None = None
    components: Annotated[list[KitComponent], Meta(max_length=500)] | None = None


class ChangeItem(Shape, frozen=True):
    """What a system that has a say about items tells of one; what is left out stays as it is.

    `attributes` are added to those that are known. An item nobody knows is made.
    """

    sku: Sku
    description: Text | None = None
    gtin: Gtin | None = None
    base_uom: Uom | None = None
    status: Literal["draft", "active", "discontinued"] | None = None
    standard_cost: Cost | None = None
    attributes: dict[str, Any] = {}


class PutLocation(Shape, frozen=True):
    """Make or replace a location."""

    code: Code
    name: Text = ""
    kind: Literal["warehouse", "store", "3pl", "dropship", "virtual"] = "warehouse"
    authority: Code | None = None
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    feed_silence_seconds: Positive | None = None
    gln: Gln | None = None


class ChangeLocation(Shape, frozen=True):
    """What a system that has a say about locations tells of one; what is left out stays."""

    code: Code
    name: Text | None = None
    gln: Gln | None = None


class PutChannel(Shape, frozen=True):
    """Make or replace a channel; `sources` are location codes, first priority first."""

    code: Code
    name: Text = ""
    system: Code | None = None
    sourcing: Literal["priority", "fewest_splits"] = "priority"
    sources: Annotated[list[Code], Meta(max_length=5_000)] = []
    freshness_seconds_max: Positive | None = None


class PutSystem(Shape, frozen=True):
    """Make or replace a partner's endpoint.

    `connector` speaks its protocol, set up by `config` (fields of the connector's manifest; secrets
    are put apart). `operations` are what the hub asks of it, left out: all the connector can.
    `lifecycle` left out stays as it is.
    """

    code: Code
    kind: Literal[
        "erp", "wms", "tms", "oms", "crm", "3pl", "storefront", "marketplace", "pos", "portal",
        "edi", "supplier",
    ]  # fmt: skip
    name: Text = ""
    criticality: Annotated[int, Meta(ge=1, le=4)] = 3
    owner_team: Code = "operations"
    lifecycle: Literal["draft", "testing", "certified", "live", "suspended", "retired"] | None = (
        None
    )
    connector: Code | None = None
    config: Annotated[dict[str, Any], Meta(max_length=1_000)] = {}
    environment: Literal["production", "sandbox"] = "production"
    operations: Annotated[list[Code], Meta(max_length=100)] | None = None


class PutPolicy(Shape, frozen=True):
    """A new version of a channel's allocation policy, or of one item's on it (`sku`).

    Versions are never edited; the newest `effective_from` that has come is in force.
    """

    channel: Code
    sku: Sku | None = None
    effective_from: Moment | None = None
    kind: Literal["shared", "percent", "ring_fenced"] = "shared"
    percent: Percent = 100
    buffer_units: NotNegative = 0
    buffer_percent: Percent = 0
    cap: NotNegative | None = None
    floor: NotNegative = 0
    horizon_days: Annotated[int, Meta(ge=0, le=730)] = 0
    safety_stock: NotNegative = 0
    on_stale: Literal["serve", "buffer", "zero"] = "serve"
    stale_buffer_units: NotNegative = 0


class PutOrderFlow(Shape, frozen=True):
    """A new version of the way a channel's orders take; each order keeps the one it began with.

    `erp`: the system that must accept them; none, and that step is skipped. `release`: `auto` as
    soon as something is promised, `complete` once everything is, `manual` when told.
    `needs_payment`: not before it was paid. `asks_building`: what was released is only called off
    when the building agrees.
    """

    channel: Code
    erp: Code | None = None
    release: Literal["auto", "complete", "manual"] = "auto"
    needs_payment: bool = False
    asks_building: bool = False


class PutReasonCode(Shape, frozen=True):
    """Make or replace a reason code: which sign it allows and where the quantity goes."""

    code: Code
    description: Text = ""
    sign: Literal[-1, 0, 1] = 0
    account: Literal["adjustment", "scrap"] = "adjustment"
    active: bool = True
