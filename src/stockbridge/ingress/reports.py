"""Stock reports that connectors bring: kept to be compared, or told to the system's owner."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from stockbridge.contracts.partners.model import ReportedStock
from stockbridge.domain.snapshots.intake import take_in
from stockbridge.domain.snapshots.model import Head
from stockbridge.domain.world.model import ExceptionCase
from stockbridge.ingress.correlation import correlate
from stockbridge.kernel.errors import Refusal
from stockbridge.outbox.cases import open_cases, owners
from stockbridge.store.database import Pool

REFUSED: Final = "report_refused"


async def take_reports(pool: Pool, system: str, reports: Sequence[ReportedStock]) -> None:
    """Keep them; the timer of snapshots compares them. A refused one is its owner's exception."""
    for report in reports:
        ids = correlate(None, None)
        correlation_id = ids[0] if isinstance(ids, tuple) else ""
        head = Head(
            system, report.number, report.cutoff_at, report.sequence, report.meaning,
            report.is_authoritative, "ndjson", f"system:{system}", correlation_id,
        )  # fmt: skip
        taken = await take_in(pool, head, _once(report.rows))
        if isinstance(taken, Refusal):
            await _tell(pool, system, report, taken, correlation_id)


async def _once(rows: bytes) -> AsyncIterator[bytes]:
    yield rows


async def _tell(
    pool: Pool, system: str, report: ReportedStock, refusal: Refusal, correlation_id: str
) -> None:
    async with pool.connection() as conn, conn.transaction():
        owner = (await owners(conn, [system]))[system]
        case = ExceptionCase(
            REFUSED, f"{system}/{report.number}", owner.criticality, owner.team,
            f"stock report {report.number} of {system} was not taken: {refusal.detail}",
            "Have the partner send it under a number of its own, or see what differs",
            correlation_id,
        )  # fmt: skip
        await open_cases(conn, [case])
