"""Sheets: tables that say where in a set's segments each field of a document stands.

One sheet reads and writes. Reading puts every segment where its loop says, in any order inside a
loop, and leaves alone what no sheet names; writing follows the sheet's order, which is the set's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args, get_type_hints

from stockbridge.connectors.edi.documents.parts import Document
from stockbridge.connectors.edi.segments import Segment, at

Kind = Literal["text", "number", "count", "cents", "day", "clock", "tuples", "rest", "parts"]


class Field(NamedTuple):
    """Where a value stands: element, component (0: the element as a whole), and how it is written.

    `cents` has two implied decimals; `day` is CCYYMMDD (or YYMMDD), `clock` the time of day that
    follows it in the same place, the format's code standing in the next component; `rest` is all
    elements from the first on, `parts` all components; `count` is how many there are in the list
    `of`. `tuples` is a list of shapes, one at each of `starts`: its `parts` stand in the elements
    that follow, and the first `needed` of them must be there. Of a list that stands in several
    segments, one with `skip` holds what is left after so many; with `most`, a segment holds at most
    so many and the next holds the rest, unless `is_first`.
    """

    element: int
    component: int = 0
    kind: Kind = "text"
    of: str = ""
    starts: tuple[int, ...] = ()
    parts: "tuple[tuple[str, Field], ...]" = ()
    needed: int = 0
    skip: int = 0
    most: int = 0
    is_first: bool = False


class Seg:
    """A segment of a document: `fields` by name, or under `into` (a list of them when `many`).

    `when` are elements that must have one of some values; the first is what is written. `also` are
    elements that are always written.
    """

    def __init__(
        self,
        tag: str,
        into: str = "",
        *,
        many: bool = False,
        when: Mapping[Any, tuple[str, ...]] | None = None,
        also: Mapping[Any, str] | None = None,
        fields: Mapping[str, Field] | None = None,
        **more: Field | int | tuple[int, int],
    ) -> None:
        self.tag = tag
        self.into = into
        self.is_many = many
        self.when = {_place(key): values for key, values in (when or {}).items()}
        self.also = {_place(key): value for key, value in (also or {}).items()}
        self.fields = {name: _field(field) for name, field in (fields or more).items()}

    def takes(self, segment: Segment) -> bool:
        """Whether the segment is one of these."""
        if not self.when:
            return True
        return all(at(segment, *place) in values for place, values in self.when.items())


class Loop:
    """Nodes that come together, opened by a segment of the first one's tag, under `into`."""

    def __init__(self, into: str, *nodes: "Seg | Loop", many: bool = True) -> None:
        self.into = into
        self.is_many = many
        self.scope = Scope(nodes)
        first = nodes[0]
        if not isinstance(first, Seg):
            raise TypeError(f"a loop ({into}) begins with a segment")
        self.first = first


class Scope:
    """The nodes of one level, found by tag."""

    def __init__(self, nodes: "Sequence[Seg | Loop]") -> None:
        self.nodes = tuple(nodes)
        self.segs: dict[str, list[Seg]] = {}
        self.loops: dict[str, list[Loop]] = {}
        tags: set[str] = set()
        self.tags: frozenset[str]
        for node in self.nodes:
            if isinstance(node, Seg):
                self.segs.setdefault(node.tag, []).append(node)
                tags.add(node.tag)
            else:
                self.loops.setdefault(node.first.tag, []).append(node)
                tags |= node.scope.tags
        self.tags = frozenset(tags)


def _place(key: int | tuple[int, int]) -> tuple[int, int]:
    return (key, 0) if isinstance(key, int) else key


def _field(field: Field | int | tuple[int, int]) -> Field:
    return field if isinstance(field, Field) else Field(*_place(field))


def number(element: int, component: int = 0) -> Field:
    """A decimal number."""
    return Field(element, component, "number")


def cents(element: int) -> Field:
    """A number with two implied decimals."""
    return Field(element, 0, "cents")


def day(element: int, component: int = 0) -> Field:
    """A date."""
    return Field(element, component, "day")


def count(element: int, of: str, component: int = 0) -> Field:
    """How many there are in the document's list `of`."""
    return Field(element, component, "count", of)


def tuples(starts: Sequence[int], needed: int, **parts: Field) -> Field:
    """Shapes whose parts' elements are counted from each of `starts`, which is 0."""
    return Field(starts[0], 0, "tuples", "", tuple(starts), tuple(parts.items()), needed)


def pairs(*starts: int) -> Field:
    """Item ids: a qualifier at each of `starts`, the id after it."""
    return tuples(starts, 2, qualifier=Field(0), id=Field(1))


def pairs_from(first: int, last: int) -> Field:
    """Item ids in every two elements from `first` to `last`."""
    return pairs(*range(first, last, 2))


def rest(first: int, most: int = 0) -> Field:
    """All elements from `first` on; at most `most` in one segment, when written."""
    return Field(first, 0, "rest", most=most)


def rows(first: int, last: int) -> Field:
    """Places and quantities in every two elements from `first` to `last`."""
    return tuples(range(first, last, 2), 2, place=Field(0), quantity=number(1))


@dataclass(frozen=True, slots=True)
class Sheet:
    """How a set reads and writes as a document of `shape`. `items` holds one loop: its item.

    Items are `item_shape`s in the document's list `into`.
    """

    shape: type[Document]
    header: Scope
    items: Scope
    trailer: Scope
    into: str
    item_shape: type[Any]


def sheet(
    shape: type[Document],
    *header: Seg | Loop,
    item: Loop,
    trailer: tuple[Seg | Loop, ...] = (),
) -> Sheet:
    """A sheet of nodes in the order of the set."""
    (item_shape,) = get_args(get_type_hints(shape)[item.into])
    return Sheet(shape, Scope(header), Scope([item]), Scope(trailer), item.into, item_shape)
