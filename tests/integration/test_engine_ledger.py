"""The chain of seals and `verify`: what is changed behind the hub's back is found and named."""

import asyncio
from time import process_time

import psycopg
import pytest

from stockbridge.assurance.seal import seal_all
from stockbridge.assurance.verify import verify
from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.contracts.masters import PutChannel, PutItem, PutLocation
from stockbridge.domain.ledger.sealing import FIRST_HASH, seal_hash
from stockbridge.engine import Command, Engine
from stockbridge.kernel.errors import Misconfigured
from stockbridge.store.database import open_pool

ODD_TEXTS = ("a\tb", 'quote " and \\', "ünïcödé ❄", "comma, semi;")

TAMPERING = {
    "a quantity is changed": (
        "UPDATE movement SET quantity = quantity + 1 WHERE kind = 1",
        {"batch_digest", "balance_is_sum_of_movements", "accounts_sum_to_zero"},
    ),
    "a movement is deleted": (
        "DELETE FROM movement WHERE kind = 17",
        {"batch_digest", "balance_is_sum_of_movements", "accounts_sum_to_zero"},
    ),
    "a movement is added": (
        """INSERT INTO movement SELECT (999::bigint << 20) + 1, 999, kind, item_id, location_id,
        from_account, to_account, quantity, occurred_at, recorded_at, document_type,
        document_number, document_line, reason, unit_cost, message_id, correlation_id, reverses
        FROM movement WHERE kind = 1 LIMIT 1""",
        {"batch_exists", "balance_is_sum_of_movements", "accounts_sum_to_zero"},
    ),
    "a movement is dated back": (
        "UPDATE movement SET recorded_at = recorded_at - interval '1 hour' WHERE kind = 1",
        {"batch_digest"},
    ),
    "a document is renamed": (
        "UPDATE movement SET document_number = 'other' WHERE kind = 1",
        {"batch_digest"},
    ),
    "a digest is made to fit": (
        "UPDATE batch SET digest = sha256('x') WHERE batch_id = (SELECT min(batch_id) FROM batch)",
        {"batch_digest", "seal_chain"},
    ),
    "a seal is rewritten": (
        "UPDATE seal SET hash = sha256('x') WHERE seal_id = 1",
        {"seal_chain"},
    ),
    "a seal is deleted": (
        "DELETE FROM seal WHERE seal_id = 1",
        {"seal_chain", "sealed_once"},
    ),
    "a sealed batch waits again": (
        "INSERT INTO unsealed SELECT min(batch_id) FROM batch",
        {"sealed_once"},
    ),
    "a batch disappears whole": (
        """WITH gone AS (DELETE FROM batch WHERE batch_id = (SELECT min(batch_id) FROM batch)
        RETURNING batch_id) DELETE FROM movement USING gone
        WHERE movement.batch_id = gone.batch_id""",
        {"sealed_once", "seal_chain", "balance_is_sum_of_movements", "accounts_sum_to_zero"},
    ),
    "a balance is changed": (
        "UPDATE balance SET available = available + 5",
        {"balance_is_sum_of_movements", "accounts_sum_to_zero"},
    ),
    "a hold is deleted": (
        "DELETE FROM hold",
        {"promises_are_holds", "open_reservations_hold"},
    ),
    "a reservation is closed by hand": (
        "UPDATE reservation SET state = 'released'",
        {"holds_are_of_open_reservations"},
    ),
    "more is fenced than held": ("UPDATE hold SET fenced = 99", {"fenced_within_hold"}),
}


async def trade(dsn: str) -> None:
    """Some movements of several kinds with odd texts, under two seals."""
    engine = Engine(dsn)
    await engine.start()
    pool = await open_pool(dsn, 1)
    for body in (
        PutLocation("W1"),
        PutItem("A", standard_cost="2.5"),
        PutItem("B"),
        PutChannel("web", sources=["W1"]),
    ):
        await engine.submit(Command(body))
    for number, text in enumerate(ODD_TEXTS):
        line = c.ReceiptLine(sku="AB"[number % 2], quantity=5 + number)
        receipt = c.ReportReceipt(document=Document("po", text), location="W1", lines=[line])
        await engine.submit(Command(receipt, correlation_id=text, message_id=text))
    assert await seal_all(pool, limit=2) == len(ODD_TEXTS)
    await engine.submit(Command(c.ReserveStock("web", "r1", [c.ReserveLine("A", 3)])))
    assert await seal_all(pool) == 1
    assert await seal_all(pool) == 0
    adjusted = c.AdjustLine(sku="B", quantity=-1)
    await engine.submit(
        Command(c.AdjustStock(adjustment="J1", location="W1", reason="LOST", lines=[adjusted]))
    )
    await pool.close()
    await engine.stop()


