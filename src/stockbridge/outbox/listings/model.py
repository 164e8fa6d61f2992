"""A listing while it is worked on, what becomes of it, and what the publisher is given."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, Protocol

from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import StockUpdate

ZERO, LESS, READ, MORE = range(4)
"""Classes of risk, most urgent first: goes to zero, goes down, is to be read, goes up."""

Before = Literal["new", "ok", "dirty", "sending", "unknown", "accepted", "failed"]
"""What a row was when it was claimed; `sending`: whoever had it was killed."""

End = Literal["ok", "accepted", "later", "unknown", "failed"]
"""What became of a row's work. ok: what it shows is known; is that what it shall, it is done."""

LISTINGS_CHANNEL: Final = "stockbridge_listings"


class Row(NamedTuple):
    """A claimed listing. Figures are whole units of sale.

    `desired` is what the channel may show. `published`: what it shows as far as we know; None:
    never known. `sent`: the figure of a call whose end is not known or that was accepted.
    `unheard`: units sold there, seen at `unheard_at`, of which no order was recorded until
    `heard_from`. `lease`: until when it is ours.
    """

    listing_id: int
    sku: str
    channel_id: int
    item_id: int
    location_id: int
    item: str
    location: str
    attributes: Mapping[str, str]
    before: Before
    lease: datetime
    claimed_at: datetime
    desired: int
    desired_version: int
    sent: int | None
    sent_version: int
    published: int | None
    heard_from: datetime | None
    unheard: int
    unheard_at: datetime | None
    reckoned_at: datetime | None
    attempts: int
    misses: int
    is_ending: bool

    @property
    def target(self) -> int:
        """The figure to publish: what may be shown less what was sold there and not heard of."""
        return max(0, self.desired - self.unheard)

    def update(self) -> StockUpdate:
        """The row as connectors take it."""
        return StockUpdate(
            self.listing_id, self.sku, self.item, self.location, self.target, self.sent_version,
            self.published, self.attributes,
        )  # fmt: skip


class Settled(NamedTuple):
    """A row's work come to an end; what the row says of figures is kept, where it ended `ok`.

    `sent`: the figure of a call that must be looked after. `seconds`: until the next step.
    `verified`: the figure was read there. `corrected`: it had been changed there.
    """

    row: Row
    end: End
    sent: int | None = None
    seconds: float = 0.0
    verified: bool = False
    corrected: bool = False
    reference: str = ""
    code: str = ""
    detail: str = ""


class Wanted(NamedTuple):
    """A listing whose figure is asked; location 0: one figure for all."""

    listing_id: int
    system: str
    channel_id: int
    item_id: int
    location_id: int


class Manifests(Protocol):
    """What connectors can do, by their names."""

    def manifest(self, name: str) -> Manifest:
        """A connector's manifest; raises Misconfigured for a name nobody has."""


class Followed(Protocol):
    """Hears which items' stock changed, in the order of commits."""

    def close(self) -> None:
        """Hear nothing more."""

    async def wait(self) -> None:
        """Wait until something changed."""

    def take(self) -> set[int] | None:
        """The items that changed since the last call; None: everything may have."""


class Figures(Protocol):
    """What channels may show, from memory and, exactly, from the store."""

    def follow(self) -> Followed:
        """Hear of changes from now on."""

    def is_current(self) -> bool:
        """Whether memory is known to hold everything committed."""

    def shown(self, wanted: Sequence[Wanted]) -> dict[int, int]:
        """Figures by listing id, from memory; listings of nobody's channel are left out.

        `wanted` holds every listing by location of an item, a channel and a system, or none.
        """

    async def read(
        self, conn: Any, wanted: Sequence[Wanted], unshipped: Collection[str]
    ) -> dict[int, int]:
        """The same as the open snapshot of `conn` has it.

        For the systems `unshipped`, units promised to the channel's own orders that have not left
        count, too.
        """
