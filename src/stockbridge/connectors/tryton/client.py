"""The wire of Tryton: operations, the catalog, and the feed of items."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from stockbridge.connectors.kit.http import Http
from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.connectors.tryton import ledger, mapping
from stockbridge.connectors.tryton.ledger import Valued
from stockbridge.connectors.tryton.names import Names
from stockbridge.connectors.tryton.postings import Postings
from stockbridge.connectors.tryton.rpc import Rpc
from stockbridge.connectors.tryton.sales import Sales
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import (
    CatalogEntry,
    Check,
    Connector,
    Delivery,
    Observed,
    Opened,
    Outcome,
    Page,
    Received,
    StockUpdate,
    WebhookRequest,
)
from stockbridge.contracts.partners.operations import (
    BookOrder,
    CancelOrder,
    ChangeOrder,
    PostMovements,
)
from stockbridge.kernel.errors import Broken

PAGE: Final = 100


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one database."""
    return Tryton(opened, http)


class Tryton:
    """One database of a Tryton server, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._config = opened.config
        self._rpc = Rpc(opened, http)
        self._names = Names(self._rpc, opened.config)
        self._sales = Sales(self._rpc, self._names, opened.config)
        self._postings = Postings(self._rpc, self._names, self._sales, opened.config)

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """A session, and every name of the configuration."""
        await self._rpc.context("test")
        checks = [Check("session", True, f"{self._config['user']} is let in")]
        tried: dict[str, Any] = {
            "company": self._names.company,
            "customer": lambda: self._names.customer(""),
        }
        for place in self._config["locations"]:
            tried[f"locations.{place}"] = lambda place=place: self._names.warehouse(place)
        for name in ("supplier", "transit"):
            if self._config[name]:
                tried[name] = getattr(self._names, name)
        for name, look in tried.items():
            try:
                await look()
            except Failed as error:
                if error.outcome.kind != "rejected":
                    raise
                fix = f"correct {name}, or add it in Tryton"
                checks.append(Check(name, False, error.outcome.detail, fix))
            else:
                checks.append(Check(name, True, "is there"))
        return checks

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """An ERP is told movements, not figures."""
        raise Broken(f"tryton takes no figures: {len(updates)}")

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """An ERP is told movements, not figures."""
        raise Broken(f"tryton takes no figures: {len(updates)}")

    async def send(self, delivery: Delivery) -> Outcome:
        """Do what is not done yet: looked up first, so that it may be said again."""
        match delivery.payload:
            case BookOrder() as order:
                return await self._sales.book(delivery, order)
            case ChangeOrder() as order:
                return await self._sales.change(delivery, order)
            case CancelOrder() as order:
                return await self._sales.cancel(delivery, order)
            case PostMovements() as posting:
                return await self._postings.post(delivery, posting)
        return Outcome("rejected", "operation_not_offered", delivery.operation)

    async def probe(self, delivery: Delivery) -> Outcome:
        """Look up by our reference whether it is done."""
        if isinstance(delivery.payload, PostMovements):
            return await self._postings.probe(delivery.payload)
        return await self._sales.probe(delivery)

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """Tryton calls nobody."""
        del request, secrets
        return None

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """What changed, by id; the cursor is the last id, and since when."""
        if feed == "locations":
            return await self._locations(since)
        after, _, mark = (cursor or "0").partition("|")
        if not mark and since is not None:
            mark = since.astimezone(UTC).isoformat()
        domain: list[Any] = [["id", ">", int(after)]]
        if mark:
            changed = mapping.moment(datetime.fromisoformat(mark))
            fields = ("write_date", "create_date", "template.write_date", "cost_prices.write_date",
                      "cost_prices.create_date")  # fmt: skip
            domain.append(["OR", *([name, ">=", changed] for name in fields)])
        rows = await self._rpc.found(
            feed, "product.product", domain, mapping.PRODUCT_FIELDS, limit=PAGE,
            active_test=False,
        )  # fmt: skip
        told = [mapping.item_message(row) for row in rows]
        is_last = len(rows) < PAGE
        return Page(
            [message for message in told if message is not None],
            None if is_last else f"{rows[-1]['id']}|{mark}",
        )

    async def _locations(self, since: datetime | None) -> Page:
        """Warehouses of ours that changed; there are few."""
        codes = list(map(str, self._config["locations"].values()))
        domain: list[Any] = [["type", "=", "warehouse"], ["code", "in", codes]]
        if since is not None:
            changed = mapping.moment(since.astimezone(UTC))
            domain.append(["OR", ["write_date", ">=", changed], ["create_date", ">=", changed]])
        fields = ["code", "name", "write_date", "create_date"]
        rows = await self._rpc.found("locations", "stock.location", domain, fields)
        return Page([mapping.location_message(row) for row in rows], None)

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Every product that has a code."""
        after = 0
        while True:
            domain = [["id", ">", after], ["code", "!=", None]]
            fields = ["code", "template.name"]
            rows = await self._rpc.found("catalog", "product.product", domain, fields, limit=PAGE)
            for row in rows:
                title = (row.get("template.") or {}).get("name") or ""
                yield CatalogEntry(row["code"], row["code"], title)
            if len(rows) < PAGE:
                return
            after = rows[-1]["id"]

    async def valuation(self, at: date) -> list[Valued]:
        """Stock of our locations with its value at the end of a day, by Tryton's books."""
        return await ledger.valuation(self._rpc, self._names, self._config["locations"], at)

    async def accounts(self, begin: date, end: date) -> dict[str, Decimal]:
        """Balances of accounts in a span of days, by Tryton's books."""
        return await ledger.accounts(self._rpc, begin, end)
