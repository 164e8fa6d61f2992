"""Named SQL statements: `.sql` files next to the package that owns them.

A file is a list of blocks, each one statement::

    -- name: lock_items
    -- Locks the items of a batch, lowest id first.
    SELECT item_id FROM item_lock WHERE item_id = ANY(%(items)s::bigint[])
    ORDER BY item_id FOR UPDATE;
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from stockbridge.kernel.errors import Misconfigured

_HEADER = re.compile(r"^-- name:[ \t]*(?P<name>.*?)[ \t]*$", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class StatementError(Misconfigured):
    """A `.sql` file, or a use of one, is wrong; the message names file, statement and fix."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement: `file` is `package/file.sql`, `text` has no trailing semicolon."""

    file: str
    name: str
    purpose: str
    text: str


class Statements:
    """The statements of one package, each an attribute holding bytes for `execute`."""

    def __init__(self, package: str, statements: Iterable[Statement]) -> None:
        self._package = package
        self._texts: dict[str, bytes] = {}
        origin: dict[str, str] = {}
        for statement in statements:
            if statement.name in origin:
                raise StatementError(
                    f"statement {statement.name} of {package} is defined twice, in "
                    f"{origin[statement.name]} and {statement.file}: rename one"
                )
            origin[statement.name] = statement.file
            self._texts[statement.name] = statement.text.encode()

    def __getattr__(self, name: str) -> bytes:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._texts[name]
        except KeyError:
            known = ", ".join(sorted(self._texts)) or "none"
            raise AttributeError(
                f"no statement {name} in the .sql files of {self._package}; known: {known}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


def parse(file: str, content: str) -> list[Statement]:
    """Split the content of one `.sql` file; raises StatementError naming `file`."""
    headers = list(_HEADER.finditer(content))
    start = headers[0].start() if headers else len(content)
    if any(line.strip() and not line.startswith("--") for line in content[:start].splitlines()):
        raise StatementError(f"{file}: text before the first `-- name:` line; name the statement")
    ends = [header.start() for header in headers[1:]] + [len(content)]
    return [
        _statement(file, header["name"], content[header.end() : end])
        for header, end in zip(headers, ends, strict=True)
    ]


def _statement(file: str, name: str, block: str) -> Statement:
    if not _NAME.fullmatch(name):
        raise StatementError(f"{file}: {name!r} is not a statement name; use lower_snake_case")
    purpose, _, text = block.lstrip("\n").partition("\n")
    if not purpose.startswith("-- ") or not purpose[3:].strip():
        raise StatementError(f"{file}: {name} has no purpose; add `-- what it does` under its name")
    text = text.strip().removesuffix(";").rstrip()
    if not text:
        raise StatementError(f"{file}: {name} has no statement under its purpose")
    return Statement(file, name, purpose[3:].strip(), text)


@cache
def load(package: str) -> Statements:
    """Return the statements of every `.sql` file directly in `package` (use `__package__`)."""
    return Statements(package, _of_folder(package.replace(".", "/"), files(package)))


def _of_folder(name: str, folder: Traversable) -> list[Statement]:
    paths = sorted(
        (path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda p: p.name
    )
    return [
        statement
        for path in paths
        for statement in parse(f"{name}/{path.name}", path.read_text(encoding="utf-8"))
    ]


def all_statements() -> list[Statement]:
    """Return every named statement of the project (migrations are not named statements)."""
    return list(_walk("stockbridge", files("stockbridge")))


def _walk(name: str, folder: Traversable) -> Iterator[Statement]:
    yield from _of_folder(name, folder)
    for child in sorted(folder.iterdir(), key=lambda p: p.name):
        if child.is_dir() and child.name not in {"migrations", "__pycache__"}:
            yield from _walk(f"{name}/{child.name}", child)
