"""The shapes of the simulated shop's answers, and what its API refuses."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.responses import Response

from stockbridge.connectors.kit.canonical import at
from stockbridge.connectors.shopify.mapping import gid

KEYED: Final = frozenset({"Publish", "Activate", "RefundUnits"})
"""Mutations that want a key."""
_ROWS_MAX: Final = 250


def connection(rows: Sequence[Any], after: str | None, most: int) -> dict[str, Any]:
    """A page of a list, after a cursor."""
    begin = int(after or 0)
    page = list(rows[begin : begin + most])
    end = begin + len(page)
    return {"nodes": page, "pageInfo": {"hasNextPage": end < len(rows), "endCursor": str(end)}}


def work_view(work: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of a fulfillment order."""
    return [
        {"id": gid("FulfillmentOrderLineItem", row), "remainingQuantity": kept["remaining"],
         "lineItem": {"id": gid("LineItem", kept["line"])}}
        for row, kept in work["lines"].items()
    ]  # fmt: skip


def ship_fault(
    asked: Sequence[Any], works: Sequence[Any], taken: Sequence[tuple[Mapping[str, Any], int]]
) -> str:
    """Why fulfillments are refused."""
    if len(asked) != len(works):
        return "Fulfillment orders must be unique."
    if len({work["location"] for work in works}) > 1:
        return "All fulfillment orders must be assigned to the same location."
    if any(work["status"] not in ("OPEN", "IN_PROGRESS") for work in works):
        return "The fulfillment order is not in an open state."
    if any(quantity > row["remaining"] or quantity < 1 for row, quantity in taken):
        return "Invalid fulfillment order line item quantity requested."
    return ""


def runtime_fault(name: str, document: str, variables: Mapping[str, Any]) -> str:
    """What the schema leaves open, but the API asks for since 2026-04."""
    if name in KEYED and "@idempotent(key:" not in document:
        return "The @idempotent directive is required for this mutation."
    rows = at(variables, "input", "quantities") or []
    if len(rows) > _ROWS_MAX:
        return "The input array size is greater than the maximum allowed of 250."
    if any("changeFromQuantity" not in row for row in rows):
        return "changeFromQuantity must be given."
    return ""


def objects(value: Any) -> int:
    """What a query really cost: a point an object."""
    if isinstance(value, dict):
        return 1 + sum(map(objects, value.values()))
    return sum(map(objects, value)) if isinstance(value, list) else 0


def refused(code: str, message: str, cost: Mapping[str, Any]) -> Response:
    """Errors at HTTP 200."""
    found = [{"message": message, "extensions": {"code": code}}]
    body = {"errors": found, "extensions": {"cost": cost}}
    return Response(msgspec.json.encode(body), media_type="application/json")
