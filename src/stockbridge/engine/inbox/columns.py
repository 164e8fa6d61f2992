"""From envelopes to the parameters of the accepting statement.

Bodies and hashes travel as one binary string each, cut by position in the database; what many
messages share (system, flow, principal, door, contract, content type) travels once, as a lane.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from stockbridge.engine.inbox.model import Envelope
from stockbridge.engine.inbox.rules import identity
from stockbridge.store.arrays import ints, ints_or_null, texts, texts_or_null

HASH_BYTES = 32
VERSIONED = "connector:"
"""Contracts whose ids name a version of what they tell: a webhook and a poll may put the same
thing in different bytes, and the one that comes second is a repeat."""
Repeats = list[tuple[str, int, int]]
"""(identity, position, times) of messages whose source id stands more than once in the batch."""


class Batch:
    """Distinct messages of a batch, each with the places in it that it came at."""

    def __init__(self, envelopes: Sequence[Envelope], *, by_content: bool = False) -> None:
        self.unique: list[Envelope] = []
        self.hashes: list[bytes] = []
        self.identities: list[str] = []
        self.times: list[int] = []
        self.places: list[int] = []
        found: dict[tuple[str, str, bytes], int] = {}
        for envelope in envelopes:
            content_hash = sha256(_content(envelope)).digest()
            key = (envelope.system, envelope.source_message_id, content_hash)
            place = found.setdefault(key, len(found))
            self.places.append(place)
            if place < len(self.unique):
                self.times[place] += 1
                continue
            self.unique.append(envelope)
            self.hashes.append(content_hash)
            self.identities.append(identity(*key) if by_content else identity(*key[:2]))
            self.times.append(1)

    def values(self) -> dict[str, Any]:
        """Parameters of `accept_messages` that describe the messages."""
        lanes: dict[tuple[str, ...], int] = {}
        lane_of: list[int] = []
        for e in self.unique:
            lane = (e.system, e.flow, e.principal, e.door, e.contract, e.content_type)
            lane_of.append(lanes.setdefault(lane, len(lanes) + 1))
        sizes = [len(envelope.body) for envelope in self.unique]
        starts, at = [], 1
        for size in sizes:
            starts.append(at)
            at += size
        names = ("systems", "flows", "principals", "doors", "contracts", "content_types")
        columns = [texts(column) for column in zip(*lanes, strict=True)]
        return dict(zip(names, columns, strict=True)) | {
            "identities": "{" + ",".join(self.identities) + "}",
            "hashes": b"".join(self.hashes),
            "times": ints(self.times),
            "source_message_ids": texts([e.source_message_id for e in self.unique]),
            "sequences": ints_or_null([e.sequence for e in self.unique]),
            "correlation_ids": texts([e.correlation_id for e in self.unique]),
            "causation_ids": texts_or_null([e.causation_id for e in self.unique]),
            "lanes": ints(lane_of),
            "body_ats": ints(starts),
            "body_sizes": ints(sizes),
            "bodies": b"".join([e.body for e in self.unique]),
        }

    def repeats(self) -> Repeats:
        """The messages whose source id stood with another content earlier in the batch."""
        seen: set[str] = set()
        later: Repeats = []
        for position, name in enumerate(self.identities, 1):
            if name in seen:
                later.append((name, position, self.times[position - 1]))
            seen.add(name)
        return later


def _content(envelope: Envelope) -> bytes:
    """What tells contents of one id apart: a connector's ids name a version, so theirs is one."""
    if envelope.contract.startswith(VERSIONED) and not envelope.is_exact:
        return envelope.source_message_id.encode()
    return envelope.body


def sequence_values(envelopes: Sequence[Envelope]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Which sources number their messages, and the numbers in order of arrival; None if none do."""
    numbered = [(e.system, e.flow, e.sequence) for e in envelopes if e.sequence is not None]
    if not numbered:
        return None
    systems, flows, numbers = zip(*numbered, strict=True)
    own_systems, own_flows = zip(*sorted(set(zip(systems, flows, strict=True))), strict=True)
    sources = {"systems": texts(own_systems), "flows": texts(own_flows)}
    return sources, {
        "systems": texts(systems),
        "flows": texts(flows),
        "numbers": ints(numbers),
    }
