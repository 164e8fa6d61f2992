"""Makes and prepares the embedded server's folders: data directory, cluster, socket folder.

- `stockbridge.lock`: held by the process that runs the server
- `start.log`: what the server says before its own log opens
- `pg/`: the cluster, 0700, its log in `pg/log`
- `run/`: the socket, 0700
- `postgresql-*/`: a copy of the programs, only when root's account cannot reach them
"""

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.pg_account import Account, first_closed, group_name
from stockbridge.store.pg_binaries import Binaries
from stockbridge.store.pg_config import (
    ROLE,
    access_texts,
    conf_text,
    main_conf_text,
    server_settings,
)

# sun_path holds 108 bytes with its final zero; PostgreSQL adds the socket's own name.
_SOCKET_PATH_BYTES_MAX = 107
_BASE_BYTES_MAX = 40
_SOCKET_NAME = "/.s.PGSQL.5432"
_MAJOR_BUILTIN_LOCALE = 17
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


def prepare_data_dir(data_dir: Path, account: Account) -> None:
    """Make `data_dir` and see that the server's account can enter it; opens no other folder."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if account.foreign and not any(data_dir.iterdir()):
            os.chown(data_dir, -1, account.gid)
            data_dir.chmod(0o710)
    except OSError as error:
        raise Misconfigured(
            f"data directory {data_dir} cannot be made: {error.strerror}; name another with "
            "--data-dir or STOCKBRIDGE_DATA_DIR"
        ) from error
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise Misconfigured(
            f"data directory {data_dir} is not writable for user {account.client}: change its "
            "owner, or name another with --data-dir or STOCKBRIDGE_DATA_DIR"
        )
    closed = first_closed(data_dir, account)
    if closed is not None:
        group = group_name(account.gid)
        raise Misconfigured(
            f"the database runs as user {account.name}, not as root, and {account.name} cannot "
            f"enter {closed}: name a data directory outside it with --data-dir or "
            f"STOCKBRIDGE_DATA_DIR (such as /var/lib/stockbridge), or open it yourself "
            f"(chgrp {group} {closed} && chmod g+x {closed})"
        )
    cluster = data_dir / "pg"
    owner = cluster.stat().st_uid if cluster.exists() else account.uid
    if owner != account.uid:
        raise Misconfigured(
            f"{cluster} belongs to user id {owner} and the server would run as {account.name}: "
            f"start as its owner, or give it away (chown -R {account.name} {cluster})"
        )


def reachable_binaries(binaries: Binaries, data_dir: Path, account: Account) -> Binaries:
    """Return `binaries`, or a copy inside `data_dir` when the account cannot reach them.

    The usual case is a virtual environment under /root: we copy rather than open that folder.
    """
    if first_closed(binaries.folder / "postgres", account) is None:
        return binaries
    mark = (binaries.folder / "postgres").stat()
    source = f"{binaries.folder} {mark.st_size} {mark.st_mtime_ns}"
    target = data_dir / f"postgresql-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    if not target.exists():
        partial = data_dir / "postgresql.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for tree in binaries.trees:
            if (binaries.home / tree).is_dir():
                shutil.copytree(binaries.home / tree, partial / tree)
        for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        partial.rename(target)
    folder = target / binaries.folder.relative_to(binaries.home)
    return replace(binaries, folder=folder, home=target)


def prepare_cluster(
    data_dir: Path, account: Account, binaries: Binaries, extra: Mapping[str, str]
) -> Path:
    """Make the cluster when there is none, write its settings; return its socket folder."""
    cluster = data_dir / "pg"
    if not cluster.exists():
        _init(data_dir, account, binaries, sync=extra.get("fsync") != "off")
    made_by = (cluster / "PG_VERSION").read_text(encoding="utf-8").strip()
    if made_by != str(binaries.major):
        raise Misconfigured(
            f"{cluster} was made by PostgreSQL {made_by} and the programs in {binaries.folder} "
            f"are {binaries.major}: set STOCKBRIDGE_PG_BIN to those of PostgreSQL {made_by}, or "
            "move the data with pg_dump or pg_upgrade"
        )
    socket_dir = _socket_dir(data_dir, account)
    compression = _wal_compression(cluster, account, binaries)
    settings = server_settings(_memory_bytes(), compression, str(socket_dir)) | dict(extra)
    write_as(cluster / "stockbridge.conf", conf_text(settings), account)
    for name, text in access_texts(account.client).items():
        write_as(cluster / name, text, account)
    return socket_dir


def _init(data_dir: Path, account: Account, binaries: Binaries, *, sync: bool) -> None:
    # Made beside its place and renamed, so that a crash in the middle leaves no half a cluster.
    fresh = data_dir / "pg.new"
    shutil.rmtree(fresh, ignore_errors=True)
    _own_folder(fresh, account)
    command = [binaries.program("initdb"), "-D", str(fresh), "-U", ROLE, "--auth=peer"]
    command += ["--encoding=UTF8", "--data-checksums", "--locale=C", "--no-instructions"]
    if binaries.major >= _MAJOR_BUILTIN_LOCALE:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not sync:
        command.append("--no-sync")
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", **account.identity()
    )
    if result.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise Misconfigured(f"initdb could not make {data_dir / 'pg'}: {result.stderr.strip()}")
    main = fresh / "postgresql.conf"
    write_as(main, main_conf_text(main.read_text(encoding="utf-8")), account)
    write_as(fresh / "custom.conf", "# Settings here win over Stockbridge's.\n", account)
    fresh.rename(data_dir / "pg")
    _sync_folder(data_dir)


def _own_folder(path: Path, account: Account) -> None:
    path.mkdir(mode=0o700)
    if account.foreign:
        os.chown(path, account.uid, account.gid)


def open_private(path: Path) -> IO[str]:
    """Open `path` to read and write, made if absent, 0600, owned by its folder's owner."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return os.fdopen(descriptor, "r+", encoding="utf-8")


