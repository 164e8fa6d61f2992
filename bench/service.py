"""Services in processes of their own: the hub's API, and the bare handler beside it.

`python -m bench.service api DSN FOLDER` or `bare` prints its URL and serves until SIGTERM or
until its standard input closes, so that none outlives the bench.
"""

import asyncio
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from starlette.types import Receive, Scope, Send

from bench.machine import ROOT, memory_bytes, process_cpu_seconds
from bench.runner import run_async
from bench.wire import Address
from stockbridge.contracts.availability import Availability
from stockbridge.governance import keys
from stockbridge.ingress.server import HttpServer, listen
from stockbridge.kernel.errors import Refusal
from stockbridge.kernel.settings import Settings
from stockbridge.store.database import connect

HOST = "127.0.0.1"
READY_SECONDS_MAX = 180.0
_STOP_SECONDS_MAX = 30.0
_NO_LIMIT = 1_000_000_000
_ANSWER = Availability("S1", "web", 1, "2026-01-01T00:00:00.000000Z", None, False, "view")


@dataclass(frozen=True, slots=True)
class Service:
    """A running one."""

    process: subprocess.Popen[str]
    address: Address

    def cpu_seconds(self) -> float | None:
        """Its CPU time so far, None if unknown."""
        return process_cpu_seconds(self.process.pid)

    def memory(self) -> tuple[int, int] | None:
        """(resident now, peak) bytes, None if unknown."""
        return memory_bytes(self.process.pid)


@contextmanager
def api_service(dsn: str, folder: Path) -> Iterator[Service]:
    """The whole hub, as `stockbridge serve --role all` runs it, on a migrated database."""
    token = run_async(_key(dsn))
    with _service(["api", dsn, str(folder)], folder, token) as service:
        yield service


@contextmanager
def bare_service(folder: Path) -> Iterator[Service]:
    """The bare handler on the hub's HTTP server."""
    with _service(["bare"], folder, "") as service:
        yield service


async def _key(dsn: str) -> str:
    async with await connect(dsn) as conn:
        # The limit of requests is not what is measured; that it is checked is.
        made = await keys.create(
            conn, "bench", [keys.ADMIN], actor="bench", requests_per_minute=_NO_LIMIT
        )
    if isinstance(made, Refusal):
        raise RuntimeError(made.detail)  # noqa: TRY004 - no wrong type: a refusal is a value
    return made[1]


@contextmanager
def _service(arguments: list[str], folder: Path, token: str) -> Iterator[Service]:
    log = folder / f"{arguments[0]}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.service", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT,
        )  # fmt: skip
    try:
        url = urlsplit(process.stdout.readline().strip() if process.stdout else "")
        if url.hostname is None or url.port is None:
            msg = f"the {arguments[0]} service did not start: {log.read_text()[-4000:]}"
            raise RuntimeError(msg)
        address = Address(url.hostname, url.port, token)
        _wait_ready(address, process, log)
        yield Service(process, address)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait_ready(address: Address, process: subprocess.Popen[str], log: Path) -> None:
    ends = time.monotonic() + READY_SECONDS_MAX
    said = ""
    while time.monotonic() < ends and process.poll() is None:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read().decode()
        connection.close()
        if answer.status == 200:
            return
        time.sleep(0.1)
    msg = f"the service is not ready: {said} {log.read_text()[-4000:]}"
    raise RuntimeError(msg)


# In the process of the service ----------------------------------------------------------------
async def bare(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Encode one answer and send it: what no handler of this shape can be faster than."""
    body = msgspec.json.encode(_ANSWER)
    length = (b"content-length", str(len(body)).encode())
    headers = [(b"content-type", b"application/json"), length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _serve_bare() -> None:
    server = HttpServer(bare, listen(HOST, 0), asyncio.Event())
    task = await server.begin()
    host, port = server.address
    print(f"http://{host}:{port}", flush=True)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await asyncio.wait(
        {task, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED
    )
    await server.end()


async def _serve_api(dsn: str, folder: Path) -> None:
    from stockbridge.app import App, run  # noqa: PLC0415 - the bare service must not pay for it

    def announce(app: App) -> None:
        print(app.url, flush=True)

    await run(Settings(dsn=dsn, data_dir=folder, host=HOST, port=0), "all", announce=announce)


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: list[str]) -> None:
    """Serve what the arguments name."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if arguments[0] == "bare":
        run_async(_serve_bare())
    else:
        run_async(_serve_api(arguments[1], Path(arguments[2])))


if __name__ == "__main__":
    main(sys.argv[1:])
