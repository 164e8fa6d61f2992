"""Items: states by location, what channels were told, the ledger, each figure term by term."""

import msgspec

from stockbridge.dashboard.desk import SQL, Desk, fetch, filters, listed, missing, number
from stockbridge.dashboard.frame import render
from stockbridge.dashboard.web import Ask, Reply
from stockbridge.kernel.accounts import ACCOUNT_NAMES, INSIDE, KIND_NAMES
from stockbridge.kernel.errors import Refusal
from stockbridge.views.explain import explain

_SHOWN = tuple(ACCOUNT_NAMES[account] for account in INSIDE)


async def list_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Items by SKU."""
    chosen = filters(ask, "prefix")
    async with desk.pool.connection() as conn:
        found = await listed(conn, SQL.items_list, **chosen, after=ask.query.get("after"))
    return render("items.html", ask, "items", found=found, filters=chosen)


async def detail_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """One item from all sides; with `channel` its figure there, term by term."""
    sku, channel = ask.params["sku"], ask.query.get("channel")
    async with desk.pool.connection() as conn:
        found = await fetch(conn, SQL.item_document, sku=sku)
        if not found:
            return missing("item", sku)
        item_id, document, channels = found[0]
        balances = await fetch(conn, SQL.item_balances, item=item_id)
        after = number(ask.query.get("after"))
        ledger = await listed(conn, SQL.item_movements, item=item_id, after=after)
        listings = await fetch(conn, SQL.item_listings, item=item_id)
        explained = await explain(conn, channel, sku, limit=5) if channel else None
    if isinstance(explained, Refusal):
        return explained
    return render(
        "item.html", ask, "items",
        item=msgspec.json.decode(document), channels=channels, channel=channel, states=_SHOWN,
        balances=balances, ledger=ledger, explained=explained,
        listings=[msgspec.json.decode(row[0]) for row in listings],
        kinds=KIND_NAMES, accounts=ACCOUNT_NAMES,
    )  # fmt: skip
