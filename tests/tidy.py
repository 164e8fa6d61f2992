"""Habits a machine can check; `python tests/tidy.py` prints what breaks them and exits 1.

Each rule is a function from a `Tree` (the files of a checkout, parsed once) to findings. A finding
is a rule, a subject (a path, or a path and a name) and what to do. A debt that must stand for a
while goes into WAIVERS with its reason; a waiver that no longer matches is itself a finding, so
the list only shrinks.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
PACKAGE = "stockbridge"
SOURCE = f"src/{PACKAGE}"
PURE_MODULES = ("rules", "model", "mapping")
IMPURE_IMPORTS = {
    *(
        "aiohttp",
        "asyncio",
        "logging",
        "os",
        "psycopg",
        "psycopg_pool",
        "random",
        "secrets",
        "socket",
    ),
    *("starlette", "structlog", "subprocess", "threading", "time"),
}
IMPURE_CALLS = re.compile(
    r"(\w+\.)?(datetime|date)\.(now|utcnow|today)|(uuid\.)?uuid[1467]|os\.urandom|open|print"
)
# A connector's folder is its registration: these files are found through its manifest.
FOUND_BY_FOLDER = ("client", "mapping", "simulator")

# (rule, subject): reason.
WAIVERS: Mapping[tuple[str, str], str] = {}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One broken habit; `subject` is what a waiver names."""

    rule: str
    subject: str
    message: str


