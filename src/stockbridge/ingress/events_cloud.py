"""CloudEvents 1.0 over HTTP, read strictly: binary, structured and batched. Pure.

An event's bytes are kept as they came: the body in the first two modes, in a batch the slice of
the element. Only the attributes that the hub uses are looked at.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

import msgspec

from stockbridge.contracts.events.decoding import BATCH, STRUCTURED, plain
from stockbridge.kernel.errors import Refusal

EVENTS_MAX: Final = 1_000
VALUES_MAX: Final = 200_000
"""JSON values in one batch; bounds the memory that taking it apart needs."""
_SEQUENCE_DIGITS_MAX = 19
_CHARSET = re.compile(r'charset\s*=\s*"?([\w-]+)', re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")


class CloudEvent(NamedTuple):
    """One event: the attributes that say what it is, and its bytes with their type."""

    id: str
    source: str
    type: str
    sequence: int | None
    correlation_id: str | None
    traceparent: str | None
    causation_id: str | None
    content_type: str
    body: bytes


class _Attributes(msgspec.Struct):
    """What is read of an event in JSON; `data` and other extensions are passed over."""

    specversion: str
    id: str
    source: str
    type: str
    sequence: str | int | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None


_attributes = msgspec.json.Decoder(_Attributes).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
Parsed = list[CloudEvent | Refusal] | Refusal


def parse(headers: Mapping[bytes, bytes], body: bytes) -> Parsed:
    """The events of a request, each read or refused in its place; or why there are none."""
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    kind = plain(content_type)
    if kind in (STRUCTURED, BATCH):
        charset = _CHARSET.search(content_type)
        if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
            detail = f"charset {charset[1]} is not taken: send UTF-8"
            return Refusal("unsupported_media_type", detail, 415)
        return [structured(body)] if kind == STRUCTURED else batch(body)
    if kind.startswith("application/cloudevents"):
        return Refusal("unsupported_media_type", f"{kind} is not taken: send JSON", 415)
    return [binary(headers, content_type, body)]


def structured(raw: bytes) -> CloudEvent | Refusal:
    """An event in JSON, its envelope included."""
    try:
        a = _attributes(raw)
    except msgspec.ValidationError as error:
        return _invalid(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal("malformed_json", f"the event is not JSON in UTF-8: {error}", 400)
    except RecursionError:
        return Refusal("malformed_json", "the event is nested too deeply", 400)
    return _checked(a, STRUCTURED, raw)


def batch(body: bytes) -> Parsed:
    """The events of a JSON list, each with its own slice of the bytes."""
    if body.count(b",") > VALUES_MAX:
        detail = f"the batch holds more than {VALUES_MAX:,} values: split it"
        return Refusal("batch_too_large", detail, 413)
    try:
        elements = _elements(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal("malformed_json", f"the batch is no JSON list in UTF-8: {error}", 400)
    except RecursionError:
        return Refusal("malformed_json", "the batch is nested too deeply", 400)
    if not elements:
        return Refusal("no_events", "the batch holds no event", 400)
    if len(elements) > EVENTS_MAX:
        detail = f"the batch holds {len(elements):,} events, at most {EVENTS_MAX:,} are taken"
        return Refusal("batch_too_large", detail, 413)
    return [structured(bytes(element)) for element in elements]


def binary(headers: Mapping[bytes, bytes], content_type: str, body: bytes) -> CloudEvent | Refusal:
    """An event whose attributes are `ce-` headers and whose data is the body."""
    if b"ce-specversion" not in headers:
        detail = (
            f"no CloudEvent: send {STRUCTURED}, {BATCH}, or the attributes as ce- headers "
            "(ce-specversion, ce-id, ce-source, ce-type)"
        )
        return Refusal("not_a_cloud_event", detail, 400)
    values: dict[str, str] = {}
    for name in _Attributes.__struct_fields__:
        raw = headers.get(b"ce-" + name.encode())
        if raw is not None:
            text = header_text(raw)
            if text is None:
                return _invalid(f"ce-{name} is not percent-encoded UTF-8")
            values[name] = text
    missing = [f"ce-{name}" for name in ("id", "source", "type") if name not in values]
    if missing:
        return _invalid(f"{', '.join(missing)} is missing")
    attributes = msgspec.convert(values, _Attributes)
    return _checked(attributes, content_type or "application/json", body)


def header_text(raw: bytes) -> str | None:
    """A header value decoded as the binding says: quotes first, then percent-encoding."""
    try:
        text = raw.decode()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = _ESCAPED.sub(r"\1", text[1:-1])
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None


def _checked(a: _Attributes, content_type: str, body: bytes) -> CloudEvent | Refusal:
    if a.specversion != "1.0":
        return _invalid(f"specversion is {a.specversion[:40]!r}; 1.0 is taken")
    empty = [name for name in ("id", "source", "type") if not getattr(a, name)]
    if empty:
        return _invalid(f"{', '.join(empty)} is empty")
    return CloudEvent(
        a.id, a.source, a.type, _number(a.sequence), a.correlationid, a.traceparent,
        a.causationid, content_type, body,
    )  # fmt: skip


def _number(sequence: str | int | None) -> int | None:
    """A numeric sequence; others are only ordered, and say nothing of gaps."""
    if sequence is None or isinstance(sequence, int):
        return sequence
    fits = len(sequence) <= _SEQUENCE_DIGITS_MAX and sequence.isascii() and sequence.isdigit()
    return int(sequence) if fits else None


def _invalid(detail: str) -> Refusal:
    return Refusal("invalid_cloud_event", detail, 400)
