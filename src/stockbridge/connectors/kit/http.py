"""HTTP towards one partner: only its hosts, within limits, every failure told apart.

What failed before a byte was sent may be sent again; what failed afterwards is unknown. Secrets
never reach a log, an exception or an outcome.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Protocol

import aiohttp
import msgspec
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from stockbridge.connectors.kit.hosts import Origin, is_inside, is_loopback_name, origins
from stockbridge.connectors.kit.outcomes import Failed, Reply, judge
from stockbridge.connectors.kit.scrubbing import Scrubber
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import LimitSeen, Opened, Outcome
from stockbridge.kernel.errors import Misconfigured

BODY_BYTES_MAX: Final = 32 * 1024 * 1024
CONNECT_SECONDS_MAX: Final = 10.0
_READS: Final = frozenset({"GET", "HEAD"})
_CHUNK_BYTES: Final = 256 * 1024
_UNAUTHORIZED: Final = 401
_DETAIL_CHARACTERS: Final = 300
_KEEP_ALIVE_SECONDS: Final = 15.0
_HEX: Final = frozenset("0123456789abcdef")
_TRACE_CHARACTERS: Final = 32
_log = structlog.get_logger(__name__)


class Auth(Protocol):
    """Puts credentials on calls."""

    async def headers(self) -> Mapping[str, str]:
        """What to send; may fetch a token, raises Failed."""

    def renew(self, refused: Mapping[str, str]) -> bool:
        """The partner answered 401 to these headers; tells whether another try makes sense."""


class Fixed:
    """Credentials that do not change while the connection is open."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    async def headers(self) -> Mapping[str, str]:
        """The same each time."""
        return self._headers

    def renew(self, refused: Mapping[str, str]) -> bool:
        """There is nothing to renew."""
        del refused
        return False


