"""A small trading company in a new Tryton database: accounts, products, two warehouses, parties."""

import datetime as dt
from decimal import Decimal
from typing import Any

from tests.erp.rpc import Rpc

PRODUCTS = (("MUG", "Blue mug", "4.00", "12.50"), ("CUP", "Red cup", "5.00", "13.50"))
SEQUENCES = (
    "out_invoice_sequence", "out_credit_note_sequence", "in_invoice_sequence",
    "in_credit_note_sequence",
)  # fmt: skip


def day(value: dt.date) -> dict[str, Any]:
    return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}


def seed(rpc: Rpc) -> None:
    """Everything a sale needs until its invoice."""
    usd = rpc.make(
        "currency.currency", name="US Dollar", code="USD", numeric_code="840", symbol="$",
        rounding=Decimal("0.01"), digits=2,
        rates=[["create", [{"date": day(dt.date(2020, 1, 1)), "rate": Decimal(1)}]]],
    )  # fmt: skip
    owner = rpc.make("party.party", name="Harbor Goods")
    company = rpc.make("company.company", party=owner, currency=usd)
    admin = rpc.one("res.user", ["login", "=", "admin"])
    rpc.model("res.user.write", [admin], {"companies": [["add", [company]]], "company": company})
    rpc.renew()
    _year(rpc, company)
    _chart(rpc, company)
    _products(rpc, company)
    _places(rpc)
    _parties(rpc)


def _year(rpc: Rpc, company: int) -> None:
    year = dt.datetime.now(dt.UTC).year

    def sequence(name: str, kind: str) -> int:
        return rpc.make(
            "ir.sequence.strict", name=name, company=company,
            sequence_type=rpc.one("ir.sequence.type", ["name", "=", kind]),
        )  # fmt: skip

    invoices = sequence("Invoice", "Invoice")
    made = rpc.make(
        "account.fiscalyear", name=str(year), company=company,
        start_date=day(dt.date(year, 1, 1)), end_date=day(dt.date(year, 12, 31)),
        move_sequence=sequence("Move", "Account Move"), account_stock_method="anglo_saxon",
        invoice_sequences=[
            ["create", [{"company": company} | dict.fromkeys(SEQUENCES, invoices)]]
        ],
    )  # fmt: skip
    rpc.model("account.fiscalyear.create_period", [made])


def _chart(rpc: Rpc, company: int) -> None:
    root = rpc.one("account.account.template", ["parent", "=", None])
    wizard = "wizard.account.create_chart"
    session = rpc.raw(f"{wizard}.create", rpc.context)[0]

    def step(data: Any, state: str) -> None:
        rpc.raw(f"{wizard}.execute", session, data, state, rpc.context)

    step({}, "start")
    step({}, "account")
    step({"account": {"account_template": root, "company": company}}, "create_account")
    properties = {
        "company": company,
        "account_receivable": _account(rpc, company, "receivable"),
        "account_payable": _account(rpc, company, "payable"),
        "category_account_expense": None,
        "category_account_revenue": None,
    }
    step({"properties": properties}, "create_properties")
    rpc.raw(f"{wizard}.delete", session, rpc.context)


def _account(rpc: Rpc, company: int, kind: str) -> int:
    return rpc.one(
        "account.account", ["company", "=", company], ["closed", "!=", True],
        [f"type.{kind}", "=", True],
    )  # fmt: skip


def _products(rpc: Rpc, company: int) -> None:
    stock = rpc.rows("account.account", ["type.stock", "=", True], fields=["type", "parent"])[0]

    def beside(name: str, code: str) -> int:
        return rpc.make(
            "account.account", name=name, code=code, type=stock["type"], parent=stock["parent"],
            company=company,
        )  # fmt: skip

    expense = _account(rpc, company, "expense")
    category = rpc.make(
        "product.category", name="Goods", accounting=True, account_expense=expense,
        account_cogs=expense, account_revenue=_account(rpc, company, "revenue"),
        account_stock=stock["id"], account_stock_in=beside("Stock Received", "1.3.8"),
        account_stock_out=beside("Stock Shipped", "1.3.9"),
    )  # fmt: skip
    unit = rpc.one("product.uom", ["name", "=", "Unit"])
    for code, name, cost, price in PRODUCTS:
        rpc.make(
            "product.template", name=name, type="goods", default_uom=unit, salable=True,
            sale_uom=unit, list_price=Decimal(price), cost_price_method="average",
            account_category=category,
            products=[["create", [{"suffix_code": code, "cost_price": Decimal(cost)}]]],
        )  # fmt: skip


def _places(rpc: Rpc) -> None:
    """A second warehouse, and a place for goods between the two; the first is Tryton's own, WH."""
    zones = [rpc.make("stock.location", name=name, type="storage") for name in ("I", "O", "S")]
    rpc.make(
        "stock.location", name="East", code="EAST", type="warehouse", input_location=zones[0],
        output_location=zones[1], storage_location=zones[2],
        lost_found_location=rpc.one("stock.location", ["type", "=", "lost_found"]),
    )  # fmt: skip
    rpc.make("stock.location", name="On the road", code="ROAD", type="storage")


def _parties(rpc: Rpc) -> None:
    term = rpc.make(
        "account.invoice.payment_term", name="Net 30",
        lines=[["create", [{"type": "remainder", "relativedeltas": [["create", [{"days": 30}]]]}]]],
    )  # fmt: skip
    for name, code in (("Web customers", "WEB"), ("Acme Retail", "ACME"), ("Potters", "POTTERS")):
        address = [["create", [{"city": "Austin"}]]]
        rpc.make("party.party", name=name, code=code, addresses=address,
                 customer_payment_term=term)  # fmt: skip