def write_as(path: Path, text: str, account: Account) -> None:
    """Replace `path` by `text` in one step, readable by `account` only."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if account.foreign:
            os.fchown(file.fileno(), account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _socket_dir(data_dir: Path, account: Account) -> Path:
    path = data_dir / "run"
    # A comma would read as two hosts in a connection string.
    if len(os.fsencode(f"{path}{_SOCKET_NAME}")) > _SOCKET_PATH_BYTES_MAX or "," in str(path):
        tag = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
        path = _short_base() / f"stockbridge-{os.geteuid()}-{tag}"
    try:
        _own_folder(path, account)
    except FileExistsError:
        found = path.lstat()
        private = stat.filemode(found.st_mode) == "drwx------"
        if not private or found.st_uid != account.uid:
            raise Misconfigured(
                f"socket folder {path} exists and is not a private folder (0700) of user "
                f"{account.name}: look at who made it, and remove it"
            ) from None
    return path


def _short_base() -> Path:
    """Return a folder with a short path in which a private socket folder can be made."""
    if os.geteuid() == 0 and Path("/run").is_dir():
        return Path("/run")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if (
        runtime
        and len(os.fsencode(runtime)) < _BASE_BYTES_MAX
        and os.access(runtime, os.W_OK | os.X_OK)
    ):
        return Path(runtime)
    return Path("/tmp")  # noqa: S108  (the folder made in it is private and checked)


def _memory_bytes() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CGROUP_MEMORY.read_text(encoding="ascii").strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdigit() else physical


def _wal_compression(cluster: Path, account: Account, binaries: Binaries) -> str:
    """Return lz4 when this build has it, else off: pglz costs more time than it saves."""
    command = [binaries.program("postgres"), "-C", "wal_compression"]
    command += ["-c", "wal_compression=lz4", "-c", f"config_file={cluster / 'postgresql.conf'}"]
    command += ["-D", str(cluster)]
    write_as(cluster / "stockbridge.conf", conf_text({}), account)
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", **account.identity()
    )
    return "lz4" if result.stdout.strip() == "lz4" else "off"
