"""The ASGI application: every route of the table, behind one entrance.

The hot calls are recognised by a few comparisons and skip the router; they run the same
`Endpoint` as all others, so access, limits, metrics and errors are the same. One of them, the
look-up of an item, is answered at once where memory suffices.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any
from urllib.parse import unquote

from starlette.routing import Route as Path
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stockbridge.ingress.call import Call, Hub, Route
from stockbridge.ingress.endpoint import Endpoint, correlate_anew, refused
from stockbridge.ingress.metrics import RequestMetrics
from stockbridge.ingress.wire import send_answer
from stockbridge.kernel.errors import Refusal

# Stands for an escaped slash while Starlette routes on the decoded path; no text contains it.
_SLASH = "\ue000"
_ONE = "/v1/availability/"
_ONE_BYTES = _ONE.encode()
# What means the same as a path's segment, as text and as bytes.
_PLAIN = re.compile(rb"[\w.~!$&'()*+,;=:@-]+").fullmatch


class Methods:
    """The endpoints of one path by method; answers 405 for the others."""

    def __init__(self, endpoints: dict[str, Endpoint]) -> None:
        self.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the endpoint of its method."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        endpoint = self.endpoints.get(method)
        if "path_params" in scope:
            params = scope["path_params"].items()
            scope["path_params"] = {name: value.replace(_SLASH, "/") for name, value in params}
        if endpoint is not None:
            await endpoint(scope, receive, send)
            return
        allowed = ", ".join(sorted(self.endpoints))
        detail = f"{scope['method']} is not possible here; possible: {allowed}"
        some = next(iter(self.endpoints.values()))
        refusal = Refusal("method_not_allowed", detail, 405)
        await _refuse(some, refusal, (b"allow", allowed.encode()), scope, receive, send)


async def _refuse(
    endpoint: Endpoint,
    refusal: Refusal,
    header: tuple[bytes, bytes] | None,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    call = Call(endpoint.hub, endpoint.route, {}, {}, receive)
    call.correlation_id, call.traceparent = correlate_anew()
    answer = refused(refusal, (header,) if header else ())
    await send_answer(answer, call, scope, receive, send)
    endpoint.metrics.observe("*", "unmatched", answer.status, 0.0)


class Api:
    """The application of one process; `hub` holds its services."""

    def __init__(self, hub: Hub, routes: Iterable[Route], metrics: RequestMetrics) -> None:
        paths: dict[str, dict[str, Endpoint]] = defaultdict(dict)
        for route in routes:
            paths[route.path][route.method] = Endpoint(hub, route, metrics)
        some = next(iter(next(iter(paths.values())).values()))
        self._hot = {
            (method, path): endpoint
            for path, methods in paths.items()
            for method, endpoint in methods.items()
            if endpoint.route.hot
        }
        self._one = self._hot[("GET", "/v1/availability/{sku}")]
        # Fixed segments before parameters, so that /availability/query is not taken for a SKU.
        ordered = sorted(paths, key=lambda path: [part.startswith("{") for part in path.split("/")])
        self._router = Router(
            routes=[Path(path, _application(Methods(paths[path]))) for path in ordered],
            redirect_slashes=False,
            default=partial(_not_found, some),
        )

    def at_once(self, target: bytes, headers: dict[bytes, bytes]) -> tuple[int, bytes] | None:
        """Status and rest of the answer to a GET, if memory suffices for it; else None."""
        if not target.startswith(_ONE_BYTES):
            return None
        path, _, query = target.partition(b"?")
        sku = path[len(_ONE_BYTES) :]
        if not sku or sku == b"stream" or not _PLAIN(sku) or b"#" in query:
            return None
        call = Call(self._one.hub, self._one.route, headers, {"sku": sku.decode()}, _nothing)
        return self._one.at_once(call, query)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request; lifespan and websockets are not ours."""
        if scope["type"] != "http":
            return
        method, path, raw = scope["method"], scope["path"], scope.get("raw_path") or b""
        if b"%" in raw and _unescape(scope, raw):
            await self._router(scope, receive, send)
            return
        endpoint = self._hot.get((method, path))
        if endpoint is None and method == "GET" and path.startswith(_ONE):
            sku = path[len(_ONE) :]
            if sku and "/" not in sku and sku != "stream":
                endpoint = self._one
                scope["path_params"] = {"sku": sku}
        if endpoint is not None:
            await endpoint(scope, receive, send)
            return
        await self._router(scope, receive, send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _unescape(scope: Scope, raw: bytes) -> bool:
    """Keep escaped slashes inside their segment; tells whether the path needs the router."""
    upper = raw.upper()
    if b"%00" in upper:
        scope["path"] = "/nul"
    elif b"%2F" in upper:
        escaped = raw.replace(b"%2f", b"%2F").replace(b"%2F", b"%EE%80%80")
        scope["path"] = unquote(escaped.decode("ascii", "replace"))
    else:
        return False
    return True


def _application(methods: Methods) -> Any:
    # Starlette takes an object that is no function for an ASGI application as it is.
    application: ASGIApp = methods
    return application


async def _not_found(some: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
    detail = f"nothing at {scope['path'][:200]}; GET /openapi.json lists what there is"
    await _refuse(some, Refusal("not_found", detail, 404), None, scope, receive, send)
