"""Stands around every connector, so that whatever goes wrong inside ends as an outcome."""

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, cast

import msgspec
import structlog

from stockbridge.connectors.kit.http import Http
from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import (
    Bulky,
    CatalogEntry,
    Check,
    Connector,
    Delivery,
    Observed,
    Outcome,
    Page,
    Received,
    StockUpdate,
    WebhookRequest,
)
from stockbridge.kernel.errors import Broken, Misconfigured, Retry

CODE: Final = "connector_error"
_log = structlog.get_logger(__name__)


class Guarded:
    """A connector that keeps the promises of the `Connector` protocol, whatever its code does."""

    def __init__(self, inner: Connector, manifest: Manifest, http: Http) -> None:
        self.manifest = manifest
        self._inner, self._http = inner, http

    async def close(self) -> None:
        """Close the connector and its connections."""
        try:
            await self._inner.close()
        finally:
            await self._http.close()

    async def test(self) -> Sequence[Check]:
        """The connector's checks; one that fails on its way is a check that failed."""
        try:
            checks = await self._inner.test()
        except Failed as error:
            return [Check("connection", False, self._scrubbed(error), _fix(error.outcome))]
        except Misconfigured as error:
            return [Check("configuration", False, self._scrubbed(error), "correct it")]
        except Exception as error:  # noqa: BLE001 - a defect of the connector is told, not raised
            detail = self._defect("test", error)
            return [Check("connection", False, detail, "report this to whoever wrote it")]
        return [msgspec.structs.replace(c, detail=self._http.scrub(c.detail)) for c in checks]

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """One outcome a row, in order."""
        most = self.manifest.stock.rows_max if self.manifest.stock else 0
        return await self._publish(self._inner.publish, updates, most)

    async def publish_bulk(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """One outcome a row, in order."""
        bulk = self.manifest.stock.bulk if self.manifest.stock else None
        inner = cast("Bulky", self._inner).publish_bulk
        return await self._publish(inner, updates, bulk.rows_max if bulk else 0)

    async def _publish(
        self,
        publish: Callable[[Sequence[StockUpdate]], Awaitable[Sequence[Outcome]]],
        updates: Sequence[StockUpdate],
        most: int,
    ) -> Sequence[Outcome]:
        if len(updates) > most:
            raise Broken(f"{self.manifest.name} takes {most} rows at once, not {len(updates)}")
        try:
            found = list(await publish(updates))
        except Exception as error:  # noqa: BLE001 - what was sent may have arrived
            return [self._outcome("publish", error)] * len(updates)
        if len(found) != len(updates):
            detail = f"{len(found)} outcomes for {len(updates)} rows"
            return [Outcome("unknown", CODE, detail)] * len(updates)
        return found

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """What the partner shows for the rows, in order; raises Retry."""
        try:
            found = list(await self._inner.observe(updates))
        except Exception as error:  # noqa: BLE001 - told as Retry
            raise self._reading("observe", error) from None
        if len(found) != len(updates):
            raise Retry(f"{self.manifest.name}: {len(found)} figures for {len(updates)} rows")
        return found

    async def send(self, delivery: Delivery) -> Outcome:
        """Do one operation."""
        try:
            return await self._inner.send(delivery)
        except Exception as error:  # noqa: BLE001 - what was sent may have arrived
            return self._outcome(delivery.operation, error)

    async def probe(self, delivery: Delivery) -> Outcome:
        """Whether it was done; a look-up that fails knows nothing."""
        try:
            return await self._inner.probe(delivery)
        except Exception as error:  # noqa: BLE001 - told as an outcome
            found = self._outcome(f"probe {delivery.operation}", error)
            return msgspec.structs.replace(found, kind="unknown")

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """What a webhook brings; one that cannot even be read is not believed."""
        try:
            return self._inner.receive(request, secrets)
        except Exception as error:  # noqa: BLE001 - anybody may send anything
            _log.debug("webhook unreadable", connector=self.manifest.name, error=repr(type(error)))
            return None

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """A page of a feed; raises Retry."""
        try:
            return await self._inner.poll(feed, since, cursor)
        except Exception as error:  # noqa: BLE001 - told as Retry
            raise self._reading(f"poll {feed}", error) from None

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Everything that is listed; raises Retry."""
        try:
            async for entry in self._inner.catalog():
                yield entry
        except Exception as error:  # noqa: BLE001 - told as Retry
            raise self._reading("catalog", error) from None

    def _outcome(self, operation: str, error: Exception) -> Outcome:
        if isinstance(error, Failed):
            return error.outcome
        if isinstance(error, Misconfigured):
            return Outcome("later", "misconfigured", self._scrubbed(error))
        if isinstance(error, Retry):
            after = error.after_seconds
            return Outcome("later", "retry", self._scrubbed(error), after_seconds=after)
        return Outcome("unknown", CODE, self._defect(operation, error))

    def _reading(self, operation: str, error: Exception) -> Exception:
        if isinstance(error, Retry | Misconfigured):
            return error
        return Retry(f"{self.manifest.name}: {self._defect(operation, error)}", 60.0)

    def _scrubbed(self, error: Exception) -> str:
        return self._http.scrub(str(error))

    def _defect(self, operation: str, error: Exception) -> str:
        """Log where it happened, without values that might be secret or personal."""
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"
        name = type(error).__name__
        _log.error(
            "connector failed", connector=self.manifest.name, operation=operation, error=name,
            where=where,
        )  # fmt: skip
        return f"{name} in {operation} at {where}"


def _fix(outcome: Outcome) -> str:
    return {
        "unauthorized": "set the credentials anew; the partner does not accept these",
        "forbidden": "give the credentials the permissions that the connector's page names",
        "dns": "correct the address: its host does not exist",
        "unreachable": "correct the address, or open the way to it",
        "tls": "correct the address, or have its certificate renewed",
        "redirected": "configure the address it redirects to",
    }.get(outcome.code, "try again; if it stays, compare address and credentials with the partner")
