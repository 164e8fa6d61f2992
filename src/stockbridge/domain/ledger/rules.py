"""Booking of facts: pure rules on the working set.

A fact is never refused for what it says of the physical world. What occurred at or before the
newest count of a state is inside that count already, so it is booked together with an equal
count correction (domain rule "counts are anchors"); that makes counts and movements commute.
"""

from datetime import datetime
from hashlib import blake2b

from stockbridge.domain.world.model import ExceptionCase, Fact, Movement
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import (
    ADJUSTMENT,
    ALLOCATED,
    AVAILABLE,
    COUNT,
    PICKED,
    QUARANTINED,
)
from stockbridge.kernel.quantity import QUANTITY_MAX

SEQUENCE_MAX = 10**18
Number = tuple[str, int | None]
"""The flow a report came in, and its number there; a flow that is not known has no name."""
WITHDRAWN = ""
"""The rank of a report that was taken back: below every other, so it stands."""
NEGATIVE = "negative_balance"
"""The kind of exception that says a place has less than nothing; it resolves itself."""
COUNTED = (AVAILABLE, ALLOCATED, PICKED, QUARANTINED)
"""Physical states: what can be counted."""


def fact_key(*parts: object) -> str:
    """The business key of a fact, 32 hex digits: equal parts, equal key, whoever reports it."""
    text = "\x1f".join(map(str, parts))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def record(world: World, movement: Movement) -> None:
    """Post a physical movement, with count corrections where it is older than a count."""
    world.post(movement)
    for account, sign in ((movement.from_account, -1), (movement.to_account, 1)):
        anchor = world.anchors.get((movement.item_id, movement.location_id, account))
        if anchor is not None and movement.occurred_at <= anchor:
            correct(world, movement, account, -sign * movement.quantity, anchor)


def book_count(world: World, movement_like: Movement, account: int, counted: int) -> int:
    """Make the state equal to the count plus what moved after it; the difference booked.

    `movement_like` carries item, location, document and `occurred_at` (the count's time). An
    older count than the newest changes nothing; two at one moment: the lower stands.
    """
    item_id, location_id = movement_like.item_id, movement_like.location_id
    key = (item_id, location_id, account)
    anchor = world.anchors.get(key)
    counted_at = movement_like.occurred_at
    if anchor is not None and counted_at < anchor:
        return 0
    target = counted + _moved_after(world, key, counted_at)
    difference: int = target - world.balance(item_id, location_id).q[account]
    if anchor is not None and counted_at == anchor and difference > 0:
        return 0
    world.put_anchor(key, counted_at)
    correct(world, movement_like, account, difference, counted_at)
    return difference


def rank(authority: str | None, source: str, number: Number, said: tuple[int, int]) -> str:
    """Which of two reports of one fact stands: the lower, whatever the order they came in.

    The location's authority before others, then the source's code, then what the source numbered,
    then the newer number of one flow (those of different sources or flows say nothing of each
    other, so the flow's name decides), then the smaller quantity, then the earlier time: `said`
    is (units, microseconds).
    """
    flow, sequence = number
    newest = "1" if sequence is None else f"0|{flow}|{SEQUENCE_MAX - sequence:020d}"
    outsider = 0 if authority is not None and source == authority else 1
    quantity, at = said
    return f"{outsider}|{source}|{newest}|{quantity + QUANTITY_MAX:014d}|{at:018d}"


def conflict(fact: Fact, known: Fact, correlation_id: str) -> ExceptionCase:
    """Two reports of one fact disagree: one stands until an owner decides."""
    stands, other = (fact, known) if fact.rank < known.rank else (known, fact)
    return ExceptionCase(
        kind="fact_conflict",
        subject=f"{fact.kind}:{fact.document_number}:{fact.item_id}@{fact.location_id}",
        severity=2,
        owner_team="operations",
        cause=(
            f"{stands.source or 'a source'} reports {stands.quantity} for {fact.kind} "
            f"{fact.document_number} and stands, {other.source or 'another'} says {other.quantity}"
        ),
        action="Ask the building which is right; adjust if what stands is wrong",
        correlation_id=correlation_id,
    )


def check_balance(world: World, item_id: int, location_id: int, correlation_id: str) -> None:
    """Open exceptions where facts contradict what we believed or promised."""
    balance = world.balance(item_id, location_id)
    item = world.masters.items_by_id[item_id]
    location = world.masters.locations_by_id[location_id]
    subject = f"{item.sku}@{location.code}"
    if balance.q[AVAILABLE] < 0:
        cause = f"{subject} has {balance.q[AVAILABLE]} available after a fact"
        action = "Count the item there, or find the receipt that has not been reported"
        kind, severity = NEGATIVE, 2
        world.negative.add((item_id, location_id))
    elif balance.free < 0:
        cause = f"{subject} is short of {-balance.free} units already promised"
        action = "Source the promises from another location, or tell the customers"
        kind, severity = "promise_at_risk", 1
    else:
        return
    world.open_exceptions(
        [ExceptionCase(kind, subject, severity, "operations", cause, action, correlation_id)]
    )


def recovered(world: World) -> list[str]:
    """What `negative_balance` was open about and is about no longer."""
    masters = world.masters
    return [
        f"{masters.items_by_id[item_id].sku}@{masters.locations_by_id[location_id].code}"
        for item_id, location_id in sorted(world.negative)
        if world.balance(item_id, location_id).q[AVAILABLE] >= 0
    ]


def correct(
    world: World, like: Movement, account: int, difference: int, counted_at: datetime
) -> None:
    """Book the difference between a state and its count, as of the count; none moves nothing.

    Counts name no lots, so they correct none.
    """
    if difference == 0:
        return
    world.post(
        like._replace(
            kind=COUNT,
            from_account=ADJUSTMENT if difference > 0 else account,
            to_account=account if difference > 0 else ADJUSTMENT,
            quantity=abs(difference),
            occurred_at=counted_at,
            lot=None,
            serials=(),
        )
    )


def _moved_after(world: World, key: tuple[int, int, int], counted_at: datetime) -> int:
    """What moved on the state after the count: in the store, and in this batch so far."""
    item_id, location_id, account = key
    asked = None if counted_at == world.now else counted_at
    total = world.moved_since.get((*key, asked), 0)
    for move in world.movements:
        if (
            move.item_id == item_id
            and move.location_id == location_id
            and move.occurred_at > counted_at
        ):
            if move.to_account == account:
                total += move.quantity
            elif move.from_account == account:
                total -= move.quantity
    return total
