"""Leave to call a partner, out of the budgets that all processes share."""

from collections.abc import Sequence
from typing import Final

from stockbridge.contracts.partners.manifest import DailyBudget, LimitRule
from stockbridge.outbox.limits.gate import ask_again, new_lease, release, take
from stockbridge.outbox.limits.model import BULK, URGENT
from stockbridge.outbox.limits.rules import budgets
from stockbridge.store.database import Pool

PUBLISH: Final = "publish"
PUBLISH_BULK: Final = "publish_bulk"
OBSERVE: Final = "observe"
"""What limits of a manifest call the three: `operations = ["publish", "observe"]`."""


def is_by_object(rules: Sequence[LimitRule]) -> bool:
    """Whether each listing has a budget of its own for being published."""
    named = {PUBLISH, "*"}
    return any(isinstance(rule.limit, DailyBudget) and named & {*rule.operations} for rule in rules)


class Permits:
    """Takes calls of one system that are made one after the other.

    Under a limit of concurrency they need one place together, which is given back in the end.
    """

    def __init__(
        self, pool: Pool, system: str, rules: Sequence[LimitRule], seconds: float, *, urgent: bool
    ) -> None:
        self._pool = pool
        self._system = system
        self._rules = rules
        self._seconds = seconds
        self._share = URGENT if urgent else BULK
        self._places: dict[str, int] = {}

    async def take(self, operation: str, object_key: str = "") -> float:
        """0: a call may go now; else in how many seconds to ask again."""
        under = [
            budget
            for budget in budgets(self._rules, operation, object_key)
            if budget.name not in self._places
        ]
        if not under:
            return 0.0
        lease = new_lease(self._seconds)
        async with self._pool.connection() as conn:
            grant = await take(conn, self._system, under, 1, share=self._share, lease=lease)
        if not grant.granted:
            return max(ask_again(under, grant), 0.001)
        self._places |= {budget.name: lease.key for budget in under if budget.is_leased}
        return 0.0

    async def give_back(self) -> None:
        """The calls taken so far have ended."""
        places, self._places = self._places, {}
        if places:
            async with self._pool.connection() as conn:
                await release(conn, self._system, dict.fromkeys(places.values(), 1))
