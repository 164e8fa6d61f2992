"""The 004010 tables: elements, segments and the structure of sets, read once from our text file."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

FILE: Final = "tables_004010.txt"
VERSION: Final = "004010"
UNLIMITED: Final = 999_999


class Element(NamedTuple):
    """A simple element; `kind` is AN, ID, DT, TM, R, or N0 to N9 (implied decimals)."""

    number: str
    kind: str
    chars_min: int
    chars_max: int
    codes: frozenset[str]


class Note(NamedTuple):
    """A syntax note on elements: P all or none, R at least one, E at most one, C, L conditional."""

    kind: str
    elements: tuple[int, ...]


class Used(NamedTuple):
    """An element as a segment uses it; `element` is a composite's first part, None if unknown."""

    number: str
    element: Element | None
    is_mandatory: bool
    is_composite: bool


class SegmentTable(NamedTuple):
    """A segment's elements, the first at 0, and its notes."""

    tag: str
    elements: tuple[Used, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A segment of a set, or a loop (then `nodes` begins with the segment that opens it)."""

    tag: str
    is_mandatory: bool
    uses_max: int
    nodes: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class SetTable:
    """A set: its GS01, the segments that cut it into parts, and its structure."""

    code: str
    functional_id: str
    item: str
    trailers: tuple[str, ...]
    root: Node
    tags: frozenset[str]


@dataclass(slots=True)
class Tables:
    """Everything in the file, by name."""

    elements: dict[str, Element] = field(default_factory=dict)
    composites: dict[str, str] = field(default_factory=dict)
    segments: dict[str, SegmentTable] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    sets: dict[str, SetTable] = field(default_factory=dict)


@cache
def tables() -> Tables:
    """The tables; they are read on first use."""
    return parse((files(__package__) / FILE).read_text("utf-8"))


def parse(text: str) -> Tables:
    """The tables in `text`; its first lines say how they are written."""
    found = Tables()
    for line in text.splitlines():
        kind, _, body = line.partition(" ")
        if kind == "element":
            number, form, least, most, *codes = body.split()
            found.elements[number] = Element(number, form, int(least), int(most), frozenset(codes))
        elif kind == "composite":
            number, first = body.split()
            found.composites[number] = first
        elif kind == "segment":
            table = _segment(body, found)
            found.segments[table.tag] = table
        elif kind == "tags":
            found.tags = frozenset(body.split())
        elif kind == "set":
            one = _set(body)
            found.sets[one.code] = one
    return found


def _segment(body: str, known: Tables) -> SegmentTable:
    elements, _, notes = body.partition(" ; ")
    tag, *words = elements.split()
    used = []
    for word in words:
        number = word.rstrip("!")
        element = known.elements.get(known.composites.get(number, number))
        used.append(Used(number, element, word.endswith("!"), number.startswith("C")))
    return SegmentTable(tag, tuple(used), tuple(_note(note) for note in notes.split()))


def _note(text: str) -> Note:
    numbers = text[1:]
    return Note(text[0], tuple(int(numbers[i : i + 2]) for i in range(0, len(numbers), 2)))


def _set(body: str) -> SetTable:
    head, _, structure = body.partition(" : ")
    code, functional_id, item, trailers = head.split()
    words = structure.replace("(", " ( ").replace(")", " )").split()
    nodes = tuple(_nodes(iter(words)))
    return SetTable(
        code,
        functional_id,
        item,
        () if trailers == "-" else tuple(trailers.split(",")),
        Node(code, is_mandatory=True, uses_max=1, nodes=nodes),
        frozenset(_tags(nodes)),
    )


def _nodes(words: Iterator[str]) -> Iterator[Node]:
    for word in words:
        if word.startswith(")"):
            # The closing word holds the loop's own marks; its caller reads them.
            yield Node(word, is_mandatory=False, uses_max=0)
            return
        if word == "(":
            *inside, close = _nodes(words)
            is_mandatory, most = _marks(close.tag[1:])
            yield Node(inside[0].tag, is_mandatory, most, tuple(inside))
        else:
            tag = word.rstrip("0123456789").rstrip("*!") if "*" in word else word.rstrip("!")
            yield Node(tag, *_marks(word[len(tag) :]))


def _marks(text: str) -> tuple[bool, int]:
    """(mandatory, most uses) of `!`, `*`, `*n`."""
    _, star, most = text.partition("*")
    return "!" in text, int(most) if most else UNLIMITED if star else 1


def _tags(nodes: tuple[Node, ...]) -> Iterator[str]:
    for node in nodes:
        yield node.tag
        yield from _tags(node.nodes)
