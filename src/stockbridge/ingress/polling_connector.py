"""Feeds of connectors: which there are, their pages, and what of them is to be kept."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import structlog

from stockbridge.contracts.base import Shape
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Connector, Connectors, Incoming, Page
from stockbridge.contracts.partners.reading import contract_of
from stockbridge.engine.inbox.model import Envelope
from stockbridge.engine.inbox.rules import identity
from stockbridge.ingress.correlation import correlate
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
PAGES_MAX: Final = 100_000


class ConnectorFeed(Shape, frozen=True, kw_only=True):
    """How a connector's feed is read, as its manifest says."""

    period_seconds: int
    overlap_seconds: int
    shifts: bool = False
    lag_seconds: int = 0


class Kept(NamedTuple):
    """Messages of a page that are not known yet, and the contracts of all on it."""

    envelopes: list[Envelope]
    contracts: set[str]


def read_from(source: ConnectorFeed, mark: datetime | None) -> datetime | None:
    """Where a poll begins: the mark less the overlap; None: the beginning."""
    return mark and mark - timedelta(seconds=source.overlap_seconds)


Leave = Callable[[], AbstractAsyncContextManager[None]]
"""Leave to make one call: entered once it may go."""


async def pages(
    connector: Connector, feed: str, since: datetime | None, leave: Leave
) -> AsyncIterator[Page]:
    """The pages of a feed to its end; raises Retry, also for one that never ends."""
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        async with leave():
            page = await connector.poll(feed, since, cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
        if cursor in seen or len(seen) >= PAGES_MAX:
            raise Retry(f"{feed}: the partner's pages do not end: cursor {cursor[:200]}", 60.0)
        seen.add(cursor)


async def kept_for(
    pool: Pool, system: str, feed: str, messages: Sequence[Incoming], cause: str
) -> Kept:
    """What of a page is to be kept; the same id, by whatever door it came, is the same message."""
    contracts = {contract_of(system, each.topic) for each in messages}
    names = {each.message_id: identity(system, each.message_id) for each in messages}
    async with pool.connection() as conn:
        values = {"identities": list(names.values())}
        rows = await (await conn.execute(SQL.known_messages, values)).fetchall()
    known = {row[0].replace("-", "") for row in rows}
    envelopes = [
        envelope_of(system, each, door="poll", flow=feed, correlation_id="", cause=cause)
        for each in messages
        if each.is_exact or names[each.message_id] not in known
    ]
    return Kept(envelopes, contracts)


def envelope_of(
    system: str,
    incoming: Incoming,
    *,
    door: str,
    flow: str,
    correlation_id: str,
    cause: str | None = None,
) -> Envelope:
    """A connector's message as the inbox keeps it; without a correlation id it gets one."""
    ids = correlate(correlation_id.encode() or None, None)
    return Envelope(
        system=system,
        source_message_id=incoming.message_id,
        flow=incoming.flow or flow,
        sequence=incoming.sequence,
        correlation_id=ids[0] if isinstance(ids, tuple) else correlation_id,
        causation_id=cause,
        principal=f"system:{system}",
        door=door,
        contract=contract_of(system, incoming.topic),
        content_type=incoming.content_type,
        body=incoming.body,
        is_exact=incoming.is_exact,
    )


async def sync_feeds(pool: Pool, system: str, manifest: Manifest | None) -> None:
    """Give the system the feeds of its connector, and take away those of an earlier one."""
    feeds = manifest.feeds if manifest is not None else []
    sources = [ConnectorFeed(
        period_seconds=feed.period_seconds, overlap_seconds=feed.overlap_seconds,
        shifts=feed.shifts, lag_seconds=feed.lag_seconds,
    ) for feed in feeds]  # fmt: skip
    values = {
        "system": system,
        "feeds": [feed.name for feed in feeds],
        "sources": [msgspec.json.encode(source).decode() for source in sources],
    }
    async with pool.connection() as conn, conn.transaction():
        await conn.execute(SQL.drop_feeds, values)
        await conn.execute(SQL.sync_feeds, values)


async def sync_all(pool: Pool, connectors: Connectors) -> None:
    """The same for all systems, so that a release with other feeds has them."""
    async with pool.connection() as conn:
        rows = await (await conn.execute(SQL.systems_with_connectors)).fetchall()
    for system, name in rows:
        try:
            await sync_feeds(pool, system, connectors.manifest(name))
        except Misconfigured as error:
            LOG.warning("feeds of a system are not known", system=system, cause=str(error))
