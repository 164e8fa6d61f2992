"""EPCIS 2.0 capture: documents as jobs, single events, events by their id.

An event is kept as the bytes it came in, under its eventID; what it means for stock is decided
when it is applied (`stockbridge.contracts.epcis`).
"""

from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from stockbridge.contracts import epcis
from stockbridge.contracts.epcis.reading import ERROR_SUFFIX
from stockbridge.contracts.events.decoding import Undecodable
from stockbridge.engine.inbox.model import Accepted, Envelope
from stockbridge.ingress.call import Answer, Call, Headers, Route
from stockbridge.ingress.endpoint import BODY_BYTES_MAX, located, refused
from stockbridge.ingress.events_cloud import EVENTS_MAX, VALUES_MAX
from stockbridge.ingress.events_taking import checked, keep, sender
from stockbridge.ingress.wire import read_body
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
VERSIONS: Final[Headers] = (
    (b"gs1-epcis-version", b"2.0.0"),
    (b"gs1-cbv-version", b"2.0.0"),
    (b"gs1-epcis-capture-limit", str(EVENTS_MAX).encode()),
    (b"gs1-epcis-capture-file-size-limit", str(BODY_BYTES_MAX).encode()),
)
JSON_TYPES: Final = ("application/json", "application/ld+json")
_BEHAVIOURS: Final = ("rollback", "proceed")
_WRITE = ("events:write",)
_READ = ("events:write", "ops:read")
_ID_CHARS_MAX: Final = 512


class CaptureError(msgspec.Struct, omit_defaults=True):
    """An event that was not captured, by its place in the document, or not applied, by its id."""

    type: str
    title: str
    detail: str = ""
    index: int | None = None
    event_id: str = msgspec.field(name="eventID", default="")


class CaptureJob(msgspec.Struct, rename="camel"):
    """`running` while events are being applied; `success` says whether all went well so far."""

    capture_id: str = msgspec.field(name="captureID")
    created_at: str
    finished_at: str | None
    running: bool
    success: bool
    capture_error_behaviour: str
    errors: list[CaptureError]


async def capture_document(call: Call) -> Answer | Refusal:
    """Keep a document's events; the job at Location tells how they fare."""
    behaviour = call.headers.get(b"gs1-capture-error-behaviour", b"rollback").decode("latin-1")
    if behaviour not in _BEHAVIOURS:
        detail = f"GS1-Capture-Error-Behaviour is {behaviour[:40]!r}; use rollback or proceed"
        return _problem(Refusal("validation", detail, 400))
    body = await read_body(call, BODY_BYTES_MAX)
    if isinstance(body, Refusal):
        return _problem(body)
    events = _events(body)
    if isinstance(events, Refusal):
        return _problem(events)
    system = await sender(call, None)
    found = [_envelope(call, event, system) for event in events]
    errors = [_error(at, each) for at, each in enumerate(found) if isinstance(each, Refusal)]
    if errors and behaviour == "rollback":
        found = [each for each in found if isinstance(each, Refusal)]
    fates = await keep(call, found)
    if isinstance(fates, Answer):
        return fates
    kept = [fate for fate in fates if not isinstance(fate, Refusal)]
    errors += [_conflict(at, fate) for at, fate in enumerate(fates) if _is_conflict(fate)]
    return await _job_made(call, system, behaviour, kept, errors)


def _events(body: bytes) -> list[bytes] | Refusal:
    if body.count(b",") > VALUES_MAX:
        detail = f"the document holds more than {VALUES_MAX:,} values: split it"
        return Refusal("capture_limit_exceeded", detail, 413)
    events = epcis.read_document(body)
    if isinstance(events, Undecodable):
        return Refusal("validation", events.detail, 400)
    if len(events) > EVENTS_MAX:
        detail = f"the document holds {len(events):,} events, at most {EVENTS_MAX:,} are taken"
        return Refusal("capture_limit_exceeded", detail, 413)
    return events


def _envelope(call: Call, body: bytes, system: str) -> Envelope | Refusal:
    event = epcis.read_event(body)
    if isinstance(event, Undecodable):
        return Refusal("validation", event.detail, 400)
    event_id = epcis.identity(event, body)
    envelope = Envelope(
        system=system,
        source_message_id=epcis.message_id(event, event_id),
        flow="epcis",
        sequence=None,
        correlation_id=call.correlation_id,
        causation_id=event_id if event.error_declaration is not None else None,
        principal=call.key.key_id,
        door="epcis",
        contract=epcis.CONTRACT,
        content_type="application/json",
        body=body,
    )
    return checked(call, envelope)


def _is_conflict(fate: Accepted | Refusal) -> bool:
    return not isinstance(fate, Refusal) and fate.status == "conflict"


def _conflict(index: int, _fate: Any) -> CaptureError:
    detail = "another event was captured under this eventID; this one is kept aside for its owner"
    return CaptureError(_type("duplicate_event_id"), "Duplicate event id", detail, index)


def _error(index: int, refusal: Refusal) -> CaptureError:
    title = refusal.code.replace("_", " ").capitalize()
    return CaptureError(_type(refusal.code), title, refusal.detail, index)


