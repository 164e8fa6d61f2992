"""The four questions of operations, each as a live list of what waits longest."""

from typing import Final

import msgspec

from stockbridge.dashboard.desk import SQL, Desk, fetch
from stockbridge.dashboard.frame import render
from stockbridge.dashboard.web import Ask, Reply
from stockbridge.engine.inbox import reading
from stockbridge.kernel.errors import Refusal

_SHOWN: Final = 10
_NOTHING: Final = dict.fromkeys(("since", "after", "system", "channel", "sku", "state"))


async def page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Orders at the ERP, stale listings, unposted shipments, messages out of sequence."""
    async with desk.pool.connection() as conn:
        orders = await fetch(conn, SQL.orders_at_erp, limit=_SHOWN)
        listings = await fetch(conn, SQL.waiting_listings, limit=_SHOWN, **_NOTHING)
        unposted = await fetch(conn, SQL.unposted_movements, limit=_SHOWN)
        sequences = await reading.out_of_sequence(conn)
    wrong = [s for s in sequences if s["missing"] or s["late"] or s["repeated"]]
    return render(
        "questions.html", ask, "questions",
        orders=[msgspec.json.decode(row[0]) for row in orders],
        listings=[msgspec.json.decode(row[1]) for row in listings],
        unposted=[msgspec.json.decode(row[0]) for row in unposted],
        sequences=sorted(wrong, key=lambda s: -s["missing"])[:_SHOWN],
    )  # fmt: skip
