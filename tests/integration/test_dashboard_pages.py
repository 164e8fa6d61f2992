"""The control tower's pages: each is there, whole, with something and with nothing to show."""

from urllib.parse import quote

import pytest

from stockbridge.dashboard.tower import PAGES
from tests.http_api import scalar, serving
from tests.integration.dashboard_desk import Browser, filled, signed_in

LISTS = [page.path for page in PAGES if page.method == "GET" and "{" not in page.path]


@pytest.fixture
async def api(dsn, data_dir):
    async with serving(dsn, data_dir) as client:
        yield client


@pytest.fixture
async def browser(api):
    async with Browser.of(api) as opened:
        yield opened


async def first(dsn, table, column, where="true"):
    return await scalar(dsn, f"SELECT {column}::text FROM {table} WHERE {where} LIMIT 1")


async def test_every_list_says_something_when_there_is_nothing(api, browser):
    for path in LISTS:
        text = await browser.page(path)
        assert "stockbridge users add" in text or path == "/search", path


async def test_every_page_shows_what_there_is(api, dsn, browser):
    await filled(api, dsn)
    for path in LISTS:
        await browser.page(path)
    order = await scalar(dsn, "SELECT 'ord_' || to_hex(order_id) FROM sales_order")
    good = await first(dsn, "message", "message_id", "status = 'applied'")
    waits = await first(dsn, "message", "message_id", "status = 'parked'")
    dead = await first(dsn, "delivery", "delivery_id", "state = 'dead'")
    listing = await first(dsn, "listing", "listing_id")
    case = await first(dsn, "exception", "exception_id", "kind LIKE 'drift%'")
    for path, words in {
        "/": ("MUG-1", "cause &lt;b&gt;"),
        "/questions": ("MUG-1", "None."),
        f"/orders/{order}": ("W-1", "c-order", "cancel_order"),
        "/orders?open=yes": ("W-1",),
        "/orders?state=rejected": ("No order fits",),
        "/items/MUG-1": ("MAIN", "PO-good", "failed"),
        "/items/MUG-1?channel=web": ("Explain", "as of"),
        "/items?prefix=MU": ("MUG-1",),
        "/items?prefix=X": ("No item fits",),
        f"/messages/{good}": ("PO-good", "What they say", "c-good"),
        f"/messages/{waits}": ("NOT-KNOWN", "sku:NOT-KNOWN"),
        "/messages?status=parked": ("waits",),
        "/messages?correlation_id=c-good": ("good",),
        f"/deliveries/{dead}": ("HTTP 503", "&lt;b&gt;", "12 ms"),
        "/deliveries?state=dead": ("order/W-1",),
        "/listings": ("MUG-1", "HTTP 404"),
        "/listings?all=yes&sku=MUG-1": ("MUG-1",),
        f"/listings/{listing}": ("shall show", "confirmed"),
        f"/exceptions/{case}": ("count it",),
        "/exceptions?kind=drift_1": ("s1", "s3"),
        "/exceptions?resolved=yes": ("Nothing here",),
        "/systems": ("wms", "open"),
        "/systems/wms": ("connection refused",),
        "/trace/c-order": ("W-1", "cancel_order"),
        "/trace/c-nothing": ("Nothing.",),
    }.items():
        text = await browser.page(path)
        for word in words:
            assert word in text, (path, word)


async def test_the_questions_show_what_waits_for_the_erp(api, dsn, browser):
    await filled(api, dsn)
    for statement in (
        """UPDATE sales_order SET state = 'erp_pending',
               content = (content::jsonb || '{"flow": {"erp": "wms"}}')::json RETURNING 1""",
        """INSERT INTO delivery (system, operation, object_key, idempotency_key, payload, state,
               correlation_id, detail)
           SELECT 'wms', o, 'order:web/W-1', gen_random_uuid(), '{}', 'dead', 'c-erp', d
           FROM (VALUES ('book_order', 'refused by <b>'), ('ship_order', 'x')) AS n (o, d)
           RETURNING 1""",
    ):
        await scalar(dsn, statement)
    text = await browser.page("/questions")
    assert "refused by &lt;b&gt;" in text
    assert "ship_order order:web/W-1" in text
    assert "book_order order" not in text


async def test_the_search_goes_straight_to_what_is_named(api, dsn, browser):
    await filled(api, dsn)
    good = await first(dsn, "message", "message_id", "status = 'applied'")
    order = await scalar(dsn, "SELECT 'ord_' || to_hex(order_id) FROM sales_order")
    for text, place in {
        "MUG-1": "/items/MUG-1",
        "mu": None,
        "MU": "/items/MUG-1",
        "W-1": f"/orders/{order}",
        order: f"/orders/{order}",
        good: f"/messages/{good}",
        "wms#good": f"/messages/{good}",
        "c-order": "/trace/c-order",
        "%": None,
        "'": None,
        "ord_zz": None,
        "9" * 30: None,
    }.items():
        answer = await browser.get(f"/search?q={quote(text)}")
        assert answer.headers.get("location") == place, text
        assert answer.status_code == (303 if place else 200), text


