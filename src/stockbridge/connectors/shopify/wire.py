"""GraphQL over HTTP as Shopify speaks it: what an answer means, and what it says of limits."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stockbridge.connectors.kit.canonical import at
from stockbridge.connectors.kit.http import Http
from stockbridge.connectors.kit.outcomes import Failed, Reply
from stockbridge.connectors.shopify import mapping
from stockbridge.contracts.partners.model import LimitSeen

_SHOP_AWAY: Final[Mapping[int, str]] = {
    402: "the shop is frozen: its plan is not paid",
    404: "there is no such shop, or no such API version",
    423: "the shop is locked",
}
"""Answers about the shop, not about what was asked: nothing was done, and it may change."""


class Wire:
    """One shop's GraphQL endpoint."""

    def __init__(self, http: Http, url: str, version: str) -> None:
        self._http, self.version = http, version
        self._url = f"{url}/admin/api/{version}/graphql.json"
        http.limits = limit_seen

    async def read(self, operation: str, document: str, variables: Mapping[str, Any]) -> Any:
        """The data of a query."""
        return (await self.answer(operation, document, variables))[1]

    async def answer(
        self, operation: str, document: str, variables: Mapping[str, Any]
    ) -> tuple[Reply, Any]:
        """A query's reply and data; a lost one changed nothing, so it is never unknown."""
        try:
            return await self._call(operation, document, variables, "", is_idempotent=True)
        except Failed as error:
            if error.outcome.kind != "unknown":
                raise
            outcome = msgspec.structs.replace(error.outcome, kind="later")
            raise Failed(outcome, error.reply) from None

    async def all(
        self,
        operation: str,
        document: str,
        variables: Mapping[str, Any],
        path: tuple[str, ...],
        after: str | None = None,
    ) -> list[Any]:
        """Every node of the connection that stands at a path of the data, after a cursor."""
        found: list[Any] = []
        while True:
            data = await self.read(operation, document, {**variables, "after": after})
            found += at(data, *path, "nodes") or []
            after = at(data, *path, "pageInfo", "endCursor")
            if not at(data, *path, "pageInfo", "hasNextPage"):
                return found

    async def change(
        self,
        operation: str,
        document: str,
        variables: Mapping[str, Any],
        correlation_id: str = "",
        *,
        is_idempotent: bool = True,
    ) -> Any:
        """The data of a mutation; `is_idempotent`: it has a key, or sets what it says."""
        return (await self._call(
            operation, document, variables, correlation_id, is_idempotent=is_idempotent
        ))[1]  # fmt: skip

    async def _call(
        self,
        operation: str,
        document: str,
        variables: Mapping[str, Any],
        correlation_id: str,
        *,
        is_idempotent: bool,
    ) -> tuple[Reply, Any]:
        body = {"query": document, "operationName": name_of(document), "variables": variables}
        try:
            reply = await self._http.call(
                operation, "POST", self._url, json=body, is_idempotent=is_idempotent,
                correlation_id=correlation_id,
            )  # fmt: skip
        except Failed as error:
            away = _SHOP_AWAY.get(error.reply.status) if error.reply is not None else None
            if away is None:
                raise
            outcome = msgspec.structs.replace(error.outcome, kind="later", detail=away)
            raise Failed(outcome, error.reply) from None
        answer = reply.json()
        refused = mapping.refusal(answer, is_idempotent=is_idempotent)
        if refused is not None:
            raise Failed(refused, reply)
        return reply, answer["data"]


def name_of(document: str) -> str:
    """The name of a document's operation, which comes first in it."""
    return document.split("(", 1)[0].split("{", 1)[0].split()[1]


def limit_seen(_operation: str, reply: Reply) -> LimitSeen | None:
    """What throttleStatus says of the app's bucket in this shop."""
    try:
        answer = reply.json()
    except Failed:
        return None
    status = at(answer, "extensions", "cost", "throttleStatus")
    if not isinstance(status, dict):
        return None
    refused = mapping.refusal(answer, is_idempotent=True)
    is_throttled = refused is not None and refused.code == "throttled"
    return LimitSeen(
        "*",
        remaining=float(status["currentlyAvailable"]),
        capacity=float(status["maximumAvailable"]),
        per_second=float(status["restoreRate"]),
        wait_seconds=refused.after_seconds if refused is not None and is_throttled else None,
    )
