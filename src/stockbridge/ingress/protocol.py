"""HTTP/1.1 by uvicorn, with a short way for requests that are answered at once.

An ASGI call costs a task, an event, a dictionary and two writes before the application does
anything. Where the application can answer a GET from memory, it is asked directly when the
request's head has been read, and the answer goes out in one write. Everything else, and whatever
is unusual about a request, goes through ASGI; an application may still hand its answer over whole
(`WHOLE` among the scope's extensions), because each write is a system call.
"""

from typing import Any, Final, Protocol, cast, runtime_checkable

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

WHOLE: Final = "stockbridge.whole"
"""The extension: `(status, headers and body as sent) -> bool`, False when `send` is to be used."""


@runtime_checkable
class AnswersAtOnce(Protocol):
    """An application that can answer some requests without waiting for anything."""

    def at_once(self, target: bytes, headers: dict[bytes, bytes]) -> tuple[int, bytes] | None:
        """Status, and headers and body as sent, of the answer to a GET; None: ask by ASGI."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app: object = self.config.app
        self._at_once = app.at_once if isinstance(app, AnswersAtOnce) else None
        self._answer: tuple[int, bytes] | None = None
        self._running: RequestResponseCycle | None = None
        self._extensions: dict[str, Any] = {WHOLE: self._send_whole}

    def on_headers_complete(self) -> None:
        """Answer at once, or begin an ASGI call."""
        self._answer = self._ask()
        if self._answer is None:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Send what was answered at once."""
        if self._answer is None:
            super().on_message_complete()
            return
        self._write(*self._answer)
        self._answer = None
        self.on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # Only one call of a connection runs at a time: the others wait in `pipeline`.
        self._running = cycle
        cast("dict[str, Any]", cycle.scope)["extensions"] = self._extensions
        super()._start_asgi_task(cycle, app)

    def _send_whole(self, status: int, rest: bytes) -> bool:
        """What two calls of the running cycle's `send` do, in one write."""
        cycle = self._running
        if cycle is None or not cycle.keep_alive or cycle.response_started:
            return False
        if cycle.disconnected or self.flow.write_paused or cycle.scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        self._write(status, rest)
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _write(self, status: int, rest: bytes) -> None:
        head = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            head += (name, b": ", value, b"\r\n")
        self.transport.write(b"".join((*head, rest)))

    def _ask(self) -> tuple[int, bytes] | None:
        """The application's answer to a plain GET with nothing unanswered before it."""
        parser = self.parser
        last = cast("RequestResponseCycle | None", self.cycle)
        if (
            self._at_once is None
            or parser.get_method() != b"GET"
            or (last is not None and not last.response_complete)
            or self.flow.write_paused
            or self.transport.is_closing()
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or parser.get_http_version() != "1.1"
        ):
            return None
        headers = dict(self.headers)
        if b"content-length" in headers or b"transfer-encoding" in headers:
            return None
        return self._at_once(self.url, headers)
