"""Cases that really run, for a second: engine, floors, and the client for machines without wrk."""

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from bench.lab import Lab
from bench.machine import ROOT
from bench.registry import BY_NAME
from bench.service import bare_service
from bench.wire import get, load_of, own_client, requests_file
from stockbridge.store.embedded import EmbeddedServer


@pytest.fixture
def lab(server: EmbeddedServer, tmp_path: Path):
    with ExitStack() as held:
        yield Lab(server, tmp_path, 1.0, "small", held)


def databases(server: EmbeddedServer) -> set[str]:
    with psycopg.connect(server.dsn) as conn:
        return {name for (name,) in conn.execute("SELECT datname FROM pg_database")}


def test_the_engine_case_measures_and_leaves_nothing(lab: Lab, server: EmbeddedServer):
    before = databases(server)
    found = BY_NAME["engine_hot"].run(lab)
    assert found.values[""] > 0
    assert found.details["reservations"] > 0
    assert found.details["python_cpu_us"] > 0
    assert databases(server) == before
    assert list(lab.folder.iterdir()) == []


def test_the_copy_floor_measures(lab: Lab):
    found = BY_NAME["floor_copy"].run(lab)
    assert found.values[""] > 0
    assert found.details["rows"] == 100_000


@pytest.mark.parametrize("rate", [0, 50])
def test_our_client_answers_like_wrk(rate: int, tmp_path: Path):
    with bare_service(tmp_path) as service:
        file = requests_file(tmp_path, [get(service.address, f"/{n}") for n in range(3)])
        command = own_client(file, service.address, 4, 1.0, rate)
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        load = load_of(done.stdout)
    assert set(json.loads(done.stdout)) == {
        "requests", "seconds", "errors", "p50_ms", "p99_ms", "max_ms",
    }  # fmt: skip
    assert load.client == "asyncio"
    assert load.requests > 20
    if rate:
        assert load.requests <= rate + 4
    assert service.process.returncode is not None
