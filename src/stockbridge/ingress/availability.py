"""Availability: one item, many, explained, as it was, and as a stream of changes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stockbridge.contracts.availability import (
    Availability,
    AvailabilityDated,
    AvailabilityList,
    AvailabilityQuery,
)
from stockbridge.contracts.base import Code, Moment, Positive, Shape
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.commands import own_channel
from stockbridge.ingress.paging import Cursor, decode_cursor, encode_cursor
from stockbridge.kernel.errors import Refusal
from stockbridge.views.explain import explain, history
from stockbridge.views.stream import Change, Subscription

READ = ("availability:read",)
EVENT = "io.stockbridge.availability.changed.v1"
SKU_CHARACTERS_MAX = 128
_ALIVE_SECONDS = 15.0
_BIGINT_DIGITS_MAX = 18
_encode = msgspec.json.Encoder().encode


class AvailabilityAsked(Shape, frozen=True):
    """Which channel asks; `quantity` and `by` ask whether, and when, so many can be had."""

    channel: Code
    quantity: Positive | None = None
    by: Moment | None = None


class ChannelAsked(Shape, frozen=True):
    """Which channel asks."""

    channel: Code


class ExplainAsked(Shape, frozen=True):
    """Which channel asks, and how many of the newest movements to show for each location."""

    channel: Code
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Movements of a location")] = 20
    cursor: Cursor | None = None


class HistoryAsked(Shape, frozen=True):
    """Which channel asks, and as of when."""

    channel: Code
    at: Moment


def availability_at_once(call: Call) -> Answer | Refusal | None:
    """The figure, if memory suffices."""
    asked: AvailabilityAsked = call.query
    if asked.quantity is not None or asked.by is not None:
        return None
    barred = own_channel(call, asked.channel)
    if barred is not None:
        return barred
    found = call.hub.view.known(asked.channel, call.path["sku"])
    return None if found is None else Answer(200, _encode(found))


async def get_availability(call: Call) -> Answer | Refusal:
    """How many of the item the channel may show, and whether the figure is stale."""
    asked: AvailabilityAsked = call.query
    barred = own_channel(call, asked.channel)
    if barred is not None:
        return barred
    view, sku = call.hub.view, call.path["sku"]
    if len(sku) > SKU_CHARACTERS_MAX:
        return Refusal("unknown_sku", f"a SKU has at most {SKU_CHARACTERS_MAX} characters", 404)
    if asked.quantity is None and asked.by is None:
        found = await view.answer(asked.channel, sku)
    else:
        found = await view.answer_dated(asked.channel, sku, asked.quantity, asked.by)
    return found if isinstance(found, Refusal) else Answer(200, _encode(found))


async def query_availability(call: Call) -> Answer | Refusal:
    """Many items of one channel, all from the same moment."""
    asked: AvailabilityQuery = call.body
    barred = own_channel(call, asked.channel)
    if barred is not None:
        return barred
    found = await call.hub.view.answer_many(asked.channel, asked.skus)
    return found if isinstance(found, Refusal) else Answer(200, _encode(found))


async def explain_availability(call: Call) -> Answer | Refusal:
    """Each term of the figure, and the movements and messages behind it."""
    asked: ExplainAsked = call.query
    barred = own_channel(call, asked.channel)
    if barred is not None:
        return barred
    after = decode_cursor(asked.cursor, number=True)
    if isinstance(after, Refusal):
        return after
    before = after if isinstance(after, int) else None
    async with call.hub.pool.connection() as conn:
        found = await explain(
            conn,
            asked.channel,
            call.path["sku"],
            limit=asked.limit,
            before=before,
            cursor_of=encode_cursor,
        )
    return found if isinstance(found, Refusal) else answer_json(found)


async def availability_history(call: Call) -> Answer | Refusal:
    """The figure as it was, recomputed from the ledger."""
    asked: HistoryAsked = call.query
    barred = own_channel(call, asked.channel)
    if barred is not None:
        return barred
    async with call.hub.pool.connection() as conn:
        found = await history(conn, asked.channel, call.path["sku"], asked.at)
    return found if isinstance(found, Refusal) else answer_json(found)


async def stream_availability(call: Call) -> Answer | Refusal:
    """Server-sent events: each changed figure of the channel.

    `Last-Event-ID` resumes; an event `reset` says that too much was missed: query all anew.
    """
    asked: ChannelAsked = call.query
    barred = own_channel(call, asked.channel)
    if barred is not None:
        return barred
    named = call.headers.get(b"last-event-id", b"").decode("latin-1")
    usable = named.isascii() and named.isdigit() and len(named) <= _BIGINT_DIGITS_MAX
    subscription = await call.hub.view.subscribe(asked.channel, int(named) if usable else None)
    if isinstance(subscription, Refusal):
        return subscription
    return Answer(200, b"", b"text/event-stream", stream=_events(subscription, call.hub.closing))


async def _events(subscription: Subscription, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """Changes as events, a comment now and then to keep the connection; ends with the process."""
    ending = asyncio.create_task(closing.wait())
    coming: asyncio.Task[Change] | None = None
    try:
        yield b"retry: 1000\n\n"
        while not closing.is_set():
            coming = coming or asyncio.create_task(_next(subscription))
            await asyncio.wait(
                {coming, ending}, timeout=_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if coming.done():
                change, coming = coming.result(), None
                yield _event(subscription.channel, change)
            else:
                yield b": alive\n\n"
    finally:
        subscription.close()
        for task in (ending, coming):
            if task is not None:
                task.cancel()


async def _next(subscription: Subscription) -> Change:
    return await anext(subscription)


def _event(channel: str, change: Change) -> bytes:
    data: dict[str, str | int | None] = {"channel": channel}
    if change.sku is not None:
        data |= {"sku": change.sku, "available": change.available}
    name = "reset" if change.sku is None else EVENT
    return f"id: {change.sequence}\nevent: {name}\ndata: ".encode() + _encode(data) + b"\n\n"


_ONE = "/v1/availability/{sku}"

ROUTES = (
    Route("GET", _ONE, get_availability, "How many of an item a channel may show", READ,
          {200: (Availability, AvailabilityDated)}, query=AvailabilityAsked, bound_keys=True,
          hot=True, at_once=availability_at_once),
    Route("POST", "/v1/availability/query", query_availability, "The same for many items", READ,
          {200: AvailabilityList}, body=AvailabilityQuery, bound_keys=True, hot=True),
    Route("GET", f"{_ONE}/explain", explain_availability, "Each term of the figure", READ,
          {200: dict[str, Any]}, query=ExplainAsked, bound_keys=True),
    Route("GET", f"{_ONE}/history", availability_history, "The figure as it was", READ,
          {200: dict[str, Any]}, query=HistoryAsked, bound_keys=True),
    Route("GET", "/v1/availability/stream", stream_availability, "Changed figures as they come",
          READ, {200: None}, query=ChannelAsked, bound_keys=True),
)  # fmt: skip
