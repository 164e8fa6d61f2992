"""A Tryton on loopback: sales, shipments and their moves, errors and warnings as it tells them."""

import base64
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.canonical import at, parsed
from stockbridge.connectors.kit.simulator import Listed, Ordered, OrderLine, Served
from stockbridge.connectors.tryton.mapping import BACK, BUTTONS, MOVES, OUT, amount, decimal
from stockbridge.connectors.tryton.records import Records, Row
from stockbridge.contracts.partners.model import WebhookRequest

_USER: Final = "stockbridge"
_SALES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "quote": (("draft",), "quotation"),
    "draft": (("quotation", "cancelled"), "draft"),
    "confirm": (("quotation",), "processing"),
    "cancel": (("draft", "quotation"), "cancelled"),
}
"""What a sale's buttons do, from which states to which; a confirmed sale is processed at once."""
_NAMES: Final[Mapping[str, str]] = {
    "model.sale.sale.create": "make_order",
    "model.sale.sale.cancel": "cancel_order",
    "model.sale.sale.confirm": "confirm",
    "model.res.user.get_preferences": "test",
    "common.db.login": "login",
}


class _Told(Exception):
    """An error as Tryton tells it."""

    def __init__(self, kind: str, *said: str) -> None:
        super().__init__(kind)
        self.error = [kind, [*said, ""]]


