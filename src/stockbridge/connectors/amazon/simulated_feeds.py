"""Amazon's feeds on loopback: documents in a store of their own, feeds that take their time."""

import gzip
import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.amazon.mapping import LISTINGS_FEED
from stockbridge.connectors.kit.canonical import rfc3339
from stockbridge.connectors.kit.simulator import Clock

_WINDOW_SECONDS: Final = 300
_FEEDS_MAX: Final = 5
_HIDDEN: Final = ("at", "document")


class SimulatedFeeds:
    """`works` does what a feed of a type asks, and gives its report."""

    def __init__(
        self, clock: Clock, url: Callable[[], str], works: Mapping[str, Callable[[bytes], str]]
    ) -> None:
        self._clock, self._url, self._works = clock, url, works
        self._numbers = itertools.count(50_000_000_001)
        self._documents: dict[str, bytes] = {}
        self._feeds: dict[str, dict[str, Any]] = {}
        self.take_time = False
        """Work acknowledgement feeds only when they settle, as feeds of listings."""

    def settle(self) -> None:
        """Work all that wait."""
        for feed in self._feeds.values():
            self._work(feed)

    async def document(self, request: Request) -> Response:
        """A document to upload to."""
        del request
        name = f"amzn1.tortuga.4.na.{os.urandom(8).hex()}"
        self._documents[name] = b""
        return JSONResponse({"feedDocumentId": name, "url": self._signed(name)}, 201)

    def _signed(self, name: str) -> str:
        return f"{self._url()}/documents/{name}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=300"

    async def upload(self, request: Request) -> Response:
        """To a store that refuses what carries other credentials than the address."""
        if "x-amz-access-token" in request.headers or "X-Amz-Expires" not in request.query_params:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        self._documents[request.path_params["name"]] = await request.body()
        return Response(status_code=200)

    async def download(self, request: Request) -> Response:
        """What the store has."""
        return Response(self._documents[request.path_params["name"]])

    async def told(self, request: Request) -> Response:
        """Where a report is."""
        name = request.path_params["name"]
        return JSONResponse(
            {"feedDocumentId": name, "url": self._signed(name), "compressionAlgorithm": "GZIP"}
        )

    async def create(self, request: Request) -> Response:
        """Five feeds of listings in five minutes."""
        asked = await request.json()
        kind = asked["feedType"]
        if not self._documents.get(asked["inputFeedDocumentId"]):
            return errors(400, "InvalidInput", "The document is empty.")
        since = self._clock.time() - _WINDOW_SECONDS
        lately = [f for f in self._feeds.values() if f["feedType"] == kind and f["at"] > since]
        if kind == LISTINGS_FEED and len(lately) >= _FEEDS_MAX:
            return errors(429, "QuotaExceeded", "You exceeded your quota")
        number = str(next(self._numbers))
        feed = {
            "feedId": number, "feedType": kind, "at": self._clock.time(),
            "createdTime": rfc3339(self._clock.now()), "processingStatus": "IN_QUEUE",
            "document": asked["inputFeedDocumentId"],
        }  # fmt: skip
        self._feeds[number] = feed
        if kind != LISTINGS_FEED and not self.take_time:
            self._work(feed)
        return JSONResponse({"feedId": number}, 202)

    async def show(self, request: Request) -> Response:
        """How far a feed is."""
        feed = self._feeds.get(request.path_params["feed"])
        if feed is None:
            return errors(404, "NotFound", "no such feed")
        return JSONResponse({name: v for name, v in feed.items() if name not in _HIDDEN})

    def _work(self, feed: dict[str, Any]) -> None:
        if feed["processingStatus"] != "IN_QUEUE":
            return
        said = self._works[feed["feedType"]](self._documents[feed["document"]])
        report = f"amzn1.tortuga.4.na.report-{feed['feedId']}"
        self._documents[report] = gzip.compress(said.encode())
        feed |= {"processingStatus": "DONE", "resultFeedDocumentId": report,
                 "processingEndTime": rfc3339(self._clock.now())}  # fmt: skip


def errors(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    details: str = "",
) -> Response:
    """How the API refuses."""
    error = {"code": code, "message": message, "details": details}
    return JSONResponse({"errors": [error]}, status, dict(headers or {}))
