"""An import whose process was killed is shown as failed by whoever comes next."""

import asyncio
import io
import signal
import subprocess
import sys

import psycopg
import pytest

from stockbridge.ingress import import_jobs
from stockbridge.ingress.imports import close_dead_jobs, import_file, start_job

PROGRAM = """
import asyncio, sys, threading
from stockbridge.ingress.imports import import_file

class Endless:
    def read(self, size):
        print("reading", flush=True)
        threading.Event().wait()

asyncio.run(import_file(sys.argv[1], "balances", Endless(), actor="ada", correlation_id="c"))
"""


@pytest.fixture
def states(dsn):
    """The jobs as (state, detail), oldest first."""

    def read():
        with psycopg.connect(dsn) as conn:
            return conn.execute("SELECT state, detail FROM import_job ORDER BY job_id").fetchall()

    return read


@pytest.fixture
def no_grace(monkeypatch):
    monkeypatch.setattr(import_jobs, "GRACE_SECONDS", 0)


@pytest.fixture
def endless(dsn):
    """A process in the middle of an import."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, dsn], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process
        process.kill()


async def test_a_killed_import_is_marked_and_a_living_one_is_not(dsn, states, no_grace, endless):
    assert await close_dead_jobs(dsn) == []
    endless.send_signal(signal.SIGKILL)
    endless.wait()
    # The server notices the closed connection at its own pace.
    for _ in range(1_200):
        if await close_dead_jobs(dsn):
            break
        await asyncio.sleep(0.05)
    [(state, detail)] = states()
    assert state == "failed"
    assert detail.startswith("the importing process died")
    assert await close_dead_jobs(dsn) == []


async def test_the_next_import_marks_it(dsn, states, no_grace):
    await start_job(dsn, "items", dry_run=False, actor="ada", correlation_id="c")
    await import_file(dsn, "items", io.BytesIO(b"sku\nA\n"), actor="ada", correlation_id="c")
    assert [state for state, _ in states()] == ["failed", "done"]


async def test_a_job_opened_just_now_is_left_alone(dsn, states):
    job_id = await start_job(dsn, "items", dry_run=False, actor="ada", correlation_id="c")
    assert await close_dead_jobs(dsn) == []
    assert states() == [("running", "")]
    file = io.BytesIO(b"sku\nA\n")
    await import_file(dsn, "items", file, actor="ada", correlation_id="c", job_id=job_id)
    assert states() == [("done", "")]
