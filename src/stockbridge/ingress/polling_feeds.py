"""Feeds over HTTP: describe what is polled, see how it goes and what only polling brought."""

from datetime import datetime

import msgspec

from stockbridge.contracts.base import Shape
from stockbridge.governance import audit
from stockbridge.governance.keys import Connection
from stockbridge.ingress.call import Answer, Call, Route
from stockbridge.ingress.operations import NoBody
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.ingress.polling_connector import ConnectorFeed
from stockbridge.ingress.polling_source import Source
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
_FEED = "/v1/systems/{code}/feeds/{feed}"
_READ = ("ops:read",)
_NAME_CHARS_MAX = 64


class PutFeed(Shape, frozen=True):
    """Make or replace a feed; one that is paused keeps its mark.

    A feed of the system's connector has no source here: it can only be paused.
    """

    source: Source | None = None
    paused: bool = False


class PolledFeed(msgspec.Struct):
    """A feed: its mark is the newest timestamp kept, `failures` count in a row.

    `began_at` is when the newest poll that came to its end began; `source` describes a feed read
    over HTTP, `connector` one of the system's connector.
    """

    system: str
    feed: str
    paused: bool
    mark: datetime | None
    due_at: datetime
    polled_at: datetime | None
    began_at: datetime | None
    items_read: int
    items_missed: int
    failures: int
    detail: str
    source: Source | None
    connector: ConnectorFeed | None


class MissedMessage(msgspec.Struct):
    """A message that polling brought and no other door had; `poll` is when that poll began."""

    message: int
    source_message_id: str
    contract: str
    poll: datetime
    received_at: datetime
    status: str


async def put_feed(call: Call) -> Answer | Refusal:
    """Describe a feed; it is polled at once, then every period."""
    body: PutFeed = call.body
    if len(call.path["feed"]) > _NAME_CHARS_MAX:
        return Refusal("invalid_request", f"feed: at most {_NAME_CHARS_MAX} characters", 422)
    key = _key(call)
    values = key | {"is_paused": body.paused}
    statement = SQL.pause_feed
    if body.source is not None:
        values["source"] = msgspec.json.encode(body.source).decode()
        statement = SQL.put_feed
    async with call.hub.pool.connection() as conn, conn.transaction():
        made = await (await conn.execute(statement, values)).fetchone()
        if made is None:
            return await _not_put(conn, body, key)
        subject = f"feed/{key['system']}/{key['feed']}"
        said = msgspec.to_builtins(body)
        await audit.record(conn, call.key.key_id, "feed.put", subject, said, call.correlation_id)
    return await get_feed(call)


async def _not_put(conn: Connection, body: PutFeed, key: dict[str, object]) -> Refusal:
    """Why a feed was not changed."""
    row = await (await conn.execute(SQL.system_exists, {"system": key["system"]})).fetchone()
    if row is None or not row[0]:
        detail = f"system {key['system']} does not exist: PUT /v1/systems/{key['system']}"
        return Refusal("unknown_system", detail, 404)
    if body.source is None:
        detail = f"{key['system']} has no connector with a feed {key['feed']}: give its source"
        return Refusal("source_missing", detail, 422)
    detail = f"feed {key['feed']} is read by the connector of {key['system']}; leave source out"
    return Refusal("feed_of_connector", detail, 409)


def _key(call: Call) -> dict[str, object]:
    return {"system": call.path["code"], "feed": call.path["feed"]}


async def get_feed(call: Call) -> Answer | Refusal:
    """How a feed goes."""
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(SQL.feed_document, _key(call))).fetchone()
    return Answer(200, row[0].encode()) if row else _unknown(call)


def _unknown(call: Call) -> Refusal:
    detail = f"system {call.path['code']} has no feed {call.path['feed']}"
    return Refusal("unknown_feed", detail, 404)


async def list_feeds(call: Call) -> Answer | Refusal:
    """The feeds of a system, and how they go."""
    return await page(call, SQL.feeds_page, number=False, system=call.path["code"])


async def poll_feed_now(call: Call) -> Answer | Refusal:
    """Have a feed polled at once."""
    values = {"system": call.path["code"], "feeds": [call.path["feed"]]}
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(SQL.call_feeds, values)).fetchone()
    if row is None:
        return _unknown(call)
    answer = await get_feed(call)
    return answer._replace(status=202) if isinstance(answer, Answer) else answer


async def list_missed(call: Call) -> Answer | Refusal:
    """What only polling brought, newest first."""
    return await page(call, SQL.missed_page, number=True, **_key(call))


ROUTES = (
    Route("PUT", _FEED, put_feed, "Describe a feed that is polled", ("admin",),
          {200: PolledFeed}, body=PutFeed),
    Route("GET", "/v1/systems/{code}/feeds", list_feeds, "Feeds that are polled", _READ,
          {200: Page[PolledFeed]}, query=PageQuery),
    Route("GET", _FEED, get_feed, "How a polled feed goes", _READ, {200: PolledFeed}),
    Route("POST", f"{_FEED}/poll", poll_feed_now, "Poll a feed now", ("ops:write",),
          {202: PolledFeed}, body=NoBody),
    Route("GET", f"{_FEED}/missed", list_missed, "What only polling brought", _READ,
          {200: Page[MissedMessage]}, query=PageQuery),
)  # fmt: skip
