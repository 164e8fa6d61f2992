"""One database with masters for all examples: each makes items of its own."""

import asyncio

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.simulation.fleet import furnish


@pytest.fixture(scope="session")
def enterprise_of_laws(server, template) -> str:
    """The connection string."""
    dsn = make_conninfo(server.dsn, dbname="laws")
    with psycopg.connect(server.dsn, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE laws TEMPLATE {template}".encode())
    asyncio.run(furnish(dsn))
    return dsn
