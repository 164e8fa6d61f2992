"""Connections: prepared, in UTC, autocommit; an unreachable server is named, its password not."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import connect, describe, open_pool


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
    for act in (connect(dsn), open_pool(dsn, 2)):
        with pytest.raises(Misconfigured, match=r"stock at (127.0.0.1:9|/nowhere)") as caught:
            await act
        assert "hunter2" not in str(caught.value)


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
