"""The API over loopback: look-ups from the view, a large query, reservations."""

import json
import random

from bench.cases.floors import CLIENTS
from bench.lab import CHANNEL, ITEMS, Lab
from bench.model import Case, Figure, Measured, Target
from bench.service import api_service
from bench.wire import MARK, Address, get, measure, post

RESERVING_CLIENTS = 64
SKUS = 10_000
_REQUESTS = 5_000


def lookups(address: Address, items: int) -> list[bytes]:
    """Look-ups of single items, at random."""
    chance = random.Random(2)
    numbers = [chance.randint(1, items) for _ in range(_REQUESTS)]
    return [get(address, f"/v1/availability/S{n}?channel={CHANNEL}") for n in numbers]


def reservations(address: Address, items: int) -> list[bytes]:
    """Orders of 1 to 3 lines; each is an order of its own whenever it is sent."""
    chance = random.Random(3)

    def order() -> bytes:
        lines = [
            {"sku": f"S{chance.randint(1, items)}", "quantity": chance.randint(1, 3)}
            for _ in range(chance.randint(1, 3))
        ]
        return json.dumps({"channel": CHANNEL, "reference": MARK, "lines": lines}).encode()

    return [post(address, "/v1/reservations", order(), keyed=True) for _ in range(_REQUESTS)]


def lookup(lab: Lab) -> Measured:
    """One item at a time, all clients busy."""
    with lab.stocked("http_lookup") as dsn, api_service(dsn, lab.folder) as service:
        requests = lookups(service.address, ITEMS)
        clocks = {"server": service.cpu_seconds}
        load = measure(lab.folder, service.address, requests, CLIENTS, lab.seconds, clocks)
    return Measured({"": load.rate, "p99": load.p99_ms}, load.details())


def query(lab: Lab) -> Measured:
    """All items in one call, one client."""
    body = json.dumps({"channel": CHANNEL, "skus": [f"S{n + 1}" for n in range(SKUS)]}).encode()
    with lab.stocked("http_query", SKUS) as dsn, api_service(dsn, lab.folder) as service:
        request = post(service.address, "/v1/availability/query", body, keyed=False)
        clocks = {"server": service.cpu_seconds}
        load = measure(lab.folder, service.address, [request], 1, lab.seconds, clocks)
    return Measured({"": load.p99_ms}, load.details())


def reserve(lab: Lab) -> Measured:
    """One order a call, all clients busy."""
    with lab.stocked("http_reserve") as dsn, api_service(dsn, lab.folder) as service:
        requests = reservations(service.address, ITEMS)
        clocks = {"server": service.cpu_seconds, "postgres": lab.database_cpu_seconds}
        clients = RESERVING_CLIENTS
        load = measure(lab.folder, service.address, requests, clients, lab.seconds, clocks)
    return Measured({"": load.rate, "p99": load.p99_ms}, load.details())


CASES = (
    Case(
        "http_lookup",
        {
            "": Figure(
                "requests/s",
                "GET /v1/availability/{sku} from the view, 32 clients",
                "floor_asgi",
                Target("of_floor", 0.6),
            ),
            "p99": Figure("ms", "its 99th percentile", "floor_asgi.p99", Target("at_most", 5)),
        },
        lookup,
    ),
    Case(
        "http_query_10k",
        {
            "": Figure(
                "ms",
                "POST /v1/availability/query of 10,000 SKUs, 99th percentile, 1 client",
                target=Target("at_most", 100),
            )
        },
        query,
    ),
    Case(
        "http_reserve",
        {
            "": Figure(
                "reservations/s",
                "POST /v1/reservations, orders of 1-3 lines, 64 clients",
                "floor_pgbench",
                Target("at_least", 5_000),
            ),
            "p99": Figure("ms", "its 99th percentile"),
        },
        reserve,
    ),
)
