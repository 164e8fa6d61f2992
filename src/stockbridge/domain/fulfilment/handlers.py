"""Facts of goods coming in, going out, moving between locations and coming back."""

from typing import Any

from stockbridge.contracts.commands import ReportShipment
from stockbridge.domain.fulfilment.rules import STAGES, Reached, reached, steps
from stockbridge.domain.ledger.facts import FactLine, FactSpec
from stockbridge.domain.ledger.handlers import book_supplied, settle_supplied, supply_key
from stockbridge.domain.ledger.lines import Level, units_of
from stockbridge.domain.ledger.pipeline import RECEIVED, supplied
from stockbridge.domain.ledger.posting import Posting
from stockbridge.domain.masters.model import Catalog
from stockbridge.domain.orders.course import note_progress
from stockbridge.domain.reservations.keeping import settle_promises
from stockbridge.domain.reservations.rules import internal_id
from stockbridge.domain.world.model import (
    ExceptionCase,
    FulfilmentLine,
    Reports,
    Supply,
)
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.resolve import row_error
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import (
    ACCOUNTS,
    ALLOCATE,
    ALLOCATED,
    AVAILABLE,
    CUSTOMER,
    DEALLOCATE,
    DISPOSE,
    IN_TRANSIT,
    PACK,
    PICK,
    PICKED,
    QUARANTINED,
    RETURN_RECEIVE,
    SCRAP,
    SHIP,
    TRANSFER,
    TRANSFER_RECEIVE,
    TRANSFER_SHIP,
)
from stockbridge.kernel.errors import Refusal

STAGE_KINDS = {
    "allocated": ALLOCATE,
    "deallocated": DEALLOCATE,
    "picked": PICK,
    "packed": PACK,
    "shipped": SHIP,
}


STAGE_ACCOUNTS = {
    "allocated": ALLOCATED,
    "deallocated": AVAILABLE,
    "picked": PICKED,
    "packed": PICKED,
    "shipped": CUSTOMER,
}
DISPOSED = {None: QUARANTINED, "restock": AVAILABLE, "scrap": SCRAP}


# Receipts -------------------------------------------------------------------------------------
RECEIPT_SPEC = FactSpec(
    document_type=lambda body: body.document.type,
    kind=lambda body: f"receipt_{body.document.type}",
    number=lambda body: body.document.number,
    places=lambda body: [body.location],
    parts=lambda _body, line: (line.package, line.state, line.lot),
    line=lambda body, _line: f"supply:{body.document.type}",
    track=lambda _body, line: ACCOUNTS[line.state],
    levels=supplied,
    of_lots=RECEIVED,
    leaves_in=lambda _body, line: ACCOUNTS[line.state],
    book=book_supplied,
    settle=settle_supplied,
)


# Shipments ------------------------------------------------------------------------------------
def _shipment_names(body: ReportShipment, needs: Needs) -> None:
    needs.fulfilments.add(body.shipment)
    if body.reservation is not None:
        needs.reservations.add(internal_id(body.reservation))
    elif body.document is not None:
        needs.references.add(body.document.number)


def _shipment_rows(
    _body: ReportShipment, _lines: list[FactLine], masters: Catalog, needs: Needs
) -> None:
    if needs.reservations:
        needs.all_locations = True
        needs.fences = needs.fences or masters.has_fences


def _reservation_for(posting: Posting) -> int | None:
    """The reservation the shipment keeps: as named, else the oldest open with the reference.

    One that is fulfilled is one's still: what another shipment of it gives back is not open then.
    """
    body: ReportShipment = posting.body
    world = posting.world
    if body.reservation is not None:
        named = internal_id(body.reservation)
        if named not in world.reservations:
            world.open_exceptions([_unknown_reservation(posting, body.reservation)])
            return None
        return named
    if body.document is None:
        return None
    numbers = world.references.get(body.document.number, [])
    states = {n: world.reservations[n].state for n in numbers if n in world.reservations}
    is_open = [n for n, state in states.items() if state in ("held", "confirmed")]
    return next(
        (
            n
            for n in (*is_open, *states)
            if n in is_open or states[n] == "fulfilled" or n in world.orders_of
        ),
        None,
    )


def _check_order(world: World, body: ReportShipment) -> Refusal | None:
    """A shipment for an order we have not heard of waits for it."""
    order = body.document
    if order is None or order.type != "order" or body.reservation is not None:
        return None
    if order.number in world.references:
        return None
    detail = f"no reservation has the reference {order.number}; reserve it first, or wait for it"
    error = row_error(0, "document", "unknown_order", detail, f"order:{order.number}")
    return Refusal("unknown_order", detail, 422, [error])


def _unknown_reservation(posting: Posting, public: str) -> ExceptionCase:
    return ExceptionCase(
        kind="unknown_reservation",
        subject=f"shipment:{posting.document_number}",
        severity=2,
        owner_team="operations",
        cause=f"shipment {posting.document_number} names {public}, which we never made",
        action="Find the order it belongs to; its promise, if any, is still open",
        correlation_id=posting.command.correlation_id,
    )