async def _job_made(
    call: Call, system: str, behaviour: str, kept: list[Accepted], errors: list[CaptureError]
) -> Answer:
    capture_id = str(uuid4())
    row = {
        "capture_id": capture_id,
        "system": system,
        "principal": call.key.key_id,
        "correlation_id": call.correlation_id,
        "error_behaviour": behaviour,
        "message_ids": [fate.message_id for fate in kept],
        "errors": msgspec.json.encode(errors).decode(),
    }
    async with call.hub.pool.connection() as conn:
        await conn.execute(SQL.add_capture, row)
    place = located("/v1/epcis/capture/{id}", id=capture_id)
    return Answer(202, b"", headers=(place, *VERSIONS))


async def get_capture(call: Call) -> Answer | Refusal:
    """How a captured document fares."""
    try:
        capture_id = str(UUID(call.path["id"]))
    except ValueError:
        return _problem(_unknown_job(call))
    key = {"capture_id": capture_id, "system": _own(call)}
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(SQL.find_capture, key)).fetchone()
    if row is None:
        return _problem(_unknown_job(call))
    received_at, behaviour, refused_events, count, running, settled_at, unapplied = row
    errors = msgspec.json.decode(refused_events, type=list[CaptureError])
    errors += [
        CaptureError(
            _type(each["code"] or each["status"]),
            each["status"].capitalize(),
            each["detail"] or "",
            event_id=each["eventID"],
        )
        for each in msgspec.json.decode(unapplied)
    ]
    finished_at = None if running else (settled_at or received_at).isoformat()
    job = CaptureJob(
        capture_id, received_at.isoformat(), finished_at, running > 0,
        not errors and (count > 0 or not running), behaviour, errors,
    )  # fmt: skip
    return Answer(200, msgspec.json.encode(job), headers=VERSIONS)


async def capture_event(call: Call) -> Answer | Refusal:
    """Keep one event; 409 when another one was captured under its eventID."""
    body = await read_body(call, BODY_BYTES_MAX)
    if isinstance(body, Refusal):
        return _problem(body)
    found = _envelope(call, body, await sender(call, None))
    if isinstance(found, Refusal):
        return _problem(found)
    fates = await keep(call, [found])
    if isinstance(fates, Answer):
        return fates
    event_id = found.source_message_id.removesuffix(ERROR_SUFFIX)
    if _is_conflict(fates[0]):
        detail = f"another event was captured as {event_id}; this one is kept aside for its owner"
        return _problem(Refusal("resource_already_exists", detail, 409))
    return Answer(201, b"", headers=(located("/v1/epcis/events/{id}", id=event_id), *VERSIONS))


async def get_event(call: Call) -> Answer | Refusal:
    """A captured event as it came; with its declaration of error once that came."""
    event_id = call.path["id"]
    row = None
    if len(event_id) <= _ID_CHARS_MAX and "\0" not in event_id:
        key = {"ids": [event_id, event_id + ERROR_SUFFIX], "system": _own(call)}
        async with call.hub.pool.connection() as conn:
            row = await (await conn.execute(SQL.find_event, key)).fetchone()
    if row is None:
        return _problem(Refusal("no_such_resource", f"no event {event_id[:200]} is here", 404))
    return Answer(200, bytes(row[0]), headers=VERSIONS)


def _own(call: Call) -> str | None:
    """The system that a bound key is kept to; a channel's key captured under its own name."""
    key = call.key
    return (key.system or f"key:{key.key_id}") if key.bound else None


def _unknown_job(call: Call) -> Refusal:
    return Refusal("no_such_resource", f"there is no capture job {call.path['id'][:80]}", 404)


def _type(code: str) -> str:
    """EPCIS names its problems; ours that it has no name for keep their own."""
    known = {
        "validation": "ValidationException",
        "invalid_event": "ValidationException",
        "not_bookable": "ValidationException",
        "invalid_envelope": "ValidationException",
        "resource_already_exists": "ResourceAlreadyExistsException",
        "duplicate_event_id": "ResourceAlreadyExistsException",
        "no_such_resource": "NoSuchResourceException",
        "capture_limit_exceeded": "CaptureLimitExceededException",
        "body_too_large": "CaptureLimitExceededException",
        "message_too_large": "CaptureLimitExceededException",
        "location_forbidden": "SecurityException",
    }
    name = known.get(code)
    return f"epcisException:{name}" if name else f"https://stockbridge.io/problems/{code}"


def _problem(refusal: Refusal) -> Answer:
    """The refusal with the type that EPCIS gives it."""
    answer = refused(refusal, VERSIONS)
    problem = refusal.problem() | {"type": _type(refusal.code)}
    return answer._replace(body=msgspec.json.encode(problem))


ROUTES = (
    Route("POST", "/v1/epcis/capture", capture_document, "Capture an EPCIS 2.0 document", _WRITE,
          {202: None}, bound_keys=True, raw=JSON_TYPES),
    Route("GET", "/v1/epcis/capture/{id}", get_capture, "How a capture fares", _READ,
          {200: CaptureJob}, bound_keys=True),
    Route("POST", "/v1/epcis/events", capture_event, "Capture an EPCIS 2.0 event", _WRITE,
          {201: None}, bound_keys=True, raw=JSON_TYPES),
    Route("GET", "/v1/epcis/events/{id}", get_event, "A captured event", _READ, {200: None},
          bound_keys=True),
)  # fmt: skip
