"""What a partner's HTTP answer means for what was asked of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import msgspec

from stockbridge.contracts.partners.model import Outcome
from stockbridge.kernel.errors import Retry

WAIT_SECONDS_MAX: Final = 86_400.0
_UNAVAILABLE: Final = 503
_NOT_DONE: Final[Mapping[int, str]] = {
    401: "unauthorized",
    403: "forbidden",
    408: "request_timeout",
    425: "too_early",
    429: "throttled",
}
"""Answers that promise nothing was done, and may change: a secret is replaced, a budget refills."""
_REDIRECTS: Final = range(300, 400)
_SERVER_ERRORS: Final = range(500, 600)


class Reply(msgspec.Struct, frozen=True):
    """An answer: header names in lower case, the body within the size limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own figures

    def json(self) -> Any:
        """The body as JSON; raises Failed (unknown: something was answered, but not this)."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            detail = f"answered {self.status} with a body that is no JSON"
            raise Failed(Outcome("unknown", "unreadable", detail), self) from None


class Failed(Retry):
    """A call that did not succeed: `outcome` says what that means, `reply` what was answered.

    The guard around every connector turns it into the outcome; a feed lets it through as the
    Retry that it is.
    """

    def __init__(self, outcome: Outcome, reply: Reply | None = None) -> None:
        wait = outcome.after_seconds
        super().__init__(f"{outcome.code}: {outcome.detail}", 1.0 if wait is None else wait)
        self.outcome = outcome
        self.reply = reply


def judge(reply: Reply, now: datetime, *, is_idempotent: bool) -> Outcome | None:
    """What an answer means; None: it is good.

    Redirects are not followed and change nothing. A server's error after taking an idempotent
    call may be sent again; after another one nobody knows.
    """
    status, wait = reply.status, wait_seconds(reply.headers, now)
    if reply.is_good:
        return None
    if status in _REDIRECTS:
        where = reply.headers.get("location", "nowhere")[:200]
        return Outcome("later", "redirected", f"redirects to {where}; configure that address")
    if status in _NOT_DONE:
        return Outcome("later", _NOT_DONE[status], f"answered {status}", after_seconds=wait)
    if status == _UNAVAILABLE and wait is not None:
        return Outcome("later", "unavailable", "answered 503", after_seconds=wait)
    if status in _SERVER_ERRORS:
        code, detail = f"http_{status}", f"answered {status}"
        return Outcome("later" if is_idempotent else "unknown", code, detail, after_seconds=wait)
    return Outcome("rejected", f"http_{status}", f"answered {status}")


def wait_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that Retry-After asks for, as a number or a date (by the partner's own clock)."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, min(float(text), WAIT_SECONDS_MAX))
    except ValueError:
        pass
    until = _http_date(text)
    if until is None:
        return None
    theirs = _http_date(headers.get("date", "")) or now
    return max(0.0, min((until - theirs).total_seconds(), WAIT_SECONDS_MAX))


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


Row = TypeVar("Row")


async def each(rows: Sequence[Row], call: Callable[[Row], Awaitable[Outcome]]) -> Sequence[Outcome]:
    """One call a row, one after the other; a row that fails does not end the others."""
    found: list[Outcome] = []
    for row in rows:
        try:
            found.append(await call(row))
        except Failed as error:
            found.append(error.outcome)
    return found
