"""Facts about stock itself (counts, adjustments, state changes, supply) and safety stock."""

from typing import Any

from stockbridge.contracts.commands import (
    AdjustStock,
    RecordSupply,
    ReportCount,
    SetSafetyStock,
    SupplyLine,
)
from stockbridge.domain.ledger.facts import FactLine, FactSpec
from stockbridge.domain.ledger.lines import Level, steps
from stockbridge.domain.ledger.pipeline import RECEIVED, STAGES, newest, supplied
from stockbridge.domain.ledger.posting import Posting
from stockbridge.domain.ledger.rules import book_count
from stockbridge.domain.masters.model import Catalog
from stockbridge.domain.world.command import Command, Decision
from stockbridge.domain.world.model import Reports, Stated, Supply, SupplyKey
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.resolve import RowError, row_error, rows_refused, unknown_sku
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import (
    ACCOUNTS,
    ADJUST,
    AVAILABLE,
    CANCEL_SUPPLY,
    COUNT,
    DISPOSE,
    HOLD,
    IN_TRANSIT,
    ORDER_SUPPLY,
    QUARANTINED,
    RECEIVE,
    RELEASE,
    SCRAP,
    SHIP_SUPPLY,
    SUPPLIER,
)
from stockbridge.kernel.clock import microseconds, moment
from stockbridge.kernel.errors import Refusal


# Counts ---------------------------------------------------------------------------------------
def _book_count(posting: Posting, fact: FactLine, _stated: Level) -> dict[str, Any]:
    account = ACCOUNTS[fact.asked.state]
    like = posting.movement(COUNT, fact.line, (account, account), 0)
    return {"difference": book_count(posting.world, like, account, fact.line.units)}


def _count_rows(body: ReportCount, lines: list[FactLine], masters: Catalog, needs: Needs) -> None:
    location_id = masters.locations[body.location].location_id
    for fact in lines:
        account = ACCOUNTS[fact.asked.state]
        needs.counts.add((fact.line.item.item_id, location_id, account, body.occurred_at))


COUNT_SPEC = FactSpec(
    document_type=lambda _body: "count",
    kind=lambda _body: "count",
    number=lambda body: body.count,
    places=lambda body: [body.location],
    parts=lambda body, line: (line.state, line.quantity, line.uom, body.occurred_at),
    book=_book_count,
    levels=None,
    more_rows=_count_rows,
)


# Adjustments ----------------------------------------------------------------------------------
def _check_adjustment(world: World, body: AdjustStock) -> Refusal | None:
    reason = world.masters.reason_codes.get(body.reason)
    if reason is None or not reason.active:
        detail = f"reason {body.reason} is no active reason code; see GET /v1/reason-codes"
        error = row_error(0, "reason", "unknown_reason", detail)
        return Refusal("unknown_reason", detail, 422, [error])
    errors: list[RowError] = []
    for index, line in enumerate(body.lines):
        if line.quantity == 0:
            errors.append(row_error(index, "quantity", "zero_quantity", "0 adjusts nothing"))
        elif reason.sign * line.quantity < 0:
            way = "decreases" if reason.sign < 0 else "increases"
            detail = f"{body.reason} only {way} stock, not by {line.quantity:+d}"
            errors.append(row_error(index, "quantity", "wrong_sign", detail))
    return rows_refused(errors) if errors else None


def _book_adjustment(posting: Posting, fact: FactLine, change: Level) -> None:
    reason = posting.world.masters.reason_codes[posting.body.reason]
    accounts = (ACCOUNTS[reason.account], ACCOUNTS[fact.asked.state])
    posting.move(ADJUST, fact.line, accounts, change[0], reason=reason.code)


ADJUST_SPEC = FactSpec(
    document_type=lambda _body: "adjustment",
    kind=lambda _body: "adjustment",
    number=lambda body: body.adjustment,
    places=lambda body: [body.location],
    parts=lambda _body, line: (line.state,),
    line=lambda _body, line: f"adjustment:{line.state}",
    book=_book_adjustment,
    check=_check_adjustment,
)


# Hold and release -----------------------------------------------------------------------------
STATE_MOVES = {
    "hold": (HOLD, (AVAILABLE, QUARANTINED)),
    "release": (RELEASE, (QUARANTINED, AVAILABLE)),
    "restock": (DISPOSE, (QUARANTINED, AVAILABLE)),
    "scrap": (DISPOSE, (QUARANTINED, SCRAP)),
}


def _book_state(posting: Posting, fact: FactLine, change: Level) -> None:
    kind, accounts = STATE_MOVES[posting.body.movement]
    posting.move(kind, fact.line, accounts, change[0])


STATE_SPEC = FactSpec(
    document_type=lambda body: body.document.type,
    kind=lambda body: body.movement,
    number=lambda body: body.document.number,
    places=lambda body: [body.location],
    parts=lambda body, line: (body.document.type, line.package, line.lot),
    line=lambda body, _line: f"{body.movement}:{body.document.type}",
    leaves_in=lambda body, _line: STATE_MOVES[body.movement][1][1],
    book=_book_state,
)


