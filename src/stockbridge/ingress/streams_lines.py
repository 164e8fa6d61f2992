"""Lines of a stream of bytes, however it is cut into pieces, in bounded memory."""

from collections.abc import AsyncIterator
from typing import NamedTuple

_START_BYTES = 100


class Line(NamedTuple):
    """A line without its end; `is_cut`: it was longer than is taken, and `text` is its start."""

    text: bytes
    is_cut: bool = False


async def lines(pieces: AsyncIterator[bytes], bytes_max: int) -> AsyncIterator[Line]:
    """The lines that are not blank; of one that is too long only a start is held."""
    line = _Growing(bytes_max)
    async for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line.add(end)
            whole = line.take()
            if whole is not None:
                yield whole
        line.add(rest)
    whole = line.take()
    if whole is not None:
        yield whole


class _Growing:
    """The line that is being read."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._text = bytearray()
        self._is_cut = False

    def add(self, more: bytes) -> None:
        if self._is_cut:
            return
        self._text += more
        if len(self._text) > self._bytes_max:
            self._is_cut = True
            del self._text[_START_BYTES:]

    def take(self) -> Line | None:
        """The line, None if it is blank; the next one begins."""
        line = Line(bytes(self._text).removesuffix(b"\r"), self._is_cut)
        self._text.clear()
        self._is_cut = False
        return line if line.is_cut or line.text.strip() else None