@dataclass(frozen=True)
class Module:
    """One Python file: `path` from the root, POSIX; `name` dotted, as it is imported."""

    path: str
    name: str
    text: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text, self.path)))

    @cached_property
    def strings(self) -> set[str]:
        return {
            node.value
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }

    @cached_property
    def imports(self) -> set[str]:
        """Dotted names this file imports, `from a import b` as both `a` and `a.b`."""
        found: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(self, node)
                found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        return found

    @property
    def package(self) -> str:
        return self.name if self.path.endswith("/__init__.py") else self.name.rpartition(".")[0]

    @property
    def is_test(self) -> bool:
        return "tests" in PurePosixPath(self.path).parts[:-1]


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement of a `.sql` file, comments and literals blanked."""

    path: str
    name: str
    text: str

    @property
    def owner(self) -> str:
        """The package folder the file lies in, from the source root: `domain/ledger`."""
        return str(PurePosixPath(self.path).parent.relative_to(SOURCE))

    @property
    def subject(self) -> str:
        return f"{self.path}:{self.name}"


class Tree:
    """The files of one checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, pattern: str, *folders: str) -> Iterator[tuple[str, str]]:
        for folder in folders:
            for path in sorted((self.root / folder).rglob(pattern)):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path.relative_to(self.root).as_posix(), path.read_text("utf-8")

    @cached_property
    def modules(self) -> list[Module]:
        return [
            Module(path, _dotted(path), text)
            for path, text in self.files("*.py", "src", "bench", "tests")
        ]

    @cached_property
    def product(self) -> list[Module]:
        return [m for m in self.modules if m.path.startswith(f"{SOURCE}/") and not m.is_test]

    @cached_property
    def statements(self) -> list[Statement]:
        return [
            Statement(path, name, blank(body))
            for path, text in self.files("*.sql", SOURCE)
            if "/migrations/" not in path
            for name, body in _blocks(text)
        ]

    @cached_property
    def tables(self) -> dict[str, str]:
        """Table -> owning package folder ('' when no comment says); partitions follow parents."""
        owners: dict[str, str] = {}
        for _path, text in self.files("*.sql", SOURCE):
            _apply_ddl(owners, text)
        return owners


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _dotted(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    pieces = re.split(r"^-- name:[ \t]*(\w+).*$", text, flags=re.MULTILINE)
    yield from zip(pieces[1::2], pieces[2::2], strict=True)


def blank(sql: str) -> str:
    """Return the statement on one line, without comments and with literals emptied."""
    bare = re.sub(r"--[^\n]*|/\*.*?\*/|('(?:[^']|'')*')", _blanked, sql, flags=re.DOTALL)
    return " ".join(bare.split())


def _blanked(match: re.Match[str]) -> str:
    return "''" if match[1] else " "


_DDL = re.compile(
    r"""CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<created>\w+)
        (?:\s+PARTITION\s+OF\s+(?P<parent>\w+))?
      | COMMENT\s+ON\s+TABLE\s+(?P<described>\w+)\s+IS\s+'(?P<owner>[a-z_/]+):\s
      | DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?P<dropped>\w+)""",
    re.IGNORECASE | re.VERBOSE,
)


def _apply_ddl(owners: dict[str, str], text: str) -> None:
    for match in _DDL.finditer(re.sub(r"--[^\n]*", "", text)):
        if match["created"]:
            owners[match["created"]] = owners.get(match["parent"] or "", "")
        elif match["described"]:
            owners[match["described"]] = match["owner"]
        else:
            owners.pop(match["dropped"], None)


# Rules ----------------------------------------------------------------------------------------


def function_length(tree: Tree) -> Iterator[Finding]:
    """A function fits on a screen."""
    for module in tree.modules:
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield Finding(
                        "function-length",
                        f"{module.path}:{node.name}",
                        f"{lines} lines, at most {FUNCTION_LINES_MAX}: split it by what it decides",
                    )


def module_length(tree: Tree) -> Iterator[Finding]:
    """A module is about one thing."""
    for module in tree.modules:
        lines = len(module.text.splitlines())
        if lines > MODULE_LINES_MAX:
            yield Finding(
                "module-length",
                module.path,
                f"{lines} lines, at most {MODULE_LINES_MAX}: move one of its subjects out",
            )


def package_readme(tree: Tree) -> Iterator[Finding]:
    """Every package tells its words and invariants."""
    for module in tree.product:
        folder = PurePosixPath(module.path).parent
        if not module.path.endswith("/__init__.py") or str(folder) == SOURCE:
            continue
        if not (tree.root / folder / "README.md").is_file():
            yield Finding(
                "package-readme", str(folder), "has no README.md: say what it holds and keeps"
            )


def dead_module(tree: Tree) -> Iterator[Finding]:
    """Every module is imported by the product, the bench or the simulation, not only by tests."""
    alive = _entry_points(tree)
    for module in tree.modules:
        if not module.is_test or module.path.startswith("tests/simulation/"):
            alive |= module.imports | {text.partition(":")[0] for text in module.strings}
    for module in tree.product:
        if module.path.endswith(("/__init__.py", "/__main__.py")) or module.name in alive:
            continue
        folder = (tree.root / module.path).parent
        if (
            PurePosixPath(module.path).stem in FOUND_BY_FOLDER
            and (folder / "manifest.toml").exists()
        ):
            continue
        yield Finding("dead-module", module.path, "nothing imports it: use it or delete it")


def _entry_points(tree: Tree) -> set[str]:
    project = tree.root / "pyproject.toml"
    if not project.exists():
        return set()
    table = tomllib.loads(project.read_text("utf-8")).get("project", {})
    groups = [table.get("scripts", {}), *table.get("entry-points", {}).values()]
    return {target.partition(":")[0] for group in groups for target in group.values()}


def unused_statement(tree: Tree) -> Iterator[Finding]:
    """Every named statement is executed by the product."""
    for statement in tree.statements:
        package = ".".join([PACKAGE, *PurePosixPath(statement.owner).parts])
        if not any(_mentions(module, package, statement.name) for module in tree.product):
            yield Finding(
                "unused-statement", statement.subject, "no code executes it: use it or delete it"
            )


def _mentions(module: Module, package: str, name: str) -> bool:
    """Tell whether a module of the package, or one that imports it, names the statement."""
    near = (module.package, *module.imports, *module.strings)
    if not any(other == package or other.startswith(f"{package}.") for other in near):
        return False
    return name in module.strings or any(
        isinstance(node, ast.Attribute)
        and node.attr == name
        and ast.unparse(node.value).upper().endswith("SQL")
        for node in module.nodes
    )


def table_owner(tree: Tree) -> Iterator[Finding]:
    """Every table names the package that alone may write it."""
    for table, owner in tree.tables.items():
        if not owner:
            yield Finding(
                "table-owner", table, f"add COMMENT ON TABLE {table} IS 'owner/package: what it is'"
            )
        elif not (tree.root / SOURCE / owner).is_dir():
            yield Finding("table-owner", table, f"its owner {owner} is not a package of {SOURCE}")


_WRITE = re.compile(
    r"""(?:\bINSERT\s+INTO|\bDELETE\s+FROM|\bMERGE\s+INTO|\bTRUNCATE(?:\s+TABLE)?
        |\bCOPY(?=\s+\w+\s*(?:\([^)]*\)\s*)?FROM\b)
        |(?<!\bFOR\s)(?<!\bKEY\s)(?<!\bDO\s)\bUPDATE)\s+(?:ONLY\s+)?"?(?P<table>\w+)""",
    re.IGNORECASE | re.VERBOSE,
)
_TEMPORARY = re.compile(
    r"CREATE\s+TEMP(?:ORARY)?\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE
)


def foreign_write(tree: Tree) -> Iterator[Finding]:
    """Only the owner's `.sql` files write a table."""
    temporary = {name for s in tree.statements for name in _TEMPORARY.findall(s.text)}
    for statement in tree.statements:
        for table in sorted({match["table"] for match in _WRITE.finditer(statement.text)}):
            if table in temporary:
                continue
            owner = tree.tables.get(table)
            if owner is None:
                yield Finding("foreign-write", statement.subject, f"{table}: no .sql file makes it")
            elif owner != statement.owner:
                yield Finding(
                    "foreign-write",
                    statement.subject,
                    f"writes {table}, which belongs to {owner or 'nobody'}: call its owner",
                )


_LOCK = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b|\bFOR\s+(?:KEY\s+)?SHARE\b", re.IGNORECASE)
_ORDER = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)


