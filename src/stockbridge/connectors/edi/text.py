"""Bytes to text, piece by piece, without ever failing."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

_UNDECODABLE: Final = re.compile("[\udc80-\udcff]")
_AS_LATIN: Final = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}
BOM: Final = "\ufeff"


class Decoded:
    """Text of byte chunks; bytes that are not of the encoding are read as Latin-1, and counted."""

    def __init__(self, chunks: Iterable[bytes], encoding: str) -> None:
        self._chunks = chunks
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self.undecodable = 0

    def __iter__(self) -> Iterator[str]:
        for chunk in self._chunks:
            yield self._clean(self._decoder.decode(chunk))
        yield self._clean(self._decoder.decode(b"", final=True))

    def _clean(self, text: str) -> str:
        if text.isascii():
            return text
        text, count = _UNDECODABLE.subn(lambda match: chr(_AS_LATIN[ord(match[0])]), text)
        self.undecodable += count
        return text
