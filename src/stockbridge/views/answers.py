"""Answers availability questions from shelves, whether those of the view or read for it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

from stockbridge.contracts.availability import Availability, AvailabilityDated, AvailabilityList
from stockbridge.domain.availability import rules
from stockbridge.kernel.clock import microseconds
from stockbridge.kernel.errors import Refusal
from stockbridge.views.shelves import Plan, Shelves, moment_of


def text_of(us: int) -> str:
    """A moment as RFC 3339 text in UTC."""
    return moment_of(us).isoformat().replace("+00:00", "Z")


def unknown_sku(sku: str) -> Refusal:
    """There is no such item."""
    return Refusal("unknown_sku", f"no item has the SKU {sku!r}: check it, or make the item", 404)


def unknown_channel(code: str) -> Refusal:
    """There is no such channel."""
    return Refusal(
        "unknown_channel", f"no channel has the code {code!r}: check it, or make the channel", 404
    )


class Desk(NamedTuple):
    """Where one channel's questions are answered: shelves as of one moment, and that moment."""

    shelves: Shelves
    plan: Plan
    now: int
    as_of: str
    source: Literal["view", "store"]

    def one(self, sku: str, item_id: int) -> Availability:
        """The figure of one item."""
        available, age, stale = self.shelves.look_up(self.plan, item_id, self.now)
        seconds = None if age is None else age // rules.SECOND
        channel = self.plan.channel.code
        return Availability(sku, channel, available, self.as_of, seconds, stale, self.source)

    def many(self, skus: Iterable[str]) -> AvailabilityList:
        """The figures of many; all from the same state of the shelves."""
        shelves, plan, now, as_of, source = self
        channel = plan.channel.code
        items: list[Availability] = []
        unknown: list[str] = []
        any_stale = False
        for sku in skus:
            item_id = shelves.ids.get(sku)
            if item_id is None:
                unknown.append(sku)
                continue
            available, age, stale = shelves.look_up(plan, item_id, now)
            any_stale |= stale
            seconds = None if age is None else age // rules.SECOND
            items.append(Availability(sku, channel, available, as_of, seconds, stale, source))
        return AvailabilityList(channel, as_of, any_stale, items, unknown)

    def dated(
        self, sku: str, item_id: int, quantity: int | None, by: datetime | None
    ) -> AvailabilityDated:
        """The figure, and whether and when `quantity` (1 if None) can be had."""
        shown = self.one(sku, item_id)
        asked = self.shelves.question(self.plan, item_id, self.now)
        wanted = 1 if quantity is None else quantity
        limit = None if by is None else microseconds(by)
        got = rules.promise(
            asked.parts, asked.policy, asked.freshness.stale, self.now, wanted, limit
        )
        return AvailabilityDated(
            shown.sku,
            shown.channel,
            shown.available,
            shown.as_of,
            shown.feed_age_seconds,
            shown.stale,
            shown.source,
            quantity=wanted,
            by=None if by is None else by.isoformat(),
            can_fulfil=got.can_fulfil,
            promisable_at=None if got.promisable_at is None else text_of(got.promisable_at),
        )
