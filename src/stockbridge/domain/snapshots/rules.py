"""Pure decisions about stock reports: what to book, and what to tell whom."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from stockbridge.contracts.commands import CountLine, ReportCount
from stockbridge.domain.snapshots.model import Difference, Place
from stockbridge.domain.world.model import ExceptionCase

COUNT_LINES_MAX: Final = 1_000
"""Most lines in one count; keeps an engine batch short beside others' commands."""


def count_number(snapshot_id: int) -> str:
    """The number of the counts that a report's differences become."""
    return f"snapshot:{snapshot_id}"


def drift_subject(snapshot_id: int, location: str) -> str:
    """What the exception about a report's drift at a location is about."""
    return f"snapshot:{snapshot_id}@{location}"


def count_of(
    snapshot_id: int, location: str, system: str, cutoff_at: datetime, rows: Sequence[Difference]
) -> ReportCount:
    """The count that makes the ledger say what the report said, as of its cut-off."""
    lines = [
        CountLine(sku=row.sku, quantity=row.stated, state=row.state, line=str(row.row_number))
        for row in rows
    ]
    return ReportCount(
        count=count_number(snapshot_id),
        location=location,
        lines=lines,
        occurred_at=cutoff_at,
        source=system,
    )


def refused_rows(
    rows: Sequence[Difference], problem: dict[str, Any]
) -> tuple[list[Difference], list[tuple[int, str]]]:
    """Rows worth another try, and (row number, reason) of the refused ones.

    `problem` is the engine's: it lists the rows at fault, or none when all are.
    """
    errors = problem.get("errors", ())
    reasons = {error["index"]: error["detail"] for error in errors if "index" in error}
    if not reasons or not reasons.keys() <= set(range(len(rows))):
        detail = str(problem.get("detail", "the engine refused it"))
        return [], [(row.row_number, detail) for row in rows]
    again = [row for index, row in enumerate(rows) if index not in reasons]
    return again, [(rows[index].row_number, reason) for index, reason in reasons.items()]


def drift_cases(
    snapshot_id: int, system: str, number: str, correlation_id: str, places: Iterable[Place]
) -> list[ExceptionCase]:
    """One case for each location with open drift."""
    return [
        ExceptionCase(
            kind="stock_drift",
            subject=drift_subject(snapshot_id, place.location),
            severity=2,
            owner_team="operations",
            cause=(
                f"{system} reports other stock at {place.location} than the ledger has: "
                f"{place.rows} rows, {place.units} units (snapshot {number})"
            ),
            action=(
                f"See GET /v1/snapshots/{snapshot_id}/rows?outcome=drift; accept it with "
                f"POST /v1/snapshots/{snapshot_id}/accept, or count the items there"
            ),
            correlation_id=correlation_id,
        )
        for place in places
    ]


def unreadable_case(
    snapshot_id: int, system: str, number: str, correlation_id: str, why: str
) -> ExceptionCase:
    """The case of a report that could not be read at all."""
    return ExceptionCase(
        kind="snapshot_unreadable",
        subject=f"snapshot:{snapshot_id}",
        severity=2,
        owner_team="operations",
        cause=f"snapshot {number} of {system} cannot be read: {why}",
        action="Have it sent again in the form that GET /docs describes; its number may be reused",
        correlation_id=correlation_id,
    )
