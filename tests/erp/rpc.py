"""Tryton's JSON-RPC for tests, apart from the connector that is tested with it."""

import base64
import json
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

SECONDS_MAX = 120.0


class Rpc:
    """One user's session; `url` is the server and its database."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = f"{url}/rpc/"
        self._headers = {"Content-Type": "application/json"}
        self.context: dict[str, Any] = {}
        session = self.raw("common.db.login", user, {"password": password}, "en")
        token = base64.b64encode(f"{user}:{session[0]}:{session[1]}".encode()).decode()
        self._headers["Authorization"] = f"Session {token}"
        self.renew()

    def renew(self) -> None:
        """Read the user's preferences anew: every call is made with them."""
        self.context = self.raw("model.res.user.get_preferences", True, {})

    def raw(self, method: str, *params: Any) -> Any:
        """Call a method of the server."""
        said = {"id": 1, "method": method, "params": list(params)}
        body = json.dumps(said, default=_written).encode()
        request = urllib.request.Request(self.url, body, self._headers)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as reply:  # noqa: S310
            answer = json.loads(reply.read())
        if "error" in answer:
            raise RuntimeError(f"{method}: {str(answer['error'])[:500]}")
        return answer["result"]

    def model(self, method: str, *params: Any, **context: Any) -> Any:
        """Call a method of a model."""
        return self.raw(f"model.{method}", *params, {**self.context, **context})

    def make(self, model: str, **values: Any) -> int:
        """Create a record; its id."""
        return int(self.model(f"{model}.create", [values])[0])

    def rows(self, model: str, *domain: Any, fields: list[str], **context: Any) -> list[Any]:
        """Records that a domain finds, lowest id first."""
        order = [["id", "ASC"]]
        return list(
            self.model(f"{model}.search_read", list(domain), 0, None, order, fields, **context)
        )

    def one(self, model: str, *domain: Any) -> int:
        """The id of the first record that a domain finds."""
        return int(self.rows(model, *domain, fields=["id"])[0]["id"])


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    raise TypeError(repr(value))
