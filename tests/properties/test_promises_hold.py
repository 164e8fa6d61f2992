"""Law: whatever is promised, changed, reported and expired, no promise exceeds what was free."""

from collections import Counter
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.domain.reservations.rules import public_id
from stockbridge.domain.world.model import SAFETY
from stockbridge.kernel.accounts import BACKORDERED, RESERVE, RESERVED
from stockbridge.kernel.errors import Refusal
from tests.properties.memory import Memory

EXAMPLES = 300
STEPS_MAX = 40

SKUS = st.sampled_from(("A", "A", "A", "B", "KIT"))
PLAIN = st.sampled_from(("A", "A", "B"))
PLACES = st.sampled_from(("W1", "W2"))
CHANNELS = st.sampled_from(("web", "shop", "few", "half", "vip"))
UNITS = st.integers(1, 6)
WHICH = st.integers(0, 2)
LINES = st.lists(
    st.builds(c.ReserveLine, SKUS, UNITS, location=st.sampled_from((None, None, "W1"))),
    min_size=1,
    max_size=3,
)
CHANGES = st.lists(
    st.builds(c.ChangeLine, st.integers(1, 3), st.integers(0, 8)), min_size=1, max_size=3
)
MODES = st.sampled_from(("all_or_nothing", "partial", "backorder"))
STEPS = st.one_of(
    st.tuples(st.just("reserve"), CHANNELS, LINES, MODES, st.sampled_from((60, 9_000))),
    st.tuples(st.just("change"), WHICH, CHANGES),
    st.tuples(st.just("confirm"), WHICH),
    st.tuples(st.just("release"), WHICH),
    st.tuples(st.just("ship"), WHICH, PLAIN, UNITS, PLACES),
    st.tuples(st.just("receive"), PLAIN, UNITS, PLACES),
    st.tuples(st.just("receive"), PLAIN, UNITS, PLACES),
    st.tuples(st.just("count"), PLAIN, st.integers(0, 6), PLACES),
    st.tuples(st.just("count"), PLAIN, st.integers(0, 2), PLACES),
    st.tuples(st.just("fence"), CHANNELS, PLAIN, st.integers(0, 5), PLACES),
    st.tuples(st.just("safety"), PLAIN, st.integers(0, 3), PLACES),
    st.tuples(st.just("wait")),
)

# What one line gives back is not free for another where a count took more than there was.
OVERDRAWN = [
    ("receive", "A", 6, "W1"),
    ("reserve", "web", [c.ReserveLine("A", 3), c.ReserveLine("A", 2)], "all_or_nothing", 9_000),
    ("count", "A", 0, "W1"),
    ("change", 0, [c.ChangeLine(1, 0), c.ChangeLine(2, 5)]),
]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(STEPS, max_size=STEPS_MAX))
@example(OVERDRAWN)
def test_no_promise_exceeds_what_was_free(steps):
    memory = Memory()
    for number, step in enumerate(steps):
        body = _body(memory, number, step)
        if body is None:
            continue
        share = _share(memory, body)
        refused = isinstance(memory.submit(body, after=_after(step)), Refusal)
        assert not (refused and memory.world.movements and not _expired(memory))
        _hold_promises(memory, share)
        _hold_books(memory)


def _after(step) -> timedelta:
    return timedelta(seconds=61 if step[0] == "wait" else 1)


def _expired(memory: Memory) -> bool:
    """Whether something was due, which is ended whatever becomes of the command."""
    return any(move.correlation_id == "expiry" for move in memory.world.movements)


def _body(memory: Memory, number: int, step):  # noqa: PLR0911 - one for each kind of step
    kind, *values = step
    world = memory.world
    if kind in {"change", "confirm", "release", "ship"}:
        if not world.reservations:
            return None
        ids = sorted(world.reservations)
        values[0] = public_id(ids[values[0] % len(ids)])
    if kind == "reserve":
        channel, lines, mode, ttl = values
        return c.ReserveStock(channel, f"r{number}", lines, mode, ttl)
    if kind == "change":
        return c.ChangeReservation(values[0], values[1])
    if kind == "confirm":
        return c.ConfirmReservation(values[0])
    if kind == "release":
        return c.ReleaseReservation(values[0])
    if kind == "ship":
        lines = [c.QuantityLine(sku=values[1], quantity=values[2])]
        return c.ReportShipment(
            shipment=f"s{number}", location=values[3], lines=lines, reservation=values[0]
        )
    if kind == "receive":
        lines = [c.ReceiptLine(sku=values[0], quantity=values[1])]
        return c.ReportReceipt(
            document=Document("po", f"p{number}"), location=values[2], lines=lines
        )
    if kind == "count":
        lines = [c.CountLine(sku=values[0], quantity=values[1])]
        return c.ReportCount(count=f"c{number}", location=values[2], lines=lines)
    if kind == "fence":
        return c.SetFences(values[0], [c.FenceLine(values[1], values[3], values[2])])
    if kind == "safety":
        return c.SetSafetyStock([c.SafetyLine(values[0], values[2], values[1])])
    return c.SetSafetyStock([])


def _share(memory: Memory, body) -> Counter[int] | None:
    """For a reservation of the channel `half`: what of each item half of the free is."""
    if not isinstance(body, c.ReserveStock) or body.channel != "half":
        return None
    world = memory.world
    share: Counter[int] = Counter()
    for (item, place), balance in world.balances.items():
        others = world.fenced_by_others((item, place), 4)
        share[item] += max(0, balance.free - balance.q[SAFETY] - others)
    return Counter({item: units // 2 for item, units in share.items()})


def _hold_promises(memory: Memory, share: Counter[int] | None) -> None:
    """What this command promised left nothing below zero, nor below the fences of others."""
    world, taken = memory.world, Counter[int]()
    for move in world.movements:
        if move.kind != RESERVE:
            continue
        place = (move.item_id, move.location_id)
        taken[move.item_id] += move.quantity
        channel = world.reservations[int(move.document_number[4:], 16)].channel_id
        balance = world.balances[place]
        fenced = world.fenced_by_others(place, channel)
        assert balance.free - fenced - balance.q[SAFETY] >= 0, move
    if share is not None and not _expired(memory):
        assert all(units <= share[item] for item, units in taken.items()), (taken, share)


def _hold_books(memory: Memory) -> None:
    """Promised figures are open holds of open reservations; fences and their parts are sound."""
    world = memory.world
    held: Counter[tuple[int, int, int]] = Counter()
    for reservation_id, holds in world.holds.items():
        for hold in holds.values():
            assert world.reservations[reservation_id].is_open
            assert 0 <= hold.fenced <= hold.quantity
            assert hold.quantity > 0
            held[hold.item_id, hold.location_id, hold.account] += hold.quantity
    for (item, place), balance in world.balances.items():
        assert balance.q[RESERVED] == held[item, place, RESERVED]
        assert balance.q[BACKORDERED] == held[item, place, BACKORDERED]
    assert all(units >= 0 for fences in world.fences.values() for units in fences.values())
    for reservation in world.reservations.values():
        assert reservation.is_open == bool(world.holds.get(reservation.reservation_id))
