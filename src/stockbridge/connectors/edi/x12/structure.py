"""Follows a set's segments through its loops; each step is worked out once and remembered.

A place is the way from the set down to a segment: indices into nested lists of nodes. From a place,
a segment belongs to the nearest later node of its own loop, else to a new round of that loop, else
to what follows the loop outside.
"""

from dataclasses import dataclass, field
from functools import cache

from stockbridge.connectors.edi.x12.dictionary import UNLIMITED, Node, SetTable, tables

Place = tuple[int, ...]


@dataclass(slots=True)
class Step:
    """What a segment means at a place. `missing` are mandatory segments that were passed over.

    `depth` and `rounds_max` are set when it begins a round of a loop, `is_round` when that loop
    has gone round before; `fault` when it fits nowhere. `is_told`: there is something to say, or a
    limited repetition to count.
    """

    to: "Stand"
    uses_max: int = 0
    is_same: bool = False
    missing: tuple[str, ...] = ()
    depth: int = 0
    rounds_max: int = 0
    is_round: bool = False
    fault: str = ""
    is_told: bool = False


@dataclass(slots=True)
class Stand:
    """A place, and the steps from it that are known by now."""

    place: Place
    steps: dict[str, Step] = field(default_factory=dict)


class Structure:
    """The places of one set."""

    def __init__(self, table: SetTable) -> None:
        self.table = table
        self._stands: dict[Place, Stand] = {}
        self.start = self._stand((-1,))

    def step(self, stand: Stand, tag: str) -> Step:
        """The step for `tag`, worked out now."""
        found = self._find(stand, tag)
        depth = found.depth
        found.is_round = 0 < depth == _shared(found.to.place, stand.place, depth)
        is_counted = found.is_same and found.uses_max < UNLIMITED
        found.is_told = bool(found.fault or found.missing or is_counted)
        if tag in tables().tags:
            stand.steps[tag] = found
        return found

    def missing_at_end(self, stand: Stand) -> tuple[str, ...]:
        """Mandatory segments that cannot come any more when the set ends at this place."""
        missing: list[str] = []
        for depth in range(len(stand.place), 0, -1):
            nodes = self._nodes(stand.place[: depth - 1])
            missing += _mandatory(nodes[stand.place[depth - 1] + 1 :])
        return tuple(missing)

    def _stand(self, place: Place) -> Stand:
        return self._stands.setdefault(place, Stand(place))

    def _nodes(self, way: Place) -> tuple[Node, ...]:
        nodes = self.table.root.nodes
        for index in way:
            nodes = nodes[index].nodes
        return nodes

    def _find(self, stand: Stand, tag: str) -> Step:
        place = stand.place
        missing: list[str] = []
        for depth in range(len(place), 0, -1):
            way, index = place[: depth - 1], place[depth - 1]
            nodes = self._nodes(way)
            found = self._forward(way, index, nodes, tag, is_deepest=depth == len(place))
            if found is not None:
                found.missing = (*missing, *found.missing)
                return found
            missing += _mandatory(nodes[index + 1 :])
            if way and nodes[0].tag == tag:
                loop = self._nodes(way[:-1])[way[-1]]
                to = self._stand((*way, 0))
                return Step(to, missing=tuple(missing), depth=len(way), rounds_max=loop.uses_max)
        if tag in self.table.tags:
            return Step(stand, fault="SEGMENT_SEQUENCE")
        known = "SEGMENT_NOT_IN_SET" if tag in tables().tags else "SEGMENT_UNKNOWN"
        return Step(stand, fault=known)

    def _forward(
        self, way: Place, index: int, nodes: tuple[Node, ...], tag: str, *, is_deepest: bool
    ) -> Step | None:
        """The nearest node for `tag` at or after `index` in one list."""
        first = max(index, 0) if is_deepest else index + 1
        for at in range(first, len(nodes)):
            node = nodes[at]
            if node.tag != tag:
                continue
            missing = tuple(_mandatory(nodes[index + 1 : at]))
            if node.nodes:
                to = self._stand((*way, at, 0))
                return Step(to, missing=missing, depth=len(way) + 1, rounds_max=node.uses_max)
            same = is_deepest and at == index
            if same and way and at == 0:
                return None
            return Step(self._stand((*way, at)), node.uses_max, is_same=same, missing=missing)
        return None


def _shared(first: Place, second: Place, depth: int) -> int:
    """`depth` when both places lie in the same loop at that depth, else -1."""
    is_same = len(second) > depth and first[:depth] == second[:depth]
    return depth if is_same else -1


def _mandatory(nodes: tuple[Node, ...]) -> list[str]:
    return [node.tag for node in nodes if node.is_mandatory]


@cache
def structure_of(code: str) -> Structure:
    """The structure of a set in the tables."""
    return Structure(tables().sets[code])
