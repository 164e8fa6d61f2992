"""One request from its head to its answer: the same steps, in the same order, for every route.

correlation -> key -> rate -> scope -> binding -> idempotency key -> body -> handler. The first
step that refuses answers; nothing behind it runs.
"""

import re
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout
from starlette.types import Receive, Scope, Send

from stockbridge.governance.keyring import Grant
from stockbridge.ingress.call import PROBLEM, Answer, Call, Headers, Hub, Route
from stockbridge.ingress.correlation import correlate
from stockbridge.ingress.decode import decode_body, decode_query
from stockbridge.ingress.metrics import RequestMetrics
from stockbridge.ingress.wire import Gone, answer_bytes, read_body, send_answer
from stockbridge.kernel.errors import Refusal, Retry

LOG = structlog.get_logger(__name__)
BODY_BYTES_MAX: Final = 8 * 1024 * 1024
_IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_JSON_TYPE = re.compile(
    rb"application/(?:[\w.+-]+\+)?json\s*(?:;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE
)
_BEARER = b"bearer "


class Endpoint:
    """Serves one route as an ASGI application."""

    def __init__(self, hub: Hub, route: Route, metrics: RequestMetrics) -> None:
        self.hub = hub
        self.route = route
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request and count it."""
        began = time.perf_counter()
        path: dict[str, str] = scope.get("path_params") or {}
        call = Call(self.hub, self.route, dict(scope["headers"]), path, receive)
        try:
            outcome = await self._answer(call, scope["query_string"])
        except Gone:
            return
        except Exception as error:  # noqa: BLE001 - a caller is answered whatever happens
            outcome = _failed(call, error)
        answer = outcome if isinstance(outcome, Answer) else refused(outcome)
        await send_answer(answer, call, scope, receive, send)
        self.metrics.observe(
            self.route.method, self.route.path, answer.status, time.perf_counter() - began
        )

    def at_once(self, call: Call, query: bytes) -> tuple[int, bytes] | None:
        """The status and the rest of an answer that waits for nothing; None: call the endpoint.

        The steps are those of every request; after None nothing has been counted or taken.
        """
        if not self.hub.keyring.live:
            return None
        began = time.perf_counter()
        try:
            outcome = self._answer_at_once(call, query)
        except Exception as error:  # noqa: BLE001 - as in __call__
            outcome = _failed(call, error)
        if outcome is None:
            if call.grant is not None:
                call.grant.bucket.give_back()
            return None
        answer = outcome if isinstance(outcome, Answer) else refused(outcome)
        whole = answer.status, answer_bytes(answer, call)
        self.metrics.observe(
            self.route.method, self.route.path, answer.status, time.perf_counter() - began
        )
        return whole

    def _answer_at_once(self, call: Call, query: bytes) -> Answer | Refusal | None:
        barred: Answer | Refusal | None = _identify(call)
        if barred is None:
            token = _token(call)
            barred = self._admit(call, self.hub.keyring.known(token) if token else None)
        if barred is None:
            barred = self._take_query(call, query)
        if barred is not None or self.route.at_once is None:
            return barred
        return self.route.at_once(call)

    async def _answer(self, call: Call, query: bytes) -> Answer | Refusal:
        route = self.route
        barred: Answer | Refusal | None = _identify(call)
        if barred is None and route.scopes:
            token = _token(call)
            barred = self._admit(call, await self.hub.keyring.find(token) if token else None)
        if barred is None:
            barred = self._take_query(call, query)
        if barred is None and route.method != "GET":
            barred = await self._take_body(call)
        return await route.handler(call) if barred is None else barred

    def _take_query(self, call: Call, query: bytes) -> Refusal | None:
        if self.route.raw_query:
            call.query = query.decode("latin-1")
            return None
        if self.route.query is None:
            if not query:
                return None
            detail = f"{self.route.path} takes no query parameters"
            return Refusal("invalid_request", detail, 422)
        call.query = decode_query(self.route.query, query)
        return call.query if isinstance(call.query, Refusal) else None

    def _admit(self, call: Call, grant: Grant | None) -> Answer | Refusal | None:
        if grant is None:
            return _unauthorized(bool(call.headers.get(b"authorization")))
        call.grant = grant
        wait_seconds = grant.bucket.take(time.monotonic())
        if wait_seconds:
            return _too_many(grant, wait_seconds)
        if grant.key.scopes.isdisjoint(self.route.opened_by):
            wanted = " or ".join(self.route.scopes)
            return Refusal("scope_missing", f"key {grant.key.key_id} lacks scope {wanted}", 403)
        if grant.key.bound and not self.route.bound_keys:
            bound = grant.key.channel or grant.key.system
            detail = f"key {grant.key.key_id} is bound to {bound}; this call is for unbound keys"
            return Refusal("key_bound", detail, 403)
        return None

    async def _take_body(self, call: Call) -> Refusal | None:
        """Check the idempotency key and the content, and decode what the route describes."""
        route, headers = self.route, call.headers
        key = headers.get(b"idempotency-key")
        if key is not None:
            if not _IDEMPOTENCY_KEY.fullmatch(key):
                detail = "Idempotency-Key: use 1 to 255 visible ASCII characters"
                return Refusal("idempotency_key_invalid", detail, 400)
            call.idempotency_key = key.decode()
        elif route.key_required:
            detail = f"{route.method} {route.path} needs an Idempotency-Key header: a new value "
            return Refusal("idempotency_key_missing", f"{detail}for each new request", 400)
        refusal = _content_refused(route, headers)
        if refusal is not None or route.raw:
            return refusal
        raw = await read_body(call, BODY_BYTES_MAX)
        if isinstance(raw, Refusal):
            return raw
        if route.body is None:
            return None
        path = {name: call.path[name] for name in route.path_fields}
        call.body = decode_body(route.body, route.decoder, raw, path)
        return call.body if isinstance(call.body, Refusal) else None


def _identify(call: Call) -> Refusal | None:
    """Give the call its correlation id and trace."""
    headers = call.headers
    ids = correlate(headers.get(b"x-correlation-id"), headers.get(b"traceparent"))
    if isinstance(ids, Refusal):
        call.correlation_id, call.traceparent = correlate_anew()
        return ids
    call.correlation_id, call.traceparent = ids
    return None


def _token(call: Call) -> str:
    """The key the caller shows; empty without one."""
    header = call.headers.get(b"authorization", b"")
    return header[7:].strip().decode("latin-1") if header[:7].lower() == _BEARER else ""


def correlate_anew() -> tuple[str, str]:
    """Ids for a request whose own are unusable."""
    ids = correlate(None, None)
    return ids if isinstance(ids, tuple) else ("", "")


def _content_refused(route: Route, headers: Mapping[bytes, bytes]) -> Refusal | None:
    encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
    if encoding != "identity":
        detail = f"content encoding {encoding[:40]!r} is not taken: send the body as it is"
        return Refusal("unsupported_media_type", detail, 415)
    kind = headers.get(b"content-type")
    if route.raw:
        plain = (kind or b"").partition(b";")[0].strip().lower().decode("latin-1")
        return None if "*/*" in route.raw else type_refused(plain, route.raw)
    if kind is not None and not _JSON_TYPE.fullmatch(kind):
        return _wrong_type(kind.decode("latin-1"), "application/json")
    return None


def type_refused(given: str, taken: tuple[str, ...]) -> Refusal | None:
    """Refuse a content type, in lower case and without parameters, that is not among these."""
    return None if given in taken else _wrong_type(given, " or ".join(taken))


def _wrong_type(given: str, wanted: str) -> Refusal:
    detail = f"content type {given[:80]!r} is not taken here: send {wanted}"
    return Refusal("unsupported_media_type", detail, 415)


def _unauthorized(given: bool) -> Answer:
    if given:
        code, detail = "key_invalid", "the key is unknown, expired or revoked"
    else:
        code = "key_missing"
        detail = "send Authorization: Bearer <key>; `stockbridge keys create` makes one"
    invalid = b', error="invalid_token"' if given else b""
    challenge = b'Bearer realm="stockbridge"' + invalid
    return refused(Refusal(code, detail, 401), ((b"www-authenticate", challenge),))


def _too_many(grant: Grant, wait_seconds: float) -> Answer:
    seconds = max(1, int(wait_seconds + 0.999))
    detail = (
        f"key {grant.key.key_id} may send {grant.key.requests_per_minute} requests a minute; "
        f"try again in {seconds} s"
    )
    retry = (b"retry-after", str(seconds).encode())
    return refused(Refusal("rate_limited", detail, 429), (retry,))


def refused(refusal: Refusal, headers: Headers = ()) -> Answer:
    """The answer of a refusal, as problem+json."""
    return Answer(refusal.status, msgspec.json.encode(refusal.problem()), PROBLEM, headers)


def _failed(call: Call, error: Exception) -> Answer:
    """The answer when something broke: try later for what may pass, 500 for our own defects."""
    if isinstance(error, Retry):
        return _unavailable(str(error), error.after_seconds)
    if isinstance(error, psycopg.OperationalError | PoolTimeout | ConnectionError):
        LOG.warning("http: database away", route=call.route.path, cause=str(error))
        return _unavailable("the database cannot be reached now", 1)
    if isinstance(error, psycopg.DataError):
        return refused(Refusal("invalid_request", f"a value cannot be stored: {error}"))
    LOG.error(
        "http: failed", route=call.route.path, correlation_id=call.correlation_id, exc_info=error
    )
    detail = f"a defect on our side; name correlation id {call.correlation_id} to your operator"
    return refused(Refusal("internal_error", detail, 500))


def _unavailable(detail: str, seconds: float) -> Answer:
    retry = (b"retry-after", str(max(1, round(seconds))).encode())
    return refused(Refusal("unavailable", detail, 503), (retry,))


def located(template: str, **values: str) -> tuple[bytes, bytes]:
    """A Location header; values are percent-encoded into the template."""
    quoted = {name: quote(value, safe="") for name, value in values.items()}
    return b"location", template.format(**quoted).encode()
