"""Declarative mappings: a partner's messages become our events without code. Pure.

A manifest says which messages it takes, a JSONata expression that lists events in the partner's
words, and tables that turn those words into ours. Samples prove it.
"""

import csv
import io
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Code, Shape, Text
from stockbridge.contracts.events.decoding import Undecodable, command_of, plain
from stockbridge.contracts.expression import (
    LIST_MAX,
    SOURCE_CHARS_MAX,
    TEXT_CHARS_MAX,
    Expression,
    Failed,
    Limits,
    check_size,
)

BODY_BYTES_MAX: Final = 1024 * 1024
PREFIX: Final = "mapping:"
NDJSON: Final = ("application/x-ndjson", "application/jsonl")
CSV: Final = "text/csv"
TABLE_OF: Final = {
    "uom": "units",
    "reason": "reasons",
    "location": "locations",
    "from_location": "locations",
    "to_location": "locations",
    "state": "states",
    "disposition": "dispositions",
}
"""Which table translates which field of an event; a table that is empty leaves codes alone."""
MOMENTS: Final = ("occurred_at", "expected_at")

PREDICATE: Final = Limits(steps=20_000)
"""A predicate runs while a sender waits for its answer."""

Source = Annotated[str, Meta(min_length=1, max_length=SOURCE_CHARS_MAX)]
Words = Annotated[dict[str, str], Meta(max_length=10_000)]
Event = dict[str, Any]


class Match(Shape, frozen=True):
    """Which messages a mapping takes: by content type and, further, a JSONata predicate.

    `contract` names the published contract whose messages it reads, where they carry one.
    """

    content_type: Annotated[str, Meta(min_length=3, max_length=128)] = "application/json"
    when: Source | None = None
    contract: Annotated[str, Meta(max_length=256)] | None = None


class Tables(Shape, frozen=True):
    """From the partner's codes to ours. A code that a filled table lacks is never guessed."""

    units: Words = {}
    reasons: Words = {}
    locations: Words = {}
    states: Words = {}
    dispositions: Words = {}