def lock_order(tree: Tree) -> Iterator[Finding]:
    """Row locks are taken in a stated order."""
    for statement in tree.statements:
        for match in _LOCK.finditer(statement.text):
            if not _ORDER.search(_same_select(statement.text[: match.start()])):
                yield Finding(
                    "lock-order", statement.subject, "locks rows without ORDER BY: order by the key"
                )


def _same_select(before: str) -> str:
    """Return the end of `before` that stands on the parenthesis level it ends on."""
    kept: list[str] = []
    depth = 0
    for character in reversed(before):
        if character == ")":
            depth += 1
        elif character == "(":
            depth -= 1
            if depth < 0:
                break
        elif not depth:
            kept.append(character)
    return "".join(reversed(kept))


_SQL_IN_PYTHON = re.compile(
    r"\s*(?:WITH\s.*)?(?:INSERT\s+INTO\s|DELETE\s+FROM\s|MERGE\s+INTO\s|UPDATE\s+\w+\s+SET\s"
    r"|COPY\s+\w+\s*\(|SELECT\s.*\sFOR\s+(?:NO\s+KEY\s+)?UPDATE\b)",
    re.DOTALL,
)


def python_sql(tree: Tree) -> Iterator[Finding]:
    """Statements that write or lock have names, so they stand in `.sql` files."""
    for module in tree.product:
        for node in module.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
                if _SQL_IN_PYTHON.match(text):
                    yield Finding(
                        "python-sql",
                        module.path,
                        f"line {node.lineno} writes or locks in a string: name it in a .sql file",
                    )


def impure_rules(tree: Tree) -> Iterator[Finding]:
    """Rules, models and mappings take values and return values."""
    for module in tree.product:
        if PurePosixPath(module.path).stem not in PURE_MODULES:
            continue
        roots = {name.partition(".")[0] for name in module.imports} & IMPURE_IMPORTS
        if any(name.startswith(f"{PACKAGE}.store") for name in module.imports):
            roots.add(f"{PACKAGE}.store")
        calls = {ast.unparse(node.func) for node in module.nodes if isinstance(node, ast.Call)}
        roots |= {f"{call}()" for call in calls if IMPURE_CALLS.fullmatch(call)}
        for root in sorted(roots):
            yield Finding(
                "impure-rules",
                f"{module.path}:{root}",
                f"{root} is I/O: let the caller pass values",
            )


# Spelled in two halves so that this file does not find itself.
_UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b")


def unfinished(tree: Tree) -> Iterator[Finding]:
    """What is left to do stands in an issue, not in the code."""
    folders = ("src", "bench", "tests", "docs", ".ci")
    for pattern in ("*.py", "*.sql", "*.md", "*.toml", "*.js", "*.css", "*.html"):
        for path, text in tree.files(pattern, *folders):
            for number, line in enumerate(text.splitlines(), start=1):
                if _UNFINISHED.search(line):
                    yield Finding("unfinished", path, f"line {number}: do it or open an issue")


RULES: tuple[Callable[[Tree], Iterator[Finding]], ...] = (
    function_length,
    module_length,
    package_readme,
    dead_module,
    unused_statement,
    table_owner,
    foreign_write,
    lock_order,
    python_sql,
    impure_rules,
    unfinished,
)


def check(root: Path, waivers: Mapping[tuple[str, str], str] = WAIVERS) -> list[Finding]:
    """Return the findings under `root` that no waiver covers, and the waivers nothing needs."""
    tree = Tree(root)
    found = sorted({finding for rule in RULES for finding in rule(tree)})
    needed = {(finding.rule, finding.subject) for finding in found}
    unused = [
        Finding(
            "unused-waiver", subject, f"nothing breaks {rule} there any more: delete the waiver"
        )
        for rule, subject in waivers
        if (rule, subject) not in needed
    ]
    return [f for f in found if (f.rule, f.subject) not in waivers] + unused


def main() -> int:
    """Print the findings of the checkout this file lies in; return the exit code."""
    findings = check(Path(__file__).resolve().parents[1])
    for finding in findings:
        print(f"{finding.rule}: {finding.subject}: {finding.message}")
    print(f"tidy: {len(findings)} findings, {len(WAIVERS)} waived")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
