"""What was imported comes out again, in every format the same."""

import csv
import io
import json

import psycopg
import pyarrow.parquet as pq
import pytest

from stockbridge.contracts.availability import Availability, AvailabilityList
from stockbridge.ingress.imports import import_file
from stockbridge.kernel.errors import Misconfigured
from stockbridge.views.export import Filters, export

FILES = (
    ("items", "sku,standard_cost\nA,1.25\nB,\n"),
    ("locations", "code\nMAIN\nEAST\n"),
    ("channels", "code,sources\nweb,MAIN\n"),
    ("balances", "sku,location,available,safety_stock\nA,MAIN,10,2\nB,EAST,5,\n"),
    ("balances", "sku,location,available\nA,MAIN,7\n"),
)


@pytest.fixture
async def filled(dsn):
    for kind, text in FILES:
        report = await import_file(
            dsn, kind, io.BytesIO(text.encode()), actor="ada", correlation_id="c"
        )
        assert report.rows_bad == 0
    return dsn


async def rows(dsn, what, tmp_path, form="csv", filters=None, **options):
    path = tmp_path / f"out.{form}"
    count = await export(dsn, what, path, form, filters, **options)
    if form == "parquet":
        found = pq.read_table(path).to_pylist()
    elif form == "jsonl":
        found = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        found = list(csv.DictReader(io.StringIO(path.read_text())))
    assert len(found) == count
    assert list(tmp_path.iterdir()) == [path]
    return found


async def test_the_ledger_names_things(filled, tmp_path):
    found = await rows(filled, "ledger", tmp_path)
    assert sorted(
        (r["sku"], r["location"], r["kind"], r["from_account"], r["to_account"], r["quantity"])
        for r in found
    ) == [
        ("A", "MAIN", "count", "adjustment", "available", "10"),
        ("A", "MAIN", "count", "available", "adjustment", "3"),
        ("B", "EAST", "count", "adjustment", "available", "5"),
    ]
    assert {r["unit_cost"] for r in found if r["sku"] == "A"} == {"1.250000"}


@pytest.mark.parametrize("what", ["ledger", "balances"])
async def test_formats_agree(filled, tmp_path, what):
    texts = []
    for form in ("csv", "jsonl", "parquet"):
        folder = tmp_path / form
        folder.mkdir()
        found = await rows(filled, what, folder, form)
        texts.append([(r["sku"], r["location"], str(r.get("quantity", r.get("available"))))
                      for r in found])  # fmt: skip
    assert texts[0] == texts[1] == texts[2]
    assert len(texts[0]) == (3 if what == "ledger" else 2)


@pytest.mark.parametrize(
    "filters,count",
    [(Filters(sku="A"), 2), (Filters(location="EAST"), 1), (Filters(sku="Z"), 0)],
)
async def test_filters(filled, tmp_path, filters, count):
    assert len(await rows(filled, "ledger", tmp_path, filters=filters)) == count


async def test_since_and_until_are_recorded_moments(filled, tmp_path):
    with psycopg.connect(filled) as conn:
        newest = conn.execute("SELECT max(recorded_at) FROM movement").fetchall()[0][0]
    late = await rows(filled, "ledger", tmp_path, filters=Filters(since=newest))
    assert [r["quantity"] for r in late] == ["3"]
    assert len(await rows(filled, "ledger", tmp_path, filters=Filters(until=newest))) == 2


async def test_availability_asks_the_view(filled, tmp_path):
    async def figures(channel, skus):
        items = [Availability(sku, channel, 4, "now", None, False, "view") for sku in skus]
        return AvailabilityList(channel, "now", False, items, [])

    found = await rows(
        filled, "availability", tmp_path, "jsonl", Filters(channel="web"), figures=figures
    )
    assert [(r["sku"], r["available"], r["channel"]) for r in found] == [
        ("A", 4, "web"), ("B", 4, "web"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "what,form,message",
    [
        ("colours", "csv", "there is no export of 'colours'"),
        ("ledger", "xlsx", "there is no format 'xlsx'"),
        ("availability", "csv", "of one channel"),
    ],
)
async def test_refused(filled, tmp_path, what, form, message):
    with pytest.raises(Misconfigured, match=message):
        await export(filled, what, tmp_path / "x", form)
    assert list(tmp_path.iterdir()) == []
