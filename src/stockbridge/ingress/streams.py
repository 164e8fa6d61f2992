"""`POST /v1/events/stream`: rows without end, read as they come and kept a group at a time.

Memory stays bounded: a group of rows is read, kept and forgotten before the next is read, so a
busy hub slows its sender down. A stream that broke off is sent again as a whole: what is kept
already is a duplicate.
"""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Shape
from stockbridge.contracts.events.decoding import Undecodable, plain
from stockbridge.contracts.rows import CSV, NDJSON, Row, contract_of, read_rows
from stockbridge.engine.inbox.model import Accepted, Envelope
from stockbridge.engine.inbox.rules import BODY_BYTES_MAX
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.events import enveloped
from stockbridge.ingress.events_cloud import structured
from stockbridge.ingress.events_taking import checked, keep, sender
from stockbridge.ingress.streams_lines import Line, lines
from stockbridge.ingress.wire import chunks, too_large
from stockbridge.kernel.errors import Refusal

STREAM_BYTES_MAX: Final = 1024**3
GROUP_ROWS: Final = 500
GROUP_BYTES: Final = 2 * 1024 * 1024
ERRORS_MAX: Final = 1_000
PATIENCE_SECONDS: Final = 30.0
"""How long a stream waits for a full inbox before it is answered 429."""


class StreamQuery(Shape, frozen=True):
    """Who sends the rows that do not say so themselves, where the key is not bound to a system."""

    source: Annotated[str, Meta(max_length=128)] | None = None


class RowRefused(msgspec.Struct):
    """A row that is not kept, counted from 1; a CSV header is no row."""

    row: int
    code: str
    detail: str


class StreamTaken(msgspec.Struct):
    """How many rows there were and what became of them; the first 1,000 bad ones by number."""

    rows: int = 0
    received: int = 0
    duplicate: int = 0
    conflict: int = 0
    refused: int = 0
    errors: list[RowRefused] = []

    def note(self, row: int, fate: Accepted | Refusal) -> None:
        """Count one row's fate."""
        if not isinstance(fate, Refusal):
            setattr(self, fate.status, getattr(self, fate.status) + 1)
            return
        self.refused += 1
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(RowRefused(row, fate.code, fate.detail))


async def report_stream(call: Call) -> Answer | Refusal:
    """Keep each row as a message; a bad row is told by its number and stops no other."""
    kind = plain(call.headers.get(b"content-type", b"").decode("latin-1"))
    system = await sender(call, call.query.source)
    taken = StreamTaken()
    header = b""
    try:
        async for group in _groups(lines(_limited(call), BODY_BYTES_MAX)):
            if kind == CSV and not header:
                header, group = group[0].text, group[1:]  # noqa: PLW2901 - its head is taken off
            found = [await _envelope(call, kind, header, line, system) for line in group]
            fates = await _keep_patiently(call, found)
            if isinstance(fates, Answer):
                return _broken_off(fates, taken)
            for fate in fates:
                taken.rows += 1
                taken.note(taken.rows, fate)
    except _TooLong:
        return too_large(STREAM_BYTES_MAX)
    return _told(taken)


class _TooLong(Exception):
    """The stream is longer than is taken."""


async def _limited(call: Call) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks(call.receive):
        size += len(chunk)
        if size > STREAM_BYTES_MAX:
            raise _TooLong
        yield chunk


async def _groups(rows: AsyncIterator[Line]) -> AsyncIterator[list[Line]]:
    """Rows in groups that are kept together; never an empty one."""
    group: list[Line] = []
    size = 0
    async for line in rows:
        group.append(line)
        size += len(line.text)
        if len(group) >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


async def _envelope(
    call: Call, kind: str, header: bytes, line: Line, system: str
) -> Envelope | Refusal:
    if line.is_cut:
        detail = f"the row is longer than {BODY_BYTES_MAX:,} bytes"
        return Refusal("row_too_large", detail, 413)
    body = b"%b\n%b" % (header, line.text) if kind == CSV else line.text
    rows = read_rows(kind, body)
    if isinstance(rows, Undecodable):
        return Refusal(rows.code, rows.detail)
    if len(rows) != 1:
        return Refusal("invalid_event", "the line is not one row")
    if "specversion" in rows[0]:
        event = structured(body)
        if isinstance(event, Refusal):
            return event
        return enveloped(call, event, "stream", await sender(call, event.source))
    return _row(call, kind, body, rows[0], system)


def _row(call: Call, kind: str, body: bytes, row: Row, system: str) -> Envelope | Refusal:
    contract = contract_of(row)
    if isinstance(contract, Undecodable):
        return Refusal(contract.code, contract.detail)
    sequence = row.get("sequence")
    envelope = Envelope(
        system=system,
        source_message_id=_identity(row, body),
        flow="",
        sequence=sequence if type(sequence) is int else None,
        correlation_id=call.correlation_id,
        causation_id=None,
        principal=call.key.key_id,
        door="stream",
        contract=contract,
        content_type=kind,
        body=body,
    )
    return checked(call, envelope)


def _identity(row: Row, body: bytes) -> str:
    """The row's id, else its content: the same row sent again is the same message."""
    own: Any = row.get("id")
    return str(own) if own is not None else f"row:{sha256(body).hexdigest()[:40]}"


async def _keep_patiently(
    call: Call, found: list[Envelope | Refusal]
) -> list[Accepted | Refusal] | Answer:
    """Keep the group; while the inbox is full nothing more is read of the stream."""
    waited = 0.0
    while True:
        fates = await keep(call, found)
        if not isinstance(fates, Answer) or waited >= PATIENCE_SECONDS:
            return fates
        await asyncio.sleep(0.1)
        waited += 0.1


def _broken_off(answer: Answer, taken: StreamTaken) -> Answer:
    detail = f"{taken.rows:,} rows are kept, the inbox is full; send the same stream again later"
    problem = Refusal("inbox_full", detail, 429).problem() | {"rows": taken.rows}
    headers = (*answer.headers, (b"connection", b"close"))
    return Answer(429, msgspec.json.encode(problem), answer.content_type, headers)


def _told(taken: StreamTaken) -> Answer | Refusal:
    if not taken.rows:
        return Refusal("no_rows", "the stream holds no row", 400)
    if taken.refused == taken.rows:
        first = taken.errors[0]
        errors = [
            {"index": error.row, "code": error.code, "detail": error.detail}
            for error in taken.errors
        ]
        detail = f"none of {taken.rows:,} rows could be kept; row {first.row}: {first.detail}"
        return Refusal("nothing_kept", detail, 400, errors)
    return answer_json(taken, 202)


ROUTES = (
    Route("POST", "/v1/events/stream", report_stream, "Report events as a stream of rows",
          ("events:write",), {202: StreamTaken}, query=StreamQuery, bound_keys=True,
          raw=(*NDJSON, CSV)),
)  # fmt: skip
