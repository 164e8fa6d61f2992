"""Bytes in and out: bodies within their limit, answers with their headers."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from stockbridge.ingress.call import Answer, Call, Headers
from stockbridge.ingress.protocol import WHOLE
from stockbridge.kernel.errors import Refusal

DRAIN_BYTES_MAX: Final = 32 * 1024 * 1024
"""An oversized body is read and dropped up to here, so that its sender sees the answer."""

_POLICY = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SECURITY: Final[Headers] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", _POLICY),
)
"""On every answer."""
PAGE: Final[Headers] = (
    (b"content-security-policy", _POLICY + b"; style-src 'self'; img-src 'self' data:"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On what a browser shows, as headers of the answer."""
_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")
_TOO_LARGE: Final = 413
_REPLAYED: Final = (b"idempotency-replayed", b"true")


class Gone(Exception):
    """The caller hung up."""


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body piece by piece; raises Gone when the caller hangs up."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def read_body(call: Call, bytes_max: int) -> bytes | Refusal:
    """The whole body, or a 413 refusal when it is larger than `bytes_max`."""
    message = await call.receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= bytes_max else too_large(bytes_max)
    parts, size = [body], len(body)
    async for chunk in chunks(call.receive):
        size += len(chunk)
        if size <= bytes_max:
            parts.append(chunk)
        elif size > DRAIN_BYTES_MAX:
            break
    return b"".join(parts) if size <= bytes_max else too_large(bytes_max)


def too_large(bytes_max: int) -> Refusal:
    """The refusal of a body over its limit."""
    detail = (
        f"the body is larger than {bytes_max:,} bytes: send less at once, or use POST /v1/imports"
    )
    return Refusal("body_too_large", detail, 413)


async def send_answer(
    answer: Answer, call: Call, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send `answer` with the headers that every answer carries."""
    whole = scope.get("extensions", {}).get(WHOLE)
    if (
        whole is not None
        and answer.stream is None
        and answer.status != _TOO_LARGE
        and whole(answer.status, answer_bytes(answer, call))
    ):
        return
    headers = _headers(answer, call)
    if answer.stream is not None:
        await _send_stream(answer, headers, scope, receive, send)
        return
    headers.append((b"content-length", str(len(answer.body)).encode()))
    if answer.status == _TOO_LARGE:
        # The rest of the body may still be on its way.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def answer_bytes(answer: Answer, call: Call) -> bytes:
    """Headers and body of a whole answer, as they go over the wire after the status line."""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in _headers(answer, call)])
    return b"%bcontent-length: %d\r\n\r\n%b" % (lines, len(answer.body), answer.body)


def _headers(answer: Answer, call: Call) -> list[tuple[bytes, bytes]]:
    """Those of every answer, its length excepted."""
    headers = [
        (b"content-type", answer.content_type),
        (b"x-correlation-id", call.correlation_id.encode()),
        (b"traceparent", call.traceparent.encode()),
        *SECURITY,
    ]
    grant = call.grant
    if grant is not None:
        left = b'"key";r=%d;t=%d' % (grant.bucket.remaining, grant.bucket.reset_seconds)
        headers += ((b"ratelimit", left), (b"ratelimit-policy", grant.policy))
    # We serve plain HTTP; a proxy that ends TLS before us says so.
    if call.headers.get(b"x-forwarded-proto") == b"https":
        headers.append(_TRANSPORT)
    # A header given by the handler replaces the common one of that name.
    if answer.headers:
        named = {name for name, _ in answer.headers}
        headers = [pair for pair in headers if pair[0] not in named] + list(answer.headers)
    return headers


async def _send_stream(
    answer: Answer, headers: list[tuple[bytes, bytes]], scope: Scope, receive: Receive, send: Send
) -> None:
    if answer.stream is None:
        return
    response = StreamingResponse(answer.stream, answer.status)
    response.raw_headers = headers
    try:
        await response(scope, receive, send)
    except ClientDisconnect:
        return


def replayed(value: bool) -> Headers:
    """The header that marks a first answer given again."""
    return (_REPLAYED,) if value else ()
