"""What operators see and do: ledger, exceptions, audit, keys."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from stockbridge.contracts.base import Code, Moment, Number, Positive, Shape, Sku, Text
from stockbridge.governance import exceptions, keys
from stockbridge.ingress import answers
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.paging import Page, PageQuery, decode_cursor, page, page_of
from stockbridge.kernel.errors import Misconfigured, Refusal
from stockbridge.store.sql import load
from stockbridge.views.explain import movements_page

GOVERNANCE_SQL = load("stockbridge.governance")
READ = ("ops:read",)
WRITE = ("ops:write",)
_ADMIN = (keys.ADMIN,)
_BIGINT_DIGITS_MAX = 18


class MovementsQuery(PageQuery, frozen=True):
    """Ledger entries of an item, at a location, of a document, of a request."""

    sku: Sku | None = None
    location: Code | None = None
    document: Number | None = None
    correlation_id: str | None = None


class ExceptionsQuery(PageQuery, frozen=True):
    """Open or resolved exceptions, of a kind, of a team."""

    open: bool | None = None
    kind: str | None = None
    owner_team: str | None = None


class AuditQuery(PageQuery, frozen=True):
    """Acts on a subject (`item/AB-1`), or of an actor."""

    subject: str | None = None
    actor: str | None = None


class AssignException(Shape, frozen=True):
    """The team that shall look at it."""

    owner_team: Code


class ResolveException(Shape, frozen=True):
    """How it was resolved."""

    resolution: Annotated[Text, Meta(min_length=1)]


class MakeKey(Shape, frozen=True):
    """A machine client; `channel` or `system` binds it to its own."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    scopes: Annotated[list[str], Meta(min_length=1, max_length=20)]
    channel: Code | None = None
    system: Code | None = None
    requests_per_minute: Positive = keys.REQUESTS_PER_MINUTE
    expires_at: Moment | None = None


class NoBody(Shape, frozen=True):
    """Nothing; an empty object is accepted."""


def _number(text: str) -> int | None:
    return (
        int(text) if text.isascii() and text.isdigit() and len(text) <= _BIGINT_DIGITS_MAX else None
    )


async def list_movements(call: Call) -> Answer | Refusal:
    """The ledger, newest first."""
    q = call.query
    after = decode_cursor(q.cursor, number=True)
    if isinstance(after, Refusal):
        return after
    async with call.hub.pool.connection() as conn:
        rows = await movements_page(
            conn, limit=q.limit + 1, before=after if isinstance(after, int) else None,
            sku=q.sku, location=q.location, document=q.document, correlation_id=q.correlation_id,
        )  # fmt: skip
    return page_of(rows, q.limit)


async def list_exceptions(call: Call) -> Answer | Refusal:
    """Exceptions, newest first."""
    q = call.query
    return await page(
        call, GOVERNANCE_SQL.exceptions_page, number=True,
        id=None, open=q.open, kind=q.kind, owner_team=q.owner_team,
    )  # fmt: skip


async def _exception(call: Call, exception_id: int | None) -> Answer | Refusal:
    unknown = Refusal("unknown_exception", f"no exception {call.path['exception']}", 404)
    if exception_id is None:
        return unknown
    values = {"after": None, "limit": 1, "open": None, "kind": None, "owner_team": None}
    async with call.hub.pool.connection() as conn:
        statement = GOVERNANCE_SQL.exceptions_page
        row = await (await conn.execute(statement, {**values, "id": exception_id})).fetchone()
    return Answer(200, row[1].encode()) if row else unknown


async def get_exception(call: Call) -> Answer | Refusal:
    """One exception."""
    return await _exception(call, _number(call.path["exception"]))


async def assign_exception(call: Call) -> Answer | Refusal:
    """Give an exception to a team."""
    exception_id = _number(call.path["exception"])
    async with call.hub.pool.connection() as conn:
        refusal = exception_id and await exceptions.assign(
            conn, exception_id, call.body.owner_team,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    return refusal or await _exception(call, exception_id)


async def resolve_exception(call: Call) -> Answer | Refusal:
    """Close an exception."""
    exception_id = _number(call.path["exception"])
    async with call.hub.pool.connection() as conn:
        refusal = exception_id and await exceptions.resolve(
            conn, exception_id, call.body.resolution,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    return refusal or await _exception(call, exception_id)


async def list_audit(call: Call) -> Answer | Refusal:
    """Administrative acts, newest first."""
    q = call.query
    return await page(
        call, GOVERNANCE_SQL.audit_page, number=True, subject=q.subject, actor=q.actor
    )


async def list_keys(call: Call) -> Answer | Refusal:
    """API keys without their secrets."""
    return await page(call, GOVERNANCE_SQL.keys_page, number=False)


async def make_key(call: Call) -> Answer | Refusal:
    """Make an API key; its token is shown this once."""
    body: MakeKey = call.body
    expires_at: datetime | None = body.expires_at
    async with call.hub.pool.connection() as conn:
        try:
            made = await keys.create(
                conn, body.name, body.scopes,
                actor=call.key.key_id, channel=body.channel, system=body.system,
                requests_per_minute=body.requests_per_minute, expires_at=expires_at,
                correlation_id=call.correlation_id,
            )  # fmt: skip
        except Misconfigured as error:
            return Refusal("unknown_scope", str(error))
    if isinstance(made, Refusal):
        return made
    await call.hub.keyring.refresh()
    key, token = made
    return answer_json(answers.KeyMade(key.key_id, token, sorted(key.scopes)), 201)


async def revoke_key(call: Call) -> Answer | Refusal:
    """End an API key, in every process."""
    key_id = call.path["key"]
    async with call.hub.pool.connection() as conn:
        refusal = await keys.revoke(
            conn, key_id, actor=call.key.key_id, correlation_id=call.correlation_id
        )
    await call.hub.keyring.refresh()
    return refusal or answer_json(answers.KeyRevoked(key_id, revoked=True))


_EXCEPTION = {200: answers.ExceptionCase}

ROUTES = (
    Route("GET", "/v1/movements", list_movements, "The ledger, newest first", READ,
          {200: Page[answers.Movement]}, query=MovementsQuery),
    Route("GET", "/v1/exceptions", list_exceptions, "What people must look at", READ,
          {200: Page[answers.ExceptionCase]}, query=ExceptionsQuery),
    Route("GET", "/v1/exceptions/{exception}", get_exception, "One exception", READ, _EXCEPTION),
    Route("POST", "/v1/exceptions/{exception}/assign", assign_exception, "Give it to a team",
          WRITE, _EXCEPTION, body=AssignException),
    Route("POST", "/v1/exceptions/{exception}/resolve", resolve_exception, "Close it, saying how",
          WRITE, _EXCEPTION, body=ResolveException),
    Route("GET", "/v1/audit", list_audit, "Administrative acts, newest first", READ,
          {200: Page[answers.AuditRow]}, query=AuditQuery),
    Route("GET", "/v1/keys", list_keys, "API keys", _ADMIN, {200: Page[answers.Key]},
          query=PageQuery),
    Route("POST", "/v1/keys", make_key, "Make an API key", _ADMIN, {201: answers.KeyMade},
          body=MakeKey),
    Route("POST", "/v1/keys/{key}/revoke", revoke_key, "End an API key", _ADMIN,
          {200: answers.KeyRevoked}, body=NoBody),
)  # fmt: skip
