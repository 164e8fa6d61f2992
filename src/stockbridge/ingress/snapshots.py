"""Stock reports of partners: taken in as a stream, compared in the background, accepted later."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
import psycopg
import structlog
from msgspec import Meta

from stockbridge.contracts.base import Code, Moment, Number, Shape
from stockbridge.domain.ledger.facts import FUTURE_MAX
from stockbridge.domain.snapshots.booking import accept
from stockbridge.domain.snapshots.intake import DOCUMENT_BYTES_MAX, Taken, take_in
from stockbridge.domain.snapshots.model import Format, Head, Meaning, Outcome, ReportDocument
from stockbridge.domain.snapshots.work import work_on
from stockbridge.governance import audit
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.ingress.wire import chunks, read_body
from stockbridge.kernel.errors import Misconfigured, Refusal, Retry
from stockbridge.store.sql import load

SQL = load("stockbridge.domain.snapshots")
LOG = structlog.get_logger(__name__)
_FORMATS: Final[dict[str, Format]] = {
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
    "application/json": "json",
}
_WRITE = ("events:write",)
_READ = ("ops:read", "events:write")
_ID_DIGITS_MAX = 18


class SnapshotQuery(Shape, frozen=True):
    """Whose report this is, its number, and the moment whose stock it tells.

    A JSON document may say the first three itself. `sequence` is the system's own numbering of its
    reports. `meaning` is what its available figure means: `on_hand` counts everything in the
    building, `available_net_of_promises` is what is left after our open reservations.
    `authoritative`: where the system is the location's authority, differences become counts.
    """

    system: Code | None = None
    number: Number | None = None
    cutoff_at: Moment | None = None
    sequence: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    authoritative: bool = False
    meaning: Meaning = "available"


class SnapshotsQuery(PageQuery, frozen=True):
    """Reports of a system, in a state."""

    system: Code | None = None
    state: str | None = None


class RowsQuery(PageQuery, frozen=True):
    """Rows with an outcome."""

    outcome: Outcome | None = None


class AcceptSnapshot(Shape, frozen=True):
    """Which locations' differences to accept; all when none is named."""

    locations: Annotated[list[Code], Meta(max_length=1_000)] = []


class SnapshotAccepted(msgspec.Struct):
    """The report is kept; `job` tells how it goes."""

    snapshot: int
    job: str


class SnapshotPlace(msgspec.Struct):
    """A location of a report; `drift` is open until it is accepted or superseded."""

    location: str
    authoritative: bool
    state: str
    rows_drift: int
    units_drift: int


class SnapshotSummary(msgspec.Struct, kw_only=True):
    """A report in a list."""

    snapshot: int
    system: str
    number: str
    cutoff_at: datetime
    sequence: int | None
    meaning: str
    authoritative: bool
    state: str
    rows: int
    rows_unchanged: int
    rows_different: int
    rows_bad: int
    received_at: datetime
    settled_at: datetime | None
    correlation_id: str


class Snapshot(SnapshotSummary, kw_only=True):
    """A report; `outcomes` counts the rows that are not plainly unchanged."""

    format: str
    bytes: int
    detail: str
    compared_at: datetime | None
    principal: str
    outcomes: dict[str, int]
    locations: list[SnapshotPlace]


class SnapshotRow(msgspec.Struct):
    """A reported figure: `stated` at the cut-off, `rebased` to now, `booked` is what we had."""

    row: int
    item: str | None
    sku: str | None
    location: str | None
    state: str | None
    quantity: int | None
    stated: int | None
    rebased: int | None
    booked: int | None
    outcome: str
    reason: str | None


async def report_snapshot(call: Call) -> Answer | Refusal:
    """Keep the report as it came, then compare it with the ledger in the background."""
    kind = call.headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode()
    form = _FORMATS[kind]
    body: AsyncIterator[bytes] = chunks(call.receive)
    document: ReportDocument | None = None
    if form == "json":
        raw = await read_body(call, DOCUMENT_BYTES_MAX)
        if isinstance(raw, Refusal):
            return raw
        decoded = _document(raw)
        if isinstance(decoded, Refusal):
            return decoded
        document = decoded
        body = _once(raw)
    head = await _head(call, form, document)
    if isinstance(head, Refusal):
        return head
    taken = await take_in(call.hub.pool, head, body)
    if isinstance(taken, Refusal):
        return taken
    if taken.is_new:
        _work(call, taken.snapshot_id)
    return _accepted(taken)


async def _once(raw: bytes) -> AsyncIterator[bytes]:
    yield raw


def _document(raw: bytes) -> ReportDocument | Refusal:
    try:
        return msgspec.json.decode(raw, type=ReportDocument)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"not the document of a report: {error}"
        return Refusal("malformed_json", detail, 400)


async def _head(call: Call, form: Format, document: ReportDocument | None) -> Head | Refusal:
    query, key = call.query, call.key
    found: dict[str, Any] = {}
    for name in ("system", "number", "cutoff_at"):
        asked, said = getattr(query, name), getattr(document, name, None)
        if asked is not None and said is not None and asked != said:
            return Refusal("invalid_request", f"{name}: the address and the document differ", 422)
        found[name] = said if asked is None else asked
    found["system"] = found["system"] or key.system
    missing = [name for name, value in found.items() if value is None]
    if missing:
        return Refusal("invalid_request", f"say {', '.join(missing)} in the address", 422)
    if found["cutoff_at"] > datetime.now(UTC) + FUTURE_MAX:
        detail = f"cutoff_at {found['cutoff_at']} is more than a day ahead of our clock"
        return Refusal("occurred_in_future", detail, 422)
    refusal = await _own_system(call, found["system"])
    if refusal is not None:
        return refusal
    return Head(
        **found,
        sequence=query.sequence,
        meaning=query.meaning,
        is_authoritative=query.authoritative,
        format=form,
        principal=key.key_id,
        correlation_id=call.correlation_id,
    )


