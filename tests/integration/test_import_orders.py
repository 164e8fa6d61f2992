"""Orders from a file, promised by the real engine."""

import io

import psycopg
import pytest

from stockbridge.engine import Engine
from stockbridge.ingress.imports import ImportRefused, import_file

ORDERS = (
    "reference,channel,sku,quantity\nO1,web,A,2\nO1,web,B,1\nO2,web,A,3\nO3,web,A,99\n"
    "O4,web,A,1\nO4,web,Z,1\nO5,nope,A,1\nO6,web,A,1\nO6,web,A,x\nO7,web,A,1\nO1,web,A,1\n"
)


@pytest.fixture
async def engine(dsn):
    for kind, text in (
        ("items", "sku\nA\nB\n"),
        ("locations", "code\nMAIN\n"),
        ("channels", "code,sources\nweb,MAIN\n"),
        ("balances", "sku,location,available\nA,MAIN,10\nB,MAIN,10\n"),
    ):
        report = await import_file(
            dsn, kind, io.BytesIO(text.encode()), actor="ada", correlation_id="c"
        )
        assert report.rows_bad == 0
    running = Engine(dsn)
    await running.start()
    yield running
    await running.stop()


async def load(dsn, text, submit, **options):
    return await import_file(
        dsn, "orders", io.BytesIO(text.encode()), actor="ada", correlation_id="corr-1",
        submit=submit, **options,
    )  # fmt: skip


def ask(dsn, query, *values):
    with psycopg.connect(dsn, autocommit=True) as conn:
        return conn.execute(query, values).fetchall()


def errors(dsn, job_id):
    rows = ask(dsn, "SELECT row_number, reason FROM import_error WHERE job_id = %s", job_id)
    return dict(rows)


async def test_orders_are_promised_once_and_refusals_named(dsn, engine):
    report = await load(dsn, ORDERS, engine.submit)
    # Rows of O1 stand apart within one chunk, so they are still one order.
    promised = ask(dsn, "SELECT reference, state FROM reservation ORDER BY 1")
    assert promised == [("O1", "confirmed"), ("O2", "confirmed"), ("O7", "confirmed")]
    bad = errors(dsn, report.job_id)
    assert sorted(bad) == [5, 6, 7, 8, 9, 10]
    assert "order refused" in bad[5] or "quantity" in bad[5]
    assert "Z" in bad[7]
    assert "nope" in bad[8]
    assert bad[9] == "reference: another row of order 'O6' is bad; correct it first"
    assert bad[10].startswith("quantity: is 'x'")
    assert (report.rows_good, report.rows_bad) == (5, 6)
    reserved = ask(dsn, "SELECT sku, reserved FROM balance JOIN item USING (item_id) ORDER BY 1")
    assert reserved == [("A", 2 + 1 + 3 + 1), ("B", 1)]
    again = await load(dsn, ORDERS, engine.submit)
    assert (again.rows_good, again.rows_bad) == (5, 6)
    assert ask(dsn, "SELECT reference, state FROM reservation ORDER BY 1") == promised


async def test_a_dry_run_only_looks_up(dsn, engine):
    report = await load(dsn, ORDERS, None, dry_run=True)
    assert sorted(errors(dsn, report.job_id)) == [6, 7, 8, 9, 10]
    assert ask(dsn, "SELECT count(*) FROM reservation") == [(0,)]


async def test_orders_need_the_engine(dsn, engine):
    with pytest.raises(ImportRefused, match="orders are promised by the engine"):
        await load(dsn, ORDERS, None)
