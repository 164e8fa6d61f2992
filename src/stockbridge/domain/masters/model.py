"""Masters as the rules see them: immutable, already resolved to ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

AllocationKind = Literal["shared", "percent", "ring_fenced"]
StaleAction = Literal["serve", "buffer", "zero"]
Sourcing = Literal["priority", "fewest_splits"]
ReleaseKind = Literal["auto", "complete", "manual"]


@dataclass(frozen=True, slots=True)
class Item:
    """What is kept in stock. `components` is non-empty for a kit: (component item id, units each).

    `uoms` maps a unit to (numerator, denominator): 1 unit = numerator/denominator base units.
    `standard_cost` is the ERP's, as exact decimal text, or None when unknown.
    """

    item_id: int
    sku: str
    base_uom: str = "EA"
    status: str = "active"
    tracking: str = "none"
    standard_cost: str | None = None
    uoms: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    components: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """Why stock may be corrected: sign -1 only decreases, +1 only increases, 0 both.

    `account` is where the quantity goes: `adjustment` or `scrap`.
    """

    code: str
    description: str = ""
    sign: int = 0
    account: str = "adjustment"
    active: bool = True


@dataclass(frozen=True, slots=True)
class System:
    """A partner's endpoint; `criticality` 1 is the most critical; `operations` it is owed."""

    system_id: int
    code: str
    kind: str
    name: str = ""
    criticality: int = 3
    owner_team: str = "operations"
    lifecycle: str = "draft"
    operations: tuple[str, ...] = ()

    def takes(self, operation: str) -> bool:
        """Whether deliveries of it are owed: not while it is drawn up, nor once it is retired."""
        return operation in self.operations and self.lifecycle not in ("draft", "retired")


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks for a change, under which correlation id, and when."""

    principal: str
    correlation_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Location:
    """A place that holds stock; `authority` is the system code that speaks for it."""

    location_id: int
    code: str
    kind: str = "warehouse"
    authority: str | None = None
    time_zone: str = "UTC"
    feed_silence_seconds: int | None = None
    name: str = ""
    gln: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of how a channel may draw on stock; the version in force is chosen by time.

    percent: share of the pool in whole percent (kind `percent`). buffer_units / buffer_percent:
    held back from the shown figure. cap: never show more. floor: show 0 below. horizon_days:
    pipeline expected within so many days counts. on_stale: what a stale figure does, with
    stale_buffer_units for `buffer`. safety_stock: per location, where the balance sets none.
    """

    version: int = 0
    effective_from: datetime | None = None
    author: str = "default"
    kind: AllocationKind = "shared"
    percent: int = 100
    buffer_units: int = 0
    buffer_percent: int = 0
    cap: int | None = None
    floor: int = 0
    horizon_days: int = 0
    safety_stock: int = 0
    on_stale: StaleAction = "serve"
    stale_buffer_units: int = 0


@dataclass(frozen=True, slots=True)
class OrderFlow:
    """One version of the way a channel's orders take; see contracts.masters.PutOrderFlow."""

    version: int = 0
    erp: str | None = None
    release: ReleaseKind = "auto"
    needs_payment: bool = False
    asks_building: bool = False


@dataclass(frozen=True, slots=True)
class Channel:
    """Where demand comes from; `sources` are location ids, first priority first.

    `policies` and `item_policies` hold every version, oldest effective first; `flow` is the newest.
    """

    channel_id: int
    code: str
    sourcing: Sourcing = "priority"
    sources: tuple[int, ...] = ()
    freshness_seconds_max: int | None = None
    policies: tuple[Policy, ...] = ()
    item_policies: Mapping[int, tuple[Policy, ...]] = field(default_factory=dict)
    system: str | None = None
    name: str = ""
    flow: OrderFlow = OrderFlow()

    def policy_at(self, moment: datetime, item_id: int | None = None) -> Policy:
        """The version in force at `moment`: the item's own, else the channel's, else defaults."""
        own = (
            self.item_policies.get(item_id) if item_id is not None and self.item_policies else None
        )
        return _in_force(own, moment) or _in_force(self.policies, moment) or NO_POLICY


NO_POLICY = Policy()


def _in_force(versions: tuple[Policy, ...] | None, moment: datetime) -> Policy | None:
    for policy in reversed(versions or ()):
        if policy.effective_from is None or policy.effective_from <= moment:
            return policy
    return None


class Catalog:
    """The masters by code and by id, as rules look them up; filled from the store by the cache."""

    def __init__(self) -> None:
        self.epoch = 0
        self.channels: dict[str, Channel] = {}
        self.channels_by_id: dict[int, Channel] = {}
        self.locations: dict[str, Location] = {}
        self.locations_by_id: dict[int, Location] = {}
        self.reason_codes: dict[str, ReasonCode] = {}
        self.systems: dict[str, System] = {}
        self.has_fences = False
        self.items: dict[str, Item] = {}
        self.items_by_id: dict[int, Item] = {}
        self.aliases: dict[tuple[str, str], int] = {}
