"""What a folder is to us, wherever it lies; and which files in it are complete. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

CompleteBy = Literal["stable", "done", "rename"]
PENDING: Final = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~")
DONE: Final = (".done", ".ok", ".ctl")
TAIL_BYTES: Final = 512
CLAIMS: Final = ".claim"
_X12_END: Final = b"IEA"
_EDIFACT_END: Final = b"UNZ"


class Found(NamedTuple):
    """A file as a listing shows it; `modified` in seconds of the folder's own clock."""

    name: str
    size: int
    modified: float


class Looked(NamedTuple):
    """How a file looked at an earlier look, and since when it looks so, by our clock."""

    size: int
    modified: float
    since: float


class Folder(Protocol):
    """A partner's place of exchange. Names are plain names, never paths.

    Everything may raise OSError (or Retry, over a network); a claim and a move never overwrite.
    """

    async def listing(self) -> Sequence[Found]:
        """The files to be taken."""

    async def tail(self, name: str) -> bytes:
        """The last bytes of such a file."""

    async def claim(self, name: str, claim: str) -> bool:
        """Make it ours by renaming it; False: somebody else did."""

    async def claims(self) -> Sequence[Found]:
        """What is claimed and not finished."""

    async def read(self, claim: str, bytes_max: int) -> bytes | None:
        """A claimed file; None when it is not there, ValueError when it is too large."""

    async def finish(self, claim: str, place: str) -> None:
        """Move a claimed file to `place` (archive or quarantine, and the day); gone is as good."""

    async def put(self, name: str, data: bytes) -> None:
        """Publish a file whole, under a name it alone has; the same again is as good."""

    async def drop(self, name: str) -> None:
        """Take away a marker that says that a file is complete."""

    async def close(self) -> None:
        """Give connections back."""


def is_plain(name: str) -> bool:
    """Whether a name is one of a file to take: not hidden, not being written, no marker."""
    low = name.lower()
    return not (name.startswith(".") or low.endswith(PENDING + DONE))


def ready(
    found: Sequence[Found],
    complete_by: CompleteBy,
    looked: Mapping[str, Looked],
    now: float,
    stable_seconds: float,
) -> list[Found]:
    """The files that are complete by the partner's custom, oldest first.

    `stable`: unchanged over two looks at least so many seconds apart; whether their end is there
    is asked apart. `done`: a marker stands beside. `rename`: a name that is plain is complete.
    """
    names = {each.name for each in found}
    plain = [each for each in found if is_plain(each.name)]
    if complete_by == "done":
        plain = [each for each in plain if markers(each.name, names)]
    elif complete_by == "stable":
        plain = [each for each in plain if _is_stable(each, looked, now, stable_seconds)]
    return sorted(plain, key=lambda each: (each.modified, each.name))


def markers(name: str, names: set[str]) -> list[str]:
    """The markers beside a file: NAME.done, or STEM.done."""
    stem = name.rpartition(".")[0] or name
    return [mark for end in DONE for mark in (f"{name}{end}", f"{stem}{end}") if mark in names]


def _is_stable(
    each: Found, looked: Mapping[str, Looked], now: float, stable_seconds: float
) -> bool:
    before = looked.get(each.name)
    return before is not None and is_same(each, before) and now - before.since >= stable_seconds


def is_same(each: Found, before: Looked) -> bool:
    """Whether a file looks as it did."""
    return (each.size, each.modified) == (before.size, before.modified)


def look(found: Sequence[Found], looked: Mapping[str, Looked], now: float) -> dict[str, Looked]:
    """What is remembered of this look: how each file looks and since when."""
    return {
        each.name: before
        if (before := looked.get(each.name)) is not None and is_same(each, before)
        else Looked(each.size, each.modified, now)
        for each in found
    }


def has_end(tail: bytes) -> bool:
    """Whether the last bytes hold the end of an interchange: IEA or UNZ, with what ends it."""
    end = tail.rstrip()
    segment = max(end.rfind(_X12_END), end.rfind(_EDIFACT_END))
    return segment >= 0 and len(end) - segment < TAIL_BYTES // 4


def claim_name(holder: str, at: int, number: int, name: str) -> str:
    """A claim's name: who, when (seconds), a number of its own, and the file's own name."""
    return f"{holder}-{at}-{number}__{name}"


def posted_name(digest: str) -> str:
    """The claim of a file that was posted to us: nobody's, so whoever looks next takes it."""
    return claim_name("posted", 0, 0, f"{digest[:32]}.edi")


def claimed_at(claim: str) -> tuple[str, int]:
    """Holder and second of a claim; one that is none of ours is nobody's, from the beginning."""
    head = claim.partition("__")[0].split("-")
    if len(head) != 3 or not head[1].isdigit():  # noqa: PLR2004 - holder, second, number
        return "", 0
    return head[0], int(head[1])
