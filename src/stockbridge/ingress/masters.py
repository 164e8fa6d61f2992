"""Master data: put, get and list items, locations, channels, systems, policies, reasons."""

from typing import Any

import msgspec

from stockbridge.contracts.base import Code, Shape, Sku
from stockbridge.contracts.commands import SetFences, SetSafetyStock
from stockbridge.contracts.masters import (
    PutChannel,
    PutItem,
    PutLocation,
    PutPolicy,
    PutReasonCode,
)
from stockbridge.ingress import answers
from stockbridge.ingress.call import Answer, Call, Handler, Route, answer_json
from stockbridge.ingress.commands import own_channel, submit
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
MASTERS_SQL = load("stockbridge.domain.masters")
WRITE = ("master:write",)
READ = ("ops:read", "master:write")


class ItemsQuery(PageQuery, frozen=True):
    """Items whose SKU starts with `prefix`, in a `status`."""

    prefix: Sku | None = None
    status: str | None = None


class PoliciesQuery(PageQuery, frozen=True):
    """Policy versions of a channel, or of one item."""

    channel: Code | None = None
    sku: Sku | None = None


async def _document(call: Call, statement: bytes, what: str, name: str) -> Answer | Refusal:
    """One record as PostgreSQL builds it, by its natural key; 404 names it."""
    key = {"sku" if what == "item" else "code": name}
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(statement, key)).fetchone()
    if row is None:
        return Refusal(f"unknown_{what}", f"{what.replace('_', ' ')} {name} does not exist", 404)
    return answer_json(row[0])


async def get_item(call: Call) -> Answer | Refusal:
    """An item with its units, aliases and components."""
    return await _document(call, MASTERS_SQL.item_document, "item", call.path["sku"])


async def get_location(call: Call) -> Answer | Refusal:
    """A location."""
    return await _document(call, MASTERS_SQL.location_document, "location", call.path["code"])


async def get_channel(call: Call) -> Answer | Refusal:
    """A channel."""
    code = call.path["code"]
    barred = own_channel(call, code)
    return barred or await _document(call, MASTERS_SQL.channel_document, "channel", code)


async def get_reason_code(call: Call) -> Answer | Refusal:
    """A reason code."""
    statement = MASTERS_SQL.reason_code_document
    return await _document(call, statement, "reason_code", call.path["code"])


async def get_policy(call: Call) -> Answer | Refusal:
    """The version in force of a channel's policy, or of one item's on it."""
    key = {"channel": call.path["channel"], "sku": call.path.get("sku")}
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(SQL.policy_document, key)).fetchone()
    if row is None:
        of = f"item {key['sku']} on " if key["sku"] else ""
        return Refusal("unknown_policy", f"{of}channel {key['channel']} has no policy", 404)
    return Answer(200, row[0].encode())


async def list_items(call: Call) -> Answer | Refusal:
    """Items by SKU."""
    query = call.query
    return await page(call, SQL.items_page, number=False, prefix=query.prefix, status=query.status)


async def list_locations(call: Call) -> Answer | Refusal:
    """Locations by code."""
    return await page(call, SQL.locations_page, number=False)


async def list_channels(call: Call) -> Answer | Refusal:
    """Channels by code; a bound key sees its own."""
    own = call.key.channels
    return await page(
        call, SQL.channels_page, number=False, own=None if own is None else sorted(own)
    )


async def list_reason_codes(call: Call) -> Answer | Refusal:
    """Reason codes."""
    return await page(call, SQL.reason_codes_page, number=False)


async def list_policies(call: Call) -> Answer | Refusal:
    """Policy versions, newest first."""
    query = call.query
    return await page(call, SQL.policies_page, number=True, channel=query.channel, sku=query.sku)


async def get_fences(call: Call) -> Answer | Refusal:
    """What is set aside for a channel."""
    channel = call.path["channel"]
    async with call.hub.pool.connection() as conn:
        rows = await (await conn.execute(SQL.fences_of, {"channel": channel})).fetchall()
    lines = [answers.FenceLine(*row) for row in rows]
    return Answer(200, msgspec.json.encode(answers.Fences(channel, lines)))


def _put(path: str, body: type[Shape], answer: Any, operation: str, summary: str) -> Route:
    names = tuple(part[1:-1] for part in path.split("/") if part.startswith("{"))
    return Route(
        "PUT",
        path,
        submit,
        summary,
        WRITE,
        {200: answer, 201: answer},
        body=body,
        path_fields=names,
        operation=operation,
    )


def _get(path: str, handler: Handler, answer: Any, summary: str, **more: Any) -> Route:
    operation = more.pop("operation", "")
    return Route("GET", path, handler, summary, READ, {200: answer}, operation=operation, **more)


def _list(path: str, handler: Handler, answer: Any, summary: str, **more: Any) -> Route:
    query = more.pop("query", PageQuery)
    return _get(path, handler, Page[answer], summary, query=query, **more)


ROUTES = (
    _put("/v1/items/{sku}", PutItem, answers.Item, "put_item", "Make or replace an item"),
    _get("/v1/items/{sku}", get_item, answers.Item, "An item"),
    _list("/v1/items", list_items, answers.ItemSummary, "Items", query=ItemsQuery),
    _put("/v1/locations/{code}", PutLocation, answers.Location, "put_location",
         "Make or replace a location"),
    _get("/v1/locations/{code}", get_location, answers.Location, "A location"),
    _list("/v1/locations", list_locations, answers.Location, "Locations"),
    _put("/v1/channels/{code}", PutChannel, answers.Channel, "put_channel",
         "Make or replace a channel"),
    _get("/v1/channels/{code}", get_channel, answers.Channel, "A channel", bound_keys=True),
    _list("/v1/channels", list_channels, answers.Channel, "Channels", bound_keys=True),
    _put("/v1/reason-codes/{code}", PutReasonCode, answers.ReasonCode, "put_reason_code",
         "Make or replace a reason code"),
    _get("/v1/reason-codes/{code}", get_reason_code, answers.ReasonCode, "A reason code"),
    _list("/v1/reason-codes", list_reason_codes, answers.ReasonCode, "Reason codes"),
    _put("/v1/policies/{channel}", PutPolicy, answers.Policy, "put_policy",
         "A new version of a channel's policy"),
    _put("/v1/policies/{channel}/{sku}", PutPolicy, answers.Policy, "put_item_policy",
         "A new version of an item's policy on a channel"),
    _get("/v1/policies/{channel}", get_policy, answers.Policy, "The channel's policy in force"),
    _get("/v1/policies/{channel}/{sku}", get_policy, answers.Policy,
         "The item's policy in force on a channel", operation="get_item_policy"),
    _list("/v1/policies", list_policies, answers.Policy, "Policy versions", query=PoliciesQuery),
    Route("PUT", "/v1/safety-stock", submit, "Set safety stock by item and location", WRITE,
          {200: answers.LinesChanged}, body=SetSafetyStock, operation="set_safety_stock"),
    Route("PUT", "/v1/channels/{channel}/fences", submit, "Set stock aside", WRITE,
          {200: answers.LinesChanged}, body=SetFences, path_fields=("channel",),
          operation="set_fences"),
    _get("/v1/channels/{channel}/fences", get_fences, answers.Fences, "What is set aside"),
)  # fmt: skip
