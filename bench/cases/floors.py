"""Floors: what the same machine does without the hub, measured in the same run."""

import re
import shutil
import subprocess
from pathlib import Path
from time import perf_counter

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.lab import ITEMS, SQL, Lab, settle
from bench.model import Case, Figure, Measured
from bench.service import bare_service
from bench.wire import get, measure
from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.pg_binaries import find_binaries

CLIENTS = 32
SCRIPT = Path(__file__).parents[1] / "guarded.pgbench"
_TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([\d.]+) ms", re.MULTILINE)
_COPY_ROWS = 5_000


def pgbench_program() -> str:
    """The pgbench beside the server's programs, else the system's."""
    beside = find_binaries().folder / "pgbench"
    program = str(beside) if beside.is_file() else shutil.which("pgbench")
    if program is None:
        raise Misconfigured(
            f"there is no pgbench in {beside.parent} nor on the path: install PostgreSQL's "
            "programs (Debian: apt-get install postgresql-contrib)"
        )
    return program


def pgbench(lab: Lab) -> Measured:
    """One transaction a reservation, 32 clients: spread over all items, and half on one item."""
    with lab.stocked("floor_pgbench") as dsn:
        spread = _pgbench(lab, dsn, hot=False)
        settle(dsn)
        hot = _pgbench(lab, dsn, hot=True)
    details = {"clients": CLIENTS, "latency_ms": spread[1], "hot_latency_ms": hot[1]}
    return Measured({"": spread[0], "hot": hot[0]}, details)


def _pgbench(lab: Lab, dsn: str, *, hot: bool) -> tuple[float, float]:
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    server = ["-h", parts["host"], "-p", parts["port"], "-U", parts["user"], parts["dbname"]]
    how = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", f"{lab.seconds:.0f}"]
    script = ["-D", f"hot={hot:d}", "-D", f"items={ITEMS}", "-f", str(SCRIPT)]
    done = subprocess.run(
        [pgbench_program(), *how, *script, *server], capture_output=True, text=True, check=False
    )
    rate, latency = _TPS.search(done.stdout), _LATENCY.search(done.stdout)
    if done.returncode or rate is None or latency is None:
        msg = f"pgbench failed ({done.returncode}): {done.stderr.strip() or done.stdout}"
        raise RuntimeError(msg)
    return float(rate[1]), float(latency[1])


def copy(lab: Lab) -> Measured:
    """COPY into a table like the ledger, one transaction, commit included."""
    blocks = lab.sized(20, 200)
    prepared = [_copy_block(number) for number in range(blocks)]
    with lab.database("floor_copy") as dsn, psycopg.connect(dsn) as conn:
        conn.execute(SQL.copy_of_movement)
        conn.commit()
        settle(dsn)
        began = perf_counter()
        with conn.cursor().copy(SQL.fill_copy) as stream:
            for block in prepared:
                stream.write(block)
        conn.commit()
        seconds = perf_counter() - began
    rows = blocks * _COPY_ROWS
    return Measured({"": rows / seconds}, {"rows": rows, "bytes": sum(map(len, prepared))})


def _copy_block(number: int) -> bytes:
    first = number * _COPY_ROWS
    moment = "2026-01-01 00:00:00+00"
    return "".join(
        f"{n}\t{number}\t16\t{n // 3}\t{n % 3}\t22\t1\t10\t{moment}\t{moment}\timport\t1\t{n}\tb\n"
        for n in range(first, first + _COPY_ROWS)
    ).encode()


def asgi(lab: Lab) -> Measured:
    """A handler that only encodes an answer of the same shape, on the same HTTP server."""
    with bare_service(lab.folder) as service:
        requests = [get(service.address, f"/v1/availability/S{n}?channel=web") for n in range(1000)]
        clocks = {"server": service.cpu_seconds}
        load = measure(lab.folder, service.address, requests, CLIENTS, lab.seconds, clocks)
    return Measured({"": load.rate, "p99": load.p99_ms}, load.details())


PGBENCH = Case(
    "floor_pgbench",
    {
        "": Figure("reservations/s", "guarded UPDATE + INSERT, a commit each, 32 clients"),
        "hot": Figure("reservations/s", "the same with half the traffic on one SKU"),
    },
    pgbench,
)
COPY = Case("floor_copy", {"": Figure("rows/s", "COPY into a copy of the ledger")}, copy)
ASGI = Case(
    "floor_asgi",
    {
        "": Figure("requests/s", "a bare msgspec handler on the same server, 32 clients"),
        "p99": Figure("ms", "its 99th percentile"),
    },
    asgi,
)
