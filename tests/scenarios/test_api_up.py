"""`stockbridge up` as people run it: a process of its own, killed in every way."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

COMMAND = [sys.executable, "-c", "from stockbridge.cli import main; main()"]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class Up:
    """A running `up`; `said` is what it printed until it was ready."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        arguments = ["up", "--data-dir", str(data_dir), "--port", str(port)]
        environment = os.environ | {"STOCKBRIDGE_LOG_FORMAT": "json"}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.said = ""
        assert self.process.stdout is not None
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            assert line, f"ended early: {self.said}"
            self.said += line
        found = re.search(r"sb_live_\w{12}_[\w-]{43}", self.said)
        self.token = found[0] if found else ""

    def end(self, number: int = signal.SIGTERM) -> float:
        """Send the signal; seconds until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return time.monotonic() - began


@contextlib.contextmanager
def up(data_dir: Path, port: int) -> Iterator[Up]:
    started = Up(data_dir, port)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.end()


def call(up: Up, method: str, path: str, body: object = None, token: str = "") -> httpx2.Response:
    headers = {"authorization": f"Bearer {token or up.token}", "idempotency-key": str(time.time())}
    return httpx2.request(method, up.url + path, json=body, headers=headers, timeout=40)


def test_first_start_kills_and_restarts(data_dir):
    port = free_port()
    with up(data_dir, port) as first:
        assert first.token
        assert first.url in first.said
        assert call(first, "PUT", "/v1/locations/MAIN", {}).status_code == 201
        assert call(first, "PUT", "/v1/channels/web", {"sources": ["MAIN"]}).status_code == 201
        assert call(first, "PUT", "/v1/items/A", {}).status_code == 201
        count = {"count": "1", "location": "MAIN", "lines": [{"sku": "A", "quantity": 5}]}
        assert call(first, "POST", "/v1/counts", count).status_code == 201
        # A second one on the same port, or the same data, is refused with the way out.
        taken = run("up", "--data-dir", data_dir, "--port", port)
        assert (taken.returncode, "--port" in taken.stderr) == (1, True), taken.stderr
        taken = run("up", "--data-dir", data_dir, "--port", free_port())
        assert (taken.returncode, "--data-dir" in taken.stderr) == (1, True), taken.stderr
        # Other commands use the running one's database.
        made = run("keys", "create", "reader", "--scope", "ops:read", "--data-dir", data_dir)
        token = made.stdout.strip()
        deadline = time.monotonic() + 60
        while call(first, "GET", "/v1/items", token=token).status_code != 200:
            assert time.monotonic() < deadline, made
        run("keys", "revoke", token.split("_")[2], "--data-dir", data_dir)
        deadline = time.monotonic() + 60
        while call(first, "GET", "/v1/items", token=token).status_code != 401:
            assert time.monotonic() < deadline
        told = run("explain", "A", "--channel", "web", "--data-dir", data_dir)
        assert "5 available" in told.stdout, told.stderr
        assert "Traceback" not in told.stderr
        # The database dies; it comes back, and so do the answers.
        postmaster = int((data_dir / "pg" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)
        made_after = call(first, "PUT", "/v1/items/B", {})
        assert made_after.status_code in {201, 503}
        deadline = time.monotonic() + 40
        while call(first, "GET", "/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert call(first, "GET", "/v1/availability/A?channel=web").json()["available"] == 5
        assert first.end(signal.SIGKILL) < 25
    with up(data_dir, port) as second:
        assert second.token == ""
        second.token = first.token
        shown = call(second, "GET", "/v1/availability/A?channel=web")
        assert shown.json()["available"] == 5
        with httpx2.stream(
            "GET",
            f"{second.url}/v1/availability/stream?channel=web",
            headers={"authorization": f"Bearer {first.token}"},
        ) as stream:
            assert stream.status_code == 200
            assert second.end(signal.SIGTERM) < 25
        assert second.process.returncode == 0
    checked = run("ledger", "verify", "--data-dir", data_dir)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    wrote = run("export", "balances", data_dir.parent / "out.csv", "--data-dir", data_dir)
    assert wrote.returncode == 0, wrote.stderr
    assert "A,MAIN,5" in (data_dir.parent / "out.csv").read_text()


MISTAKES = [
    (["serve"], "stockbridge migrate"),
    (["migrate", "--dsn", "host=127.0.0.1 port=1 dbname=x"], "cannot be reached"),
    (["up", "--port", "99999"], "port"),
    (["keys", "create", "x", "--scope", "all"], "scopes are"),
    (["import", "nothing", "/dev/null"], "nothing"),
    (["import", "items", "/none.csv"], "/none.csv"),
    (["replay", "/none.parquet"], "/none.parquet"),
]


@pytest.mark.parametrize("arguments,told", MISTAKES, ids=lambda value: str(value)[:40])
def test_mistakes_are_told_in_one_message(arguments, told, data_dir):
    if "--dsn" not in arguments and arguments[0] != "serve":
        arguments = [*arguments, "--data-dir", str(data_dir)]
    environment = {"STOCKBRIDGE_DATA_DIR": str(data_dir)}
    command = [*COMMAND, *arguments]
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    assert answer.returncode != 0
    assert told in answer.stderr, answer.stderr
    assert "Traceback" not in answer.stderr


def test_every_command_has_help_with_an_example():
    commands = [
        ["up"], ["serve"], ["migrate"], ["doctor"], ["demo"], ["replay"], ["import"], ["export"],
        ["explain"], ["ledger", "verify"], ["keys", "create"], ["keys", "list"],
        ["keys", "revoke"],
    ]  # fmt: skip
    for command in commands:
        answer = run(*command, "--help")
        assert answer.returncode == 0, answer.stderr
        assert "Example: " in answer.stdout, command


def test_doctor_exits_1_on_a_failure(data_dir):
    good = run("doctor", "--data-dir", data_dir)
    assert good.returncode == 0, good.stdout
    bad = run("doctor", "--dsn", "host=127.0.0.1 port=1 dbname=x")
    assert bad.returncode == 1
    assert "fail" in bad.stdout
