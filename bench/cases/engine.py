"""The engine in process: how many reservations a second, fsync on."""

import statistics
from functools import partial

from bench.lab import Lab
from bench.load import baskets, timed
from bench.model import Case, Figure, Measured, Target
from bench.runner import run_async


def reservations(lab: Lab, *, hot: bool) -> Measured:
    """512 callers, each with one order of 1 to 3 lines in flight."""
    orders = baskets(seed=1, hot=hot)
    with lab.stocked("engine_hot" if hot else "engine_uniform") as dsn:
        load, batches = run_async(timed(dsn, orders, lab.seconds, lab.database_cpu_seconds))
    details = load.details() | {
        "batch_mean": round(statistics.mean(batches.sizes), 1),
        "batch_ms_mean": round(statistics.mean(batches.seconds) * 1000, 1),
    }
    return Measured({"": load.rate}, details)


CASES = (
    Case(
        "engine_uniform",
        {
            "": Figure(
                "reservations/s",
                "engine in process, 512 callers, orders of 1-3 lines, spread over 10,000 SKUs",
                "floor_pgbench",
                Target("at_least", 15_000),
            )
        },
        partial(reservations, hot=False),
    ),
    Case(
        "engine_hot",
        {
            "": Figure(
                "reservations/s",
                "the same with half the traffic on one SKU",
                "floor_pgbench.hot",
                Target("at_least", 15_000),
            )
        },
        partial(reservations, hot=True),
    ),
)