# Supply ---------------------------------------------------------------------------------------
def supply_key(posting: Posting, fact: FactLine, account: int) -> SupplyKey:
    """Key of the open pipeline row of a document line at the receiving location."""
    item_id, place = fact.line.item.item_id, posting.places[-1].location_id
    number, name = posting.document_number, fact.line.name
    return (item_id, place, posting.document_type, number, name, account)


def book_supplied(posting: Posting, fact: FactLine, change: Level) -> None:
    """Book a change of a supply line: received, announced, on its way, cancelled."""
    if not any(change[RECEIVED:]):
        for account, units in zip(STAGES[:RECEIVED], change[:RECEIVED], strict=True):
            posting.move(RECEIVE, fact.line, (SUPPLIER, account), units)
        return
    net = {SUPPLIER: -sum(change), **dict(zip(reversed(STAGES), reversed(change), strict=True))}
    for giver, taker, units in steps(net):
        posting.move(_supply_kind(giver, taker), fact.line, (giver, taker), units)


def _supply_kind(giver: int, taker: int) -> int:
    ends = {giver, taker}
    if ends & {AVAILABLE, QUARANTINED}:
        return RECEIVE
    if taker == SUPPLIER:
        return CANCEL_SUPPLY
    return SHIP_SUPPLY if IN_TRANSIT in ends else ORDER_SUPPLY


def settle_supplied(
    posting: Posting, fact: FactLine, before: Reports, after: Reports
) -> dict[str, Any]:
    """Keep what is open of the line; how many of the units nobody had announced."""
    was, now = supplied(before), supplied(after)
    if was[RECEIVED:] != now[RECEIVED:] or any(now[RECEIVED:]):
        for account, units in zip(STAGES[RECEIVED:], now[RECEIVED:], strict=True):
            _keep_supply(posting, supply_key(posting, fact, account), units, after)
    return {"unannounced": sum(now) - sum(was)}


def _keep_supply(posting: Posting, key: SupplyKey, units: int, reports: Reports) -> None:
    stands = newest(reports, key[-1]) if units else None
    expected_at = stands.stated.expected_at if stands and stands.stated else None
    supply = Supply(units, None if expected_at is None else moment(expected_at))
    if supply != posting.world.supplies.get(key, Supply(0, None)):
        posting.world.put_supply(key, supply)


def _settle_statement(
    posting: Posting, fact: FactLine, before: Reports, after: Reports
) -> dict[str, Any]:
    """What is open now; a stale statement is one that a newer one of its state outdates."""
    settle_supplied(posting, fact, before, after)
    account = ACCOUNTS[posting.body.state]
    answer: dict[str, Any] = {"open": supplied(after)[STAGES.index(account)]}
    return answer if newest(after, account) == after[fact.key] else answer | {"stale": True}


def _stated(posting: Posting) -> Stated:
    expected_at = posting.body.expected_at
    expected = None if expected_at is None else microseconds(expected_at)
    sequence = posting.body.sequence
    flow = "" if sequence is None else posting.command.flow
    return Stated(posting.source, sequence, expected, flow)


def _statement_parts(body: RecordSupply, line: SupplyLine) -> tuple[object, ...]:
    return (body.expected_at, line.quantity, body.occurred_at, body.sequence)


SUPPLY_SPEC = FactSpec(
    document_type=lambda body: body.document.type,
    kind=lambda body: f"supply_{body.state}",
    number=lambda body: body.document.number,
    places=lambda body: [body.location],
    parts=_statement_parts,
    line=lambda body, _line: f"supply:{body.document.type}",
    track=lambda body, _line: ACCOUNTS[body.state],
    levels=supplied,
    of_lots=RECEIVED,
    stated=_stated,
    book=book_supplied,
    settle=_settle_statement,
)


# Safety stock ---------------------------------------------------------------------------------
def safety_names(body: SetSafetyStock, needs: Needs) -> None:
    """The items named."""
    needs.skus.update(line.sku for line in body.lines)


def safety_rows(body: SetSafetyStock, masters: Catalog, needs: Needs) -> None:
    """The balances that carry it."""
    for line in body.lines:
        if line.sku in masters.items and line.location in masters.locations:
            needs.item_ids.add(masters.items[line.sku].item_id)
            needs.locations.add(masters.locations[line.location].location_id)


def decide_safety(command: Command, world: World) -> Decision:
    """Set safety stock; nothing moves."""
    body: SetSafetyStock = command.body
    errors: list[RowError] = []
    for index, line in enumerate(body.lines):
        if line.sku not in world.masters.items:
            errors.append(unknown_sku(index, line.sku))
        if line.location not in world.masters.locations:
            detail = f"location {line.location} is not known"
            errors.append(row_error(index, "location", "unknown_location", detail))
    if errors:
        return rows_refused(errors)
    for line in body.lines:
        place = (
            world.masters.items[line.sku].item_id,
            world.masters.locations[line.location].location_id,
        )
        balance = world.balance(*place)
        balance.safety_stock = line.quantity
        world.balances_changed[place] = balance
    return 200, {"lines": len(body.lines)}