class Sample(Shape, frozen=True, kw_only=True):
    """A message and the events it must give, or the code of the reason why it gives none."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    input: Annotated[str, Meta(max_length=BODY_BYTES_MAX)]
    content_type: str | None = None
    expected: list[Event] = []
    expected_code: str | None = None


class Manifest(Shape, frozen=True, kw_only=True):
    """One version of a mapping. Times without an offset are in `time_zone`."""

    system: Code
    name: Annotated[str, Meta(max_length=64, pattern=r"^[a-z][a-z0-9_-]*$")]
    version: Annotated[int, Meta(ge=1, le=999_999)]
    description: Text = ""
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    namespace: Code | None = None
    match: Match = Match()
    events: Source
    tables: Tables = Tables()
    samples: Annotated[list[Sample], Meta(min_length=1, max_length=200)]


class Mapping:
    """A manifest made ready; raises Failed naming what in it is wrong."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        try:
            self.zone = ZoneInfo(manifest.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise Failed(f"time_zone {manifest.time_zone!r} is no IANA zone") from error
        self.when = Expression(manifest.match.when) if manifest.match.when else None
        self.events = Expression(manifest.events)

    @property
    def name(self) -> str:
        """Its contract's name: the same for all versions."""
        return f"{PREFIX}{self.manifest.system}:{self.manifest.name}"

    @property
    def contract(self) -> str:
        """The contract of messages that it reads."""
        return f"{self.name}.v{self.manifest.version}"


def matches(mapping: Mapping, content_type: str, value: Any) -> bool:
    """Whether the mapping takes a message of this type and parsed content."""
    if plain(content_type) != plain(mapping.manifest.match.content_type):
        return False
    if mapping.when is None:
        return True
    try:
        return mapping.when.evaluate(value, PREDICATE) is True
    except Failed:
        return False


def parse(content_type: str, body: bytes) -> Any:
    """The content as JSON values: JSON, a list of NDJSON lines, or of CSV rows by header."""
    if len(body) > BODY_BYTES_MAX:
        return Undecodable("too_large", f"a mapped message has at most {BODY_BYTES_MAX} bytes")
    kind = plain(content_type)
    try:
        value = _parsed(kind, body)
        check_size(value)
    except (msgspec.DecodeError, UnicodeDecodeError, csv.Error) as error:
        return Undecodable("malformed", f"the message is no {kind}: {error}")
    except RecursionError:
        return Undecodable("malformed", "the message is nested too deeply")
    except Failed as error:
        return Undecodable("too_large", str(error))
    return value


def _parsed(kind: str, body: bytes) -> Any:
    if kind == CSV:
        rows = csv.DictReader(io.StringIO(body.decode("utf-8-sig")), strict=True)
        return [
            {name: value for name, value in row.items() if isinstance(name, str)} for row in rows
        ]
    if kind in NDJSON:
        return [msgspec.json.decode(line) for line in body.splitlines() if line.strip()]
    return msgspec.json.decode(body)


def apply_mapping(mapping: Mapping, content_type: str, body: bytes) -> list[Event] | Undecodable:
    """The events that a message says, each `{"type": ..., "data": {...}}`, in our words."""
    value = parse(content_type, body)
    return value if isinstance(value, Undecodable) else apply_value(mapping, value)


def apply_value(mapping: Mapping, value: Any) -> list[Event] | Undecodable:
    """The same for content that is parsed already."""
    try:
        answer = mapping.events.evaluate(value)
    except Failed as error:
        return Undecodable("mapping_failed", f"{mapping.contract}: {error}")
    if answer is None:
        return Undecodable("no_events", f"{mapping.contract} finds no event in the message")
    events = answer if isinstance(answer, list) else [answer]
    found = []
    for index, event in enumerate(events):
        said = _translated(mapping, event)
        if isinstance(said, Undecodable):
            return said._replace(detail=f"{mapping.contract}, event {index}: {said.detail}")
        found.append(said)
    return found


def _translated(mapping: Mapping, event: Any) -> Event | Undecodable:
    if not isinstance(event, dict) or set(event) != {"type", "data"}:
        return Undecodable("mapping_failed", "give each event as {type, data}")
    if not isinstance(event["data"], dict):
        return Undecodable("mapping_failed", "data is no object")
    data = _without_null(event["data"])
    for field, table in TABLE_OF.items():
        words: dict[str, str] = getattr(mapping.manifest.tables, table)
        if field not in data or not words:
            continue
        ours = words.get(str(data[field]))
        if ours is None:
            return _unmapped(mapping, field, table, data[field])
        data[field] = ours
    if "alias" in data and mapping.manifest.namespace is not None:
        data.setdefault("namespace", mapping.manifest.namespace)
    for field in MOMENTS:
        if field in data:
            moment = _moment(data[field], mapping.zone)
            if moment is None:
                detail = f"{field} {str(data[field])[:60]!r} is no time of {mapping.zone.key}"
                return Undecodable("invalid_time", detail)
            data[field] = moment
    return {"type": event["type"], "data": data}


def _without_null(data: Event) -> Event:
    return {
        name: _without_null(value) if isinstance(value, dict) else value
        for name, value in data.items()
        if value is not None
    }


def _unmapped(mapping: Mapping, field: str, table: str, code: Any) -> Undecodable:
    """The next version of the mapping may know the code, so the message waits for that."""
    following = f"contract:{mapping.name}.v{mapping.manifest.version + 1}"
    detail = (
        f"{field} {str(code)[:60]!r} is not in the table {table}; publish a version that has it"
    )
    return Undecodable("unmapped_code", detail, (following,))


def _moment(text: Any, zone: ZoneInfo) -> str | None:
    """UTC in RFC 3339. Without an offset: in `zone`, the first of two in autumn, none in spring."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
            back = moment.astimezone(UTC).astimezone(zone)
            if back.replace(tzinfo=None) != moment.replace(tzinfo=None):
                return None
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError):
        return None


class Failure(Shape, frozen=True):
    """A sample that does not give what it should, and each difference."""

    sample: str
    differences: list[str]


def failures(mapping: Mapping) -> list[Failure]:
    """The samples that fail; empty: the mapping does what it says."""
    found = []
    for sample in mapping.manifest.samples:
        differences = _differences(mapping, sample)
        if differences:
            found.append(Failure(sample.name, differences[:20]))
    return found


def _differences(mapping: Mapping, sample: Sample) -> list[str]:
    content_type = sample.content_type or mapping.manifest.match.content_type
    value = parse(content_type, sample.input.encode())
    if isinstance(value, Undecodable):
        got: list[Event] | Undecodable = value
    elif not matches(mapping, content_type, value):
        return ["the sample is not one of the messages that `match` takes"]
    else:
        got = apply_value(mapping, value)
    if isinstance(got, Undecodable):
        if got.code == sample.expected_code:
            return []
        return [f"expected {_expectation(sample)}, got {got.code}: {got.detail}"]
    if sample.expected_code is not None:
        return [f"expected {_expectation(sample)}, got {len(got)} events"]
    return _unlike(sample.expected, got, "events") or _refused(got)


def _expectation(sample: Sample) -> str:
    return sample.expected_code or f"{len(sample.expected)} events"


def _refused(events: list[Event]) -> list[str]:
    """Events that no command can be made of."""
    found = []
    for index, event in enumerate(events):
        made = command_of(str(event["type"]), event["data"])
        if isinstance(made, Undecodable):
            found.append(f"events[{index}]: {made.code}: {made.detail}")
    return found


def _unlike(expected: Any, got: Any, at: str) -> list[str]:
    if isinstance(expected, dict) and isinstance(got, dict):
        found = []
        for name in sorted({*expected, *got}):
            if name not in got:
                found.append(f"{at}.{name}: expected {expected[name]!r}, got nothing")
            elif name not in expected:
                found.append(f"{at}.{name}: expected nothing, got {got[name]!r}")
            else:
                found += _unlike(expected[name], got[name], f"{at}.{name}")
        return found
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return [f"{at}: expected {len(expected)}, got {len(got)}"]
        pairs = enumerate(zip(expected, got, strict=True))
        return [line for i, (e, g) in pairs for line in _unlike(e, g, f"{at}[{i}]")]
    same = expected == got and isinstance(expected, bool) == isinstance(got, bool)
    return [] if same else [f"{at}: expected {expected!r}, got {got!r}"]


def decode_manifest(document: Any) -> Manifest:
    """A manifest from parsed TOML or JSON; raises Failed naming the field that is wrong."""
    try:
        return msgspec.convert(document, Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Failed(f"the manifest does not fit: {error}") from error


__all__ = [
    "LIST_MAX", "TEXT_CHARS_MAX", "Event", "Failure", "Manifest", "Mapping", "Match", "Sample",
    "Tables", "apply_mapping", "apply_value", "decode_manifest", "failures", "matches", "parse",
]  # fmt: skip
