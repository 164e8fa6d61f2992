"""Installs Tryton from the package index into a cache, once, and serves copies of one database.

The cache lies outside the checkout, `$XDG_CACHE_HOME/stockbridge/tryton-8.2`: its own virtual
environment, and a seeded database for each year, because a fiscal year is part of it.
"""

import contextlib
import datetime as dt
import fcntl
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.erp.rpc import Rpc
from tests.erp.seed import seed

SERIES = "8.2"
MODULES = ("sale", "account_stock_anglo_saxon", "account_invoice_stock")
USER, PASSWORD = "admin", "a-password-for-tests"
INSTALL_SECONDS_MAX = 600.0
START_SECONDS_MAX = 90.0


class Unavailable(Exception):
    """A Tryton cannot be had here; the text says why."""


class Erp(NamedTuple):
    """A running server: where its database answers, and a session there."""

    url: str
    rpc: Rpc


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "stockbridge" / f"tryton-{SERIES}"


@contextlib.contextmanager
def tryton(folder: Path) -> Iterator[Erp]:
    """A server with a freshly seeded database in `folder`; raises Unavailable."""
    seeded = _seeded()
    shutil.copy(seeded, folder / "erp.sqlite")
    with _serving(folder) as url:
        yield Erp(url, Rpc(url, USER, PASSWORD))


def _seeded() -> Path:
    """The seeded database; whoever comes first makes it, the others wait."""
    base = cache()
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"{base} cannot be made: {error.strerror}") from error
    seeded = base / f"seeded-{dt.datetime.now(dt.UTC).year}.sqlite"
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "installed").exists():
            _install(base)
        if not seeded.exists():
            _make(base, seeded)
    return seeded


def _install(base: Path) -> None:
    shutil.rmtree(base / "venv", ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(base / "venv")])
    wanted = [f"trytond~={SERIES}.0", *(f"trytond_{name}~={SERIES}.0" for name in MODULES)]
    _run([str(base / "venv" / "bin" / "pip"), "install", "--quiet", *wanted])
    (base / "installed").write_text(" ".join(wanted))


def _make(base: Path, seeded: Path) -> None:
    """A database with the modules, seeded, as one file."""
    work = base / "making"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "erp.sqlite").touch()
    _configure(work)
    (work / "password").write_text(PASSWORD)
    _run(
        [
            str(base / "venv" / "bin" / "trytond-admin"), "-c", str(work / "trytond.conf"),
            "-d", "erp", "-u", *MODULES, "--activate-dependencies", "--email",
            "admin@example.com", "-p", "-l", "en",
        ],
        TRYTONPASSFILE=str(work / "password"),
    )  # fmt: skip
    with _serving(work) as url:
        seed(Rpc(url, USER, PASSWORD))
    whole = work / "whole.sqlite"
    with contextlib.closing(sqlite3.connect(work / "erp.sqlite")) as database:
        database.execute("VACUUM INTO ?", (str(whole),))
    whole.replace(seeded)
    shutil.rmtree(work)


def _run(command: list[str], **environment: str) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, timeout=INSTALL_SECONDS_MAX, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{' '.join(command[:4])} failed: {error.stderr[-500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command[:4])} failed: {error}") from error


def _configure(folder: Path, port: int = 0) -> Path:
    path = folder / "trytond.conf"
    path.write_text(
        f"[web]\nlisten = 127.0.0.1:{port}\n"
        f"[database]\nuri = sqlite://\npath = {folder}\n"
        "[session]\nauthentications = password\n"
    )
    return path


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """A server over the database `erp` in the folder, as a process that ends with the block."""
    port = _free_port()
    program = cache() / "venv" / "bin" / "trytond"
    with (folder / "trytond.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "-c", str(_configure(folder, port)), "-d", "erp"], stdout=log, stderr=log
        )
        try:
            _await(process, port, folder / "trytond.log")
            yield f"http://127.0.0.1:{port}/erp"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _await(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Until it listens: it does so once its modules are loaded."""
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Unavailable(f"trytond ended: {log.read_text()[-500:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise Unavailable(f"trytond does not listen: {log.read_text()[-500:]}")
