"""OAuth 2 access tokens: one fetch for all who wait, renewed before they end and after a 401."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from stockbridge.connectors.kit.http import Fixed, Http
from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.connectors.kit.signing import basic
from stockbridge.contracts.partners.model import Outcome

EARLY_SECONDS: Final = 60.0
_LIFE_SECONDS: Final = 3_600.0


class Token(NamedTuple):
    """An access token and how long it is good for."""

    value: str
    seconds: float


class Tokens:
    """Credentials by a token: set as `http.auth`. `fetch` asks the partner for a new one."""

    def __init__(
        self,
        http: Http,
        fetch: Callable[[], Awaitable[Token]],
        *,
        header: str = "Authorization",
        prefix: str = "Bearer ",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http, self._fetch = http, fetch
        self._header, self._prefix = header, prefix
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value, self._until = "", 0.0

    async def headers(self) -> Mapping[str, str]:
        """The header with a token that is good for a while; raises Failed."""
        if self._clock() >= self._until:
            async with self._lock:
                if self._clock() >= self._until:
                    await self._renew()
        return {self._header: f"{self._prefix}{self._value}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Drop the token that was refused, unless a newer one is there already."""
        if refused.get(self._header) == f"{self._prefix}{self._value}":
            self._until = 0.0
        return True

    async def _renew(self) -> None:
        token = await self._fetch()
        self._http.scrub.add(token.value)
        early = min(EARLY_SECONDS, token.seconds / 2)
        self._value, self._until = token.value, self._clock() + token.seconds - early


def oauth(
    http: Http,
    url: str,
    form: Mapping[str, str],
    *,
    client: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Callable[[], Awaitable[Token]]:
    """A fetch for Tokens: the form posted to a token endpoint, `client` as Basic credentials."""

    async def fetch() -> Token:
        auth = Fixed({"Authorization": basic(*client)} if client else {})
        try:
            reply = await http.call(
                "token", "POST", url, form=form, headers=headers, auth=auth, is_idempotent=True
            )
        except Failed as error:
            raise _refused(error) from None
        said = reply.json()
        value = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(value, str) or not value:
            raise Failed(Outcome("later", "no_token", "the token endpoint gave no access_token"))
        try:
            seconds = float(said.get("expires_in") or _LIFE_SECONDS)
        except (TypeError, ValueError):
            seconds = _LIFE_SECONDS
        return Token(value, seconds)

    return fetch


def _refused(error: Failed) -> Failed:
    """Without a token nothing was sent, whatever kept it away; refused credentials are named."""
    outcome = error.outcome
    code = "unauthorized" if outcome.kind == "rejected" else outcome.code
    told = Outcome(
        "later", code, f"no token: {outcome.detail}", after_seconds=outcome.after_seconds
    )
    return Failed(told, error.reply)
