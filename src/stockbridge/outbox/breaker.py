"""The circuit breaker of a partner: after failures in a row nobody calls, then one tries. Pure."""

from typing import Final, Literal, NamedTuple

from stockbridge.contracts.partners.model import Outcome
from stockbridge.outbox.states import Act

FAILURES_MAX: Final = 5
PAUSE_SECONDS_FIRST: Final = 5.0
PAUSE_SECONDS_MAX: Final = 300.0
TRIAL_SECONDS: Final = 60.0
"""How long the one that tries may take before another does."""

BreakerState = Literal["closed", "open", "half_open"]


class Breaker(NamedTuple):
    """`failures` in a row, `trips` since it was last closed; `retry_at` in seconds since 1970."""

    state: BreakerState = "closed"
    failures: int = 0
    trips: int = 0
    retry_at: float = 0.0


class Permit(NamedTuple):
    """How many calls may go (None: any), in how many seconds to ask again, and the state then."""

    calls: int | None
    wait_seconds: float
    breaker: Breaker


def permit(breaker: Breaker, now: float) -> Permit:
    """Whether to call: any number while closed; one when an open one's time has come."""
    if breaker.state == "closed":
        return Permit(None, 0.0, breaker)
    if now < breaker.retry_at:
        return Permit(0, breaker.retry_at - now, breaker)
    trial = breaker._replace(state="half_open", retry_at=now + TRIAL_SECONDS)
    return Permit(1, TRIAL_SECONDS, trial)


def after(breaker: Breaker, good: int, bad: int, now: float) -> Breaker:
    """The breaker after calls that reached the partner and calls that did not."""
    if good:
        return Breaker()
    if not bad:
        return breaker
    failures = breaker.failures + bad
    if breaker.state == "closed" and failures < FAILURES_MAX:
        return breaker._replace(failures=failures)
    if breaker.state == "open":
        # Calls that were under way when it opened say nothing new.
        return breaker._replace(failures=failures)
    pause = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_FIRST * 2.0 ** min(breaker.trips, 30))
    return Breaker("open", failures, breaker.trips + 1, now + pause)


def reached(act: Act, outcome: Outcome) -> bool:
    """Whether the partner answered; one that asks us to wait, saying how long, did."""
    if outcome.kind == "unknown":
        return False
    return outcome.kind != "later" or act == "probe" or outcome.after_seconds is not None
