"""Tryton's JSON-RPC: a session, the user's context, and what its errors mean."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stockbridge.connectors.kit.canonical import at
from stockbridge.connectors.kit.http import Fixed, Http
from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.connectors.kit.tokens import Token, Tokens
from stockbridge.contracts.partners.model import Opened, Outcome

_SESSION_SECONDS: Final = 86_400.0
"""A session that ended earlier is answered with 401 and renewed."""
_WARNINGS_MAX: Final = 10
_READS: Final = ("read", "search", "search_read", "search_count", "get_preferences")
_TRANSIENT: Final = ("ConcurrencyException", "LoginException")


class Rpc:
    """One user's calls. A call is one transaction there: an error means that nothing was done."""

    def __init__(self, opened: Opened, http: Http) -> None:
        self._url = f"{str(opened.config['url']).rstrip('/')}/rpc/"
        self._user, self._password = str(opened.config["user"]), opened.secrets["password"]
        self._http = http
        self._context: dict[str, Any] = {}
        self._user_id = 0
        http.auth = Tokens(http, self._login, prefix="Session ")

    async def model(
        self, operation: str, method: str, *params: Any, correlation_id: str = "", **context: Any
    ) -> Any:
        """Call `method` (`sale.sale.quote`) of a model; raises Failed.

        What Tryton only warns of is confirmed in the user's name, as a person would.
        """
        used = {**await self.context(operation), **context}
        for _ in range(_WARNINGS_MAX):
            try:
                return await self._call(operation, f"model.{method}", *params, used,
                                        correlation_id=correlation_id)  # fmt: skip
            except _Warned as warned:
                known = {"user": self._user_id, "name": warned.name, "always": False}
                await self._call("warning", "model.res.user.warning.create", [known], used)
        raise Failed(Outcome("rejected", "warnings", f"{method} warns again and again"))

    async def found(
        self,
        operation: str,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        *,
        limit: int | None = None,
        **context: Any,
    ) -> list[dict[str, Any]]:
        """Records that a domain finds, lowest id first."""
        order = [["id", "ASC"]]
        rows = await self.model(
            operation, f"{model}.search_read", list(domain), 0, limit, order, list(fields),
            **context,
        )  # fmt: skip
        return list(rows)

    async def context(self, operation: str) -> Mapping[str, Any]:
        """The user's preferences, its company among them, with which every call is made."""
        if not self._context:
            found = await self._call(operation, "model.res.user.get_preferences", True, {})
            self._context = dict(found)
        return self._context

    async def _call(
        self, operation: str, method: str, *params: Any, correlation_id: str = ""
    ) -> Any:
        is_read = method.rpartition(".")[2] in _READS
        reply = await self._http.call(
            operation, "POST", self._url, is_idempotent=is_read, correlation_id=correlation_id,
            json={"id": 1, "method": method, "params": list(params)},
        )  # fmt: skip
        return _result(reply.json(), method)

    async def _login(self) -> Token:
        body = {
            "id": 0,
            "method": "common.db.login",
            "params": [self._user, {"password": self._password}, "en"],
        }
        try:
            reply = await self._http.call(
                "login", "POST", self._url, json=body, auth=Fixed({}), is_idempotent=True
            )
            session = _result(reply.json(), "common.db.login")
        except Failed as error:
            said = error.outcome
            code = "no_database" if said.kind == "rejected" else said.code
            told = Outcome("later", code, f"no session: {said.detail}",
                           after_seconds=said.after_seconds)  # fmt: skip
            raise Failed(told, error.reply) from None
        if not isinstance(session, list) or len(session) < 2:  # noqa: PLR2004 - user and session
            raise Failed(Outcome("later", "no_session", "the login gave no session"))
        self._user_id = int(session[0])
        text = f"{self._user}:{session[0]}:{session[1]}"
        self._http.scrub.add(str(session[1]))
        return Token(base64.b64encode(text.encode()).decode(), _SESSION_SECONDS)


class _Warned(Exception):
    """Tryton asks whether its user is sure."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _result(answer: Any, method: str) -> Any:
    """The result of an answer; an error was rolled back there."""
    error = at(answer, "error")
    if error is None:
        if not isinstance(answer, dict) or "result" not in answer:
            raise Failed(Outcome("unknown", "unreadable", f"{method}: no JSON-RPC answer"))
        return answer["result"]
    kind, said = str(at(error, 0)), at(error, 1)
    text = str(at(said, 0) if isinstance(said, list) else said or kind)[:300]
    if kind == "UserWarning":
        raise _Warned(text)
    if kind == "UserError":
        raise Failed(Outcome("rejected", "user_error", text))
    if kind in _TRANSIENT:
        raise Failed(Outcome("later", "concurrency", text))
    raise Failed(Outcome("later", "server_error", f"{method}: {kind[:300]}"))
