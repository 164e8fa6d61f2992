"""Ids of what our words name in Tryton: products, warehouses, parties, the company's currency."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.connectors.tryton.mapping import Party, Product, Warehouse, amount
from stockbridge.connectors.tryton.rpc import Rpc
from stockbridge.contracts.partners.model import Outcome


class Names:
    """Looked up once each; what is not there is asked for again the next time."""

    def __init__(self, rpc: Rpc, config: Mapping[str, Any]) -> None:
        self._rpc, self._config = rpc, config
        self._products: dict[str, Product] = {}
        self._warehouses: dict[str, Warehouse] = {}
        self._parties: dict[str, Party] = {}
        self._currencies: dict[str, int] = {}
        self._transit: int | None = None

    async def company(self) -> int:
        """The user's company."""
        found = (await self._rpc.context("names")).get("company")
        if found is None:
            raise missing("company", "the user has no company; give it one in its preferences")
        return int(found)

    async def products(self, skus: Iterable[str]) -> Mapping[str, Product]:
        """Products by our sku, their code; raises Failed for one that is not there."""
        wanted = sorted(set(skus) - self._products.keys())
        if wanted:
            fields = ["code", "default_uom", "list_price_used"]
            domain = [["code", "in", wanted]]
            for row in await self._rpc.found("names", "product.product", domain, fields):
                price = amount(row["list_price_used"]) or Decimal()
                found = Product(int(row["id"]), int(row["default_uom"]), price)
                self._products.setdefault(str(row["code"]), found)
        unknown = [sku for sku in wanted if sku not in self._products]
        if unknown:
            raise missing("product", f"no product has the code {', '.join(unknown[:10])}")
        return self._products

    async def warehouse(self, location: str) -> Warehouse:
        """The warehouse that is our location; raises Failed."""
        code = str((self._config.get("locations") or {}).get(location, ""))
        if not code:
            raise missing("location", f"{location} stands in no line of locations")
        if code not in self._warehouses:
            domain = [["type", "=", "warehouse"], ["code", "=", code]]
            fields = [
                "input_location", "output_location", "storage_location", "lost_found_location",
            ]  # fmt: skip
            rows = await self._rpc.found("names", "stock.location", domain, fields, limit=1)
            if not rows:
                raise missing("location", f"no warehouse has the code {code}")
            self._warehouses[code] = Warehouse(
                rows[0]["id"], rows[0]["input_location"], rows[0]["output_location"],
                rows[0]["storage_location"], rows[0]["lost_found_location"],
            )  # fmt: skip
        return self._warehouses[code]

    async def customer(self, code: str) -> Party:
        """The party of that code, else the one that is configured."""
        wanted = dict.fromkeys(name for name in (code, str(self._config["customer"])) if name)
        for name in wanted:
            found = await self._party(name, "customer_location")
            if found is not None:
                return found
        raise missing("customer", f"no party has the code {self._config['customer']}")

    async def supplier(self) -> Party:
        """The party that goods are received from."""
        code = str(self._config.get("supplier") or "")
        found = await self._party(code, "supplier_location") if code else None
        if found is None:
            raise missing("supplier", f"no party has the code {code or 'in supplier'}")
        return found

    async def transit(self) -> int:
        """The location between two warehouses."""
        if self._transit is None:
            code = str(self._config.get("transit") or "")
            domain = [["type", "=", "storage"], ["code", "=", code]]
            rows = await self._rpc.found("names", "stock.location", domain, ["code"], limit=1)
            if not code or not rows:
                raise missing("transit", f"no storage location has the code {code or 'in transit'}")
            self._transit = int(rows[0]["id"])
        return self._transit

    async def currency(self, code: str) -> int:
        """The currency of that code, else the company's."""
        if code not in self._currencies:
            company = await self.company()
            model, field = ("currency.currency", "id") if code else ("company.company", "currency")
            domain: list[Any] = ["code", "=", code] if code else ["id", "=", company]
            rows = await self._rpc.found("names", model, [domain], [field])
            if not rows:
                raise missing("currency", f"{code} is no currency there")
            self._currencies[code] = int(rows[0][field])
        return self._currencies[code]

    async def _party(self, code: str, location: str) -> Party | None:
        known = self._parties.get(f"{code}/{location}")
        if known is None:
            fields = ["addresses", location]
            domain = [["code", "=", code]]
            rows = await self._rpc.found("names", "party.party", domain, fields, limit=1)
            if not rows:
                return None
            addresses = rows[0]["addresses"]
            address = int(addresses[0]) if addresses else None
            known = Party(int(rows[0]["id"]), address, int(rows[0][location]))
            self._parties[f"{code}/{location}"] = known
        return known


def missing(what: str, detail: str) -> Failed:
    """What is not there will not come by itself: an owner adds it, and retries."""
    return Failed(Outcome("rejected", f"unknown_{what}", detail))
