"""An import states what lies there: it is a count, and late facts from before are inside it."""

from datetime import UTC, datetime, timedelta

import psycopg

from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.contracts.masters import PutItem, PutLocation
from stockbridge.domain.ledger.bulk import Counts, Source, book_counts
from stockbridge.engine import Command, Engine
from stockbridge.kernel.accounts import AVAILABLE, QUARANTINED


async def test_late_facts_from_before_an_import_are_inside_it(dsn):
    engine = Engine(dsn, workers=1)
    await engine.start()
    for body in (PutLocation("W1"), PutLocation("W2"), PutItem("A")):
        await engine.submit(Command(body))
    figures: dict[int, list[int | None]] = {AVAILABLE: [7, None], QUARANTINED: [2, 1]}
    with psycopg.connect(dsn) as conn:
        book_counts(conn, Counts([1, 1], [1, 2], [1, 2], [None, None], figures), Source("1", "c"))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for location in ("W1", "W2"):
        await engine.submit(
            Command(
                c.ReportReceipt(
                    document=Document("po", "late"),
                    location=location,
                    occurred_at=yesterday,
                    lines=[
                        c.ReceiptLine(sku="A", quantity=5),
                        c.ReceiptLine(sku="A", quantity=4, state="quarantined"),
                    ],
                )
            )
        )
    older = c.ReportCount(
        count="C1", location="W1", occurred_at=yesterday, lines=[c.CountLine(sku="A", quantity=99)]
    )
    await engine.submit(Command(older))
    await engine.stop()
    with psycopg.connect(dsn) as conn:
        rows = conn.execute(
            "SELECT location_id, available, quarantined FROM balance ORDER BY 1"
        ).fetchall()
    assert rows == [(1, 7, 2), (2, 5, 1)]
