"""Polling: a partner's server whose pages shift while they are read, and which fails midway."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stockbridge.ingress.polling import Feed, PollReport
from stockbridge.ingress.polling_source import Source, Unreadable, first_url, read_page
from stockbridge.kernel.errors import Misconfigured, Retry
from tests.doors import available, fact, settled, systems
from tests.http_api import scalar, serving, warehouse

RECEIVED = "io.stockbridge.stock.received.v1"
START = datetime(2026, 11, 20, 10, tzinfo=UTC)
SIZE = 10
Answer = tuple[int, Any, dict[str, str]]


def item(number: int) -> dict[str, Any]:
    stamp = (START + timedelta(seconds=number)).isoformat()
    return fact(f"PO-{number}", quantity=1) | {"id": f"e{number}", "updated_at": stamp}


class Partner:
    """Items, newest last; `before_answer` may change them while they are read."""

    def __init__(self) -> None:
        self.items = [item(n) for n in range(35)]
        self.asked: list[dict[str, str]] = []
        self.before_answer: Callable[[int], Answer | None] = lambda _count: None
        self.headers: dict[str, str] = {}
        self.url = ""

    def answer(self, query: dict[str, str]) -> Answer:
        self.asked.append(query)
        own = self.before_answer(len(self.asked))
        if own is not None:
            return own
        since = query.get("updated_since")
        found = [
            each for each in self.items
            if since is None or datetime.fromisoformat(each["updated_at"])
            >= datetime.fromisoformat(since)
        ]  # fmt: skip
        if "page" in query:
            start = (int(query["page"]) - 1) * SIZE
            return 200, {"data": {"list": found[start : start + SIZE]}}, {}
        start = int(query.get("cursor", 0))
        following = start + SIZE if start + SIZE < len(found) else None
        return 200, {"items": found[start : start + SIZE], "next_cursor": following}, {}


@pytest.fixture
def partner() -> Iterator[Partner]:
    said = Partner()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.headers = {name.lower(): value for name, value in self.headers.items()}
            query = {n: v[0] for n, v in parse_qs(urlsplit(self.path).query).items()}
            status, body, headers = said.answer(query)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    said.url = f"http://127.0.0.1:{server.server_port}/events"
    yield said
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path, secret_key="k" * 32) as client:
        await warehouse(client)
        await systems(client, "wms")
        await client.put("/v1/items/A", {})
        yield client


def source(partner: Any, **more: Any) -> Source:
    by_page = {"paging": "page", "items": "data.list"} if more.pop("by_page", False) else {}
    return Source(**({"url": partner.url, "contract": RECEIVED} | by_page | more))


async def poll(api: Any, chosen: Source, mark: datetime | None = None) -> PollReport:
    report = PollReport()
    await api.app.poller.poll(Feed("wms", "receipts", chosen, mark, 0), report)
    return report


async def kept(api: Any) -> int:
    return await scalar(api.app.dsn, "SELECT count(*) FROM message WHERE door = 'poll'")


@pytest.mark.parametrize("by_page", [False, True])
async def test_every_item_is_kept_once(api, partner, by_page):
    report = await poll(api, source(partner, by_page=by_page))
    assert (report.missed, await kept(api)) == (35, 35)
    assert report.newest == START + timedelta(seconds=34)
    partner.items.append(item(35))
    report = await poll(api, source(partner, by_page=by_page, overlap_seconds=5), report.newest)
    assert (report.missed, await kept(api)) == (1, 36)
    since = (START + timedelta(seconds=29)).isoformat().replace("+00:00", "Z")
    assert partner.asked[-1]["updated_since"] == since


async def test_pages_that_shift_while_they_are_read(api, partner):
    def shift(count: int) -> None:
        # Items leave from before what is read next, so that as many slip past the page's edge.
        if count in (2, 3):
            del partner.items[:5]

    gone = {f"e{n}" for n in range(10)}
    partner.before_answer = shift
    report = await poll(api, source(partner, by_page=True))
    found = "SELECT array_agg(source_message_id) FROM message"
    assert gone.union(each["id"] for each in partner.items) == gone | set(
        await scalar(api.app.dsn, found)
    )
    assert report.pages > 4


async def test_a_late_item_is_found_in_the_overlap(api, partner):
    late = partner.items.pop(30)
    report = await poll(api, source(partner))
    partner.items.insert(30, late)
    report = await poll(api, source(partner, overlap_seconds=60), report.newest)
    assert (report.missed, await kept(api)) == (1, 35)


async def test_what_failed_midway_is_done_again(api, partner):
    def fail(count: int) -> Answer | None:
        return (503, b"", {"retry-after": "7"}) if count == 3 else None

    partner.before_answer = fail
    with pytest.raises(Retry, match="answered 503") as told:
        await poll(api, source(partner))
    assert told.value.after_seconds == 7
    assert await kept(api) == 20
    report = await poll(api, source(partner))
    assert (report.missed, await kept(api)) == (15, 35)


async def test_what_another_door_brought_is_not_missed(api, partner):
    row = json.dumps({"type": "stock.received", **item(1), "updated_at": None})
    answer = await api.raw(
        "POST", "/v1/events/stream?source=wms", row, content_type="application/x-ndjson"
    )
    assert answer.json()["received"] == 1
    report = await poll(api, source(partner))
    assert (report.missed, await kept(api)) == (34, 34)
    conflicts = "SELECT count(*) FROM exception WHERE kind = 'message_conflict'"
    assert await scalar(api.app.dsn, conflicts) == 0


async def test_feeds_run_by_themselves(api, partner):
    partner.items = [
        {"id": f"e{n}", "updated_at": START.isoformat(), **fact(f"PO-{n}")} for n in range(3)
    ]
    mapping = {
        "system": "wms",
        "name": "feed",
        "version": 1,
        "events": '{"type": "io.stockbridge.stock.received.v1",'
        ' "data": $sift(function($v, $k) { $not($k in ["id", "updated_at"]) })}',
        "samples": [
            {
                "name": "one",
                "input": json.dumps(partner.items[0]),
                "expected": [{"type": RECEIVED, "data": fact("PO-0")}],
            }
        ],
    }
    made = await api.post("/v1/mappings", {"manifest": mapping, "status": "active"})
    assert made.status_code == 201, made.text
    path = "/v1/systems/wms/feeds/receipts"
    described = {"url": partner.url, "secret_header": "Authorization", "period_seconds": 1}
    answer = await api.put("/v1/systems/wms/secrets/poll", {"secret": "hush"})
    assert answer.status_code == 200, answer.text
    answer = await api.put(path, {"source": described})
    assert answer.status_code == 200, answer.text
    for _ in range(200):
        told = (await api.get(path)).json()
        if told["polled_at"]:
            break
        await asyncio.sleep(0.05)
    assert (told["items_missed"], told["failures"], told["detail"]) == (3, 0, "")
    assert partner.headers["authorization"] == "Bearer hush"
    assert await settled(api.app.dsn) == {"applied": 3}
    assert await available(api.app.dsn, "A") == 15
    missed = (await api.get(f"{path}/missed")).json()["items"]
    assert {each["source_message_id"] for each in missed} == {"e0", "e1", "e2"}
    partner.before_answer = lambda _count: (200, b"{", {})
    assert (await api.post(f"{path}/poll", {})).status_code == 202
    for _ in range(200):
        told = (await api.get(path)).json()
        if told["failures"]:
            break
        await asyncio.sleep(0.05)
    assert "not the JSON that is described" in told["detail"]
    assert told["mark"] is not None
    await api.put(path, {"source": described, "paused": True})
    for missing in ("/v1/systems/wms/feeds/none", "/v1/systems/none/feeds/receipts"):
        assert (await api.get(missing)).status_code == 404
    assert (await api.put("/v1/systems/none/feeds/x", {"source": described})).status_code == 404


async def test_what_a_page_must_not_do(api, partner):
    answers: list[tuple[Answer, type[Exception], str]] = [
        ((302, b"", {"location": "http://127.0.0.1:1/"}), Retry, "302"),
        ((200, {"items": [{"id": "1"}], "next_cursor": "http://evil.example/x"}, {}),
         Unreadable, "another host"),
        ((200, {"items": [{}]}, {}), Unreadable, "no id"),
        ((200, {"items": 5}, {}), Unreadable, "not the JSON"),
        ((200, {"other": []}, {}), Unreadable, "has no items"),
        ((200, b"[" * 100_000, {}), Unreadable, "not the JSON"),
        ((200, {"items": [{"id": "1"}], "next_cursor": 5}, {}), Unreadable, "more than 3 pages"),
    ]  # fmt: skip
    for answer, error, text in answers:
        cursor = iter(range(100))

        def reply(_count: int, answer: Answer = answer, cursor: Iterator[int] = cursor) -> Answer:
            status, body, headers = answer
            moving = isinstance(body, dict) and body.get("next_cursor") == 5
            return status, (body | {"next_cursor": next(cursor)} if moving else body), headers

        partner.before_answer = reply
        with pytest.raises(error, match=text):
            await poll(api, source(partner, pages_max=3))
    with pytest.raises(Misconfigured, match="no secret to poll with"):
        await poll(api, source(partner, secret_header="X-Key"))
    with pytest.raises(Retry, match="cannot be read"):
        await poll(api, Source(url="http://127.0.0.1:1/"))


def test_how_pages_go_on():
    plain = Source(url="http://h/x?a=1", since=None)
    assert first_url(plain, START) == "http://h/x?a=1"
    body = b'{"items": [{"id": 7, "updated_at": 1700000000}], "next_cursor": "/x?c=2"}'
    read = read_page(plain, "http://h/x?a=1", body)
    assert read.next_url == "http://h/x?c=2"
    assert read.items[0].at == datetime.fromtimestamp(1700000000, UTC)
    versioned = Source(url="http://h/x", versioned=True, paging="none", items="")
    (only,) = read_page(versioned, "http://h/x", b'[{"id": 7, "updated_at": 5}]').items
    assert only.id == "7@5"
