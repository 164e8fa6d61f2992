"""How far behind the store a view is."""

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 60


class Lag:
    """From a batch's recorded_at to its figures being shown: the last, and the worst lately."""

    def __init__(self) -> None:
        self.last = 0.0
        self._peaks: deque[tuple[int, float]] = deque(maxlen=WINDOW_SECONDS + 1)

    def note(self, seconds: float, now: float) -> None:
        """Take in one measurement; `now` in seconds of any steady clock."""
        self.last = seconds
        second = int(now)
        if self._peaks and self._peaks[-1][0] == second:
            seconds = max(seconds, self._peaks.pop()[1])
        self._peaks.append((second, seconds))

    def peak(self, now: float) -> float:
        """The worst of the last minute; 0 when nothing moved in it."""
        recent = (worst for second, worst in self._peaks if second >= now - WINDOW_SECONDS)
        return max(recent, default=0.0)
