"""Shapes of availability questions and answers."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Code, Shape, Sku

SKUS_MAX = 10_000


class AvailabilityQuery(Shape, frozen=True):
    """Ask for many items of one channel, answered from one consistent view."""

    channel: Code
    skus: Annotated[list[Sku], Meta(min_length=1, max_length=SKUS_MAX)]


class Availability(msgspec.Struct, omit_defaults=False):
    """How many a channel may show: `available` base units of the item.

    `as_of` is when the hub's figure was current, `feed_age_seconds` the age of the oldest feed
    behind it (null: never heard from), `stale` compares that with the channel's threshold.
    `promisable_at`/`can_fulfil` answer a question with `quantity` or `by`.
    """

    sku: str
    channel: str
    available: int
    as_of: str
    feed_age_seconds: int | None
    stale: bool
    source: Literal["view", "store"]


class AvailabilityDated(Availability, omit_defaults=False):
    """The answer to a question with `quantity` and/or `by`."""

    quantity: int = 1
    by: str | None = None
    can_fulfil: bool = False
    promisable_at: str | None = None


class AvailabilityList(msgspec.Struct):
    """Answer of a query; `unknown` lists SKUs that are no items."""

    channel: str
    as_of: str
    stale: bool
    items: list[Availability]
    unknown: list[str]
