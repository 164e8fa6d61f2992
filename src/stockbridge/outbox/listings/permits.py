"""Leave to call a partner, out of the budgets that all processes share."""

from collections.abc import Sequence
from typing import Final

from stockbridge.contracts.partners.manifest import DailyBudget, LimitRule
from stockbridge.outbox.limits.gate import new_lease, release, take
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
    """Takes calls of one system one by one, and gives back places of those that ended."""

    def __init__(
        self, pool: Pool, system: str, rules: Sequence[LimitRule], seconds: float, *, urgent: bool
    ) -> None:
        self._pool = pool
        self._system = system
        self._rules = rules
        self._seconds = seconds
        self._share = URGENT if urgent else BULK
        self._held: list[int] = []

    async def take(self, operation: str, object_key: str = "") -> float:
        """0: a call may go now; else in how many seconds to ask again."""
        under = budgets(self._rules, operation, object_key)
        if not under:
            return 0.0
        lease = new_lease(self._seconds)
        async with self._pool.connection() as conn:
            grant = await take(conn, self._system, under, 1, share=self._share, lease=lease)
        if not grant.granted:
            return max(grant.wait_seconds, 0.001)
        if any(budget.is_leased for budget in under):
            self._held.append(lease.key)
        return 0.0

    async def give_back(self) -> None:
        """The calls taken so far have ended."""
        held, self._held = self._held, []
        if held:
            async with self._pool.connection() as conn:
                await release(conn, self._system, dict.fromkeys(held, 1))
