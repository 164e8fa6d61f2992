"""Listings: put items on a channel, see what it shows, have it tried or read again."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Code, Shape, Sku
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.operations import READ, WRITE
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.kernel.errors import Refusal
from stockbridge.outbox.listings import making
from stockbridge.store.sql import load

SQL = load("stockbridge.outbox.listings")
State = Literal["new", "ok", "dirty", "sending", "unknown", "accepted", "failed", "suspended"]
_LIST: Final = ("master:write",)
_ROWS_MAX: Final = 10_000
_DIGITS_MAX: Final = 18


class ListingsQuery(PageQuery, frozen=True):
    """Listings of a channel, a system, an item, in a state; `stale`: wrong longer than allowed."""

    channel: Code | None = None
    system: Code | None = None
    sku: Sku | None = None
    state: State | None = None
    stale: bool | None = None


class StaleQuery(PageQuery, frozen=True):
    """Of a channel or a system."""

    channel: Code | None = None
    system: Code | None = None


class ListItems(Shape, frozen=True):
    """Which items to list: these, or `all` that the channel's system has a name for."""

    skus: Annotated[list[Sku], Meta(max_length=_ROWS_MAX)] = []
    all: bool = False

    def __post_init__(self) -> None:
        """Refuse neither and both."""
        if self.all == bool(self.skus):
            msg = "give either `skus` or `all`: true"
            raise ValueError(msg)


class ChooseListings(Shape, frozen=True):
    """The listings meant: all that match; an empty object is refused."""

    id: Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")] | None = None
    channel: Code | None = None
    system: Code | None = None
    sku: Sku | None = None
    state: State | None = None

    def __post_init__(self) -> None:
        """Refuse to mean everything by saying nothing."""
        if self.selection() == making.Selection():
            msg = "name at least one of id, channel, system, sku, state"
            raise ValueError(msg)

    def selection(self) -> making.Selection:
        """The same for the act."""
        number = None if self.id is None else int(self.id)
        return making.Selection(number, self.channel, self.system, self.sku, self.state)


class EndListings(ChooseListings, frozen=True):
    """The same; `to_zero`: what the partner shows goes to zero first."""

    to_zero: bool = True


class ItemsListed(msgspec.Struct):
    """How many listings were made, and SKUs that have none: unknown, or without a name there."""

    channel: str
    added: int
    unlisted: list[str]


class ListingsChosen(msgspec.Struct):
    """How many listings it reached; do it again while `more`."""

    listings: int
    more: bool


class Listing(msgspec.Struct):
    """What a partner shall show of an item, was told, and shows; times of each.

    `desired` is what the channel may show; the figure told is less by `unheard`, units sold there
    of which no order is here yet.
    """

    id: str
    system: str
    channel: str
    sku: str
    location: str | None
    item: str
    partner_location: str
    state: State
    is_ending: bool
    desired: int | None
    desired_version: int
    desired_at: datetime | None
    sent: int | None
    published: int | None
    published_version: int
    published_at: datetime | None
    accepted_at: datetime | None
    verified: int | None
    verified_version: int
    verified_at: datetime | None
    unheard: int
    unheard_at: datetime | None
    waiting_since: datetime | None
    due_at: datetime | None
    attempts: int
    corrections: int
    reference: str
    code: str
    detail: str
    stale: bool


async def list_items_on_channel(call: Call) -> Answer | Refusal:
    """List items on a channel: what its system shows of them follows the stock from now on."""
    body: ListItems = call.body
    channel = call.path["code"]
    async with call.hub.pool.connection() as conn:
        listed = await making.add(
            conn, call.hub.partners.connectors, channel, None if body.all else body.skus,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    if isinstance(listed, Refusal):
        return listed
    return answer_json(ItemsListed(channel, *listed))


async def list_listings(call: Call) -> Answer | Refusal:
    """Listings, oldest first; a bound key sees its channels'."""
    q = call.query
    return await page(
        call, SQL.listings_page, number=True, id=None, system=q.system, channel=q.channel,
        sku=q.sku, state=q.state, stale=q.stale, channels=_channels(call),
    )  # fmt: skip


async def stale_listings(call: Call) -> Answer | Refusal:
    """Which listings show something else than they shall for longer than their channel allows?"""
    q = call.query
    return await page(
        call, SQL.listings_page, number=True, id=None, system=q.system, channel=q.channel,
        sku=None, state=None, stale=True, channels=_channels(call),
    )  # fmt: skip


def _channels(call: Call) -> list[str] | None:
    """The channels that the caller's key is bound to; None: all."""
    channels = call.key.channels
    return None if channels is None else sorted(channels)


async def get_listing(call: Call) -> Answer | Refusal:
    """One listing."""
    text = call.path["listing"]
    unknown = Refusal("unknown_listing", f"no listing {text}", 404)
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        return unknown
    names = ("after", "system", "channel", "sku", "state", "stale")
    values: dict[str, Any] = dict.fromkeys(names)
    values |= {"id": int(text), "limit": 1, "channels": _channels(call)}
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(SQL.listings_page, values)).fetchone()
    return Answer(200, row[1].encode()) if row else unknown


async def retry_listings(call: Call) -> Answer | Refusal:
    """Try at once what failed, or waits for a later try."""
    body: ChooseListings = call.body
    async with call.hub.pool.connection() as conn:
        count = await making.retry(
            conn, body.selection(), actor=call.key.key_id, correlation_id=call.correlation_id
        )
    return _chosen(count)


async def verify_listings(call: Call) -> Answer | Refusal:
    """Read back what seems right."""
    body: ChooseListings = call.body
    async with call.hub.pool.connection() as conn:
        count = await making.verify(
            conn, body.selection(), actor=call.key.key_id, correlation_id=call.correlation_id
        )
    return _chosen(count)


async def end_listings(call: Call) -> Answer | Refusal:
    """End listings; their figures stay as they are there, or go to zero first."""
    body: EndListings = call.body
    async with call.hub.pool.connection() as conn:
        count = await making.end(
            conn, body.selection(), to_zero=body.to_zero,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    return _chosen(count)


def _chosen(count: int) -> Answer:
    return answer_json(ListingsChosen(count, count >= making.ROWS_MAX))


_CHOSEN = {200: ListingsChosen}

ROUTES = (
    Route("PUT", "/v1/channels/{code}/listings", list_items_on_channel,
          "List items on a channel", _LIST, {200: ItemsListed}, body=ListItems),
    Route("GET", "/v1/listings", list_listings, "What channels shall show, were told, show",
          READ, {200: Page[Listing]}, query=ListingsQuery, bound_keys=True),
    Route("GET", "/v1/questions/stale-listings", stale_listings,
          "Listings wrong for longer than allowed", READ, {200: Page[Listing]}, query=StaleQuery,
          bound_keys=True),
    Route("GET", "/v1/listings/{listing}", get_listing, "One listing", READ, {200: Listing},
          bound_keys=True),
    Route("POST", "/v1/listings/retry", retry_listings, "Try what failed at once", WRITE,
          _CHOSEN, body=ChooseListings),
    Route("POST", "/v1/listings/verify", verify_listings, "Read back what seems right", WRITE,
          _CHOSEN, body=ChooseListings),
    Route("POST", "/v1/listings/end", end_listings, "End listings", _LIST, _CHOSEN,
          body=EndListings),
)  # fmt: skip
