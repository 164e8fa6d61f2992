"""Every named statement of the project is understood by a migrated database."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.sql import Statement, Statements, all_statements, load, parse

# Refused inside a transaction, so it cannot be tried here; every server start runs it.
OUTSIDE_TRANSACTION = {"create_database"}
STATEMENTS = [each for each in all_statements() if each.name not in OUTSIDE_TRANSACTION]
PLACEHOLDER = re.compile(r"%\((?P<name>\w+)\)s(?P<cast>::)?|%%")
FIRST_WORDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES")
COMMENT = re.compile(r"--[^\n]*\n")
ROW_LOCK = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?(UPDATE|SHARE|KEY\s+SHARE)\b", re.IGNORECASE)


def numbered(text: str) -> str:
    """Return the statement with $1, $2 ... for its named placeholders."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}{match['cast'] or ''}"

    return PLACEHOLDER.sub(number, text)


@pytest.fixture(scope="module")
def connection(server, template) -> Iterator[psycopg.Connection]:
    name = "statements"
    with psycopg.connect(server.dsn, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        with psycopg.connect(server.dsn, dbname=name) as opened:
            yield opened
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: f"{s.file}:{s.name}")
def test_statement_is_understood(connection, statement: Statement):
    try:
        words = COMMENT.sub("", statement.text).upper().split()
        if words[0] in FIRST_WORDS:
            connection.execute(f"PREPARE tried AS {numbered(statement.text)}".encode())
        elif words[0] == "COPY":
            with connection.cursor().copy(statement.text.encode()):
                pass
        else:
            connection.execute(statement.text.encode())
    except psycopg.Error as error:
        pytest.fail(f"{statement.file}: {statement.name}: {error}", pytrace=False)
    finally:
        connection.rollback()
        connection.execute("DEALLOCATE ALL")


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: f"{s.file}:{s.name}")
def test_statement_keeps_the_habits(statement: Statement):
    uncast = [
        m["name"] for m in PLACEHOLDER.finditer(statement.text) if m["name"] and not m["cast"]
    ]
    assert not uncast, f"{statement.file}: {statement.name}: cast {uncast} (`%(x)s::bigint`)"
    lock = ROW_LOCK.search(statement.text)
    if lock is not None:
        before = statement.text[: lock.start()]
        assert re.search(r"\bORDER\s+BY\b", before, re.IGNORECASE), (
            f"{statement.file}: {statement.name}: a row lock needs ORDER BY, or two of them meet "
            "in opposite order"
        )


def test_statements_are_found():
    assert "find_database" in {statement.name for statement in STATEMENTS}
    assert load("stockbridge.store").find_database.startswith(b"SELECT 1")


@pytest.mark.parametrize(
    "content,message",
    [
        ("SELECT 1;\n-- name: a\n-- p\nSELECT 1", "text before the first"),
        ("SELECT 1;", "text before the first"),
        ("-- name: Bad Name\n-- p\nSELECT 1", "'Bad Name' is not a statement name"),
        ("-- name:\n-- p\nSELECT 1", "'' is not a statement name"),
        ("-- name: a\nSELECT 1", "a has no purpose"),
        ("-- name: a\n--\nSELECT 1", "a has no purpose"),
        ("-- name: a\n-- p\n;\n", "a has no statement"),
        ("-- name: a\n-- p\n-- name: b\n-- p\nSELECT 1", "a has no statement"),
    ],
)
def test_a_wrong_file_is_refused(content, message):
    with pytest.raises(Misconfigured, match=message):
        parse("x/y.sql", content)


def test_a_file_is_split_into_statements():
    content = (
        "-- A heading.\n\n-- name: a\n-- First.\nSELECT 1;\n\n-- name: b\n-- Second.\nSELECT\n  2\n"
    )
    assert parse("x/y.sql", content) == [
        Statement("x/y.sql", "a", "First.", "SELECT 1"),
        Statement("x/y.sql", "b", "Second.", "SELECT\n  2"),
    ]


def test_a_name_stands_once_and_an_unknown_one_is_named():
    statement = Statement("x/y.sql", "a", "First.", "SELECT 1")
    with pytest.raises(Misconfigured, match=r"a of x is defined twice, in x/y.sql and x/y.sql"):
        Statements("x", [statement, statement])
    with pytest.raises(AttributeError, match=r"no statement b in the .sql files of x; known: a"):
        _ = Statements("x", [statement]).b
