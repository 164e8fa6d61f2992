"""From stored bytes to command bodies, for the built-in contracts. Pure; never raises."""

from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import LINES_MAX, Shape
from stockbridge.contracts.events.registry import BY_NAME, EventType, split
from stockbridge.contracts.events.upcasting import UPCASTS, Upcasts

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2199
_MOMENTS: Final = ("occurred_at", "expected_at")


class Undecodable(NamedTuple):
    """Why a message says nothing we can book; `missing` are wait keys that may change that."""

    code: str
    detail: str
    missing: tuple[str, ...] = ()


class Unreadable(Shape, frozen=True):
    """In the place of a command: a part of a message that cannot be read; the others stand."""

    code: str
    detail: str
    missing: list[str] = []


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvents 1.0 envelope in JSON; `data` is left as bytes, extensions are passed over."""

    specversion: str
    type: str
    id: str = ""
    source: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str = ""


_ENVELOPE = msgspec.json.Decoder(CloudEvent)
_ENVELOPES = msgspec.json.Decoder(Annotated[list[CloudEvent], Meta(max_length=LINES_MAX)])
_ANYTHING = msgspec.json.Decoder()


Read = Callable[[str, bytes], "list[Shape] | Undecodable"]
"""Command bodies of (contract, data)."""


def decode(
    contract: str, content_type: str, body: bytes, upcasts: Upcasts = UPCASTS
) -> list[Shape] | Undecodable:
    """The command bodies that a message of a built-in contract asks for, in its order.

    `body` is the event's data, a JSON list of such data, or (by content type) a CloudEvents
    envelope or batch; in a batch each event names its own contract.
    """
    return decode_with(partial(read_builtin, upcasts=upcasts), contract, content_type, body)


def decode_with(
    read: Read, contract: str, content_type: str, body: bytes
) -> list[Shape] | Undecodable:
    """The same, `read` knowing the contracts."""
    kind = plain(content_type)
    if kind == BATCH:
        return _decode_batch(body, read)
    data = unwrap(contract, body) if kind == STRUCTURED else body
    return data if isinstance(data, Undecodable) else read(contract, data)


def plain(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def unwrap(contract: str, body: bytes) -> bytes | Undecodable:
    """The data in a CloudEvents envelope whose type is `contract`."""
    event = attempt(_ENVELOPE.decode, body)
    if isinstance(event, Undecodable):
        return event
    if event.type != contract:
        return Undecodable("contract_mismatch", f"the event's type is {event.type}, not {contract}")
    return _data_of(event)


def _data_of(event: CloudEvent) -> bytes | Undecodable:
    if bytes(event.data):
        return bytes(event.data)
    if not event.data_base64:
        return Undecodable("data_missing", f"event {event.id} has no data")
    try:
        return b64decode(event.data_base64, validate=True)
    except ValueError as error:
        return Undecodable("invalid_event", f"event {event.id}: data_base64: {error}")


def _decode_batch(body: bytes, read: Read) -> list[Shape] | Undecodable:
    events = attempt(_ENVELOPES.decode, body)
    if isinstance(events, Undecodable):
        return events
    found: list[Shape] = []
    for index, event in enumerate(events):
        data = _data_of(event)
        said = data if isinstance(data, Undecodable) else read(event.type, data)
        if isinstance(said, Undecodable):
            return said._replace(detail=f"event {index} of the batch: {said.detail}")
        found += said
    return found or _nothing()


def read_builtin(
    contract: str, data: bytes, upcasts: Upcasts = UPCASTS
) -> list[Shape] | Undecodable:
    """The command bodies of one event's data, or of a list of such data."""
    reader = readers().get(contract)
    if reader is not None:
        facts = attempt(reader.decoder.decode, data)
        return facts if isinstance(facts, Undecodable) else _commands(reader, facts)
    named = split(contract)
    event = BY_NAME.get(named[0]) if named else None
    if named is None or event is None:
        return unknown(contract, "no contract of that name is published")
    if event.to_command is None:
        return Undecodable("contract_outgoing", f"{contract} is told by the hub, not to it")
    if named[1] > event.version or not upcasts.reaches(*named, event.version):
        return unknown(contract, f"version {event.version} is the newest that is read here")
    older = attempt(_ANYTHING.decode, data)
    if isinstance(older, Undecodable):
        return older
    return _lifted(event, named[1], older, upcasts)


