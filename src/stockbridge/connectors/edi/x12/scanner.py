"""From text to interchanges' segments, a chunk at a time; nothing is held but the last piece."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.segments import COMPONENT, REPEAT, Delimiters, Limits, Segment
from stockbridge.connectors.edi.text import BOM
from stockbridge.connectors.edi.x12.delimiters import LOOK_CHARS, Heading, detect

_BARE_SET: Final = re.compile(
    r"ST(?P<element>[^\w\s])\d{3}(?P=element)\w{1,9}(?:(?P=element)[\w.]+)?(?P<terminator>[^\w ])"
)


class Batch(NamedTuple):
    """Segments of the open interchange, in order, and each as it was written."""

    segments: list[Segment]
    texts: list[str]


class Cut(NamedTuple):
    """The text ended inside an interchange; `rest` is its last, unterminated segment."""

    rest: Segment
    findings: list[Finding]


Token = Heading | Batch | Cut | Finding


class Scanner:
    """Reads tokens from text chunks: a Heading for each ISA, Batches, a Cut if the end is early."""

    def __init__(self, chunks: Iterable[str], limits: Limits) -> None:
        self._chunks = iter(chunks)
        self._limits = limits
        self._buffer = ""
        self._ended = False
        self._chars = 0

    def tokens(self) -> Iterator[Token]:
        """Everything there is; never raises for what the text holds."""
        is_first = True
        while True:
            self._fill(LOOK_CHARS)
            self._buffer = self._buffer.lstrip(BOM + " \t\r\n\x00\x1a")
            if not self._buffer:
                if self._ended:
                    return
                continue
            self._fill(LOOK_CHARS)
            heading = detect(self._buffer) if self._buffer.startswith("ISA") else None
            if heading is None and is_first:
                heading = self._bare_set()
                if heading is not None:
                    yield finding("NO_INTERCHANGE", "sets without an ISA around them")
            if heading is None:
                found = self._skip(is_first)
                yield found
                if self._ended and not self._buffer:
                    return
                is_first = False
                continue
            is_first = False
            yield heading
            self._buffer = self._buffer[heading.chars :]
            self._chars = heading.chars
            yield from self._interchange(heading.delimiters)

    def _fill(self, chars: int) -> None:
        while len(self._buffer) < chars and not self._ended:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = True
            else:
                self._buffer += chunk

    def _bare_set(self) -> Heading | None:
        """Separators guessed from an ST that begins the text."""
        match = _BARE_SET.match(self._buffer)
        if match is None:
            return None
        delimiters = Delimiters(
            element=match["element"], component="", terminator=match["terminator"]
        )
        return Heading([], delimiters, 0, [])

    def _skip(self, is_first: bool) -> Finding:
        """Drop what is no interchange, up to the next ISA."""
        shown = self._buffer[:40]
        if self._buffer.startswith("ISA") and len(self._buffer) < LOOK_CHARS:
            self._buffer = ""
            return finding("TRUNCATED", f"the text ends inside its ISA: {shown!r}", segment="ISA")
        start = self._buffer.find("ISA", 1)
        while start < 0 and not self._ended:
            self._buffer = self._buffer[-2:]
            self._fill(LOOK_CHARS)
            start = self._buffer.find("ISA")
        self._buffer = self._buffer[start:] if start > 0 else ""
        if is_first:
            return finding("NOT_EDI", f"no ISA at the beginning but {shown!r}")
        return finding("STRAY_TEXT", f"passed over what is no interchange: {shown!r}")

    def _interchange(self, delimiters: Delimiters) -> Iterator[Token]:
        """Batches up to IEA, or up to the next ISA when there is none."""
        terminator = delimiters.terminator
        while True:
            texts = self._buffer.split(terminator)
            self._buffer = texts.pop()
            end = self._end(texts)
            if end is not None:
                kept, rest = texts[: end[0]], texts[end[0] :]
                self._buffer = terminator.join([*rest, self._buffer])
                yield _batch(kept, delimiters)
                if not end[1]:
                    yield Cut([], [finding("TRUNCATED", "another ISA comes before the IEA")])
                return
            if texts:
                yield _batch(texts, delimiters)
            too_much = self._too_much()
            if too_much is not None:
                self._buffer, self._ended = "", True
                yield Cut([], [too_much])
                return
            if self._ended:
                yield self._cut(delimiters)
                return
            before = len(self._buffer)
            self._fill(before + 1)
            self._chars += len(self._buffer) - before

    @staticmethod
    def _end(texts: list[str]) -> tuple[int, bool] | None:
        """(how many segments belong to the interchange, whether an IEA ends it)."""
        joined = "".join(texts)
        if "IEA" not in joined and "ISA" not in joined:
            return None
        for index, text in enumerate(texts):
            tag = text.lstrip()[:3]
            if tag == "IEA":
                return index + 1, True
            if tag == "ISA":
                return index, False
        return None

    def _too_much(self) -> Finding | None:
        limits = self._limits
        if len(self._buffer) > limits.segment_chars:
            message = f"a segment has more than {limits.segment_chars} characters"
            return finding("LIMIT_SEGMENT_CHARS", message)
        if self._chars > limits.interchange_chars:
            message = f"the interchange has more than {limits.interchange_chars} characters"
            return finding("LIMIT_INTERCHANGE_CHARS", message)
        return None

    def _cut(self, delimiters: Delimiters) -> Cut:
        """What the end of the text leaves; an IEA that only lacks its terminator is complete."""
        rest, self._buffer = self._buffer.strip(), ""
        segment = _batch([rest], delimiters).segments[0] if rest else []
        if segment and segment[0] == "IEA":
            return Cut(segment, [finding("TERMINATOR_MISSING", "the IEA is not terminated")])
        return Cut(segment, [finding("TRUNCATED", "the text ends before an IEA")])


def _batch(texts: list[str], delimiters: Delimiters) -> Batch:
    element, component, repetition = (
        delimiters.element,
        delimiters.component,
        delimiters.repetition,
    )
    if component or repetition:
        joined = "".join(texts)
        if component and component in joined:
            texts = [text.replace(component, COMPONENT) for text in texts]
        if repetition and repetition in joined:
            texts = [text.replace(repetition, REPEAT) for text in texts]
    texts = [text.lstrip() for text in texts]
    return Batch([text.split(element) for text in texts], texts)
