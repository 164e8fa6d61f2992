"""One chunk of claimed listings: read what must be read, publish what must be published."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Final, cast

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from stockbridge.contracts.partners.manifest import Stock
from stockbridge.contracts.partners.model import Bulky, Connector, Observed, Outcome
from stockbridge.kernel.errors import Misconfigured, Retry
from stockbridge.outbox.breaker import reached
from stockbridge.outbox.listings import rules
from stockbridge.outbox.listings.ending import begin, settle
from stockbridge.outbox.listings.model import READ, Row, Settled
from stockbridge.outbox.listings.permits import OBSERVE, PUBLISH, PUBLISH_BULK, Permits
from stockbridge.outbox.listings.reckoning import Reckoner, Seen
from stockbridge.store.database import Pool

LOG = structlog.get_logger(__name__)
_WAIT_SECONDS_MAX: Final = 5.0
_AWAY = (psycopg.Error, PoolTimeout, OSError)


class Work:
    """Does one chunk; `held` is the operation that a call was already taken for.

    `way`: how figures are sent, `publish` or `publish_bulk`; `stock` tells the bounds of that.
    """

    def __init__(
        self,
        pool: Pool,
        connector: Connector,
        stock: Stock,
        reckoner: Reckoner,
        permits: Permits,
        held: str,
        call_seconds: float,
        way: str = PUBLISH,
    ) -> None:
        self._pool = pool
        self._connector = connector
        self._stock = stock
        self._reckoner = reckoner
        self._permits = permits
        self._held = held
        self._call_seconds = call_seconds
        self._way = way
        self.kinds: list[str] = []
        self.reached = 0
        self.unreached: list[str] = []

    async def run(self, rows: Sequence[Row], risk: int) -> list[Settled]:
        """Bring the rows to an end and write it; what is not written is taken up after its lease.

        Raises psycopg.Error where the database is away.
        """
        to_read = [row for row in rows if rules.needs_read(row, self._stock, risk)]
        known = {row.listing_id for row in to_read}
        ready = [row for row in rows if row.listing_id not in known]
        settled: list[Settled] = []
        ready = await self._reckoned(ready, settled)
        more = await self._read(to_read, settled)
        if risk == READ and self._stock.mode == "absolute":
            # Until a call may go the figure that was read grows old, and is read then anyway.
            settled += [Settled(row, "ok") for row in more]
            more = []
        ready += await self._begun(more)
        await self._publish(ready, settled)
        async with self._pool.connection() as conn:
            await settle(conn, settled)
        return settled

    async def _reckoned(self, rows: list[Row], settled: list[Settled]) -> list[Row]:
        """Rows that need no read, those with sales unheard of set right."""
        doubtful = [row for row in rows if rules.needs_reckoning(row, row.claimed_at)]
        if not doubtful:
            return rows
        exact = await self._reckoner.reckon([Seen(row, None) for row in doubtful])
        done = {row.listing_id for row in exact}
        to_send = []
        for row in exact:
            end = rules.after_read(row, changed=False)
            if end is None:
                to_send.append(row)
            else:
                settled.append(end._replace(verified=False))
        return [r for r in rows if r.listing_id not in done] + await self._begun(to_send)

    async def _begun(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that are still ours, with what they are about to send kept."""
        if not rows:
            return []
        async with self._pool.connection() as conn:
            return await begin(conn, rows)

    # Reading -----------------------------------------------------------------------------------
    async def _read(self, rows: Sequence[Row], settled: list[Settled]) -> list[Row]:
        """Rows read that must be published now."""
        seen: list[tuple[Row, int]] = []
        wait = 0.0
        for few in _few(rows, self._stock.observe_rows_max):
            wait = wait or await self._may(OBSERVE)
            if wait:
                settled += [rules.postponed(row, wait, "no call is left") for row in few]
                continue
            for row, shown in zip(few, await self._observe(few, settled), strict=False):
                if shown.quantity is None and not row.is_ending:
                    settled.append(rules.not_listed(row, shown.problem, _chance()))
                else:
                    seen.append((row, shown.quantity or 0))
        return await self._judge(seen, settled)

    async def _observe(self, rows: Sequence[Row], settled: list[Settled]) -> Sequence[Observed]:
        try:
            async with asyncio.timeout(self._call_seconds):
                found = await self._connector.observe([row.update() for row in rows])
        except (Retry, TimeoutError, Misconfigured) as error:
            wait = error.after_seconds if isinstance(error, Retry) else rules.RETRY_SECONDS_MAX
            self.unreached.append(str(error) or "no answer in time")
            settled += [rules.postponed(row, wait, str(error)) for row in rows]
            return []
        self.reached += 1
        if len(found) != len(rows):
            detail = f"{len(found)} figures were read for {len(rows)} listings"
            settled += [rules.postponed(r, rules.RETRY_SECONDS_MAX, detail) for r in rows]
            return []
        return found

    async def _judge(self, seen: Sequence[tuple[Row, int]], settled: list[Settled]) -> list[Row]:
        doubtful = [Seen(row, shown) for row, shown in seen if _is_doubtful(row, shown)]
        exact = {row.listing_id: row for row in await self._reckoner.reckon(doubtful)}
        to_send: list[Row] = []
        for row, shown in seen:
            missed = rules.is_missed(row, shown)
            judged = exact.get(row.listing_id, row._replace(published=shown))
            judged = judged._replace(misses=row.misses + missed)
            changed = row.before == "ok" and shown != row.published
            end = rules.after_read(judged, changed=changed)
            if end is not None:
                settled.append(end)
                continue
            version = rules.version_after(row, judged, missed=missed)
            to_send.append(judged._replace(sent_version=version))
        return to_send

    # Publishing --------------------------------------------------------------------------------
    async def _publish(self, rows: Sequence[Row], settled: list[Settled]) -> None:
        wait = 0.0
        for few in _few(rows, self._stock.rows_max):
            # Where each listing has a budget of its own, calls are about one.
            wait = wait or await self._may(self._way, few[0].item if len(few) == 1 else "")
            if wait:
                settled += [Settled(row, "later", None, wait) for row in few]
                continue
            outcomes = await self._send(few)
            pairs = list(zip(few, outcomes, strict=True))
            self._count(pairs)
            stale = [
                Seen(row._replace(sent=None), outcome.observed)
                for row, outcome in pairs
                if rules.is_stale(row, outcome)
            ]
            settled += [Settled(row, "ok") for row in await self._reckoner.reckon(stale)]
            settled += [
                rules.after_call(row, outcome, self._stock, _chance())
                for row, outcome in pairs
                if not rules.is_stale(row, outcome)
            ]

    async def _send(self, rows: Sequence[Row]) -> Sequence[Outcome]:
        send = self._connector.publish
        if self._way == PUBLISH_BULK:
            send = cast("Bulky", self._connector).publish_bulk
        try:
            async with asyncio.timeout(self._call_seconds):
                outcomes = await send([row.update() for row in rows])
        except TimeoutError:
            return [Outcome("unknown", "no_answer", "no answer in time")] * len(rows)
        except Exception as error:
            LOG.exception("listings: a connector failed", connector=self._connector.manifest.name)
            return [Outcome("unknown", "connector_failed", repr(error))] * len(rows)
        if len(outcomes) != len(rows):
            detail = f"{len(outcomes)} outcomes came back for {len(rows)} listings"
            return [Outcome("unknown", "connector_failed", detail)] * len(rows)
        return outcomes

    def _count(self, pairs: Sequence[tuple[Row, Outcome]]) -> None:
        """Count rows by outcome, and the call by whether it reached the partner."""
        self.kinds += [outcome.kind for _, outcome in pairs]
        known = [
            True if rules.is_stale(row, outcome) else reached("send", outcome)
            for row, outcome in pairs
        ]
        if True in known:
            self.reached += 1
        elif False in known:
            first = pairs[0][1]
            self.unreached.append(first.detail or first.code or first.kind)

    async def _may(self, operation: str, object_key: str = "") -> float:
        """0 when a call may go; waits for it a little, else says how long it would take."""
        if self._held == operation:
            self._held = ""
            return 0.0
        left = _WAIT_SECONDS_MAX
        while (wait := await self._permits.take(operation, object_key)) and wait <= left:
            left -= wait
            await asyncio.sleep(wait)
        return wait


def _few(rows: Sequence[Row], most: int) -> Iterator[Sequence[Row]]:
    for first in range(0, len(rows), most):
        yield rows[first : first + most]


def _is_doubtful(row: Row, shown: int) -> bool:
    """Whether the store must be asked: its figure fell, or sales were unheard of, or just were."""
    if row.is_ending:
        return False
    return shown < rules.base_of(row, shown) or rules.needs_reckoning(row, row.claimed_at)


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing
