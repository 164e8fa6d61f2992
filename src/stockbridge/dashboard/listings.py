"""Listings: what channels shall show, were told and show; the longest wrong first."""

from typing import Final

from stockbridge.dashboard.desk import SQL, Desk, filters, listed, missing, number, pair
from stockbridge.dashboard.frame import address, render
from stockbridge.dashboard.web import Ask, Reply, see
from stockbridge.kernel.errors import Refusal
from stockbridge.outbox.listings import making
from stockbridge.store.sql import load

LISTINGS_SQL = load("stockbridge.outbox.listings")
STATES: Final = (
    "new", "ok", "dirty", "sending", "unknown", "accepted", "failed", "suspended",
)  # fmt: skip
_PLACE: Final = "/listings/{}"


async def list_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """What shows something else than it shall, the longest wrong first; or every listing."""
    chosen = filters(ask, "channel", "system", "sku", "state", "all")
    found_by = {name: chosen[name] for name in ("channel", "system", "sku", "state")}
    async with desk.pool.connection() as conn:
        if chosen["all"]:
            after = number(ask.query.get("after"))
            found = await listed(
                conn, LISTINGS_SQL.listings_page, **found_by,
                after=after, id=None, channels=None, stale=None,
            )  # fmt: skip
        else:
            since, after = pair(ask.query.get("after"))
            found = await listed(conn, SQL.waiting_listings, **found_by, since=since, after=after)
    return render("listings.html", ask, "listings", found=found, filters=chosen, states=STATES)


async def detail_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """One listing: the figure it shall show, was told, shows."""
    listing_id = number(ask.params["listing"])
    nothing = dict.fromkeys(("after", "system", "channel", "channels", "sku", "state", "stale"))
    async with desk.pool.connection() as conn:
        found = await listed(conn, LISTINGS_SQL.listings_page, id=listing_id, **nothing)
    if listing_id is None or not found.rows:
        return missing("listing", ask.params["listing"])
    return render("listing.html", ask, "listings", listing=found.rows[0])


async def retry(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Try at once what failed or waits for a later try."""
    listing_id = number(ask.params["listing"])
    if listing_id is None:
        return missing("listing", ask.params["listing"])
    async with desk.pool.connection() as conn:
        await making.retry(
            conn, making.Selection(listing_id), actor=ask.actor, correlation_id=ask.correlation_id
        )
    return see(address(_PLACE, listing_id))


async def verify(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Read back what the partner shows."""
    listing_id = number(ask.params["listing"])
    if listing_id is None:
        return missing("listing", ask.params["listing"])
    async with desk.pool.connection() as conn:
        await making.verify(
            conn, making.Selection(listing_id), actor=ask.actor, correlation_id=ask.correlation_id
        )
    return see(address(_PLACE, listing_id))
