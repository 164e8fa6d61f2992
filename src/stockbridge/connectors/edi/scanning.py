"""From text to interchanges' segments, a chunk at a time; nothing is held but the last piece."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.segments import Delimiters, Limits, Segment
from stockbridge.connectors.edi.text import BOM

LOOK_CHARS: Final = 512
"""As much as is needed to judge an opener (ISA; UNA and UNB) and what follows it."""


class Heading(NamedTuple):
    """An opener's elements and separators, and how many characters it took.

    `segment` is empty when sets came without an opener.
    """

    segment: Segment
    delimiters: Delimiters
    chars: int
    findings: list[Finding]


class Batch(NamedTuple):
    """Segments of the open interchange, in order, and each as it was written."""

    segments: list[Segment]
    texts: list[str]


class Cut(NamedTuple):
    """The text ended inside an interchange; `rest` is its last, unterminated segment."""

    rest: Segment
    findings: list[Finding]


Token = Heading | Batch | Cut | Finding


@dataclass(frozen=True, slots=True)
class Grammar:
    """What differs between syntaxes: `openers` and `end` are tags of three letters.

    `detect` reads the heading that a text begins with; `bare` guesses separators of sets without
    one; `prepare` takes escapes out of a text; `batch` splits texts that had a terminator.
    """

    openers: tuple[str, ...]
    end: str
    detect: Callable[[str], Heading | None]
    bare: Callable[[str], Delimiters | None]
    prepare: Callable[[str, Delimiters], str]
    batch: Callable[[list[str], Delimiters], Batch]


class Scanner:
    """Reads tokens from chunks: a Heading for each opener, Batches, a Cut if the end is early."""

    def __init__(self, chunks: Iterable[str], limits: Limits, grammar: Grammar) -> None:
        self._chunks = iter(chunks)
        self._limits = limits
        self._grammar = grammar
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
            starts = self._buffer.startswith(self._grammar.openers)
            heading = self._grammar.detect(self._buffer) if starts else None
            bare = self._grammar.bare(self._buffer) if is_first and heading is None else None
            if bare is not None:
                heading = Heading([], bare, 0, [])
                yield finding("NO_INTERCHANGE", "sets without an interchange around them")
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

    def _skip(self, is_first: bool) -> Finding:
        """Drop what is no interchange, up to the next opener."""
        shown, tag = self._buffer[:40], self._buffer[:3]
        if tag in self._grammar.openers and len(self._buffer) < LOOK_CHARS:
            self._buffer = ""
            return finding("TRUNCATED", f"the text ends inside its {tag}: {shown!r}", segment=tag)
        start = self._next_opener(1)
        while start < 0 and not self._ended:
            self._buffer = self._buffer[-2:]
            self._fill(LOOK_CHARS)
            start = self._next_opener(0)
        self._buffer = self._buffer[start:] if start >= 0 else ""
        if is_first:
            return finding("NOT_EDI", f"no interchange at the beginning but {shown!r}")
        return finding("STRAY_TEXT", f"passed over what is no interchange: {shown!r}")

    def _next_opener(self, start: int) -> int:
        places = [self._buffer.find(tag, start) for tag in self._grammar.openers]
        return min((place for place in places if place >= 0), default=-1)

    def _interchange(self, delimiters: Delimiters) -> Iterator[Token]:
        """Batches up to IEA, or up to the next ISA when there is none."""
        terminator = delimiters.terminator
        grammar = self._grammar
        while True:
            texts = grammar.prepare(self._buffer, delimiters).split(terminator)
            self._buffer = texts.pop()
            end = self._end(texts)
            if end is not None:
                kept, rest = texts[: end[0]], texts[end[0] :]
                self._buffer = terminator.join([*rest, self._buffer])
                yield grammar.batch(kept, delimiters)
                if not end[1]:
                    yield Cut(
                        [], [finding("TRUNCATED", f"another begins before the {grammar.end}")]
                    )
                return
            if texts:
                yield grammar.batch(texts, delimiters)
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

    def _end(self, texts: list[str]) -> tuple[int, bool] | None:
        """(how many segments belong to the interchange, whether its end is among them)."""
        openers, end = self._grammar.openers, self._grammar.end
        joined = "".join(texts)
        if end not in joined and not any(tag in joined for tag in openers):
            return None
        for index, text in enumerate(texts):
            tag = text.lstrip()[:3]
            if tag == end:
                return index + 1, True
            if tag in openers:
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
        """What the end of the text leaves; an end that only lacks its terminator is complete."""
        rest, self._buffer = self._buffer.strip(), ""
        segment = self._grammar.batch([rest], delimiters).segments[0] if rest else []
        end = self._grammar.end
        if segment and segment[0] == end:
            return Cut(segment, [finding("TERMINATOR_MISSING", f"the {end} is not terminated")])
        return Cut(segment, [finding("TRUNCATED", f"the text ends before a {end}")])