def unknown(contract: str, why: str) -> Undecodable:
    """Nobody here reads `contract` yet; it may be published later."""
    detail = f"{contract} is not known: {why}"
    return Undecodable("unknown_contract", detail, (f"contract:{contract}",))


def _lifted(
    event: EventType, version: int, older: Any, upcasts: Upcasts
) -> list[Shape] | Undecodable:
    rows = older if isinstance(older, list) else [older]
    if not all(isinstance(row, dict) for row in rows):
        return Undecodable("invalid_event", "give an object, or a list of objects")

    def lift(_data: bytes) -> Any:
        lifted = [upcasts.lift(event.name, version, event.version, row) for row in rows]
        return msgspec.convert(lifted, list[event.shape])  # type: ignore[name-defined]

    facts = attempt(lift, b"")
    if isinstance(facts, Undecodable):
        return facts
    return _commands(readers()[event.contract], facts)


class Reader(NamedTuple):
    """Reads one contract at its newest version: one fact, or a list of facts."""

    event: EventType
    decoder: msgspec.json.Decoder[Any]


@cache
def readers() -> dict[str, Reader]:
    """A reader for each contract that the hub takes, by name with version."""
    found = {}
    for event in BY_NAME.values():
        if event.to_command is not None:
            rows = Annotated[list[event.shape], Meta(max_length=LINES_MAX)]  # type: ignore[name-defined]
            found[event.contract] = Reader(event, msgspec.json.Decoder(event.shape | rows))
    return found


def command_of(contract: str, data: dict[str, Any]) -> list[Shape] | Undecodable:
    """The command bodies of one event whose data is already parsed, at its newest version."""
    reader = readers().get(contract)
    if reader is None:
        return unknown(contract, "it is no event that the hub takes, at its newest version")
    fact = attempt(lambda _: msgspec.convert(data, reader.event.shape), b"")
    return fact if isinstance(fact, Undecodable) else _commands(reader, fact)


def _commands(reader: Reader, facts: Any) -> list[Shape] | Undecodable:
    """Build each fact's command; what contradicts itself is named by its place."""
    to_command = reader.event.to_command
    found: list[Shape] = []
    for index, fact in enumerate(facts if isinstance(facts, list) else [facts]):
        fault = _moment_fault(fact)
        if fault is None and to_command is not None:
            try:
                found.append(to_command(fact))
            except ValueError as error:
                fault = str(error)
        if fault is not None:
            where = f"row {index}: " if isinstance(facts, list) else ""
            return Undecodable("invalid_event", f"{where}{fault}")
    return found or _nothing()


def _nothing() -> Undecodable:
    return Undecodable("no_events", "the message holds no event")


def _moment_fault(fact: Any) -> str | None:
    """Years that are surely a unit or typing mistake."""
    for name in _MOMENTS:
        moment: datetime | None = getattr(fact, name, None)
        if moment is not None and not YEAR_MIN < moment.year < YEAR_MAX:
            years = f"years {YEAR_MIN + 1} to {YEAR_MAX - 1} are taken"
            return f"{name} is in the year {moment.year}; {years}"
    return None


def attempt(read: Callable[[bytes], Any], body: bytes) -> Any:
    """`read(body)`, or why it cannot be read."""
    if b"\\u0000" in body:
        return Undecodable("invalid_event", "contains a NUL character; remove it")
    try:
        return read(body)
    except msgspec.ValidationError as error:
        return Undecodable("invalid_event", str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Undecodable("malformed_json", f"the message is not JSON in UTF-8: {error}")
    except RecursionError:
        return Undecodable("malformed_json", "the message is nested too deeply")
    except (KeyError, TypeError, ValueError) as error:
        # An upcast met data that its version never had.
        return Undecodable("invalid_event", f"{type(error).__name__}: {error}")
