"""The polling door: feeds that are read from partners, so that a lost webhook loses nothing.

A poll reads from its mark less an overlap to the end and keeps every item as a message under the
item's own id; what is known already is a duplicate. Where pages are numbered they shift while
they are read, so they are read again until a pass brings nothing new. Only then the mark moves: a
poll that fails, or dies, is done again from where it began.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.catalog import unmatched
from stockbridge.engine.inbox.accept import Inbox
from stockbridge.engine.inbox.model import Envelope
from stockbridge.engine.inbox.rules import identity, refusal_of
from stockbridge.governance import secrets
from stockbridge.governance.live_catalog import LiveCatalog
from stockbridge.governance.secrets import SecretBox
from stockbridge.ingress.correlation import correlate
from stockbridge.ingress.polling_client import fetch
from stockbridge.ingress.polling_source import Item, Source, Unreadable, first_url, read_page
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
DOOR: Final = "poll"
SECRET: Final = "poll"  # noqa: S105 - the name of one
PASSES_MAX: Final = 5
TICK_SECONDS: Final = 0.5
_LEASE_SECONDS: Final = 900
_CLAIM_MAX: Final = 4
_BACKOFF_SECONDS_MAX: Final = 3_600


class Feed(NamedTuple):
    """A feed as it was claimed; `failures` in a row so far."""

    system: str
    name: str
    source: Source
    mark: datetime | None
    failures: int


class PollReport(msgspec.Struct):
    """What a poll found: items read, repeats included; messages that only it brought."""

    read: int = 0
    missed: int = 0
    refused: int = 0
    pages: int = 0
    newest: datetime | None = None


class Poller:
    """Reads feeds into the inbox; any number of nodes share them."""

    def __init__(self, pool: Pool, inbox: Inbox, contracts: LiveCatalog, box: SecretBox) -> None:
        self._pool = pool
        self._inbox = inbox
        self._contracts = contracts
        self._box = box

    async def run_forever(self) -> None:
        """Poll what is due, as long as the process runs."""
        while True:
            try:
                if not await self.run_due():
                    await asyncio.sleep(TICK_SECONDS)
            except (psycopg.OperationalError, PoolTimeout) as error:
                LOG.warning("polling: database away", cause=str(error))
                await asyncio.sleep(TICK_SECONDS)

    async def run_due(self) -> int:
        """Claim feeds that are due and poll each once; how many."""
        values = {"limit": _CLAIM_MAX, "lease_seconds": _LEASE_SECONDS}
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(SQL.claim_feeds, values)).fetchall()
        feeds = [
            Feed(row[0], row[1], msgspec.json.decode(row[2], type=Source), row[3], row[4])
            for row in rows
        ]
        await asyncio.gather(*map(self._poll_and_note, feeds))
        return len(feeds)

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
        headers = await self._headers(feed)
        for _ in range(PASSES_MAX):
            missed, pages = report.missed, report.pages
            await self._pass(feed, headers, report)
            shifts = feed.source.paging == "page" and report.pages - pages > 1
            if not shifts or report.missed == missed:
                break
        if report.newest is not None:
            # A partner's clock ahead of ours must not make us skip what it will say next.
            report.newest = min(report.newest, began)

    async def _pass(self, feed: Feed, headers: dict[str, str], report: PollReport) -> None:
        url: str | None = first_url(feed.source, feed.mark)
        seen: set[str] = set()
        while url is not None and url not in seen:
            if len(seen) >= feed.source.pages_max:
                raise Unreadable(f"{url}: more than {feed.source.pages_max} pages; raise pages_max")
            seen.add(url)
            page = read_page(feed.source, url, await fetch(url, headers))
            report.pages += 1
            report.read += len(page.items)
            await self._keep(feed, page.items, report)
            url = page.next_url

    async def _headers(self, feed: Feed) -> dict[str, str]:
        name = feed.source.secret_header
        if name is None:
            return {}
        async with self._pool.connection() as conn:
            found = await secrets.active(conn, self._box, feed.system, SECRET)
        if not found:
            raise Misconfigured(
                f"{feed.system} has no secret to poll with: "
                f"PUT /v1/systems/{feed.system}/secrets/{SECRET}"
            )
        return {name: feed.source.secret_prefix + found[0]}

    async def _keep(self, feed: Feed, items: list[Item], report: PollReport) -> None:
        """Keep the items that no other door brought."""
        known = await self._brought_otherwise(feed, items)
        envelopes = []
        for item in items:
            if item.id in known:
                continue
            envelope = await self._envelope(feed, item)
            if refusal_of(envelope) is None:
                envelopes.append(envelope)
            else:
                report.refused += 1
        accepted = await self._inbox.accept(envelopes)
        report.missed += sum(each.status == "received" for each in accepted)
        moments = [item.at for item in items if item.at is not None]
        report.newest = max([*moments, *([report.newest] if report.newest else [])], default=None)

    async def _brought_otherwise(self, feed: Feed, items: list[Item]) -> set[str]:
        if not items:
            return set()
        names = [identity(feed.system, item.id) for item in items]
        async with self._pool.connection() as conn:
            rows = await (
                await conn.execute(SQL.brought_otherwise, {"identities": names})
            ).fetchall()
        return {row[0] for row in rows}

    async def _envelope(self, feed: Feed, item: Item) -> Envelope:
        ids = correlate(None, None)
        contract = feed.source.contract
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
            causation_id=None,
            principal=f"system:{feed.system}",
            door=DOOR,
            contract=contract,
            content_type="application/json",
            body=item.body,
        )

    async def _note(
        self, feed: Feed, report: PollReport, mark: datetime | None, seconds: int, detail: str
    ) -> None:
        values: dict[str, Any] = {
            "system": feed.system,
            "feed": feed.name,
            "mark": mark,
            "seconds": seconds,
            "items_read": report.read,
            "items_missed": report.missed,
            "failures": feed.failures + 1 if detail else 0,
            "detail": detail[:2_000],
        }
        async with self._pool.connection() as conn:
            await conn.execute(SQL.end_poll, values)
