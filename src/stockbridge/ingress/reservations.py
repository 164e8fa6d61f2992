"""Promises: reserve, read, change, confirm, release."""

from typing import Literal

from stockbridge.contracts.base import Code, Number
from stockbridge.contracts.commands import (
    ChangeReservation,
    ConfirmReservation,
    ReleaseReservation,
    ReserveStock,
)
from stockbridge.domain.reservations.rules import internal_id
from stockbridge.ingress import answers
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.commands import own_channel, submit
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load
from stockbridge.views.explain import reservation_read

SQL = load(__package__)
WRITE = ("reservations:write",)
READ = ("reservations:write", "ops:read")
_ID_DIGITS_MAX = 15


class ReservationsQuery(PageQuery, frozen=True):
    """Promises of a channel, in a state, with a reference."""

    channel: Code | None = None
    state: Literal["held", "confirmed", "fulfilled", "released", "expired"] | None = None
    reference: Number | None = None


async def reserve(call: Call) -> Answer | Refusal:
    """Promise stock."""
    return own_channel(call, call.body.channel) or await submit(call)


async def get_reservation(call: Call) -> Answer | Refusal:
    """A promise and what is held for it."""
    barred = await _barred(call, call.path["reservation"])
    if barred is not None:
        return barred
    async with call.hub.pool.connection() as conn:
        found = await reservation_read(conn, call.path["reservation"])
    return found if isinstance(found, Refusal) else answer_json(found)


async def act(call: Call) -> Answer | Refusal:
    """Change, confirm or release."""
    return await _barred(call, call.body.reservation) or await submit(call)


async def list_reservations(call: Call) -> Answer | Refusal:
    """Promises, newest first; a bound key sees its own."""
    query, own = call.query, call.key.channels
    return await page(
        call,
        SQL.reservations_page,
        number=True,
        own=None if own is None else sorted(own),
        channel=query.channel,
        state=query.state,
        reference=query.reference,
    )


async def _barred(call: Call, public: str) -> Refusal | None:
    """404 for what is no reservation id, 403 for another channel's."""
    digits = public.removeprefix("rsv_")
    unknown = Refusal("unknown_reservation", f"there is no reservation {public}", 404)
    if (
        digits == public
        or not digits
        or len(digits) > _ID_DIGITS_MAX
        or digits.strip("0123456789abcdef")
    ):
        return unknown
    if call.key.channels is None:
        return None
    key = {"reservation_id": internal_id(public)}
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(SQL.reservation_channel, key)).fetchone()
    return unknown if row is None else own_channel(call, row[0])


_ONE = "/v1/reservations/{reservation}"
_ANSWER = {200: answers.Reservation}
_ID = ("reservation",)

ROUTES = (
    Route("POST", "/v1/reservations", reserve, "Promise stock to a channel", WRITE,
          {201: answers.Reservation}, body=ReserveStock, key_required=True, bound_keys=True,
          hot=True),
    Route("GET", "/v1/reservations", list_reservations, "Promises, newest first", READ,
          {200: Page[answers.ReservationSummary]}, query=ReservationsQuery, bound_keys=True),
    Route("GET", _ONE, get_reservation, "A promise", READ, _ANSWER, bound_keys=True),
    Route("PATCH", _ONE, act, "Change quantities or the time to live", WRITE, _ANSWER,
          body=ChangeReservation, path_fields=_ID, bound_keys=True,
          operation="change_reservation"),
    Route("POST", f"{_ONE}/confirm", act, "The promise becomes an order's", WRITE, _ANSWER,
          body=ConfirmReservation, path_fields=_ID, bound_keys=True,
          operation="confirm_reservation"),
    Route("POST", f"{_ONE}/release", act, "Give everything back", WRITE, _ANSWER,
          body=ReleaseReservation, path_fields=_ID, bound_keys=True,
          operation="release_reservation"),
)  # fmt: skip
