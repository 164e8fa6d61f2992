"""The polling door: feeds that are read from partners, so that a lost webhook loses nothing.

A poll reads from its mark less an overlap to the end and keeps every item as a message under the
item's own id; what is known already is a duplicate. Where pages are numbered they shift while
they are read, so they are read again until a pass brings nothing new. Only then the mark moves: a
poll that fails, or dies, is done again from where it began. A feed is described by its source, or
is one of the system's connector (`polling_connector.py`).
"""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.catalog import unmatched
from stockbridge.domain.world.model import ExceptionCase
from stockbridge.engine.inbox.accept import Inbox
from stockbridge.engine.inbox.model import Envelope
from stockbridge.engine.inbox.rules import identity, refusal_of
from stockbridge.governance import secrets
from stockbridge.governance.keys import Connection
from stockbridge.governance.live_catalog import LiveCatalog
from stockbridge.governance.secrets import SecretBox
from stockbridge.ingress.connections import OpenConnectors
from stockbridge.ingress.correlation import correlate
from stockbridge.ingress.polling_client import fetch
from stockbridge.ingress.polling_connector import (
    ConnectorFeed,
    kept_for,
    pages,
    read_from,
    sync_all,
)
from stockbridge.ingress.polling_limits import one_call
from stockbridge.ingress.polling_source import Item, Source, Unreadable, first_url, read_page
from stockbridge.ingress.reports import take_reports
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.outbox.cases import close_cases, open_cases, owners
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
DOOR: Final = "poll"
FAILING: Final = "feed_failing"
TOLD_FROM: Final = 5
"""Failures in a row from which an owner is told."""
SECRET: Final = "poll"  # noqa: S105 - the name of one
PASSES_MAX: Final = 5
TICK_SECONDS: Final = 0.5
_LEASE_SECONDS: Final = 300
AT_ONCE_MAX: Final = 8
"""Feeds that one process reads at a time."""
_BACKOFF_SECONDS_MAX: Final = 3_600


class Feed(NamedTuple):
    """A feed as it was claimed, when by the database's clock; `failures` in a row so far."""

    system: str
    name: str
    source: Source | ConnectorFeed
    mark: datetime | None
    failures: int
    claimed_at: datetime | None = None

    @property
    def cause(self) -> str:
        """What its messages are caused by: this poll of it."""
        began = self.claimed_at or datetime.now(UTC)
        return f"poll:{self.name}@{began.isoformat()}"


class PollReport(msgspec.Struct):
    """What a poll found: items read, repeats included; messages that only it brought.

    `contracts` are those of all that was read.
    """

    read: int = 0
    missed: int = 0
    refused: int = 0
    pages: int = 0
    newest: datetime | None = None
    contracts: set[str] = set()


