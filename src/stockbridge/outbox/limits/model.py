"""Budgets and their states: what every kind of limit comes to."""

from typing import Final, NamedTuple

URGENT: Final = 0.0
"""Share held back from a call that must not wait: a listing that goes to zero."""
NORMAL: Final = 0.05
"""Share held back from deliveries, for what is urgent."""
BULK: Final = 0.1
"""Share held back from figures that can wait, for all others."""

WINDOW_SLOTS: Final = 20
"""A window counts calls in so many slots; a call counts from the end of its slot."""
DAY_SECONDS: Final = 86_400.0


class Budget(NamedTuple):
    """One limit that a call is under, as it is kept: a bucket that fills, or a tally of calls.

    A bucket holds `capacity` points, gains `per_second`, and a call costs `cost`. A tally allows
    `capacity` calls; each is forgotten `keep_seconds` after its slot of `slot_seconds` ended, or,
    where `slot_seconds` is 0, when the call's lease ends. `object` is '' unless each object has
    its own. Times are seconds since 1970.
    """

    name: str
    object: str
    is_tally: bool
    capacity: float
    per_second: float = 0.0
    cost: float = 1.0
    slot_seconds: float = 0.0
    keep_seconds: float = 0.0

    @property
    def is_leased(self) -> bool:
        """Whether calls give their place back when they end."""
        return self.is_tally and self.slot_seconds == 0


class Entry(NamedTuple):
    """Calls of a tally that are forgotten at `ends`; `key` is their slot, or the lease's."""

    key: int
    calls: int
    ends: float


class State(NamedTuple):
    """What is left of a budget: `level` points at the moment `at`, or the calls that count.

    `level` None: full. `capacity` and `per_second` are the partner's own words, where it told;
    nothing goes before `blocked_until`.
    """

    level: float | None = None
    at: float = 0.0
    entries: tuple[Entry, ...] = ()
    blocked_until: float = 0.0
    capacity: float | None = None
    per_second: float | None = None


class Lease(NamedTuple):
    """What calls under a limit of concurrency hold: a random key, and when they are given up."""

    key: int
    seconds: float


class Grant(NamedTuple):
    """How many calls may go, and in how many seconds at least one of the others."""

    granted: int
    wait_seconds: float = 0.0
