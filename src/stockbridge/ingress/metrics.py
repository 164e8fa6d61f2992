"""Counts and times of requests by route template and status; labels are few."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_BUCKETS: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, float("inf"),
)  # fmt: skip
_BOUNDS: Final = tuple(map(floatToGoString, _BUCKETS))


class _Tally:
    """Answers of one route and status: how many took how long, and all their seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * len(_BUCKETS)
        self.seconds = 0.0


class RequestMetrics(Collector):
    """Observes every answer; `registry` is what /metrics shows.

    Keeps plain numbers and makes Prometheus' objects when they are collected: one observation
    costs a fraction of what the library's counters and their locks do. Not for several threads.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tallies: dict[tuple[str, str, int], _Tally] = {}
        self.registry = registry
        registry.register(self)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        tally = self._tallies.get((method, route, status))
        if tally is None:
            tally = self._tallies[method, route, status] = _Tally()
        tally.counts[bisect_left(_BUCKETS, seconds)] += 1
        tally.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """Requests by route and status, and their times by route."""
        requests = CounterMetricFamily(
            "stockbridge_http_requests",
            "Requests by route and status",
            labels=("method", "route", "status"),
        )
        times = HistogramMetricFamily(
            "stockbridge_http_request_seconds",
            "Time from the request's head to the answer's end",
            labels=("method", "route"),
        )
        routes: dict[tuple[str, str], list[_Tally]] = {}
        for (method, route, status), tally in self._tallies.items():
            requests.add_metric((method, route, str(status)), sum(tally.counts))
            routes.setdefault((method, route), []).append(tally)
        for labels, tallies in routes.items():
            counts = (sum(column) for column in zip(*(t.counts for t in tallies), strict=True))
            buckets = list(zip(_BOUNDS, accumulate(counts), strict=True))
            times.add_metric(labels, buckets, sum(t.seconds for t in tallies))
        yield requests
        yield times
