"""The short way of a look-up gives what the long way gives, and nothing else takes it."""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
import pytest

from stockbridge.ingress.endpoint import Endpoint
from tests.http_api import Client, serving, warehouse

PATH = "/v1/availability/A?channel=web"
# A request that announces a body, even an empty one, goes the long way.
LONG = {"content-length": "0"}
UNLIKE = {"date", "ratelimit", "content-length"}
Said = tuple[int, dict[str, str], bytes]


async def said(api: Client, *requests: bytes) -> list[Said]:
    """The answers to requests written to a new connection in one piece."""
    url = urlsplit(api.app.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(b"".join(requests))
    answers = [await one_answer(reader) for _ in requests]
    writer.close()
    return answers


async def one_answer(reader: asyncio.StreamReader) -> Said:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines), "no header twice"
    body = await reader.readexactly(int(headers["content-length"]))
    return int(first.split(" ")[1]), headers, body


def request(api: Client, line: str = f"GET {PATH} HTTP/1.1", **headers: str) -> bytes:
    """A request with the client's key unless `authorization` says otherwise."""
    named = {"host": "x", "authorization": f"Bearer {api.token}"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    shown = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    return f"{line}\r\n{shown}\r\n".encode("latin-1")


def comparable(answer: Said) -> Said:
    """Without what differs from one request to the next."""
    status, headers, body = answer
    headers = {n: v for n, v in headers.items() if n not in UNLIKE}
    document = msgspec.json.decode(body)
    for name in ("as_of", "source"):
        document.pop(name, None)
    return status, headers, msgspec.json.encode(document)


SAME: list[tuple[int, str, Mapping[str, str]]] = [
    (200, PATH, {}),
    (200, PATH, {"x-forwarded-proto": "https"}),
    (404, "/v1/availability/NONE?channel=web", {}),
    (404, "/v1/availability/A?channel=none", {}),
    (422, "/v1/availability/A", {}),
    (422, f"{PATH}&more=1", {}),
    (422, f"{PATH}&channel=web", {}),
    (400, PATH, {"x-correlation-id": "not usable"}),
    (401, PATH, {"authorization": ""}),
    (401, PATH, {"authorization": "Bearer x"}),
    (401, PATH, {"authorization": "Basic YTpi"}),
]


async def test_both_ways_give_the_same_answer(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=5)
        await shown_by_the_view(api)
        for status, path, given in SAME:
            named = {"x-correlation-id": "C-1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
            headers = {**named, **given}
            line = f"GET {path} HTTP/1.1"
            short = (await said(api, request(api, line, **headers)))[0]
            long = (await said(api, request(api, line, **headers, **LONG)))[0]
            if status == 400:
                for _, told, _ in (short, long):
                    assert re.fullmatch(r"[0-9a-f]{32}", told.pop("x-correlation-id"))
                    told.pop("traceparent")
            assert comparable(short) == comparable(long), (path, given)
            assert short[0] == status, (path, short[2])
        hsts = (await said(api, request(api, x_forwarded_proto="https")))[0][1]
        assert hsts["strict-transport-security"].startswith("max-age")


async def test_the_short_way_is_taken_and_counted(dsn, tmp_path, monkeypatch):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=5)
        await shown_by_the_view(api)

        async def long_way(*_: object) -> None:
            raise AssertionError

        before = await counted(api)
        with monkeypatch.context() as patch:
            patch.setattr(Endpoint, "_answer", long_way)
            status, headers, body = (await said(api, request(api)))[0]
        assert (status, msgspec.json.decode(body)["source"]) == (200, "view")
        assert headers["content-type"] == "application/json"
        assert headers["date"]
        assert await counted(api) == before + 1


async def shown_by_the_view(api: Client) -> None:
    """Until then the store answers, which takes the long way."""
    async with asyncio.timeout(60):
        while True:
            if (await api.get(PATH)).json()["source"] == "view":
                return
            await asyncio.sleep(0.02)


async def counted(api: Client) -> int:
    """Look-ups that /metrics knows."""
    text = (await api.get("/metrics")).text
    label = 'method="GET",route="/v1/availability/{sku}"'
    total = re.search(rf"requests_total\{{{re.escape(label)},status=\"200\"\}} ([\d.]+)", text)
    times = re.search(rf"seconds_bucket\{{le=\"\+Inf\",{re.escape(label)}\}} ([\d.]+)", text)
    numbers = {int(float(found[1])) if found else 0 for found in (total, times)}
    assert len(numbers) == 1
    return numbers.pop()


async def test_requests_written_together_are_answered_in_order(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=5)
        await api.stock("A B", MAIN=7)
        listing = request(api, "GET /v1/items HTTP/1.1")
        escaped = request(api, "GET /v1/availability/A%20B?channel=web HTTP/1.1")
        answers = await said(api, request(api), listing, request(api), escaped, request(api))
        documents = [msgspec.json.decode(body) for _, _, body in answers]
        assert [d.get("available", "list") for d in documents] == [5, "list", 5, 7, 5]


@pytest.mark.parametrize(
    "line, headers, connection",
    [
        (f"GET {PATH} HTTP/1.1", {"connection": "close"}, "close"),
        (f"GET {PATH} HTTP/1.0", {}, "close"),
        (f"GET {PATH} HTTP/1.1", {"connection": "upgrade", "upgrade": "h2c"}, None),
    ],
)
async def test_unusual_requests_go_the_long_way(dsn, tmp_path, line, headers, connection):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=5)
        status, told, body = (await said(api, request(api, line, **headers)))[0]
        assert (status, told.get("connection")) == (200, connection)
        assert msgspec.json.decode(body)["available"] == 5


async def test_each_look_up_takes_one_request_of_the_rate(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=5)
        slow = await api.key("availability:read", requests_per_minute=5)
        none = request(slow, "GET /v1/availability/NONE?channel=web HTTP/1.1")
        answers = await said(api, *[request(slow), none] * 3)
        assert [status for status, _, _ in answers] == [200, 404, 200, 404, 200, 429]
        assert [re.findall(r"r=(\d+)", told["ratelimit"]) for _, told, _ in answers] == [
            ["4"], ["3"], ["2"], ["1"], ["0"], ["0"],
        ]  # fmt: skip
        assert answers[-1][1]["retry-after"]
        await slow.http.aclose()
