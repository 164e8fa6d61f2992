"""Where a run took place: processor, memory, disk, versions, commit; and what processes cost."""

import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).parents[1]
_PROC = Path("/proc")
_SYNC_TRIES = 50
_BLOCK = bytes(8192)


def describe(data_dir: Path) -> dict[str, Any]:
    """The machine, as every line of the report states it; unknown parts are None."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "filesystem": _filesystem(data_dir),
        "fdatasync_us": round(fdatasync_seconds(data_dir) * 1e6),
    }


def commit() -> str | None:
    """The checked-out commit, with `+` when files differ from it; None outside a checkout."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def command(arguments: Sequence[str]) -> str:
    """How to repeat the run."""
    return shlex.join(["python", "-m", "bench", *arguments])


def fdatasync_seconds(folder: Path) -> float:
    """The median time to bring 8 KiB safely to the disk under `folder`: what a commit waits for."""
    path = folder / "fdatasync.probe"
    tries: list[float] = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for number in range(_SYNC_TRIES):
            os.pwrite(descriptor, _BLOCK, number * len(_BLOCK))
            began = perf_counter()
            os.fsync(descriptor) if sys.platform == "darwin" else os.fdatasync(descriptor)
            tries.append(perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(tries)


def process_cpu_seconds(pid: int) -> float | None:
    """CPU time of a process; None where /proc is missing."""
    fields = _stat(_PROC / str(pid))
    return None if fields is None else _ticks(fields[11:13])


def tree_cpu_seconds(pid: int) -> float | None:
    """CPU time of a process and its children, those that ended included; None without /proc."""
    own = _stat(_PROC / str(pid))
    if own is None:
        return None
    total = _ticks(own[11:15])
    for folder in _PROC.iterdir():
        fields = _stat(folder) if folder.name.isdigit() else None
        if fields is not None and fields[1] == str(pid):
            total += _ticks(fields[11:13])
    return total


def memory_bytes(pid: int) -> tuple[int, int] | None:
    """(resident now, its peak) of a process; None without /proc."""
    try:
        text = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in text.splitlines())
    now, peak = (int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


def _stat(folder: Path) -> list[str] | None:
    # The name, in parentheses, may hold spaces; what follows it does not. [0] is the state.
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _ticks(fields: Sequence[str]) -> float:
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments],  # noqa: S607 - the git of whoever runs the bench
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _cpu_model() -> str | None:
    try:
        lines = (_PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or None


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (OSError, ValueError):
        return None


def _filesystem(folder: Path) -> str | None:
    try:
        mounts = [line.split() for line in (_PROC / "mounts").read_text().splitlines()]
    except OSError:
        return None
    inside = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(inside, key=lambda mount: len(mount[1]))[2] if inside else None
