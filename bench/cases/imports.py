"""A large catalogue: loaded by the product's imports, then asked while it is written to."""

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from bench.cases.floors import CLIENTS
from bench.cases.http import lookups, reservations
from bench.lab import LOCATIONS, Lab, make_places, say, settle
from bench.machine import ROOT
from bench.model import Case, Figure, Measured, Target
from bench.service import api_service
from bench.wire import checked, load_of, measure, own_client, requests_file
from stockbridge.ingress.imports import import_file

WRITES_PER_SECOND = 1_000
WRITERS = 128
STOCK = 10_000
_WRITES_KEPT = 0.99
_WRITER_EXTRA_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """The database after the imports, and how fast they were in rows a second."""

    dsn: str
    items: int
    items_rate: float
    balances_rate: float
    details: dict[str, Any]


def balances(lab: Lab) -> Measured:
    """Items, then their stock at three locations, one location after the other."""
    loaded = _loaded(lab)
    return Measured({"": loaded.balances_rate, "items": loaded.items_rate}, loaded.details)


def lookups_under_writes(lab: Lab) -> Measured:
    """Look-ups as fast as they come, while orders arrive at a steady rate through the API."""
    loaded = _loaded(lab)
    with api_service(loaded.dsn, lab.folder) as service:
        address = service.address
        started = service.memory()
        file = requests_file(lab.folder, reservations(address, loaded.items))
        # Longer than the look-ups with their warming up, so that none runs without writes.
        lasts = lab.seconds + _WRITER_EXTRA_SECONDS
        command = own_client(file, address, WRITERS, lasts, WRITES_PER_SECOND)
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            requests = lookups(address, loaded.items)
            clocks = {"server": service.cpu_seconds, "postgres": lab.database_cpu_seconds}
            load = measure(lab.folder, address, requests, CLIENTS, lab.seconds, clocks)
            written, _ = writer.communicate(timeout=lasts + 60)
        finally:
            writer.kill()
        if writer.returncode:
            raise RuntimeError("an order was refused or the writer failed; it says why above")
        writes = checked(load_of(written))
        memory = service.memory()
    values = {"": load.p99_ms, "rate": load.rate, "writes": writes.rate}
    if memory is not None:
        values["memory"] = memory[1] / 2**30
    details = load.details() | {
        "items": loaded.items,
        "write_p50_ms": round(writes.p50_ms, 2),
        "write_p99_ms": round(writes.p99_ms, 2),
        "memory_gib_started": None if started is None else round(started[0] / 2**30, 2),
        "memory_gib_now": None if memory is None else round(memory[0] / 2**30, 2),
    }
    return Measured(values, details)


def _loaded(lab: Lab) -> Loaded:
    def make() -> Loaded:
        dsn = lab.held.enter_context(lab.database("large"))
        return _import_all(lab, dsn)

    return lab.once("large", make)


def _import_all(lab: Lab, dsn: str) -> Loaded:
    count = lab.sized(20_000, 1_500_000)
    asyncio.run(make_places(dsn))
    names = (f"S{n},Item {n}\n" for n in range(1, count + 1))
    items = _import(lab, dsn, "items", "sku,description\n", names)
    settle(dsn)
    stock = (f"S{n},{place},{STOCK + n % 90}\n" for place in LOCATIONS for n in range(1, count + 1))
    balances = _import(lab, dsn, "balances", "sku,location,available\n", stock)
    settle(dsn)
    details = {"items": items.details(), "balances": balances.details()}
    return Loaded(dsn, count, items.rate, balances.rate, details)


@dataclass(frozen=True, slots=True)
class Import:
    """How one import went; CPU seconds are None where the system does not tell them."""

    rows: int
    seconds: float
    python_cpu: float
    database_cpu: float | None

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    def details(self) -> dict[str, Any]:
        """What a row costs."""
        cpu = self.database_cpu
        return {
            "rows": self.rows,
            "seconds": round(self.seconds, 1),
            "python_cpu_us": round(self.python_cpu / self.rows * 1e6, 2),
            "postgres_cpu_us": None if cpu is None else round(cpu / self.rows * 1e6, 2),
        }


def _import(lab: Lab, dsn: str, kind: str, head: str, lines: Iterator[str]) -> Import:
    """Import a CSV file made of `lines`. Raises RuntimeError when a row was refused."""
    file = lab.folder / f"{kind}.csv"
    _write(file, head, lines)
    say(f"  {kind}: {file.stat().st_size / 2**20:,.0f} MiB")
    before = lab.database_cpu_seconds()
    began, python = perf_counter(), process_time()
    report = asyncio.run(import_file(dsn, kind, file, actor="bench", correlation_id="bench"))
    seconds, python = perf_counter() - began, process_time() - python
    after = lab.database_cpu_seconds()
    file.unlink()
    if report.rows_bad:
        msg = f"import of {kind}: {report.rows_bad} rows were refused (job {report.job_id})"
        raise RuntimeError(msg)
    used = None if before is None or after is None else after - before
    return Import(report.rows_good, seconds, python, used)


def _write(file: Path, head: str, lines: Iterator[str]) -> None:
    with file.open("w") as stream:
        stream.write(head)
        stream.writelines(lines)


CASES = (
    Case(
        "import_balances",
        {
            "": Figure(
                "rows/s",
                "import of balances, 1,500,000 items x 3 locations (small: 20,000 x 3)",
                "floor_copy",
                Target("at_least", 100_000, full_scale_only=True),
            ),
            "items": Figure("rows/s", "import of the items before it", "floor_copy"),
        },
        balances,
    ),
    Case(
        "lookups_under_writes",
        {
            "": Figure(
                "ms",
                "99th percentile of look-ups, 32 clients, while 1,000 orders/s arrive, same items",
                "floor_asgi.p99",
                Target("at_most", 10, full_scale_only=True),
            ),
            "rate": Figure("requests/s", "look-ups answered meanwhile", "floor_asgi"),
            "writes": Figure(
                "orders/s",
                "orders accepted meanwhile, of 1,000 asked",
                target=Target("at_least", WRITES_PER_SECOND * _WRITES_KEPT),
            ),
            "memory": Figure(
                "GiB",
                "peak memory of the API process",
                target=Target("at_most", 2, full_scale_only=True),
            ),
        },
        lookups_under_writes,
    ),
)