class Http:
    """One system's calls. `auth` goes on every call; `limits` reads what answers say of limits."""

    def __init__(
        self, manifest: Manifest, opened: Opened, *, timeout_seconds: float | None = None
    ) -> None:
        self.auth: Auth = Fixed({})
        self.limits: Callable[[str, Reply], LimitSeen | None] | None = None
        self.scrub = Scrubber(opened.secrets.values())
        self._origins = origins(manifest, opened.config)
        self._opened = opened
        self._name = manifest.name
        self._at_once = manifest.concurrency
        self._timeout_seconds = timeout_seconds or manifest.timeout_seconds
        self._timeout = _timeout(self._timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give the connections back."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        is_idempotent: bool | None = None,
        auth: Auth | None = None,
        correlation_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Reply:
        """Make a call and give its good answer; raises Failed for everything else.

        `operation` is the manifest's name of what is done. One of `json`, `form`, `body` is sent.
        Reads are idempotent; what else is, the caller says. A 401 is tried once more when the
        credentials can be renewed.
        """
        at = self._checked(url, params)
        is_read = method in _READS
        is_safe = is_read if is_idempotent is None else is_idempotent
        payload, kind = _payload(json, form, body)
        used = self.auth if auth is None else auth
        for is_last in (False, True):
            credentials = await used.headers()
            sent = {**_common(correlation_id, kind), **(headers or {}), **credentials}
            reply = await self._send(operation, method, at, sent, payload, is_read, timeout_seconds)
            if reply.status != _UNAUTHORIZED or is_last or not used.renew(credentials):
                break
        self._hear(operation, reply)
        failed = judge(reply, datetime.now(UTC), is_idempotent=is_safe)
        if failed is not None:
            said = self.scrub(reply.body[:_DETAIL_CHARACTERS].decode("utf-8", "replace"))
            detail = f"{failed.detail}: {said}" if said else failed.detail
            raise Failed(msgspec.structs.replace(failed, detail=self.scrub(detail)), reply)
        return reply

    def _checked(self, url: str, params: Mapping[str, str] | None) -> URL:
        at = URL(url)
        origin = Origin(at.scheme, (at.host or "").lower(), at.port or 0)
        if origin not in self._origins or at.user is not None or at.password is not None:
            allowed = ", ".join(sorted(map(str, self._origins))) or "none"
            raise Misconfigured(f"{self._name} may not call {origin}; its hosts are {allowed}")
        return at.update_query(params) if params else at

    async def _send(
        self,
        operation: str,
        method: str,
        at: URL,
        headers: Mapping[str, str],
        payload: bytes | None,
        is_read: bool,
        timeout_seconds: float | None,
    ) -> Reply:
        """Send it; a read that met a connection the partner had just closed is sent again."""
        timeout = _timeout(timeout_seconds) if timeout_seconds else self._timeout
        began = time.monotonic()
        for is_last in (not is_read, True):
            try:
                async with self._open().request(
                    method, at, data=payload, headers=headers, timeout=timeout,
                    allow_redirects=False,
                ) as response:  # fmt: skip
                    reply = await _read(response)
                break
            except aiohttp.ServerDisconnectedError as error:
                if is_last:
                    raise self._failed(error, is_read) from None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._failed(error, is_read) from None
        _log.debug(
            "partner called", system=self._opened.system, operation=operation, method=method,
            host=at.host, path=self.scrub(at.path), status=reply.status,
            seconds=round(time.monotonic() - began, 4),
        )  # fmt: skip
        return reply

    def _failed(self, error: Exception, is_read: bool) -> Failed:
        outcome = unreached(error, is_read)
        return Failed(msgspec.structs.replace(outcome, detail=self.scrub(outcome.detail)))

    def _hear(self, operation: str, reply: Reply) -> None:
        hear = self._opened.hear_limit
        if hear is None:
            return
        seen = None
        if self.limits is not None:
            try:
                seen = self.limits(operation, reply)
            except ValueError:
                _log.warning("limits unreadable", system=self._opened.system, operation=operation)
        if seen is None:
            outcome = judge(reply, datetime.now(UTC), is_idempotent=True)
            if outcome is None or outcome.code not in ("throttled", "unavailable"):
                return
            seen = LimitSeen(operation, wait_seconds=outcome.after_seconds)
        hear(seen)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            inside = any(is_loopback_name(origin.host) for origin in self._origins)
            connector = aiohttp.TCPConnector(
                limit=self._at_once * 2, resolver=_Resolver(self._origins if inside else ()),
                keepalive_timeout=_KEEP_ALIVE_SECONDS,
            )  # fmt: skip
            self._session = aiohttp.ClientSession(
                connector=connector, trust_env=False, auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )  # fmt: skip
            # Otherwise a PUT whose connection broke would be sent again unseen.
            self._session._retry_connection = False  # noqa: SLF001
        return self._session


def unreached(error: Exception, is_read: bool) -> Outcome:
    """What a failure without an answer means: nothing was sent, or nobody knows."""
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return Outcome("later", "tls", f"no secure connection: {error}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Outcome("later", "dns", f"{error.host} leads nowhere: {error.os_error}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Outcome("later", "connect_timeout", "no connection in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Outcome("later", "unreachable", f"{error.host}:{error.port} cannot be reached")
    if isinstance(error, aiohttp.InvalidURL):
        return Outcome("later", "bad_address", f"{name}: {error}")
    code = "timeout" if isinstance(error, TimeoutError) else "connection_lost"
    if isinstance(error, _TooLarge):
        code = "too_large"
    return Outcome("later" if is_read else "unknown", code, f"no answer: {name}")


class _TooLarge(aiohttp.ClientError):
    """The answer exceeds the limit."""


async def _read(response: aiohttp.ClientResponse) -> Reply:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise _TooLarge
        chunks.append(chunk)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, headers, b"".join(chunks))


def _payload(
    json: Any, form: Mapping[str, str] | None, body: bytes | None
) -> tuple[bytes | None, str]:
    if json is not None:
        return msgspec.json.encode(json), "application/json"
    if form is not None:
        return URL.build(query=form).raw_query_string.encode(), "application/x-www-form-urlencoded"
    return body, ""


def _common(correlation_id: str, content_type: str) -> dict[str, str]:
    found = {"Accept": "application/json", "User-Agent": "Stockbridge/0.1"}
    if content_type:
        found["Content-Type"] = content_type
    if correlation_id:
        found["X-Correlation-Id"] = correlation_id
        found["traceparent"] = traceparent(correlation_id)
    return found


def traceparent(correlation_id: str) -> str:
    """W3C trace context: the trace is the correlation id, or made of it; the span is new."""
    is_trace = len(correlation_id) == _TRACE_CHARACTERS and _HEX.issuperset(correlation_id)
    trace = correlation_id if is_trace else sha256(correlation_id.encode()).hexdigest()[:32]
    return f"00-{trace}-{os.urandom(8).hex()}-01"


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    connect = min(CONNECT_SECONDS_MAX, seconds / 2)
    return aiohttp.ClientTimeout(total=seconds, connect=connect, sock_connect=connect)


class _Resolver(AbstractResolver):
    """Names as the system resolves them, but never this machine unless that is configured."""

    def __init__(self, configured: frozenset[Origin] | tuple[()]) -> None:
        self._inside = {origin.host for origin in configured if is_loopback_name(origin.host)}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
        )
        results = [
            ResolveResult(
                hostname=host, host=str(address[0]), port=int(address[1]), family=kind,
                proto=protocol, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _type, protocol, _canonical, address in found
            if host in self._inside or not is_inside(str(address[0]))
        ]  # fmt: skip
        if not results:
            raise OSError(f"{host} has only addresses inside this machine, which is not configured")
        return results

    async def close(self) -> None:
        """Nothing is kept."""
