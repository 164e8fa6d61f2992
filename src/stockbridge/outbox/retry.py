"""When a delivery is tried again, and when nobody waits any longer. Pure: chance is passed in."""

from typing import Final, NamedTuple


class Patience(NamedTuple):
    """How long a delivery is tried: seconds, and attempts that a partner did not ask us to make."""

    attempts_max: int = 15
    age_seconds_max: float = 3 * 86_400.0
    pause_seconds_first: float = 2.0
    pause_seconds_max: float = 900.0


PATIENCE: Final = Patience()


def pause_seconds(
    attempts: int, chance: float, hint: float | None, patience: Patience = PATIENCE
) -> float:
    """Seconds to the next attempt: the partner's own, else exponential with full jitter.

    `chance` in [0, 1). To a hint at most a tenth is added, so that many do not come at once.
    """
    if hint is not None:
        return max(0.0, hint) * (1 + chance / 10)
    doubled = patience.pause_seconds_first * 2.0 ** min(attempts - 1, 30)
    return chance * min(patience.pause_seconds_max, doubled)


def is_over(attempts: int, age_seconds: float, patience: Patience = PATIENCE) -> bool:
    """Whether it was tried often or long enough."""
    return attempts >= patience.attempts_max or age_seconds >= patience.age_seconds_max
