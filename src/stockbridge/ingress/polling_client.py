"""Fetches a page: one GET, no redirects, within limits of time and size."""

import asyncio
from email.message import Message
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from stockbridge.kernel.errors import Retry

PAGE_BYTES_MAX: Final = 32 * 1024 * 1024
TIMEOUT_SECONDS: Final = 30.0
_WAIT_SECONDS_MAX: Final = 3_600.0


class _NoRedirects(HTTPRedirectHandler):
    """A page is where its source says, or nowhere."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow nothing: the redirect becomes an error."""


_OPENER: Final[OpenerDirector] = build_opener(_NoRedirects())


async def fetch(url: str, headers: dict[str, str]) -> bytes:
    """The body of the page; raises Retry for whatever kept it away."""
    return await asyncio.to_thread(_fetch, url, headers)


def _fetch(url: str, headers: dict[str, str]) -> bytes:
    request = Request(url, headers={"Accept": "application/json", **headers})  # noqa: S310 - http(s) by its pattern
    try:
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read(PAGE_BYTES_MAX + 1)
    except HTTPError as error:
        error.close()
        wait = _seconds(error.headers.get("retry-after", ""))
        raise Retry(f"{url} answered {error.code}", wait) from None
    except (URLError, OSError, ValueError) as error:
        cause = getattr(error, "reason", error)
        raise Retry(f"{url} cannot be read: {cause}") from error
    if len(body) > PAGE_BYTES_MAX:
        raise Retry(f"{url} answered more than {PAGE_BYTES_MAX:,} bytes; ask for smaller pages")
    return body


def _seconds(text: str) -> float:
    return min(float(text), _WAIT_SECONDS_MAX) if text.isdigit() else 1.0