async def test_nothing_is_found_where_nothing_is_wrong(dsn):
    await trade(dsn)
    told: list[tuple[int, int]] = []
    report = await asyncio.to_thread(verify, dsn, progress=lambda *seen: told.append(seen))
    assert report.ok, report.text()
    assert (report.batches, report.seals, report.unsealed) == (6, 3, 1)
    assert told[-1] == (report.movements, report.movements)


def test_an_empty_ledger_is_right(dsn):
    report = verify(dsn)
    assert report.ok
    assert report.head is None


@pytest.mark.parametrize("statement,laws", TAMPERING.values(), ids=TAMPERING)
async def test_tampering_is_found(dsn, statement, laws):
    await trade(dsn)
    with psycopg.connect(dsn) as conn:
        conn.execute(statement.encode())
    report = await asyncio.to_thread(verify, dsn)
    assert {finding.law for finding in report.findings} == laws, report.text()


async def test_a_chain_made_anew_is_not_the_anchored_one(dsn, tmp_path):
    await trade(dsn)
    anchor = tmp_path / "anchor.json"
    assert (await asyncio.to_thread(verify, dsn, write_anchor=anchor)).ok
    assert (await asyncio.to_thread(verify, dsn, anchor=anchor)).ok
    with psycopg.connect(dsn) as conn:
        rows = conn.execute("SELECT batch_id, digest FROM batch ORDER BY 1").fetchall()
        conn.execute("DELETE FROM seal")
        conn.execute("DELETE FROM unsealed")
        conn.execute(
            "INSERT INTO seal VALUES (1, %s, %s, %s)",
            ([batch_id for batch_id, _ in rows], FIRST_HASH, seal_hash(FIRST_HASH, rows)),
        )
    assert (await asyncio.to_thread(verify, dsn)).ok
    report = await asyncio.to_thread(verify, dsn, anchor=anchor)
    assert {finding.law for finding in report.findings} == {"anchor"}


def test_an_anchor_that_is_none(dsn, tmp_path):
    (tmp_path / "anchor").write_text("{}")
    with pytest.raises(Misconfigured, match="--write-anchor"):
        verify(dsn, anchor=tmp_path / "anchor")


async def test_two_sealers_make_one_chain(dsn):
    await trade(dsn)
    pool = await open_pool(dsn, 2)
    with psycopg.connect(dsn) as conn:
        conn.execute("DELETE FROM seal")
        conn.execute("INSERT INTO unsealed SELECT batch_id FROM batch ON CONFLICT DO NOTHING")
    await asyncio.gather(*(seal_all(pool, limit=1) for _ in range(4)))
    await seal_all(pool)
    await pool.close()
    report = await asyncio.to_thread(verify, dsn)
    assert report.ok, report.text()
    assert report.unsealed == 0


async def test_verifying_is_fast(dsn):
    """100,000 movements in a second or two of our own time: a million stays under 20 s."""
    await trade(dsn)
    with psycopg.connect(dsn) as conn:
        conn.execute(GROW)
    began = process_time()
    report = await asyncio.to_thread(verify, dsn)
    assert process_time() - began < 10
    assert report.movements > 100_000
    assert {f.law for f in report.findings} == {"batch_digest"}


GROW = b"""
WITH made AS (
    INSERT INTO movement
    SELECT ((10000 + n / 100)::bigint << 20) + n %% 100, 10000 + n / 100, 16, 1, 1,
           CASE n %% 2 WHEN 0 THEN 11 ELSE 1 END, CASE n %% 2 WHEN 0 THEN 1 ELSE 11 END, 1,
           now(), now(), 'count', 'C' || n, 'A', NULL, 2.5, NULL, 'c', NULL
    FROM generate_series(0, 99999) n
    RETURNING 1
), kept AS (
    INSERT INTO batch SELECT 10000 + n, now(), 100, sha256('x') FROM generate_series(0, 999) n
)
INSERT INTO unsealed SELECT 10000 + n FROM generate_series(0, 999) n
""".replace(b"%%", b"%")
