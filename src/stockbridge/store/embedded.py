"""The embedded PostgreSQL server: starts it, watches it, stops it.

One process runs one data directory, held by a lock that ends with the process however it ends.
A server left behind by a killed process is found by its pid file, stopped cleanly and started
again; a server that dies under us is started again.
"""

import atexit
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psycopg
from psycopg.conninfo import make_conninfo

from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import unreachable
from stockbridge.store.pg_account import Account, choose_account
from stockbridge.store.pg_binaries import Binaries, find_binaries
from stockbridge.store.pg_cluster import (
    open_private,
    prepare_cluster,
    prepare_data_dir,
    reachable_binaries,
)
from stockbridge.store.pg_config import DATABASE, ROLE
from stockbridge.store.sql import load

SQL = load(__package__)
LOGGER = logging.getLogger(__name__)

_START_SECONDS_MAX = 900.0
_STOP_SECONDS_MAX = 120.0
_POLL_SECONDS = 0.02
_NOTICE_SECONDS = 5.0
_MEMORY_HELD_TRIES_MAX = 20
_RESTART_PAUSE_SECONDS_MAX = 30.0
_SOCKET_LOCK = ".s.PGSQL.5432.lock"
# Lines of postmaster.pid, from 0: its socket's folder, and what the server is doing.
_SOCKET_LINE = 4
_STATUS_LINE = 7


