"""What Tryton's own books say: stock with its value, and balances of accounts."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from stockbridge.connectors.tryton.mapping import amount, day
from stockbridge.connectors.tryton.names import Names
from stockbridge.connectors.tryton.rpc import Rpc


class Valued(NamedTuple):
    """An item in a location of ours: units, and what they are worth to finance."""

    sku: str
    location: str
    quantity: Decimal
    value: Decimal


async def valuation(rpc: Rpc, names: Names, locations: Mapping[str, str], at: date) -> list[Valued]:
    """Every item in our locations at the end of a day; those without stock are left out."""
    found: list[Valued] = []
    for ours in locations:
        place = (await names.warehouse(ours)).warehouse_id
        rows = await rpc.found(
            "valuation", "product.product", [["code", "!=", None]],
            ["code", "quantity", "cost_value"], locations=[place], with_childs=True,
            stock_date_end=day(at),
        )  # fmt: skip
        for row in rows:
            units = Decimal(str(row["quantity"] or 0))
            if units:
                found.append(
                    Valued(row["code"], ours, units, amount(row["cost_value"]) or Decimal())
                )
    return found


async def accounts(rpc: Rpc, begin: date, end: date) -> dict[str, Decimal]:
    """Debit minus credit of every account in a span of days, its ends included, by account name."""
    domain = [["date", ">=", day(begin)], ["date", "<=", day(end)]]
    fields = ["account.rec_name", "debit", "credit"]
    balances: dict[str, Decimal] = defaultdict(Decimal)
    for row in await rpc.found("accounts", "account.move.line", domain, fields):
        change = (amount(row["debit"]) or Decimal()) - (amount(row["credit"]) or Decimal())
        balances[row["account."]["rec_name"]] += change
    return dict(balances)
