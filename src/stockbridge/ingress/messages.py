"""What came in: messages from their bytes to their movements, retries, replays, flows."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import LINES_MAX, Code, Moment, NotNegative, Positive, Shape, Text
from stockbridge.engine.inbox import reading, replay
from stockbridge.engine.inbox.model import Flow
from stockbridge.governance.keys import ADMIN
from stockbridge.ingress.answers import MovementDocument
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.operations import READ, WRITE, NoBody
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load("stockbridge.engine.inbox")
_DIGITS_MAX = 18
_MASTERS = ("master:write", ADMIN)

Status = Literal["received", "applied", "duplicate", "parked", "rejected", "dead"]
MessageId = Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")]
Name = Annotated[str, Meta(min_length=1, max_length=512)]


class MessagesQuery(PageQuery, frozen=True, kw_only=True):
    """Messages of a status, a system, a contract, a correlation; received from, before."""

    status: Status | None = None
    system: Name | None = None
    contract: Name | None = None
    correlation_id: Name | None = None
    since: Moment | None = msgspec.field(name="from", default=None)
    until: Moment | None = msgspec.field(name="to", default=None)


class ReplayMessages(Shape, frozen=True, kw_only=True):
    """Which messages to apply again: all given conditions hold, at least one must be given.

    Applied ones only with `force`; what was booked before moves nothing. `dry_run` shows what
    would be booked and keeps nothing.
    """

    ids: Annotated[list[MessageId], Meta(min_length=1, max_length=LINES_MAX)] | None = None
    status: Status | None = None
    system: Name | None = None
    contract: Name | None = None
    correlation_id: Name | None = None
    since: Moment | None = msgspec.field(name="from", default=None)
    until: Moment | None = msgspec.field(name="to", default=None)
    force: bool = False
    dry_run: bool = False


class DiscardMessage(Shape, frozen=True):
    """Why it will not be applied."""

    reason: Annotated[Text, Meta(min_length=1)]


class PutFlow(Shape, frozen=True, kw_only=True):
    """How patient a flow is; a strict one waits for missing numbers, for a bounded time."""

    code: Code
    flow: Annotated[str, Meta(min_length=1, max_length=128)]
    is_strict: bool = False
    wait_seconds_max: Positive = Flow().wait_seconds_max
    park_seconds_max: Positive = Flow().park_seconds_max
    owner_team: Code = Flow().owner_team


class SequenceQuery(Shape, frozen=True):
    """The sources of one system, or of all."""

    system: Name | None = None


class MessageSummary(msgspec.Struct):
    """A message in a list."""

    id: str
    received_at: datetime
    system: str
    source_message_id: str
    flow: str
    sequence: int | None
    contract: str
    door: str
    status: Status
    reason_code: str | None
    reason: str | None
    attempts: int
    settled_at: datetime | None
    bytes: int
    correlation_id: str
    causation_id: str | None


class Part(msgspec.Struct):
    """A command that the message asks for."""

    command: str
    body: dict[str, Any]


class Unreadable(msgspec.Struct):
    """Why the bytes say nothing we can book."""

    code: str
    detail: str


class MessageMovement(msgspec.Struct):
    """A ledger entry that a message made, or would make."""

    kind: str
    sku: str
    location: str
    giver: str = msgspec.field(name="from")
    taker: str = msgspec.field(name="to")
    quantity: int
    occurred_at: datetime
    document: MovementDocument
    movement_id: str | None = None
    message_id: str | None = None


class Message(msgspec.Struct):
    """A message: its envelope, its bytes as `text` or `base64`, what they say and moved."""

    id: str
    received_at: datetime
    system: str
    source_message_id: str
    flow: str
    sequence: int | None
    contract: str
    door: str
    principal: str
    status: Status
    reason_code: str | None
    reason: str | None
    attempts: int
    settled_at: datetime | None
    times_seen: int
    waits_for: list[str]
    correlation_id: str
    causation_id: str | None
    content_type: str
    content_sha256: str
    text: str | None
    base64: str | None
    decoded: list[Part] | None
    undecodable: Unreadable | None
    movements: list[MessageMovement]


class Replayed(msgspec.Struct):
    """How many messages are applied again."""

    messages: int


class Difference(msgspec.Struct):
    """What a replay would do: messages by outcome, and what it would book.

    `complete` is false when there are more messages than a dry run looks at.
    """

    messages: int
    outcomes: dict[str, int]
    movements: list[MessageMovement]
    complete: bool


class Sequence(msgspec.Struct):
    """The numbers of a source: `gaps` are [first, last] missing ones inside the span."""

    system: str
    flow: str
    first: int
    newest: int
    gaps: list[list[int]]
    missing: NotNegative
    late: int
    repeated: int
    newest_at: datetime
    parked_behind: int
    is_strict: bool


class Sequences(msgspec.Struct):
    """Every source that numbers its messages."""

    items: list[Sequence]


class FlowState(msgspec.Struct):
    """How patient a flow is."""

    system: str
    flow: str
    is_strict: bool
    wait_seconds_max: int
    park_seconds_max: int
    owner_team: str


class Flows(msgspec.Struct):
    """Flows that have a rule or number their messages; others have the defaults."""

    items: list[FlowState]


async def list_messages(call: Call) -> Answer | Refusal:
    """Messages, newest first."""
    q = call.query
    filters = {"from": q.since, "to": q.until}
    return await page(
        call, SQL.messages_page, number=True, status=q.status, system=q.system,
        contract=q.contract, correlation_id=q.correlation_id, **filters,
    )  # fmt: skip


def _number(call: Call) -> int | Refusal:
    text = call.path["message"]
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX:
        return int(text)
    return replay.unknown_message(text[:80])


async def get_message(call: Call) -> Answer | Refusal:
    """One message."""
    message_id = _number(call)
    if isinstance(message_id, Refusal):
        return message_id
    async with call.hub.pool.connection() as conn:
        found = await reading.message_document(conn, message_id, call.hub.contracts.decode)
    return found if isinstance(found, Refusal) else answer_json(found)


async def _again(call: Call, *, force: bool) -> Answer | Refusal:
    message_id = _number(call)
    if isinstance(message_id, Refusal):
        return message_id
    selection = replay.Selection(ids=(message_id,), force=force)
    async with call.hub.pool.connection() as conn:
        count = await replay.replay(
            conn, selection, actor=call.key.key_id, correlation_id=call.correlation_id
        )
        if count == 0:
            return await replay.why_not(conn, message_id)
    return count if isinstance(count, Refusal) else answer_json(Replayed(count), 202)


async def retry_message(call: Call) -> Answer | Refusal:
    """Apply a message again that was not applied."""
    return await _again(call, force=False)


async def replay_message(call: Call) -> Answer | Refusal:
    """Apply a message again, even one that was applied."""
    return await _again(call, force=True)


async def discard_message(call: Call) -> Answer | Refusal:
    """Give a message up."""
    message_id = _number(call)
    if isinstance(message_id, Refusal):
        return message_id
    async with call.hub.pool.connection() as conn:
        refusal = await replay.discard(
            conn, message_id, call.body.reason,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    return refusal or await get_message(call)


async def replay_messages(call: Call) -> Answer | Refusal:
    """Apply messages again, or show what that would book."""
    body: ReplayMessages = call.body
    selection = replay.Selection(
        ids=None if body.ids is None else tuple(map(int, body.ids)),
        status=body.status, system=body.system, contract=body.contract,
        correlation_id=body.correlation_id, since=body.since, until=body.until, force=body.force,
    )  # fmt: skip
    async with call.hub.pool.connection() as conn:
        if not body.dry_run:
            count = await replay.replay(
                conn, selection, actor=call.key.key_id, correlation_id=call.correlation_id
            )
            return count if isinstance(count, Refusal) else answer_json(Replayed(count), 202)
        found = await replay.dry_run(conn, call.hub.contracts.decode, selection)
    if isinstance(found, Refusal):
        return found
    document = {"messages": found.messages, "outcomes": found.outcomes}
    return answer_json(document | {"movements": found.movements, "complete": found.is_complete})


async def out_of_sequence(call: Call) -> Answer | Refusal:
    """Gaps, late and repeated numbers of each source."""
    async with call.hub.pool.connection() as conn:
        return answer_json({"items": await reading.out_of_sequence(conn, call.query.system)})


async def list_flows(call: Call) -> Answer | Refusal:
    """Flows and how patient they are."""
    async with call.hub.pool.connection() as conn:
        return answer_json({"items": await reading.flows(conn)})


async def put_flow(call: Call) -> Answer | Refusal:
    """Set how patient a flow is."""
    body: PutFlow = call.body
    patience = Flow(body.is_strict, body.wait_seconds_max, body.park_seconds_max, body.owner_team)
    async with call.hub.pool.connection() as conn:
        refusal = await reading.put_flow(
            conn, body.code, body.flow, patience,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    return refusal or answer_json({"system": body.code, "flow": body.flow, **patience._asdict()})


_ONE = "/v1/messages/{message}"

ROUTES = (
    Route("GET", "/v1/messages", list_messages, "What came in, newest first", READ,
          {200: Page[MessageSummary]}, query=MessagesQuery),
    Route("GET", _ONE, get_message, "A message from its bytes to its movements", READ,
          {200: Message}),
    Route("POST", f"{_ONE}/retry", retry_message, "Apply it again if it was not applied", WRITE,
          {202: Replayed}, body=NoBody),
    Route("POST", f"{_ONE}/replay", replay_message, "Apply it again in any case", WRITE,
          {202: Replayed}, body=NoBody),
    Route("POST", f"{_ONE}/discard", discard_message, "Give it up, saying why", WRITE,
          {200: Message}, body=DiscardMessage),
    Route("POST", "/v1/messages/replay", replay_messages,
          "Apply messages again, or show what that would book", WRITE,
          {202: Replayed, 200: Difference}, body=ReplayMessages),
    Route("GET", "/v1/questions/out-of-sequence", out_of_sequence,
          "Which messages arrive out of sequence", READ, {200: Sequences}, query=SequenceQuery),
    Route("GET", "/v1/flows", list_flows, "Flows and how patient they are", READ, {200: Flows}),
    Route("PUT", "/v1/systems/{code}/flows/{flow}", put_flow, "Set how patient a flow is",
          _MASTERS, {200: FlowState}, body=PutFlow, path_fields=("code", "flow")),
)  # fmt: skip