class EmbeddedServer:
    """A running private PostgreSQL; make one with `EmbeddedServer.start`."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str]) -> None:
        self._data_dir = data_dir
        self._cluster = data_dir / "pg"
        self._settings = dict(settings)
        self._account: Account = choose_account(data_dir)
        self._binaries: Binaries = find_binaries()
        self._socket_dir: Path | None = None
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self._stopping = threading.Event()

    @classmethod
    def start(cls, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> Self:
        """Start the server on `data_dir` and return it when it takes connections.

        `settings` are PostgreSQL settings that win over ours. Raises Misconfigured when the
        directory is in use (naming the process), cannot be used, or the server does not start.
        """
        if os.name != "posix":
            raise Misconfigured("no embedded PostgreSQL on this system: set STOCKBRIDGE_DSN")
        server = cls(Path(data_dir).resolve(), settings or {})
        server._open()
        return server

    @property
    def dsn(self) -> str:
        """The connection string of the application's database."""
        return _dsn(str(self._socket_dir))

    @property
    def pid(self) -> int:
        """The process id of the running PostgreSQL."""
        if self._process is None:
            raise Misconfigured(f"the server on {self._data_dir} is stopped")
        return self._process.pid

    def stop(self) -> None:
        """Stop the server cleanly and free the data directory; a second call does nothing."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        if self._process is not None:
            _stop_child(self._process)
            self._process = None
        if self._socket_dir is not None and self._socket_dir.parent != self._data_dir:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _open(self) -> None:
        prepare_data_dir(self._data_dir, self._account)
        self._lock = _locked(self._data_dir)
        try:
            stop_orphan(self._cluster)
            self._binaries = reachable_binaries(self._binaries, self._data_dir, self._account)
            self._socket_dir = prepare_cluster(
                self._data_dir, self._account, self._binaries, self._settings
            )
            self._launch()
            self._make_database()
        except BaseException:
            self.stop()
            raise
        atexit.register(self.stop)
        self._watcher = threading.Thread(target=self._watch, name="postgres-watch", daemon=True)
        self._watcher.start()

    def _launch(self) -> None:
        for _ in range(_MEMORY_HELD_TRIES_MAX):
            self._process = self._spawn()
            if self._wait_ready(self._process):
                return
            # A killed server's children may hold its memory for a moment.
            if self._stopping.is_set() or "shared memory block" not in self._said():
                break
            time.sleep(0.5)
        raise Misconfigured(
            f"PostgreSQL on {self._data_dir} did not start; it said:\n{self._said()}"
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        # We hold the directory, so nobody listens there; a dead server's number may be reused.
        if self._socket_dir is not None:
            (self._socket_dir / _SOCKET_LOCK).unlink(missing_ok=True)
        with open_private(self._data_dir / "start.log") as log:
            log.truncate()
            return subprocess.Popen(
                [self._binaries.program("postgres"), "-D", str(self._cluster)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us; we then stop the server in order
                **self._account.identity(),
            )

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> bool:
        began = noticed = time.monotonic()
        while process.poll() is None:
            lines = _pid_file(self._cluster)
            mine = bool(lines) and lines[0] == str(process.pid)
            if mine and len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready":
                return True
            now = time.monotonic()
            if now - noticed > _NOTICE_SECONDS:
                noticed = now
                LOGGER.warning(
                    "PostgreSQL on %s is starting, or recovering after a crash; %.0f s so far",
                    self._data_dir,
                    now - began,
                )
            if now - began > _START_SECONDS_MAX or self._stopping.is_set():
                _stop_child(process)
                return False
            time.sleep(_POLL_SECONDS)
        return False

    def _said(self) -> str:
        """Return the end of what the server wrote at its last start."""
        logs = [self._data_dir / "start.log"]
        logs += sorted((self._cluster / "log").glob("*.log"), key=lambda p: p.stat().st_mtime)[-1:]
        texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs if log.exists()]
        return "\n".join(line for text in texts for line in text.splitlines()[-8:])

    def _make_database(self) -> None:
        try:
            connection = psycopg.connect(self.dsn, dbname="postgres", autocommit=True)
        except psycopg.OperationalError as error:
            raise unreachable(self.dsn, error) from error
        with connection:
            if connection.execute(SQL.find_database).fetchone() is None:
                connection.execute(SQL.create_database)

    def _watch(self) -> None:
        pause = 0.1
        while not self._stopping.wait(0.2):
            process = self._process
            if process is None or process.poll() is None:
                continue
            LOGGER.error(
                "PostgreSQL on %s ended by itself (code %s); starting it again",
                self._data_dir,
                process.returncode,
            )
            try:
                self._launch()
                pause = 0.1
            except (Misconfigured, OSError):
                LOGGER.exception("PostgreSQL on %s does not start; will try again", self._data_dir)
                self._stopping.wait(pause)
                pause = min(pause * 2, _RESTART_PAUSE_SECONDS_MAX)


def running_dsn(data_dir: Path) -> str | None:
    """Return the connection string of the server running on `data_dir`, None when none is."""
    cluster = Path(data_dir).resolve() / "pg"
    try:
        lines = _pid_file(cluster)
    except PermissionError:
        return None
    if len(lines) <= _STATUS_LINE or not _runs_on(int(lines[0]), cluster):
        return None
    return _dsn(lines[_SOCKET_LINE])


def _dsn(socket_dir: str) -> str:
    return make_conninfo("", host=socket_dir, port=5432, user=ROLE, dbname=DATABASE)


def _locked(data_dir: Path) -> IO[str]:
    """Take the lock of `data_dir`; the kernel frees it when this process ends."""
    lock = open_private(data_dir / "stockbridge.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise Misconfigured(
            f"data directory {data_dir} is in use by process {owner}: stop that process, or name "
            "another directory with --data-dir or STOCKBRIDGE_DATA_DIR"
        ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _pid_file(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def stop_orphan(cluster: Path) -> None:
    """Stop the server that a killed process left running on `cluster`, in order."""
    lines = _pid_file(cluster)
    if not lines or not lines[0].isdigit():
        return
    pid = int(lines[0])
    if not _runs_on(pid, cluster):
        # Another program may have the old number by now (in a container it often has), and
        # PostgreSQL would take it for a server. The memory it checks as well stays checked.
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        return
    LOGGER.warning("PostgreSQL %d was left running on %s; stopping it first", pid, cluster)
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + _STOP_SECONDS_MAX
    while _runs_on(pid, cluster):
        if time.monotonic() > deadline:
            raise Misconfigured(
                f"PostgreSQL {pid} runs on {cluster} and does not stop: end it (kill -QUIT {pid})"
            )
        time.sleep(_POLL_SECONDS)


def _runs_on(pid: int, cluster: Path) -> bool:
    """Tell whether process `pid` is a PostgreSQL server on `cluster`."""
    if Path("/proc/self").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False
    else:
        ask = ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)]
        command = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
    return "postgres" in command and str(cluster) in command


def _stop_child(process: subprocess.Popen[bytes]) -> None:
    for order, seconds in ((signal.SIGINT, _STOP_SECONDS_MAX), (signal.SIGQUIT, 30.0)):
        if process.poll() is not None:
            return
        process.send_signal(order)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            LOGGER.warning("PostgreSQL %d did not stop in %.0f s", process.pid, seconds)
