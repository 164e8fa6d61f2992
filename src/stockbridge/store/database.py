"""Connections to PostgreSQL: async, autocommit, in UTC, with server-side prepared statements."""

import asyncio
import time

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from stockbridge.kernel.errors import Misconfigured

Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]

APPLICATION_NAME = "stockbridge"
_WAIT_SECONDS = 10.0
_RETRY_SECONDS = 0.25
_PREPARED_MAX = 500
# What waiting does not mend.
_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry")


def describe(dsn: str) -> str:
    """Return where `dsn` points, `database at host:port`, never its password."""
    parts = conninfo_to_dict(dsn)
    host = parts.get("host") or "the local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"{parts.get('dbname') or parts.get('user') or 'the default database'} at {host}{port}"


def unreachable(dsn: str, error: Exception) -> Misconfigured:
    """Return the error for a database that does not answer; keeps the password out of it."""
    cause = str(error)
    password = conninfo_to_dict(dsn).get("password")
    if password:
        cause = cause.replace(str(password), "***")
    return Misconfigured(
        f"database {describe(dsn)} cannot be reached: {cause.strip()}; "
        "check that it runs, and STOCKBRIDGE_DSN"
    )


async def configure(connection: AsyncConnection[TupleRow]) -> None:
    """Prepare every statement at its first use; autocommit, so transactions are explicit."""
    await connection.set_autocommit(True)
    connection.prepare_threshold = 0
    connection.prepared_max = _PREPARED_MAX


def _session(dsn: str, application_name: str, statement_timeout_seconds: float | None) -> str:
    """Return `dsn` with our session settings, after any options of its own."""
    options = [str(conninfo_to_dict(dsn).get("options") or ""), "-c timezone=UTC"]
    if statement_timeout_seconds is not None:
        options.append(f"-c statement_timeout={round(statement_timeout_seconds * 1000)}")
    return make_conninfo(
        dsn, application_name=application_name, options=" ".join(filter(None, options))
    )


async def connect(
    dsn: str,
    *,
    application_name: str = APPLICATION_NAME,
    statement_timeout_seconds: float | None = None,
    wait_seconds: float = 0.0,
) -> AsyncConnection[TupleRow]:
    """Open one connection, trying for `wait_seconds` while the server does not answer.

    Raises Misconfigured naming host and database, at once when the server refuses us.
    """
    session = _session(dsn, application_name, statement_timeout_seconds)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            connection = await AsyncConnection.connect(session, autocommit=True)
        except psycopg.OperationalError as error:
            if time.monotonic() >= deadline or any(word in str(error) for word in _REFUSALS):
                raise unreachable(dsn, error) from error
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            await configure(connection)
            return connection


async def open_pool(
    dsn: str,
    size: int,
    *,
    application_name: str = APPLICATION_NAME,
    statement_timeout_seconds: float | None = None,
    wait_seconds: float = _WAIT_SECONDS,
) -> Pool:
    """Open a pool of `size` connections and wait until all are there; the caller closes it.

    Raises Misconfigured naming host and database when they are not within `wait_seconds`.
    """
    probe = await connect(dsn, application_name=application_name, wait_seconds=wait_seconds)
    await probe.close()
    session = _session(dsn, application_name, statement_timeout_seconds)
    pool: Pool = AsyncConnectionPool(
        session,
        connection_class=AsyncConnection[TupleRow],
        min_size=size,
        max_size=size,
        configure=configure,
        kwargs={"autocommit": True},
        open=False,
        name=application_name,
    )
    try:
        await pool.open(wait=True, timeout=wait_seconds)
    except PoolTimeout as error:
        await pool.close()
        raise unreachable(dsn, error) from error
    return pool
