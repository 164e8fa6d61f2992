"""Webhooks of systems with a connector: it verifies the bytes and says what messages they bring."""

from stockbridge.contracts.partners.model import Received, WebhookRequest
from stockbridge.engine.inbox.rules import BODY_BYTES_MAX
from stockbridge.ingress.call import Answer, Call, answer_json
from stockbridge.ingress.connections import OpenSystem
from stockbridge.ingress.events_taking import MessagesTaken, checked, keep, told
from stockbridge.ingress.polling_connector import envelope_of
from stockbridge.ingress.webhooks_gate import NAME
from stockbridge.ingress.wire import read_body
from stockbridge.kernel.errors import Misconfigured, Refusal, Retry
from stockbridge.store.sql import load

SQL = load(__package__)
_FIRST_REFUSAL = 300
_TEXT = b"text/plain; charset=utf-8"
_SILENT = frozenset({"draft", "retired"})
"""Systems in these states of life are not listened to."""


async def receive_partner(call: Call, system: str) -> Answer | Refusal:
    """Verify, keep what it brings, have the feeds read that it names, then answer."""
    body = await read_body(call, BODY_BYTES_MAX) if call.route.method == "POST" else b""
    if isinstance(body, Refusal):
        return body
    try:
        opened = await call.hub.partners.opened(system)
    except Misconfigured as error:
        raise Retry(str(error), 60) from error
    received = _believed(call, opened, body)
    if isinstance(received, Refusal):
        await call.hub.webhooks.count(system, received, call.correlation_id)
        return received
    if opened.lifecycle in _SILENT and (received.messages or received.feeds):
        detail = f"system {system} is {opened.lifecycle}: nothing of it is taken"
        return Refusal("system_not_listened_to", detail, 403)
    return await _take(call, system, received)


def _believed(call: Call, opened: OpenSystem, body: bytes) -> Received | Refusal:
    webhook = opened.connector.manifest.webhook
    if webhook is None:
        detail = f"the connector of {opened.system} has no webhooks; it polls"
        return Refusal("no_webhooks", detail, 404)
    request = WebhookRequest(
        method=call.route.method,
        path=call.route.path.format(**call.path),
        query=call.query,
        headers={name.decode("latin-1"): text.decode("latin-1")
                 for name, text in call.headers.items()},
        body=body,
    )  # fmt: skip
    received = opened.connector.receive(request, opened.secrets.get(webhook.secret, ()))
    if received is None:
        return Refusal("signature_invalid", "no signature fits a secret of this system", 401)
    return received


async def _take(call: Call, system: str, received: Received) -> Answer | Refusal:
    answer: Answer | Refusal = answer_json(MessagesTaken(0, []), 202)
    if received.messages:
        found = [
            checked(call, envelope_of(
                system, each, door="webhook", flow=NAME, correlation_id=call.correlation_id
            ))
            for each in received.messages
        ]  # fmt: skip
        fates = await keep(call, found)
        answer = fates if isinstance(fates, Answer) else told(fates)
    if received.feeds:
        async with call.hub.pool.connection() as conn:
            values = {"system": system, "feeds": list(received.feeds)}
            await conn.execute(SQL.call_feeds, values)
    is_taken = isinstance(answer, Answer) and answer.status < _FIRST_REFUSAL
    return Answer(200, received.answer, _TEXT) if received.answer and is_taken else answer
