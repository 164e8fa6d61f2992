"""Each habit is broken once in a small tree; the same tree without the fault has no finding."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import tidy

LONG_FUNCTION = "def decide() -> None:\n" + "    pass\n" * tidy.FUNCTION_LINES_MAX
LONG_MODULE = "NUMBER = 1\n" * (tidy.MODULE_LINES_MAX + 1)
UNFINISHED = "# TO" + "DO later\n"

SOUND = {
    "pyproject.toml": '[project.scripts]\nstockbridge = "stockbridge.cli:main"\n',
    "src/stockbridge/__init__.py": "",
    "src/stockbridge/cli.py": "from stockbridge.ledger import handlers\n",
    "src/stockbridge/ledger/__init__.py": "",
    "src/stockbridge/ledger/README.md": "# Ledger\n",
    "src/stockbridge/ledger/rules.py": "def decide(free: int) -> int:\n    return free\n",
    "src/stockbridge/ledger/handlers.py": (
        "from . import rules\nfrom stockbridge.store.sql import load\n\nSQL = load(__package__)\n"
        "print(rules, SQL.write_balances, SQL.lock_balances)\n"
    ),
    "src/stockbridge/ledger/queries.sql": (
        "-- name: write_balances\n-- Adds to balances, 'UPDATE seal SET x'.\n"
        "INSERT INTO balance SELECT 1 ON CONFLICT (item_id) DO\n   UPDATE SET available = 1;\n\n"
        "-- name: lock_balances\n-- Locks.\n"
        "SELECT * FROM (SELECT 1) x ORDER BY item_id FOR NO KEY UPDATE;\n"
    ),
    "src/stockbridge/store/__init__.py": "",
    "src/stockbridge/store/README.md": "# Store\n",
    "src/stockbridge/store/sql.py": "def load(package: str) -> object: ...\n",
    "src/stockbridge/store/migrations/0001_pre_spine.sql": (
        "CREATE TABLE balance (item_id bigint) PARTITION BY RANGE (item_id);\n"
        "COMMENT ON TABLE balance IS 'ledger: sums';\n"
        "CREATE TABLE balance_default PARTITION OF balance DEFAULT;\n"
        "CREATE TABLE seal (x bigint);\nCOMMENT ON TABLE seal IS 'store: the chain';\n"
    ),
}

LEDGER = "src/stockbridge/ledger"
MIGRATION = "src/stockbridge/store/migrations/0002_pre_more.sql"
USE = f"{LEDGER}/use.py"


def plant(root: Path, *trees: dict[str, str]) -> Path:
    for tree in trees:
        for path, text in tree.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return root


def statement(body: str, *, used: bool = True) -> dict[str, str]:
    files = {f"{LEDGER}/more.sql": f"-- name: act\n-- Acts.\n{body};\n"}
    if used:
        files["src/stockbridge/cli.py"] = (
            "from stockbridge.ledger import handlers\nprint(handlers.SQL.act)\n"
        )
    return files


def rules(text: str) -> dict[str, str]:
    return {f"{LEDGER}/rules.py": text}


def test_a_sound_tree_has_no_finding(tmp_path: Path):
    assert tidy.check(plant(tmp_path, SOUND)) == []


ACT = f"{LEDGER}/more.sql:act"
FAULTS = [
    ("function-length", "tests/test_x.py:decide", {"tests/test_x.py": LONG_FUNCTION}),
    ("module-length", "bench/__main__.py", {"bench/__main__.py": LONG_MODULE}),
    ("package-readme", "src/stockbridge/views", {"src/stockbridge/views/__init__.py": ""}),
    ("dead-module", f"{LEDGER}/old.py", {f"{LEDGER}/old.py": ""}),
    ("dead-module", USE, {USE: "", "tests/test_x.py": "import stockbridge.ledger.use\n"}),
    ("unused-statement", ACT, statement("SELECT 1", used=False)),
    (
        "unused-statement",
        ACT,
        statement("SELECT 1", used=False)
        | {"src/stockbridge/cli.py": "from stockbridge.ledger import handlers\nhandlers.act()\n"},
    ),
    ("table-owner", "audit", {MIGRATION: "CREATE TABLE audit (x bigint);\n"}),
    (
        "table-owner",
        "audit",
        {MIGRATION: "CREATE TABLE audit (x bigint); COMMENT ON TABLE audit IS 'nobody: x';"},
    ),
    ("foreign-write", ACT, statement("INSERT INTO seal SELECT 1")),
    ("foreign-write", ACT, statement("WITH d AS (DELETE FROM seal RETURNING x) SELECT 1 FROM d")),
    ("foreign-write", ACT, statement("UPDATE\n  seal SET x = 1")),
    ("foreign-write", ACT, statement("COPY seal (x) FROM STDIN")),
    ("foreign-write", ACT, statement("TRUNCATE unknown_table")),
    ("lock-order", ACT, statement("SELECT 1 FROM balance FOR UPDATE SKIP LOCKED")),
    (
        "lock-order",
        ACT,
        statement("SELECT 1 FROM (SELECT 1 ORDER BY 1) x FOR NO KEY UPDATE"),
    ),
    ("lock-order", ACT, statement("WITH l AS (SELECT 1 FOR SHARE) SELECT 1 FROM l ORDER BY 1")),
    (
        "python-sql",
        f"{LEDGER}/handlers.py",
        {f"{LEDGER}/handlers.py": SOUND[f"{LEDGER}/handlers.py"] + 'X = b"DELETE FROM seal"\n'},
    ),
    ("impure-rules", f"{LEDGER}/rules.py:time", rules("import time\n")),
    ("impure-rules", f"{LEDGER}/rules.py:random", rules("from random import choice\n")),
    ("impure-rules", f"{LEDGER}/rules.py:psycopg", rules("import psycopg.rows\n")),
    ("impure-rules", f"{LEDGER}/rules.py:structlog", rules("import structlog\n")),
    ("impure-rules", f"{LEDGER}/rules.py:stockbridge.store", rules("from ..store import sql\n")),
    ("impure-rules", f"{LEDGER}/rules.py:datetime.now()", rules("NOW = datetime.now(UTC)\n")),
    ("impure-rules", f"{LEDGER}/rules.py:uuid4()", rules("ID = uuid4()\n")),
    ("unfinished", f"{LEDGER}/rules.py", rules(UNFINISHED)),
    ("unfinished", "docs/a.md", {"docs/a.md": UNFINISHED}),
]


@pytest.mark.parametrize("rule,subject,files", FAULTS)
def test_each_fault_is_one_finding(rule: str, subject: str, files: dict[str, str], tmp_path: Path):
    found = tidy.check(plant(tmp_path, SOUND, files))
    assert [(finding.rule, finding.subject) for finding in found] == [(rule, subject)]


SOUND_VARIANTS = [
    statement("UPDATE balance_default SET available = 1"),
    statement("CREATE TEMP TABLE staged (x bigint)"),
    statement("SELECT 1 FROM balance -- FOR UPDATE"),
    statement("COPY (SELECT * FROM seal) TO STDOUT"),
    statement(
        "CREATE TABLE journal (x int); COMMENT ON TABLE journal IS 'ledger: x';"
        "COPY journal FROM STDIN"
    ),
    {USE: "", "src/stockbridge/__main__.py": "RUN = 'stockbridge.ledger.use:main'\n"},
    {USE: "", "bench/__main__.py": "from stockbridge.ledger.use import x\n"},
    {USE: "", "tests/simulation/__main__.py": "from stockbridge.ledger.use import x\n"},
    {f"{LEDGER}/mapping.py": "", f"{LEDGER}/manifest.toml": ""},
    {MIGRATION: "CREATE TABLE audit (x bigint); DROP TABLE audit;"},
]


@pytest.mark.parametrize("files", SOUND_VARIANTS)
def test_sound_variants_have_no_finding(files: dict[str, str], tmp_path: Path):
    assert tidy.check(plant(tmp_path, SOUND, files)) == []


def test_a_waiver_hides_its_finding_and_nothing_else(tmp_path: Path):
    plant(tmp_path, SOUND, {f"{LEDGER}/old.py": "", f"{LEDGER}/older.py": ""})
    found = tidy.check(tmp_path, {("dead-module", f"{LEDGER}/old.py"): "used by the next release"})
    assert [finding.subject for finding in found] == [f"{LEDGER}/older.py"]


def test_a_waiver_nothing_needs_is_a_finding(tmp_path: Path):
    found = tidy.check(plant(tmp_path, SOUND), {("dead-module", "src/gone.py"): "once needed"})
    assert [(finding.rule, finding.subject) for finding in found] == [
        ("unused-waiver", "src/gone.py")
    ]


@pytest.mark.parametrize("files", [{}, {f"{LEDGER}/old.py": ""}])
def test_the_script_prints_and_exits(files: dict[str, str], tmp_path: Path):
    script = {"tests/tidy.py": Path(tidy.__file__).read_text(encoding="utf-8")}
    plant(tmp_path, SOUND, script, files)
    done = subprocess.run(
        [sys.executable, tmp_path / "tests/tidy.py"], capture_output=True, text=True, check=False
    )
    # The copy carries this project's waivers, which the small tree needs none of.
    expected = len(files) + len(tidy.WAIVERS)
    assert done.returncode == bool(expected), done.stderr
    last = f"tidy: {expected} findings, {len(tidy.WAIVERS)} waived"
    assert done.stdout.splitlines()[-1] == last
