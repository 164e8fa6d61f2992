"""Which rules decide which command. Adding a batched command is one line here."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from stockbridge.contracts import commands as c
from stockbridge.contracts import orders as o
from stockbridge.contracts.events.decoding import Unreadable
from stockbridge.domain.fulfilment import handlers as fulfilment
from stockbridge.domain.ledger import handlers as ledger
from stockbridge.domain.ledger import reversal
from stockbridge.domain.ledger.facts import FactSpec, decide_fact, fact_names, fact_rows
from stockbridge.domain.masters.model import Catalog
from stockbridge.domain.orders import handlers as orders
from stockbridge.domain.reservations import handlers as reservations
from stockbridge.domain.world.command import Command, Decision
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.world import World
from stockbridge.kernel.errors import Refusal


class Handler(NamedTuple):
    """`names` collects what to look up, `rows` what to lock and read, `decide` is the rule."""

    names: Callable[[Any, Needs], None]
    rows: Callable[[Any, Catalog, Needs], None]
    decide: Callable[[Command, World], Decision]


def _fact(spec: FactSpec) -> Handler:
    return Handler(partial(fact_names, spec), partial(fact_rows, spec), partial(decide_fact, spec))


def _on_reservation(decide: Callable[[Command, World], Decision]) -> Handler:
    return Handler(reservations.reservation_names, reservations.reservation_rows, decide)


def _on_order(decide: Callable[[Command, World], Decision]) -> Handler:
    return Handler(orders.named_names, orders.order_rows, decide)


SPECS: dict[type, FactSpec] = {
    c.ReportCount: ledger.COUNT_SPEC,
    c.AdjustStock: ledger.ADJUST_SPEC,
    c.MoveState: ledger.STATE_SPEC,
    c.RecordSupply: ledger.SUPPLY_SPEC,
    c.ReportReceipt: fulfilment.RECEIPT_SPEC,
    c.ReportShipment: fulfilment.SHIPMENT_SPEC,
    c.ReportTransfer: fulfilment.TRANSFER_SPEC,
    c.ReportReturn: fulfilment.RETURN_SPEC,
}
"""Facts, each with what makes its kind."""


def _nothing_named(_body: Any, _needs: Needs) -> None:
    """A part of a message that cannot be read names nothing."""


def _no_rows(_body: Any, _catalog: Catalog, _needs: Needs) -> None:
    """It needs no rows either."""


def _refuse_unreadable(command: Command, _world: World) -> Decision:
    """Say of the part of a message that it could not be read, and what it waits for."""
    part: Unreadable = command.body
    errors = [{"missing": part.missing}] if part.missing else []
    return Refusal(part.code, part.detail, errors=errors)


def _spec_of(body: Any) -> FactSpec:
    return SPECS[type(body)]


HANDLERS: dict[type, Handler] = {
    **{kind: _fact(spec) for kind, spec in SPECS.items()},
    c.ReverseFact: Handler(
        partial(reversal.reversal_names, _spec_of),
        partial(reversal.reversal_rows, _spec_of),
        partial(reversal.decide_reversal, _spec_of),
    ),
    c.ReserveStock: Handler(
        reservations.reserve_names, reservations.reserve_rows, reservations.decide_reserve
    ),
    c.ConfirmReservation: _on_reservation(reservations.decide_confirm),
    c.ReleaseReservation: _on_reservation(reservations.decide_release),
    c.ChangeReservation: _on_reservation(reservations.decide_change),
    c.ExpireReservations: Handler(
        reservations.expire_names, reservations.reservation_rows, reservations.decide_expire
    ),
    c.SetFences: Handler(
        reservations.fence_names, reservations.fence_rows, reservations.decide_fences
    ),
    o.PlaceOrder: Handler(orders.place_names, orders.place_rows, orders.decide_place),
    o.EditOrder: _on_order(orders.decide_edit),
    o.CancelOrder: _on_order(orders.decide_cancel),
    o.HoldOrder: _on_order(orders.decide_hold),
    o.ResumeOrder: _on_order(orders.decide_hold),
    o.ReleaseOrder: _on_order(orders.decide_release),
    o.AnswerOrder: _on_order(orders.decide_answer),
    o.FillOrders: Handler(orders.fill_names, orders.order_rows, orders.decide_fill),
    c.SetSafetyStock: Handler(ledger.safety_names, ledger.safety_rows, ledger.decide_safety),
    Unreadable: Handler(_nothing_named, _no_rows, _refuse_unreadable),
}

FACTS = frozenset(
    {
        c.ReportCount,
        c.AdjustStock,
        c.MoveState,
        c.RecordSupply,
        c.ReportReceipt,
        c.ReportShipment,
        c.ReportTransfer,
        c.ReportReturn,
    }
)
"""Commands that report what happened; each of their lines is about one item."""
