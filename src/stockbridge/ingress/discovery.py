"""Discovery: what a partner lists becomes aliases of our items, in its system's namespace.

The entries of the connector's catalog are matched by SKU, by an alias they have, or by GTIN, a
thousand at a time. What fits no item of ours stands in the job's refused rows, with the reason.
Where a channel is named, what fits is listed on it, with what the connector needs to update it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
import structlog
from psycopg import Connection
from psycopg_pool import PoolTimeout

from stockbridge.contracts.partners.model import CatalogEntry, Connector
from stockbridge.domain.masters import bulk
from stockbridge.domain.masters.model import Context
from stockbridge.ingress.connections import OpenConnectors
from stockbridge.ingress.import_jobs import (
    add_errors,
    add_job,
    count_rows,
    end_job,
    hold_job,
    write_rejects,
)
from stockbridge.ingress.import_pipeline import connect
from stockbridge.ingress.import_reader import Reject
from stockbridge.ingress.systems_checks import LOCATIONS
from stockbridge.kernel.errors import Misconfigured, Refusal, Retry
from stockbridge.outbox.listings.making import Entry, add_entries
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
LOG = structlog.get_logger(__name__)
CHUNK: Final = 1_000
_TEXT_MAX: Final = 128
"""Characters of an alias."""


class Discovery(msgspec.Struct):
    """How many entries became aliases of our items, and how many are none of ours."""

    job: int
    matched: int = 0
    unmatched: int = 0


async def begin(
    dsn: str, partners: OpenConnectors, system: str, *, actor: str, correlation_id: str
) -> int | Refusal:
    """A job for the discovery of a system whose connector has a catalog."""
    try:
        connector = await partners.connector(system)
    except Misconfigured as error:
        return Refusal("system_not_callable", str(error), 409)
    if not connector.manifest.has_catalog:
        detail = f"the connector {connector.manifest.name} cannot list what the partner has"
        return Refusal("no_catalog", detail, 409)

    def start() -> int:
        with connect(dsn) as conn:
            kind = f"discovery:{system}"
            return add_job(conn, kind, detail="", actor=actor, correlation_id=correlation_id)

    return await asyncio.to_thread(start)


async def discover(
    dsn: str,
    pool: Pool,
    partners: OpenConnectors,
    system: str,
    job_id: int,
    context: Context,
    channel: str | None = None,
    rejects_path: Path | None = None,
) -> Discovery:
    """Walk the catalog to its end; raises what kept it from that, after the job says so."""
    done = Discovery(job_id)
    conn = await asyncio.to_thread(connect, dsn)
    try:
        await asyncio.to_thread(hold_job, conn, job_id)
        connector = await partners.connector(system)
        places = _places((await partners.opened(system)).config)
        async for entries in _chunks(connector):
            fit = await asyncio.to_thread(_merge, conn, system, entries, context, done)
            if channel is not None:
                listed = [each for found in fit for each in _listed(connector, places, *found)]
                await _list(pool, partners, channel, listed, context)
        await asyncio.to_thread(end_job, conn, job_id, "done", "")
        if rejects_path is not None and done.unmatched:
            await asyncio.to_thread(write_rejects, conn, job_id, rejects_path)
    except (Retry, Misconfigured, psycopg.Error, PoolTimeout) as error:
        LOG.warning("discovery ended early", system=system, job=job_id, cause=str(error))
        await asyncio.to_thread(end_job, conn, job_id, "failed", str(error))
        raise
    finally:
        await asyncio.to_thread(conn.close)
    return done


async def _chunks(connector: Connector) -> AsyncIterator[list[CatalogEntry]]:
    waiting: list[CatalogEntry] = []
    async for entry in connector.catalog():
        waiting.append(entry)
        if len(waiting) == CHUNK:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _places(config: Mapping[str, Any]) -> dict[str, str]:
    """Our location for each of the partner's."""
    return {theirs: ours for ours, theirs in (config.get(LOCATIONS) or {}).items()}


def _listed(
    connector: Connector, places: Mapping[str, str], entry: CatalogEntry, sku: str
) -> list[Entry]:
    """The listings an entry is: one, or one for each of our locations it is stocked at.

    A catalog that tells no locations leaves open where, so that is everywhere.
    """
    stock = connector.manifest.stock
    if stock is None or not stock.per_location:
        return [Entry(sku, entry.item, "", entry.attributes)]
    stocked = entry.locations or list(places)
    codes = [places[theirs] for theirs in stocked if theirs in places]
    return [Entry(sku, entry.item, code, entry.attributes) for code in codes]


async def _list(
    pool: Pool,
    partners: OpenConnectors,
    channel: str,
    entries: Sequence[Entry],
    context: Context,
) -> None:
    async with pool.connection() as conn:
        refused = await add_entries(
            conn, partners.connectors, channel, entries,
            actor=context.principal, correlation_id=context.correlation_id,
        )  # fmt: skip
    if isinstance(refused, Refusal):
        raise Misconfigured(refused.detail)


def _merge(
    conn: Connection[Any],
    system: str,
    entries: Sequence[CatalogEntry],
    context: Context,
    done: Discovery,
) -> list[tuple[CatalogEntry, str]]:
    """Give our items their aliases, note the others, in one transaction; the entries that fit."""
    with conn.transaction():
        values = {
            "system": system,
            "items": [_clean(entry.item) for entry in entries],
            "skus": [_clean(entry.sku) for entry in entries],
            "gtins": [_clean(entry.gtin) for entry in entries],
        }
        skus = [row[0] for row in conn.execute(SQL.match_entries, values)]
        wrong = {n: _stranger(entry) for n, entry in enumerate(entries) if skus[n] is None}
        wrong |= {n: why for n, e in enumerate(entries) if (why := _unusable(e))}
        fit = [n for n in range(len(entries)) if n not in wrong]
        columns = {
            "namespace": [system] * len(fit),
            "alias": [entries[n].item for n in fit],
            "sku": [skus[n] for n in fit],
        }
        refused = bulk.merge_aliases(conn, columns, context) if fit else {}
        wrong |= {fit[n]: why for n, why in refused.items()}
        first = done.matched + done.unmatched + 1
        rejects = [_reject(first + n, entries[n], wrong[n]) for n in sorted(wrong)]
        add_errors(conn, done.job, rejects)
        good, bad = len(entries) - len(wrong), len(wrong)
        count_rows(conn, done.job, good, bad)
    done.matched += good
    done.unmatched += bad
    return [(entries[n], skus[n]) for n in fit if n not in wrong]


def _reject(number: int, entry: CatalogEntry, why: str) -> Reject:
    return Reject(number, _clean(msgspec.json.encode(entry).decode()), why)


def _clean(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()


def _stranger(entry: CatalogEntry) -> str:
    if not entry.sku and not entry.gtin:
        return "the partner gives neither SKU nor GTIN: set one there, or import an alias"
    named = f"SKU {entry.sku!r}" + (f" nor GTIN {entry.gtin!r}" if entry.gtin else "")
    return f"no item of ours has {named}: put the item, or import an alias"


def _unusable(entry: CatalogEntry) -> str | None:
    if not entry.item or len(entry.item) > _TEXT_MAX or "\0" in entry.item:
        return f"the partner's id is not of 1 to {_TEXT_MAX} characters"
    return None


def context_of(actor: str, correlation_id: str) -> Context:
    """Who asks, now."""
    return Context(actor, correlation_id, datetime.now(UTC))
