"""`POST /v1/webhooks/{system}`: a partner's own messages, signed.

Nothing is kept before its signature is verified: by the system's connector (`webhooks_partner.py`),
else by the Standard Webhooks scheme. What is no CloudEvent then goes under the mapping of the
system that takes it, or under `mapping:SYSTEM:unmatched.v1`, where it waits for one that does.
"""

import asyncio
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Shape
from stockbridge.contracts.catalog import unmatched
from stockbridge.contracts.events.decoding import BATCH, STRUCTURED
from stockbridge.engine.inbox.model import Envelope
from stockbridge.engine.inbox.rules import BODY_BYTES_MAX
from stockbridge.governance import secrets
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.endpoint import BODY_BYTES_MAX as REQUEST_BYTES_MAX
from stockbridge.ingress.endpoint import type_refused
from stockbridge.ingress.events import DATA_TYPES, take_events
from stockbridge.ingress.events_cloud import header_text
from stockbridge.ingress.events_taking import MessagesTaken, checked, keep, told
from stockbridge.ingress.polling import SECRET
from stockbridge.ingress.reviving import try_soon
from stockbridge.ingress.webhooks_gate import NAME, SECRET_BYTES, secret_bytes
from stockbridge.ingress.webhooks_partner import receive_partner
from stockbridge.ingress.wire import read_body
from stockbridge.kernel.errors import Misconfigured, Refusal, Retry

KEEP_SECONDS_MAX: Final = 30 * 86_400
_FORM: Final = "application/x-www-form-urlencoded"
_TAKEN: Final = (STRUCTURED, BATCH, _FORM, *DATA_TYPES)


class PutSecret(Shape, frozen=True):
    """A new secret; the one before it counts for `keep_previous_seconds` more.

    For webhooks it is `whsec_` and base64, for polling whatever the partner gave. A system with a
    connector has those that the connector's manifest names.
    """

    secret: Annotated[str, Meta(min_length=1, max_length=4_000)]
    keep_previous_seconds: Annotated[int, Meta(ge=0, le=KEEP_SECONDS_MAX)] = 86_400


class SecretKept(msgspec.Struct):
    """How many secrets of the system count now; none is ever shown."""

    system: str
    name: str
    active: int


async def receive_webhook(call: Call) -> Answer | Refusal:
    """Verify, then keep the message under its webhook-id, then answer."""
    system = call.path["system"]
    if await call.hub.partners.has_connector(system):
        return await receive_partner(call, system)
    kind = call.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    refusal = type_refused(kind.decode("latin-1"), _TAKEN) or _query_refused(call)
    if refusal is not None:
        return refusal
    cloud = _is_cloud_event(call)
    body = await read_body(call, REQUEST_BYTES_MAX if cloud else BODY_BYTES_MAX)
    if isinstance(body, Refusal):
        return body
    try:
        refusal = await call.hub.webhooks.refusal(system, call.headers, body, call.correlation_id)
    except Misconfigured as error:
        raise Retry(str(error), 60) from error
    if refusal is not None:
        return refusal
    if cloud:
        return await take_events(call, body, "webhook", system)
    fates = await keep(call, [await _envelope(call, system, body)])
    return fates if isinstance(fates, Answer) else told(fates)


def _query_refused(call: Call) -> Refusal | None:
    if not call.query:
        return None
    return Refusal("invalid_request", f"{call.route.path} takes no query parameters", 422)


async def shake_hands(call: Call) -> Answer | Refusal:
    """What a partner asks before it calls: the system's connector answers."""
    system = call.path["system"]
    if await call.hub.partners.has_connector(system):
        return await receive_partner(call, system)
    return Refusal("method_not_allowed", "GET is for connectors whose partner asks first", 405)


def _is_cloud_event(call: Call) -> bool:
    kind = call.headers.get(b"content-type", b"").lower()
    return kind.startswith(b"application/cloudevents") or b"ce-specversion" in call.headers


async def _envelope(call: Call, system: str, body: bytes) -> Envelope | Refusal:
    content_type = call.headers.get(b"content-type", b"application/json").decode("latin-1")
    message_id = header_text(call.headers[b"webhook-id"])
    if message_id is None:
        return Refusal("invalid_envelope", "webhook-id is no text in UTF-8", 422)
    # An expression may take its time; nobody else waits for it.
    matched = await asyncio.to_thread(call.hub.contracts.match, system, content_type, body)
    envelope = Envelope(
        system=system,
        source_message_id=message_id,
        flow=NAME,
        sequence=None,
        correlation_id=call.correlation_id,
        causation_id=None,
        principal=f"system:{system}",
        door="webhook",
        contract=matched or unmatched(system),
        content_type=content_type,
        body=body,
    )
    return checked(call, envelope)


async def put_secret(call: Call) -> Answer | Refusal:
    """Replace a secret of a system; the old one counts for a while more."""
    body: PutSecret = call.body
    system, name = call.path["code"], call.path["name"]
    declared = await call.hub.partners.declared_secrets(system)
    known = declared or (NAME, SECRET)
    if name not in known:
        return Refusal("unknown_secret", f"secrets of {system} are {', '.join(known)}", 404)
    if not declared and name == NAME and secret_bytes(body.secret) is None:
        allowed = f"{SECRET_BYTES.start} to {SECRET_BYTES.stop - 1}"
        detail = f"secret: give whsec_ and {allowed} random bytes in base64"
        return Refusal("secret_invalid", detail)
    async with call.hub.pool.connection() as conn:
        active = await secrets.put(
            conn, call.hub.webhooks.box, system, name, body.secret,
            keep_seconds=body.keep_previous_seconds,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
        if isinstance(active, Refusal):
            return active
        await try_soon(conn, system)
    call.hub.webhooks.forget(system)
    call.hub.partners.forget(system)
    return answer_json(SecretKept(system, name, active))


ROUTES = (
    Route("POST", "/v1/webhooks/{system}", receive_webhook, "A partner's signed webhook", (),
          {200: None, 202: MessagesTaken}, raw=("*/*",), raw_query=True),
    Route("GET", "/v1/webhooks/{system}", shake_hands, "A partner's question before it calls", (),
          {200: None, 202: MessagesTaken}, raw_query=True),
    Route("PUT", "/v1/systems/{code}/secrets/{name}", put_secret,
          "Set a secret shared with a system", ("admin",), {200: SecretKept}, body=PutSecret),
)  # fmt: skip