class Poller:
    """Reads feeds into the inbox; any number of nodes share them."""

    def __init__(
        self,
        pool: Pool,
        inbox: Inbox,
        contracts: LiveCatalog,
        box: SecretBox,
        partners: OpenConnectors,
    ) -> None:
        self._pool = pool
        self._inbox = inbox
        self._contracts = contracts
        self._box = box
        self._partners = partners

    async def run_forever(self) -> None:
        """Poll what is due, as long as the process runs."""
        is_synced = False
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                try:
                    if not is_synced:
                        await sync_all(self._pool, self._partners.connectors)
                        is_synced = True
                    feeds = await self._claim(AT_ONCE_MAX - len(running))
                    running |= {asyncio.create_task(self._run(feed)) for feed in feeds}
                except (psycopg.OperationalError, PoolTimeout) as error:
                    LOG.warning("polling: database away", cause=str(error))
                await asyncio.sleep(TICK_SECONDS)
                running = {task for task in running if not task.done()}
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def run_due(self) -> int:
        """Claim feeds that are due and poll each once; how many."""
        feeds = await self._claim(AT_ONCE_MAX)
        await asyncio.gather(*map(self._run, feeds))
        return len(feeds)

    async def _claim(self, limit: int) -> list[Feed]:
        values = {"limit": limit, "lease_seconds": _LEASE_SECONDS}
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(SQL.claim_feeds, values)).fetchall()
        return [_feed(row) for row in rows]

    async def _run(self, feed: Feed) -> None:
        try:
            await self._poll_and_note(feed)
        except (psycopg.OperationalError, PoolTimeout) as error:
            # Its lease ends, and then somebody reads it again.
            LOG.warning("polling: database away", system=feed.system, cause=str(error))

    async def _poll_and_note(self, feed: Feed) -> None:
        report = PollReport()
        try:
            await self.poll(feed, report)
        except (psycopg.OperationalError, PoolTimeout):
            raise
        except Exception as error:
            expected = isinstance(error, Retry | Unreadable | Misconfigured)
            cause = str(error) if expected else f"{type(error).__name__}: {error}"
            LOG.warning(
                "poll failed", system=feed.system, feed=feed.name, cause=cause,
                exc_info=None if expected else error,
            )  # fmt: skip
            backoff = min(_BACKOFF_SECONDS_MAX, 2**feed.failures)
            wait = max(int(getattr(error, "after_seconds", 1)), backoff)
            await self._note(feed, report, None, wait, cause)
        else:
            await self._note(feed, report, report.newest, feed.source.period_seconds, "")

    async def poll(self, feed: Feed, report: PollReport) -> None:
        """Read the feed to its end; raises Retry or Unreadable when it could not be.

        The report counts what was kept, also when it fails.
        """
        began = datetime.now(UTC)
        for _ in range(PASSES_MAX):
            missed, read = report.missed, report.pages
            if isinstance(feed.source, ConnectorFeed):
                await self._pass_connector(feed, feed.source, report)
            else:
                await self._pass(feed, feed.source, report)
            shifts = feed.source.shifts and report.pages - read > 1
            if not shifts or report.missed == missed:
                break
        if report.newest is not None:
            # A partner's clock ahead of ours must not make us skip what it will say next.
            report.newest = min(report.newest, began)

    async def _pass_connector(self, feed: Feed, source: ConnectorFeed, report: PollReport) -> None:
        connector = await self._partners.connector(feed.system)
        leave = partial(one_call, self._pool, feed.system, connector.manifest.limits, feed.name)
        async for page in pages(connector, feed.name, read_from(source, feed.mark), leave):
            await self._renew(feed)
            report.pages += 1
            report.read += len(page.messages)
            found = await kept_for(self._pool, feed.system, feed.name, page.messages, feed.cause)
            report.contracts |= found.contracts
            await self._accept(found.envelopes, report)
            await take_reports(self._pool, feed.system, page.reports)
            _note_newest(report, [page.newest])

    async def _renew(self, feed: Feed) -> None:
        """Keep the feed; a long read under a low limit takes longer than a lease."""
        values = {"system": feed.system, "feed": feed.name, "lease_seconds": _LEASE_SECONDS}
        async with self._pool.connection() as conn:
            await conn.execute(SQL.renew_feed, values)

    async def _pass(self, feed: Feed, source: Source, report: PollReport) -> None:
        headers = await self._headers(feed, source)
        url: str | None = first_url(source, feed.mark)
        seen: set[str] = set()
        while url is not None and url not in seen:
            if len(seen) >= source.pages_max:
                raise Unreadable(f"{url}: more than {source.pages_max} pages; raise pages_max")
            seen.add(url)
            page = read_page(source, url, await fetch(url, headers))
            await self._renew(feed)
            report.pages += 1
            report.read += len(page.items)
            await self._keep(feed, source, page.items, report)
            url = page.next_url

    async def _headers(self, feed: Feed, source: Source) -> dict[str, str]:
        name = source.secret_header
        if name is None:
            return {}
        async with self._pool.connection() as conn:
            found = await secrets.active(conn, self._box, feed.system, SECRET)
        if not found:
            raise Misconfigured(
                f"{feed.system} has no secret to poll with: "
                f"PUT /v1/systems/{feed.system}/secrets/{SECRET}"
            )
        return {name: source.secret_prefix + found[0]}

    async def _keep(
        self, feed: Feed, source: Source, items: list[Item], report: PollReport
    ) -> None:
        """Keep the items that no other door brought."""
        known = await self._brought_otherwise(feed, items)
        fresh = [item for item in items if item.id not in known]
        envelopes = [await self._envelope(feed, source, item) for item in fresh]
        report.contracts |= {each.contract for each in envelopes}
        await self._accept(envelopes, report)
        _note_newest(report, [item.at for item in items])

    async def _accept(self, envelopes: list[Envelope], report: PollReport) -> None:
        good = [envelope for envelope in envelopes if refusal_of(envelope) is None]
        report.refused += len(envelopes) - len(good)
        accepted = await self._inbox.accept(good)
        report.missed += sum(each.status == "received" for each in accepted)

    async def _brought_otherwise(self, feed: Feed, items: list[Item]) -> set[str]:
        if not items:
            return set()
        names = [identity(feed.system, item.id) for item in items]
        async with self._pool.connection() as conn:
            rows = await (
                await conn.execute(SQL.brought_otherwise, {"identities": names})
            ).fetchall()
        return {row[0] for row in rows}

    async def _envelope(self, feed: Feed, source: Source, item: Item) -> Envelope:
        ids = correlate(None, None)
        contract = source.contract
        if contract is None:
            found = await asyncio.to_thread(
                self._contracts.match, feed.system, "application/json", item.body
            )
            contract = found or unmatched(feed.system)
        return Envelope(
            system=feed.system,
            source_message_id=item.id,
            flow=feed.name,
            sequence=None,
            correlation_id=ids[0] if isinstance(ids, tuple) else "",
            causation_id=feed.cause,
            principal=f"system:{feed.system}",
            door=DOOR,
            contract=contract,
            content_type="application/json",
            body=item.body,
        )

    async def _note(
        self, feed: Feed, report: PollReport, mark: datetime | None, seconds: int, detail: str
    ) -> None:
        failures = feed.failures + 1 if detail else 0
        values: dict[str, Any] = {
            "system": feed.system,
            "feed": feed.name,
            "mark": mark,
            "began_at": feed.claimed_at,
            "contracts": sorted(report.contracts),
            "seconds": seconds,
            "items_read": report.read,
            "items_missed": report.missed,
            "failures": failures,
            "detail": detail[:2_000],
        }
        async with self._pool.connection() as conn, conn.transaction():
            await conn.execute(SQL.end_poll, values)
            if failures >= TOLD_FROM:
                await _tell(conn, feed, failures, detail)
            elif not failures and feed.failures >= TOLD_FROM:
                await close_cases(conn, FAILING, [f"{feed.system}/{feed.name}"], "it is read again")


