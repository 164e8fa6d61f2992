"""Does the hundred-thousandth order cost what the first did?"""

import statistics
from contextlib import AsyncExitStack, ExitStack

import psycopg

from bench.lab import ITEMS, SQL, Lab, say, settle
from bench.load import Drive, baskets, counted, spared_collector
from bench.model import Case, Figure, Measured, Target
from bench.runner import run_async
from stockbridge.engine import Engine

ROUNDS = 5
ROUND_ORDERS = 5_000
GROWTH_MAX = 1.2
_PAST = (
    "set_batch_id", "past_batches", "past_reservations", "past_movements", "past_fulfilments",
    "past_facts", "past_requests",
)  # fmt: skip


def growth(lab: Lab) -> Measured:
    """Rounds of orders in turn on two databases, which differ in how many orders they have seen.

    In turn, so that a change of the machine's mood hits both; the median of the rounds counts.
    """
    few, many = lab.sized(1_000, 10_000), lab.sized(100_000, 1_000_000)
    with ExitStack() as stack:
        dsns = [_with_past(lab, stack, orders) for orders in (few, many)]
        young, old = run_async(_rounds(lab, dsns))
    costs = [_microseconds(rounds) for rounds in (young, old)]
    details = {
        "past_orders": [few, many],
        "orders": ROUNDS * ROUND_ORDERS,
        "python_cpu_us": [_median(rounds, "python_cpu_us") for rounds in (young, old)],
        "postgres_cpu_us": [_median(rounds, "postgres_cpu_us") for rounds in (young, old)],
    }
    values = {"": costs[1] / costs[0], "few": costs[0], "many": costs[1]}
    return Measured(values, details)


def _with_past(lab: Lab, stack: ExitStack, orders: int) -> str:
    say(f"  {orders:,} past orders")
    dsn = stack.enter_context(lab.stocked(f"past_{orders}"))
    with psycopg.connect(dsn) as conn:
        for name in _PAST:
            values = {"orders": orders, "items": ITEMS, "batches": orders // 256 + 1}
            conn.execute(getattr(SQL, name), values)
    settle(dsn)
    return dsn


async def _rounds(lab: Lab, dsns: list[str]) -> list[list[Drive]]:
    orders = baskets(seed=4)
    done: list[list[Drive]] = [[] for _ in dsns]
    async with AsyncExitStack() as stack:
        engines = [Engine(dsn) for dsn in dsns]
        for engine in engines:
            await engine.start()
            stack.push_async_callback(engine.stop)
        stack.enter_context(spared_collector())
        for number in range(ROUNDS + 1):
            for engine, rounds in zip(engines, done, strict=True):
                name = f"round{number}"
                rounds.append(
                    await counted(engine, orders, name, ROUND_ORDERS, lab.database_cpu_seconds)
                )
    # The first round warms up.
    return [rounds[1:] for rounds in done]


def _microseconds(rounds: list[Drive]) -> float:
    return statistics.median(drive.seconds / drive.count * 1e6 for drive in rounds)


def _median(rounds: list[Drive], name: str) -> float | None:
    found = [drive.details()[name] for drive in rounds]
    return None if None in found else statistics.median(found)


CASES = (
    Case(
        "order_cost_growth",
        {
            "": Figure(
                "times",
                "cost of an order after 10^6 past orders, against after 10^4 (small: 10^5, 10^3)",
                target=Target("at_most", GROWTH_MAX, full_scale_only=True),
            ),
            "few": Figure("us/order", "engine in process after the few past orders"),
            "many": Figure("us/order", "engine in process after the many past orders"),
        },
        growth,
    ),
)
