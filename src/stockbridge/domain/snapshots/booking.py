"""Books a compared report: anchors where it agrees, counts where it differs, cases for the rest.

A count anchors its state: what occurred before it is inside it, however late it is reported. Where
an authoritative report agrees with the ledger there is nothing to move, but its word anchors the
state all the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec
from psycopg import AsyncConnection

from stockbridge.domain.snapshots.model import ACCOUNT_STATES, Difference, Place
from stockbridge.domain.snapshots.rules import (
    COUNT_LINES_MAX,
    count_of,
    drift_cases,
    drift_subject,
    refused_rows,
)
from stockbridge.domain.world.command import Command
from stockbridge.domain.world.model import ExceptionCase
from stockbridge.governance import exceptions
from stockbridge.kernel.accounts import AVAILABLE
from stockbridge.kernel.errors import Retry
from stockbridge.store.arrays import ints, texts
from stockbridge.store.sql import load

SQL = load(__package__)
LEDGER_SQL = load("stockbridge.domain.ledger")
MASTERS_SQL = load("stockbridge.domain.masters")
GOVERNANCE_SQL = load("stockbridge.governance")
ANCHORS_MAX: Final = 5_000
_REFUSED: Final = 422
_FIRST_ERROR: Final = 400
Conn = AsyncConnection[Any]


class Answered(Protocol):
    """The engine's outcome of a command."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


Submit = Callable[[Command], Awaitable[Answered]]
"""`Engine.submit`."""


class Booking:
    """One report being booked; safe to begin again from the start at any point."""

    def __init__(self, conn: Conn, submit: Submit, snapshot_id: int, head: Sequence[Any]) -> None:
        self._conn = conn
        self._submit = submit
        self._own = {"snapshot_id": snapshot_id}
        self._snapshot_id = snapshot_id
        self._system, self._number, self._cutoff_at, *_ = head
        self._correlation_id, self._principal = head[5:7]

    async def run(self) -> None:
        """Anchor, count, and tell what is left; raises Retry when the engine cannot now."""
        await self._anchor()
        for location_id, code in await self._rows(SQL.places_to_book, self._own):
            await self._count(location_id, code)
        await self._settle()

    async def _rows(self, statement: bytes, values: dict[str, Any]) -> list[Any]:
        return await (await self._conn.execute(statement, values)).fetchall()

    async def _anchor(self) -> None:
        last = 0
        while True:
            asked = self._own | {"after": last, "limit": ANCHORS_MAX}
            following, items = (await self._rows(SQL.unchanged_rows, asked))[0]
            if following is None:
                return
            span = self._own | {"first": last + 1, "last": following}
            span["cutoff_at"] = self._cutoff_at
            async with self._conn.transaction():
                await self._conn.execute(MASTERS_SQL.lock_items, {"items": items})
                for row in await self._rows(SQL.still_unchanged, span):
                    await self._put_anchors(*row)
                await self._conn.execute(SQL.mark_moved, span)
            last = following

    async def _put_anchors(
        self, account: int, items: str, locations: str, accounts: str, moments: str
    ) -> None:
        values = {"items": items, "locations": locations, "moments": moments}
        if account == AVAILABLE:
            await self._conn.execute(LEDGER_SQL.set_available_anchors, values)
        else:
            await self._conn.execute(LEDGER_SQL.set_anchors, values | {"accounts": accounts})

    async def _count(self, location_id: int, code: str) -> None:
        after = 0
        asked = self._own | {"location_id": location_id, "limit": COUNT_LINES_MAX}
        while found := await self._rows(SQL.rows_to_book, asked | {"after": after}):
            rows = [Difference(row[0], row[1], ACCOUNT_STATES[row[2]], row[3]) for row in found]
            after = rows[-1].row_number
            await self._count_rows(code, rows)

    async def _count_rows(self, code: str, rows: list[Difference]) -> None:
        """Count rows in one command; rows it refuses are marked, the others tried again."""
        while rows:
            outcome = await self._submit(self._command(code, rows))
            if outcome.status == _REFUSED:
                rows, refused = refused_rows(rows, msgspec.json.decode(outcome.body))
                reasons = texts([reason for _, reason in refused])
                values = {"rows": ints(number for number, _ in refused), "reasons": reasons}
                await self._conn.execute(SQL.mark_refused, self._own | values)
                continue
            if outcome.status >= _FIRST_ERROR:
                detail = outcome.body.decode()[:200]
                raise Retry(f"snapshot {self._snapshot_id} cannot be booked now: {detail}", 5)
            counted = {"rows": ints(row.row_number for row in rows)}
            await self._conn.execute(SQL.mark_counted, self._own | counted)
            return

    def _command(self, code: str, rows: list[Difference]) -> Command:
        body = count_of(self._snapshot_id, code, self._system, self._cutoff_at, rows)
        return Command(body, self._principal, correlation_id=self._correlation_id)

    async def _settle(self) -> None:
        async with self._conn.transaction():
            settled = await self._rows(SQL.settle_places, self._own)
            places = [Place(*row) for row in settled if row[1]]
            cases = drift_cases(
                self._snapshot_id, self._system, self._number, self._correlation_id, places
            )
            await open_cases(self._conn, cases)
            closed = [(self._snapshot_id, row[0]) for row in settled if not row[1]]
            await close_cases(self._conn, closed, "booked as counts", self._correlation_id)
            await self._conn.execute(SQL.settle_snapshot, self._own)


async def open_cases(conn: Conn, cases: Sequence[ExceptionCase]) -> None:
    """Show them to their owners."""
    if not cases:
        return
    kinds, subjects, severities, teams, causes, actions, correlations = zip(*cases, strict=True)
    values = {
        "kinds": texts(kinds),
        "subjects": texts(subjects),
        "severities": ints(severities),
        "owner_teams": texts(teams),
        "causes": texts(causes),
        "actions": texts(actions),
        "correlation_ids": texts(correlations),
        "now": datetime.now(UTC),
    }
    await conn.execute(GOVERNANCE_SQL.open_exceptions, values)


async def close_cases(
    conn: Conn, drifts: Sequence[tuple[int, str]], resolution: str, correlation_id: str
) -> None:
    """Resolve the open cases about the drift of (snapshot, location)."""
    subjects = [drift_subject(snapshot_id, code) for snapshot_id, code in drifts]
    rows = await (await conn.execute(SQL.open_drift, {"subjects": texts(subjects)})).fetchall()
    for (exception_id,) in rows:
        await exceptions.resolve(
            conn, exception_id, resolution, actor="snapshots", correlation_id=correlation_id
        )


async def accept(conn: Conn, snapshot_id: int, codes: Sequence[str]) -> list[str]:
    """Accept what a report left open; the locations concerned, none if nothing is open.

    The counts are booked by the work on the report, which the caller begins.
    """
    values = {"snapshot_id": snapshot_id, "codes": texts(codes)}
    async with conn.transaction():
        rows = await (await conn.execute(SQL.accept_places, values)).fetchall()
        if rows:
            await conn.execute(SQL.reopen_snapshot, {"snapshot_id": snapshot_id})
    return [row[0] for row in rows]
