"""Events end to end: HTTP in, ledger and balances written, availability told."""

import http.client
import json
import random
import statistics
import subprocess
import threading
from time import perf_counter, sleep
from typing import Any

from bench.cases.inbox import drain
from bench.lab import CHANNEL, ITEMS, LOCATIONS, Lab
from bench.machine import ROOT
from bench.model import Case, Figure, Measured, Target
from bench.runner import run_async
from bench.service import Service, api_service
from bench.wire import MARK, Address, check, checked, load_of, own_client, requests_file

EVENTS_A_BATCH = 100
CLIENTS = 16
STEADY_EVENTS = 2_000
"""Events a second at which the time until they are visible is measured."""
PROBE_ITEMS = 1_000
"""Items that only probes touch, so that each sees its own effect."""
_BATCHES = 200
_TYPE = "io.stockbridge.stock.received.v1"
_KIND = "application/cloudevents-batch+json"
_PROBE_SECONDS_MAX = 30.0


def event(name: str, sku: int, place: str, quantity: int) -> dict[str, Any]:
    """A receipt as a CloudEvent."""
    return {
        "specversion": "1.0",
        "id": name,
        "source": "wms",
        "type": _TYPE,
        "time": "2026-11-20T10:00:00Z",
        "data": {
            "sku": f"S{sku}",
            "location": place,
            "quantity": quantity,
            "occurred_at": "2026-11-20T10:00:00Z",
            "document": {"type": "po", "number": name, "line": "1"},
        },
    }


def post(address: Address, events: list[dict[str, Any]]) -> bytes:
    """A batch as bytes on the wire."""
    body = json.dumps(events, separators=(",", ":")).encode()
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
        f"Authorization: Bearer {address.token}\r\nContent-Type: {_KIND}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def batches(address: Address) -> list[bytes]:
    """Batches of receipts over the items that are no probe's, new ones whenever they are sent."""
    chance = random.Random(11)
    return [
        post(
            address,
            [
                event(
                    f"{MARK}-{number}",
                    chance.randint(PROBE_ITEMS + 1, ITEMS),
                    chance.choice(LOCATIONS),
                    chance.randint(1, 9),
                )
                for number in range(EVENTS_A_BATCH)
            ],
        )
        for _ in range(_BATCHES)
    ]


def end_to_end(lab: Lab) -> Measured:
    """As many as can be for a while, until the last is settled; then a steady stream, probed."""
    with lab.stocked("events") as dsn, api_service(dsn, lab.folder) as service:
        requests = batches(service.address)
        check(service.address, requests[0])
        file = requests_file(lab.folder, requests)
        clocks = {"server": service.cpu_seconds, "postgres": lab.database_cpu_seconds}
        before = {name: clock() or 0.0 for name, clock in clocks.items()}
        began = perf_counter()
        load = checked(load_of(_run(own_client(file, service.address, CLIENTS, lab.seconds))))
        sent = perf_counter() - began
        run_async(drain(dsn))
        seconds, count = perf_counter() - began, load.requests * EVENTS_A_BATCH
        used = {
            f"{name}_cpu_us": round(((clock() or 0.0) - before[name]) / count * 1e6, 1)
            for name, clock in clocks.items()
        }
        steady = own_client(
            file, service.address, CLIENTS, lab.seconds, STEADY_EVENTS / EVENTS_A_BATCH
        )
        visible = probed(service, steady)
    cuts = statistics.quantiles(visible, n=100)
    details = used | {
        "events": count,
        "accept_per_second": round(count / sent),
        "accept_ms_p99": round(load.p99_ms, 1),
        "probes": len(visible),
        "visible_ms_p50": round(cuts[49], 1),
    }
    return Measured({"": count / seconds, "visible_p99": cuts[98]}, details)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        msg = f"the sender failed: {done.stderr.strip() or done.stdout}"
        raise RuntimeError(msg)
    return done.stdout


def probed(service: Service, steady: list[str]) -> list[float]:
    """Milliseconds from the answer to a probe until availability shows it, under the stream."""
    found: list[str] = []
    sender = threading.Thread(target=lambda: found.append(_run(steady)))
    sender.start()
    connection = http.client.HTTPConnection(service.address.host, service.address.port, timeout=30)
    took: list[float] = []
    number = 0
    while sender.is_alive():
        number = number % PROBE_ITEMS + 1
        took.append(_probe(connection, service.address, number, f"probe-{len(took)}"))
        sleep(0.05)
    sender.join()
    connection.close()
    checked(load_of(found[0]))
    return took


def _probe(connection: http.client.HTTPConnection, address: Address, sku: int, name: str) -> float:
    keyed = {"Authorization": f"Bearer {address.token}"}
    shown = _available(connection, keyed, sku)
    body = json.dumps([event(name, sku, LOCATIONS[0], 1)])
    connection.request("POST", "/v1/events", body, keyed | {"Content-Type": _KIND})
    answer = connection.getresponse()
    answer.read()
    began = perf_counter()
    while _available(connection, keyed, sku) == shown:
        if perf_counter() - began > _PROBE_SECONDS_MAX:
            msg = f"event {name} is not visible after {_PROBE_SECONDS_MAX} s"
            raise RuntimeError(msg)
        sleep(0.002)
    return (perf_counter() - began) * 1000


def _available(connection: http.client.HTTPConnection, keyed: dict[str, str], sku: int) -> int:
    connection.request("GET", f"/v1/availability/S{sku}?channel={CHANNEL}", headers=keyed)
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    return int(found["available"])


CASES = (
    Case(
        "events_end_to_end",
        {
            "": Figure(
                "events/s",
                "HTTP batches of 100 CloudEvents in, until ledger and balances have them all",
                "floor_pgbench",
                Target("at_least", 8_000),
            ),
            "visible_p99": Figure(
                "ms",
                "from the answer until availability shows it, at 2,000 events/s, 99th percentile",
                target=Target("at_most", 250),
            ),
        },
        end_to_end,
    ),
)
