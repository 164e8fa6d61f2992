"""The control tower: its pages, who may see them, who may act."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

from stockbridge.dashboard import (
    access,
    deliveries,
    exceptions,
    items,
    listings,
    messages,
    orders,
    overview,
    questions,
    search,
    systems,
)
from stockbridge.dashboard.desk import Desk, Handler
from stockbridge.dashboard.frame import address, refused
from stockbridge.dashboard.web import (
    SECURITY,
    Ask,
    Reply,
    cross_site,
    fields,
    is_local,
    see,
    session_token,
)
from stockbridge.governance import users
from stockbridge.kernel.errors import Refusal

Role = Literal["anybody", "viewer", "operator"]


class Page(NamedTuple):
    """One page or act; `role` is who may."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    summary: str
    role: Role = "viewer"


def _list(name: str, one: str, list_page: Handler, detail_page: Handler, what: str) -> list[Page]:
    return [
        Page("GET", f"/{name}", list_page, what),
        Page("GET", f"/{name}/{{{one}}}", detail_page, f"One of the {name}"),
    ]


def _act(name: str, one: str, act: str, handler: Handler, what: str) -> Page:
    return Page("POST", f"/{name}/{{{one}}}/{act}", handler, what, "operator")


PAGES: Final[tuple[Page, ...]] = (
    Page("GET", "/", overview.page, "What there is, what moves, what is wrong"),
    Page("GET", "/login", access.login_page, "Asks for name and password", "anybody"),
    Page("POST", "/login", access.login, "Sign in", "anybody"),
    Page("POST", "/logout", access.logout, "Sign out", "anybody"),
    Page("GET", "/search", search.search_page, "Where a text leads"),
    Page("GET", "/questions", questions.page, "The four questions"),
    Page("GET", "/trace/{correlation}", orders.trace_page, "What carries a correlation id"),
    *_list("orders", "order", orders.list_page, orders.detail_page, "Orders"),
    *_list("items", "sku", items.list_page, items.detail_page, "Items"),
    *_list("systems", "system", systems.list_page, systems.detail_page, "Systems"),
    *_list("messages", "message", messages.list_page, messages.detail_page, "What came in"),
    Page("GET", "/messages/{message}/replay", messages.difference_page,
         "What applying it again would book", "operator"),
    _act("messages", "message", "retry", messages.retry, "Apply it again if it was not applied"),
    _act("messages", "message", "replay", messages.replay_one, "Apply it again in any case"),
    _act("messages", "message", "discard", messages.discard, "Give it up"),
    *_list("deliveries", "delivery", deliveries.list_page, deliveries.detail_page, "What is owed"),
    _act("deliveries", "delivery", "retry", deliveries.retry, "Try it at once"),
    _act("deliveries", "delivery", "discard", deliveries.discard, "Give it up"),
    *_list("listings", "listing", listings.list_page, listings.detail_page, "What channels show"),
    _act("listings", "listing", "retry", listings.retry, "Try it at once"),
    _act("listings", "listing", "verify", listings.verify, "Read it back"),
    *_list("exceptions", "exception", exceptions.list_page, exceptions.detail_page, "The inbox"),
    _act("exceptions", "exception", "assign", exceptions.assign, "Give it to a team"),
    _act("exceptions", "exception", "resolve", exceptions.resolve, "Close it"),
)  # fmt: skip


async def serve(
    desk: Desk,
    page: Page,
    *,
    params: Mapping[str, str],
    query: str,
    form: str,
    headers: Mapping[bytes, bytes],
    correlation_id: str,
) -> Reply:
    """Answer a browser: an act from our own page, somebody who may, then the handler."""
    path = page.path.format(**{name: quote(value, safe="") for name, value in params.items()})
    ask = Ask(page.method, path, params, {}, {}, headers, correlation_id)
    reply = await _answer(desk, page, ask, query, form)
    return reply._replace(headers=(*SECURITY, *reply.headers))


async def _answer(desk: Desk, page: Page, ask: Ask, query: str, form: str) -> Reply:
    barred = cross_site(page.method, ask.headers)
    if barred is not None:
        return refused(barred, ask)
    given, filled = fields(query), fields(form)
    if isinstance(given, Refusal):
        return refused(given, ask)
    if isinstance(filled, Refusal):
        return refused(filled, ask)
    token = session_token(ask.headers)
    async with desk.pool.connection() as conn:
        user = await users.find(conn, token) if token else None
        nobody_can = user is None and not await users.any_exists(conn)
    ask = replace(ask, user=user, query=given, form=filled, nobody_can=nobody_can)
    closed = _closed(desk, page, ask)
    if closed is not None:
        return closed
    answer = await page.handler(desk, ask)
    return refused(answer, ask) if isinstance(answer, Refusal) else answer


def _closed(desk: Desk, page: Page, ask: Ask) -> Reply | None:
    """What stands in the way of somebody who may not; None: nothing."""
    if page.role == "anybody":
        return None
    if ask.user is None:
        open_to_all = desk.is_open and ask.nobody_can and is_local(ask.headers)
        if page.role == "viewer" and open_to_all:
            return None
        onward = address(ask.path, **ask.query) if page.method == "GET" else "/"
        return see(address("/login", onward=onward))
    if ask.user.has(page.role):
        return None
    detail = f"{ask.user.name} may read; this needs the role {page.role}"
    return refused(Refusal("role_missing", detail, 403), ask)
