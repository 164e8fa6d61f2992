"""What all doors share: who a message is from, what it may say, keeping it, the answer.

A message that cannot be kept is refused in its place and stops no other.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from stockbridge.contracts.commands import ReportTransfer
from stockbridge.contracts.orders import AnswerOrder, OrderNamed, PlaceOrder
from stockbridge.engine.inbox.model import Accepted, Envelope
from stockbridge.engine.inbox.rules import refusal_of
from stockbridge.governance.keys import ApiKey
from stockbridge.ingress.call import Answer, Call, Headers, answer_json
from stockbridge.ingress.correlation import correlate
from stockbridge.ingress.endpoint import refused
from stockbridge.kernel.errors import Refusal, Retry

KEY_PREFIX: Final = "key:"
"""Before the id of an unbound key: the system of messages whose source is no system we know."""


class TakenMessage(msgspec.Struct, omit_defaults=True):
    """What became of one message: its id and `received`, `duplicate` or `conflict`; or why not."""

    index: int
    status: str
    message: int | None = None
    code: str = ""
    detail: str = ""


class MessagesTaken(msgspec.Struct):
    """What became of each message, in order; `kept` of them are stored with their bytes."""

    kept: int
    messages: list[TakenMessage]


async def sender(call: Call, source: str | None) -> str:
    """The system a message is from: the key's own, else the one its source names."""
    key = call.key
    if key.system is not None:
        return key.system
    named = await call.hub.systems.named(source) if source and not key.bound else None
    return named or KEY_PREFIX + key.key_id


def ids_of(call: Call, correlation_id: str | None, traceparent: str | None) -> str | Refusal:
    """A message's own correlation id, else its trace's, else the request's."""
    if correlation_id is None and traceparent is None:
        return call.correlation_id
    try:
        ids = correlate(
            None if correlation_id is None else correlation_id.encode(),
            None if traceparent is None else traceparent.encode(),
        )
    except UnicodeEncodeError:
        return Refusal("correlation_id_invalid", "the correlation id has half a character", 400)
    return ids if isinstance(ids, Refusal) else ids[0]


def foreign(key: ApiKey, bodies: Iterable[Any]) -> Refusal | None:
    """Refuse what is about a location, or an order of a channel, that is not the caller's."""
    if key.locations is None:
        return None
    for body in bodies:
        if isinstance(body, PlaceOrder | OrderNamed):
            refusal = _foreign_order(key, body)
            if refusal is not None:
                return refusal
            continue
        fact = getattr(body, "fact", body)
        if isinstance(fact, ReportTransfer):
            code = fact.from_location if fact.stage == "shipped" else fact.to_location
        else:
            code = fact.location
        if code not in key.locations:
            bound = f"system {key.system}" if key.system else f"channel {key.channel}"
            detail = f"key {key.key_id} is bound to {bound}, which is not the authority of {code}"
            return Refusal("location_forbidden", detail, 403)
    return None


def _foreign_order(key: ApiKey, body: PlaceOrder | OrderNamed) -> Refusal | None:
    """An order is its channel's; whether a system may answer it, the order's flow knows."""
    if key.channels is None or body.channel in key.channels:
        return None
    if isinstance(body, AnswerOrder) and key.system is not None:
        return None
    bound = key.channel or key.system
    detail = f"key {key.key_id} is bound to {bound}, not to channel {body.channel}"
    return Refusal("channel_forbidden", detail, 403)


def checked(call: Call, envelope: Envelope) -> Envelope | Refusal:
    """The envelope, unless it cannot be kept or says what its sender may not."""
    refusal = refusal_of(envelope)
    if refusal is None and call.grant is not None and call.key.locations is not None:
        said = call.hub.contracts.decode(envelope.contract, envelope.content_type, envelope.body)
        refusal = foreign(call.key, said) if isinstance(said, list) else None
    return refusal or envelope


async def keep(
    call: Call, found: Sequence[Envelope | Refusal]
) -> list[Accepted | Refusal] | Answer:
    """Keep the envelopes in one transaction; each one's fate in its place. 429 when full."""
    envelopes = [each for each in found if not isinstance(each, Refusal)]
    try:
        accepted = iter(await call.hub.inbox.accept(envelopes) if envelopes else ())
    except Retry as error:
        if not call.hub.inbox.depth:
            raise
        return too_busy(str(error), error.after_seconds)
    return [each if isinstance(each, Refusal) else next(accepted) for each in found]


def too_busy(detail: str, seconds: float) -> Answer:
    """The answer when more waits already than the inbox takes."""
    retry = (b"retry-after", str(max(1, round(seconds))).encode())
    return refused(Refusal("inbox_full", detail, 429), (retry,))


def told(fates: Sequence[Accepted | Refusal], headers: Headers = ()) -> Answer | Refusal:
    """202 with the fate of each; a refusal that names each when nothing was kept."""
    kept = sum(not isinstance(fate, Refusal) for fate in fates)
    if not kept:
        return _nothing_kept([fate for fate in fates if isinstance(fate, Refusal)])
    taken = [
        TakenMessage(index, "refused", None, fate.code, fate.detail)
        if isinstance(fate, Refusal)
        else TakenMessage(index, fate.status, fate.message_id)
        for index, fate in enumerate(fates)
    ]
    return answer_json(MessagesTaken(kept, taken), 202)._replace(headers=headers)


def _nothing_kept(refusals: list[Refusal]) -> Refusal:
    if len(refusals) == 1:
        return refusals[0]
    errors = [
        {"index": index, "code": refusal.code, "detail": refusal.detail}
        for index, refusal in enumerate(refusals)
    ]
    statuses = {refusal.status for refusal in refusals}
    status = statuses.pop() if len(statuses) == 1 else 400
    detail = f"none of {len(refusals)} messages could be kept; the first: {refusals[0].detail}"
    return Refusal("nothing_kept", detail, status, errors)
