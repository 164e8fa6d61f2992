"""A token bucket: a caller's requests, refilled evenly. Pure; the caller brings the time."""

import math


class Bucket:
    """Holds up to a minute's requests; `per_minute` of them come back each minute."""

    __slots__ = ("at", "capacity", "rate", "tokens")

    def __init__(self, per_minute: int, now: float) -> None:
        self.capacity = float(per_minute)
        self.rate = per_minute / 60.0
        self.tokens = self.capacity
        self.at = now

    def take(self, now: float) -> float:
        """Take one request; returns 0, or the seconds to wait when none is left."""
        tokens = min(self.capacity, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if tokens < 1.0:
            self.tokens = tokens
            return (1.0 - tokens) / self.rate
        self.tokens = tokens - 1.0
        return 0.0

    def give_back(self) -> None:
        """Undo a take whose request is going to be taken again."""
        self.tokens = min(self.capacity, self.tokens + 1.0)

    @property
    def remaining(self) -> int:
        """Requests left now."""
        return int(self.tokens)

    @property
    def reset_seconds(self) -> int:
        """Seconds until the bucket is full again."""
        return math.ceil((self.capacity - self.tokens) / self.rate)
