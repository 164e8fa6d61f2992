"""Hands a decoded body to the engine and gives its outcome back."""

from stockbridge.engine import Command
from stockbridge.ingress.call import JSON, PROBLEM, Answer, Call, Headers
from stockbridge.ingress.wire import replayed
from stockbridge.kernel.errors import Refusal

_FIRST_ERROR = 400


def own_channel(call: Call, channel: str) -> Refusal | None:
    """Refuse a channel that the caller's binding does not include."""
    key = call.key
    if key.channels is None or channel in key.channels:
        return None
    bound = key.channel or key.system
    return Refusal("channel_forbidden", f"key {key.key_id} is bound to {bound}, not {channel}", 403)


def own_location(call: Call, location: str) -> Refusal | None:
    """Refuse facts about a location that the caller's system does not speak for."""
    key = call.key
    if key.locations is None or location in key.locations:
        return None
    bound = f"system {key.system}" if key.system else f"channel {key.channel}"
    detail = f"key {key.key_id} is bound to {bound}, which is not the authority of {location}"
    return Refusal("location_forbidden", detail, 403)


async def submit(call: Call, headers: Headers = ()) -> Answer:
    """The engine's answer to the call's body; idempotency keys count for one API key each."""
    key = call.key
    command = Command(
        body=call.body,
        principal=key.key_id,
        key=call.idempotency_key,
        correlation_id=call.correlation_id,
        channel=key.channel,
        system=key.system,
    )
    outcome = await call.hub.engine.submit(command)
    content_type = PROBLEM if outcome.status >= _FIRST_ERROR else JSON
    return Answer(
        outcome.status, outcome.body, content_type, (*headers, *replayed(outcome.replayed))
    )
