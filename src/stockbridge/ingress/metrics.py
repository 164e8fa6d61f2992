"""Counts and times of requests by route template; children are kept, labels are few."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class RequestMetrics:
    """Observes every answer; `registry` is what /metrics shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Counter(
            "stockbridge_http_requests",
            "Requests by route and status",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "stockbridge_http_request_seconds",
            "Time from the request's head to the answer's end",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (method, route, status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._requests.labels(method, route, str(status))
            self._histograms[(method, route)] = self._seconds.labels(method, route)
        counter.inc()
        self._histograms[(method, route)].observe(seconds)
