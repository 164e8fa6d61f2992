"""Connections: prepared, in UTC, autocommit; an unreachable server is named, its password not."""

import asyncio
import time

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import connect, describe, open_pool
from stockbridge.store.embedded import EmbeddedServer


async def value(connection, statement, parameters=None):
    row = await (await connection.execute(statement, parameters)).fetchone()
    return row[0]


async def test_connections_are_set_up(dsn):
    pool = await open_pool(dsn, 2, application_name="tested", statement_timeout_seconds=1.5)
    async with pool, pool.connection() as connection:
        assert connection.autocommit
        assert await value(connection, "SHOW timezone") == "UTC"
        assert await value(connection, "SHOW application_name") == "tested"
        assert await value(connection, "SHOW statement_timeout") == "1500ms"
        await value(connection, b"SELECT %(x)s::bigint", {"x": 7})
        prepared = (
            "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT $1::bigint'"
        )
        assert await value(connection, prepared) == 1
        with pytest.raises(psycopg.errors.QueryCanceled):
            await connection.execute("SELECT pg_sleep(5)")


async def test_pool_holds_its_size(dsn):
    pool = await open_pool(dsn, 3)
    async with pool:
        assert pool.get_stats()["pool_size"] == 3


async def test_options_of_the_dsn_are_kept(dsn):
    tuned = make_conninfo(dsn, options="-c work_mem=12MB")
    connection = await connect(tuned)
    async with connection:
        assert await value(connection, "SHOW work_mem") == "12MB"
        assert await value(connection, "SHOW timezone") == "UTC"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://hub:hunter2@127.0.0.1:9/stock",
        "host=/nowhere password=hunter2 dbname=stock user=hub",
    ],
)
async def test_unreachable_is_named_without_the_password(dsn):
    for act in (connect(dsn), open_pool(dsn, 2, wait_seconds=0.3)):
        with pytest.raises(Misconfigured, match=r"stock at (127.0.0.1:9|/nowhere)") as caught:
            await act
        assert "hunter2" not in str(caught.value)


async def test_a_server_that_refuses_is_not_waited_for(dsn):
    began = time.monotonic()
    with pytest.raises(Misconfigured, match=r"nowhere.* does not exist"):
        await open_pool(make_conninfo(dsn, dbname="nowhere"), 2, wait_seconds=60)
    assert time.monotonic() - began < 50


async def test_a_server_that_comes_up_late_is_waited_for(data_dir):
    throw_away = {"fsync": "off", "shared_buffers": "64MB"}
    with EmbeddedServer.start(data_dir, settings=throw_away) as server:
        late = server.dsn
    opening = asyncio.create_task(open_pool(late, 2, wait_seconds=30))
    await asyncio.sleep(0.3)
    assert not opening.done()
    with EmbeddedServer.start(data_dir, settings=throw_away):
        async with await opening as pool:
            assert pool.get_stats()["pool_size"] == 2


@pytest.mark.parametrize(
    "dsn,described",
    [
        ("postgresql://hub:pass@db:5433/stock", "stock at db:5433"),
        ("host=db user=hub", "hub at db"),
        ("dbname=stock", "stock at the local socket"),
    ],
)
def test_describe(dsn, described):
    assert describe(dsn) == described
