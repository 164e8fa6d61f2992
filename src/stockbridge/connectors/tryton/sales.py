"""Sales orders: booked, changed and cancelled once, found again by their reference.

Nothing in Tryton makes a reference unique. Should a call that nobody answered have made a second
sale, the first one counts, and the others, still drafts without effect, are cancelled.
"""

from typing import Any, Final

from stockbridge.connectors.tryton import mapping
from stockbridge.connectors.tryton.names import Names
from stockbridge.connectors.tryton.rpc import Rpc
from stockbridge.contracts.partners.model import Delivery, Outcome
from stockbridge.contracts.partners.operations import (
    BookedLine,
    BookOrder,
    CancelOrder,
    ChangeOrder,
)

_FIELDS: Final = ("number", "state", "lines")
_OPEN: Final = ("draft", "quotation")


class Sales:
    """The sales of one Tryton."""

    def __init__(self, rpc: Rpc, names: Names, config: Any) -> None:
        self._rpc, self._names, self._config = rpc, names, config

    async def book(self, delivery: Delivery, order: BookOrder) -> Outcome:
        """Make the sale and have it quoted, which numbers and checks it; confirm it if asked to."""
        sale = await self._one(delivery, order.order)
        if sale is None:
            await self._make(delivery, order)
            sale = await self._one(delivery, order.order)
        if sale is None:
            return Outcome("unknown", "not_found", f"the sale {order.order} was made and is gone")
        if sale["state"] == "draft":
            await self._press(delivery, "quote", sale)
            sale = await self._one(delivery, order.order) or sale
        if sale["state"] == "quotation" and self._config["confirms"] == "booked":
            await self._press(delivery, "confirm", sale)
        return _told(sale)

    async def _make(self, delivery: Delivery, order: BookOrder) -> None:
        names = self._names
        products = await names.products(line.sku for line in order.lines)
        party = await names.customer(order.customer)
        currency = await names.currency(order.currency)
        has_place = bool(order.location)
        warehouse = (await names.warehouse(order.location)).warehouse_id if has_place else None
        values = mapping.sale(
            order, party, warehouse, currency, products, self._config, await names.company()
        )
        await self._rpc.model(
            "make_order", "sale.sale.create", [values], correlation_id=delivery.correlation_id
        )

    async def change(self, delivery: Delivery, order: ChangeOrder) -> Outcome:
        """Make the lines what they are now, unless the sale is confirmed already."""
        sale = await self._one(delivery, order.order)
        if sale is None:
            return Outcome("rejected", "not_booked", f"there is no sale {order.order}")
        changes = await self._changes(sale, order.lines)
        if sale["state"] not in _OPEN:
            return _told(sale) if not changes else _closed(sale)
        if changes:
            if sale["state"] == "quotation":
                await self._press(delivery, "draft", sale)
            await self._rpc.model(
                "write_lines", "sale.sale.write", [sale["id"]], {"lines": changes}
            )
        if changes or sale["state"] == "draft":
            await self._press(delivery, "quote", sale)
        return _told(sale)

    async def cancel(self, delivery: Delivery, order: CancelOrder) -> Outcome:
        """Cancel the whole sale, unless it is confirmed already."""
        sale = await self._one(delivery, order.order)
        if sale is None:
            return Outcome("confirmed", "not_booked", f"there is no sale {order.order}")
        if sale["state"] == "cancelled":
            return _told(sale)
        if sale["state"] not in _OPEN:
            return _closed(sale)
        await self._press(delivery, "cancel", sale)
        return _told(sale)

    async def probe(self, delivery: Delivery) -> Outcome:
        """Whether it is done already; `later` says that sending is safe."""
        payload = delivery.payload
        sale = await self._one(delivery, payload.order)
        undone = Outcome("later", "not_done", f"{delivery.operation} of {payload.order}")
        if sale is None:
            return undone
        state = sale["state"]
        match payload:
            case CancelOrder():
                is_done = state == "cancelled"
            case ChangeOrder():
                is_done = state != "draft" and not await self._changes(sale, payload.lines)
            case _:
                waits = state == "quotation" and self._config["confirms"] == "booked"
                is_done = state != "draft" and not waits
        return _told(sale) if is_done else undone

    async def confirmed(self, operation: str, references: list[str]) -> dict[str, dict[str, Any]]:
        """The sales of these references, confirmed, because their goods leave."""
        sales = {name: found for name in references if (found := await self._find(operation, name))}
        waiting = [sale["id"] for sale in sales.values() if sale["state"] == "quotation"]
        if waiting:
            await self._rpc.model("confirm", "sale.sale.confirm", waiting)
        return sales

    async def lines(self, sale: dict[str, Any]) -> list[dict[str, Any]]:
        """The lines of a sale, their notes being our line ids."""
        domain = [["id", "in", sale["lines"]]]
        return await self._rpc.found(
            "read_lines", "sale.line", domain, ["note", "quantity", "product"]
        )

    async def _changes(self, sale: dict[str, Any], lines: list[BookedLine]) -> list[list[Any]]:
        products = await self._names.products(line.sku for line in lines)
        return mapping.line_changes(lines, await self.lines(sale), products)

    async def _press(self, delivery: Delivery, button: str, sale: dict[str, Any]) -> None:
        operation = delivery.operation if button in ("quote", "cancel") else button
        await self._rpc.model(
            operation, f"sale.sale.{button}", [sale["id"]], correlation_id=delivery.correlation_id
        )

    async def _one(self, delivery: Delivery, reference: str) -> dict[str, Any] | None:
        return await self._find(delivery.operation, reference)

    async def _find(self, operation: str, reference: str) -> dict[str, Any] | None:
        """The sale of that reference; of several the first, the others are called off."""
        domain = [["reference", "=", reference]]
        found = await self._rpc.found(f"find_{operation}", "sale.sale", domain, _FIELDS)
        doubles = [sale["id"] for sale in found[1:] if sale["state"] in _OPEN]
        if doubles:
            await self._rpc.model("cancel_double", "sale.sale.cancel", doubles)
        return found[0] if found else None


def _told(sale: dict[str, Any]) -> Outcome:
    return Outcome("confirmed", reference=str(sale["number"] or sale["id"]))


def _closed(sale: dict[str, Any]) -> Outcome:
    detail = f"sale {sale['number']} is {sale['state']}: Tryton changes it by an amendment only"
    return Outcome("rejected", "sale_confirmed", detail)