async def _tell(conn: Connection, feed: Feed, failures: int, detail: str) -> None:
    owner = (await owners(conn, [feed.system]))[feed.system]
    fix = f"correct it: PUT /v1/systems/{feed.system}/feeds/{feed.name}"
    if isinstance(feed.source, ConnectorFeed):
        fix = f"`stockbridge systems test {feed.system}` names what is wrong"
    case = ExceptionCase(
        FAILING,
        f"{feed.system}/{feed.name}",
        owner.criticality,
        owner.team,
        f"feed {feed.name} of {feed.system} failed {failures} times in a row: {detail[:1_000]}",
        f"{fix}; nothing is lost meanwhile, the next poll begins where the last good one ended",
        "",
    )
    await open_cases(conn, [case])


def _note_newest(report: PollReport, moments: list[datetime | None]) -> None:
    known = [moment for moment in [*moments, report.newest] if moment is not None]
    report.newest = max(known, default=None)


def _feed(row: tuple[Any, ...]) -> Feed:
    system, name, described, mark, failures, is_connectors, claimed_at = row
    source: Source | ConnectorFeed
    if is_connectors:
        source = msgspec.json.decode(described, type=ConnectorFeed)
    else:
        source = msgspec.json.decode(described, type=Source)
    return Feed(system, name, source, mark, failures, claimed_at)
