"""The embedded server: private, durable, one owner, and up again after any kill."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from stockbridge.kernel.errors import Misconfigured
from stockbridge.store import embedded
from stockbridge.store.embedded import EmbeddedServer, running_dsn
from stockbridge.store.pg_binaries import find_binaries

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
SMALL = {"shared_buffers": "64MB"}
# For what is not about durability: a process's death loses nothing that the kernel has.
FAST = SMALL | {"fsync": "off"}
LAUNCHER = """
import os, sys, time, psycopg
from pathlib import Path
from stockbridge.store.embedded import EmbeddedServer
if len(sys.argv) > 2:
    os.setgroups([]); os.setresgid(*[int(sys.argv[3])] * 3); os.setresuid(*[int(sys.argv[2])] * 3)
server = EmbeddedServer.start(Path(sys.argv[1]), settings={"shared_buffers": "64MB"})
with psycopg.connect(server.dsn) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS value")
print(server.pid, flush=True)
sys.stdin.readline()
server.stop()
"""


@pytest.fixture
def open_dir(data_dir) -> Path:
    """A folder that others may pass through, to hold data directories."""
    data_dir.chmod(0o711)
    return data_dir


def launch(*arguments: object) -> tuple[subprocess.Popen[str], int]:
    """Start a process that starts a server and keeps a row; return it and the server's pid."""
    command = [sys.executable, "-c", LAUNCHER, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def end(process: subprocess.Popen[str]) -> int:
    process.communicate("stop\n", timeout=60)
    return process.returncode


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def ask(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return None if row is None else row[0]


def alive(pid: int) -> bool:
    try:
        return not Path(f"/proc/{pid}/stat").read_text().split(")")[1].startswith(" Z")
    except OSError:
        return False


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_server_is_private_durable_and_keeps_its_data(data_dir):
    with EmbeddedServer.start(data_dir, settings=SMALL) as server:
        assert running_dsn(data_dir) == server.dsn
        for name, value in {
            "listen_addresses": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "TimeZone": "UTC",
            "max_connections": "100",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "15min",
            "shared_buffers": "64MB",
            "jit": "off",
            "server_encoding": "UTF8",
        }.items():
            assert ask(server.dsn, f"SELECT current_setting('{name}')") == value, name
        assert ask(server.dsn, "SHOW wal_compression") in {"lz4", "off"}
        assert mode(data_dir / "run") == mode(data_dir / "pg") == 0o700
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert list((data_dir / "pg" / "log").glob("postgresql-*.log"))
        with psycopg.connect(server.dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        pid = server.pid
    assert not alive(pid)
    assert not (data_dir / "pg" / "postmaster.pid").exists()
    assert running_dsn(data_dir) is None
    with EmbeddedServer.start(data_dir, settings=SMALL) as server:
        assert ask(server.dsn, "SELECT value FROM kept") == 42


def test_a_second_start_is_refused_and_names_the_owner(data_dir):
    process, _ = launch(data_dir)
    with pytest.raises(Misconfigured, match=rf"{data_dir} is in use by process {process.pid}:"):
        EmbeddedServer.start(data_dir)
    assert end(process) == 0
    EmbeddedServer.start(data_dir, settings=FAST).stop()


def test_a_killed_launcher_leaves_a_server_that_the_next_start_replaces(data_dir):
    process, left_running = launch(data_dir)
    kill(process)
    assert alive(left_running)
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert not alive(left_running)
        assert ask(server.dsn, "SELECT value FROM kept") == 42


def test_launcher_and_server_killed_together_recover(data_dir, monkeypatch, caplog):
    monkeypatch.setattr(embedded, "_NOTICE_SECONDS", 0.0)
    process, server_pid = launch(data_dir)
    kill(process)
    os.kill(server_pid, signal.SIGKILL)
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert ask(server.dsn, "SELECT value FROM kept") == 42
        log = next((data_dir / "pg" / "log").glob("*.log")).read_text()
        assert "automatic recovery" in log
    assert f"PostgreSQL on {data_dir} is starting, or recovering" in caplog.text


def test_a_killed_server_is_started_again(data_dir):
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        killed = server.pid
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while server.pid == killed or running_dsn(data_dir) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while True:
            try:
                assert ask(server.dsn, "SELECT value FROM kept") == 42
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


@pytest.mark.parametrize("name", ["d" * 150, "with, comma and 'quote\" and space"])
def test_any_path_will_do(open_dir, name):
    with EmbeddedServer.start(open_dir / name, settings=FAST) as server:
        assert ask(server.dsn, "SELECT 1") == 1
        socket_dir = Path(str(ask(server.dsn, "SHOW unix_socket_directories")).strip('"'))
        assert mode(socket_dir) == 0o700
        assert open_dir not in socket_dir.parents
    assert not socket_dir.exists()


def test_a_foreign_socket_folder_is_refused(open_dir):
    long = open_dir / ("d" * 150)
    with EmbeddedServer.start(long, settings=FAST) as server:
        socket_dir = Path(str(ask(server.dsn, "SHOW unix_socket_directories")).strip('"'))
    socket_dir.mkdir(mode=0o755)
    try:
        with pytest.raises(Misconfigured, match=rf"{socket_dir} exists and is not a private"):
            EmbeddedServer.start(long, settings=FAST)
    finally:
        socket_dir.rmdir()


def test_a_failed_start_says_why_and_frees_the_directory(data_dir):
    with pytest.raises(Misconfigured, match=r"(?s)did not start; it said:.*shared_buffers"):
        EmbeddedServer.start(data_dir, settings={"shared_buffers": "much"})
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert ask(server.dsn, "SELECT 1") == 1


def test_leftovers_of_crashes_are_cleared(open_dir):
    (open_dir / "pg.new").mkdir()
    (open_dir / "pg.new" / "half").write_text("a cluster")
    EmbeddedServer.start(open_dir, settings=FAST).stop()
    owner = (open_dir / "pg").stat()
    # The number of a dead server, now another program's of the same user.
    other = subprocess.Popen(["/bin/sleep", "60"], user=owner.st_uid, cwd="/")
    try:
        pid_file = open_dir / "pg" / "postmaster.pid"
        pid_file.write_text(f"{other.pid}\n{open_dir / 'pg'}\n1\n5432\n{open_dir / 'run'}\n\n")
        EmbeddedServer.start(open_dir, settings=FAST).stop()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_cluster_of_another_version_is_refused(data_dir):
    EmbeddedServer.start(data_dir, settings=FAST).stop()
    (data_dir / "pg" / "PG_VERSION").write_text("14\n")
    with pytest.raises(Misconfigured, match=r"was made by PostgreSQL 14 .* STOCKBRIDGE_PG_BIN"):
        EmbeddedServer.start(data_dir, settings=FAST)


@as_root
def test_only_the_user_who_started_it_may_connect(data_dir):
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        account = pwd.getpwuid(Path(f"/proc/{server.pid}").stat().st_uid)
        psql = [find_binaries().program("psql"), server.dsn, "-c", "SELECT 1"]
        for name, message in ((account.pw_name, "eer authentication"), ("nobody", "denied")):
            who = pwd.getpwnam(name)
            answer = subprocess.run(
                psql,
                user=who.pw_uid,
                group=who.pw_gid,
                extra_groups=[],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
            )
            assert answer.returncode != 0
            assert message in answer.stderr


@as_root
def test_an_ordinary_user_runs_it_as_himself(data_dir):
    nobody = pwd.getpwnam("nobody")
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)
    process, server_pid = launch(data_dir, nobody.pw_uid, nobody.pw_gid)
    assert Path(f"/proc/{server_pid}").stat().st_uid == nobody.pw_uid
    assert end(process) == 0
    # Root may take over, and give it back.
    with EmbeddedServer.start(data_dir, settings=FAST) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == nobody.pw_uid
        assert ask(server.dsn, "SELECT value FROM kept") == 42
    process, _ = launch(data_dir, nobody.pw_uid, nobody.pw_gid)
    assert end(process) == 0


@as_root
def test_a_cluster_of_another_user_is_refused(data_dir):
    EmbeddedServer.start(data_dir, settings=FAST).stop()
    nobody = pwd.getpwnam("nobody")
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)
    process = subprocess.run(
        [sys.executable, "-c", LAUNCHER, str(data_dir), str(nobody.pw_uid), str(nobody.pw_gid)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert "belongs to user id" in process.stderr.splitlines()[-1]
    assert "start as its owner" in process.stderr.splitlines()[-1]


@as_root
def test_a_closed_parent_is_named_and_stays_closed(open_dir):
    closed = open_dir / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Misconfigured, match=rf"cannot enter {closed}: .*--data-dir.*chmod g\+x"):
        EmbeddedServer.start(closed / "deep" / "data")
    assert mode(closed) == 0o700


@as_root
def test_programs_in_a_closed_folder_are_copied(open_dir, monkeypatch):
    binaries = find_binaries()
    closed = open_dir / "closed"
    closed.mkdir(mode=0o700)
    for tree in binaries.trees:
        if (binaries.home / tree).is_dir():
            shutil.copytree(binaries.home / tree, closed / tree)
    folder = closed / binaries.folder.relative_to(binaries.home)
    monkeypatch.setenv("STOCKBRIDGE_PG_BIN", str(folder))
    hub = open_dir / "hub"
    with EmbeddedServer.start(hub, settings=FAST) as server:
        program = Path(f"/proc/{server.pid}/exe").readlink()
        assert hub in program.parents
        assert ask(server.dsn, "SELECT 1") == 1
    assert mode(closed) == 0o700


def test_a_wrong_folder_of_programs_is_named(data_dir, monkeypatch):
    monkeypatch.setenv("STOCKBRIDGE_PG_BIN", str(data_dir))
    with pytest.raises(Misconfigured, match=r"STOCKBRIDGE_PG_BIN: there is no initdb in /"):
        EmbeddedServer.start(data_dir)