def _book_stage(posting: Posting, fact: FactLine, change: Level) -> None:
    kind = STAGE_KINDS[posting.body.stage]
    for step in steps(Reached(*change)):
        posting.move(kind, fact.line, (step.from_account, step.to_account), step.units)


def _settle_stage(
    posting: Posting, fact: FactLine, _before: Reports, after: Reports
) -> dict[str, Any] | None:
    """Keep the promise for what the building has bound, or renew it for what it gave back."""
    world, item_id = posting.world, fact.line.item.item_id
    location_id = posting.places[0].location_id
    key = (posting.document_number, fact.line.name, item_id, location_id)
    progress = world.fulfilment.setdefault(key, FulfilmentLine(*key))
    world.fulfilment_changed[key] = progress
    was, is_known = progress.bound, progress.reservation_id is not None
    for stage, track in STAGES.items():
        setattr(progress, stage, units_of(after, track))
    if not is_known:
        progress.reservation_id = _reservation_for(posting)
    number, units = progress.reservation_id, progress.bound - (was if is_known else 0)
    if number is None:
        return None
    if number not in world.reservations:
        world.wanted.add(number)
        return None
    posting.promises.add(number)
    if is_known and not units:
        return None
    world.bind(number, item_id, location_id, units)
    return {"promised": settle_promises(world, number, item_id, posting.command.correlation_id)}


def _name_promise(posting: Posting, fact: FactLine, reports: Reports) -> dict[str, Any] | None:
    """Of two that report one parcel only one may know whose promise it keeps."""
    place = (fact.line.item.item_id, posting.places[0].location_id)
    progress = posting.world.fulfilment.get((posting.document_number, fact.line.name, *place))
    is_named = progress is not None and progress.reservation_id is not None
    if is_named or _reservation_for(posting) is None:
        return None
    return _settle_stage(posting, fact, reports, reports)


def _tell_orders(posting: Posting) -> None:
    """The orders whose promises the report was about follow it, once for the whole report."""
    for number in sorted(posting.promises):
        note_progress(posting.world, number, posting.body.stage, posting.command)


SHIPMENT_SPEC = FactSpec(
    document_type=lambda _body: "shipment",
    kind=lambda body: body.stage,
    number=lambda body: body.shipment,
    places=lambda body: [body.location],
    parts=lambda _body, line: (line.package, line.lot),
    line=lambda _body, _line: "fulfilment",
    track=lambda body, _line: STAGES[body.stage],
    levels=reached,
    leaves_in=lambda body, _line: STAGE_ACCOUNTS[body.stage],
    book=_book_stage,
    settle=_settle_stage,
    again=_name_promise,
    finish=_tell_orders,
    check=_check_order,
    explode_kits=True,
    more_names=_shipment_names,
    more_rows=_shipment_rows,
)


# Transfers ------------------------------------------------------------------------------------
def _book_transfer(posting: Posting, fact: FactLine, change: Level) -> None:
    """Out of one location, or into the other; either may be reported first."""
    units, line = change[0], fact.line
    origin, destination = posting.places
    key = supply_key(posting, fact, IN_TRANSIT)
    known = posting.world.supplies.get(key, Supply(0, None))
    if posting.body.stage == "shipped":
        posting.move(TRANSFER_SHIP, line, (AVAILABLE, TRANSFER), units, location=origin)
        posting.move(TRANSFER_SHIP, line, (TRANSFER, IN_TRANSIT), units, location=destination)
        expected_at = posting.body.expected_at or known.expected_at
        posting.world.put_supply(key, Supply(known.quantity + units, expected_at))
    else:
        posting.move(TRANSFER_RECEIVE, line, (IN_TRANSIT, AVAILABLE), units, location=destination)
        posting.world.put_supply(key, known._replace(quantity=known.quantity - units))


TRANSFER_SPEC = FactSpec(
    document_type=lambda _body: "transfer",
    kind=lambda body: f"transfer_{body.stage}",
    number=lambda body: body.transfer,
    places=lambda body: [body.from_location, body.to_location],
    parts=lambda _body, line: (line.package, line.lot),
    leaves_in=lambda body, _line: IN_TRANSIT if body.stage == "shipped" else AVAILABLE,
    book=_book_transfer,
)


# Returns --------------------------------------------------------------------------------------
def _book_return(posting: Posting, fact: FactLine, change: Level) -> None:
    """Into quarantine, and on from there where the disposition is known."""
    units, line = change[0], fact.line
    posting.move(RETURN_RECEIVE, line, (CUSTOMER, QUARANTINED), units)
    if fact.asked.disposition == "restock":
        posting.move(DISPOSE, line, (QUARANTINED, AVAILABLE), units)
    elif fact.asked.disposition == "scrap":
        posting.move(DISPOSE, line, (QUARANTINED, SCRAP), units)


RETURN_SPEC = FactSpec(
    document_type=lambda _body: "return",
    kind=lambda _body: "return",
    number=lambda body: body.rma,
    places=lambda body: [body.location],
    parts=lambda _body, line: (line.package, line.disposition, line.lot),
    line=lambda _body, line: f"return:{line.disposition}",
    leaves_in=lambda _body, line: DISPOSED[line.disposition],
    book=_book_return,
    explode_kits=True,
)