class Simulator(simulator.Simulator):
    """A company with two warehouses."""

    name = "tryton"

    def __init__(self) -> None:
        super().__init__()
        self._records = Records(self.clock.now)
        self._sessions: set[str] = set()
        self._orders = 0
        self._numbers: dict[str, int] = defaultdict(int)
        self.rotate()
        self._found_company()

    def _found_company(self) -> None:
        add = self._records.add
        usd = add("currency.currency", code="USD")
        add("company.company", currency=usd)
        self._outside = {
            kind: add("stock.location", type=kind, code=kind)
            for kind in ("supplier", "customer", "lost_found")
        }
        for code in ("WH", "EAST"):
            zones = [add("stock.location", type="storage", code=f"{code}-{z}") for z in "IOS"]
            add("stock.location", type="warehouse", code=code, name=f"House {code}",
                input_location=zones[0],
                output_location=zones[1], storage_location=zones[2],
                lost_found_location=self._outside["lost_found"])  # fmt: skip
        add("stock.location", type="storage", code="ROAD")
        add("product.uom", symbol="u")
        for code in ("WEB", "ACME", "POTTERS"):
            add("party.party", code=code, addresses=[1],
                customer_location=self._outside["customer"],
                supplier_location=self._outside["supplier"])  # fmt: skip

    def config(self) -> dict[str, Any]:
        """Its address; our LONDON is its first warehouse."""
        return {
            "url": f"{self.url}/erp", "user": _USER, "customer": "WEB", "supplier": "POTTERS",
            "locations": {"LONDON": "WH", "LEEDS": "EAST"}, "transit": "ROAD", "currency": "USD",
        }  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """The password."""
        return {"password": self._password}

    def rotate(self) -> None:
        """A new password; sessions end."""
        self._password = os.urandom(12).hex()
        self._sessions.clear()

    def list_item(self, sku: str, quantity: int) -> Listed:
        """A product with a list price of 12.50 that costs 4.00; it has no stock here."""
        del quantity
        if not self._records.search("product.product", [["code", "=", sku]]):
            self.product(sku, "4.00", "12.50")
        return Listed(sku, "")

    def product(self, code: str, cost: str, price: str) -> int:
        """A product of that code."""
        template = self._records.add("product.template", name=f"The {code}")
        product = self._records.add(
            "product.product", code=code, active=True, template=template, default_uom=1,
            cost_price=decimal(Decimal(cost)), list_price_used=decimal(Decimal(price)),
        )  # fmt: skip
        self._records.add("product.cost_price", product=f"product.product,{product}")
        return product

    def recost(self, code: str, cost: str) -> None:
        """A product costs something else now; Tryton marks the cost, not the product."""
        (product,) = self._records.search("product.product", [["code", "=", code]])
        product["cost_price"] = decimal(Decimal(cost))
        for row in self._records.children("product.product", product["id"], "cost_prices"):
            self._records.change("product.cost_price", row["id"], {})

    def shown(self, listed: Listed) -> int | None:
        """Units in the first warehouse."""
        found = self._records.search("product.product", [["code", "=", listed.item]])
        return int(self._quantity(found[0]["id"], [self._warehouse("WH")])) if found else None

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """An order that some channel sold; Tryton has not heard of it."""
        self._orders += 1
        said = [OrderLine(str(place), sku, n) for place, (sku, n) in enumerate(lines.items(), 1)]
        return Ordered(f"ord_{self._orders}", said)

    def cancel(self, number: str) -> None:
        """Somebody else's business."""

    def webhooks(self) -> list[WebhookRequest]:
        """It calls nobody."""
        return []

    def served(self) -> Sequence[Served]:
        """One address."""
        return [Served("rpc", "POST", "/erp/rpc/", self._rpc)]

    def operation_of(self, served: Served, body: bytes) -> str:
        """By the method; a sale quoted again was changed."""
        try:
            said = parsed(body)
        except ValueError:
            return served.operation
        method = str(at(said, "method"))
        if method == "model.sale.sale.quote":
            sale = self._records.row("sale.sale", at(said, "params", 0, 0))
            return "change_order" if sale["number"] else "book_order"
        if method.endswith(".do"):
            return "post_movements"
        return _NAMES.get(method, served.operation)

    # The wire -------------------------------------------------------------------------------------

    async def _rpc(self, request: Request) -> Response:
        said = parsed(await request.body())
        method, params = said["method"], said["params"]
        if method == "common.db.login":
            return self._login(said["id"], params)
        token = request.headers.get("authorization", "").removeprefix("Session ")
        if token not in self._sessions:
            return JSONResponse("Unauthorized", 401)
        try:
            result = self._call(method.removeprefix("model."), params[:-1], params[-1])
        except _Told as told:
            return JSONResponse({"id": said["id"], "error": told.error})
        return JSONResponse({"id": said["id"], "result": result})

    def _login(self, number: int, params: Sequence[Any]) -> Response:
        if params[0] != _USER or at(params[1], "password") != self._password:
            return JSONResponse("Unauthorized", 401)
        session = os.urandom(16).hex()
        token = base64.b64encode(f"{_USER}:1:{session}".encode()).decode()
        self._sessions.add(token)
        self.issued.add(token)
        return JSONResponse({"id": number, "result": [1, session, None]})

    def _call(self, method: str, params: Sequence[Any], context: Mapping[str, Any]) -> Any:
        if method == "res.user.get_preferences":
            return {"company": 1, "language": "en"}
        model, _, name = method.rpartition(".")
        if name == "search_read":
            return self._search(model, params, context)
        if name == "create":
            return [self._create(model, values) for values in params[0]]
        if name == "write":
            return self._write(model, params[0], params[1])
        buttons: Callable[[str, str, int], None] = (
            self._sale if model == "sale.sale" else self._shipment
        )
        for row_id in params[0]:
            buttons(model, name, row_id)
        return None

    def _search(self, model: str, params: Sequence[Any], context: Mapping[str, Any]) -> list[Row]:
        domain, _, limit, _, fields = params
        rows = self._records.search(model, domain)
        limit = min(limit or len(rows), len(rows))
        found = [self._records.read(model, row, fields) for row in rows[:limit]]
        if model == "product.product" and "quantity" in fields:
            for row in found:
                units = self._quantity(row["id"], context["locations"])
                cost = amount(self._records.row(model, row["id"])["cost_price"]) or Decimal()
                row |= {"quantity": float(units), "cost_value": decimal(units * cost)}
        return found

    def _create(self, model: str, values: Mapping[str, Any]) -> int:
        more = {} if model.startswith("res.") else {"state": "draft", "number": None}
        return self._records.add(model, **more, **values)

    def _write(self, model: str, ids: Sequence[int], values: Mapping[str, Any]) -> None:
        for row_id in ids:
            row = self._records.row(model, row_id)
            if model == "sale.sale" and row["state"] != "draft":
                raise _Told("UserError", f"You cannot modify lines of sale {row['number']}.")
            self._records.change(model, row_id, values)

    # Buttons --------------------------------------------------------------------------------------

    def _sale(self, model: str, button: str, row_id: int) -> None:
        row = self._records.row(model, row_id)
        begins, end = _SALES[button]
        if row["state"] not in begins:
            return
        if button == "quote":
            self._check_products(row_id)
            operation = "change_order" if row["number"] else "book_order"
            row["number"] = row["number"] or self._number(model)
            self.did(operation, row["reference"], row["number"])
        if button == "cancel":
            self.did("cancel_order", row["reference"])
        self._records.change(model, row_id, {"state": end})

    def _check_products(self, sale: int) -> None:
        """A person there may have barred a product from being sold."""
        for line in self._records.children("sale.sale", sale, "lines"):
            code = self._records.row("product.product", line["product"])["code"]
            if code in self.rejected:
                raise _Told("UserError", f"{code}: {self.rejected[code]}")

    def _shipment(self, model: str, button: str, row_id: int) -> None:
        """Buttons of a document; one that does not fit its state does nothing."""
        row = self._records.row(model, row_id)
        if button == "cancel":
            row["state"] = "cancelled"
            return
        if BUTTONS[model].get(row["state"]) != button:
            return
        moves = self._records.children(model, row_id, MOVES[model])
        if model in (OUT, BACK) and button in ("pack", "receive"):
            self._warn_of_origins(model, row, moves)
        row["number"] = row["number"] or self._number(model)
        if button == "do":
            for move in moves:
                move["state"] = "done"
            self.did("post_movements", row["reference"])
        states = [*BUTTONS[model], "done"]
        following = "done" if button == "do" else states[states.index(row["state"]) + 1]
        self._records.change(model, row_id, {"state": following})

    def _warn_of_origins(self, model: str, row: Row, moves: Sequence[Row]) -> None:
        """Tryton asks whether goods may move that no sale explains."""
        name = f"{model}.{row['id']}.done"
        if all(move.get("origin") for move in moves):
            return
        if not self._records.search("res.user.warning", [["name", "=", name]]):
            raise _Told("UserWarning", name, "Stock moves have no origin.")

    def _number(self, model: str) -> str:
        self._numbers[model] += 1
        return str(self._numbers[model])

    def _warehouse(self, code: str) -> int:
        return int(self._records.search("stock.location", [["code", "=", code]])[0]["id"])

    def _quantity(self, product: int, warehouses: Sequence[int]) -> Decimal:
        """Units in the warehouses, by the moves that were done; what is at their doors counts."""
        zones = {
            self._records.row("stock.location", house)[field]
            for house in warehouses
            for field in ("input_location", "output_location", "storage_location")
        }
        units = Decimal()
        domain = [["product", "=", product], ["state", "=", "done"]]
        for move in self._records.search("stock.move", domain):
            came, left = move["to_location"] in zones, move["from_location"] in zones
            units += Decimal(str(move["quantity"])) * (int(came) - int(left))
        return units
