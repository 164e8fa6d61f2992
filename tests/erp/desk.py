"""A connector at its desk, talking to a Tryton, simulated or real, whose books are looked into."""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

from stockbridge.connectors.kit.canonical import key_of
from stockbridge.connectors.kit.http import Http
from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.tryton.client import Tryton
from stockbridge.contracts.partners.model import Connector, Delivery, Opened, Outcome
from stockbridge.contracts.partners.operations import (
    BookedLine,
    BookOrder,
    PostedMovement,
    PostMovements,
)
from tests.erp.rpc import Rpc
from tests.erp.targets import Target, config_of

SYSTEM = "erp"
CONFIG = {
    "customer": "WEB", "supplier": "POTTERS", "locations": {"LONDON": "WH", "LEEDS": "EAST"},
    "transit": "ROAD", "currency": "USD",
}  # fmt: skip
COSTS = {"MUG": "4.00", "CUP": "5.00"}


class Desk:
    """The connector, its own books to compare with, and short words for what is sent."""

    def __init__(self, connector: Connector, books: Tryton, rpc: Rpc) -> None:
        self.connector, self.books, self.rpc = connector, books, rpc

    async def send(self, operation: str, payload: Any) -> Outcome:
        return await self.connector.send(delivery(operation, payload))

    async def probe(self, operation: str, payload: Any) -> Outcome:
        return await self.connector.probe(delivery(operation, payload))

    async def post(self, name: str, *lines: PostedMovement) -> Outcome:
        return await self.send("post_movements", posting(name, *lines))

    def sales(self, order: str) -> list[Any]:
        """Sales of our reference: state, number, and (product, units, price) of each line."""
        fields = ["state", "number", "lines", "shipment_state"]
        return self.rpc.rows("sale.sale", ["reference", "=", order], fields=fields)

    def lines(self, order: str) -> list[tuple[str, float, str]]:
        ids = [number for sale in self.sales(order) for number in sale["lines"]]
        fields = ["note", "quantity", "unit_price"]
        rows = self.rpc.rows("sale.line", ["id", "in", ids], fields=fields)
        return [(r["note"], r["quantity"], str(r["unit_price"]["decimal"])) for r in rows]

    def documents(self, model: str, name: str) -> list[str]:
        """States of the documents of a posting."""
        names = [f"{name}:{number}" for number in range(1, 6)]
        rows = self.rpc.rows(f"stock.shipment.{model}", ["reference", "in", names],
                             fields=["state"])  # fmt: skip
        return [row["state"] for row in rows]

    def stock(self, sku: str, code: str = "WH") -> int:
        place = self.rpc.one("stock.location", ["code", "=", code])
        today = dt.datetime.now(dt.UTC).date()
        end = {"__class__": "date", "year": today.year, "month": today.month, "day": today.day}
        rows = self.rpc.rows(
            "product.product", ["code", "=", sku], fields=["quantity"], locations=[place],
            with_childs=True, stock_date_end=end,
        )  # fmt: skip
        return int(rows[0]["quantity"])


def order(name: str, *lines: BookedLine, customer: str = "") -> BookOrder:
    return BookOrder(name, "web", f"W-{name}", list(lines), _now(), "LONDON", customer, "USD")


def moved(
    kind: Any, sku: str, quantity: int, name: str = "D1", place: str = "LONDON", **more: str
) -> PostedMovement:
    return PostedMovement(kind, sku, quantity, place, _now(), name, COSTS[sku], **more)


def posting(name: str, *lines: PostedMovement) -> PostMovements:
    units = sum(abs(line.quantity) for line in lines)
    value = sum(abs(line.quantity) * int(line.unit_cost[0]) for line in lines)
    return PostMovements(name, list(lines), units, f"{value}.00")


def delivery(operation: str, payload: Any) -> Delivery:
    key = key_of(operation, payload)
    return Delivery(
        1, operation, "order:web/1", key, "0af7651916cd43dd8448eb211c80319c", 1, payload
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@contextlib.asynccontextmanager
async def desk(at: Target, **more: Any) -> AsyncIterator[Desk]:
    """A connector opened on one database."""
    registry, password = Registry(), at.password
    config = config_of(at, CONFIG) | more
    opened = Opened(SYSTEM, config, {"password": password}, "sandbox")
    connector = registry.open("tryton", opened)
    manifest = registry.manifest("tryton")
    whole = {field.name: field.default for field in manifest.config} | config
    books = Opened(SYSTEM, whole, {"password": password}, "sandbox")
    http = Http(manifest, books)
    try:
        yield Desk(connector, Tryton(books, http), at.rpc)
    finally:
        await connector.close()
        await http.close()
