"""Installs Vendure once for everybody, outside the checkout; the packages are those of the lock."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
SECONDS_MAX = 900


class NotInstallable(Exception):
    """Why there can be no real shop here."""


def installed() -> Path:
    """The folder with `node_modules` and `template.sqlite`; made by the first who asks."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NotInstallable(f"{program} is not installed")
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_suffix(".lock")):
        if not (folder / "template.sqlite").exists():
            _make(folder)
    return folder


def environment(folder: Path) -> Mapping[str, str]:
    """For processes of the shop: it finds its packages, and tells nobody that it runs."""
    return os.environ | {
        "NODE_PATH": str(folder / "node_modules"),
        "VENDURE_DISABLE_TELEMETRY": "true",
    }


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made_of = b"".join((HERE / name).read_bytes() for name in ("package-lock.json", "shop.js"))
    return cache / "stockbridge" / f"vendure-{sha256(made_of).hexdigest()[:12]}"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    _run(folder, "npm", "ci", "--no-audit", "--no-fund")
    _run(folder, "node", str(HERE / "shop.js"), "make", str(folder / "new.sqlite"))
    (folder / "new.sqlite").rename(folder / "template.sqlite")


def _run(folder: Path, *command: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NotInstallable(f"{command[0]} did not end within {SECONDS_MAX} s") from error
    if done.returncode:
        raise NotInstallable(f"{' '.join(command[:2])} failed: {done.stderr[-300:]}")
