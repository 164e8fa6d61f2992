"""Streams of rows: NDJSON and CSV, long ones, bad rows among good ones."""

import json
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stockbridge.contracts.rows import contract_of, data_of, read_rows
from stockbridge.ingress.streams_lines import lines
from tests.doors import available, fact, settled, systems
from tests.http_api import scalar, serving, warehouse

NDJSON = "application/x-ndjson"
HEADER = "type,id,sku,location,quantity,occurred_at,document_type,document_number"
ROW = "stock.received,{0},A,MAIN,{1},2026-11-20T10:00:00Z,po,PO-{0}"


def resident_bytes() -> int:
    """Memory of this process, peaks included: Python seldom gives any back."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def row(number: str, **more) -> str:
    return json.dumps({"type": "stock.received", "id": number, **fact(f"PO-{number}"), **more})


async def test_rows_are_booked(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await systems(api, "wms")
        await api.put("/v1/items/A", {})
        event = {"specversion": "1.0", "id": "e1", "source": "wms", "data": fact("PO-e1")}
        event["type"] = "io.stockbridge.stock.received.v1"
        text = "\n".join([row("1"), "", row("2", sequence=7), json.dumps(event)])
        answer = await api.raw(
            "POST", "/v1/events/stream?source=wms", text, content_type=NDJSON
        )  # fmt: skip
        assert (answer.status_code, answer.json()["received"]) == (202, 3), answer.text
        table = "\r\n".join([HEADER, ROW.format(3, 5), ROW.format(4, 5)])
        answer = await api.raw(
            "POST", "/v1/events/stream?source=wms", table, content_type="text/csv"
        )  # fmt: skip
        assert (answer.status_code, answer.json()["received"]) == (202, 2), answer.text
        assert await settled(dsn) == {"applied": 5}
        assert await available(dsn, "A") == 25
        assert await scalar(dsn, "SELECT count(DISTINCT system) FROM message") == 1
        raw = "SELECT body FROM message WHERE source_message_id = '4'"
        assert bytes(await scalar(dsn, raw)).decode() == f"{HEADER}\n{ROW.format(4, 5)}"
        answer = await api.raw(
            "POST", "/v1/events/stream?source=wms", table, content_type="text/csv"
        )  # fmt: skip
        assert answer.json()["duplicate"] == 2


async def test_bad_rows_are_told_by_number(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        bad = ["{", "[1]", "17", '{"type": 3}', '{"a": "\\u0000"}', "\udcff", "x" * 1_100_000]
        text = "\n".join([row("1"), *bad, row("2")]).encode(errors="surrogateescape")
        answer = await api.raw("POST", "/v1/events/stream", text, content_type=NDJSON)
        told = answer.json()
        assert (answer.status_code, told["received"], told["rows"]) == (202, 2, 9), told
        assert [error["row"] for error in told["errors"]] == [2, 3, 4, 5, 6, 7, 8]
        codes = [error["code"] for error in told["errors"]]
        assert codes[-1] == "row_too_large"
        table = "\n".join([HEADER, ROW.format(1, 1), "a,b", ROW.format(2, '"1')])
        answer = await api.raw("POST", "/v1/events/stream", table, content_type="text/csv")
        assert [error["row"] for error in answer.json()["errors"]] == [2, 3]
        answer = await api.raw("POST", "/v1/events/stream", "{\n[", content_type=NDJSON)
        assert (answer.status_code, answer.json()["code"]) == (400, "nothing_kept")
        for empty in (b"", b"\n\n"):
            answer = await api.raw("POST", "/v1/events/stream", empty, content_type=NDJSON)
            assert (answer.status_code, answer.json()["code"]) == (400, "no_rows")


async def test_a_long_stream_in_bounded_memory(dsn, tmp_path):
    total = 200_000

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, total, 1_000):
            part = [row(str(n), quantity=1) for n in range(start, start + 1_000)]
            yield ("\n".join(part) + "\n").encode()

    async with serving(dsn, tmp_path) as api:
        # What is measured is the door: nobody applies.
        await api.app.applier.stop()
        api.http.timeout = 100
        before = resident_bytes()
        answer = await api.raw("POST", "/v1/events/stream", body(), content_type=NDJSON)
        assert (answer.status_code, answer.json()["received"]) == (202, total), answer.text
        assert resident_bytes() - before < 64 * 1024 * 1024
        assert await scalar(dsn, "SELECT count(*) FROM message") == total


async def test_a_full_inbox_ends_the_stream(dsn, tmp_path, monkeypatch):
    monkeypatch.setattr("stockbridge.ingress.streams.PATIENCE_SECONDS", 0.1)
    async with serving(dsn, tmp_path) as api:
        api.app.inbox._waiting = 20_000
        answer = await api.raw("POST", "/v1/events/stream", row("1"), content_type=NDJSON)
        api.app.inbox._waiting = 0
        assert (answer.status_code, answer.json()["code"]) == (429, "inbox_full")
        assert answer.headers["retry-after"] == "1"


async def test_a_stream_over_its_limit(dsn, tmp_path, monkeypatch):
    monkeypatch.setattr("stockbridge.ingress.streams.STREAM_BYTES_MAX", 1_000)
    async with serving(dsn, tmp_path) as api:
        answer = await api.raw("POST", "/v1/events/stream", row("1") * 9, content_type=NDJSON)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_lines_do_not_depend_on_the_pieces(size):
    text = b"one\r\n\n  \ntwo\nthree-and-more\nfour"

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(text), size):
            yield text[at : at + size]

    found = [line async for line in lines(pieces(), 5)]
    assert [(line.text, line.is_cut) for line in found if not line.is_cut] == [
        (b"one", False), (b"two", False), (b"four", False)
    ]  # fmt: skip
    assert next(line.text for line in found if line.is_cut).startswith(b"three-")


def test_rows_become_event_data():
    header = "type,sku,quantity,document_type,document_number,document_line,serials,uom"
    body = f"{header}\nstock.shipped,A,2,order,O1,3,x; y,\n".encode()
    rows = read_rows("text/csv", body)
    assert isinstance(rows, list)
    (found,) = rows
    assert contract_of(found) == "io.stockbridge.stock.shipped.v1"
    data = data_of("text/csv; charset=utf-8", body)
    assert isinstance(data, bytes)
    assert json.loads(data) == [
        {
            "sku": "A",
            "quantity": 2,
            "document": {"type": "order", "number": "O1", "line": "3"},
            "serials": ["x", "y"],
        }
    ]
