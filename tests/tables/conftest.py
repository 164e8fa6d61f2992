"""A database with the small enterprise's masters, emptied of everything else after each story."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.simulation.fleet import furnish

KEPT = (
    "item", "item_lock", "item_uom", "item_alias", "kit_component", "location", "channel",
    "channel_source", "policy", "reason_code", "system", "masters_epoch", "schema_migration",
)  # fmt: skip


@pytest.fixture(scope="session")
def enterprise(server, template) -> str:
    """The connection string of a database with masters and nothing else."""
    dsn = make_conninfo(server.dsn, dbname="enterprise")
    with psycopg.connect(server.dsn, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE enterprise TEMPLATE {template}".encode())
    asyncio.run(furnish(dsn))
    return dsn


@pytest.fixture
def story_dsn(enterprise) -> Iterator[str]:
    """The same, for one story."""
    yield enterprise
    with psycopg.connect(enterprise, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT string_agg(relname, ', ') FROM pg_class JOIN pg_namespace n"
            " ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND nspname = 'public' AND relname <> ALL (%s)",
            (list(KEPT),),
        ).fetchall()[0][0]
        connection.execute(f"TRUNCATE {tables}".encode())
