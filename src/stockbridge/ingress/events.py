"""`POST /v1/events`: CloudEvents 1.0 in all three content modes, kept before they are answered."""

from collections.abc import Iterable
from typing import Final

from stockbridge.contracts.events.decoding import BATCH, STRUCTURED
from stockbridge.engine.inbox.model import Envelope
from stockbridge.ingress.call import Answer, Call, Headers, Route
from stockbridge.ingress.endpoint import BODY_BYTES_MAX
from stockbridge.ingress.events_cloud import CloudEvent, parse
from stockbridge.ingress.events_taking import (
    MessagesTaken,
    checked,
    ids_of,
    keep,
    sender,
    told,
)
from stockbridge.ingress.wire import read_body
from stockbridge.kernel.errors import Refusal

DATA_TYPES: Final = (
    "application/json",
    "text/csv",
    "application/x-ndjson",
    "application/xml",
    "text/xml",
    "text/plain",
    "application/octet-stream",
    "",
)
"""Content types of data in binary mode; an event without data may have none."""


async def report_events(call: Call) -> Answer | Refusal:
    """Keep each event; whether it was applied is told by `GET /v1/messages/{message}`."""
    body = await read_body(call, BODY_BYTES_MAX)
    if isinstance(body, Refusal):
        return body
    return await take_events(call, body, "events")


async def take_events(
    call: Call, body: bytes, door: str, system: str | None = None
) -> Answer | Refusal:
    """Keep the events of a request, all of them from `system` where that is known already."""
    events = parse(call.headers, body)
    if isinstance(events, Refusal):
        return events
    systems = await senders(call, events, system)
    found = [
        event if isinstance(event, Refusal) else enveloped(call, event, door, systems[event.source])
        for event in events
    ]
    fates = await keep(call, found)
    if isinstance(fates, Answer):
        return fates
    return told(fates, _deprecations(call, found))


async def senders(
    call: Call, events: Iterable[CloudEvent | Refusal], system: str | None = None
) -> dict[str, str]:
    """The system behind each source that the events name, `system` where that is known already."""
    sources = {event.source for event in events if not isinstance(event, Refusal)}
    return {source: system or await sender(call, source) for source in sources}


def enveloped(call: Call, event: CloudEvent, door: str, system: str) -> Envelope | Refusal:
    """The event as the inbox takes it: source and id are its identity, the source its flow."""
    correlation_id = ids_of(call, event.correlation_id, event.traceparent)
    if isinstance(correlation_id, Refusal):
        return correlation_id
    envelope = Envelope(
        system=system,
        source_message_id=f"{event.source}#{event.id}",
        flow="" if event.source == system else event.source,
        sequence=event.sequence,
        correlation_id=correlation_id,
        causation_id=event.causation_id,
        principal=call.key.key_id if call.grant is not None else f"system:{system}",
        door=door,
        contract=event.type,
        content_type=event.content_type,
        body=event.body,
    )
    return checked(call, envelope)


def _deprecations(call: Call, found: list[Envelope | Refusal]) -> Headers:
    """What to answer when one of the contracts is deprecated."""
    contracts = {each.contract for each in found if not isinstance(each, Refusal)}
    told_of = (call.hub.contracts.headers(contract) for contract in sorted(contracts))
    return next(filter(None, told_of), ())


ROUTES = (
    Route("POST", "/v1/events", report_events, "Report events (CloudEvents 1.0)",
          ("events:write",), {202: MessagesTaken}, bound_keys=True,
          raw=(STRUCTURED, BATCH, *DATA_TYPES)),
)  # fmt: skip
