"""One field that finds items, orders, messages, deliveries and correlation ids."""

from typing import Final, NamedTuple

from stockbridge.dashboard.desk import SQL, Desk, fetch, number
from stockbridge.dashboard.frame import address, render
from stockbridge.dashboard.orders import number_of
from stockbridge.dashboard.web import Ask, Reply, see
from stockbridge.engine.inbox.rules import identity
from stockbridge.kernel.errors import Refusal

_PLACES: Final = {
    "item": "/items/{}",
    "order": "/orders/{}",
    "message": "/messages/{}",
    "delivery": "/deliveries/{}",
    "correlation": "/trace/{}",
}
_TEXT_MAX: Final = 256


class Hit(NamedTuple):
    """Something found: what it is, its name, where it is."""

    kind: str
    name: str
    what: str
    place: str


async def search_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """What the text names; straight there when it names one thing."""
    text = ask.query.get("q", "")[:_TEXT_MAX]
    hits = await find(desk, text) if text else []
    exact = [hit for hit in hits if hit.kind != "item" or hit.name == text]
    for certain in (hits, exact):
        if len(certain) == 1:
            return see(certain[0].place)
    return render("search.html", ask, "", text=text, hits=hits)


async def find(desk: Desk, text: str) -> list[Hit]:
    """Everything the text names, each kind up to 20."""
    async with desk.pool.connection() as conn:
        systems = await fetch(conn, SQL.known_systems)
        identities = [identity(code, text) for (code,) in systems]
        rows = await fetch(
            conn, SQL.search, text=text, number=number(text), order=number_of(text),
            identities=identities,
        )  # fmt: skip
    return [Hit(kind, name, what, address(_PLACES[kind], name)) for kind, name, what in rows]
