"""A watched folder on this machine, or on a mounted one."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stockbridge.connectors.edi.transport.model import CLAIMS, TAIL_BYTES, Found
from stockbridge.kernel.errors import Misconfigured, Retry


class Places(NamedTuple):
    """The folders' names below the partner's root."""

    inbound: str = "inbound"
    outbound: str = "outbound"
    archive: str = "archive"
    quarantine: str = "quarantine"


class LocalFolder:
    """Implements `Folder`; the calls run in threads, a mounted folder may be slow."""

    def __init__(self, root: Path, places: Places, system: str) -> None:
        self._inbound = root / places.inbound
        self._outbound = root / places.outbound
        self._ends = {"archive": root / places.archive, "quarantine": root / places.quarantine}
        self._claims = self._inbound / CLAIMS / system

    async def listing(self) -> Sequence[Found]:
        """See Folder."""
        return await asyncio.to_thread(_files, self._inbound)

    async def tail(self, name: str) -> bytes:
        """See Folder."""
        return await asyncio.to_thread(_tail, self._inbound / name)

    async def claim(self, name: str, claim: str) -> bool:
        """See Folder."""
        return await asyncio.to_thread(self._claim, name, claim)

    def _claim(self, name: str, claim: str) -> bool:
        self._claims.mkdir(parents=True, exist_ok=True)
        try:
            (self._inbound / name).rename(self._claims / claim)
        except FileNotFoundError:
            return False
        return True

    async def claims(self) -> Sequence[Found]:
        """See Folder."""
        with contextlib.suppress(Retry):
            found = await asyncio.to_thread(_files, self._claims)
            return [each for each in found if not each.name.startswith(".")]
        return []

    async def read(self, claim: str, bytes_max: int) -> bytes | None:
        """See Folder."""
        return await asyncio.to_thread(_read, self._claims / claim, bytes_max)

    async def finish(self, claim: str, place: str) -> None:
        """See Folder."""
        await asyncio.to_thread(self._finish, claim, place)

    def _finish(self, claim: str, place: str) -> None:
        kind, _, day = place.partition("/")
        target = self._ends[kind] / day
        target.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (self._claims / claim).rename(target / claim)

    async def put(self, name: str, data: bytes) -> None:
        """See Folder."""
        await asyncio.to_thread(self._put, name, data)

    def _put(self, name: str, data: bytes) -> None:
        _publish(self._outbound, name, data)

    def spool(self, claim: str, data: bytes) -> None:
        """Keep a file that came by another way as a claimed one."""
        _publish(self._claims, claim, data)

    async def drop(self, name: str) -> None:
        """See Folder."""
        await asyncio.to_thread((self._inbound / name).unlink, missing_ok=True)

    async def close(self) -> None:
        """Nothing is held."""


def _files(folder: Path) -> list[Found]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        raise Retry(f"{folder} does not exist; make it, or correct the configuration") from None
    found = []
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):
            if entry.is_file(follow_symlinks=False):
                stat = entry.stat(follow_symlinks=False)
                found.append(Found(entry.name, stat.st_size, stat.st_mtime))
    return found


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read()
    except FileNotFoundError:
        return b""


def _read(path: Path, bytes_max: int) -> bytes | None:
    try:
        if path.stat().st_size > bytes_max:
            raise ValueError(f"{path.name} has more than {bytes_max:,} bytes")
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _publish(folder: Path, name: str, data: bytes) -> None:
    """Written aside, forced to disk, and then renamed: nobody sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{name}.{os.getpid()}.tmp"
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(folder / name)
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def below(root: Path | None, folder: str) -> Path:
    """A partner's folder below `exchange_dir`; raises Misconfigured for one that leaves it."""
    if root is None:
        raise Misconfigured("folder: this process has no exchange_dir, so it has no folders")
    base = root.resolve()
    chosen = (base / folder).resolve()
    if not chosen.is_relative_to(base) or chosen == base:
        raise Misconfigured(f"folder: {folder} is not below {base}; give a folder in there")
    return chosen
