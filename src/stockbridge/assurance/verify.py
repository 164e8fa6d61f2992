"""Recompute the books from the ledger, and the ledger's digests from its rows.

Everything is read in one read-only snapshot; the hub may go on working.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import psycopg
from psycopg import Connection

from stockbridge.assurance.anchor import Anchor, read_anchor, save_anchor
from stockbridge.assurance.findings import Finding, finding
from stockbridge.assurance.invariants import FINDINGS_MAX, as_findings
from stockbridge.domain.ledger.sealing import FIRST_HASH, seal_hash
from stockbridge.store.database import unreachable
from stockbridge.store.sql import load

SQL = load(__package__)
RANGE_MOVEMENTS: Final = 50_000
"""Movements whose digests are computed in one statement."""
LAST_BATCH: Final = (1 << 43) - 2
"""No batch id is higher: movement ids are 63 bits, 20 of them within the batch."""
SETTINGS: Final = (
    b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    b"SET LOCAL work_mem = '64MB'",
    b"SET LOCAL jit = off",
)

Progress = Callable[[int, int], None]
"""Told (movements checked, movements in all)."""


@dataclass(slots=True)
class Report:
    """What was checked and what is wrong; `head` is the end of the chain, None when empty."""

    movements: int = 0
    batches: int = 0
    seals: int = 0
    unsealed: int = 0
    head: Anchor | None = None
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def text(self) -> str:
        """The report for people: one line of totals, one for each finding."""
        totals = (
            f"{self.movements} movements in {self.batches} batches under {self.seals} seals "
            f"({self.unsealed} batches wait for one), {self.seconds:.1f} s: "
            f"{'all is right' if self.ok else f'{len(self.findings)} findings'}"
        )
        return "\n".join([totals, *map(str, self.findings)])


def verify(
    dsn: str,
    *,
    anchor: Path | None = None,
    write_anchor: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check the ledger, its chain and the books kept from it.

    `anchor` names a file with a seal the chain must contain; `write_anchor` one that is written
    when nothing was found. Raises Misconfigured for a file or a database that cannot be read.
    """
    began = perf_counter()
    expected = read_anchor(anchor) if anchor is not None else None
    report = Report()
    with _snapshot(dsn) as conn:
        report.findings += _batches(conn, report, progress)
        report.findings += _chain(conn, report, expected)
        report.findings += _coverage(conn, report)
        rows = conn.execute(SQL.broken_laws, {"limit": FINDINGS_MAX}).fetchall()
        report.findings += as_findings(rows)
    report.seconds = perf_counter() - began
    if write_anchor is not None and report.ok and report.head is not None:
        save_anchor(write_anchor, report.head)
    return report


@contextmanager
def _snapshot(dsn: str) -> Iterator[Connection[Any]]:
    try:
        conn = psycopg.connect(dsn, application_name="stockbridge verify")
    except psycopg.OperationalError as error:
        raise unreachable(dsn, error) from error
    with conn:
        for setting in SETTINGS:
            conn.execute(setting)
        yield conn


def _batches(conn: Connection[Any], report: Report, progress: Progress | None) -> Iterator[Finding]:
    """Digests, range by range, and past the last batch for movements of none."""
    report.movements, report.batches = conn.execute(SQL.ledger_size).fetchall()[0]
    done, after = 0, -1
    while after < LAST_BATCH:
        values = {"after": after, "movements": RANGE_MOVEMENTS}
        last, movements = conn.execute(SQL.next_range, values).fetchall()[0]
        upto = LAST_BATCH if last is None else last
        rows = conn.execute(
            SQL.wrong_batches, {"after": after, "upto": upto, "limit": FINDINGS_MAX}
        ).fetchall()
        for batch_id, known, expected, found in rows:
            yield _wrong_batch(batch_id, known, expected, found)
        done, after = done + (movements or 0), upto
        if progress is not None:
            progress(done, report.movements)


def _wrong_batch(batch_id: int, known: bool, expected: int, found: int) -> Finding:
    key = f"batch {batch_id}"
    if not known:
        return finding("batch_exists", key, "no movements", f"{found} movements")
    if expected != found:
        return finding("batch_digest", key, f"{expected} movements", f"{found} movements")
    return finding("batch_digest", key, "the digest of its movements", "another digest")


def _chain(conn: Connection[Any], report: Report, expected: Anchor | None) -> Iterator[Finding]:
    """Hashes from the first seal to the last; the anchored seal must be among them."""
    previous, number, anchored = FIRST_HASH, 0, expected is None
    while rows := conn.execute(SQL.next_seals, {"after": number}).fetchall():
        for row in rows:
            yield from _seal(row, number, previous)
            number, previous = row[0], bytes(row[2])
            report.seals += 1
            anchored = anchored or expected == Anchor(number, previous)
    if report.seals:
        report.head = Anchor(number, previous)
    if not anchored and expected is not None:
        end = f"a chain of {number} seals without it"
        yield finding("anchor", f"seal {expected.seal_id}", expected.hash.hex(), end)


def _seal(row: tuple[Any, ...], before: int, previous: bytes) -> Iterator[Finding]:
    number, linked, kept, batch_ids, digests = row
    key = f"seal {number}"
    if number != before + 1:
        yield finding("seal_chain", key, f"seal {before + 1} next", f"seal {number}")
    if bytes(linked) != previous:
        yield finding("seal_chain", key, previous.hex(), f"{bytes(linked).hex()} as previous hash")
    pairs = [(i, bytes(d)) for i, d in zip(batch_ids, digests or (), strict=True) if d is not None]
    computed = seal_hash(bytes(linked), pairs)
    if computed != bytes(kept):
        yield finding("seal_chain", key, computed.hex(), bytes(kept).hex())


def _coverage(conn: Connection[Any], report: Report) -> Iterator[Finding]:
    report.unsealed = conn.execute(SQL.count_unsealed).fetchall()[0][0]
    for batch_id, known, seals, waits in conn.execute(
        SQL.wrongly_sealed, {"limit": FINDINGS_MAX}
    ).fetchall():
        found = f"{seals} seals, {waits} waiting{'' if known else ', and no such batch'}"
        yield finding("sealed_once", f"batch {batch_id}", "one seal, or waiting for one", found)
