"""The HTTP server: uvicorn on a socket of ours, stopped by us and not by signals."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from stockbridge.ingress.protocol import HttpProtocol
from stockbridge.kernel.errors import Misconfigured

_GRACE_SECONDS = 5
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises Misconfigured when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno else str(error)
        raise Misconfigured(
            f"cannot listen on {host} port {port}: {cause}; stop what uses it, "
            "or choose another with --port, --host (STOCKBRIDGE_PORT, STOCKBRIDGE_HOST)"
        ) from error


class HttpServer(uvicorn.Server):
    """Serves `app` on `sock`; sets `closing` when it begins to stop, so that streams end.

    An application with a method `at_once` is asked it first; see `HttpProtocol`.
    """

    def __init__(self, app: ASGIApp, sock: socket.socket, closing: asyncio.Event) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._sock = sock
        self._closing = closing
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._sock.getsockname()[:2]
        return str(host), int(port)

    async def begin(self) -> asyncio.Task[None]:
        """Serve in the background; the task ends when the server has stopped."""
        self._task = asyncio.create_task(self.serve(sockets=[self._sock]), name="http")
        while not self.started and not self._task.done():  # noqa: ASYNC110 - uvicorn sets a flag
            await asyncio.sleep(0.01)
        return self._task

    async def end(self) -> None:
        """Stop taking connections, let answers finish for a few seconds, then close."""
        self._closing.set()
        self.should_exit = True
        if self._task is not None:
            await self._task
