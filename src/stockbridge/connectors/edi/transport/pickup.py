"""The pick-up of files: complete, claimed by a rename, kept by the hub, and then put away.

Whoever dies at any step leaves either the file where it was, or its claim, which is taken up
again; the hub knows an interchange by its number, so what it has already is a repeat.
"""

import secrets
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from stockbridge.connectors.edi.transport.model import (
    CompleteBy,
    Folder,
    Found,
    Looked,
    claim_name,
    claimed_at,
    has_end,
    look,
    markers,
    ready,
)

FILES_MAX: Final = 50
PAGE_BYTES_MAX: Final = 16 * 1024 * 1024
FILE_BYTES_MAX: Final = 256 * 1024 * 1024
log = structlog.get_logger(__name__)


class Habits(NamedTuple):
    """How a partner's files come: when one is complete, and how long a claim is somebody's.

    A file without an end is taken all the same after `partial_seconds`, to be refused.
    """

    complete_by: CompleteBy = "stable"
    stable_seconds: float = 30.0
    partial_seconds: float = 3_600.0
    claim_seconds: float = 120.0


class Claimed(NamedTuple):
    """A file that is ours; `data` None: it is too large to be read."""

    claim: str
    data: bytes | None


class Pickup:
    """Takes files out of one folder; `looked` is what it remembers of its last look."""

    def __init__(self, folder: Folder, habits: Habits) -> None:
        self._folder, self._habits = folder, habits
        self._holder = secrets.token_hex(6)
        self._looked: dict[str, Looked] = {}
        self._count = 0

    async def take(self) -> list[Claimed]:
        """Files to be kept now, abandoned claims first."""
        names = [each.name for each in await self._abandoned()][:FILES_MAX]
        names += await self._claim_ready(FILES_MAX - len(names))
        taken: list[Claimed] = []
        size = 0
        for name in names:
            if size > PAGE_BYTES_MAX:
                break
            try:
                data = await self._folder.read(name, FILE_BYTES_MAX)
            except ValueError as error:
                log.warning("edi: a file is too large to be read", claim=name, cause=str(error))
                taken.append(Claimed(name, None))
                continue
            if data is not None:
                taken.append(Claimed(name, data))
                size += len(data)
        return taken

    async def read(self, claim: str) -> bytes | None:
        """A claim of an earlier process; None: it is not there, or cannot be read."""
        try:
            return await self._folder.read(claim, FILE_BYTES_MAX)
        except ValueError:
            return None

    async def put_away(self, claim: str, *, is_sound: bool) -> None:
        """Archive a claimed file, or set it apart for a person."""
        day = datetime.now(UTC).strftime("%Y/%m/%d")
        await self._folder.finish(claim, f"{'archive' if is_sound else 'quarantine'}/{day}")

    async def _abandoned(self) -> list[Found]:
        """Our own claims, and those that nobody can be at work on any more."""
        oldest = time.time() - self._habits.claim_seconds
        found = [
            each
            for each in await self._folder.claims()
            if claimed_at(each.name)[0] == self._holder or claimed_at(each.name)[1] <= oldest
        ]
        return sorted(found, key=lambda each: (each.modified, each.name))

    async def _claim_ready(self, most: int) -> list[str]:
        found = list(await self._folder.listing())
        now = time.monotonic()
        complete = ready(
            found, self._habits.complete_by, self._looked, now, self._habits.stable_seconds
        )
        names = {each.name for each in found}
        claims: list[str] = []
        for each in complete:
            if len(claims) >= most:
                break
            if self._habits.complete_by == "stable" and not await self._has_ended(each, now):
                continue
            self._count += 1
            claim = claim_name(self._holder, int(time.time()), self._count, each.name)
            if await self._folder.claim(each.name, claim):
                claims.append(claim)
                for marker in markers(each.name, names):
                    await self._folder.drop(marker)
        self._looked = look(found, self._looked, now)
        return claims

    async def _has_ended(self, each: Found, now: float) -> bool:
        since = self._looked[each.name].since
        return now - since >= self._habits.partial_seconds or has_end(
            await self._folder.tail(each.name)
        )