async def _own_system(call: Call, system: str) -> Refusal | None:
    """Refuse a system that the caller's binding does not include, or that nobody knows."""
    refusal = _foreign(call, system)
    if refusal is not None:
        return refusal
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(SQL.system_exists, {"system": system})).fetchone()
    if row is None:
        detail = f"system {system} is not known; make it with PUT /v1/systems/{system}"
        return Refusal("unknown_system", detail, 422)
    return None


def _foreign(call: Call, system: str) -> Refusal | None:
    key = call.key
    if not key.bound or system == key.system:
        return None
    bound = key.channel or key.system
    detail = f"key {key.key_id} is bound to {bound}, not to {system or 'a system'}"
    return Refusal("system_forbidden", detail, 403)


def _accepted(taken: Taken) -> Answer:
    job = f"/v1/snapshots/{taken.snapshot_id}"
    answer = answer_json(SnapshotAccepted(taken.snapshot_id, job), 202 if taken.is_new else 200)
    return answer._replace(headers=((b"location", job.encode()),))


def _work(call: Call, snapshot_id: int) -> None:
    task = asyncio.create_task(_work_safely(call, snapshot_id), name=f"snapshot {snapshot_id}")
    call.hub.tasks.add(task)
    task.add_done_callback(call.hub.tasks.discard)


async def _work_safely(call: Call, snapshot_id: int) -> None:
    try:
        await work_on(call.hub.dsn, call.hub.engine.submit, snapshot_id)
    except (psycopg.Error, Misconfigured, Retry) as error:
        # Its state says that work is left; the timer takes it up again.
        LOG.warning("snapshot: cannot go on now", snapshot=snapshot_id, cause=str(error))


async def list_snapshots(call: Call) -> Answer | Refusal:
    """Reports, newest first; a key bound to a system sees its own."""
    query, system = call.query, call.query.system
    if call.key.bound:
        system = system or call.key.system or ""
        refusal = _foreign(call, system)
        if refusal is not None:
            return refusal
    return await page(call, SQL.snapshots_page, number=True, system=system, state=query.state)


async def get_snapshot(call: Call) -> Answer | Refusal:
    """A report: how far it is, and what it says of each location."""
    found = await _snapshot(call)
    return found if isinstance(found, Refusal) else answer_json(found)


async def _snapshot(call: Call) -> dict[str, Any] | Refusal:
    """The report that the address names, if the caller may see it."""
    text = call.path["id"]
    if text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX:
        values = {"snapshot_id": int(text)}
        async with call.hub.pool.connection() as conn:
            row = await (await conn.execute(SQL.snapshot_document, values)).fetchone()
        if row is not None and (not call.key.bound or row[0]["system"] == call.key.system):
            document: dict[str, Any] = row[0]
            return document
    return Refusal("unknown_snapshot", f"there is no snapshot {text}", 404)


async def list_snapshot_rows(call: Call) -> Answer | Refusal:
    """What became of each row, in the order of the report."""
    found = await _snapshot(call)
    if isinstance(found, Refusal):
        return found
    return await page(
        call, SQL.rows_page, number=True, snapshot_id=found["snapshot"], outcome=call.query.outcome
    )


async def accept_snapshot(call: Call) -> Answer | Refusal:
    """Book the open differences as counts of the cut-off; refused when a newer report is here."""
    found = await _snapshot(call)
    if isinstance(found, Refusal):
        return found
    snapshot_id = found["snapshot"]
    async with call.hub.pool.connection() as conn, conn.transaction():
        codes = await accept(conn, snapshot_id, call.body.locations)
        if codes:
            detail = {"locations": codes}
            subject = f"snapshot/{snapshot_id}"
            await audit.record(
                conn, call.key.key_id, "snapshot.accept", subject, detail, call.correlation_id
            )
    if not codes:
        return _nothing_open(found)
    _work(call, snapshot_id)
    return _accepted(Taken(snapshot_id, is_new=True))


def _nothing_open(found: dict[str, Any]) -> Refusal:
    states = {place["state"] for place in found["locations"]}
    if "superseded" in states and not states & {"settled", "booking"}:
        detail = f"snapshot {found['snapshot']} is superseded by a newer one of {found['system']}"
        return Refusal("snapshot_superseded", detail, 409)
    detail = f"snapshot {found['snapshot']} ({found['state']}) has no open differences there"
    return Refusal("nothing_to_accept", detail, 409)


ROUTES = (
    Route("POST", "/v1/snapshots", report_snapshot, "A partner's stock report", _WRITE,
          {202: SnapshotAccepted, 200: SnapshotAccepted}, query=SnapshotQuery, bound_keys=True,
          raw=tuple(_FORMATS)),
    Route("GET", "/v1/snapshots", list_snapshots, "Stock reports, newest first", _READ,
          {200: Page[SnapshotSummary]}, query=SnapshotsQuery, bound_keys=True),
    Route("GET", "/v1/snapshots/{id}", get_snapshot, "A stock report", _READ,
          {200: Snapshot}, bound_keys=True),
    Route("GET", "/v1/snapshots/{id}/rows", list_snapshot_rows, "What became of its rows", _READ,
          {200: Page[SnapshotRow]}, query=RowsQuery, bound_keys=True),
    Route("POST", "/v1/snapshots/{id}/accept", accept_snapshot, "Book its open differences",
          ("ops:write",), {202: SnapshotAccepted}, body=AcceptSnapshot),
)  # fmt: skip
