"""Laws of listings: what a shop sold is never put back, and in the end it shows what it shall."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stockbridge.contracts.partners.manifest import Stock
from stockbridge.contracts.partners.model import Outcome
from stockbridge.domain.availability import rules as availability
from stockbridge.domain.availability.model import Part, Shelf
from stockbridge.domain.availability.split import split
from stockbridge.domain.masters.model import Policy
from stockbridge.outbox.listings import rules
from stockbridge.outbox.listings.model import LESS, Row

START = datetime(2026, 11, 24, tzinfo=UTC)
COMPARES = Stock(mode="compare_and_set")
ABSOLUTE = Stock(mode="absolute")


def row(**more):
    values: dict[str, Any] = dict.fromkeys(Row._fields)
    values |= {
        "listing_id": 1, "sku": "A", "before": "dirty", "desired": 0, "sent_version": 1,
        "unheard": 0, "attempts": 0, "misses": 0, "is_ending": False,
        "claimed_at": START, "lease": START,
    }  # fmt: skip
    return Row(**(values | more))


class Shop:
    """One item: what the shop shows, what the hub may show, and orders on their way."""

    def __init__(self, stock, units):
        self.stock = stock
        self.shown = self.may_show = units
        self.coming = []
        self.heard = []
        self.read_at = None
        self.now = START
        self.listing = row(desired=units, published=units, heard_from=self.tick())

    def tick(self):
        self.now += timedelta(milliseconds=1)
        return self.now

    @property
    def left(self):
        """Units that nobody bought, whoever knows of it."""
        return self.may_show - sum(self.coming)

    # What happens --------------------------------------------------------------------------------
    def sell(self, units):
        sold = min(units, self.shown)
        if sold:
            self.shown -= sold
            self.coming.append(sold)

    def order(self, which):
        if self.coming:
            units = self.coming.pop(which % len(self.coming))
            self.may_show -= units
            self.heard.append((self.tick(), units))

    def elsewhere(self, units):
        self.may_show += units

    def read(self, _):
        """The shop's orders are read to their end."""
        began = self.tick()
        while self.coming:
            self.order(0)
        self.read_at = began

    def idle(self, seconds):
        self.now += timedelta(seconds=seconds)

    # What the hub does ---------------------------------------------------------------------------
    def publish(self, meanwhile):
        """One claim: read if it must, reckon if it must, write; `meanwhile` units are sold."""
        claimed = self.listing._replace(
            before=self.listing.before, claimed_at=self.tick(), desired=max(0, self.may_show)
        )
        observed = None
        if rules.needs_read(claimed, self.stock, LESS):
            observed = self.shown
        work = claimed
        dropped = observed is not None and observed != claimed.published
        if dropped or rules.needs_reckoning(claimed, claimed.claimed_at):
            work = self.reckon(claimed, observed)
        if work.target == work.published:
            self.listing = work
            return
        if self.stock.mode == "compare_and_set":
            self.sell(meanwhile)
        if self.stock.mode == "compare_and_set" and self.shown != work.published:
            outcome = Outcome("later", "stale", observed=self.shown)
            assert rules.is_stale(work, outcome)
            self.listing = self.reckon(work, self.shown)
            return
        self.shown = work.target
        assert self.shown <= max(0, self.left), "put back what was sold"
        self.listing = rules.after_call(work, Outcome("confirmed"), self.stock, 0.5).row

    def reckon(self, work, observed):
        since = work.heard_from
        heard = sum(units for at, units in self.heard if at > since)
        desired = max(0, self.may_show)
        return rules.reckoned(work, observed, desired, heard, self.tick(), self.read_at)

    def look(self):
        """A read-back finds what it shows."""
        if self.shown != self.listing.published or self.listing.unheard:
            self.listing = self.reckon(self.listing, self.shown)


NAMES = ("sell", "sell", "order", "order", "elsewhere", "publish", "publish", "read", "idle")
AMOUNTS = {"elsewhere": st.integers(-3, 4), "idle": st.sampled_from([1, 15])}
STEPS = st.lists(
    st.sampled_from(NAMES).flatmap(
        lambda name: st.tuples(st.just(name), AMOUNTS.get(name, st.integers(0, 3)))
    ),
    min_size=3,
    max_size=25,
)


BLIND_BEHIND_AN_ORDER: list[tuple[str, int]] = [
    ("sell", 2), ("publish", 0), ("sell", 1), ("order", 0), ("elsewhere", -1), ("publish", 0),
]  # fmt: skip


@settings(max_examples=500)
@example(stock=ABSOLUTE, units=4, steps=BLIND_BEHIND_AN_ORDER)
@given(stock=st.sampled_from([COMPARES, ABSOLUTE]), units=st.integers(4, 12), steps=STEPS)
def test_what_was_sold_is_never_put_back_and_all_ends_equal(stock, units, steps):
    shop = Shop(stock, units)
    for step, value in steps:
        getattr(shop, step)(value)
    shop.read(0)
    for _ in range(4):
        shop.look()
        shop.read(0)
        shop.publish(0)
    assert shop.shown == max(0, shop.may_show)
    assert shop.listing.unheard == 0


shelves = st.lists(
    st.tuples(st.integers(-5, 30), st.integers(0, 10), st.integers(0, 4), st.integers(0, 8)),
    min_size=1,
    max_size=5,
)
policies = st.builds(
    Policy,
    kind=st.sampled_from(["shared", "percent", "ring_fenced"]),
    percent=st.integers(0, 100),
    buffer_units=st.integers(0, 5),
    buffer_percent=st.integers(0, 50),
    cap=st.none() | st.integers(0, 20),
    floor=st.integers(0, 5),
)


@given(rows=shelves, policy=policies, kept=st.sets(st.integers(1, 6)), each=st.integers(1, 3))
def test_shares_of_locations_never_sum_to_more_than_the_figure(rows, policy, kept, each):
    places = tuple(
        Shelf(n, available, reserved, safety, fenced=fenced)
        for n, (available, reserved, safety, fenced) in enumerate(rows, 1)
    )
    parts = [Part(1, each, places)]
    figure = availability.figure(parts, policy, stale=False, until=None).available
    sources = range(1, len(rows) + 1)
    shares = split(parts, policy, stale=False, until=None, sources=sources, kept=kept)
    assert shares.keys() == kept
    assert sum(shares.values()) <= figure
    reached = availability.reach_all(parts, policy, None)
    assert all(
        0 <= units <= (reached[n].pool if n in reached else 0) for n, units in shares.items()
    )
    if kept >= set(sources):
        within = sum(r.pool for r in reached.values())
        assert sum(shares.values()) == min(figure, within)
