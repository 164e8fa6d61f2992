"""Load over HTTP: raw requests prepared beforehand, sent by `wrk`, else by a client of ours.

A request is the bytes on the wire. Where MARK stands in it, the sender puts an identifier that is
never the same twice: idempotency keys and references.
"""

import http.client
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.machine import ROOT

MARK = "@" * 20
"""As long as the identifiers, so that lengths stay true."""
CpuClock = Callable[[], float | None]
_LUA = Path(__file__).with_name("load.lua")
_WARM_SECONDS = 1.0
_GRACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens; `token` is the API key it accepts, if it asks for one."""

    host: str
    port: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load of `seconds` saw; `client` names the program that made it.

    `cpu_us`: what a request cost each process that was watched.
    """

    client: str
    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    def details(self) -> dict[str, Any]:
        """For the report."""
        return {
            "client": self.client,
            "requests": self.requests,
            "p50_ms": round(self.p50_ms, 2),
            "p99_ms": round(self.p99_ms, 2),
            "max_ms": round(self.max_ms, 1),
            "cpu_us": dict(self.cpu_us),
        }


def get(address: Address, path: str) -> bytes:
    """A GET."""
    return _request(address, "GET", path, {}, b"")


def post(address: Address, path: str, body: bytes, *, keyed: bool) -> bytes:
    """A POST of JSON; with `keyed` it carries an idempotency key of its own each time."""
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": MARK} if keyed else {})
    return _request(address, "POST", path, headers, body)


def _request(
    address: Address, method: str, path: str, headers: dict[str, str], body: bytes
) -> bytes:
    named = {"Host": f"{address.host}:{address.port}", "Accept": "application/json"} | headers
    if address.token:
        named["Authorization"] = f"Bearer {address.token}"
    if body:
        named["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def measure(
    folder: Path,
    address: Address,
    requests: Sequence[bytes],
    clients: int,
    seconds: float,
    clocks: Mapping[str, CpuClock],
) -> Load:
    """Keep `clients` connections busy with `requests` in turn, after a second to warm up.

    `clocks` tell the CPU seconds of the processes to watch. Raises RuntimeError when an answer
    is an error.
    """
    check(address, requests[0])
    file = requests_file(folder, requests)
    try:
        send = _wrk if shutil.which("wrk") else _own
        send(file, address, clients, _WARM_SECONDS)
        before = {name: clock() for name, clock in clocks.items()}
        load = checked(send(file, address, clients, seconds))
        used = {name: _used(before[name], clock()) for name, clock in clocks.items()}
        each = {name: round(cpu / load.requests * 1e6, 1) for name, cpu in used.items() if cpu}
        return replace(load, cpu_us=each)
    finally:
        file.unlink()


def _used(before: float | None, after: float | None) -> float:
    return 0.0 if before is None or after is None else after - before


def requests_file(folder: Path, requests: Sequence[bytes]) -> Path:
    """Write requests to a new file, the way both senders read them."""
    file = folder / f"requests-{uuid.uuid4().hex[:8]}"
    file.write_bytes(b"\0".join(requests))
    return file


def checked(load: Load) -> Load:
    """The load, unless it met errors."""
    if load.errors or not load.requests:
        msg = f"{load.errors} of {load.requests} answers were errors (client {load.client})"
        raise RuntimeError(msg)
    return load


def check(address: Address, request: bytes) -> None:
    """Send one request by itself, so that an error shows its text."""
    head, _, body = request.replace(MARK.encode(), uuid.uuid4().hex[:20].encode()).partition(
        b"\r\n\r\n"
    )
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
    headers = dict(line.split(": ", 1) for line in lines)
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    text = answer.read(2_000).decode(errors="replace")
    connection.close()
    if answer.status >= 400:
        msg = f"{method} {path} answers {answer.status}: {text}"
        raise RuntimeError(msg)


def _wrk(file: Path, address: Address, clients: int, seconds: float) -> Load:
    whole = max(1, round(seconds))
    run = ["-t1", f"-c{clients}", f"-d{whole}s", "--timeout", "30s", "-s", str(_LUA)]
    url = f"http://{address.host}:{address.port}"
    command = ["wrk", *run, url, "--", str(file), uuid.uuid4().hex[:8]]
    return _load("wrk", _answer_of(command, whole))


def _own(file: Path, address: Address, clients: int, seconds: float) -> Load:
    return _load("asyncio", _answer_of(own_client(file, address, clients, seconds), seconds))


def own_client(
    file: Path, address: Address, clients: int, seconds: float, rate: float = 0
) -> list[str]:
    """The command of our client; with `rate` it sends that many requests a second, not more."""
    numbers = [str(address.port), str(clients), str(seconds), str(rate)]
    prefix = uuid.uuid4().hex[:8]
    return [sys.executable, "-m", "bench.client", str(file), prefix, address.host, *numbers]


def _answer_of(command: list[str], seconds: float) -> str:
    limit = seconds + _GRACE_SECONDS
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=limit, cwd=ROOT
    )
    if done.returncode:
        msg = f"{command[0]} failed ({done.returncode}): {done.stderr.strip() or done.stdout}"
        raise RuntimeError(msg)
    return done.stdout


def _load(client: str, output: str) -> Load:
    # wrk prints for people first; the line of ours is the last.
    found = json.loads(output.strip().splitlines()[-1])
    return Load(client, **found)


def load_of(output: str) -> Load:
    """What our client, run by the caller, printed."""
    return _load("asyncio", output)
