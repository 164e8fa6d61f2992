"""A process that takes what it can of three limits: `python -m tests.partner.taker DSN SEED`.

Prints how many calls it was granted of each.
"""

import asyncio
import random
import sys

from stockbridge.contracts.partners.manifest import (
    Concurrency,
    CostBucket,
    LimitRule,
    Window,
)
from stockbridge.outbox.limits.gate import new_lease, take
from stockbridge.outbox.limits.model import URGENT
from stockbridge.outbox.limits.rules import budgets
from stockbridge.store.database import connect

RULES = [
    LimitRule(operations=["a"], limit=CostBucket(capacity=400.0, per_second=1e-6, cost=2.0)),
    LimitRule(operations=["b"], limit=Window(calls=150, seconds=86_400.0)),
    LimitRule(operations=["c"], limit=Concurrency(calls=37)),
    LimitRule(operations=["a", "b", "c"], limit=Window(calls=10_000, seconds=3_600.0),
              scope="shared"),
]  # fmt: skip
FULL = {"a": 200, "b": 150, "c": 37}


async def work(dsn: str, seed: str) -> None:
    chance, granted = random.Random(seed), dict.fromkeys(FULL, 0)
    async with await connect(dsn) as conn:
        left = set(FULL)
        while left:
            name = chance.choice(sorted(left))
            under = budgets(RULES, name)
            lease = new_lease(600.0)
            wanted = chance.randint(1, 5)
            grant = await take(conn, "S", under, wanted, share=URGENT, lease=lease)
            granted[name] += grant.granted
            if not grant.granted:
                left.discard(name)
    print(*granted.values())


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