_MANY = (
    """INSERT INTO exception (kind, subject, severity, owner_team, cause, action, opened_at,
        seen_at, correlation_id)
       SELECT 'k', 'row-' || n, n % 3 + 1, 't', 'c', 'a', now(), now(), 'c'
       FROM generate_series(1, 115) AS n RETURNING 1""",
    """INSERT INTO listing (system, channel_id, item_id, item, state, waiting_since)
       SELECT 'wms', c.channel_id, i.item_id, 'row-' || n, 'dirty', now() - n % 4 * interval '1 h'
       FROM channel c, item i, generate_series(1, 115) AS n RETURNING 1""",
    "INSERT INTO item (sku) SELECT 'row-' || n FROM generate_series(1, 115) AS n RETURNING 1",
)


async def test_lists_page_to_their_end_without_gap_or_repeat(api, dsn, browser):
    await filled(api, dsn)
    for statement in _MANY:
        await scalar(dsn, statement)
    for path, link, count in (
        ("/exceptions", "/exceptions/", 119), ("/listings", "/listings/", 116),
        ("/listings?all=yes", "/listings/", 116), ("/items", "/items/", 116),
    ):  # fmt: skip
        seen = await _links(browser, path, link)
        assert len(seen) == len(set(seen)) == count, path


async def _links(browser, path, link):
    seen = []
    for _ in range(5):
        text = await browser.page(path)
        seen += [part.partition('"')[0] for part in text.split(f'class="open" href="{link}')[1:]]
        if 'rel="next" href="' not in text:
            return seen
        path = text.split('rel="next" href="')[1].partition('"')[0].replace("&amp;", "&")
    raise AssertionError(f"{path} does not end")


async def test_what_is_not_there_is_said_so(api, browser):
    for path in (
        "/orders/ord_1", "/orders/x", "/items/X%2FY", "/messages/1", "/messages/x",
        "/deliveries/1", "/listings/x", "/exceptions/999", "/systems/none",
    ):  # fmt: skip
        answer = await browser.get(path)
        assert answer.status_code == 404, path
        assert "there is no" in answer.text or "no " in answer.text, path


async def test_odd_addresses_are_no_defects(api, browser):
    for path in ("/messages?after=x", "/listings?after=1_", "/items?prefix=%00", "/orders?state=x",
                 "/exceptions?after=9_9", "/search?q=%00", "/items?" + "a=1&" * 60):  # fmt: skip
        assert (await browser.get(path)).status_code in {200, 400}, path


async def test_acts_repair_and_are_audited(api, dsn, browser):
    await filled(api, dsn)
    await signed_in(browser, dsn, "ana", "operator")
    waits = await first(dsn, "message", "message_id", "status = 'parked'")
    good = await first(dsn, "message", "message_id", "status = 'applied'")
    dead = await first(dsn, "delivery", "delivery_id", "state = 'dead'")
    rejected = await first(dsn, "delivery", "delivery_id", "state = 'rejected'")
    listing = await first(dsn, "listing", "listing_id")
    case = await first(dsn, "exception", "exception_id", "kind LIKE 'drift%'")
    assert "moves nothing a second time" in await browser.page(f"/messages/{good}/replay")
    for path, form, status in (
        (f"/messages/{good}/retry", {}, 409),
        (f"/messages/{good}/replay", {}, 303),
        (f"/messages/{waits}/retry", {}, 303),
        (f"/messages/{waits}/discard", {}, 422),
        (f"/deliveries/{rejected}/discard", {"reason": "told by phone"}, 303),
        (f"/deliveries/{dead}/retry", {"resend": "yes"}, 303),
        (f"/listings/{listing}/retry", {}, 303),
        (f"/listings/{listing}/verify", {}, 303),
        (f"/exceptions/{case}/assign", {"team": "night"}, 303),
        (f"/exceptions/{case}/resolve", {}, 422),
        (f"/exceptions/{case}/resolve", {"resolution": "counted"}, 303),
        (f"/exceptions/{case}/resolve", {"resolution": "counted"}, 409),
    ):
        answer = await browser.post(path, **form)
        assert answer.status_code == status, (path, answer.text)
    assert "counted" in await browser.page(f"/exceptions/{case}")
    acts = await scalar(dsn, "SELECT string_agg(DISTINCT act, ' ' ORDER BY act) FROM audit"
                             " WHERE actor = 'user:ana' AND act NOT LIKE 'user%'")  # fmt: skip
    assert acts == (
        "delivery.discard delivery.retry exception.assign exception.resolve"
        " listing.retry listing.verify message.replay"
    )


async def test_a_viewer_reads_and_does_not_act(api, dsn, browser):
    await filled(api, dsn)
    await signed_in(browser, dsn, "vic", "viewer", "finance")
    for page in PAGES:
        if page.role == "operator":
            path = page.path.format(message="1", delivery="1", listing="1", exception="1")
            call = browser.post if page.method == "POST" else browser.get
            answer = await call(path)
            assert answer.status_code == 403, path
    dead = await first(dsn, "delivery", "delivery_id", "state = 'dead'")
    assert "Try now" not in await browser.page(f"/deliveries/{dead}")


@pytest.mark.parametrize("headers", [
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"}, {"origin": "null"}, {},
])  # fmt: skip
async def test_another_site_cannot_act(api, dsn, headers, browser):
    await signed_in(browser, dsn, "ana", "admin")
    answer = await browser.post("/exceptions/1/assign", headers, team="x")
    assert (answer.status_code, "page of ours" in answer.text) == (403, True)


async def test_old_browsers_act_by_their_origin(api, dsn, browser):
    await signed_in(browser, dsn, "ana", "admin")
    answer = await browser.post("/exceptions/1/assign", {"origin": api.app.url}, team="x")
    assert answer.status_code == 404
