"""Several statements in one round trip, with little Python between them.

psycopg's own pipeline mode runs its whole cursor machinery, and waits on the socket, for every
statement; at a dozen statements a batch that is a millisecond. Here all are handed to libpq at
once and the connection waits once. Parameters go as text, results come as binary.
"""

import re
from collections.abc import Generator, Sequence
from datetime import datetime
from functools import cache
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, pq
from psycopg.adapt import Transformer
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.waiting import Ready, Wait

Statement = tuple[bytes, dict[str, Any]]
"""A named statement's text and its values: str, int, bytes, datetime or None."""

Rows = list[tuple[Any, ...]]

_PARAMETER = re.compile(rb"%\((\w+)\)s|%%")
_BINARY = pq.Format.BINARY
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)
_PREPARED: WeakKeyDictionary[AsyncConnection[Any], dict[bytes, bytes]] = WeakKeyDictionary()
_NUMBERS = count()


async def run(conn: AsyncConnection[Any], statements: Sequence[Statement]) -> list[Rows]:
    """The rows of each statement, in order.

    Raises what psycopg would for the first statement that fails; those after it did not run, and
    the caller ends the transaction. Statements are prepared on their first use of a connection.
    """
    async with conn.lock:
        results = await conn.wait(_exchange(conn, statements))
    rows: list[Rows] = []
    for result in results:
        if result.status in _FAILED:
            error = error_from_result(result, encoding="utf-8")
            if isinstance(error, InvalidSqlStatementName):
                _PREPARED.pop(conn, None)
            raise error
        rows.append(_rows(conn, result))
    return rows


async def rollback(conn: AsyncConnection[Any]) -> None:
    """End the transaction, if one is open.

    Not psycopg's own `rollback`, which drops every prepared statement of the connection.
    """
    if conn.pgconn.transaction_status != pq.TransactionStatus.IDLE:
        await run(conn, [(b"ROLLBACK", {})])


@cache
def _positional(text: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The statement with $1, $2, ... and the names of its values in that order."""
    names: list[str] = []

    def place(match: re.Match[bytes]) -> bytes:
        if match.group(1) is None:
            return b"%"
        name = match.group(1).decode()
        if name not in names:
            names.append(name)
        return b"$%d" % (names.index(name) + 1)

    return _PARAMETER.sub(place, text), tuple(names)


def _encoded(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    if value is None:
        return None
    if isinstance(value, bytes):
        return b"\\x" + value.hex().encode()
    if isinstance(value, datetime):
        return value.isoformat().encode()
    return str(value).encode()


def _rows(conn: AsyncConnection[Any], result: Any) -> Rows:
    if not result.ntuples:
        return []
    transformer = Transformer(conn)
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)


def _exchange(
    conn: AsyncConnection[Any], statements: Sequence[Statement]
) -> Generator[Wait, Ready | int, list[Any]]:
    """Send everything, then read until libpq reports the end of the pipeline."""
    known = _PREPARED.setdefault(conn, {})
    new: dict[bytes, bytes] = {}
    preparing: list[bytes | None] = []
    conn.pgconn.enter_pipeline_mode()
    for text, values in statements:
        query, names = _positional(text)
        name = known.get(query, new.get(query, b""))
        if not name:
            name = new[query] = b"sb_%d" % (next(_NUMBERS))
            conn.pgconn.send_prepare(name, query)
            preparing.append(query)
        encoded = [_encoded(values[n]) for n in names]
        conn.pgconn.send_query_prepared(name, encoded, result_format=_BINARY)
        preparing.append(None)
    conn.pgconn.pipeline_sync()
    results = yield from _answers(conn.pgconn)
    told = []
    for prepared, result in zip(preparing, results, strict=False):
        if prepared is not None and result.status not in _FAILED:
            known[prepared] = new[prepared]
        else:
            told.append(result)
    return told


def _answers(pgconn: Any) -> Generator[Wait, Ready | int, list[Any]]:
    results: list[Any] = []
    while True:
        unsent = pgconn.flush()
        ready = yield Wait.RW if unsent else Wait.R
        if not ready & Ready.R:
            continue
        pgconn.consume_input()
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                pgconn.exit_pipeline_mode()
                return results
            results.append(result)
